// tests/arch_unwind_test.cc - exceptions and backtraces on second stacks: each ends at gort_entry.
// SPDX-License-Identifier: BSD-2-Clause
#include "tests/arch_test.h"

#include <unwind.h>

#include <cstring>
#include <deque>
#include <exception>
#include <stdexcept>
#include <string>
#include <thread>

#include "tests/test.h"

using namespace arch_test;

namespace {

// ---- what a walk found ----

// The functions of a stack, innermost first, each by the first address that its unwind table covers.
struct Walk {
    static constexpr int kMax = 64;
    uintptr_t fn[kMax];
    int n = 0;
    bool clean = false;

    [[gnu::noinline]] void take() {
        n = 0;
        clean = _Unwind_Backtrace(&Walk::frame, this) == _URC_END_OF_STACK && n < kMax;
    }
    static _Unwind_Reason_Code frame(_Unwind_Context* ctx, void* arg) {
        auto* w = static_cast<Walk*>(arg);
        if (w->n == kMax) return _URC_NORMAL_STOP;
        // At a frame of which nothing is known libgcc calls us with a pc of 0 first; that is still the end.
        if (_Unwind_GetIP(ctx)) w->fn[w->n++] = _Unwind_GetRegionStart(ctx);
        return _URC_NO_REASON;
    }
};

template <class Fn>
uintptr_t at(Fn* fn) {
    return reinterpret_cast<uintptr_t>(fn);
}
// `want` are the innermost functions, without the walker itself, and gort_entry is the last one.
void check_walk(const Walk& w, std::initializer_list<uintptr_t> want, int skip) {
    CHECK(w.clean);
    CHECK_EQ(w.n, skip + int(want.size()));
    int i = skip;
    for (uintptr_t fn : want) CHECK_EQ(w.fn[i++], fn);
}

// ---- three frames with a known order ----

struct Job {
    Fiber* f;
    Walk walk;
    void (*leaf)(Job*);
    int state = 0;
};

// A call that is neither inlined nor a tail call, so that each of the three has a frame of its own.
#define KEEP_FRAME asm volatile("" ::: "memory")
[[gnu::noinline]] void inner(Job* j) {
    j->leaf(j);
    KEEP_FRAME;
}
[[gnu::noinline]] void middle(Job* j) {
    char big[1000];
    asm volatile("" ::"r"(big) : "memory");
    inner(j);
    KEEP_FRAME;
}
[[gnu::noinline]] void outer(Job* j) {
    middle(j);
    KEEP_FRAME;
}
void entry(void* arg, void*) {
    auto* j = static_cast<Job*>(arg);
    context_started(&j->f->self);
    outer(j);
    switch_final(&j->f->self, j->f->back, nullptr);
}
void start(Job* j, Fiber* f, void (*leaf)(Job*)) {
    j->f = f;
    j->leaf = leaf;
    f->self.sp = gort::arch::init_stack(f->top(), entry, j);
}
void no_body(Fiber*, void*) {}

[[gnu::noinline]] void walk_leaf(Job* j) {
    j->walk.take();
    KEEP_FRAME;
}
[[gnu::noinline]] void park_raw(Job* j) {
    swap(&j->f->self, j->f->back, uint64_t{0}, Form::kRaw);
    KEEP_FRAME;
}
[[gnu::noinline]] void park_abi(Job* j) {
    swap(&j->f->self, j->f->back, uint64_t{0}, Form::kAbi);
    KEEP_FRAME;
}

TEST(backtrace_of_a_running_stack_ends_at_its_entry) {
    Context me;
    Fiber f(no_body, &me);
    Job j{};
    start(&j, &f, walk_leaf);
    swap(&me, &f.self, uint64_t{0}, Form::kRaw);
    check_walk(j.walk, {at(walk_leaf), at(inner), at(middle), at(outer), at(entry), at(&gort_entry)}, 1);
}

// ---- parked stacks, through gort_call_below ----

void take_walk(void* arg) {
    static_cast<Walk*>(arg)->take();
    KEEP_FRAME;
}

// The walk of a parked stack from below: the walker, take_walk and gort_call_below, and then the parked
// frames.
constexpr int kBelow = 3;
void walk_parked(Job* j, Fiber* f, Context* me, void (*leaf)(Job*)) {
    start(j, f, leaf);
    swap(me, &f->self, uint64_t{0}, Form::kRaw);
    gort_call_below(f->self.sp, take_walk, &j->walk);
    CHECK_EQ(j->walk.fn[kBelow - 2], at(take_walk));
    CHECK_EQ(j->walk.fn[kBelow - 1], at(&gort_call_below));
}

TEST(backtrace_of_a_stack_parked_by_the_raw_form) {
    Context me;
    Fiber f(no_body, &me);
    Job j{};
    walk_parked(&j, &f, &me, park_raw);
    check_walk(j.walk, {at(park_raw), at(inner), at(middle), at(outer), at(entry), at(&gort_entry)}, kBelow);
    swap(&me, &f.self, uint64_t{0}, Form::kRaw);
}

TEST(backtrace_of_a_stack_parked_by_the_abi_form) {
    Context me;
    Fiber f(no_body, &me);
    Job j{};
    walk_parked(&j, &f, &me, park_abi);
    check_walk(
        j.walk,
        {at(&gort_switch_abi), at(park_abi), at(inner), at(middle), at(outer), at(entry), at(&gort_entry)},
        kBelow);
    swap(&me, &f.self, uint64_t{0}, Form::kRaw);
}

TEST(backtrace_of_a_stack_that_never_ran) {
    Context me;
    Fiber f(no_body, &me);
    Job j{};
    start(&j, &f, park_raw);
    gort_call_below(f.self.sp, take_walk, &j.walk);
    check_walk(j.walk, {at(&gort_entry)}, kBelow);
}

// A walk from below of a stack that another thread parked.
TEST(backtrace_of_a_stack_parked_by_another_thread) {
    Context me;
    Fiber f(no_body, &me);
    Job j{};
    std::thread([&] {
        Context mine;
        f.back = &mine;
        start(&j, &f, park_abi);
        swap(&mine, &f.self, uint64_t{0}, Form::kAbi);
    }).join();
    gort_call_below(f.self.sp, take_walk, &j.walk);
    check_walk(
        j.walk,
        {at(&gort_switch_abi), at(park_abi), at(inner), at(middle), at(outer), at(entry), at(&gort_entry)},
        kBelow);
}

// ---- through gort_call_on_stack the walk goes on in the caller ----

struct OnStack {
    Job* j;
    Fiber* f;
};
[[gnu::noinline]] void call_outer(void* arg) {
    outer(static_cast<Job*>(arg));
    KEEP_FRAME;
}
[[gnu::noinline]] void caller_of_call_on_stack(OnStack* o) {
    gort_call_on_stack(o->f->top(), call_outer, o->j);
    KEEP_FRAME;
}
TEST(backtrace_through_call_on_stack_goes_on_in_the_caller) {
    Fiber f(no_body, nullptr);
    Job j{};
    j.leaf = walk_leaf;
    OnStack o{&j, &f};
    caller_of_call_on_stack(&o);
    const uintptr_t want[] = {at(walk_leaf),
                              at(inner),
                              at(middle),
                              at(outer),
                              at(call_outer),
                              at(&gort_call_on_stack),
                              at(caller_of_call_on_stack)};
    CHECK(j.walk.clean);
    CHECK_LT(8, j.walk.n);  // there is more below: this test, the framework, main
    for (int i = 0; i < 7; i++) CHECK_EQ(j.walk.fn[1 + i], want[i]);
}

TEST(backtrace_through_call_on_stack_on_a_second_stack_ends_at_its_entry) {
    Context me;
    Fiber f(no_body, &me), g(no_body, nullptr);
    Job j{};
    static OnStack o;
    static Job nested;
    nested.leaf = walk_leaf;
    o = {&nested, &g};
    start(&j, &f, [](Job*) { caller_of_call_on_stack(&o); });
    swap(&me, &f.self, uint64_t{0}, Form::kRaw);
    CHECK(nested.walk.clean);
    CHECK_EQ(nested.walk.fn[nested.walk.n - 1], at(&gort_entry));
    CHECK_EQ(nested.walk.fn[nested.walk.n - 2], at(entry));
    CHECK_EQ(nested.walk.fn[6], at(&gort_call_on_stack));
}

// ---- exceptions ----

struct Cleanup {
    int* counter;
    ~Cleanup() { ++*counter; }
};
[[gnu::noinline]] void throw_deep(int depth, int* cleanups) {
    Cleanup c{cleanups};
    if (depth == 0) throw std::runtime_error("deep");
    throw_deep(depth - 1, cleanups);
    KEEP_FRAME;
}

TEST(exceptions_are_thrown_and_caught_on_each_stack_in_turn) {
    for (Form form : kForms) {
        Context me;
        std::deque<Fiber> fibers;
        for (int i = 0; i < 4; i++)
            fibers.emplace_back(
                [](Fiber* self, void*) {
                    for (int n = 0;; n++) {
                        int cleanups = 0;
                        bool caught = false;
                        try {
                            self->to_back(0);  // others throw and catch while we are inside this try block
                            throw_deep(n % 20, &cleanups);
                        } catch (const std::runtime_error& e) {
                            caught = std::strcmp(e.what(), "deep") == 0;
                        }
                        CHECK(caught);
                        CHECK_EQ(cleanups, n % 20 + 1);
                    }
                },
                &me, form);
        for (int n = 0; n < 400; n++) {
            int cleanups = 0;
            bool caught = false;
            try {
                swap(&me, &fibers[size_t(n % 4)].self, uint64_t{0}, form);
                throw_deep(n % 7, &cleanups);
            } catch (const std::runtime_error&) {
                caught = true;
            }
            CHECK(caught);
            CHECK_EQ(cleanups, n % 7 + 1);
        }
    }
}

// The landing pad finds the locals of a frame that was switched out and resumed between its call and the
// throw.
TEST(locals_are_right_in_a_handler_after_a_switch) {
    for (Form form : kForms) {
        Context me;
        Fiber f(
            [](Fiber* self, void* x) {
                uint64_t a = u64(x), b = a * 3, c = a * 5, d = a * 7;
                int cleanups = 0;
                try {
                    a += u64(self->to_back(a));
                    throw_deep(3, &cleanups);
                } catch (const std::runtime_error&) {
                    self->to_back(a + b + c + d);
                }
            },
            &me, form);
        swap(&me, &f.self, uint64_t{11}, form);
        CHECK_EQ(u64(swap(&me, &f.self, uint64_t{1000}, form)), 11u * 16 + 1000);
        swap(&me, &f.self, uint64_t{0},
             form);  // leave the handler before another stack throws on this thread
        CHECK(f.done);
    }
}

TEST(an_exception_passes_through_call_on_stack) {
    Fiber f(no_body, nullptr);
    int cleanups = 0;
    for (int i = 0; i < 100; i++) {
        bool caught = false;
        try {
            gort::arch::call_on_stack(
                f.memory, Fiber::kSize, [](void* c) { throw_deep(5, static_cast<int*>(c)); }, &cleanups);
        } catch (const std::runtime_error& e) {
            caught = std::strcmp(e.what(), "deep") == 0;
        }
        CHECK(caught);
    }
    CHECK_EQ(cleanups, 600);
}

// The search for a handler meets gort_entry, ends there, and so the exception is uncaught: std::terminate
// runs with the throwing frames still in place.
void say_where() {
    Walk w;
    w.take();
    if (!w.clean || w.fn[w.n - 1] != at(&gort_entry) || w.fn[w.n - 2] != at(entry)) std::_Exit(9);
    try {
        throw;
    } catch (const std::runtime_error& e) {
        std::fprintf(stderr, "terminate above gort_entry: %s\n", e.what());
    }
    std::abort();
}
void throw_out_of_entry(Form form) {
    std::set_terminate(say_where);
    static Context me;
    static Fiber f(no_body, &me);
    Job j{};
    static int cleanups;
    start(&j, &f, [](Job*) { throw_deep(3, &cleanups); });
    swap(&me, &f.self, uint64_t{0}, form);
}
TEST_DIES(an_exception_that_leaves_the_entry_function_terminates, "terminate above gort_entry: deep",
          -SIGABRT) {
    throw_out_of_entry(Form::kRaw);
}
TEST_DIES(the_same_on_a_stack_entered_by_the_abi_form, "terminate above gort_entry: deep", -SIGABRT) {
    throw_out_of_entry(Form::kAbi);
}

// A forced unwind (pthread_exit, pthread_cancel, goexit built on it) stops there too.
TEST(a_forced_unwind_runs_the_cleanups_and_stops_at_the_entry) {
    static int cleanups, end_of_stack;
    static Context me;
    static Fiber f(no_body, &me);
    static _Unwind_Exception exc;
    Job j{};
    cleanups = end_of_stack = 0;
    start(&j, &f, [](Job*) {
        Cleanup c{&cleanups};
        std::memset(&exc, 0, sizeof exc);
        _Unwind_ForcedUnwind(
            &exc,
            [](int, _Unwind_Action actions, _Unwind_Exception_Class, _Unwind_Exception*, _Unwind_Context*,
               void*) {
                if (!(actions & _UA_END_OF_STACK)) return _URC_NO_REASON;
                end_of_stack++;
                switch_final(&f.self, &me, nullptr);
            },
            nullptr);
        KEEP_FRAME;
    });
    swap(&me, &f.self, uint64_t{0}, Form::kRaw);
    CHECK_EQ(cleanups, 1);
    CHECK_EQ(end_of_stack, 1);
}

}  // namespace
