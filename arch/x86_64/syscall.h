// arch/x86_64/syscall.h - the raw system call, and the entry points of clone.S.
// SPDX-License-Identifier: BSD-2-Clause
//
// Context: any thread, any stack, signal handlers. Only kernel/ includes this.
#pragma once

extern "C" {
// clone(flags, stack, ...) whose child calls fn(arg) on `stack_top` (16-aligned) and then exits. In the
// parent: the new tid or -errno. The kernel's argument order differs between the architectures; this one does
// not.
long gort_clone(unsigned long flags, void* stack_top, int* parent_tid, int* child_tid, void* tls,
                void (*fn)(void*), void* arg);
// SA_RESTORER of every handler that we install: where a handler returns to.
void gort_sigreturn();
}

namespace gort::arch {

// Returns what the kernel returns: a result, or -errno in [-4095, -1].
inline long syscall(long nr, long a0 = 0, long a1 = 0, long a2 = 0, long a3 = 0, long a4 = 0, long a5 = 0) {
    register long r10 asm("r10") = a3;
    register long r8 asm("r8") = a4;
    register long r9 asm("r9") = a5;
    long result;
    asm volatile("syscall"
                 : "=a"(result)
                 : "a"(nr), "D"(a0), "S"(a1), "d"(a2), "r"(r10), "r"(r8), "r"(r9)
                 : "rcx", "r11", "memory", "cc");
    return result;
}

}  // namespace gort::arch
