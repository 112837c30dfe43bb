// rt/symbols/demangle.h - C++ names as people write them, where malloc may not be called and where there is no C++
// runtime.
// SPDX-License-Identifier: BSD-2-Clause
//
// The names of the Itanium C++ ABI (section 5.1.4), printed as the C++ runtime's own demangler prints them. Left out is
// what names of functions seldom hold: expressions as template arguments.
// Context: any thread, signal handlers; 128 KiB of memory for a moment come from mmap, and the recursion is bounded.
#pragma once

#include <cstddef>

namespace gort::rt {

// Into out, truncated to fit; false, and out is untouched, if it is no such name or one that we cannot read.
bool demangle(const char* name, char* out, size_t size);

}  // namespace gort::rt
