// tests/time_test.cc - timers, tickers, after and after_func: TM-04 to TM-25, TM-27, TM-34.
// SPDX-License-Identifier: BSD-2-Clause
//
// A timer may fire late by any amount, on a busy machine: tests ask only that it is not early, and for orders that
// do not depend on speed. Names begin with the ids of the behaviours they show; what needs no channel is in
// sleep_test.cc and timers_test.cc, who keeps what alive in time_life_test.cc, what needs load in time_stress_test.cc.
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

// ---- timer ----

TEST_P(tm04_not_before_and_the_time_is_that_of_firing, 1, 2) {
    run(procs, [] {
        for (auto d : {1ns, 1'000'000ns, 20'000'000ns}) {
            const auto start = steady_clock::now();
            timer t{d};
            const time_point at = t.c().recv();
            CHECK(at >= start + d);
            CHECK(steady_clock::now() >= at);
        }
    });
}

// TM-05
TEST_P(tm05_nothing_to_wait_for, 1, 2) {
    run(procs, [] {
        for (auto d : {gort::duration(0), gort::duration(-1), gort::duration::min()}) {
            const auto start = steady_clock::now();
            CHECK(timer{d}.c().recv() >= start);
            CHECK(after(d).recv() >= start);
        }
        const int n = gort::test::slow() > 1 ? 20'000 : 200'000;
        for (int i = 0; i < n; ++i) timer{0s}.c().recv();
        CHECK_EQ(live_timers(), 0);
    });
}

TEST_P(tm03_for_ever_does_not_disturb, 1, 2) {
    run(procs, [] {
        auto never = after(gort::duration::max()), hours = after(std::chrono::hours::max());
        timer t{gort::duration::max() - 1ns};
        after(25ms).recv();
        time_point at;
        CHECK(never.try_recv(at) == recv_result::empty);
        CHECK(hours.try_recv(at) == recv_result::empty);
        CHECK(t.stop());
    });
}

TEST_P(tm06_stop, 1, 2) {
    run(procs, [] {
        timer t{1h};
        CHECK(t.stop());
        CHECK(!t.stop());
        CHECK_EQ(live_timers(), 0);
        timer soon{1ms};
        soon.c().recv();
        CHECK(!soon.stop());
        CHECK(!soon.stop());
    });
}

TEST_P(tm07_reset, 1, 2) {
    run(procs, [] {
        timer t{1h};
        CHECK(t.reset(2h));
        CHECK_EQ(live_timers(), 1);
        auto start = steady_clock::now();
        CHECK(t.reset(5ms));
        CHECK(t.c().recv() >= start + 5ms);
        CHECK(!t.reset(1h));  // received
        CHECK(t.stop());
        start = steady_clock::now();
        CHECK(!t.reset(1ms));  // stopped
        CHECK(t.c().recv() >= start + 1ms);
        CHECK_EQ(live_timers(), 0);
    });
}

// TM-08, TM-09
TEST_P(tm08_nothing_stale_after_stop_or_reset, 1, 2) {
    run(procs, [] {
        time_point at;
        timer t{1ns};
        fired(t);
        CHECK(t.stop());  // nobody has received it
        CHECK(t.c().try_recv(at) == recv_result::empty);
        CHECK(!t.stop());
        CHECK(!t.reset(1ns));
        fired(t);
        CHECK(t.reset(1h));
        CHECK(t.c().try_recv(at) == recv_result::empty);
        const auto start = steady_clock::now();
        CHECK(t.reset(3ms));
        CHECK(t.c().recv() >= start + 3ms);

        ticker k{1ns};
        fired(k);
        k.stop();
        CHECK(k.c().try_recv(at) == recv_result::empty);
        k.reset(1ns);
        fired(k);
        k.reset(1h);
        CHECK(k.c().try_recv(at) == recv_result::empty);
        k.stop();
        CHECK_EQ(live_timers(), 0);
    });
}

