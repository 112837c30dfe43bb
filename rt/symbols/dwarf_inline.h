// rt/symbols/dwarf_inline.h - which functions were inlined at an address: the trees of .debug_info of DWARF 4 and 5.
// SPDX-License-Identifier: BSD-2-Clause
//
// Context: any thread, signal handlers; memory for a moment comes from mmap. A look-up reads the unit that the address
// belongs to, up to milliseconds, so rt/symbols/symbols.cc keeps what it found.
#pragma once

#include "rt/symbols/dwarf_line.h"

namespace gort::rt {

struct InlinedCall {
    const char* name;  // of the inlined function, mangled or plain; null: none is said
    bool mangled;
    LineInfo from;  // the call
};
inline constexpr unsigned kMostInlined = 24;

// Into out[kMostInlined], the innermost first; how many. Without debug information, or when it is of a kind that we do
// not read (compressed, split): 0.
unsigned find_inlined(const Image& image, uint64_t address, InlinedCall* out);

}  // namespace gort::rt
