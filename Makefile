# make [TARGET] [ARCH=x86_64|aarch64] [BUILD=release|debug|asan|tsan|ubsan] [CXX=clang++] [T='filter'] [V=1]
# `make help` lists the targets. Objects live in build/ARCH-BUILD-COMPILER; nothing is built in the source tree.
NAME    := gort
VERSION := $(shell sed -n 's/^.define GORT_VERSION "\(.*\)"/\1/p' rt/version.h)
HOST    := $(shell uname -m)
ARCH    ?= $(HOST)
BUILD   ?= release
PREFIX  ?= /usr/local
MAKEFLAGS += --no-builtin-rules
# As many jobs as CPUs, unless make is told how many, or called by another make.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 1)
endif
.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDEXPANSION:

ARCHES := x86_64 aarch64
BUILDS := release debug asan tsan ubsan
ifeq ($(filter $(ARCH),$(ARCHES)),)
$(error ARCH=$(ARCH): not one of $(ARCHES))
endif
ifeq ($(filter $(BUILD),$(BUILDS)),)
$(error BUILD=$(BUILD): not one of $(BUILDS))
endif

# RUN goes before every program we run: the emulator, or what a sanitizer needs on this kernel. Sanitizers place
# their shadow at fixed addresses, which more than 28 random bits in mmap can collide with.
NEED := .ci/need
ifneq ($(ARCH),$(HOST))
CROSS := $(ARCH)-linux-gnu-
RUN   := env GORT_TEST_SLOW=5 ASAN_OPTIONS=detect_leaks=0 qemu-$(ARCH) -L /usr/$(ARCH)-linux-gnu
TOOLS := $(CROSS)g++ qemu-$(ARCH) # clang takes the cross g++'s libraries
else ifneq ($(filter $(BUILD),asan tsan),)
RUN   := $(shell [ "$$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 0)" -gt 28 ] && echo setarch -R)
endif
ifeq ($(origin CXX),default)
CXX := $(CROSS)g++
endif
CLANG := $(findstring clang,$(CXX))
# clang cross-compiles with a target triple instead of a compiler of its own.
ifneq ($(CROSS),)
TARGET := $(if $(CLANG),--target=$(ARCH)-linux-gnu)
endif
CC  := $(if $(CLANG),$(patsubst %clang++,%clang,$(CXX)),$(patsubst %g++,%gcc,$(CXX)))
AR  := $(CROSS)ar
OUT := build/$(ARCH)-$(BUILD)-$(patsubst $(CROSS)%,%,$(notdir $(firstword $(CXX))))

MODE.release := -O2
MODE.debug   := -O0 -DGORT_DEBUG
# GCC 12 takes std::regex for uninitialized when AddressSanitizer is on.
MODE.asan    := -O1 -DGORT_DEBUG -fsanitize=address $(if $(CLANG),,-Wno-maybe-uninitialized)
MODE.tsan    := -O1 -DGORT_DEBUG -fsanitize=thread
MODE.ubsan   := -O1 -DGORT_DEBUG -fsanitize=undefined -fno-sanitize-recover
# clang 14 has no stack clash protection for ARM64.
ARCHFLAGS.x86_64  := -mno-red-zone -fcf-protection=branch -fstack-clash-protection
ARCHFLAGS.aarch64 := -mbranch-protection=standard $(if $(CLANG),,-fstack-clash-protection)
WARN   := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wundef -Wcast-align -Wvla -Werror
WARNXX := $(WARN) -Wnon-virtual-dtor -Wold-style-cast
# Tests carry line tables only, but for BUILD=debug: types and variables are a quarter of their compile time.
DEBUGINFO := -g
$(OUT)/tests/%: private DEBUGINFO := $(if $(filter debug,$(BUILD)),-g,-g1)
# From version 16 clang says that `[c = c]` shadows the structured binding c, which before that it cannot capture at all.
# No flag turns that off alone; the library does without such captures.
CAPTURES := $(if $(CLANG),$(shell $(CXX) -dumpversion | awk -F. '$$1 >= 16 { print "-Wno-shadow" }'))
$(OUT)/tests/% $(OUT)/examples/%: private WARNXX += $(CAPTURES)
COMMON  = $(TARGET) $(DEBUGINFO) $(MODE.$(BUILD)) $(ARCHFLAGS.$(ARCH)) -fno-omit-frame-pointer -pthread -I. \
          $(CPPFLAGS)