// TM-09, as it is when nobody looked: the timer is pending still, or on its way, or has fired.
TEST_P(tm09_unreceived_counts_as_pending, 1, 2) {
    run(procs, [] {
        for (int i = 0; i < 2000; ++i) {
            timer t{gort::duration(i % 3 * 1000)};
            if (i & 1) gort::yield();
            time_point at;
            CHECK(i & 2 ? t.stop() : t.reset(1h));
            CHECK(t.c().try_recv(at) == recv_result::empty);
        }
        CHECK_EQ(live_timers(), 0);
    });
}

TEST(tm10_the_channel_looks_unbuffered) {
    run(1, [] {
        timer t{1ns};
        ticker k{1ns};
        fired(t);
        fired(k);
        for (auto& c : {t.c(), k.c()}) {
            CHECK_EQ(c.len(), 0);
            CHECK_EQ(c.cap(), 0);
        }
        t.c().recv();
        k.c().recv();
    });
}

TEST_P(tm12_the_time_is_not_that_of_receiving, 1, 2) {
    run(procs, [] {
        recv_chan<time_point> c = after(1ms);
        timer t{1ms};
        fired(c);
        fired(t);
        const auto late = steady_clock::now();
        CHECK(c.recv() <= late);
        CHECK(t.c().recv() <= late);
    });
}

TEST_P(tm13_stop_does_not_close, 1, 2) {
    run(procs, [] {
        timer t{1h};
        ticker k{1h};
        gort::chan<int> got = gort::make_chan<int>(2);
        Join join;
        for (auto c : {t.c(), k.c()})
            go_join(join, [c, got] {
                time_point at;
                got << (c.recv(at) ? 1 : 0);
            });
        wait_for(t.c(), Side::kReceivers, 1);
        wait_for(k.c(), Side::kReceivers, 1);
        t.stop();
        k.stop();
        gort::sleep(1ms);
        CHECK_EQ(got.len(), 0);
        t.reset(1ms);
        k.reset(1ms);
        join.wait(2);
        CHECK_EQ(got.recv() + got.recv(), 2);
        k.stop();
    });
}

// A reset while somebody waits: it is the new setting that wakes him.
TEST_P(reset_while_somebody_waits, 1, 2) {
    run(procs, [] {
        timer t{1h};
        auto at = gort::make_chan<time_point>(1);
        gort::go([t, at] { at << t.c().recv(); });
        wait_for(t.c(), Side::kReceivers, 1);
        CHECK(t.reset(2h));
        const auto start = steady_clock::now();
        CHECK(t.reset(2ms));
        CHECK(at.recv() >= start + 2ms);
    });
}

TEST_P(tm14_after, 1, 2) {
    run(procs, [] {
        const auto start = steady_clock::now();
        for (int i = 1; i <= 10; ++i) {
            const time_point at = after(2ms).recv();
            CHECK(at >= start + i * 2ms);
        }
    });
}

// TM-15: with the heap run once for all of them.
TEST_P(tm15_in_order_of_deadlines, 1, 2) {
    run(procs, [] {
        const int slots[] = {5, 3, 6, 6, 6, 1, 1, 2, 7, 9, 4, 8, 0};
        auto done = gort::make_chan<std::pair<int, time_point>>(std::size(slots));
        for (int s : slots) gort::go([s, done] { done.send({s, after(s * 3ms).recv()}); });
        std::vector<std::pair<int, time_point>> got;
        for (size_t i = 0; i < std::size(slots); ++i) got.push_back(done.recv());
        for (auto& a : got)
            // the goroutines were started at different times, so only what is far apart is ordered
            for (auto& b : got)
                if (a.first == 0 && b.first == 9) CHECK(a.second <= b.second);
    });
    run(procs, [] {
        std::vector<int> order;
        std::vector<timer> all;
        const auto base = std::chrono::milliseconds(20);
        const int slots[] = {5, 3, 6, 6, 6, 1, 1, 2, 7, 9, 4, 8, 0};
        std::vector<recv_chan<time_point>> cs;
        for (int s : slots) cs.push_back(after(base + s * 3ms));
        std::vector<std::pair<time_point, int>> at;
        for (size_t i = 0; i < cs.size(); ++i) at.emplace_back(cs[i].recv(), slots[i]);
        // Made one after the other within less than a slot, or not: then what is further apart than that.
        std::sort(at.begin(), at.end());
        for (size_t i = 1; i < at.size(); ++i) CHECK_LE(at[i - 1].second, at[i].second + 3);
    });
}

