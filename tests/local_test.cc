// tests/local_test.cc - goroutine-local storage, and what a goroutine costs.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/local.h"

#include <regex>
#include <sstream>

#include "rt/time.h"
#include "tests/sched_test.h"

using namespace gort;
using namespace gort::sched_test;
using namespace std::chrono_literals;

namespace {

struct Counted {
    static inline std::atomic<int> live{0};
    int value = 0;
    std::string text;
    Counted() { ++live; }
    ~Counted() {
        yield();  // may block
        --live;
    }
};
goroutine_local<Counted> counted;
goroutine_local<int> number;

TEST_P(CC_14_each_goroutine_has_its_own_wherever_it_runs, 1, 2, 8) {
    with_procs(procs, [] {
        constexpr int kMany = 200;
        number.get() = -1;
        Join join;
        join.add(kMany);
        for (int i = 0; i < kMany; ++i)
            go([&join, i] {
                // nothing is inherited, nor left by who had the stack before
                CHECK(!number.find() && !counted.find());
                CHECK_EQ(*number, 0);
                *number = i;
                counted->value = i;
                counted->text = std::to_string(i);
                for (int k = 0; k < 20; ++k) {
                    yield();
                    CHECK_EQ(*number, i);
                    CHECK_EQ(counted->value, i);
                    CHECK(counted->text == std::to_string(i));
                }
                if (i % 3 == 0) {
                    join.done();
                    goexit();
                }
                join.done();
            });
        join.wait();
        CHECK_EQ(*number, -1);
        EVENTUALLY(Counted::live == 0);  // all have been destroyed, after goexit as well
    });
}

TEST(CC_14_a_destructor_may_use_others_and_make_new_ones) {
    static std::string log;
    struct Second {
        ~Second() { log += "second"; }
    };
    static goroutine_local<Second> second;
    struct First {
        ~First() {
            second.get();
            log += "first ";
        }
    };
    static goroutine_local<First> first;
    with_procs(1, [] {
        Join join;
        join.add();
        go([&] {
            first.get();
            join.done();
        });
        join.wait();
        EVENTUALLY(log == "first second");
    });
}

TEST(CC_14_what_its_destructor_throws_is_a_panic) {
    struct Throws {
        ~Throws() noexcept(false) { throw std::runtime_error("at the end"); }
    };
    const Died d = run_child([] {
        static goroutine_local<Throws> throws;
        with_procs(1, [] {
            go([] { throws.get(); });
            for (;;) yield();
        });
    });
    CHECK_DIED(
        d, d.exit_code() == 2 &&
               d.err.rfind("panic: at the end\n[exception std::runtime_error]\n\ngoroutine 2 [running]:\n",
                           0) == 0);
}

TEST(CC_14_on_a_foreign_thread_it_is_the_threads) {
    with_procs(1, [] {
        *number = 1;
        std::thread([] {
            CHECK(!number.find());
            *number = 2;
            counted->value = 3;
            CHECK_EQ(*number, 2);
        }).join();
        CHECK_EQ(Counted::live.load(), 0);
        CHECK_EQ(*number, 1);
    });
}

TEST(CC_14_what_main_leaves_behind_is_not_destroyed) {
    with_procs(1, [] {
        static Sema never;
        std::atomic<bool> made{false};
        go([&] {
            counted.get();
            made = true;
            never.acquire();
        });
        while (!made) yield();
    });
    CHECK_EQ(Counted::live.load(), 1);
    Counted::live = 0;
    with_procs(1, [] {  // and nobody finds it
        Join join;
        join.add(10);
        for (int i = 0; i < 10; ++i)
            go([&] {
                CHECK(!counted.find());
                join.done();
            });
        join.wait();
    });
}

// The default stack carries what programs do without a thought. (Overflow: RT_24.)
TEST(CC_24_the_default_stack_is_enough_for_libc_and_libstdcxx) {
    auto use = [](int i) {
        char text[100];
        std::snprintf(text, sizeof text, "%d %.17g %Lf %s", i, 1e308, 1.0L, "text");
        std::ostringstream out;
        out << i << 3.14 << text;
        CHECK(std::regex_search(out.str(), std::regex("([0-9]+\\.)+.*(te|xt)+$")));
    };
    with_procs(2, [&] {
        use(10);  // alone: std::ctype remembers what it has narrowed, and TSan sees that it takes no lock for it
        Join join;
        join.add(10);
        for (int i = 0; i < 10; ++i)
            go([&, i] {
                use(i);
                join.done();
            });
        join.wait();
    });
}

// One page of stack each, touched, and three cache lines; and far fewer mappings than goroutines: the first 1,152
// stacks, which may grow far, have two each.
TEST(CC_25_GR_07_a_parked_goroutine_costs_little_more_than_a_page) {
    if (test::slow() > 1) TEST_SKIP("with a tool it costs what that needs");
    with_procs(2, [] {
        constexpr long kMany = 100'000;
        auto resident = [] {
            const std::string s = test::read_file("/proc/self/statm");
            return std::strtol(s.c_str() + s.find(' '), nullptr, 10) * long(sysconf(_SC_PAGESIZE));
        };
        Sema gate;
        Join join;
        const long before = resident();
        join.add(kMany);
        for (long i = 0; i < kMany; ++i)
            go([&] {
                gate.acquire();
                join.done();
            });
        EVENTUALLY(gate.waiting() == kMany);
#if defined(GORT_DEBUG)
        constexpr long kMost =
            6000;  // unoptimized frames reach a second page in a quarter of the stacks' colours
#else
        constexpr long kMost = 5000;
#endif
        CHECK_LE((resident() - before) / kMany, kMost);
        CHECK_LE(test::count_mappings(), 3000);
        for (long i = 0; i < kMany; ++i) gate.release();
        join.wait();
    });
}

}  // namespace
