// rt/symbols/symbols.h - what a program counter is called: function, offset, source line.
// SPDX-License-Identifier: BSD-2-Clause
//
// From the symbol table and the line table of the file the code was loaded from; a stripped file has .dynsym at least.
// Context: any thread, signal handlers. The texts belong to the Images.
#pragma once

#include <cstddef>
#include <cstdint>

#include "rt/symbols/dwarf_inline.h"
#include "rt/symbols/image.h"

namespace gort::rt {

struct Symbol {
    const Image* image;  // null: no file
    const char* name;    // as in the symbol table, mangled; null: none
    // of pc: from the function's begin, or in the file's address space when there is no name
    uintptr_t offset;
    const InlinedCall* inlined;  // what the compiler put into the function here, the innermost first
    uint32_t inlined_n;
    LineInfo line;
};

// pc: a return address, or with kExactPc the next instruction.
void find_symbol(Images* images, uintptr_t pc, Symbol* out);

}  // namespace gort::rt
