// tests/arch_sanitize_test.cc - sanitizers see what users do wrong on a second stack, and no more.
// SPDX-License-Identifier: BSD-2-Clause
//
// That the other arch tests report nothing under any sanitizer is the larger half of the proof.
#include "tests/arch_test.h"

#include <sched.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <thread>

#include "tests/test.h"

using namespace arch_test;

#if GORT_ASAN
extern "C" int __asan_address_is_poisoned(void const volatile* addr);
extern "C" int __lsan_do_recoverable_leak_check();
#elif GORT_TSAN
extern "C" void* __tsan_get_current_fiber();
extern "C" const char* __tsan_default_options();
extern "C" const char* __tsan_default_options() { return "halt_on_error=1"; }
#endif

namespace {

#if GORT_ASAN || GORT_TSAN
void run_to_end(Fiber::Body body, Form form, void* arg = nullptr) {
    Context me;
    Fiber f(body, &me, form, arg);
    while (!f.done) swap(&me, &f.self, uint64_t{0}, form);
    context_destroy(&me);
}
#endif

#if GORT_ASAN
// Hides where a pointer came from, so that only the sanitizer can know that it is bad.
template <class T>
[[gnu::noinline]] T* launder(T* p) {
    asm volatile("" : "+r"(p)::"memory");
    return p;
}

// ---- what ASan must find ----

[[gnu::noinline]] int read_after_switch(Fiber* self, int i) {
    int a[8] = {};
    int* p = launder(a);
    self->to_back(0);  // the frame keeps its red zones while it is suspended
    return p[i];
}
TEST_DIES(asan_finds_an_overflow_on_a_second_stack, "stack-buffer-overflow") {
    run_to_end([](Fiber* self, void*) { std::printf("%d\n", read_after_switch(self, 8)); }, Form::kRaw);
}

TEST_DIES(asan_finds_use_after_scope_on_a_second_stack, "stack-use-after-scope") {
    run_to_end(
        [](Fiber* self, void*) {
            int* p;
            {
                int x = 1;
                p = launder(&x);
            }
            self->to_back(0);
            *p = 2;
        },
        Form::kAbi);
}

// ---- what it must not find: poison of frames that are gone ----

bool poisoned(const void* p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (__asan_address_is_poisoned(static_cast<const char*>(p) + i)) return true;
    return false;
}

// Frames with red zones, that `leaf` may leave by a switch or a throw.
[[gnu::noinline]] void red_zones(int depth, void (*leaf)(void*), void* arg) {
    char local[100];
    std::memset(launder(local), depth, sizeof local);
    if (depth == 0) leaf(arg);
    else red_zones(depth - 1, leaf, arg);
    std::memset(launder(local), depth, sizeof local);
}
void throw_it(void*) { throw std::runtime_error("out of ten frames"); }

TEST(a_stack_that_died_in_the_middle_leaves_no_poison_behind) {
    Context me;
    Fiber f([](Fiber*, void*) {}, &me);
    auto die = [](void* arg) {
        auto* self = static_cast<Fiber*>(arg);
        CHECK(poisoned(self->memory, Fiber::kSize));
        switch_final(&self->self, self->back, nullptr);
    };
    static void (*leaf)(void*);
    leaf = die;
    auto body = [](void* arg, void*) {
        context_started(&static_cast<Fiber*>(arg)->self);
        red_zones(10, leaf, arg);
    };
    for (int i = 0; i < 10; i++) {  // set up again with and without a destroy in between
        context_init(&f.self, f.memory, Fiber::kSize, body, &f);
        CHECK(!poisoned(f.memory, Fiber::kSize));
        swap(&me, &f.self, uint64_t{0}, Form::kRaw);
        if (i % 2) context_destroy(&f.self);
    }
    CHECK(!poisoned(f.memory, Fiber::kSize));
}

// Throws below the caller's frame and looks at what is left there.
[[gnu::noinline]] bool throw_leaves_poison() {
    char* here = static_cast<char*>(__builtin_frame_address(0));
    try {
        red_zones(10, throw_it, nullptr);
    } catch (const std::runtime_error&) {
    }
    return poisoned(here - 8192, 7168);
}

TEST(a_throw_on_a_second_stack_unpoisons_that_stack) {
    for (Form form : kForms) {
        bool bad = false;
        run_to_end(
            [](Fiber* self, void*) {
                for (int i = 0; i < 3; i++) {
                    *static_cast<bool*>(self->arg) |= throw_leaves_poison();
                    self->to_back(0);
                }
            },
            form, &bad);
        CHECK(!bad);
    }
}

// A thread whose first switch goes to a stack that another thread started has to learn its own bounds all the
// same.
TEST(a_throw_after_coming_back_unpoisons_the_thread_s_own_stack) {
    for (Form form : kForms) {
        Fiber f(
            [](Fiber* self, void*) {
                for (;;) self->to_back(0);
            },
            nullptr, form);
        bool bad = false;
        for (int i = 0; i < 3; i++)
            std::thread([&] {
                Context mine;
                f.back = &mine;
                for (int n = 0; n < 2; n++) {
                    swap(&mine, &f.self, uint64_t{0}, form);
                    bad |= throw_leaves_poison();
                }
            }).join();
        CHECK(!bad);
    }
}

TEST(a_throw_through_call_on_stack_leaves_both_stacks_clean) {
    Fiber f([](Fiber*, void*) {}, nullptr);
    for (int i = 0; i < 3; i++) {
        bool caught = false;
        try {
            gort::arch::call_on_stack(
                f.memory, Fiber::kSize, [](void*) { red_zones(10, throw_it, nullptr); }, nullptr);
        } catch (const std::runtime_error&) {
            caught = true;
        }
        CHECK(caught);
        CHECK(!throw_leaves_poison());
    }
}

// A goroutine may call exit; what the thread's own stack still holds is then no leak.
TEST(lsan_looks_into_the_thread_s_own_stack) {
    const char* options = std::getenv("ASAN_OPTIONS");
    if (options && std::strstr(options, "detect_leaks=0")) TEST_SKIP("no leak detection");
    int* mine = launder(new int(7));
    for (Form form : kForms)
        run_to_end([](Fiber*, void*) { CHECK_EQ(__lsan_do_recoverable_leak_check(), 0); }, form);
    delete launder(mine);
}

#elif GORT_TSAN
// ---- what TSan must find ----

int g_racy;
std::atomic<int> g_arrived;
void racy_add(Fiber* self, void*) {
    // Both have to be there: TSan gives the number of a stack that is gone to the next one. Relaxed, so this
    // orders nothing.
    g_arrived.fetch_add(1, std::memory_order_relaxed);
    while (g_arrived.load(std::memory_order_relaxed) < 2) sched_yield();
    for (int i = 0; i < 1000; i++) {
        g_racy++;
        self->to_back(0);
    }
}
TEST_DIES(tsan_finds_a_race_of_two_stacks_on_two_threads, "data race") {
    std::thread a([] { run_to_end(racy_add, Form::kRaw); }), b([] { run_to_end(racy_add, Form::kAbi); });
    a.join();
    b.join();
}

// What one stack of a thread wrote before a switch, the next one may read: no report.
TEST(tsan_takes_a_switch_for_an_order) {
    for (Form form : kForms) {
        long plain = 0;
        run_to_end(
            [](Fiber* self, void*) {
                for (int i = 0; i < 1000; i++) {
                    ++*static_cast<long*>(self->arg);
                    self->to_back(0);
                }
            },
            form, &plain);
        CHECK_EQ(plain, 1000);
    }
}

// Each stack is a fiber of its own, and is the same one every time that it runs. Of a switch that TSan was not told it
// would report nothing: it would take all stacks of a thread for one.
TEST(tsan_knows_which_stack_runs) {
    for (Form form : kForms) {
        void* const own = __tsan_get_current_fiber();
        void* seen[4] = {};
        run_to_end(
            [](Fiber* self, void*) {
                for (int i = 0; i < 3; i++) {
                    static_cast<void**>(self->arg)[i] = __tsan_get_current_fiber();
                    self->to_back(0);
                }
            },
            form, seen);
        run_to_end([](Fiber* self, void*) { *static_cast<void**>(self->arg) = __tsan_get_current_fiber(); },
                   form, &seen[3]);
        CHECK(seen[0] != own && seen[0] != nullptr);
        CHECK(seen[1] == seen[0] && seen[2] == seen[0]);
        CHECK(seen[3] != own && seen[3] != nullptr);
        CHECK(__tsan_get_current_fiber() == own);
    }
}

#else
TEST(sanitizers_on_second_stacks) { TEST_SKIP("needs BUILD=asan or BUILD=tsan"); }
#endif

}  // namespace
