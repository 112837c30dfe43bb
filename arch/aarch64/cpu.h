// arch/aarch64/cpu.h - the raw switch, cycle counter, spin hint, and registers out of a signal's context.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <ucontext.h>

#include <cstddef>
#include <cstdint>

namespace gort::arch {

inline constexpr size_t kCacheLine = 64;

// What code compiled for SVE may keep besides v0-v31, whose names cover z0-z31.
#ifdef __ARM_FEATURE_SVE
#define GORT_CLOBBER_MORE \
    , "p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10", "p11", "p12", "p13", "p14", "p15"
#else
#define GORT_CLOBBER_MORE
#endif

// As on x86-64. x29 is kept by switch.S; d8-d15 are callee-saved by the ABI and so must be named here.
[[gnu::always_inline]] inline void* switch_to(void** save_sp, void* load_sp, void* transfer) {
    register void** save asm("x0") = save_sp;
    register void* load asm("x1") = load_sp;
    register void* value asm("x2") = transfer;
    asm volatile(
        "adr x3, 1f\n\t"
        "b gort_switch\n"
        "1:\n\t"
        "hint #38"
        : "+r"(value), "+r"(save), "+r"(load)
        :
        : "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17",
          "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x30", "memory", "cc",
          "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14",
          "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28",
          "v29", "v30", "v31" GORT_CLOBBER_MORE);
    return value;
}
#undef GORT_CLOBBER_MORE

inline void pause() { asm volatile("isb" ::: "memory"); }

inline void prefetch_write(const void* p) {
    asm volatile("prfm pstl1keep, %0" ::"Q"(*static_cast<const char*>(p)));
}

inline uint64_t cycles() {
    uint64_t ticks;
    asm volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
}

inline uintptr_t context_pc(const ucontext_t* uc) { return uc->uc_mcontext.pc; }
inline uintptr_t context_sp(const ucontext_t* uc) { return uc->uc_mcontext.sp; }
inline uintptr_t context_fp(const ucontext_t* uc) { return uc->uc_mcontext.regs[29]; }

}  // namespace gort::arch
