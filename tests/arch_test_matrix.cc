// tests/arch_test_matrix.cc - the arch tests that depend on flags, without the test framework.
// SPDX-License-Identifier: BSD-2-Clause
//
// Compiled many times over by arch_matrix_test.sh. With GORT_MATRIX_DSO it is a shared object whose one
// function the second form, GORT_MATRIX_HOST, calls.
#include <cstdio>

extern "C" [[gnu::visibility("default")]] int gort_test_matrix();

#ifndef GORT_MATRIX_HOST
#include "tests/arch_test_live.h"

using namespace arch_test;
using arch_live::opaque;

namespace {

// Every callee-saved register over a plain-ABI switch and back, on two stacks.
int abi_registers() {
    static Context me;
    static int wrong;
    Fiber f(
        [](Fiber* self, void*) {
            uint64_t in[kRegs], out[kRegs];
            for (uint64_t n = 1;; n++) {
                for (uint64_t i = 0; i < kRegs; i++) in[i] = ~(n * 1000 + i);
                san_switch_begin(&self->self.san, &self->back->san, false);
                gort_test_abi(&self->self.sp, self->back->sp, in, out);
                san_switch_end(&self->self.san);
                if (std::memcmp(in, out, kTransfer * 8)) wrong++;
            }
        },
        &me);
    uint64_t in[kRegs], out[kRegs];
    for (uint64_t n = 1; n < 100; n++) {
        for (uint64_t i = 0; i < kRegs; i++) in[i] = n * 1000 + i;
        san_switch_begin(&me.san, &f.self.san, false);
        gort_test_abi(&me.sp, f.self.sp, in, out);
        san_switch_end(&me.san);
        if (std::memcmp(in, out, kTransfer * 8) || out[kTransfer] != ~(n * 1000 + kTransfer)) wrong++;
    }
    return wrong;
}

// Both forms in turn, with a throw on each stack between the switches.
int mixed_forms() {
    Context me;
    Fiber f(
        [](Fiber* self, void* x) {
            for (uint64_t n = 0;; n++) {
                uint64_t y = 0;
                try {
                    if (opaque(n) % 2) throw n;
                } catch (uint64_t) {
                    y = 1;
                }
                x = swap(&self->self, self->back, u64(x) + y - n % 2 + 1, n % 3 ? Form::kAbi : Form::kRaw);
            }
        },
        &me);
    int wrong = 0;
    for (uint64_t n = 0; n < 100; n++) {
        try {
            uint64_t got = u64(swap(&me, &f.self, n, n % 2 ? Form::kAbi : Form::kRaw));
            if (got != n + 1) wrong++;
            if (opaque(n) % 5 == 0) throw got;
        } catch (uint64_t got) {
            if (got != n + 1) wrong++;
        }
    }
    return wrong;
}

}  // namespace

int gort_test_matrix() {
    int wrong = abi_registers() + mixed_forms();
    if (wrong) std::printf("registers or transfers: %d wrong\n", wrong);
    for (const arch_live::Case& c : arch_live::kCases) wrong += arch_live::run_case(c);
    return wrong;
}
#endif

#ifndef GORT_MATRIX_DSO
int main() {
    int wrong = gort_test_matrix();
    std::puts(wrong ? "wrong" : "ok");
    return wrong != 0;
}
#endif
