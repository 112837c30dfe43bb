// tests/stats_test.cc - gort::stats: every figure moves with what it counts.
// SPDX-License-Identifier: BSD-2-Clause
#include "chan/time.h"
#include "rt/stats.h"
#include "rt/time.h"
#include "tests/sched_test.h"

using namespace gort;
using namespace gort::sched_test;

TEST(RT_32_goroutines_by_state) {
    with_procs(1, [] {
        Sema gate;
        Join all;
        all.add(7);
        for (int i = 0; i < 5; ++i)
            go([&] {
                gate.acquire();
                all.done();
            });
        while (gate.waiting() != 5) yield();
        const uint64_t created = stats().created;
        for (int i = 0; i < 2; ++i) go([&] { all.done(); });
        const runtime_stats s = stats();
        CHECK_EQ(s.goroutines, 8);
        CHECK_EQ(s.goroutines, num_goroutine());
        CHECK_EQ(s.running, 1);
        CHECK_EQ(s.runnable, 2);
        CHECK_EQ(s.waiting, 5);
        CHECK_EQ(s.created, created + 2);
        CHECK_EQ(s.procs, 1);
        CHECK_EQ(s.idle_procs, 0);
        CHECK_EQ(s.stacks_in_use, 6u);  // the two have not run yet
        for (int i = 0; i < 5; ++i) gate.release();
        all.wait();
        CHECK_EQ(stats().goroutines, 1);
    });
}

TEST(per_p_figures_and_their_sums) {
    with_procs(3, [] {
        Join all;
        all.add(100);
        for (int i = 0; i < 100; ++i)
            go([&] {
                for (int k = 0; k < 100; ++k) yield();
                all.done();
            });
        all.wait();
        const runtime_stats s = stats();
        CHECK_EQ(s.per_p.size(), 3u);
        uint64_t created = 0, finished = 0, switches = 0, parks = 0;
        for (const proc_stats& p : s.per_p) {
            created += p.created;
            finished += p.finished;
            switches += p.switches;
            parks += p.parks;
        }
        CHECK_EQ(created, 101u);
        CHECK_EQ(finished, 100u);
        CHECK_EQ(parks, s.parks);
        CHECK_LE(1u, parks);  // main's
        CHECK_EQ(switches, s.switches);
    });
}

// Nobody counts decisions; they follow from the queue. All kinds of picks: yields, first runs, wakes.
TEST(switches_are_exact) {
    with_procs(1, [] {
        Join all;
        const runtime_stats before = stats(false);
        all.add(10);
        for (int i = 0; i < 10; ++i)
            go([&] {
                for (int k = 0; k < 1000; ++k) yield();
                all.done();
            });
        all.wait();
        const runtime_stats after = stats(false);
        const uint64_t n = after.switches - before.switches, exact = 10 * 1001 + 1;
        CHECK_LE(exact, n);  // ten first runs, their yields, main's wake
        CHECK_LE(n, exact + after.retakes - before.retakes);  // who lost its P is taken up again
    });
}

TEST(stacks_timers_and_threads) {
    with_procs(2, [] {
        const runtime_stats before = stats();
        CHECK_LT(0u, before.stack_reserved);
        CHECK_LT(0u, before.stack_resident);
        CHECK_EQ(stats(false).stack_resident, 0u);
        CHECK_LE(1, before.threads);
        std::atomic<int> deep{0};
        Sema gate;
        Join all;
        all.add(50);
        for (int i = 0; i < 50; ++i)
            go([&] {
                char block[40'000];
                for (size_t at = 0; at < sizeof block; at += 1000) block[at] = 1;
                __asm__ volatile("" : : "r"(block) : "memory");  // clang takes even a volatile one away
                deep++;
                gate.acquire();
                all.done();
            });
        std::vector<timer> timers;
        for (int i = 0; i < 9; ++i) timers.push_back(after_func(std::chrono::hours(1), [] {}));
        go([] { gort::sleep(std::chrono::hours(1)); });  // left alone when main returns
        EVENTUALLY(deep == 50 && stats(false).timers == 10);
        const runtime_stats s = stats();
        CHECK_LE(before.stack_resident + 50 * 36'000, s.stack_resident);
        CHECK_LE(s.stack_resident, s.stack_reserved);
        CHECK_LE(52u, s.stacks_in_use);
        CHECK_EQ(s.timers, 10u);
        for (int i = 0; i < 50; ++i) gate.release();
        all.wait();
        for (timer& t : timers) CHECK(t.stop());
        EVENTUALLY(stats(false).timers == 1);
    });
}

TEST(retakes_and_detached_goroutines) {
    with_procs(1, [] {
        std::atomic<bool> stop{false};
        Join all;
        all.add();
        go([&] {
            while (!stop) {
            }
            all.done();
        });
        while (stats(false).retakes == 0) yield();
        const runtime_stats s = stats(false);
        CHECK_EQ(s.running, 2);  // it goes on without a P
        CHECK_LE(2, s.threads);
        stop = true;
        all.wait();
        gort::sleep(std::chrono::milliseconds(1));
        CHECK_LE(1u, stats(false).sleeps);
    });
}

TEST(nothing_but_stacks_while_nothing_runs) {
    const runtime_stats s = stats();
    CHECK_EQ(s.goroutines, 0);
    CHECK_EQ(s.threads, 0);
    CHECK_EQ(s.per_p.size(), 0u);
    with_procs(1, [] { go([] {}); });
    CHECK_EQ(stats().created, 0u);
    start(procs_of(2));
    CHECK_EQ(stats().per_p.size(), 2u);
    CHECK_EQ(stats().goroutines, 0);
    stop();
}
