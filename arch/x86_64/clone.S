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
1:      // The child. No code called it: a backtrace ends here.
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

// gort_sigreturn: a handler's `ret` lands here, with rsp at the ucontext that the kernel has put there. The CFI says
// where in it each register of the interrupted code is, and that this is a signal frame, so every unwinder and gdb go
// on there; without it gdb knows such a frame only if its function has no name. Unwinders look at pc - 1:
// hence the nop. No landing pad: a `ret` needs none.
#define UCONTEXT_GREG(n) (40 + 8 * (n))
// DW_CFA_expression: the register is saved at rsp + UCONTEXT_GREG(greg), as a signed LEB128 of two bytes
#define GREG(dwarf, greg) \
        .cfi_escape 0x10, dwarf, 3, 0x77, UCONTEXT_GREG(greg) % 128 + 128, UCONTEXT_GREG(greg) / 128
        .text
        .p2align 4
        .cfi_startproc
        .cfi_signal_frame
        // DW_CFA_def_cfa_expression: what rsp was, which the ucontext says
        .cfi_escape 0x0f, 4, 0x77, UCONTEXT_GREG(15) % 128 + 128, UCONTEXT_GREG(15) / 128, 0x06
        GREG(0, 13)                             // rax
        GREG(1, 12)                             // rdx
        GREG(2, 14)                             // rcx
        GREG(3, 11)                             // rbx
        GREG(4, 9)                              // rsi
        GREG(5, 8)                              // rdi
        GREG(6, 10)                             // rbp
        GREG(8, 0)                              // r8 to r15
        GREG(9, 1)
        GREG(10, 2)
        GREG(11, 3)
        GREG(12, 4)
        GREG(13, 5)
        GREG(14, 6)
        GREG(15, 7)
        GREG(16, 16)                            // rip
        nop
        .globl  gort_sigreturn
        .hidden gort_sigreturn
        .type   gort_sigreturn, %function
gort_sigreturn:
        movq    $NR_rt_sigreturn, %rax
        syscall
        .cfi_endproc
        .size   gort_sigreturn, . - gort_sigreturn

END_OF_FILE
