// tests/sched_start_test.cc - what a small program does not pay for: threads, and the question how many CPUs it may
// use,
// before there is something to see; and that all of it is there as soon as there is.
// SPDX-License-Identifier: BSD-2-Clause
#include <cstdlib>

#include "chan/time.h"
#include "rt/stats.h"
#include "tests/sched_test.h"

using namespace gort;
using namespace gort::sched_test;
using namespace std::chrono_literals;

namespace {

// With one P, or with as many as a run has that is not told.
constexpr int kNotTold = 1024;
template <class F>
void run_with(int procs, F main) {
    unsetenv("GORT_MAXPROCS");
    gort::run(main, procs_of(procs == kNotTold ? 0 : procs));
}

void wait_for(const std::atomic<bool>& flag) {  // computes: no call into gort
    while (!flag.load(std::memory_order_relaxed)) {
    }
}

TEST_P(main_alone_has_no_second_thread, 1, 2, kNotTold) {
    const long before = count_threads();
    run_with(procs, [before] {
        for (int i = 0; i < 100; ++i) yield();
        CHECK_EQ(count_threads(), before);
    });
}

// A time slice that ended meanwhile would take another thread; but time stands still: order_of.
TEST(one_goroutine_and_main_take_one_more_thread) {
    const long before = count_threads();
    const std::string want = std::to_string(before + 1);
    const auto once = [] {
        std::atomic<bool> done{false};
        long during = 0;
        with_procs(1, [&] {
            go([&] {
                during = count_threads();
                done = true;
            });
            while (!done) yield();
        });
        return std::to_string(during);
    };
    CHECK_EQ(order_of(once), want);
}

// ---- whoever brings something to see brings sysmon: main computes and will not look

TEST_P(a_goroutine_runs_while_main_computes, 1, kNotTold) {
    run_with(procs, [] {
        std::atomic<bool> ran{false};
        go([&] { ran = true; });
        wait_for(ran);
    });
}

TEST_P(a_timer_fires_while_main_computes, 1, kNotTold) {
    run_with(procs, [] {
        std::atomic<bool> fired{false};
        auto t = after_func(1ms, [&] { fired = true; });
        wait_for(fired);
    });
}

TEST_P(a_goroutine_runs_while_main_blocks_its_thread, 1, kNotTold) {
    run_with(procs, [] {
        std::atomic<bool> ran{false};
        go([&] { ran = true; });
        blocking([&] { wait_for(ran); });
    });
}

TEST_P(a_goroutine_runs_while_a_locked_main_computes, 1, kNotTold) {
    run_with(procs, [] {
        lock_os_thread();
        std::atomic<bool> ran{false};
        go([&] { ran = true; });
        wait_for(ran);
        unlock_os_thread();
    });
}

TEST_P(a_foreign_threads_goroutine_runs_while_main_computes, 1, kNotTold) {
    run_with(procs, [] {
        std::atomic<bool> ran{false};
        std::thread foreign([&] { go([&] { ran = true; }); });
        wait_for(ran);
        foreign.join();
    });
}

// ---- a run that is not told how many Ps to have

TEST(the_ps_come_without_being_asked_for) {
    unsetenv("GORT_MAXPROCS");
    const int n = gomaxprocs(0);
    gort::run([n] {
        go([] {});
        while (rt::sched.nprocs.load() < n) yield();
    });
}

TEST(the_number_is_the_same_whoever_asks_first) {
    unsetenv("GORT_MAXPROCS");
    const int n = gomaxprocs(0);
    gort::run([n] { CHECK_EQ(gomaxprocs(0), n); });
    gort::run([n] { CHECK_EQ(stats().procs, n); });
    gort::run([n] { std::thread([n] { CHECK_EQ(stats().procs, n); }).join(); });
    gort::run([n] {
        std::thread([n] { CHECK_EQ(gomaxprocs(0), n); }).join();
        CHECK_EQ(gomaxprocs(0), n);
    });
}

// sysmon finds the number out at some moment of its own: it must not undo what main has said meanwhile.
TEST(what_main_sets_holds) {
    unsetenv("GORT_MAXPROCS");
    for (int round = 0; round < (test::stress() ? 5000 : 200); ++round)
        gort::run([] {
            std::atomic<int> left{3};
            for (int i = 0; i < 3; ++i) go([&] { --left; });
            for (uint64_t i = test::rnd() % 2000; i > 0; --i) arch::pause();
            gomaxprocs(3);
            while (left) yield();
            nap(50us);
            CHECK_EQ(gomaxprocs(0), 3);
        });
}

TEST(short_runs_follow_each_other) {
    unsetenv("GORT_MAXPROCS");
    for (int round = 0; round < (test::stress() ? 20'000 : 500); ++round)
        gort::run([] {
            std::atomic<int> left{2};
            for (int i = 0; i < 2; ++i)
                go([&] {
                    if (test::rnd() % 2) yield();
                    --left;
                });
            for (uint64_t i = test::rnd() % 3000; i > 0; --i) arch::pause();
            while (left) yield();
        });
}

}  // namespace