FLAGS   = -std=c++20 $(WARNXX) $(COMMON) $(CXXFLAGS)
# The library's core has no undefined libc symbol: no stack protector, no exceptions, no RTTI, no static guards,
# no loops turned into calls of memset. Of the seam, rt/host_*.cc, only what needs the C++ runtime is compiled like a
# user's program, as is ctx; the rest calls libc but is compiled as the core.
CORE   := -ffreestanding -fno-exceptions -fno-rtti -fno-stack-protector -fno-threadsafe-statics \
          -fasynchronous-unwind-tables $(if $(CLANG),,-fno-tree-loop-distribute-patterns) \
          $(if $(filter release,$(BUILD)),-Wframe-larger-than=4096)
CXX_HOST := rt/host_cxx.cc rt/net/host_net.cc rt/net/host_reader.cc
# Functions of gort_c.h keep their frame and stay in one piece: rt/c/c.h.
C_API := -fno-optimize-sibling-calls $(if $(CLANG),,-fno-reorder-blocks-and-partition)
# The library can be part of a shared object, of several in one process, and of one that is unloaded again: its code is
# position-independent, and none of its names but gort_c.h's leaves the object that it is linked into. What the core does
# not define itself it does not need either, so there declarations are hidden as well, and nothing goes through a GOT.
PIC    := -fPIC -fno-semantic-interposition -fvisibility=hidden $(if $(CLANG),,-fno-gnu-unique)
HIDDEN := -include kernel/hidden.h
extra = $(if $(filter arch/% kernel/% rt/% chan/% ctx/%,$1),$(PIC)) \
        $(if $(filter arch/% kernel/% rt/% chan/%,$1),$(if $(filter $(CXX_HOST),$1),,$(CORE)) \
          $(if $(findstring /host_,$1),,$(HIDDEN))) \
        $(if $(filter rt/c/%,$1),$(C_API))

