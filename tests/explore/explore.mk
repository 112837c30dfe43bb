# tests/explore/explore.mk - make explore: the explorer with the library's own source, by g++ and clang++.
# SPDX-License-Identifier: BSD-2-Clause
#
# The library and the pieces are compiled with -fsanitize=thread, but as a release build (arch/sanitize.h is not to see
# the tool), and linked with tests/explore/tsan.cc in its place. The explorer itself is not instrumented.
XOUT  := build/explore-$(patsubst $(CROSS)%,%,$(notdir $(firstword $(CXX))))
XLIB  := $(filter-out %.S,$(LIB_SRC))
XTOOL := $(patsubst %,tests/explore/%.cc,epoll fates host main memory mutants seam search snapshot trace tsan world)
XSEAM := $(patsubst %,tests/explore/%.cc,epoll host seam)
XPIECE := $(filter-out $(XTOOL),$(wildcard tests/explore/*.cc))
XOBJ  := $(patsubst %,$(XOUT)/%.o,$(XLIB) $(XTOOL) $(XPIECE) $(wildcard arch/$(ARCH)/*.S))
# The tool's own macros, which would have the code behave as under TSan.
XHIDE := $(if $(CLANG),-D__has_feature\(x\)=0 -Wno-builtin-macro-redefined -mllvm -tsan-instrument-func-entry-exit=0,\
         -U__SANITIZE_THREAD__ -Wno-tsan --param tsan-instrument-func-entry-exit=0)
XFLAGS = -std=c++20 $(WARNXX) -g -O1 $(ARCHFLAGS.$(ARCH)) -fno-omit-frame-pointer -fno-pie -pthread -I. $(CPPFLAGS)
XTEST  = -fsanitize=thread $(XHIDE) -include tests/explore/first.h
XWRAP := $(shell sed -n 's/.*WRAP("\([A-Za-z0-9_]*\)").*/-Wl,--wrap=\1/p' $(XSEAM))

$(XOUT)/.flags: FORCE
	@$(call stamp,$(CXX) $(XFLAGS) $(XTEST) $(XWRAP) / $(CORE))
$(patsubst %,$(XOUT)/%.o,$(XLIB)): $(XOUT)/%.cc.o: %.cc $(XOUT)/.flags tests/explore/first.h
	$(call say,CXX) $(CXX) $(XFLAGS) $(XTEST) $(filter-out -Wframe%,$(call extra,$<)) -MMD -MP -c -o $@ $<
$(patsubst %,$(XOUT)/%.o,$(XPIECE)): $(XOUT)/%.cc.o: %.cc $(XOUT)/.flags tests/explore/first.h
	$(call say,CXX) $(CXX) $(XFLAGS) $(XTEST) -MMD -MP -c -o $@ $<
$(patsubst %,$(XOUT)/%.o,$(XTOOL)): $(XOUT)/%.cc.o: %.cc $(XOUT)/.flags
	$(call say,CXX) $(CXX) $(XFLAGS) -MMD -MP -c -o $@ $<
$(XOUT)/%.S.o: %.S $(XOUT)/.flags
	$(call say,AS ) $(CXX) -g -I. $(ARCHFLAGS.$(ARCH)) -Wa,--fatal-warnings -MMD -MP -c -o $@ $<
$(XOUT)/explore: $(XOBJ)
	$(call say,LD ) $(CXX) $(XFLAGS) -no-pie $(XWRAP) -o $@ $^
	@nm $@ | awk -v wraps='$(XWRAP)' '{ there[$$3] = 1 } \
	  END { n = split(wraps, w, " "); for (i = 1; i <= n; ++i) { sub(/.*=/, "", w[i]); \
	    if (!(w[i] in there)) { print "$@: nothing is called " w[i] " any more"; bad = 1 } } exit bad }'
-include $(wildcard $(XOUT)/*/*.d $(XOUT)/*/*/*.d)
