// tests/arch_test_gdb.cc - the program that arch_gdb_test.sh steps through: two stacks and every kind of switch.
// SPDX-License-Identifier: BSD-2-Clause
//
// Frames, innermost last:   main a_outer a_inner          and          gort_entry b_entry b_outer b_inner
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

// raw -> never run, raw <- raw, abi -> raw, raw <- abi, raw -> raw, abi <- raw, abi -> abi, abi <- abi
[[gnu::noinline]] int a_inner(int x) {
    steps_begin();
    switch_to(&g_a, g_b, nullptr);
    gort_switch_abi(&g_a, g_b, nullptr);
    switch_to(&g_a, g_b, nullptr);
    gort_switch_abi(&g_a, g_b, nullptr);
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
