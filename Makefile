# make [TARGET] [ARCH=x86_64|aarch64] [BUILD=release|debug|asan|tsan|ubsan] [CXX=clang++] [T='filter'] [V=1]
# `make help` lists the targets. Objects live in build/ARCH-BUILD-COMPILER; nothing is built in the source tree.
NAME    := gort
VERSION := 0.1
HOST    := $(shell uname -m)
ARCH    ?= $(HOST)
BUILD   ?= release
PREFIX  ?= /usr/local
MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.SUFFIXES:

ARCHES := x86_64 aarch64
BUILDS := release debug asan tsan ubsan
ifeq ($(filter $(ARCH),$(ARCHES)),)
$(error ARCH=$(ARCH): not one of $(ARCHES))
endif
ifeq ($(filter $(BUILD),$(BUILDS)),)
$(error BUILD=$(BUILD): not one of $(BUILDS))
endif

ifneq ($(ARCH),$(HOST))
CROSS := $(ARCH)-linux-gnu-
RUN   := qemu-$(ARCH) -L /usr/$(ARCH)-linux-gnu
endif
ifeq ($(origin CXX),default)
CXX := $(CROSS)g++
endif
# clang cross-compiles with a target triple instead of a compiler of its own.
ifneq ($(CROSS),)
ifneq ($(findstring clang,$(CXX)),)
TARGET := --target=$(ARCH)-linux-gnu
endif
endif
AR  := $(CROSS)ar
OUT := build/$(ARCH)-$(BUILD)-$(notdir $(firstword $(CXX)))

MODE.release := -O2 -Wframe-larger-than=4096
MODE.debug   := -O0 -DGORT_DEBUG
MODE.asan    := -O1 -DGORT_DEBUG -fsanitize=address
MODE.tsan    := -O1 -DGORT_DEBUG -fsanitize=thread
MODE.ubsan   := -O1 -DGORT_DEBUG -fsanitize=undefined -fno-sanitize-recover
ARCHFLAGS.x86_64  := -mno-red-zone -fcf-protection=branch
ARCHFLAGS.aarch64 := -mbranch-protection=standard
WARN  := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wundef -Wcast-align -Wvla \
         -Wnon-virtual-dtor -Wold-style-cast -Werror
FLAGS := $(TARGET) -std=c++20 -g $(MODE.$(BUILD)) $(WARN) $(ARCHFLAGS.$(ARCH)) -fno-omit-frame-pointer \
         -fstack-clash-protection -pthread -I. $(CPPFLAGS) $(CXXFLAGS)
# The library's core has no undefined libc symbol: no stack protector, no exceptions, no RTTI, no static guards.
# rt/host_*.cc is the seam to libc and the C++ runtime and is compiled like a user's program.
CORE  := -ffreestanding -fno-exceptions -fno-rtti -fno-stack-protector -fno-threadsafe-statics \
         -fasynchronous-unwind-tables

LIB     := $(OUT)/lib$(NAME).a
BENCH   := $(OUT)/gortbench
LIB_SRC := $(wildcard kernel/*.cc rt/*.cc rt/*/*.cc chan/*.cc ctx/*.cc arch/$(ARCH)/*.S)
LIB_OBJ := $(LIB_SRC:%=$(OUT)/%.o)
TESTS   := $(patsubst %.cc,$(OUT)/%,$(wildcard tests/*_test.cc))
BENCH_OBJ := $(patsubst %,$(OUT)/%.o,$(wildcard bench/*.cc))
say = @mkdir -p $(@D);$(if $(V),set -x;,echo "$1 $@";)

all: $(LIB) $(BENCH) build/lib$(NAME).a build/gortbench
# The contract's two names are links to the files of the build asked for last.
build/lib$(NAME).a: $(LIB) FORCE
	@ln -sf $(LIB:build/%=%) $@
build/gortbench: $(BENCH) FORCE
	@ln -sf $(BENCH:build/%=%) $@

$(OUT)/.flags: FORCE                       # rebuilds all when the compiler or a flag changes
	@mkdir -p $(@D); echo '$(CXX) $(FLAGS)' | cmp -s - $@ || echo '$(CXX) $(FLAGS)' > $@
$(OUT)/%.cc.o: %.cc $(OUT)/.flags
	$(call say,CXX) $(CXX) $(FLAGS) $(if $(filter arch/% kernel/% rt/% chan/%,$<),$(if $(findstring /host_,$<),,$(CORE))) -MMD -MP -c -o $@ $<
$(OUT)/%.S.o: %.S $(OUT)/.flags
	$(call say,AS ) $(CXX) $(TARGET) -g -I. $(ARCHFLAGS.$(ARCH)) -Wa,--fatal-warnings -MMD -MP -c -o $@ $<
$(LIB): $(LIB_OBJ)
	$(call say,AR ) rm -f $@; $(AR) rcs $@ $^
$(OUT)/tests/%: $(OUT)/tests/%.cc.o $(LIB)
	$(call say,LD ) $(CXX) $(FLAGS) $(LDFLAGS) -Wl,--fatal-warnings -o $@ $^
$(BENCH): $(BENCH_OBJ) $(LIB)
	$(call say,LD ) $(CXX) $(FLAGS) $(LDFLAGS) -Wl,--fatal-warnings -o $@ $^

test: $(TESTS)
	@set -e; for t in $^; do echo "== $$t"; $(RUN) ./$$t $(T); done

clean:
	rm -rf build
-include $(LIB_OBJ:.o=.d) $(TESTS:=.cc.d) $(BENCH_OBJ:.o=.d)
.PHONY: all test clean FORCE
.SECONDARY:
