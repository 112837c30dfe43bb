// tests/stats_test.cc - gort::stats: every figure moves with what it counts.
// SPDX-License-Identifier: BSD-2-Clause
#include <thread>

#include "chan/chan.h"
#include "chan/time.h"
#include "kernel/cpu.h"
#include "rt/stats.h"
#include "rt/sync/mutex.h"
#include "rt/sync/wait_group.h"
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
        EVENTUALLY(num_goroutine() == 1);  // the last one says that it is done before it has finished
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
        // A time slice that ends in between lets one go ahead, and whoever is alone at last yields to nobody.
        uint64_t n = 0, exact = 10 * 1001 + 1, more = 0;  // ten first runs, their yields, main's wake
        for (int tries = 0; tries < 10 && (n < exact || n > exact + more); ++tries) {
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
            n = after.switches - before.switches;
            more = after.retakes - before.retakes;  // who lost its P is taken up again
        }
        CHECK_LE(exact, n);
        CHECK_LE(n, exact + more);
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

// What a P owns is taken from it by a thread that has no P: one heavy barrier each. The first such thread ends solo.
TEST(heavy_barriers_by_who_asked) {
    for (int run = 0; run < 2; ++run)  // a run's counters start at 0
        with_procs(1, [] {
            const barrier_stats at_start = stats(false).barriers;
            CHECK_EQ(at_start.channel, 0u);
            CHECK_EQ(at_start.sync, 0u);
            auto c = make_chan<int>(8);
            mutex m;
            c << 1;  // both are this P's
            m.lock();
            m.unlock();
            const runtime_stats before = stats(false);
            std::thread([&] { c << 2; }).join();
            const runtime_stats one = stats(false);
            std::thread([&] { m.lock(), m.unlock(); }).join();
            std::thread([&] { c << 3, m.lock(), m.unlock(); }).join();  // they are shared now
            const runtime_stats two = stats(false);
            CHECK_EQ(before.barriers.solo, 0u);
            CHECK_EQ(one.barriers.solo, 1u);
            CHECK_EQ(two.barriers.solo, 1u);
            CHECK_EQ(one.barriers.channel - before.barriers.channel, 1u);
            CHECK_EQ(two.barriers.channel - before.barriers.channel, 1u);
            CHECK_EQ(one.barriers.sync - before.barriers.sync, 0u);
            CHECK_EQ(two.barriers.sync - before.barriers.sync, 1u);
            CHECK_LE(two.barriers.solo + two.barriers.channel + two.barriers.sync, two.barriers.total());
        });
}

TEST(a_mutex_that_is_waited_for_takes_a_heavy_barrier) {
    with_procs(1, [] {
        mutex m;
        Join all;
        const uint64_t before = stats(false).barriers.waiter;
        for (int i = 0; i < 3; ++i) {
            m.lock();
            all.add();
            go([&] {
                m.lock();
                m.unlock();
                all.done();
            });
            while (!stats(false).waiting) yield();
            m.unlock();
            all.wait();
        }
        CHECK_EQ(stats(false).barriers.waiter - before, 3u);
    });
}

TEST(retakes_take_heavy_barriers) {
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
        CHECK_LE(1u, stats(false).barriers.take + stats(false).handshakes);
        stop = true;
        all.wait();
    });
}

TEST(global_locks_are_counted) {
    with_procs(1, [] {
        const runtime_stats before = stats(false);
        Sema gate;
        Join all;
        constexpr int kMany = 1000;  // more Gs and stacks than a P keeps
        all.add(kMany);
        for (int i = 0; i < kMany; ++i)
            go([&] {
                gate.acquire();
                all.done();
            });
        while (gate.waiting() != kMany) yield();
        for (int i = 0; i < kMany; ++i) gate.release();
        all.wait();
        const runtime_stats spawned = stats(false);
        CHECK_LT(before.depot_lock.acquired, spawned.depot_lock.acquired);
        CHECK_LT(before.stack_lock.acquired, spawned.stack_lock.acquired);
        all.add();
        std::thread([&] { go([&] { all.done(); }); }).join();  // by way of the global queue
        all.wait();
        const runtime_stats foreign = stats(false);
        CHECK_LT(spawned.sched_lock.acquired, foreign.sched_lock.acquired);
        const uint64_t changes = foreign.procs_lock.acquired;
        gomaxprocs(2);
        CHECK_EQ(stats(false).procs_lock.acquired, changes + 1);
        CHECK_EQ(stats(false).procs_lock.waited, foreign.procs_lock.waited);
    });
}

// What is taken was tried to be taken.
TEST(steals_are_tries_with_luck) {
    if (kernel::affinity_cpu_count() < 2) TEST_SKIP("on one CPU nobody has time to look");
    with_procs(2, [] {
        while (stats(false).steals == 0) {
            Join all;
            all.add(50);
            for (int i = 0; i < 50; ++i)
                go([&] {
                    for (int k = 0; k < 20'000; ++k) asm volatile("");
                    all.done();
                });
            all.wait();
        }
        const runtime_stats s = stats(false);
        CHECK_LT(0u, s.steal_tries);
        CHECK_LT(0u, s.looks);
        uint64_t tries = 0, looks = 0;
        for (const proc_stats& p : s.per_p) {
            tries += p.steal_tries;
            looks += p.looks;
        }
        CHECK_EQ(tries, s.steal_tries);
        CHECK_EQ(looks, s.looks);
    });
}

// Work from a thread without a P wakes one that sleeps.
TEST(a_thread_that_is_woken_is_a_futex_wake) {
    with_procs(2, [] {
        const runtime_stats before = stats(false);
        while (stats(false).wakes == before.wakes) {
            Join done;
            done.add();
            std::thread([&] { go([&] { done.done(); }); }).join();
            done.wait();
        }
        EVENTUALLY(stats(false).futex_wakes > before.futex_wakes);
        CHECK_LT(before.futex_waits, stats(false).futex_waits);
    });
}

TEST(nothing_but_stacks_while_nothing_runs) {
    const runtime_stats s = stats();
    CHECK_EQ(s.goroutines, 0);
    CHECK_EQ(s.threads, 0);
    CHECK_EQ(s.per_p.size(), 0u);
    with_procs(1, [] { go([] {}); });
    CHECK_EQ(stats().created, 0u);
    CHECK_EQ(stats().sched_lock.acquired, 0u);
    CHECK_EQ(stats().futex_waits, 0u);
    start(procs_of(2));
    CHECK_EQ(stats().per_p.size(), 2u);
    CHECK_EQ(stats().goroutines, 0);
    stop();
}
