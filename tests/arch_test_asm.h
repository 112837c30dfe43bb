// tests/arch_test_asm.h - assembly that the arch tests need: registers full of known values around a switch.
// SPDX-License-Identifier: BSD-2-Clause
//
// Written as file-scope assembly, so that a test binary stays one .cc file. Included once in a program.
//
// gort_test_abi      loads in[] into every callee-saved register, suspends itself with gort_switch_abi, and stores what
// the registers hold when it is resumed to out[]; the transfers are in[] and out[] too (kTransfer).
// gort_test_raw      the same with the raw switcher: of all registers only the frame pointer is kept.
// gort_test_hostile  suspends itself with the raw switcher with garbage in every register that the protocol allows to
// change. `level` says which vector registers the CPU has: 0 the base, 1 AVX, 2 AVX-512 or SVE.
#pragma once
#include <cstdint>

#if defined(__x86_64__)
enum { kGprs = 6, kFp = 5, kTransfer = 6, kRegs = 7 };  // rbx r12 r13 r14 r15 rbp, transfer
#else
enum { kGprs = 11, kFp = 10, kTransfer = 19, kRegs = 20 };  // x19-x28 x29, d8-d15, transfer
#endif
constexpr uint64_t kGarbage = 0xdeadbeefcafef00d;

extern "C" {
#pragma GCC visibility push(hidden)
void gort_test_abi(void** save, void* load, const uint64_t* in, uint64_t* out);
void gort_test_raw(void** save, void* load, const uint64_t* in, uint64_t* out);
void gort_test_hostile(void** save, void* load, long level);
#pragma GCC visibility pop
}

