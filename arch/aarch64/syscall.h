// arch/aarch64/syscall.h - the raw system call, and the entry points of clone.S.
// SPDX-License-Identifier: BSD-2-Clause
//
// Context: any thread, any stack, signal handlers. Only kernel/ includes this.
#pragma once

extern "C" {
// As on x86-64.
long gort_clone(unsigned long flags, void* stack_top, int* parent_tid, int* child_tid, void* tls,
                void (*fn)(void*), void* arg);
// No gort_sigreturn: without SA_RESTORER the kernel uses its own trampoline in the vDSO, which unwinders
// know.
}

namespace gort::arch {

// Returns what the kernel returns: a result, or -errno in [-4095, -1].
inline long syscall(long nr, long a0 = 0, long a1 = 0, long a2 = 0, long a3 = 0, long a4 = 0, long a5 = 0) {
    register long x8 asm("x8") = nr;
    register long x0 asm("x0") = a0;
    register long x1 asm("x1") = a1;
    register long x2 asm("x2") = a2;
    register long x3 asm("x3") = a3;
    register long x4 asm("x4") = a4;
    register long x5 asm("x5") = a5;
    asm volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory", "cc");
    return x0;
}

}  // namespace gort::arch
