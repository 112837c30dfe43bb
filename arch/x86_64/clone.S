// arch/x86_64/clone.S - the first instructions of a raw thread, and the way back from a signal handler.
// SPDX-License-Identifier: BSD-2-Clause

#include "arch/asm.h"

#define NR_rt_sigreturn 15
#define NR_clone 56
#define NR_exit 60

// long gort_clone(unsigned long flags, void* stack_top, int* parent_tid, int* child_tid, void* tls,
//                 void (*fn)(void*), void* arg)
//
//   in       rdi flags   rsi stack_top   rdx parent_tid   rcx child_tid   r8 tls   r9 fn   8(%rsp) arg
//   kernel   rdi flags   rsi stack       rdx parent_tid   r10 child_tid   r8 tls
//   out      parent: rax tid or -errno          child: never returns
//
// The kernel gives the child our registers but for rax and rsp, and takes rcx and r11 for itself. So fn
// travels in r9 and arg in r12, which the parent saves on its own stack first.
FUNC(gort_clone)
        pushq   %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r12, 0
        movq    16(%rsp), %r12                  // arg: above r12 and the return address
        movq    %rcx, %r10
        movl    $NR_clone, %eax
        syscall
        testq   %rax, %rax
        jz      1f
        popq    %r12
        .cfi_adjust_cfa_offset -8
        .cfi_restore r12
        ret
1:      // The child. Nobody called it: a backtrace ends here.
        .cfi_def_cfa rsp, 0
        .cfi_undefined rip
        .cfi_undefined r12
        xorl    %ebp, %ebp                      // and so does a walk of the frame pointers
        movq    %r12, %rdi
        call    *%r9                            // rsp is stack_top, 16-aligned, as a call wants it
        xorl    %edi, %edi
        movl    $NR_exit, %eax                  // this thread only
        syscall
        ud2
END(gort_clone)

// gort_sigreturn: a handler's `ret` lands here. Unwinders and gdb know a signal frame by exactly these nine
// bytes (mov $15,%rax; syscall) at a pc without CFI, and look at pc-1 first: hence the nop, which keeps that
// outside of the function before. No landing pad: a `ret` needs none, and it would spoil the pattern.
        .text
        .p2align 4
        nop
        .globl  gort_sigreturn
        .hidden gort_sigreturn
        .type   gort_sigreturn, %function
gort_sigreturn:
        movq    $NR_rt_sigreturn, %rax
        syscall
        .size   gort_sigreturn, . - gort_sigreturn

END_OF_FILE
