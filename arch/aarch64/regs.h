// arch/aarch64/regs.h - the registers an unwinder follows, in DWARF's numbering.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <ucontext.h>

#include <cstdint>

namespace gort::arch {

inline constexpr unsigned kDwarfRegs = 32;  // x0-x30, sp
inline constexpr unsigned kDwarfFp = 29;
inline constexpr unsigned kDwarfSp = 31;
inline constexpr unsigned kDwarfRa = 30;

struct Regs {
    uintptr_t r[kDwarfRegs];
    uintptr_t pc;
};

inline void regs_from_context(Regs* out, const ucontext_t* uc) {
    for (int i = 0; i < 31; i++) out->r[i] = uc->uc_mcontext.regs[i];
    out->r[kDwarfSp] = uc->uc_mcontext.sp;
    out->pc = uc->uc_mcontext.pc;
}

// Return addresses may carry a signature in their upper bits. xpaclri strips it; without PAC it does nothing.
inline uintptr_t strip_return_address(uintptr_t pc) {
    register uintptr_t lr asm("x30") = pc;
    asm("hint #7" : "+r"(lr));
    return lr;
}

// From where pc is to where the call came from that has just arrived there.
inline void regs_back_from_call(Regs* r) { r->pc = strip_return_address(r->r[kDwarfRa]); }

}  // namespace gort::arch
