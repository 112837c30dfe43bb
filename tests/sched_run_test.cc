// tests/sched_run_test.cc - the runtime's start and end, again and again, and threads that are not gort's.
// SPDX-License-Identifier: BSD-2-Clause
//
// The ids (GR-…, RT-…, CC-…) are those of the list of Go's behaviours.
#include <signal.h>

#include "tests/sched_test.h"

using namespace gort;
using namespace gort::sched_test;
using namespace std::chrono_literals;

namespace {

// ---- the value and the end of main

TEST_P(CC_21_run_returns_what_main_returns, 1, 2, 8) {
    CHECK_EQ(with_procs(procs, [] { return 42; }), 42);
    CHECK_EQ(with_procs(procs, [] {}), 0);
    CHECK_EQ(with_procs(procs,
                        [] {
                            nap(1us);  // comes back wherever
                            return 7;
                        }),
             7);
    int by_reference = 0;
    auto main = [&by_reference]() mutable { return ++by_reference; };
    CHECK_EQ(gort::run(main, procs_of(procs)), 1);
    CHECK_EQ(by_reference, 1);
}

TEST(CC_21_what_is_called_too_early_says_so) {
    Died d = run_child([] { go([] {}); });
    CHECK_DIED(d, d.exit_code() == 2);
    CHECK_DIED(d, d.said("go: the runtime is not running (call gort::run or gort::start first)"));
    CHECK_LT(0, num_cpu());
    CHECK_EQ(num_goroutine(), 0);
    yield();
    CHECK_EQ(blocking([] { return 3; }), 3);
}

TEST(a_second_runtime_is_a_panic_and_harms_nobody) {
    const char* kTwice = "run: the runtime is already running in this process";
    with_procs(2, [&] {
        CHECK_EQ(panic_of([] { gort::run([] {}); }), kTwice);
        CHECK_EQ(panic_of([] { gort::start(); }), kTwice);
        CHECK_EQ(panic_of([] { gort::stop(); }), "stop: the runtime was not started by gort::start");
        std::string theirs;
        std::thread([&] { theirs = panic_of([] { gort::run([] {}); }); }).join();
        CHECK_EQ(theirs, kTwice);
        yield();
    });
    CHECK_EQ(panic_of([] { gort::stop(); }), "stop: the runtime was not started by gort::start");
    gort::start();
    CHECK_EQ(panic_of([] { gort::run([] {}); }), kTwice);
    std::string inside;
    Sema end;
    go([&] {
        inside = panic_of([] { gort::stop(); });
        end.release();
    });
    end.acquire();
    CHECK_EQ(inside, "stop: called by a goroutine");
    gort::stop();
}

// Prints when the process's static objects are destroyed.
struct AtExit {
    ~AtExit() { std::puts("static destructor"); }
};

// What a process does whose main leaves goroutines of this kind behind.
enum class Left { kParked, kSpinning, kSleeping, kRunnable, kBlocking, kLocked };
void leave_behind(Left kind) {
    static Sema never;
    struct Says {
        ~Says() { std::puts("destructor of one that was left"); }
    };
    static std::atomic<int> begun{0};
    for (int i = 0; i < 3; ++i)
        go([kind] {
            Says says;
            if (kind == Left::kLocked) lock_os_thread();
            ++begun;
            switch (kind) {
            case Left::kSpinning:
                for (volatile bool forever = true; forever;) {
                }
                break;
            case Left::kSleeping:
                for (;;) usleep(1'000'000);
            case Left::kBlocking:
                blocking([] {
                    for (;;) usleep(1'000'000);
                });
                break;
            case Left::kRunnable:
                for (;;) yield();
            default: never.acquire();
            }
        });
    EVENTUALLY(begun == 3);
}

TEST_P(GR_04_CC_20_main_returns_and_the_others_are_dropped, 1, 2) {
    for (Left kind :
         {Left::kParked, Left::kSpinning, Left::kSleeping, Left::kRunnable, Left::kBlocking, Left::kLocked}) {
        Died d = run_child([&] {
            static AtExit at_exit;
            const int value = with_procs(procs, [kind] {
                leave_behind(kind);
                return 6;
            });
            std::puts("main has returned");
            std::exit(value);
        });
        CHECK_DIED(d, d.exit_code() == 6);
        CHECK_DIED(d, d.out == "main has returned\nstatic destructor\n");
        CHECK_DIED(d, d.err.empty());
    }
}

TEST(GR_05_CC_23_exit_from_a_goroutine) {
    struct Guard {
        ~Guard() { std::puts("a frame's destructor"); }
    };
    for (bool from_main : {true, false})
        for (int how : {0, 1, 2, 3}) {
            Died d = run_child([&] {
                static AtExit at_exit;
                with_procs(2, [&] {
                    auto leave = [how] {
                        Guard guard;
                        if (how == 0) std::exit(263);
                        if (how == 1) std::quick_exit(4);
                        if (how == 2) _exit(5);
                        std::abort();
                    };
                    go([] {
                        for (;;) yield();
                    });
                    if (from_main) leave();
                    go(leave);
                    for (;;) yield();
                });
            });
            if (how == 0) CHECK_DIED(d, d.exit_code() == 7 && d.out == "static destructor\n");
            if (how == 1) CHECK_DIED(d, d.exit_code() == 4 && d.out.empty());
            if (how == 2) CHECK_DIED(d, d.exit_code() == 5 && d.out.empty());
            if (how == 3) CHECK_DIED(d, d.signal() == SIGABRT && d.out.empty());
        }
}

// ---- again and again

TEST_P(CC_22_runs_follow_each_other, 1, 2, 8) {
    const int kRuns = test::stress() ? 20'000 : 300 / (test::slow() > 1 ? 5 : 1);
    for (int i = 0; i < kRuns; ++i) {
        const int got = with_procs(1 + i % procs, [i] {
            CHECK_EQ(num_goroutine(), 1);
            CHECK_EQ(rt::self()->curg->id, 1);
            static std::vector<std::unique_ptr<Sema>> gates;  // who is left behind may be about to touch it
            Sema* gate = gates.emplace_back(std::make_unique<Sema>()).get();
            Join join;
            join.add(5);
            for (int k = 0; k < 5; ++k) go([&] { join.done(); });
            join.wait();
            for (int k = 0; k < i % 4; ++k)
                go([g = gate] { g->acquire(); });  // left behind: parked, or never run
            if (i % 2) yield();
            return i;
        });
        CHECK_EQ(got, i);
    }
    CHECK_EQ(num_goroutine() >= 0, true);
}

TEST_P(CC_22_start_and_stop, 1, 2) {
    // a million cycles take 20 s of CPU time, a minute where others want it, too
    TEST_TIMEOUT(test::stress() ? 600 : 20);
    const long before = count_threads();
    const int kCycles = test::stress() ? 1'000'000 : 1000 / (test::slow() > 1 ? 5 : 1);
    long maps = 0;
    for (int i = 0; i < kCycles; ++i) {
        gort::start(procs_of(procs));
        if (i % (test::slow() > 1 ? 4 : 16) == 0) {
            Sema end;
            go([&] { end.release(); });
            end.acquire();
        }
        gort::stop();
        // By then the Ps keep as many stacks as they ever will, some of which are a mapping each.
        if (i == kCycles / 2) maps = test::count_mappings();
    }
    EVENTUALLY(test::count_mappings() <= maps + 10);
    EVENTUALLY(count_threads() == before);
}

TEST(CC_22_abandoned_ones_that_spin_end_when_they_call) {
    const long before = count_threads();
    static std::atomic<bool> stop{false};
    static std::atomic<int> spinning{0}, came_back{0};
    for (int round = 0; round < 3; ++round) {
        with_procs(2, [] {
            for (int i = 0; i < 3; ++i)
                go(stack_size(512 << 10), [] {
                    ++spinning;
                    while (!stop.load(std::memory_order_relaxed)) {
                    }
                    yield();
                    ++came_back;
                });
            EVENTUALLY(spinning >= 2);
        });
    }
    CHECK_LT(1, count_threads());
    stop = true;
    EVENTUALLY(count_threads() == before);
    CHECK_EQ(came_back, 0);
    with_procs(2, [] {  // their memory is whole
        Join join;
        join.add(1000);
        for (int i = 0; i < 1000; ++i)
            go(stack_size(512 << 10), [&] {
                yield();
                join.done();
            });
        join.wait();
    });
}

TEST(CC_22_they_may_come_back_while_another_run_is_on) {
    const long threads = count_threads();
    static std::atomic<int> stop{0}, spinning{0};
    for (int round = 0; round < 20; ++round) {
        with_procs(2, [round] {
            stop = round;  // those of the run before come back in the middle of this one
            const int before = spinning;
            for (int i = 0; i < 2; ++i)
                go([round] {
                    ++spinning;
                    while (stop.load(std::memory_order_relaxed) == round) {
                    }
                    yield();
                    CHECK(false);
                });
            EVENTUALLY(spinning > before);
            Join join;
            join.add(100);
            for (int i = 0; i < 100; ++i)
                go([&] {
                    yield();
                    join.done();
                });
            join.wait();
        });
    }
    stop = -1;
    EVENTUALLY(count_threads() == threads);
}

// ---- threads that are not gort's

TEST_P(CC_16_foreign_threads_start_wait_and_wake, 1, 2, 8) {
    with_procs(procs, [procs] {
        const int kThreads = 4, kRounds = 200 / (test::slow() > 1 ? 4 : 1);
        Sema to[4], back[4];
        std::vector<std::thread> threads;
        for (int t = 0; t < kThreads; ++t)
            threads.emplace_back([&, t, procs] {
                lock_os_thread();  // changes nothing
                for (int i = 0; i < kRounds; ++i) {
                    Sema mine;
                    go([&] { mine.release(); });
                    mine.acquire();
                    to[t].release();
                    back[t].acquire();
                    yield();
                    CHECK_EQ(gomaxprocs(0), procs);
                    CHECK_LT(0, num_goroutine());
                }
                unlock_os_thread();
            });
        for (int i = 0; i < kRounds; ++i)
            for (int t = 0; t < kThreads; ++t) {
                to[t].acquire();
                back[t].release();
            }
        Sema joined;  // join blocks the thread: let another goroutine do it
        go([&] {
            blocking([&] {
                for (auto& t : threads) t.join();
            });
            joined.release();
        });
        joined.acquire();
    });
}

TEST_P(CC_16_foreign_threads_come_and_go, 1, 2) {
    with_procs(procs, [] {
        for (int i = 0; i < 50; ++i) {
            std::atomic<int> sum{0};
            Join join;
            join.add(8);
            std::vector<std::thread> threads;
            for (int t = 0; t < 8; ++t)
                threads.emplace_back([&] {
                    go([&] {
                        ++sum;
                        join.done();
                    });
                });
            for (auto& t : threads) blocking([&] { t.join(); });
            join.wait();
            CHECK_EQ(sum, 8);
            EVENTUALLY(rt::sched.foreign == 0);
        }
    });
}

// DL-12
TEST(CC_17_a_foreign_thread_that_may_still_call_is_no_deadlock) {
    with_procs(2, [] {
        Sema gate;
        Pipe pipe;
        std::thread other([&] {
            yield();  // has called in, so it counts
            pipe.wait();
            gate.release();
        });
        EVENTUALLY(rt::sched.foreign == 1);
        go([&] {
            nap(20ms);
            pipe.tell();  // all have slept by then
        });
        gate.acquire();
        other.join();
    });
}

TEST(CC_17_when_the_last_one_has_gone_it_is) {
    Died d = run_child([] {
        with_procs(2, [] {
            Sema never;
            std::thread([&] { yield(); }).detach();
            never.acquire();
        });
    });
    CHECK_DIED(d, d.exit_code() == 2);
    CHECK_DIED(d, d.first_line() == "fatal error: all goroutines are asleep - deadlock!");
}

TEST(CC_17_one_that_has_not_called_yet_may_still_do) {
    Pipe before;  // made before the runtime starts, and inside
    static Sema* gate = nullptr;
    std::thread early([&] {
        before.wait();
        gate->release();
    });
    with_procs(2, [&] {
        Sema mine;
        gate = &mine;
        std::thread late([&] {
            while (rt::sched.npidle < 2) usleep(1000);  // everybody sleeps by now
            usleep(30'000);
            before.tell();
        });
        mine.acquire();
        late.join();
    });
    early.join();
}

TEST(CC_17_when_it_has_gone_without_a_call_it_is_a_deadlock) {
    Died d = run_child([] {
        with_procs(2, [] {
            Sema never;
            std::thread([] { usleep(50'000); }).detach();
            never.acquire();
        });
    });
    CHECK_DIED(d, d.exit_code() == 2);
    CHECK_DIED(d, d.first_line() == "fatal error: all goroutines are asleep - deadlock!");
}

TEST(a_thread_that_called_in_before_may_run) {
    gort::start();
    yield();  // this thread is attached now
    gort::stop();
    CHECK_EQ(with_procs(1, [] { return 3; }), 3);
    Died d = run_child([] {  // and is no foreign thread meanwhile
        with_procs(1, [] {
            Sema never;
            never.acquire();
        });
    });
    CHECK_DIED(d, d.first_line() == "fatal error: all goroutines are asleep - deadlock!");
    gort::start();
    Sema end;
    go([&] { end.release(); });
    end.acquire();
    gort::stop();
}

// A thread that spawns until the end of this.
class Spawner {
public:
    // The thread needs a P, and a goroutine that only looked for the time would keep the only one until it is retaken.
    Spawner() {
        blocking([this] { EVENTUALLY(ready_.load()); });
    }
    ~Spawner() {
        stop_ = true;
        thread_.join();
    }

private:
    void spawn() {
        yield();
        ready_ = true;
        while (!stop_)
            if (rt::sched.state == rt::RunState::kRunning) {
                // What go does after its own look at the state: the run may end in between.
                rt::M* mp = rt::enter();
                rt::G* gp = rt::alloc_g_foreign();
                gp->stack_class = uint8_t(rt::sched.stack_class);
                gp->invoke = [](void*) {};
                rt::put_foreign(gp);
                rt::leave(mp);
            }
    }
    std::atomic<bool> stop_{false}, ready_{false};
    std::thread thread_{[this] { spawn(); }};
};

// Rounds until there were enough or a quarter of the time is over: among many busy processes one takes half a second.
class Rounds {
public:
    bool another() { return left_-- > 0 && kernel::nanotime() < end_; }

private:
    int left_ = test::stress() ? 2000 : 60;
    int64_t end_ = kernel::nanotime() + (test::stress() ? 50 : 5) * kernel::kNsPerSec;
};

TEST_P(foreign_threads_spawn_while_the_runtime_stops, 1, 2) {
    TEST_TIMEOUT(test::stress() ? 200 : 20);
    for (Rounds rounds; rounds.another();) {
        gort::start(procs_of(procs));
        Spawner spawner;
        gort::stop();
    }
}

TEST_P(foreign_threads_spawn_while_main_returns, 1, 2) {
    TEST_TIMEOUT(test::stress() ? 200 : 20);
    for (Rounds rounds; rounds.another();) {
        std::unique_ptr<Spawner> spawner;
        with_procs(procs, [&] {
            for (int n = int(test::rnd() % 3); n > 0; --n) go([] { yield(); });
            yield();  // hands the P over, if there is anybody
            spawner = std::make_unique<Spawner>();
        });
    }
}

}  // namespace
