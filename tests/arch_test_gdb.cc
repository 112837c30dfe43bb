// tests/arch_test_gdb.cc - what arch_gdb_test.sh steps through: two stacks and every kind of switch.
// SPDX-License-Identifier: BSD-2-Clause
//
// Frames, innermost last:   main a_outer a_inner          and          gort_entry b_entry b_outer b_inner
// and on x86-64 hold_abi or hold_raw below, which suspend themselves with known values in the registers that
// are kept: rbp base+0, rbx base+1, r12 base+2 and so on; base is 0xa00 on the first stack, 0xb00 on the
// second.
#include "arch/arch.h"

using gort::arch::switch_to;

#define KEEP_FRAME asm volatile("" ::: "memory")

void* g_a;
void* g_b;
volatile int g_left;
alignas(16) char g_stack[65536];

extern "C" {
void steps_begin();
void steps_end();
int a_inner(int x);
int a_outer(int x);
int b_inner(int x);
int b_outer(int x);
void b_entry(void* arg, void* transfer);
}

[[gnu::noinline]] void steps_begin() { KEEP_FRAME; }
[[gnu::noinline]] void steps_end() { KEEP_FRAME; }

#if defined(__x86_64__)
extern "C" void hold_abi(void** save, void* load, void* transfer, long base);
extern "C" void hold_raw(void** save, void* load, void* transfer, long base);
asm(R"(
        .text
        .macro KEEP reg
        pushq %\reg
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset \reg, 0
        .endm
        .macro GIVE_BACK reg
        popq %\reg
        .cfi_adjust_cfa_offset -8
        .cfi_restore \reg
        .endm
        .macro HOLD name
        .type \name, %function
\name:  .cfi_startproc
        endbr64
        .irp reg,rbp,rbx,r12,r13,r14,r15
        KEEP \reg
        .endr
        leaq 0(%rcx), %rbp
        leaq 1(%rcx), %rbx
        leaq 2(%rcx), %r12
        leaq 3(%rcx), %r13
        leaq 4(%rcx), %r14
        leaq 5(%rcx), %r15
        .endm
        .macro END_HOLD name
        .irp reg,r15,r14,r13,r12,rbx,rbp
        GIVE_BACK \reg
        .endr
        ret
        .cfi_endproc
        .size \name, . - \name
        .endm

        HOLD hold_abi
        call gort_switch_abi
        END_HOLD hold_abi

        HOLD hold_raw
        leaq 1f(%rip), %rcx
        jmp gort_switch
1:      endbr64
        END_HOLD hold_raw
)");
#else
static void hold_abi(void**, void*, void*, long) {}
static void hold_raw(void**, void*, void*, long) {}
#endif

// raw -> never run, raw <- raw, abi -> raw, raw <- abi, raw -> raw, abi <- raw, abi -> abi, abi <- abi
[[gnu::noinline]] int a_inner(int x) {
    steps_begin();
    switch_to(&g_a, g_b, nullptr);
    gort_switch_abi(&g_a, g_b, nullptr);
    switch_to(&g_a, g_b, nullptr);
    gort_switch_abi(&g_a, g_b, nullptr);
    hold_abi(&g_a, g_b, nullptr, 0xa00);
    hold_raw(&g_a, g_b, nullptr, 0xa00);
    steps_end();
    return x + g_left;
}
[[gnu::noinline]] int a_outer(int x) {
    int y = a_inner(x + 1);
    KEEP_FRAME;
    return y + x;
}

[[gnu::noinline]] int b_inner(int x) {
    switch_to(&g_b, g_a, nullptr);
    switch_to(&g_b, g_a, nullptr);
    gort_switch_abi(&g_b, g_a, nullptr);
    gort_switch_abi(&g_b, g_a, nullptr);
    hold_abi(&g_b, g_a, nullptr, 0xb00);
    hold_raw(&g_b, g_a, nullptr, 0xb00);
    return x + g_left;
}
[[gnu::noinline]] int b_outer(int x) {
    int y = b_inner(x + 1);
    KEEP_FRAME;
    return y + x;
}
[[gnu::noinline]] void b_entry(void*, void*) {
    g_left = b_outer(1);
    __builtin_trap();
}

int main() {
    g_b = gort::arch::init_stack(g_stack + sizeof g_stack, b_entry, nullptr);
    return a_outer(1) == 0;
}
