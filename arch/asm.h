// arch/asm.h - function begin/end, landing pads and ELF notes for every .S file, on both architectures.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#ifndef __ASSEMBLER__
#error "arch/asm.h is for .S files"
#endif

// FUNC/END set type, size, alignment and visibility and open and close the CFI of one function. Symbols are
// hidden: nothing here is part of the public interface, and no call goes through a PLT. A function that may
// be called through a pointer begins with LANDING_PAD; one that is only jumped to directly does not need it.
#define FUNC(name)                 \
        .text;                     \
        .p2align 5;                \
        .globl name;               \
        .hidden name;              \
        .type name, %function;     \
name:   .cfi_startproc

#define END(name)                  \
        .cfi_endproc;              \
        .size name, . - name

// LANDING_PAD marks the target of an indirect call or jump: IBT faults on x86-64 and BTI on ARM64 without it.
// Both are no-ops on a CPU, or in a program, that does not enforce them.
#if defined(__x86_64__)
#define LANDING_PAD endbr64
#elif defined(__aarch64__)
#define LANDING_PAD hint #38            // bti jc
#else
#error "gort supports x86-64 and ARM64"
#endif

// The property note tells the linker that every indirect target in this file has a landing pad. We never
// claim SHSTK
// (x86 shadow stacks): a stack switch that jumps instead of returning leaves the shadow stack behind.
// .note.GNU-stack keeps the program's stacks from being executable.
#if defined(__x86_64__) && defined(__CET__) && (__CET__ & 1)
#define PROPERTY_NOTE                                                                                        \
        .pushsection .note.gnu.property, "a", %note; .p2align 3;                                             \
        .long 4, 16, 5; .asciz "GNU"; .long 0xc0000002, 4, 1, 0; .popsection
#elif defined(__aarch64__) && defined(__ARM_FEATURE_BTI_DEFAULT)
#define PROPERTY_NOTE                                                                                        \
        .pushsection .note.gnu.property, "a", %note; .p2align 3;                                             \
        .long 4, 16, 5; .asciz "GNU"; .long 0xc0000000, 4, 1, 0; .popsection
#else
#define PROPERTY_NOTE
#endif
#define END_OF_FILE                                   \
        PROPERTY_NOTE;                                \
        .section .note.GNU-stack, "", %progbits
