// tests/arch_test_bare.cc - every way into and out of the switchers in a program without libc.
// SPDX-License-Identifier: BSD-2-Clause
//
// qemu-user enforces BTI only where the whole program claims it, which one that is linked with a
// distribution's libc does not. So arch_matrix_test.sh links this one with nothing but the switchers. Exit
// status 0 is right.
#include "arch/arch.h"

using gort::arch::init_stack;
using gort::arch::switch_to;

namespace {

void* g_a;
void* g_b;
int g_calls;
alignas(16) char g_stack[2][16384];

[[noreturn]] void finish(int status) {
#if defined(__aarch64__)
    register long x0 asm("x0") = status;
    register long x8 asm("x8") = 94;  // exit_group
    asm volatile("svc #0" ::"r"(x0), "r"(x8) : "memory");
#else
    asm volatile("syscall" ::"a"(231), "D"(status) : "memory", "rcx", "r11");
#endif
    __builtin_unreachable();
}

// The second stack: in each line the form that suspends it, opposite to main's.
[[noreturn]] void other(void* arg, void* transfer) {
    if (arg != &g_calls || transfer != &g_a) finish(1);
    switch_to(&g_b, g_a, nullptr);
    switch_to(&g_b, g_a, nullptr);
    gort_switch_abi(&g_b, g_a, nullptr);
    gort_switch_abi(&g_b, g_a, nullptr);
    finish(2);
}

void call(void*) { g_calls++; }

[[gnu::noinline]] void run() {
    for (int i = 0; i < 2; i++) {
        g_b = init_stack(g_stack[0] + sizeof g_stack[0], other, &g_calls);
        gort_call_below(g_b, call, nullptr);
        if (i) switch_to(&g_a, g_b, &g_a);
        else gort_switch_abi(&g_a, g_b, &g_a);
        gort_switch_abi(&g_a, g_b, nullptr);
        gort_call_below(g_b, call, nullptr);
        switch_to(&g_a, g_b, nullptr);
        gort_switch_abi(&g_a, g_b, nullptr);
        gort_call_on_stack(g_stack[1] + sizeof g_stack[1], call, nullptr);
    }
    finish(g_calls == 6 ? 0 : 3);
}

}  // namespace

extern "C" [[noreturn]] void _start();
extern "C" void _start() {
    run();
    finish(4);
}
