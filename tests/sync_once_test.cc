// tests/sync_once_test.cc - gort::once, once_func, once_value.
// SPDX-License-Identifier: BSD-2-Clause
//
// The ids (ON-…, MM-…, DL-…) are those of the list of Go's behaviours.
#include <memory>
#include <tuple>

#include "tests/sync_test.h"
#include "tests/watch.h"

using namespace gort;
using namespace gort::sync_test;

namespace {

[[maybe_unused]] constinit once global_once;
static_assert(!std::is_copy_constructible_v<once> && !std::is_move_constructible_v<once>);

// ON-01, ON-02, MM-11
TEST_P(ON_01_02_MM_11_one_of_many_runs_it_and_all_see_it, 1, 2, 8) {
    with_procs(procs, [] {
        for (int round = 0; round < 50; ++round) {
            once o;
            int plain = 0;
            wait_group wg;
            for (int i = 0; i < 10; ++i)
                wg.go([&] {
                    o.call([&] {
                        yield();
                        ++plain;
                    });
                    CHECK_EQ(plain, 1);
                });
            wg.wait();
            o.call([] { CHECK(false); });
            CHECK_EQ(plain, 1);
        }
    });
}

TEST_P(ON_01_foreign_threads, 1, 2) {
    with_procs(procs, [] {
        once o;
        int plain = 0;
        auto call = [&] {
            o.call([&] {
                yield();
                ++plain;
            });
            CHECK_EQ(plain, 1);
        };
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i) threads.emplace_back(call);
        call();
        blocking([&] {
            for (auto& t : threads) t.join();
        });
    });
}

TEST_P(ON_03_a_panic_is_the_only_run, 1, 2) {
    with_procs(procs, [] {
        once o;
        CHECK_EQ(panic_of([&] { o.call([] { panic("failed"); }); }), "failed");
        o.call([] { CHECK(false); });
        // Those who wait meanwhile return without an exception.
        once other;
        std::atomic<bool> in{false}, go_on{false};
        wait_group wg;
        wg.go([&] {
            CHECK_EQ(panic_of([&] {
                         other.call([&] {
                             in = true;
                             EVENTUALLY(go_on.load());
                             panic("late");
                         });
                     }),
                     "late");
        });
        EVENTUALLY(in.load());
        Watch second;
        wg.go([&] {
            second.me();
            other.call([] { CHECK(false); });
        });
        EVENTUALLY(second.waits());
        go_on = true;
        wg.wait();
    });
}

TEST_P(ON_04_goexit_is_the_only_run, 1, 2) {
    with_procs(procs, [] {
        once o;
        wait_group wg;
        wg.go([&] { o.call([] { goexit(); }); });
        wg.wait();
        o.call([] { CHECK(false); });
    });
}

TEST(ON_05_ON_07_DL_01_calling_it_from_within_is_a_deadlock) {
    Died d = run_dying(1, [] {
        once o;
        o.call([&] { o.call([] {}); });
    });
    CHECK_DIED(d, d.exit_code() == 2 && d.first_line() == kDeadlock);
    CHECK_DIED(d, d.matches("^goroutine 1 \\[sync\\.Mutex\\.Lock\\]:$"));
}

TEST_P(ON_08_once_func, 1, 2, 8) {
    with_procs(procs, [] {
        int calls = 0;
        auto f = once_func([&] { ++calls; });
        wait_group wg;
        for (int i = 0; i < 8; ++i) wg.go([f] { f(); });
        wg.wait();
        f();
        CHECK_EQ(calls, 1);
    });
}

TEST(ON_09_once_value) {
    with_procs(1, [] {
        int calls = 0;
        auto f = once_value([&] {
            ++calls;
            return std::make_unique<int>(7);  // kept, not copied
        });
        const int* first = f().get();
        CHECK_EQ(*first, 7);
        CHECK(f().get() == first);
        auto copy = f;
        CHECK(copy().get() == first);
        CHECK_EQ(calls, 1);
        auto values = once_value([] { return std::make_tuple(1, std::string("two")); });
        auto& [a, b] = values();
        CHECK_EQ(a, 1);
        CHECK_EQ(b, "two");
    });
}

TEST(ON_10_every_call_throws_the_same) {
    with_procs(1, [] {
        int calls = 0;
        auto f = once_func([&] {
            ++calls;
            panic("x");
        });
        CHECK_EQ(panic_of([&] { f(); }), "x");
        CHECK_EQ(panic_of([&] { f(); }), "x");
        auto v = once_value([&]() -> int {
            ++calls;
            throw 42;
        });
        for (int i = 0; i < 2; ++i) {
            int caught = 0;
            try {
                v();
            } catch (int n) {
                caught = n;
            }
            CHECK_EQ(caught, 42);
        }
        CHECK_EQ(calls, 2);
    });
}

TEST(ON_11_the_function_is_released) {
    with_procs(1, [] {
        auto held = std::make_shared<int>(1);
        auto f = once_func([held] { (void)*held; });
        CHECK_EQ(held.use_count(), 2);
        f();
        CHECK_EQ(held.use_count(), 1);
        auto g = once_func([held] { panic("x"); });
        CHECK_EQ(panic_of([&] { g(); }), "x");
        CHECK_EQ(held.use_count(), 1);
    });
}

TEST(ON_12_goexit_inside_is_not_tried_again) {
    with_procs(1, [] {
        int calls = 0;
        auto f = once_value([&]() -> int {
            ++calls;
            goexit();
        });
        wait_group wg;
        wg.go([&] { f(); });
        wg.wait();
        CHECK_EQ(panic_of([&] { f(); }), "sync: OnceValue: f ended by goexit and has no value");
        CHECK_EQ(calls, 1);
    });
}

}  // namespace
