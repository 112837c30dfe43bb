// tests/sleep_test.cc - gort::sleep: TM-01 to TM-03, TM-29, TM-39, which clock it is (TM-37), and that waiting costs
// nothing (TM-35).
// SPDX-License-Identifier: BSD-2-Clause
//
// A sleep may end late by any amount, on a busy machine; so tests ask only that it does not end early, and that orders
// hold that do not depend on speed.
#include "rt/time.h"

#include "chan/time.h"
#include "tests/sched_test.h"

using namespace gort;
using namespace gort::sched_test;
using namespace std::chrono_literals;

namespace {

int64_t since(int64_t start) { return rt::now() - start; }
constexpr int64_t kMs = 1000000;

}  // namespace

TEST_P(tm01_sleeps_at_least_so_long, 1, 2, 8) {
    with_procs(procs, [] {
        for (int i = 0; i < 5; ++i) {
            const int64_t start = rt::now();
            gort::sleep(20ms);
            CHECK_LE(20 * kMs, since(start));
        }
    });
}

// Others run meanwhile, and the sleeper gets its P back from them.
TEST_P(tm01_others_run_meanwhile, 1, 2) {
    with_procs(procs, [] {
        std::atomic<bool> stop{false};
        std::atomic<long> turns{0};
        Join join;
        join.add(1);
        go([&] {
            while (!stop.load()) {
                ++turns;
                gort::yield();
            }
            join.done();
        });
        const int64_t start = rt::now();
        gort::sleep(50ms);
        CHECK_LE(50 * kMs, since(start));
        CHECK_LE(1, turns.load());
        stop = true;
        join.wait();
    });
}

TEST_P(tm02_nothing_to_sleep, 1, 2) {
    with_procs(procs, [] {
        // Without yielding: nobody else runs in between.
        bool other = false;
        Join join;
        join.add(1);
        go([&] {
            other = true;
            join.done();
        });
        if (gort::gomaxprocs(0) == 1) {
            for (auto d : {duration{0}, duration{-1}, duration::min()}) gort::sleep(d);
            gort::sleep(-1.5s);
            gort::sleep(std::chrono::hours::min());
            CHECK(!other);
        }
        join.wait();
        CHECK(other);
    });
}

TEST(tm03_durations_are_clamped) {
    using detail::to_ns;
    CHECK_EQ(to_ns(duration::max()), INT64_MAX);
    CHECK_EQ(to_ns(std::chrono::hours::max()), INT64_MAX);
    CHECK_EQ(to_ns(std::chrono::seconds(9223372037)), INT64_MAX);
    CHECK_EQ(to_ns(std::chrono::seconds(9223372036)), 9223372036000000000);
    CHECK_EQ(to_ns(duration::max() - 1ns), INT64_MAX - 1);
    CHECK_EQ(to_ns(std::chrono::duration<double>(1e300)), INT64_MAX);
    CHECK_EQ(to_ns(std::chrono::duration<double>(1e-10)), 1);  // rounded up
    CHECK_EQ(to_ns(std::chrono::duration<double>(-1e300)), 0);
    CHECK_EQ(to_ns(std::chrono::duration<double>(__builtin_nan(""))), 0);
    CHECK_EQ(to_ns(std::chrono::duration<int64_t, std::pico>(1)), 1);
    CHECK_EQ(to_ns(std::chrono::duration<int64_t, std::pico>(1000)), 1);
    CHECK_EQ(to_ns(std::chrono::duration<int64_t, std::ratio<1, 3>>(1)), 333333334);
    CHECK_EQ(to_ns(15ms), 15 * kMs);
    CHECK_EQ(to_ns(2h), 7200000 * kMs);
}

TEST_P(tm03_for_ever_does_not_disturb, 1, 2) {
    with_procs(procs, [] {
        std::atomic<int> woken{0};
        for (auto d : {duration::max(), duration::max() - 1ns})
            go([&woken, d] {
                gort::sleep(d);
                ++woken;
            });
        go([&woken] {
            gort::sleep(std::chrono::hours::max());
            ++woken;
        });
        const int64_t start = rt::now();
        gort::sleep(25ms);
        CHECK_LE(25 * kMs, since(start));
        CHECK_EQ(woken, 0);
    });  // they are abandoned with the run
}

