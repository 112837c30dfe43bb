// tests/arch_fakestack_test.cc - the unwinding tests once more with ASan's fake stacks.
// SPDX-License-Identifier: BSD-2-Clause
//
// With detect_stack_use_after_return a function's locals live in a heap that belongs to the stack that runs,
// so that heap has to follow every switch, or frames are freed under the code that uses them.
#include "arch/sanitize.h"

#if GORT_ASAN
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() { return "detect_stack_use_after_return=1"; }
#include "tests/arch_unwind_test.cc"

namespace {

[[gnu::noinline]] int* launder(int* p) {
    asm volatile("" : "+r"(p)::"memory");
    return p;
}
[[gnu::noinline]] int* address_of_local() {  // no assembly in here: clang gives such a function no fake stack
    int x[4] = {1, 2, 3, 4};
    return launder(x);
}
TEST_DIES(asan_finds_use_after_return_on_a_second_stack, "stack-use-after-return") {
    Context me;
    Fiber f(
        [](Fiber* self, void*) {
            int* p = address_of_local();
            self->to_back(0);
            std::printf("%d\n", *p);
        },
        &me);
    for (int i = 0; i < 2; i++) swap(&me, &f.self, uint64_t{0}, Form::kRaw);
}

// Stacks come and go on threads that come and go; each leaves its fake stack with whoever ends it.
TEST(fake_stacks_follow_stacks_over_threads) {
    std::deque<Fiber> fibers;
    for (int i = 0; i < 20; i++)
        fibers.emplace_back(
            [](Fiber* self, void*) {
                for (int n = 0; n < 20; n++) {
                    int cleanups = 0;
                    try {
                        throw_deep(n, &cleanups);
                    } catch (const std::runtime_error&) {
                        cleanups += 100;
                    }
                    self->to_back(0);
                    CHECK_EQ(cleanups, n + 101);
                }
            },
            nullptr, i % 2 ? Form::kAbi : Form::kRaw);
    for (int n = 0; n < 21; n++)
        std::thread([&] {
            Context mine;
            for (Fiber& f : fibers) {
                f.back = &mine;
                swap(&mine, &f.self, uint64_t{0}, n % 2 ? Form::kAbi : Form::kRaw);
            }
        }).join();
    for (Fiber& f : fibers) CHECK(f.done);
}

}  // namespace
#else
#include "tests/test.h"
TEST(fake_stacks) { TEST_SKIP("needs BUILD=asan"); }
#endif
