// arch/x86_64/cpu.h - cycle counter, spin hint, and registers out of a signal's context.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <ucontext.h>

#include <cstddef>
#include <cstdint>

#include "arch/x86_64/switch.h"

namespace gort::arch {

inline constexpr size_t kCacheLine = 64;

// Tells the CPU that this is a spin loop.
inline void pause() { __builtin_ia32_pause(); }

// Begins to fetch the cache line at p for writing. CPUs that do not know the instruction do nothing.
inline void prefetch_write(const void* p) {
    asm volatile("prefetchw %0" ::"m"(*static_cast<const char*>(p)));
}

// A counter that runs at a constant rate (the TSC), not the core's own cycles where the clock varies.
inline uint64_t cycles() { return __builtin_ia32_rdtsc(); }

inline uintptr_t context_pc(const ucontext_t* uc) {
    return static_cast<uintptr_t>(uc->uc_mcontext.gregs[REG_RIP]);
}
inline uintptr_t context_sp(const ucontext_t* uc) {
    return static_cast<uintptr_t>(uc->uc_mcontext.gregs[REG_RSP]);
}
inline uintptr_t context_fp(const ucontext_t* uc) {
    return static_cast<uintptr_t>(uc->uc_mcontext.gregs[REG_RBP]);
}

}  // namespace gort::arch