LIB      := $(OUT)/lib$(NAME).a
BENCH    := $(OUT)/gortbench
# What GORT_CHECK asks for is an archive of its own.
CHECK     := $(OUT)/lib$(NAME)_check.a
CHECK_OBJ := $(patsubst %,$(OUT)/%.o,$(wildcard rt/check/*.cc))
LIB_SRC  := $(filter-out rt/check/%,$(wildcard kernel/*.cc rt/*.cc rt/*/*.cc chan/*.cc ctx/*.cc arch/$(ARCH)/*.S))
LIB_OBJ  := $(LIB_SRC:%=$(OUT)/%.o)
TESTS    := $(patsubst %.cc,$(OUT)/%,$(wildcard tests/*_test.cc))
BENCH_OBJ := $(patsubst %,$(OUT)/%.o,$(wildcard bench/*.cc))
EXAMPLES := $(patsubst %,$(OUT)/%,$(basename $(wildcard examples/*.cc examples/*.c)))
# tests/NAME_test.cc may have parts in C or assembly beside it: tests/NAME_test_*.c, *.S
parts = $(patsubst %,$(OUT)/%.o,$(wildcard tests/$(notdir $1)_*.c tests/$(notdir $1)_*.S))
say = @mkdir -p $(@D);$(if $(V),set -x;,$(if $(STEPS),printf . >>$(OUT)/.done;)echo "$(step)$1 $@";)
step = $(if $(STEPS),[$$(wc -c <$(OUT)/.done)/$(STEPS)] )
sub = +@$(MAKE) --no-print-directory

all: $(LIB) $(BENCH) build/lib$(NAME).a build/gortbench ## the library and the benchmarks (what plain `make` does)
# The contract's two names are links to the files of the build asked for last.
build/lib$(NAME).a: $(LIB) FORCE
	@ln -sf $(LIB:build/%=%) $@
build/gortbench: $(BENCH) $(OUT)/hello FORCE
	@ln -sf $(BENCH:build/%=%) $@

# Stamps: objects depend on the compiler and all flags, archive and gortbench on the list of their members.
FORCE = $(if $(COUNTING),,FORCE)
stamp = mkdir -p $(@D); printf '%s\n' '$1' | cmp -s - $@ || printf '%s\n' '$1' > $@
$(OUT)/.flags: $(FORCE)
	@$(NEED) $(firstword $(CXX)) $(TOOLS)
	@$(if $(CLANG),$(if $(filter asan tsan ubsan,$(BUILD)),$(NEED) $(firstword $(CXX))/sanitizers))
	@$(call stamp,$(CXX) $(FLAGS) / $(PIC) $(CORE) $(HIDDEN) $(C_API) / $(CC) / $(LDFLAGS))
$(OUT)/.members: $(FORCE)
	@$(call stamp,$(LIB_OBJ))
$(OUT)/.bench-members: FORCE
	@$(call stamp,$(BENCH_OBJ))
$(OUT)/%.cc.o: %.cc $(OUT)/.flags
	$(call say,CXX) $(CXX) $(FLAGS) $(call extra,$<) -MMD -MP -c -o $@ $<
$(OUT)/%.c.o: %.c $(OUT)/.flags
	$(call say,CC ) $(CC) -std=c11 $(WARN) $(COMMON) $(CFLAGS) -MMD -MP -c -o $@ $<
$(OUT)/%.S.o: %.S $(OUT)/.flags
	$(call say,AS ) $(CXX) $(TARGET) -g -I. $(ARCHFLAGS.$(ARCH)) -Wa,--fatal-warnings -MMD -MP -c -o $@ $<
$(LIB): $(LIB_OBJ) $(OUT)/.members
	$(call say,AR ) rm -f $@; $(AR) qcs $@ $(LIB_OBJ)
$(CHECK): $(CHECK_OBJ)
	$(call say,AR ) rm -f $@; $(AR) qcs $@ $^
link = $(call say,LD ) $(CXX) $(FLAGS) -Wl,--fatal-warnings -o $@ $(filter-out $(OUT)/.%,$^) $(LDFLAGS)
$(OUT)/tests/%: $(OUT)/tests/%.cc.o $$(call parts,$$@) $(OUT)/tests/test_main.cc.o $(LIB)
	$(link)
$(OUT)/hello: $(OUT)/bench/startup/hello.cc.o $(LIB) # what `gortbench startup` starts
	$(call say,LD ) $(CXX) $(FLAGS) $(if $(filter release debug,$(BUILD)),-static -s) -o $@ $^ $(LDFLAGS)
$(BENCH): $(BENCH_OBJ) $(LIB) $(OUT)/.bench-members
	$(link)
$(OUT)/examples/%: $(OUT)/examples/%.cc.o $(LIB)
	$(link)
$(OUT)/examples/%: $(OUT)/examples/%.c.o $(LIB) # no C++ runtime
	$(call say,LD ) $(CC) $(TARGET) $(MODE.$(BUILD)) -pthread -o $@ $(filter-out $(OUT)/.%,$^) $(LDFLAGS)

# What is to be built is counted first, so that each step says how many there are. From nothing they are some 430, of a
# CPU's second each.
counted = +@rm -f $(OUT)/.done; $(MAKE) --no-print-directory $(OUT)/.flags $(OUT)/.members && \
  n=$$($(MAKE) -n V= COUNTING=1 $1 | grep -c '^mkdir -p [^;]*;echo ') ; cpus=$$(nproc); \
  [ $$n -lt 60 ] || echo "$@: $$n steps to build; on $$cpus CPUs that takes about $$((1 + n / cpus / 50)) min, once"; \
  $(MAKE) --no-print-directory STEPS=$$n $1
test: ## build and run every tests/*_test.cc, J of them at a time; T='-p 1,8 chan': flags, parts of test or file names
	$(call counted,$(TESTS))
	@RUN='$(RUN)' J='$(J)' tests/run.sh test $(TESTS) -- $(T)
stress: ## the tests again: N=5 times, on one CPU, with many Ms, the TEST_STRESS ones; a soak of SOAK=1200 seconds
	$(call counted,$(TESTS))
	@RUN='$(RUN)' N='$(N)' SOAK='$(SOAK)' tests/run.sh stress $(TESTS) -- $(T)
asan tsan ubsan debug: ## make test with BUILD=asan, tsan, ubsan or debug
	$(sub) BUILD=$@ test
bench: all ## run the benchmarks and their Go and Boost twins (bench/run): four minutes at most; FULL=1: about 26
	@$(NEED) go boost wrk hyperfine || echo 'make bench: what needs them is left out'
	@bench/run
model: ## run SPIN on every tests/model/*.pml
	@tests/model.sh $(OUT)/model
include tests/explore/explore.mk
explore: $(XOUT)/explore ## the library's source under many interleavings and C++'s memory model; T='-l', DEEP=1
	@tests/explore/run.sh $(XOUT) $(T)
fuzz: ## libFuzzer on what reads program files, for T=60 seconds: tests/fuzz/run.sh
	@tests/fuzz/run.sh $(or $(T),60)
lint: $(LIB) $(OUT)/tests/test_test ## layers, layout, lonely headers, thread safety, clang-tidy, what the objects may contain
	@ARCH=$(ARCH) BUILD=$(BUILD) CXX='$(CXX)' tests/lint/run.sh $(OUT)
format: ## lay out F='files' by .clang-format
	@$(NEED) clang-format
	clang-format -i $(or $(F),$(error format: say which files, as in make format F='rt/own/g.h rt/own/m.h'))
examples: $(EXAMPLES) ## build examples/*
$(OUT)/sim-compare: $(OUT)/tests/sim/compare.cc.o $(LIB)
	$(link)
sim-compare: $(OUT)/sim-compare ## the corpus of tests/sim under the simulation and under native stress: a table, some minutes
	@$(RUN) $<

DEST = $(DESTDIR)$(PREFIX)
# Where every gdb of this machine loads scripts from at its start, if it has such a folder and we may write there; else
# `gort-gdb` is gdb with our script. A package (DESTDIR) decides that for itself.
GDBINIT = $(shell gdb --configuration 2>/dev/null | sed -n 's/^[[:space:]]*--with-system-gdbinit-dir=\([^ ]*\).*/\1/p')
PUBLIC = $(shell find arch kernel rt chan ctx $(wildcard gort.h gort_c.h) -name '*.h' -exec awk \
           'FNR == 1 { if (/^\/\/ PUBLIC/) print FILENAME; nextfile }' {} + | sort)
# What tools/ has for users, and what install puts somewhere else is left out.
USER_TOOLS = $(filter-out %.py %.cmake %.md tools/gort_gdb,$(wildcard tools/*))
EXAMPLE_SRC = $(wildcard examples/*.cc examples/*.c examples/*.h examples/recipes/*.cc examples/recipes/*.c)
install: $(LIB) $(CHECK) ## the library, headers, gort.pc, CMake's files, tools and examples into $(DESTDIR)$(PREFIX), default /usr/local
	install -D -m 644 $(LIB) $(DEST)/lib/lib$(NAME).a
	install -D -m 644 $(CHECK) $(DEST)/lib/lib$(NAME)_check.a
	@set -e; for h in $(PUBLIC); do install -D -m 644 $$h $(DEST)/include/$(NAME)/$$h; done
	@mkdir -p $(DEST)/lib/pkgconfig
	printf '%s\n' 'prefix=$(PREFIX)' 'Name: $(NAME)' 'Description: goroutines, channels and select for C++ and C' \
	  'Version: $(VERSION)' 'Libs: -L$${prefix}/lib -l$(NAME) -pthread -Wl,-Bsymbolic-functions' \
	  'Cflags: -I$${prefix}/include/$(NAME) -pthread $(filter -fstack-clash-protection,$(ARCHFLAGS.$(ARCH)))' \
	  > $(DEST)/lib/pkgconfig/$(NAME).pc
	printf '%s\n' 'prefix=$(PREFIX)' 'Name: $(NAME)-check' 'Description: GORT_CHECK=locks for programs with $(NAME)' \
	  'Version: $(VERSION)' 'Libs: -Wl,-u,gort_check_locks -L$${prefix}/lib -l$(NAME)_check' 'Requires: $(NAME)' \
	  > $(DEST)/lib/pkgconfig/$(NAME)-check.pc
	@set -e; for f in gortConfig gortConfigVersion; do \
	  install -D -m 644 tools/$$f.cmake $(DEST)/lib/cmake/$(NAME)/$$f.cmake; done
	@set -e; for f in $(notdir $(USER_TOOLS)); do install -D -m 755 tools/$$f $(DEST)/bin/$$f; done
	@set -e; for f in $(EXAMPLE_SRC); do install -D -m 644 $$f $(DEST)/share/$(NAME)/$$f; done
	@set -e; for f in gort-gdb.py $(patsubst tools/%,%,$(wildcard tools/gort_gdb/*.py)); do \
	  install -D -m 644 tools/$$f $(DEST)/share/$(NAME)/$$f; done
	@$(if $(DESTDIR),,d='$(GDBINIT)'; [ -z "$$d" ] || [ ! -w "$$d" ] || \
	  { set -x; ln -sf $(PREFIX)/share/gort/gort-gdb.py "$$d/gort-gdb.py"; })
uninstall: ## take away what install put there
	rm -rf $(DEST)/lib/lib$(NAME).a $(DEST)/lib/lib$(NAME)_check.a $(DEST)/lib/pkgconfig/$(NAME).pc \
	  $(DEST)/lib/pkgconfig/$(NAME)-check.pc $(DEST)/lib/cmake/$(NAME) $(DEST)/include/$(NAME) \
	  $(addprefix $(DEST)/bin/,$(notdir $(USER_TOOLS))) $(DEST)/share/$(NAME)/gort-gdb.py $(DEST)/share/$(NAME)/gort_gdb \
	  $(DEST)/share/$(NAME)/examples
	@$(if $(DESTDIR),,d='$(GDBINIT)'; [ -z "$$d" ] || [ ! -L "$$d/gort-gdb.py" ] || rm -f "$$d/gort-gdb.py")
	-@rmdir $(DEST)/share/$(NAME) $(DEST)/lib/cmake 2>/dev/null
# Everything that git knows, or in an unpacked one everything but build/.
dist: ## build/gort-VERSION.tar.gz, which builds elsewhere
	@mkdir -p build
	@{ git ls-files -z 2>/dev/null | grep -z . || find . -path ./build -prune -o -type f -print0; } | \
	  sed -z 's|^\./||' | sort -z | tar -c -z -f build/$(NAME)-$(VERSION).tar.gz --owner=0 --group=0 --numeric-owner \
	  --no-recursion --transform='s|^|$(NAME)-$(VERSION)/|' --null -T -
	@echo build/$(NAME)-$(VERSION).tar.gz
clean: ## remove build/
	rm -rf build
help: ## this list
	@sed -n '1s/^# //p' Makefile; sed -n 's/^\([a-z][a-z ]*\):[^#]*## \(.*\)/\1##\2/p' Makefile | \
	  awk -F'##' '{ printf "  %-22s %s\n", $$1, $$2 }'

print-%: # what a variable holds: make -s print-OUT
	@echo '$($*)'

-include $(wildcard $(OUT)/*/*.d $(OUT)/*/*/*.d)
.PHONY: all test fuzz stress asan tsan ubsan debug bench model explore lint format examples sim-compare install uninstall dist clean help FORCE
.SECONDARY:
