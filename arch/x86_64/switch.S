// arch/x86_64/switch.S - the stack switchers, the entry of a new stack, and calls on another stack.
// SPDX-License-Identifier: BSD-2-Clause
//
// This file carries the full story; arch/aarch64/switch.S comments only what differs.
//
// THE IDEA. A stack that does not run is one number: the address of the Frame at its lowest end.
//
//      high addresses   | ...                  |
//                       | frames of the code   |
//                       | that was switched out|
//                       +----------------------+ <- its rsp before and after the switch: the CFA
//                       | pc   resume address  |    FRAME_PC
//      sp handle ->     | fp   its rbp         |    FRAME_FP
//                       +----------------------+
//      low addresses    | free                 |
//
// Nothing else is saved. The caller of the raw form names every other register as clobbered (arch/arch.h), so
// the compiler spills what is live there and only that: a loop with three live values pays for three, not for
// six. Both forms leave the same Frame, so a stack suspended by one may be resumed by the other, and a stack
// that never ran looks like one that was suspended at gort_entry.
//
// WHY IT ENDS IN A JUMP. `ret` is predicted from the calls of the stack we leave, so after a switch it is
// wrong; the indirect predictor learns the pattern. And why the raw form is entered by a jump: a `call`
// without its `ret` would shift the return predictor for every frame above us.
//
// WHAT IT COSTS. `gortbench switch`, two stacks in a loop, one way, best of eight repetitions on an otherwise quiet
// Xeon (Emerald Rapids, family 6 model 207, 2.1 GHz, virtual; g++ 12.2); only the ratios travel to other machines:
//      floor (sp, fp, pc in a struct, all inlined)              1.37 ns    1.0
//      raw form inlined at the switch                           1.51 ns    1.1     (Cascade Lake: 2 x raw)
//      raw form below                                           1.60 ns    1.2
//      raw form, entered by call                                1.59 ns    1.2     (and unbalances the predictor)
//      plain-ABI form below: saves all, jumps                   2.44 ns    1.8
//      raw form ending in ret                                  11.2  ns    8.2
//      plain-ABI form ending in ret                            11.6  ns    8.5
//      swapcontext 226 ns; two threads and a futex 5.1 us
//
// NOT SAVED, by rule: MXCSR and the x87 control word belong to the thread, as in Go; code that changes the
// rounding mode restores it before it parks. The signal mask, fs and gs likewise. Shadow stacks (SHSTK) are
// not supported.

#include "arch/asm.h"
#include "arch/x86_64/frame.h"

// void* gort_switch(void** save_sp, void* load_sp, void* transfer)      entered by `jmp`, from arch::switch_to only
//
//   in       rdi  where to store our handle      rsi  handle to load      rcx  our resume address
//            rax  transfer: arrives unchanged in the code we resume
//   out      rax  transfer of whoever resumes us, rsp and rbp as they were
//   clobbers everything else; flags; and 16 bytes below rsp (compile the caller with -mno-red-zone)
//
// CFI: the caller is a function that jumped here, so its rsp is the CFA and its pc is in rcx. After the two
// pushes the Frame has one layout on both stacks; the rules hold across the swap and describe whichever stack
// rsp is on.
FUNC(gort_switch)
        .cfi_def_cfa rsp, 0
        .cfi_register rip, rcx
        pushq   %rcx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rip, 0
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbp, 0
        movq    %rsp, (%rdi)                    // the handle; not to be used before rsp has left this stack
        movq    %rsi, %rsp                      // on the other stack now
        popq    %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbp
        popq    %rcx
        .cfi_adjust_cfa_offset -8
        .cfi_register rip, rcx
        jmp     *%rcx                           // predicted from history; the target has an endbr64
END(gort_switch)

// void* gort_switch_abi(void** save_sp, void* load_sp, void* transfer)        an ordinary function of the C ABI
//
//   in       rdi  where to store our handle      rsi  handle to load      rdx  transfer
//   out      rax  transfer of whoever resumes us
//   saved    rbx rbp r12 r13 r14 r15, on the stack we leave               clobbers: as any call
//
//      handle + 64      | return address       |  the caller's
//      handle + 56      | rbx                  |
//               ...     | r12 r13 r14 r15      |
//      handle + 16      +----------------------+
//      handle + 8       | pc = resume below    |  the same Frame as above
//      handle           | fp                   |
//
// The resume address is the same for every stack suspended here, so it is predicted; the jump to the caller
// is the one that depends on history.
FUNC(gort_switch_abi)
        LANDING_PAD
        movq    %rdx, %rax
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbx, 0
        pushq   %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r12, 0
        pushq   %r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r13, 0
        pushq   %r14
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r14, 0
        pushq   %r15
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r15, 0
        .cfi_remember_state
        leaq    .Labi_resume(%rip), %rcx
        pushq   %rcx
        .cfi_adjust_cfa_offset 8
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbp, 0
        movq    %rsp, (%rdi)
        movq    %rsi, %rsp                      // from here to the jump the CFI says: called by the code we resume,
        .cfi_def_cfa rsp, FRAME_SIZE            // whichever form suspended it
        .cfi_offset rip, FRAME_PC - FRAME_SIZE
        .cfi_offset rbp, FRAME_FP - FRAME_SIZE
        .cfi_restore rbx
        .cfi_restore r12
        .cfi_restore r13
        .cfi_restore r14
        .cfi_restore r15
        popq    %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbp
        popq    %rcx
        .cfi_adjust_cfa_offset -8
        .cfi_register rip, rcx
        jmp     *%rcx
        .cfi_restore_state
        .cfi_def_cfa_offset 48                  // the same again: clang 14's assembler does not restore what it adjusts
        nop                                     // unwinders look a suspended stack's pc up by pc - 1
