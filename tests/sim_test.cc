// tests/sim_test.cc - the simulation finds what natively happens once in a while, and repeats it.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/sim.h"

#include <atomic>
#include <mutex>
#include <optional>
#include <thread>

#include "gort.h"
#include "tests/test.h"

using namespace gort;
using namespace std::chrono_literals;

namespace {

bool begins(const std::string& s, const char* with) { return s.rfind(with, 0) == 0; }

TEST(SIM_a_test_that_is_right_passes) {
    int runs = 0;
    const auto r = sim::explore({.seed = 1, .runs = 200}, [&] {
        ++runs;
        auto c = make_chan<int>();
        wait_group wg;
        int sum = 0;
        for (int i = 0; i < 3; ++i) wg.go([=] { c << i; });
        for (int i = 0; i < 3; ++i) sum += c.recv();
        wg.wait();
        sim::check(sum == 3, "sum");
    });
    CHECK(r);
    CHECK_EQ(r.runs, 200u);
    CHECK_LE(200, runs);
}

TEST(SIM_finds_an_order_and_replays_it) {
    auto test = [] {
        auto c = make_chan<int>(2);
        go([=] { c << 1; });
        go([=] { c << 2; });
        sim::check(c.recv() == 1, "one comes first");
        c.recv();
    };
    for (auto how : {sim::strategy::random, sim::strategy::pct, sim::strategy::exhaustive}) {
        const auto r = sim::explore({.seed = 7, .runs = 1000, .how = how}, test);
        CHECK(r.failed);
        CHECK_EQ(r.what, "check: one comes first");
        const auto again = sim::replay(r.schedule, test);
        CHECK_EQ(again.what, r.what);
        CHECK_EQ(again.trace, r.trace);
        std::fprintf(stderr, "%d runs, schedule %s\n%s\n", int(r.runs), r.schedule.c_str(), r.trace.c_str());
    }
}

TEST(SIM_leak) {
    const auto r = sim::explore({.seed = 1}, [] {
        auto done = make_chan<int>();
        go([=] {
            sleep(1s);
            done << 1;
        });
        select(on_recv(done), on_recv(after(1s)));
    });
    CHECK(r.failed);
    std::fprintf(stderr, "%d runs: %s, schedule %s\n%s\n", int(r.runs), r.what.c_str(), r.schedule.c_str(),
                 r.trace.c_str());
    CHECK(begins(r.what, "leak: goroutine 2 [chan send]"));
}

TEST(SIM_lock_order) {
    const auto r = sim::explore({.seed = 1}, [] {
        mutex a, b;
        wait_group wg;
        wg.go([&] {
            std::lock_guard x(a);
            std::lock_guard y(b);
        });
        wg.go([&] {
            std::lock_guard x(b);
            std::lock_guard y(a);
        });
        wg.wait();
    });
    CHECK(r.failed);
    std::fprintf(stderr, "%d runs: %s, schedule %s\n%s\n", int(r.runs), r.what.c_str(), r.schedule.c_str(),
                 r.trace.c_str());
    CHECK(begins(r.what, "deadlock: "));
}

TEST(SIM_panic) {
    const auto r = sim::explore({.seed = 1}, [] {
        auto c = make_chan<int>();
        go([=] { c.close(); });
        go([=] { c.close(); });
    });
    CHECK(r.failed);
    CHECK(begins(r.what, "panic: close of closed channel"));
}

// None of these calls blocks, and others must run all the same.
TEST(SIM_loops_that_only_look_end) {
    const auto r = sim::explore({.seed = 1, .runs = 100}, [] {
        auto c = make_chan<int>(1);
        auto n = make_chan<int>();
        mutex mu;
        auto [x, cancel] = ctx::with_cancel(ctx::background());
        bool done = false;
        go([&, c] {
            c << 1;
            std::lock_guard guard(mu);
            done = true;
        });
        int v;
        while (c.try_recv(v) != recv_result::ok) {
        }
        go([c] { c << 1; });
        while (!c.len()) {
        }
        while (!c.try_send(3)) c.try_recv(v);
        for (bool ready = false; !ready;)
            if (mu.try_lock()) {
                ready = done;
                mu.unlock();
            }
        go([n] { n << 1; });
        while (select(on_recv(n), otherwise()) != 0) {
        }
        go([stop = cancel] { stop(); });
        while (!x.err()) {
        }
    });
    CHECK_EQ(r.what, "");
}

TEST(SIM_goes_round_in_circles) {
    const auto r = sim::explore({.seed = 1, .max_steps = 10'000}, [] {
        auto c = make_chan<int>();
        int v;
        while (c.try_recv(v) != recv_result::ok) {
        }
    });
    CHECK_EQ(r.what, "too many steps");
}

TEST(SIM_fatal_errors_fail_a_run) {
    const auto r = sim::explore({.seed = 1}, [] {
        mutex mu;
        mu.unlock();
    });
    CHECK_EQ(r.what, "fatal error: sync: unlock of unlocked mutex");
}

TEST(SIM_goexit_and_recover) {
    const auto r = sim::explore({.seed = 1, .runs = 100}, [] {
        auto c = make_chan<int>();
        go([c] {
            defer d{[&] { c << 1; }};
            goexit();
        });
        c.recv();
        c.close();
        try {
            c << 1;
            sim::check(false, "no panic");
        } catch (const panic_error&) {
        }
    });
    CHECK_EQ(r.what, "");
    CHECK_EQ(sim::explore({.seed = 1}, [] { goexit(); }).what,
             "deadlock: no goroutines (main called runtime.Goexit)");
    CHECK_EQ(sim::explore({.seed = 1},
                          [] {
                              go([] { select(); });
                              goexit();
                          })
                 .what,
             "deadlock: all goroutines in bubble are blocked");
}

TEST(SIM_finds_tests_with_chance_of_their_own) {
    static int n;
    const auto r = sim::explore({.seed = 1}, [] {
        auto c = make_chan<int>();
        for (int i = 0; i < n % 3 + 1; ++i) go([=] { c << 1; });
        for (int i = 0; i < n % 3 + 1; ++i) c.recv();
        ++n;
    });
    CHECK(begins(r.what, "not deterministic: "));
}

TEST(SIM_one_thread_one_P_and_no_other) {
    CHECK_EQ(sim::explore({.seed = 1, .runs = 10},
                          [] {
                              sim::check(sim::active(), "active");
                              sim::check(gomaxprocs(0) == 1, "one");
                              gomaxprocs(8);
                              sim::check(gomaxprocs(0) == 8, "eight");
                              lock_os_thread();
                              auto c = make_chan<int>();
                              go([=] {
                                  lock_os_thread();
                                  c << blocking([] { return 7; });
                              });
                              sim::check(c.recv() == 7, "seven");
                              unlock_os_thread();
                          })
                 .what,
             "");
    CHECK(!sim::active());
    run([] { go([] {}); });  // and the runtime is as before
}

// Objects that outlive a run may be another P's.
TEST(SIM_whose_an_object_was_before_does_not_show) {
    struct Mine {
        mutex m;
        wait_group w;
        chan<int> a = make_chan<int>(1), b = make_chan<int>(1);
    };
    std::optional<Mine> of[2];
    run(
        [&] {
            // Both hold their P, so that they are two.
            std::atomic<int> made{0};
            auto make = [&](int i) {
                of[i].emplace();
                of[i]->m.lock();
                of[i]->m.unlock();
                ++made;
                while (made < 2) std::this_thread::yield();
            };
            go([&] { make(1); });
            make(0);
        },
        {.max_procs = 2});
    const auto r = sim::explore({.seed = 1, .runs = 100}, [&] {
        wait_group all;
        for (int i = 0; i < 4; ++i)
            all.go([&] {
                for (auto& x : of) {
                    x->w.add(1);
                    x->m.lock();
                    x->m.unlock();
                    x->a << 1;
                    select(on_recv(x->a), on_recv(x->b));
                    x->w.done();
                }
            });
        all.wait();
        for (auto& x : of) x->w.wait();
    });
    CHECK_EQ(r.what, "");
}

TEST_DIES(SIM_foreign_threads_are_refused,
          "a thread of the program's own called into gort while a simulation runs", 2) {
    sim::explore({.seed = 1}, [] {
        auto c = make_chan<int>(1);
        std::thread t([=] { c << 1; });
        t.join();
    });
}

// ---- synctest ----

std::string panic_of(void (*f)()) {
    try {
        sim::test(f);
    } catch (const panic_error& e) {
        return e.what();
    }
    return "";
}

TEST(ST_01_returns_when_all_have_ended) {
    static int ended;
    sim::test([] {
        for (int i = 0; i < 5; ++i)
            go([] {
                yield();
                ++ended;
            });
    });
    CHECK_EQ(ended, 5);
}

TEST(ST_02_time) {
    const auto real = std::chrono::steady_clock::now();
    sim::test([] {
        const auto start = sim::now();
        CHECK_EQ(start.time_since_epoch().count(), 946684800'000000000);
        CHECK(std::chrono::steady_clock::now() == start);
        CHECK_EQ(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now()), 946684800);
        sleep(2000h);
        CHECK(sim::now() - start == 2000h);
        CHECK(std::chrono::steady_clock::now() - start == 2000h);
    });
    CHECK(std::chrono::steady_clock::now() - real < 60s);
}

TEST(ST_03_wait_sees_what_was_done) {
    sim::test([] {
        int x = 0;
        auto c = make_chan<int>();
        for (int i = 0; i < 10; ++i)
            go([&, c] {
                yield();
                ++x;
                c.recv();
            });
        sim::wait();
        CHECK_EQ(x, 10);
        c.close();
        auto t = after_func(1s, [&] { x = 77; });
        sleep(1s);
        sim::wait();
        CHECK_EQ(x, 77);
    });
}

TEST(ST_04_durable) {
    sim::test([] {
        mutex mu;
        cond cv(mu);
        wait_group wg;
        auto c = make_chan<int>();
        chan<int> nil;
        wg.add(1);
        go([&] { sleep(500ms); });
        go([&] { wg.wait(); });
        go([&] {
            std::lock_guard guard(mu);
            cv.wait();
        });
        go([=] { c.recv(); });
        go([=] { select(on_recv(c), on_recv(nil)); });
        const auto start = sim::now();
        sim::wait();
        CHECK(sim::now() == start);
        wg.done();
        cv.signal();
        c.close();
        // A lock is not durable: its holder is a goroutine like others, and time passes until it lets go.
        go([&] {
            std::lock_guard guard(mu);
            sleep(1s);
        });
        sim::wait();
        go([&] { std::lock_guard guard(mu); });
        sim::wait();
        CHECK(sim::now() == start + 1s);
    });
}

TEST(ST_05_deadlocks) {
    CHECK_EQ(panic_of([] { make_chan<int>().recv(); }), "deadlock: all goroutines in bubble are blocked");
    CHECK_EQ(panic_of([] { go([] { make_chan<int>().recv(); }); }),
             "deadlock: main bubble goroutine has exited but blocked goroutines remain");
}

TEST(ST_06_time_stops) {
    static bool fired;
    sim::test([] { static timer t = after_func(1s, [] { fired = true; }); });
    CHECK(!fired);
    CHECK_EQ(panic_of([] {
                 go([] {
                     ticker t(1s);
                     for (;;) t.c().recv();
                 });
             }),
             "deadlock: main bubble goroutine has exited but blocked goroutines remain");
}

TEST(ST_09_timers_without_delay) {
    sim::test([] {
        bool fired = false;
        auto t = after_func(0s, [&] { fired = true; });
        while (!fired) yield();
        timer u(1s);
        sleep(5s);
        CHECK(u.c().recv().time_since_epoch() == (sim::now() - 4s).time_since_epoch());
    });
}

TEST(ST_10_events_of_one_instant_in_any_order) {
    int first[2] = {0, 0};
    auto test = [&] {
        int order = -1;
        auto a = after_func(1s, [&] { order = order < 0 ? 0 : order; });
        auto b = after_func(1s, [&] { order = order < 0 ? 1 : order; });
        sleep(2s);
        ++first[order];
    };
    for (int i = 0; i < 1000 && !(first[0] && first[1]); ++i) sim::test(test);
    CHECK(first[0] > 0);
    CHECK(first[1] > 0);
    first[0] = first[1] = 0;
    CHECK(sim::explore({.seed = 3, .runs = 100}, test));
    CHECK(first[0] > 0);
    CHECK(first[1] > 0);
}

TEST(ST_11_misuse) {
    auto text = [](auto f) -> std::string {
        try {
            f();
        } catch (const panic_error& e) {
            return e.what();
        }
        return "";
    };
    CHECK_EQ(text([] { sim::wait(); }), "goroutine is not in a bubble");
    CHECK_EQ(panic_of([] {
                 go([] { sim::wait(); });
                 go([] { sim::wait(); });
                 sleep(1s);
             }),
             "panic: wait already in progress");
    CHECK_EQ(panic_of([] { sim::test([] {}); }), "panic: gort::sim: a simulation runs already");
    run([&] {
        CHECK_EQ(text([] { sim::test([] {}); }),
                 "gort::sim: not while the runtime is up (between gort::start and stop, or in gort::run)");
    });
}

TEST(ST_13_deadlines) {
    sim::test([] {
        auto [c, cancel] = ctx::with_timeout(ctx::background(), 5s);
        sleep(5s - 1ns);
        sim::wait();
        CHECK(!c.err());
        sleep(1ns);
        sim::wait();
        CHECK(c.err() == ctx::errc::deadline_exceeded);
    });
}

}  // namespace

// Asked by ASan's runtime: what a simulated run abandons is never destroyed, as in Go.
extern "C" const char* __lsan_default_options();
extern "C" const char* __lsan_default_options() { return "detect_leaks=0"; }
