// rt/symbols/unwind.h - walks a stack from outside: by the unwind tables, by frame pointers where code has none.
// SPDX-License-Identifier: BSD-2-Clause
//
// libgcc's unwinder can only walk the stack it runs on and trusts what it reads. This one walks any stack, also one
// that runs on meanwhile or is broken: it reads that stack inside the given bounds only, each step goes up, and
// it runs nothing of it. So it can be used from a signal handler and on other goroutines.
// What it knows: all of DWARF's call frame instructions, the expressions that compilers and libc use in them, signal
// frames, signed return addresses of ARM64.
// Context: any thread, signal handlers; 3 KiB of stack.
#pragma once

#include <cstddef>
#include <cstdint>

#include "arch/regs.h"
#include "rt/symbols/image.h"

namespace gort::rt {

struct StackRange {
    uintptr_t lo, hi;
};

class Unwinder {
public:
    // exact: pc is the next instruction to run; else a return address.
    Unwinder(Images* images, const arch::Regs& regs, bool exact, StackRange range);

    uintptr_t pc() const { return regs_.pc; }
    uintptr_t sp() const { return regs_.r[arch::kDwarfSp]; }
    bool exact() const { return exact_; }
    // To the caller. False at the end: the entry of a stack, or what cannot be followed.
    bool step();

private:
    bool step_by_table(bool* is_end);
    bool step_by_frame_pointer();

    Images* images_;
    arch::Regs regs_;
    bool exact_;
    bool first_ = true;
    StackRange range_;
};

}  // namespace gort::rt