// ---- after_func ----

TEST_P(tm17_after_func_runs_in_a_goroutine, 1, 2) {
    run(procs, [] {
        auto block = gort::make_chan<int>(), done = gort::make_chan<int>();
        const auto start = steady_clock::now();
        timer t = after_func(1ms, [&] {
            done << 1;
            block.recv();  // nobody else's timer waits for this one
            done << 2;
        });
        CHECK(!t.c());
        CHECK_EQ(done.recv(), 1);
        CHECK(steady_clock::now() >= start + 1ms);
        after(1ms).recv();
        block << 0;
        CHECK_EQ(done.recv(), 2);
        // A chain, each starting the next.
        struct Chain {
            gort::chan<int> done;
            int left;
            void operator()() const {
                if (left == 0) done << 3;
                else after_func(1ms, Chain{done, left - 1});
            }
        };
        after_func(0s, Chain{done, 10});
        CHECK_EQ(done.recv(), 3);
    });
}

TEST_P(tm18_stop_of_after_func, 1, 2) {
    run(procs, [] {
        auto ran = gort::make_chan<int>(10);
        timer t = after_func(1h, [ran] { ran << 1; });
        CHECK(t.stop());
        CHECK(!t.stop());
        auto block = gort::make_chan<int>();
        timer u = after_func(0s, [ran, block] {
            ran << 2;
            block.recv();
        });
        CHECK_EQ(ran.recv(), 2);
        CHECK(!u.stop());  // and does not wait for it
        block << 0;
        CHECK_EQ(ran.len(), 0);
        CHECK_EQ(live_timers(), 0);
    });
}

TEST_P(tm19_reset_of_after_func, 1, 2) {
    run(procs, [] {
        auto ran = gort::make_chan<int>(10), block = gort::make_chan<int>();
        timer t = after_func(1h, [=] {
            ran << 1;
            block.recv();
        });
        CHECK(t.stop());
        CHECK(!t.stop());
        CHECK(!t.reset(0s));
        ran.recv();
        CHECK(!t.stop());
        CHECK(!t.reset(0s));
        ran.recv();  // both run now
        CHECK(!t.reset(1h));
        CHECK(t.reset(2h));
        CHECK(t.stop());
        block << 0;
        block << 0;
    });
}

TEST(tm20_a_null_function_is_refused) {
    run(1, [] {
        void (*none)() = nullptr;
        CHECK_EQ(panic_text([&] { after_func(1h, none); }), "time: AfterFunc of a nil function");
        CHECK_EQ(panic_text([&] { after_func(1h, std::function<void()>()); }),
                 "time: AfterFunc of a nil function");
        CHECK_EQ(live_timers(), 0);
    });
}

// What f holds is destroyed once, when it will not run any more and nobody can set it again.
TEST_P(after_func_keeps_its_function_as_long_as_it_must, 1, 2) {
    run(procs, [] {
        auto held = std::make_shared<int>(1);
        {
            timer t = after_func(1h, [held] {});
            timer copy = t, moved = std::move(t);
            CHECK_EQ(held.use_count(), 2);
            CHECK(copy.stop());
            CHECK_EQ(held.use_count(), 2);  // reset may start it again
        }
        CHECK_EQ(held.use_count(), 1);
        auto done = gort::make_chan<int>();
        after_func(1ms, [held, done] { done << 1; });  // nobody holds it, it runs all the same
        CHECK_EQ(held.use_count(), 2);
        done.recv();
        EVENTUALLY(held.use_count() == 1);
        // Move-only; ends by goexit.
        auto once = std::make_unique<std::shared_ptr<int>>(held);
        after_func(0s, [once = std::move(once), done]() mutable {
            gort::defer tell{[&] { done << 2; }};
            gort::goexit();
        });
        CHECK_EQ(done.recv(), 2);
        EVENTUALLY(held.use_count() == 1);
    });
}

