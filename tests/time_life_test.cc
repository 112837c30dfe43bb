// tests/time_life_test.cc - timers' handles: who keeps what alive, threads that are not gort's, the ends of runs.
// SPDX-License-Identifier: BSD-2-Clause
//
// What they do: time_test.cc.
#include "chan/time.h"

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "rt/time/clock.h"
#include "tests/chan_tools.h"
#include "tests/time_test.h"

using namespace chan_tools;
using namespace time_tools;

// TM-26: dropping the last handle stops it.
TEST_P(tm26_what_nobody_holds_is_gone, 1, 2) {
    run(procs, [] {
        for (int i = 0; i < 10000; ++i) {
            timer t{1h};
            ticker k{1h};
            auto c = after(1h);
            recv_chan<time_point> kept = timer{1h}.c();  // the channel alone keeps it
            if (i == 0) CHECK_EQ(live_timers(), 4);
        }
        CHECK_EQ(live_timers(), 0);
        // Though it fires, or has fired, meanwhile.
        for (int i = 0; i < 3000; ++i) {
            timer t{gort::duration(i % 5 * 500)};
            ticker k{gort::duration(1 + i % 7)};
            if (i % 3 == 0) gort::yield();
        }
        CHECK_EQ(live_timers(), 0);
    });
}

TEST_P(the_channel_keeps_the_timer, 1, 2) {
    run(procs, [] {
        recv_chan<time_point> c;
        const auto start = steady_clock::now();
        {
            timer t{2ms};
            c = t.c();
        }
        CHECK(c.recv() >= start + 2ms);
        c = ticker{1ms}.c();
        c.recv();
        c.recv();
    });
}

TEST_P(handles_are_shared, 1, 2) {
    run(procs, [] {
        timer t{1h};
        Join join;
        go_join(join, [t] { CHECK(t.reset(1ms)); });
        join.wait(1);
        t.c().recv();
        timer u = t;
        CHECK(u.c() == t.c());
        CHECK(!u.stop());
        ticker k{1h}, l;
        l = k;
        l.reset(1ms);
        k.c().recv();
        k.stop();
        CHECK_EQ(live_timers(), 0);
    });
}

TEST(tm28_uninitialized) {
    run(1, [] {
        CHECK_EQ(panic_text([] { timer{}.stop(); }), "time: Stop called on uninitialized Timer");
        CHECK_EQ(panic_text([] { timer{}.reset(1h); }), "time: Reset called on uninitialized Timer");
        CHECK_EQ(panic_text([] { ticker{}.reset(1h); }), "time: Reset called on uninitialized Ticker");
        ticker{}.stop();
        CHECK(!timer{}.c());
        CHECK(!ticker{}.c());
        timer t{1h};
        timer u = std::move(t);
        // NOLINT(bugprone-use-after-move)
        CHECK_EQ(panic_text([&] { t.stop(); }), "time: Stop called on uninitialized Timer");
    });
}

// CC-36: any duration.
TEST(cc36_durations) {
    run(1, [] {
        using std::chrono::duration;
        const auto start = steady_clock::now();
        CHECK(after(duration<double>(0.001)).recv() >= start + 1ms);
        CHECK(after(duration<float, std::milli>(1.5F)).recv() >= start + 1500us);
        CHECK(after(duration<int64_t, std::pico>(1)).recv() >= start + 1ns);
        CHECK(after(duration<short, std::ratio<1, 300>>(1)).recv() >= start + 3333us);
        timer t{duration<double>(1e300)};
        CHECK(t.reset(duration<int, std::deci>(1)));
        CHECK(t.stop());
        ticker k{duration<double, std::nano>(0.25)};
        k.c().recv();
        k.reset(duration<double>(0.001));
        k.c().recv();
        after_func(duration<double>(0.5), [] {}).stop();
        after_func(1s, [] { return 5; }).stop();
        CHECK(!gort::tick(duration<double>(-0.5)));
    });
}

// ---- threads that are not gort's, runs ----

TEST_P(cc16_foreign_threads, 1, 2) {
    run(procs, [] {
        std::atomic<bool> through{false};
        std::thread thread([&] {
            const auto start = steady_clock::now();
            CHECK(after(3ms).recv() >= start + 3ms);
            timer t{1h};
            CHECK(t.stop());
            CHECK(!t.reset(1ms));
            t.c().recv();
            std::atomic<int> ran{0};
            timer f = after_func(1ms, [&] { ++ran; });
            EVENTUALLY(ran == 1);
            CHECK(!f.stop());
            ticker k{1ms};
            for (int i = 0; i < 3; ++i) k.c().recv();
            k.stop();
            through = true;
        });
        while (!through) gort::sleep(200us);
        thread.join();
        CHECK_EQ(live_timers(), 0);
    });
}

// All Ps idle, and nobody but the thread to see to it that somebody sleeps until its timer.
TEST(cc16_foreign_threads_while_all_is_idle) {
    gort::options o;
    o.max_procs = 2;
    gort::start(o);
    for (int i = 0; i < 20; ++i) {
        timer later{1h};
        const auto start = steady_clock::now();
        CHECK(after(2ms).recv() >= start + 2ms);
        CHECK(later.reset(1ms));
        later.c().recv();
    }
    gort::stop();
}

TEST(without_a_runtime) {
    const std::string text = "time: the runtime is not running (call gort::run or gort::start first)";
    CHECK_EQ(panic_text([] { after(1s); }), text);
    CHECK_EQ(panic_text([] { ticker k{1s}; }), text);
    auto held = std::make_shared<int>(1);
    CHECK_EQ(panic_text([&] { after_func(1s, [held] {}); }), text);
    CHECK_EQ(held.use_count(), 1);
}

// Timers that outlive their run are idle; they may be used in the next one.
TEST(timers_outlive_their_run) {
    timer t, pending, f;
    ticker k;
    recv_chan<time_point> c;
    for (int i = 0; i < 3; ++i) {
        run(1 + i % 2, [&] {
            if (i == 0) {
                t = timer{1h};
                k = ticker{1ms};
                f = after_func(1h, [] {});
            } else {
                CHECK(t.reset(1ms));  // nobody received
                t.c().recv();
                CHECK(!t.reset(1h));
                k.reset(1ms);
                k.c().recv();
                CHECK(!f.reset(1h));
                CHECK(f.stop());
            }
            pending = timer{1h};
            c = after(1h);
        });
        CHECK(pending.stop());
        CHECK(!f.stop());
        c = nullptr;
    }
    CHECK(t.stop());
    k.stop();
}

// TM-39, and DL: a pending timer is no deadlock though nobody else is left.
TEST_P(tm39_a_pending_timer_is_no_deadlock, 1, 2) {
    run(procs, [] {
        auto c = gort::make_chan<int>();
        after_func(10ms, [c] { c << 1; });
        CHECK_EQ(c.recv(), 1);
        timer t{10ms};
        t.c().recv();
    });
}

TEST_DIES(tm39_a_stopped_timer_is_one, "all goroutines are asleep - deadlock!", 2) {
    run(1, [] {
        timer t{1h};
        t.stop();
        t.c().recv();
    });
}
