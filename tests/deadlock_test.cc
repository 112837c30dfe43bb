// tests/deadlock_test.cc - a deadlock is declared when nothing can ever wake, and never before.
// SPDX-License-Identifier: BSD-2-Clause
//
// Every child prints what it waits for before it is dead; the order of the two is what is tested. The words themselves:
// tests/traceback_test.cc.
#include <grp.h>

#include <functional>
#include <vector>

#include "gort.h"
#include "tests/sched_test.h"

using namespace gort;
using namespace gort::sched_test;
using namespace std::chrono_literals;

namespace {

constexpr const char kText[] = "fatal error: all goroutines are asleep - deadlock!\n";

void say(const char* text) { CHECK(write(2, text, std::strlen(text)) > 0); }
void block() { select(); }

// The child says "last" and is dead only after that.
void check_dies_after(const Died& d, const std::string& last) {
    CHECK_DIED(d, d.exit_code() == 2);
    CHECK_DIED(d, d.err.rfind(last + kText, 0) == 0);
}

// They make lines of /proc/self/status long that stand before the number of threads.
TEST_P(DL_01_in_a_process_with_many_groups, 1, 2) {
    if (geteuid() != 0) TEST_SKIP("only root may have them");
    for (size_t n : {300u, 2000u, 60000u}) {
        check_dies_after(run_child([procs, n] {
                             std::vector<gid_t> groups;
                             for (size_t i = 0; i < n; ++i) groups.push_back(static_cast<gid_t>(100'000 + i));
                             if (setgroups(groups.size(), groups.data()) != 0)
                                 TEST_SKIP("only root may do that");
                             with_procs(procs, block);
                         }),
                         "");
    }
}

TEST_P(DL_04_not_while_a_timer_is_pending, 1, 2) {
    check_dies_after(run_child([procs] {
                         with_procs(procs, [] {
                             timer t = after_func(50ms, [] { say("fired\n"); });
                             block();
                         });
                     }),
                     "fired\n");
}

TEST_P(DL_04_not_while_a_goroutine_sleeps, 1, 2) {
    check_dies_after(run_child([procs] {
                         with_procs(procs, [] {
                             go([] {
                                 sleep(50ms);
                                 say("slept\n");
                             });
                             block();
                         });
                     }),
                     "slept\n");
}

// 20 slices: its P is long gone, and it is the only one that lives.
TEST_P(DL_04_not_while_a_goroutine_computes, 1, 2) {
    check_dies_after(run_child([procs] {
                         with_procs(procs, [] {
                             go([] {
                                 const int64_t end = rt::now() + 200'000'000;
                                 while (rt::now() < end) {
                                 }
                                 say("computed\n");
                             });
                             block();
                         });
                     }),
                     "computed\n");
}

TEST_P(DL_04_not_while_a_goroutine_is_in_a_system_call, 1, 2) {
    for (bool said : {false, true})
        check_dies_after(run_child([procs, said] {
                             with_procs(procs, [said] {
                                 go([said] {
                                     if (said) blocking([] { usleep(100'000); });
                                     else usleep(100'000);
                                     say("back\n");
                                 });
                                 block();
                             });
                         }),
                         "back\n");
}

TEST_P(DL_05_a_stopped_timer_delays_nothing, 1, 2) {
    check_dies_after(run_child([procs] {
                         with_procs(procs, [] {
                             timer t = after_func(1h, [] { say("never\n"); });
                             CHECK(t.stop());
                             timer c{1h};
                             CHECK(c.stop());
                             ticker k{1h};
                             k.stop();
                             block();
                         });
                     }),
                     "");
}

// A ticker or timer on whose channel nobody waits is no sign of life, whether it fires soon or late.
TEST_P(DL_04_TM_26_timers_that_nobody_waits_on_do_not_count, 1, 2, 8) {
    for (const auto period :
         {std::chrono::nanoseconds(1ms), std::chrono::nanoseconds(10ms), std::chrono::nanoseconds(1h)})
        check_dies_after(run_child([procs, period] {
                             with_procs(procs, [period] {
                                 ticker k{period};
                                 timer t{period};
                                 auto a = after(period);
                                 std::vector<ticker> many(300, k);
                                 for (auto& one : many) one = ticker{1h};
                                 make_chan<int>().recv();
                             });
                         }),
                         "");
}

// The ticks go on, and the only one who waited for them goes away.
TEST_P(DL_04_TM_26_until_the_last_who_waits_for_a_tick_is_gone, 1, 2) {
    check_dies_after(run_child([procs] {
                         with_procs(procs, [] {
                             ticker k{1ms};
                             go([k] {
                                 for (int i = 0; i < 20; ++i) k.c().recv();
                                 auto never = make_chan<int>();
                                 for (int i = 0; i < 20; ++i) select(on_recv(k.c()), on_recv(never));
                                 say("ticked\n");
                             });
                             block();
                         });
                     }),
                     "ticked\n");
}

TEST_P(DL_04_not_while_somebody_waits_on_a_timers_channel, 1, 2, 8) {
    const std::function<void()> waits[] = {
        [] { after(30ms).recv(); },
        [] { timer{30ms}.c().recv(); },
        [] { select(on_recv(make_chan<int>()), on_recv(after(30ms))); },
        [] {
            auto t = timer{1h};
            t.reset(30ms);
            t.c().recv();
        },
        [] { ctx::with_timeout(ctx::background(), 30ms).first.done().recv(); },
        [] {
            ticker unwaited{1ms};
            after(30ms).recv();
        },
    };
    for (const auto& wait : waits)
        check_dies_after(run_child([&] {
                             with_procs(procs, [&] {
                                 go([&] {
                                     wait();
                                     say("woken\n");
                                 });
                                 block();
                             });
                         }),
                         "woken\n");
}

// Many that do not count beside one that does: no look is long for long, and the deadlock is found all the same.
TEST_P(DL_04_TM_26_many_timers_that_do_not_count, 1, 2) {
    check_dies_after(run_child([procs] {
                         with_procs(procs, [] {
                             std::vector<timer> many;
                             for (int i = 0; i < 30000; ++i) many.emplace_back(1h + i * 1s);
                             ticker k{1ms};
                             go([k] {
                                 for (int i = 0; i < 100; ++i) k.c().recv();
                                 say("ticked\n");
                             });
                             block();
                         });
                     }),
                     "ticked\n");
}

// The pipe is quiet until a process that gort knows nothing of writes.
TEST_P(DL_06_not_while_a_goroutine_waits_for_a_descriptor, 1, 2) {
    check_dies_after(run_child([procs] {
                         int ends[2];
                         CHECK(pipe(ends) == 0);
                         const pid_t writer = fork();
                         if (writer == 0) {
                             usleep(300'000);
                             CHECK(write(ends[1], "x", 1) == 1);
                             _exit(0);
                         }
                         with_procs(procs, [&] {
                             go([&] {
                                 net::fd in(ends[0]);
                                 CHECK(bool(in.wait_readable()));
                                 say("readable\n");
                             });
                             block();
                         });
                     }),
                     "readable\n");
}

// DL-08: some wait for each other for ever while main goes about its business: nobody says a word.
TEST_P(DL_08_some_that_wait_for_ever_are_no_deadlock, 1, 2, 8) {
    const Died d = run_child([procs] {
        with_procs(procs, [] {
            static mutex a, b;  // they outlive main's frame, as those who wait do
            std::atomic<int> have{0};
            for (mutex* first : {&a, &b})
                go([&, first] {
                    first->lock();
                    ++have;
                    while (have < 2) yield();
                    (first == &a ? b : a).lock();
                });
            go([] { block(); });
            go([] { make_chan<int>().recv(); });
            ticker k{1ms};
            for (int i = 0; i < 30; ++i) k.c().recv();
            sleep(20ms);
            blocking([] { usleep(20'000); });
            CHECK_EQ(num_goroutine(), 5);
        });
    });
    CHECK_DIED(d, d.exit_code() == 0);
    CHECK_DIED(d, d.err.empty());
}

// Everything that changes who is idle, with as few alive as possible: the check must never find too few.
TEST_P(DL_13_no_false_alarm_at_any_change_of_hands, 1, 2, 8) {
    const int rounds = test::stress() ? 3000 : 60 / (test::slow() > 1 ? 6 : 1);
    with_procs(procs, [rounds] {
        for (int i = 0; i < rounds; ++i) {
            Sema turn;
            go([&] {
                sleep(std::chrono::microseconds(test::rnd() % 200));
                turn.release();
            });
            turn.acquire();
            go([&] {
                blocking([] { usleep(useconds_t(test::rnd() % 200)); });
                turn.release();
            });
            turn.acquire();
            std::thread other([&] { turn.release(); });
            turn.acquire();
            other.join();
            go([&] {
                lock_os_thread();
                yield();
                turn.release();
            });
            turn.acquire();
            gomaxprocs(int(test::rnd() % 4) + 1);
            auto c = make_chan<int>();
            go([=] { c << 1; });
            c.recv();
            if (i % 10 == 0) {
                go([&] {
                    usleep(25'000);  // loses its P
                    turn.release();
                });
                turn.acquire();
            }
        }
    });
}

}  // namespace
