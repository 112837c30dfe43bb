// arch/x86_64/invoke.S - the frames at which unwinding ends, and the picture of the registers.
// SPDX-License-Identifier: BSD-2-Clause
//
// gort_invoke is the lowest frame of a goroutine that the user's exceptions may see; gort_guarded does the same around
// one deferred function. Neither does anything on the way in or out. What they are for is in their unwind tables: the
// personality routine (rt/host_c.cc), which the unwinder asks about this frame twice.
//
//   search phase    the throw has not touched the stack yet, so the routine writes down the stack of the throw point
//                   and says "there is a handler here". Hence no exception is ever "uncaught" on a goroutine.
//   cleanup phase   the destructors of all frames above have run; it sends the unwinder to ..._landed, with the
//                   exception in rax and every callee-saved register as this frame had it.
//
// A forced unwind (goexit) has no search phase and lands in the same place.

#include "arch/asm.h"

        .hidden gort_personality
        .hidden gort_fence_personality
        .hidden gort_landed

// void gort_invoke(void* arg, void (*fn)(void*))                          an ordinary function of the C ABI
//
//   in       rdi  for fn      rsi  fn
FUNC(gort_invoke)
        .cfi_personality 0x1b, gort_personality // 0x1b: a 4-byte offset from its own place
        LANDING_PAD
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbp, 0
        movq    %rsp, %rbp
        call    *%rsi
        popq    %rbp
        .cfi_remember_state
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbp
        ret
        .globl  gort_invoke_landed
        .hidden gort_invoke_landed
gort_invoke_landed:                             // reached from the unwinder only: rsp as after the call above
        .cfi_restore_state
        .cfi_def_cfa_offset 16                  // the same again: clang 14's assembler does not restore it
        LANDING_PAD
        movq    %rax, %rdi
        call    gort_landed                     // returns if it was goexit
        popq    %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbp
        ret
END(gort_invoke)

// void* gort_guarded(void* arg, void (*fn)(void*))        null, or the _Unwind_Exception that fn let out
FUNC(gort_guarded)
        .cfi_personality 0x1b, gort_personality
        LANDING_PAD
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbp, 0
        movq    %rsp, %rbp
        call    *%rsi
        xorl    %eax, %eax
        popq    %rbp
        .cfi_remember_state
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbp
        ret
        .globl  gort_guarded_landed
        .hidden gort_guarded_landed
gort_guarded_landed:
        .cfi_restore_state
        .cfi_def_cfa_offset 16
        LANDING_PAD
        popq    %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbp
        ret
END(gort_guarded)

// void* gort_fence(void* arg, void (*fn)(void*))          null, or the forced unwind that is to go on: rt/host.h
FUNC(gort_fence)
        .cfi_personality 0x1b, gort_fence_personality
        LANDING_PAD
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbp, 0
        movq    %rsp, %rbp
        call    *%rsi
        xorl    %eax, %eax
        popq    %rbp
        .cfi_remember_state
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbp
        ret
        .globl  gort_fence_landed
        .hidden gort_fence_landed
gort_fence_landed:
        .cfi_restore_state
        .cfi_def_cfa_offset 16
        LANDING_PAD
        popq    %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbp
        ret
END(gort_fence)

// void gort_capture(arch::Regs* out)                                      in DWARF's order, arch/x86_64/regs.h
FUNC(gort_capture)
        LANDING_PAD
        xorl    %eax, %eax
        movq    %rax, 0(%rdi)                   // rax rdx rcx rsi rdi r8-r11: the call may change them, so unknown
        movq    %rax, 8(%rdi)
        movq    %rax, 16(%rdi)
        movq    %rbx, 24(%rdi)
        movq    %rax, 32(%rdi)
        movq    %rax, 40(%rdi)
        movq    %rbp, 48(%rdi)
        leaq    8(%rsp), %rcx
        movq    %rcx, 56(%rdi)
        movq    %rax, 64(%rdi)
        movq    %rax, 72(%rdi)
        movq    %rax, 80(%rdi)
        movq    %rax, 88(%rdi)
        movq    %r12, 96(%rdi)
        movq    %r13, 104(%rdi)
        movq    %r14, 112(%rdi)
        movq    %r15, 120(%rdi)
        movq    (%rsp), %rcx
        movq    %rcx, 128(%rdi)
        movq    %rcx, 136(%rdi)                 // pc
        ret
END(gort_capture)

END_OF_FILE