#if defined(__x86_64__)
asm(R"(
        .text
        .macro TEST_FUNC name
        .p2align 4
        .globl \name
        .hidden \name
        .type \name, %function
\name:
        endbr64
        .endm
        .macro SAVE_ALL                         # and leaves rsp 16-aligned
        pushq %rbp
        pushq %rbx
        pushq %r12
        pushq %r13
        pushq %r14
        pushq %r15
        pushq %rcx
        .endm
        .macro RESTORE_ALL_RET
        popq %r15
        popq %r14
        popq %r13
        popq %r12
        popq %rbx
        popq %rbp
        ret
        .endm

        TEST_FUNC gort_test_abi
        SAVE_ALL
        movq 0(%rdx), %rbx
        movq 8(%rdx), %r12
        movq 16(%rdx), %r13
        movq 24(%rdx), %r14
        movq 32(%rdx), %r15
        movq 40(%rdx), %rbp
        movq 48(%rdx), %rdx
        call gort_switch_abi
        popq %rcx
        movq %rbx, 0(%rcx)
        movq %r12, 8(%rcx)
        movq %r13, 16(%rcx)
        movq %r14, 24(%rcx)
        movq %r15, 32(%rcx)
        movq %rbp, 40(%rcx)
        movq %rax, 48(%rcx)
        RESTORE_ALL_RET
        .size gort_test_abi, . - gort_test_abi

        TEST_FUNC gort_test_raw
        SAVE_ALL
        movq 40(%rdx), %rbp
        movq 48(%rdx), %rax
        leaq 1f(%rip), %rcx
        jmp gort_switch
1:      endbr64
        popq %rcx
        movq %rbp, 40(%rcx)
        movq %rax, 48(%rcx)
        RESTORE_ALL_RET
        .size gort_test_raw, . - gort_test_raw

        TEST_FUNC gort_test_hostile
        SAVE_ALL
        movabsq $0xdeadbeefcafef00d, %rax
        .irp n,0,1,2,3,4,5,6,7
        movq %rax, %mm\n
        .endr
        emms
        cmpq $1, %rdx
        jb 1f
        je 2f
        .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
        vpbroadcastq %rax, %zmm\n
        .endr
        .irp n,0,1,2,3,4,5,6,7
        kmovw %eax, %k\n
        .endr
        jmp 3f
2:      .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        vmovq %rax, %xmm\n
        vinsertf128 $1, %xmm\n, %ymm\n, %ymm\n
        .endr
        jmp 3f
1:      .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        movq %rax, %xmm\n
        .endr
3:      .irp n,rbx,rdx,rbp,r8,r9,r10,r11,r12,r13,r14,r15
        movq %rax, %\n
        .endr
        leaq 4f(%rip), %rcx
        jmp gort_switch
4:      endbr64
        popq %rcx
        RESTORE_ALL_RET
        .size gort_test_hostile, . - gort_test_hostile
)");
#else
asm(R"(
        .text
        .macro TEST_FUNC name
        .p2align 4
        .globl \name
        .hidden \name
        .type \name, %function
\name:
        hint #34
        .endm
        .macro SAVE_ALL
        stp x29, x30, [sp, #-176]!
        stp x19, x20, [sp, #16]
        stp x21, x22, [sp, #32]
        stp x23, x24, [sp, #48]
        stp x25, x26, [sp, #64]
        stp x27, x28, [sp, #80]
        stp d8, d9, [sp, #96]
        stp d10, d11, [sp, #112]
        stp d12, d13, [sp, #128]
        stp d14, d15, [sp, #144]
        str x3, [sp, #160]
        .endm
        .macro RESTORE_ALL_RET
        ldp x19, x20, [sp, #16]
        ldp x21, x22, [sp, #32]
        ldp x23, x24, [sp, #48]
        ldp x25, x26, [sp, #64]
        ldp x27, x28, [sp, #80]
        ldp d8, d9, [sp, #96]
        ldp d10, d11, [sp, #112]
        ldp d12, d13, [sp, #128]
        ldp d14, d15, [sp, #144]
        ldp x29, x30, [sp], #176
        ret
        .endm

        TEST_FUNC gort_test_abi
        SAVE_ALL
        ldp x19, x20, [x2, #0]
        ldp x21, x22, [x2, #16]
        ldp x23, x24, [x2, #32]
        ldp x25, x26, [x2, #48]
        ldp x27, x28, [x2, #64]
        ldr x29, [x2, #80]
        ldp d8, d9, [x2, #88]
        ldp d10, d11, [x2, #104]
        ldp d12, d13, [x2, #120]
        ldp d14, d15, [x2, #136]
        ldr x2, [x2, #152]
        bl gort_switch_abi
        ldr x3, [sp, #160]
        stp x19, x20, [x3, #0]
        stp x21, x22, [x3, #16]
        stp x23, x24, [x3, #32]
        stp x25, x26, [x3, #48]
        stp x27, x28, [x3, #64]
        str x29, [x3, #80]
        stp d8, d9, [x3, #88]
        stp d10, d11, [x3, #104]
        stp d12, d13, [x3, #120]
        stp d14, d15, [x3, #136]
        str x0, [x3, #152]
        RESTORE_ALL_RET
        .size gort_test_abi, . - gort_test_abi

        TEST_FUNC gort_test_raw
        SAVE_ALL
        ldr x29, [x2, #80]
        ldr x2, [x2, #152]
        adr x3, 1f
        b gort_switch
1:      hint #38
        ldr x3, [sp, #160]
        str x29, [x3, #80]
        str x2, [x3, #152]
        RESTORE_ALL_RET
        .size gort_test_raw, . - gort_test_raw

        TEST_FUNC gort_test_hostile
        SAVE_ALL
        cmp x2, #2
        ldr x2, =0xdeadbeefcafef00d
        b.ne 2f
        .arch_extension sve
        .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
        mov z\n\().d, x2
        .endr
        .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
        pfalse p\n\().b
        .endr
2:      .irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
        dup v\n\().2d, x2
        .endr
        .irp n,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
        mov x\n, x2
        .endr
        adr x3, 1f
        b gort_switch
1:      hint #38
        RESTORE_ALL_RET
        .ltorg
        .size gort_test_hostile, . - gort_test_hostile
)");
#endif