// The P that a sleeper slept on is taken by somebody who never calls in.
TEST_P(tm29_sleepers_of_a_busy_p_are_served, 2) {
    with_procs(procs, [] {
        std::atomic<bool> stop{false};
        Join join;
        join.add(2);
        go([&] {
            while (!stop.load(std::memory_order_relaxed)) {
            }
            join.done();
        });
        go([&] {
            for (int i = 0; i < 20; ++i) gort::sleep(1ms);
            stop = true;
            join.done();
        });
        join.wait();
    });
}

// The last goroutine sleeps: no deadlock while something will happen.
TEST_P(tm39_a_sleeper_is_no_deadlock, 1, 2) {
    with_procs(procs, [] {
        Sema sema;
        go([&] {
            gort::sleep(20ms);
            sema.release();
        });
        sema.acquire();
    });
}

TEST_P(many_sleepers, 1, 2, 8) {
    TEST_TIMEOUT(60);
    const int n = gort::test::slow() > 1 ? 2000 : 50000;
    with_procs(procs, [n] {
        std::atomic<int> early{0};
        Join join;
        join.add(n);
        for (int i = 0; i < n; ++i)
            go([&, i] {
                const int64_t d = (1 + i % 100) * kMs, start = rt::now();
                gort::sleep(duration(d));
                if (since(start) < d) ++early;
                join.done();
            });
        join.wait();
        CHECK_EQ(early, 0);
    });
}

// Sleep again and again while the number of Ps changes: timers move with them and none is lost.
TEST_P(tm38_while_procs_change, 1, 4) {
    with_procs(procs, [] {
        std::atomic<int> left{16};
        for (int i = 0; i < 16; ++i)
            go([&left] {
                for (int k = 0; k < 30; ++k) gort::sleep(1ms);
                --left;
            });
        for (int n = 1; left.load() > 0; n = n % 4 + 1) {
            gort::gomaxprocs(n);
            gort::sleep(500us);
        }
    });
}

// Threads that are not gort's sleep with or without a runtime.
TEST(foreign_threads_sleep) {
    const auto nap = [] {
        const int64_t start = rt::now();
        gort::sleep(10ms);
        CHECK_LE(10 * kMs, since(start));
        gort::sleep(-1ms);
    };
    nap();
    start(procs_of(2));
    std::thread t([&] {
        nap();
        gort::yield();  // from here on it is attached
        nap();
    });
    t.join();
    stop();
}

// Deadlines are the monotonic clock's: steps of the system's time move none.
TEST_P(tm37_times_are_the_steady_clocks, 1, 2) {
    using std::chrono::steady_clock;
    static_assert(std::is_same_v<time_point, steady_clock::time_point>);
    with_procs(procs, [] {
        for (const auto d : {0ns, 1000ns, 2000000ns}) {
            const auto before = steady_clock::now();
            timer t{d};
            const time_point value = t.c().recv();
            CHECK(before + d <= value && value <= steady_clock::now());
            const auto start = steady_clock::now();
            gort::sleep(d);
            CHECK(start + d <= steady_clock::now());
        }
    });
}

// 100000 timers and 1000 sleepers that are far from due: nobody looks at them.
TEST_P(tm35_who_waits_for_long_costs_nothing, 1, 2, 8) {
    TEST_TIMEOUT(60);
    gort::start(procs_of(procs));
    {
        const int n = gort::test::slow() > 1 ? 5'000 : 100'000;
        Join join;
        join.add(n / 100);
        std::vector<timer> timers;
        for (int i = 0; i < n; ++i)
            timers.emplace_back(1h + duration(test::rnd() % uint64_t(3600 * 1000 * kMs)));
        for (int i = 0; i < n / 100; ++i)
            go([&] {
                join.done();
                gort::sleep(10h);  // abandoned there
            });
        join.wait();
        EVENTUALLY(idle_for_long());
        for (timer& t : timers) CHECK(t.stop());
        EVENTUALLY(idle_for_long());
    }
    gort::stop();
}
