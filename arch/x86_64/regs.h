// arch/x86_64/regs.h - the registers an unwinder follows, in DWARF's numbering.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <ucontext.h>

#include <cstdint>

namespace gort::arch {

// 0-15: rax rdx rcx rbx rsi rdi rbp rsp r8-r15; 16: the return address
inline constexpr unsigned kDwarfRegs = 17;
inline constexpr unsigned kDwarfFp = 6;
inline constexpr unsigned kDwarfSp = 7;
inline constexpr unsigned kDwarfRa = 16;

struct Regs {
    uintptr_t r[kDwarfRegs];
    uintptr_t pc;
};

inline void regs_from_context(Regs* out, const ucontext_t* uc) {
    constexpr int kOrder[16] = {REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP,
                                REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    for (int i = 0; i < 16; i++) out->r[i] = static_cast<uintptr_t>(uc->uc_mcontext.gregs[kOrder[i]]);
    out->pc = out->r[kDwarfRa] = static_cast<uintptr_t>(uc->uc_mcontext.gregs[REG_RIP]);
}

// From where pc is to where the call came from that has just arrived there.
inline void regs_back_from_call(Regs* r) {
    r->pc = r->r[kDwarfRa] = *reinterpret_cast<const uintptr_t*>(r->r[kDwarfSp]);
    r->r[kDwarfSp] += sizeof(uintptr_t);
}

inline uintptr_t strip_return_address(uintptr_t pc) { return pc; }

}  // namespace gort::arch
