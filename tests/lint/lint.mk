# tests/lint/lint.mk - the lint rules that look at one file at a time, cached by a stamp for each file.
# SPDX-License-Identifier: BSD-2-Clause
#
# make -k -s -f tests/lint/lint.mk OUT=... lint-PART (tests/lint/run.sh does that)
# A stamp stands for "this file, with all that it includes, passed". Where a check is dear (clang-tidy) it is not made
# again for text that has passed once: whatever touches a header, comments or another branch, costs only a preprocessing.
all:
include Makefile

L       := $(OUT)/lint
RULES   := tests/lint/lint.mk
OTHERS  := $(filter-out $(ARCH),$(ARCHES))
SOURCES := $(filter-out $(OTHERS:%=arch/%/%),$(shell find arch kernel rt chan ctx -name '*.cc' 2>/dev/null))
# arch/asm.h is for assembly only: switch.S compiles it.
HEADERS := $(filter-out arch/asm.h $(OTHERS:%=arch/%/%),$(wildcard gort.h gort_c.h) \
           $(shell find arch kernel rt chan ctx tests bench -name '*.h' 2>/dev/null))
LAYOUT  := $(filter-out arch/asm.h,$(wildcard gort.h gort_c.h) \
           $(shell find arch kernel rt chan ctx tests bench examples -name '*.h' -o -name '*.cc' 2>/dev/null))
SCRIPTS := $(shell grep -lsE '^\#!.*(/sh|bash)' .ci/* bench/* tools/* tests/* tests/*/* 2>/dev/null)

# What clang++ is called with here; the main Makefile computes it for one compiler only.
CLANGXX := $(if $(CLANG),$(CXX),clang++)
CLANG_TARGET := $(if $(CROSS),--target=$(ARCH)-linux-gnu)
BASE    := -std=c++20 -O1 -I. $(WARNXX) $(filter-out -fstack-clash-protection,$(ARCHFLAGS.$(ARCH))) $(CPPFLAGS)
# A public header is compiled as a user does, one of the core as the core is.
HOSTLESS := $(filter-out -fno-tree% -Wframe%,$(CORE))
public := $(shell awk 'FNR == 1 { if (/^\/\/ PUBLIC/) print FILENAME; nextfile }' $(HEADERS))
mode = $(if $(filter arch/% kernel/% rt/% chan/%,$1),$(if $(filter $1,$(CXX_HOST) $(public)),,$(HOSTLESS)))
touch = touch $@
dep = -MMD -MP -MF $@.d -MT $@

lint-headers: $(HEADERS:%=$L/%.alone)
lint-tidy: $(SOURCES:%=$L/%.tidy)
lint-format: $(LAYOUT:%=$L/%.format)
lint-shell: $(SCRIPTS:%=$L/%.shell)

clangxx = $(CLANGXX) $(CLANG_TARGET) $(BASE) $(call mode,$<)
# g++ is not asked: what it would see beyond this it sees when the library is compiled.
$L/%.alone: % $(RULES)
	mkdir -p $(@D); echo '#include "$<"' | $(clangxx) -x c++ -fsyntax-only $(dep) - || \
	{ echo "[alone] $<: does not compile by itself"; exit 1; }; $(touch)
# The debug build has more code under locks than the release build.
safety = $(clangxx) -DGORT_DEBUG -Wthread-safety -fsyntax-only $<
tidy = clang-tidy --quiet $< -- $(CLANG_TARGET) $(BASE) $(call mode,$<) 2>$@.err || \
       { grep -v 'warnings generated' $@.err; exit 1; }
$L/%.tidy: % $(RULES) .clang-tidy
	mkdir -p $(@D) $L/seen
	sum=$$({ cat $(RULES) .clang-tidy; $(clangxx) -DGORT_DEBUG -E $(dep) $<; } | grep -v '^#' | sha1sum | cut -c1-40); \
	{ [ -n "$$sum" ] && [ -e $L/seen/$$sum ]; } || { $(safety) && $(tidy) && touch $L/seen/$$sum; }
	$(touch)
# Space before a // comment is free: hand-made columns stay.
blind = sed 's|^ *//|//|; s|  *// |  // |; s|  *\\$$| \\|'
$L/%.format: % .clang-format $(RULES)
	mkdir -p $(@D); $(blind) $< > $@.is; clang-format $< | $(blind) | diff $@.is - > $@.diff || \
	{ echo "[format] $<: clang-format has it otherwise (make format F='$<'; < is the file):"; \
	  head -n 20 $@.diff; exit 1; }
	$(touch)
$L/%.shell: % $(RULES)
	mkdir -p $(@D); shellcheck -x $< && $(touch)

-include $(shell find $L -name '*.d' 2>/dev/null)
.PHONY: lint-headers lint-tidy lint-format lint-shell
