// arch/aarch64/switch.S - the stack switchers for ARM64; arch/x86_64/switch.S tells the whole story.
// SPDX-License-Identifier: BSD-2-Clause
//
// The jump to the resume address goes through x16, because a `br x16` may land on `bti j` and `bti c` pads
// alike. Our own resume address may not arrive there: the linker may put a veneer that uses x16 and x17
// between `b` and us. sp must be 16-aligned whenever it addresses memory, so each save is a pair. x18 is the
// platform's register: Linux programs may not rely on it.
//
// NOT SAVED, by rule: FPCR and FPSR belong to the thread. The high halves of v8-v15 and all of v0-v7, v16-v31
// are the caller's by the ABI; d8-d15 are callee-saved, so the plain-ABI form keeps them and the raw form
// names them as clobbered. Return addresses signed by PAC stay valid: they are signed against the sp of their
// own frame, which does not move.

#include "arch/asm.h"
#include "arch/aarch64/frame.h"

// void* gort_switch(void** save_sp, void* load_sp, void* transfer)      entered by `b`, from arch::switch_to only
//
//   in       x0  where to store our handle      x1  handle to load      x3  our resume address      x2  transfer
//   out      x2  transfer of whoever resumes us, sp and x29 as they were         clobbers everything else, x30 too
FUNC(gort_switch)
        .cfi_def_cfa sp, 0
        .cfi_register x30, x3
        LANDING_PAD                             // of the veneer: it jumps through x16
        stp     x29, x3, [sp, #-FRAME_SIZE]!
        .cfi_adjust_cfa_offset FRAME_SIZE
        .cfi_rel_offset x29, FRAME_FP
        .cfi_rel_offset x30, FRAME_PC
        mov     x9, sp
        str     x9, [x0]
        mov     sp, x1
        ldp     x29, x16, [sp], #FRAME_SIZE
        .cfi_adjust_cfa_offset -FRAME_SIZE
        .cfi_restore x29
        .cfi_register x30, x16
        br      x16
END(gort_switch)

// void* gort_switch_abi(void** save_sp, void* load_sp, void* transfer)        an ordinary function of the C ABI
//
//   in       x0  where to store our handle      x1  handle to load      x2  transfer
//   out      x0  transfer of whoever resumes us
//   saved    x19-x28, x29, x30, d8-d15, on the stack we leave               clobbers: as any call
//
//      handle + 160     | d8 ... d15 above     |  16 + 80 .. 16 + 144
//      handle + 16      | x30, pad, x19 .. x28 |
//      handle           | Frame {x29, resume}  |
FUNC(gort_switch_abi)
        LANDING_PAD
        sub     sp, sp, #160
        .cfi_adjust_cfa_offset 160
        str     x30, [sp, #0]
        .cfi_rel_offset x30, 0
        stp     x19, x20, [sp, #16]
        .cfi_rel_offset x19, 16
        .cfi_rel_offset x20, 24
        stp     x21, x22, [sp, #32]
        .cfi_rel_offset x21, 32
        .cfi_rel_offset x22, 40
        stp     x23, x24, [sp, #48]
        .cfi_rel_offset x23, 48
        .cfi_rel_offset x24, 56
        stp     x25, x26, [sp, #64]
        .cfi_rel_offset x25, 64
        .cfi_rel_offset x26, 72
        stp     x27, x28, [sp, #80]
        .cfi_rel_offset x27, 80
        .cfi_rel_offset x28, 88
        stp     d8, d9, [sp, #96]
        .cfi_rel_offset d8, 96
        .cfi_rel_offset d9, 104
        stp     d10, d11, [sp, #112]
        .cfi_rel_offset d10, 112
        .cfi_rel_offset d11, 120
        stp     d12, d13, [sp, #128]
        .cfi_rel_offset d12, 128
        .cfi_rel_offset d13, 136
        stp     d14, d15, [sp, #144]
        .cfi_rel_offset d14, 144
        .cfi_rel_offset d15, 152
        .cfi_remember_state
        adr     x16, .Labi_resume
        stp     x29, x16, [sp, #-FRAME_SIZE]!
        .cfi_adjust_cfa_offset FRAME_SIZE
        .cfi_rel_offset x29, FRAME_FP
        mov     x9, sp
        str     x9, [x0]
        mov     sp, x1
        .cfi_def_cfa sp, FRAME_SIZE
        .cfi_offset x30, FRAME_PC - FRAME_SIZE
        .cfi_offset x29, FRAME_FP - FRAME_SIZE
        .cfi_restore x19
        .cfi_restore x20
        .cfi_restore x21
        .cfi_restore x22
        .cfi_restore x23
        .cfi_restore x24
        .cfi_restore x25
        .cfi_restore x26
        .cfi_restore x27
        .cfi_restore x28
        .cfi_restore d8
        .cfi_restore d9
        .cfi_restore d10
        .cfi_restore d11
        .cfi_restore d12
        .cfi_restore d13
        .cfi_restore d14
        .cfi_restore d15
        ldp     x29, x16, [sp], #FRAME_SIZE
        .cfi_adjust_cfa_offset -FRAME_SIZE
        .cfi_restore x29
        .cfi_register x30, x16
        br      x16
        .cfi_restore_state
        .cfi_def_cfa_offset 160
        nop
.Labi_resume:
        LANDING_PAD
        mov     x0, x2                          // every switcher hands the transfer over in x2
        ldp     d14, d15, [sp, #144]
        .cfi_restore d14
        .cfi_restore d15
        ldp     d12, d13, [sp, #128]
        .cfi_restore d12
        .cfi_restore d13
        ldp     d10, d11, [sp, #112]
        .cfi_restore d10
        .cfi_restore d11
        ldp     d8, d9, [sp, #96]
        .cfi_restore d8
        .cfi_restore d9
        ldp     x27, x28, [sp, #80]
        .cfi_restore x27
        .cfi_restore x28
        ldp     x25, x26, [sp, #64]
        .cfi_restore x25
        .cfi_restore x26
        ldp     x23, x24, [sp, #48]
        .cfi_restore x23
        .cfi_restore x24
        ldp     x21, x22, [sp, #32]
        .cfi_restore x21
        .cfi_restore x22
        ldp     x19, x20, [sp, #16]
        .cfi_restore x19
        .cfi_restore x20
        ldr     x30, [sp], #160
        .cfi_adjust_cfa_offset -160
        .cfi_restore x30
        ret                                     // a br would be predicted better, but BTI checks its target, and the
                                                // instruction after the caller's bl is no landing pad
END(gort_switch_abi)

// gort_entry: where a new stack starts; never called.
//
//      in   sp  -> EntryFrame {fn, arg}, 16-aligned        x29 0        x2  transfer of the first switch
FUNC(gort_entry)
        .cfi_undefined x30
        nop
        LANDING_PAD
        ldr     x16, [sp, #ENTRY_FN]
        ldr     x0, [sp, #ENTRY_ARG]            // fn(arg, transfer)
        mov     x1, x2
        adr     x30, .Lfn_returned
        br      x16                             // a call that the return predictor does not count
.Lfn_returned:
        brk     #0                              // fn must switch away for good
END(gort_entry)

// void gort_call_on_stack(void* top, void (*fn)(void*), void* arg)      runs fn(arg) on another stack
FUNC(gort_call_on_stack)
        LANDING_PAD
        stp     x29, x30, [sp, #-16]!
        .cfi_adjust_cfa_offset 16
        .cfi_rel_offset x29, 0
        .cfi_rel_offset x30, 8
        mov     x29, sp
        .cfi_def_cfa_register x29
        mov     sp, x0
        mov     x0, x2
        blr     x1
        mov     sp, x29
        .cfi_def_cfa_register sp
        ldp     x29, x30, [sp], #16
        .cfi_adjust_cfa_offset -16
        .cfi_restore x29
        .cfi_restore x30
        ret
END(gort_call_on_stack)

// void gort_call_below(void* handle, void (*fn)(void*), void* arg)      runs fn(arg) below a parked Frame
FUNC(gort_call_below)
        LANDING_PAD
        stp     x29, x30, [sp, #-32]!
        .cfi_adjust_cfa_offset 32
        .cfi_rel_offset x29, 0
        .cfi_rel_offset x30, 8
        stp     x19, x20, [sp, #16]
        .cfi_rel_offset x19, 16
        .cfi_rel_offset x20, 24
        .cfi_remember_state
        mov     x19, x0
        mov     x20, sp
        ldr     x29, [x0, #FRAME_FP]
        mov     sp, x0
        .cfi_def_cfa x19, FRAME_SIZE
        .cfi_offset x30, FRAME_PC - FRAME_SIZE
        .cfi_offset x29, FRAME_FP - FRAME_SIZE
        .cfi_undefined x19
        .cfi_undefined x20
        mov     x0, x2
        blr     x1
        mov     sp, x20
        .cfi_restore_state
        .cfi_def_cfa_offset 32
        ldp     x19, x20, [sp, #16]
        .cfi_restore x19
        .cfi_restore x20
        ldp     x29, x30, [sp], #32
        .cfi_adjust_cfa_offset -32
        .cfi_restore x29
        .cfi_restore x30
        ret
END(gort_call_below)

// gort_return_by_jump(a, b): an ordinary return. A return address is no target for an indirect branch here (BTI).
FUNC(gort_return_by_jump)
        ret
END(gort_return_by_jump)

END_OF_FILE
