// rt/symbols/dwarf_line.h - which source line an instruction came from: the line tables of DWARF 2 to 5.
// SPDX-License-Identifier: BSD-2-Clause
//
// Context: any thread, signal handlers. A look-up reads the tables from their start: milliseconds for each megabyte, so
// rt/symbols/symbols.cc keeps what it found.
#pragma once

#include <cstdint>

#include "rt/symbols/image.h"

namespace gort::rt {

// The path is base/dir/file; an absolute part makes those before it empty. The texts lie in the mapped sections.
struct LineInfo {
    const char* base;
    const char* dir;
    const char* file;  // null: unknown
    uint32_t line;
};

// True: of a file whose lines are not wanted.
using SkipFile = bool (*)(const LineInfo& file);

// address: as at link time. from, skip: where address is of a function that was inlined from such a file, the last line
// before it, at `from` or later, that is not: as a rule the one that calls it.
bool find_line(const Image& image, uint64_t address, LineInfo* out, uint64_t from = 0,
               SkipFile skip = nullptr);
// The file of this number in the table of the unit at this offset of .debug_line; leaves out->line alone.
bool describe_file(const Image& image, uint64_t unit, uint64_t file, LineInfo* out);

}  // namespace gort::rt