TEST_DIES(tm17_a_panic_in_after_func_names_who_set_it, "created by", 2) {
    run(1, [] {
        after_func(0s, [] { gort::panic("boom"); });
        gort::sleep(1h);
    });
}

// ---- ticker ----

TEST_P(tm21_who_is_slow_loses_ticks, 1, 2) {
    run(procs, [] {
        ticker k{1ms};
        gort::sleep(20ms);
        fired(k);
        k.c().recv();
        time_point at;
        // At most one waits: a second one at once would be a tick of less than a period ago.
        const auto now = steady_clock::now();
        if (k.c().try_recv(at) == recv_result::ok) CHECK(at + 1ms >= now);
        k.stop();
    });
}

TEST_P(tm22_ticks_keep_to_the_schedule, 1, 2) {
    run(procs, [] {
        constexpr auto period = 4ms;
        const auto before = steady_clock::now();
        ticker k{period};
        const auto behind = steady_clock::now();
        for (int i = 0; i < 5; ++i) {
            const time_point at = k.c().recv();
            // The k-th instant of the schedule that began between `before` and `behind`, and none of another phase:
            // late it may be, but no tick is early.
            CHECK(at - before >= (i + 1) * period);
            if (i == 1) gort::sleep(10ms);
        }
        k.stop();
        CHECK(behind >= before);
    });
}

TEST_P(tm23_a_stopped_ticker_is_silent, 1, 2) {
    run(procs, [] {
        ticker k{1ms};
        k.c().recv();
        k.stop();
        k.stop();
        CHECK_EQ(live_timers(), 0);
        gort::sleep(3ms);
        time_point at;
        CHECK(k.c().try_recv(at) == recv_result::empty);
        k.reset(1ms);
        k.c().recv();
        k.c().recv();
        k.stop();
    });
}

TEST_P(tm24_reset_of_a_ticker, 1, 2) {
    run(procs, [] {
        ticker k{1h};
        auto start = steady_clock::now();
        k.reset(2ms);
        for (int i = 1; i <= 5; ++i) CHECK(k.c().recv() >= start + i * 2ms);
        start = steady_clock::now();
        k.reset(5ms);
        CHECK(k.c().recv() >= start + 5ms);
        CHECK(k.c().recv() >= start + 10ms);
        k.stop();
    });
}

TEST(tm25_a_ticker_needs_a_period) {
    run(1, [] {
        for (auto d : {gort::duration(0), gort::duration(-1), gort::duration::min()}) {
            CHECK_EQ(panic_text([&] { ticker k{d}; }), "non-positive interval for NewTicker");
            ticker k{1h};
            CHECK_EQ(panic_text([&] { k.reset(d); }), "non-positive interval for Ticker.Reset");
            CHECK_EQ(panic_text([&] { ticker{}.reset(d); }), "non-positive interval for Ticker.Reset");
        }
        CHECK_EQ(live_timers(), 0);
    });
}

TEST(tm27_tick) {
    run(1, [] {
        CHECK(!gort::tick(0s));
        CHECK(!gort::tick(-1s));
        auto c = gort::tick(1ms);
        const auto first = c.recv();
        CHECK(c.recv() > first);
        int n = 0;
        for (time_point at : c) {
            CHECK(at > first);
            if (++n == 3) break;
        }
    });
}

TEST(tm34_a_huge_period) {
    run(1, [] {
        ticker k{gort::duration::max()}, l{gort::duration::max() / 2 + 1ns}, m{std::chrono::hours::max()};
        after(2ms).recv();
        time_point at;
        for (auto* t : {&k, &l, &m}) CHECK(t->c().try_recv(at) == recv_result::empty);
    });
}