.Labi_resume:
        LANDING_PAD
        popq    %r15
        .cfi_adjust_cfa_offset -8
        .cfi_restore r15
        popq    %r14
        .cfi_adjust_cfa_offset -8
        .cfi_restore r14
        popq    %r13
        .cfi_adjust_cfa_offset -8
        .cfi_restore r13
        popq    %r12
        .cfi_adjust_cfa_offset -8
        .cfi_restore r12
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbx
        popq    %rcx                            // the return address: a jump, because a ret would be mispredicted
        .cfi_adjust_cfa_offset -8
        .cfi_register rip, rcx
        jmp     *%rcx
END(gort_switch_abi)

// gort_entry: where a new stack starts; never called. arch::init_stack puts its address, behind the nop, into
// the stack's first Frame.
//
//      in   rsp  -> EntryFrame {fn, arg}, 16-aligned        rbp 0        rax  transfer of the first switch
//
// Unwinders end here: the return address is undefined. They look function and CFI up by pc - 1, and for a
// stack that never ran that is the nop.
FUNC(gort_entry)
        .cfi_undefined rip
        nop
        LANDING_PAD
        movq    ENTRY_FN(%rsp), %rcx
        movq    ENTRY_ARG(%rsp), %rdi           // fn(arg, transfer)
        movq    %rax, %rsi
        leaq    .Lfn_returned(%rip), %rax
        pushq   %rax                            // a call that the return predictor does not count: whoever is switched
        jmp     *%rcx                           // to when fn is over finds its own calls on top of it
.Lfn_returned:
        ud2                                     // fn must switch away for good
END(gort_entry)

// void gort_call_on_stack(void* top, void (*fn)(void*), void* arg)      runs fn(arg) on another stack
//
//   in       rdi  16-aligned top of an unused stack           rsi fn      rdx arg        clobbers: as any call
//
// rbp keeps our own stack, so the unwinder walks from fn through here into the caller.
FUNC(gort_call_on_stack)
        LANDING_PAD
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbp, 0
        movq    %rsp, %rbp
        .cfi_def_cfa_register rbp
        movq    %rdi, %rsp
        movq    %rdx, %rdi
        call    *%rsi
        movq    %rbp, %rsp
        .cfi_def_cfa_register rsp
        popq    %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbp
        ret
END(gort_call_on_stack)

// void gort_call_below(void* handle, void (*fn)(void*), void* arg)      runs fn(arg) below a parked Frame
//
//   in       rdi  handle of a suspended stack that stays suspended and has room      rsi fn      rdx arg
//
// For tracebacks of a parked goroutine: the CFI says that fn's caller was called by the suspended code, so an
// unwinder started in fn walks the parked stack. rbx is the handle there; our own stack is only reached by
// the way back (r12).
FUNC(gort_call_below)
        LANDING_PAD
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbx, 0
        pushq   %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r12, 0
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbp, 0
        .cfi_remember_state
        movq    %rdi, %rbx
        movq    %rsp, %r12
        movq    FRAME_FP(%rdi), %rbp            // frame-pointer walkers see the parked stack as well
        movq    %rdi, %rsp
        andq    $-16, %rsp
        .cfi_def_cfa rbx, FRAME_SIZE
        .cfi_offset rip, FRAME_PC - FRAME_SIZE
        .cfi_offset rbp, FRAME_FP - FRAME_SIZE
        .cfi_undefined rbx
        .cfi_undefined r12
        movq    %rdx, %rdi
        call    *%rsi
        movq    %r12, %rsp
        .cfi_restore_state
        .cfi_def_cfa_offset 32
        popq    %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbp
        popq    %r12
        .cfi_adjust_cfa_offset -8
        .cfi_restore r12
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbx
        ret
END(gort_call_below)

// gort_return_by_jump(a, b)       an ordinary function that returns its first two arguments, in rax and rdx, by a jump
//
// To be tail-called: arch/arch.h says by whom. The return address picks one of eight jumps by the parity of some of its
// bits. The three branches that pick are predicted from a long history of branches, and the right jump with them; an
// indirect jump alone is predicted from the last three or four branches only (measured by putting untaken branches
// before one), which say nothing of who was resumed. Two goroutines that yield by this from two places, ns a yield:
// `ret` 15.1, one jump 14.9, four 6.5; a cond's round trip, where more places meet: four jumps 55, eight 37.
FUNC(gort_return_by_jump)
        movq    %rdi, %rax
        movq    %rsi, %rdx
        popq    %rcx
        .cfi_adjust_cfa_offset -8
        .cfi_register rip, rcx
        movl    %ecx, %esi
        shrl    $7, %esi
        xorl    %ecx, %esi                      // which of its bits differ between two call sites is chance: mix them
        testb   $0x5a, %sil
        jp      .Ljump1
        testb   $0x93, %sil
        jp      .Ljump01
        testb   $0xe4, %sil
        jp      .Ljump001
        notrack jmp *%rcx                       // a return address has no landing pad
.Ljump001:
        notrack jmp *%rcx
.Ljump01:
        testb   $0xe4, %sil
        jp      .Ljump011
        notrack jmp *%rcx
.Ljump011:
        notrack jmp *%rcx
.Ljump1:
        testb   $0x93, %sil
        jp      .Ljump11
        testb   $0xe4, %sil
        jp      .Ljump101
        notrack jmp *%rcx
.Ljump101:
        notrack jmp *%rcx
.Ljump11:
        testb   $0xe4, %sil
        jp      .Ljump111
        notrack jmp *%rcx
.Ljump111:
        notrack jmp *%rcx
END(gort_return_by_jump)

END_OF_FILE
