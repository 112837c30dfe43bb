// arch/aarch64/invoke.S - the frames at which unwinding ends; arch/x86_64/invoke.S tells the whole story.
// SPDX-License-Identifier: BSD-2-Clause

#include "arch/asm.h"

        .hidden gort_personality
        .hidden gort_fence_personality
        .hidden gort_landed

// void gort_invoke(void* arg, void (*fn)(void*))                          an ordinary function of the C ABI
//
//   in       x0  for fn      x1  fn
FUNC(gort_invoke)
        .cfi_personality 0x1b, gort_personality
        LANDING_PAD
        stp     x29, x30, [sp, #-16]!
        .cfi_adjust_cfa_offset 16
        .cfi_rel_offset x29, 0
        .cfi_rel_offset x30, 8
        mov     x29, sp
        blr     x1
        ldp     x29, x30, [sp], #16
        .cfi_remember_state
        .cfi_adjust_cfa_offset -16
        .cfi_restore x29
        .cfi_restore x30
        ret
        .globl  gort_invoke_landed
        .hidden gort_invoke_landed
gort_invoke_landed:                             // the exception is in x0 already
        .cfi_restore_state
        .cfi_def_cfa_offset 16                  // the same again: clang 14's assembler does not restore it
        LANDING_PAD
        bl      gort_landed
        ldp     x29, x30, [sp], #16
        .cfi_adjust_cfa_offset -16
        .cfi_restore x29
        .cfi_restore x30
        ret
END(gort_invoke)

// void* gort_guarded(void* arg, void (*fn)(void*))        null, or the _Unwind_Exception that fn let out
FUNC(gort_guarded)
        .cfi_personality 0x1b, gort_personality
        LANDING_PAD
        stp     x29, x30, [sp, #-16]!
        .cfi_adjust_cfa_offset 16
        .cfi_rel_offset x29, 0
        .cfi_rel_offset x30, 8
        mov     x29, sp
        blr     x1
        mov     x0, xzr
        ldp     x29, x30, [sp], #16
        .cfi_remember_state
        .cfi_adjust_cfa_offset -16
        .cfi_restore x29
        .cfi_restore x30
        ret
        .globl  gort_guarded_landed
        .hidden gort_guarded_landed
gort_guarded_landed:
        .cfi_restore_state
        .cfi_def_cfa_offset 16
        LANDING_PAD
        ldp     x29, x30, [sp], #16
        .cfi_adjust_cfa_offset -16
        .cfi_restore x29
        .cfi_restore x30
        ret
END(gort_guarded)

// void* gort_fence(void* arg, void (*fn)(void*))          null, or the forced unwind that is to go on: rt/host.h
FUNC(gort_fence)
        .cfi_personality 0x1b, gort_fence_personality
        LANDING_PAD
        stp     x29, x30, [sp, #-16]!
        .cfi_adjust_cfa_offset 16
        .cfi_rel_offset x29, 0
        .cfi_rel_offset x30, 8
        mov     x29, sp
        blr     x1
        mov     x0, xzr
        ldp     x29, x30, [sp], #16
        .cfi_remember_state
        .cfi_adjust_cfa_offset -16
        .cfi_restore x29
        .cfi_restore x30
        ret
        .globl  gort_fence_landed
        .hidden gort_fence_landed
gort_fence_landed:
        .cfi_restore_state
        .cfi_def_cfa_offset 16
        LANDING_PAD
        ldp     x29, x30, [sp], #16
        .cfi_adjust_cfa_offset -16
        .cfi_restore x29
        .cfi_restore x30
        ret
END(gort_fence)

// void gort_capture(arch::Regs* out)                                      x0-x30, sp, pc: arch/aarch64/regs.h
FUNC(gort_capture)
        LANDING_PAD
        stp     xzr, xzr, [x0, #0]              // x0-x18: the call may change them, so unknown
        stp     xzr, xzr, [x0, #16]
        stp     xzr, xzr, [x0, #32]
        stp     xzr, xzr, [x0, #48]
        stp     xzr, xzr, [x0, #64]
        stp     xzr, xzr, [x0, #80]
        stp     xzr, xzr, [x0, #96]
        stp     xzr, xzr, [x0, #112]
        stp     xzr, xzr, [x0, #128]
        stp     xzr, x19, [x0, #144]
        stp     x20, x21, [x0, #160]
        stp     x22, x23, [x0, #176]
        stp     x24, x25, [x0, #192]
        stp     x26, x27, [x0, #208]
        stp     x28, x29, [x0, #224]
        mov     x9, sp
        stp     x30, x9, [x0, #240]
        str     x30, [x0, #256]
        ret
END(gort_capture)

END_OF_FILE
