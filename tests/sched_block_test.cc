// tests/sched_block_test.cc - nobody starves: spinning and blocking goroutines, stealing, waking, idling.
// SPDX-License-Identifier: BSD-2-Clause
//
// No clocks: each test ends only if what it is about happens, and hangs otherwise. The ids (GR-…) are those of the
// list of Go's behaviours.
#include "tests/sched_test.h"

using namespace gort;
using namespace gort::sched_test;
using namespace std::chrono_literals;

namespace {

// Computes without a call into gort.
void spin_until(const std::atomic<bool>& stop) {
    while (!stop.load(std::memory_order_relaxed)) {
    }
}

TEST_P(GR_17_goroutines_that_never_call_do_not_starve_others, 1, 2, 8) {
    with_procs(procs, [procs] {
        std::atomic<bool> stop{false};
        Join join;
        join.add(procs + 1);
        for (int i = 0; i < procs + 1; ++i)
            go([&] {
                spin_until(stop);
                join.done();
            });
        for (int i = 0; i < 10; ++i) nap(1ms);
        for (int i = 0; i < 10; ++i) yield();
        stop = true;
        join.wait();
    });
}

// In the runtime nearly all the time, without ever having to wait there: a P is not to be had from such a one, he must
// notice by himself that he is to give it up.
void call_until(const std::atomic<bool>& stop) {
    while (!stop.load(std::memory_order_relaxed)) {
        rt::M* mp = rt::enter();
        for (int i = 0; i < 2000; ++i) arch::pause();
        rt::leave(mp);
    }
}

TEST_P(GR_17_goroutines_that_call_but_never_wait_starve_nobody, 1, 2, 8) {
    static std::atomic<bool> stop, never{false};
    stop = false;
    with_procs(procs, [procs] {
        Join join;
        join.add(procs + 1);
        for (int i = 0; i < procs + 1; ++i)
            go([&] {
                call_until(stop);
                join.done();
            });
        nap(1ms);
        for (int i = 0; i < 10; ++i) yield();
        gomaxprocs(procs == 1 ? 2 : 1);
        yield();
        gomaxprocs(procs);
        stop = true;
        join.wait();
        for (int i = 0; i < procs; ++i) go([] { call_until(never); });
        yield();
    });  // and nor do they keep the run from ending
}

TEST(GR_18_a_pair_that_wakes_each_other_does_not_keep_the_p) {
    with_procs(1, [] {
        std::atomic<bool> stop{false};
        struct Pair {
            Sema ping, pong;
            std::atomic<long> rounds{0};
        } heavy, light;
        Join join;
        join.add(4);
        auto start = [&](Pair& p, auto until) {
            go([&p, &join, until] {
                while (!until(p)) {
                    ++p.rounds;
                    p.ping.release();
                    p.pong.acquire();
                }
                p.rounds = -1;
                p.ping.release();
                join.done();
            });
            go([&p, &join] {
                for (;;) {
                    p.ping.acquire();
                    if (p.rounds < 0) break;
                    p.pong.release();
                }
                join.done();
            });
        };
        start(heavy, [&](Pair&) { return stop.load(); });
        start(light, [&](Pair& p) {
            if (p.rounds < 20) return false;
            stop = true;
            return true;
        });
        join.wait();
    });
}

TEST_P(GR_19_goroutines_that_start_each_other_starve_nobody, 1, 2) {
    with_procs(procs, [procs] {
        std::atomic<bool> stop{false};
        Join join;
        struct Chain {
            std::atomic<bool>* stop;
            Join* join;
            void operator()() const {
                if (stop->load(std::memory_order_relaxed)) return join->done();
                go(*this);
            }
        };
        join.add(2 * procs);
        for (int i = 0; i < 2 * procs; ++i) go(Chain{&stop, &join});
        // One comes through the global queue: from a foreign thread.
        std::thread([&] { go([&] { stop = true; }); }).join();
        join.wait();
    });
}

TEST_P(GR_21_a_yield_loop_lets_the_others_through, 1, 2) {
    for (bool locked : {false, true})
        with_procs(procs, [locked] {
            if (locked) lock_os_thread();
            std::atomic<int> told{0};
            go([&] {
                for (int i = 0; i < 100; ++i) {
                    ++told;
                    yield();
                }
            });
            while (told < 100) yield();
            if (locked) unlock_os_thread();
        });
}

TEST_P(GR_22_timers_and_others_threads_are_served_while_all_are_busy, 1, 2, 8) {
    with_procs(procs, [procs] {
        std::atomic<bool> stop{false};
        Join join;
        join.add(2 * procs);
        for (int i = 0; i < 2 * procs; ++i)
            go([&] {
                while (!stop.load()) yield();
                join.done();
            });
        for (int i = 0; i < 5; ++i) nap(1ms);
        Sema woken;
        std::thread other([&] { woken.release(); });
        woken.acquire();
        other.join();
        stop = true;
        join.wait();
    });
}

TEST_P(GR_23_as_many_run_at_once_as_there_are_ps, 2, 8) {
    // Each waits for all others without a call: on one CPU the kernel switches.
    with_procs(procs, [procs] {
        for (int round = 0; round < 20; ++round) {
            std::atomic<int> here{0};
            Join join;
            join.add(procs);
            go([&, procs] {  // nested: from a goroutine that is as fresh
                for (int i = 0; i < procs; ++i)
                    go([&, procs] {
                        ++here;
                        while (here.load() < procs) {
                        }
                        join.done();
                    });
            });
            join.wait();
        }
    });
}

TEST_P(GR_24_idle_ps_take_part_in_the_work, 2, 8) {
    with_procs(procs, [] {
        // 1000 tasks of one maker, none of which ends before two threads have been seen running them.
        std::atomic<int> first{0};
        std::atomic<bool> two{false};
        Join join;
        join.add(1000);
        for (int i = 0; i < 1000; ++i)
            go([&] {
                while (!two) {
                    int seen = 0;
                    if (!first.compare_exchange_strong(seen, gettid()) && seen != gettid()) two = true;
                    yield();
                }
                join.done();
            });
        join.wait();
    });
}

TEST_P(GR_27_GR_36_an_idle_runtime_does_nothing, 1, 2, 8) {
    options o = procs_of(procs);
    gort::start(o);
    {
        Sema gate;
        Join join;
        join.add(20);
        for (int i = 0; i < 20; ++i)
            go([&] {
                gate.acquire();
                join.done();
            });
        EVENTUALLY(gate.waiting() == 20);
        go([&] {
            nap(1h);  // a far timer costs nothing either
        });
        EVENTUALLY(idle_for_long());
        for (int i = 0; i < 20; ++i) gate.release();
        join.wait();
    }
    gort::stop();
}

TEST_P(GR_28_work_for_those_who_are_just_going_idle_is_not_lost, 1, 2, 8) {
    with_procs(procs, [procs] {
        const int rounds = test::stress() ? 50'000 : 3000 / (test::slow() > 1 ? 10 : 1);
        for (int round = 0; round < rounds; ++round) {
            Join join;
            join.add(procs);
            for (int i = 0; i < procs; ++i)
                go([&] {
                    yield();
                    join.done();
                });
            join.wait();  // the last P goes idle here, again and again
        }
    });
}

TEST_P(GR_28_foreign_wakes_meet_ps_that_go_idle, 1, 2, 8) {
    gort::start(procs_of(procs));
    {
        const int rounds = test::stress() ? 100'000 : 5000 / (test::slow() > 1 ? 10 : 1);
        Sema ping, pong;
        go([&] {
            for (int i = 0; i < rounds; ++i) {
                ping.acquire();
                pong.release();
            }
        });
        for (int i = 0; i < rounds; ++i) {
            ping.release();
            pong.acquire();  // this thread sleeps on its futex
        }
        EVENTUALLY(num_goroutine() == 0);  // its last release may still be under way
    }
    gort::stop();
}

TEST(GR_30_more_ps_than_cpus) {
    with_procs(1024, [] {
        CHECK_EQ(gomaxprocs(0), 1024);
        Join join;
        join.add(2000);
        for (int i = 0; i < 2000; ++i)
            go([&] {
                yield();
                join.done();
            });
        join.wait();
    });
}

TEST_P(GR_31_blocked_goroutines_hold_no_threads, 1, 2, 8) {
    with_procs(procs, [procs] {
        constexpr int kMany =
            GORT_TSAN ? 5000 : 10'000;  // TSan knows 8128 threads, and our stacks are some to it
        Sema gate;
        Join join;
        join.add(kMany);
        for (int i = 0; i < kMany; ++i)
            go([&] {
                gate.acquire();
                join.done();
            });
        EVENTUALLY(gate.waiting() == kMany);
        CHECK_LE(count_threads(), procs + 4 + GORT_TSAN);
        for (int i = 0; i < kMany; ++i) gate.release();
        join.wait();
    });
}

// The thread blocks until another goroutine runs, which needs the P.
TEST_P(GR_32_a_goroutine_that_blocks_its_thread_loses_its_p, 1, 2) {
    for (bool said : {false, true})
        with_procs(procs, [said] {
            Pipe to, back;
            go([&] {
                for (int i = 0; i < 5; ++i) {
                    if (said) blocking([&] { to.wait(); });
                    else to.wait();
                    back.tell();
                }
            });
            yield();
            for (int i = 0; i < 5; ++i) {
                go([&] { to.tell(); });
                if (said) blocking([&] { back.wait(); });
                else back.wait();
            }
        });
}

TEST(blocking_gives_back_what_the_call_gave) {
    with_procs(1, [] {
        CHECK_EQ(blocking([] { return 42; }), 42);
        auto p = blocking([] { return std::make_unique<int>(7); });
        CHECK_EQ(*p, 7);
        int n = 0;
        int& r = blocking([&]() -> int& { return n; });
        CHECK(&r == &n);
        bool caught = false;
        try {
            blocking([] { throw 5; });
        } catch (int) {
            caught = true;
        }
        CHECK(caught);
        blocking([] { blocking([] { usleep(1000); }); });
    });
    CHECK_EQ(blocking([] { return 1; }), 1);  // outside of everything
}

TEST_P(GR_33_many_short_system_calls_stop_nobody, 1, 2) {
    with_procs(procs, [] {
        std::atomic<bool> stop{false};
        Join join;
        join.add(8);
        for (int i = 0; i < 8; ++i)
            go([&, i] {
                while (!stop) usleep(useconds_t(10 << (i % 7)));
                join.done();
            });
        for (int i = 0; i < 20; ++i) nap(1ms);
        stop = true;
        join.wait();
    });
}

TEST_P(GR_34_two_hundred_block_at_once, 1, 2) {
    with_procs(procs, [] {
        Pipe pipe;
        std::atomic<int> in{0};
        Join join;
        join.add(200);
        for (int i = 0; i < 200; ++i)
            go([&] {
                ++in;
                blocking([&] { pipe.wait(); });
                join.done();
            });
        EVENTUALLY(in == 200);
        for (int i = 0; i < 200; ++i) pipe.tell();
        join.wait();
    });
}

TEST(GR_35_threads_are_used_again) {
    with_procs(2, [] {
        long most = 0;
        for (int burst = 0; burst < 10; ++burst) {
            Pipe pipe;
            std::atomic<int> in{0};
            Join join;
            join.add(50);
            for (int i = 0; i < 50; ++i)
                go([&] {
                    ++in;
                    blocking([&] { pipe.wait(); });
                    join.done();
                });
            EVENTUALLY(in == 50);
            for (int i = 0; i < 50; ++i) pipe.tell();
            join.wait();
            if (burst == 0) most = count_threads();
        }
        CHECK_LE(count_threads(), most + 10);
    });
}

// Each runs on without a P from its first time slice on.
TEST_P(GR_17_any_number_of_them_leaves_the_others_alive, 1, 2, 8) {
    with_procs(procs, [procs] {
        std::atomic<bool> stop{false};
        Join join;
        const int n = 5 * procs;
        join.add(n);
        for (int i = 0; i < n; ++i)
            go([&] {
                spin_until(stop);
                join.done();
            });
        while (rt::detached() < static_cast<uint32_t>(n - procs)) nap(1ms);
        for (int i = 0; i < 10; ++i) yield();
        stop = true;
        join.wait();
    });
}

// A P is taken only if a thread can be had for it; and whoever comes back without one goes on.
TEST_P(RT_21_at_the_limit_of_threads_a_p_stays_where_it_is, 1, 2) {
    with_procs(procs, [procs] {
        nap(1us);
        const int before = set_max_threads(procs + 2);
        Join join;
        join.add(40);
        for (int i = 0; i < 40; ++i)
            go([&] {
                for (int k = 0; k < 3; ++k) {
                    blocking([] { usleep(1000); });
                    yield();
                }
                join.done();
            });
        join.wait();
        CHECK_LE(rt::sched.nm.load(), procs + 2);
        set_max_threads(before);
        Pipe to, back;  // and when there is room again
        join.add(20);
        for (int i = 0; i < 20; ++i)
            go([&] {
                back.tell();
                blocking([&] { to.wait(); });
                join.done();
            });
        for (int i = 0; i < 20; ++i) blocking([&] { back.wait(); });
        for (int i = 0; i < 20; ++i) to.tell();
        join.wait();
    });
}

}  // namespace
