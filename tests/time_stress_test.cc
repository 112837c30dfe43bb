// tests/time_stress_test.cc - timers under load: many at once, from many sides, on busy Ps: TM-29 to TM-38.
// SPDX-License-Identifier: BSD-2-Clause
//
// As time_test.cc: nothing is asked of the time but that nothing is early and that everything comes.
#include <array>
#include <atomic>
#include <memory>
#include <vector>

#include "chan/select.h"
#include "chan/time.h"
#include "rt/time/clock.h"
#include "tests/ctx_test.h"

namespace {

using namespace chan_tools;
using namespace time_tools;

int fewer(int n) { return gort::test::slow() > 1 ? n / 10 : n; }

}  // namespace

// What was set on a P whose goroutine never calls in fires all the same: the others look after it, or the P is taken.
TEST_P(tm29_timers_of_a_busy_p, 1, 2) {
    run(procs, [] {
        std::atomic<bool> stop{false};
        std::atomic<int> ran{0};
        Join join;
        go_join(join, [&] {
            timer t{1ms};
            ticker k{1ms};
            after_func(1ms, [&] { ++ran; });
            gort::go([=, &ran] {
                t.c().recv();
                ++ran;
                k.c().recv();
                k.c().recv();
                ++ran;
            });
            while (!stop.load(std::memory_order_relaxed)) {
            }
        });
        while (ran < 3) gort::sleep(1ms);
        stop = true;
        join.wait(1);
    });
}

TEST_P(tm30_moving_earlier_is_never_lost, 1, 2, 8) {
    run(procs, [] {
        for (int i = 0; i < fewer(1000); ++i) {
            timer t{1h};
            for (int k = 0; k < 10; ++k) {
                t.stop();
                t.reset(-1ns);
            }
            t.c().recv();
        }
        CHECK_EQ(live_timers(), 0);
    });
}

// TM-31: a random walk of a hundred timers, whose state is known; meanwhile somebody sleeps shortly again and again.
TEST_P(tm31_a_random_walk, 1, 2, 8) {
    TEST_TIMEOUT(60);
    run(procs, [] {
        std::atomic<bool> stop{false};
        Join join;
        go_join(join, [&] {
            while (!stop) gort::sleep(100us);
        });
        constexpr int kTimers = 100;
        std::vector<timer> timers(kTimers);
        std::array<bool, kTimers> pending{};  // surely: set for an hour
        for (int i = 0; i < fewer(50'000); ++i) {
            const size_t at = gort::test::rnd() % kTimers;
            timer& t = timers[at];
            switch (gort::test::rnd() % 8) {
            case 0:
                t = timer{1h};
                pending[at] = true;
                break;
            case 1:
                t = timer{gort::duration(gort::test::rnd() % 2000)};
                t.c().recv();
                pending[at] = false;
                break;
            case 2:
                if (t.c()) CHECK_EQ(t.stop(), pending[at]);
                pending[at] = false;
                break;
            case 3:
            case 4:
                if (t.c()) {
                    CHECK_EQ(t.reset(1h + gort::duration(gort::test::rnd() % 1000)), pending[at]);
                    pending[at] = true;
                }
                break;
            case 5:
                if (t.c()) {
                    const auto d = gort::duration(gort::test::rnd() % 2000);
                    const auto start = steady_clock::now();
                    CHECK_EQ(t.reset(d), pending[at]);
                    CHECK(t.c().recv() >= start + d);
                    pending[at] = false;
                }
                break;
            case 6:
                if (t.c()) {  // it fires, and nobody has received
                    t.reset(1ns);
                    if (i % 2) fired(t);
                    CHECK(t.stop());
                    pending[at] = false;
                }
                break;
            default: t = timer(); pending[at] = false;
            }
            time_point value;
            if (t.c()) CHECK(t.c().try_recv(value) == gort::recv_result::empty);
        }
        stop = true;
        join.wait(1);
        timers.clear();
        CHECK_EQ(live_timers(), 0);
    });
}

// TM-32
TEST_P(tm32_stopped_functions_do_not_run, 1, 2) {
    run(procs, [] {
        std::atomic<int> ran{0};
        std::vector<timer> all;
        for (int i = 0; i < 100; ++i) all.push_back(after_func(1h, [&] { ++ran; }));
        for (auto& t : all) CHECK(t.stop());
        gort::sleep(2ms);
        CHECK_EQ(ran, 0);
        // While they fire: each function runs, or its stop says that it does not, and never both.
        auto counted = std::make_shared<std::atomic<int>>(0);
        int stopped = 0;
        const int n = fewer(20'000);
        all.clear();
        for (int i = 0; i < n; ++i)
            all.push_back(after_func(gort::duration(i % 100 * 1000), [counted] { ++*counted; }));
        for (auto& t : all) stopped += t.stop() ? 1 : 0;
        EVENTUALLY(*counted + stopped == n);
        CHECK_EQ(live_timers(), 0);
    });
}

// From many sides at once: every set function runs once for each setting that fired, and no value is stale.
TEST_P(tm32_stop_and_reset_from_many_sides, 2, 8) {
    TEST_TIMEOUT(60);
    run(procs, [] {
        timer t{1h};
        ticker k{1h};
        auto ran = std::make_shared<std::atomic<long>>(0);
        timer f = after_func(1h, [ran] { ++*ran; });
        std::atomic<long> cancelled{0}, settings{1};
        Join join;
        for (int g = 0; g < 6; ++g)
            go_join(join, [&] {
                for (int i = 0; i < fewer(5000); ++i) {
                    const auto d = gort::duration(gort::test::rnd() % 3000);
                    time_point value;
                    switch (gort::test::rnd() % 6) {
                    case 0: t.reset(d); break;
                    case 1: t.stop(); break;
                    case 2: k.reset(d + 1ns); break;
                    case 3: k.stop(); break;
                    case 4:
                        ++settings;
                        cancelled += f.reset(d) ? 1 : 0;
                        break;
                    default:
                        cancelled += f.stop() ? 1 : 0;
                        t.c().try_recv(value);
                        k.c().try_recv(value);
                    }
                    if (i % 16 == 0) gort::yield();
                }
            });
        join.wait(6);
        cancelled += f.stop() ? 1 : 0;
        t.stop();
        k.stop();
        EVENTUALLY(*ran + cancelled == settings);
        CHECK_EQ(live_timers(), 0);
        time_point value;
        CHECK(t.c().try_recv(value) == gort::recv_result::empty);
        CHECK(k.c().try_recv(value) == gort::recv_result::empty);
    });
}

// Receivers and selects wait while others stop and reset: whoever is woken has a value that is not early.
TEST_P(receivers_against_reset, 2, 8) {
    TEST_TIMEOUT(60);
    run(procs, [] {
        for (int i = 0; i < fewer(1000); ++i) {
            timer t{1h};
            auto never = gort::make_chan<int>();
            auto got = gort::make_chan<time_point>(2);
            gort::go([=] { got << t.c().recv(); });
            gort::go([=] {
                time_point at;
                gort::select(gort::on_recv(never), gort::on_recv(t.c(), at));
                got << at;
            });
            const auto start = steady_clock::now();
            for (int k = 0; k < 3; ++k) t.reset(1h);
            t.reset(20us);
            CHECK(got.recv() >= start + 20us);
            const auto again = steady_clock::now();
            CHECK(!t.reset(10us));
            CHECK(got.recv() >= again + 10us);
        }
        CHECK_EQ(live_timers(), 0);
    });
}

// TM-35
TEST_P(tm35_100000_timers, 1, 2) {
    TEST_TIMEOUT(60);
    run(procs, [] {
        const int n = fewer(100'000);
        std::vector<timer> all;
        for (int i = 0; i < n; ++i)
            all.emplace_back(1h + gort::duration(gort::test::rnd() % 3'600'000'000'000));
        CHECK_EQ(live_timers(), n);
        after(1ms).recv();
        for (size_t i = all.size(); i > 1; --i) std::swap(all[i - 1], all[gort::test::rnd() % i]);
        for (auto& t : all) CHECK(t.stop());
        CHECK_EQ(live_timers(), 0);
        // And as many that fire.
        Join join;
        auto done = gort::make_chan<int>(n);
        for (int i = 0; i < n; ++i) after_func(gort::duration(i % 1000 * 10'000), [done] { done << 1; });
        for (int i = 0; i < n; ++i) done.recv();
        CHECK_EQ(live_timers(), 0);
    });
}

// TM-38: Ps come and go; timers move with them.
TEST_P(tm38_while_procs_change, 2, 4) {
    TEST_TIMEOUT(60);
    run(procs, [] {
        std::atomic<bool> stop{false};
        Join join;
        for (int g = 0; g < 4; ++g)
            go_join(join, [&] {
                ticker k{200us};
                timer t{1h};
                while (!stop) {
                    k.c().recv();
                    CHECK(t.reset(1h));
                    const auto start = steady_clock::now();
                    CHECK(after(50us).recv() >= start + 50us);
                }
                k.stop();
            });
        for (int i = 0; i < fewer(300); ++i) gort::gomaxprocs(1 + i % 4);
        stop = true;
        join.wait(4);
        CHECK_EQ(live_timers(), 0);
    });
}

// Go's BenchmarkSimultaneousAfterFunc and the like, as a test: all at one instant.
TEST_P(many_at_one_instant, 1, 2) {
    run(procs, [] {
        const int n = fewer(20'000);
        auto done = gort::make_chan<int>();
        std::vector<timer> all;
        for (int i = 0; i < n; ++i) all.push_back(after_func(1h, [=] { done << 1; }));
        for (auto& t : all) CHECK(t.reset(2ms));
        for (int i = 0; i < n; ++i) done.recv();
        for (auto& t : all) CHECK(!t.stop());
    });
}

// A timeout in a loop of selects, each time anew: the timer is gone with its channel.
TEST_P(se34_timeouts_in_select, 1, 2) {
    run(procs, [] {
        auto numbers = gort::make_chan<int>();
        gort::go([=] {
            for (int i = 0; i < fewer(20'000); ++i) numbers << i;
            numbers.close();
        });
        int v = 0, n = 0;
        for (bool ok = true; ok;)
            if (gort::select(gort::on_recv(numbers, v, ok), gort::on_recv(after(1h))) == 0 && ok)
                CHECK_EQ(v, n++);
        CHECK_EQ(n, fewer(20'000));
        CHECK_EQ(live_timers(), 0);
        CHECK_EQ(gort::select(gort::on_recv(gort::make_chan<int>()), gort::on_recv(after(2ms))), 1);
    });
}

// Values, ticks, a time limit and the end of a context in one select: whichever comes.
TEST_P(se33_timers_and_done_in_one_select, 1, 2, 8) {
    using namespace gort::ctx;
    run(procs, [] {
        auto never = gort::make_chan<int>();
        auto [open, cancel_open] = with_cancel(background());
        const auto which = [&](const context& c, gort::duration limit) {
            return gort::select(gort::on_recv(never), gort::on_recv(after(limit)), gort::on_recv(c.done()));
        };
        CHECK_EQ(gort::select(gort::on_recv(after(1h)), gort::on_recv(open.done()), gort::otherwise()), 2);
        CHECK_EQ(gort::select(gort::on_recv(after(1ms)), gort::on_recv(background().done())), 0);
        for (int i = 0; i < fewer(200); ++i) {
            CHECK_EQ(which(open, 20us), 1);
            CHECK(!open.err());
            auto [timed, cancel_timed] = with_timeout(open, 20us);
            CHECK_EQ(which(timed, 1h), 2);
            CHECK(timed.err() == errc::deadline_exceeded);
            auto [child, cancel_child] = with_cancel(open);
            gort::go([cancel = cancel_child] { cancel(); });
            CHECK_EQ(which(child, 1h), 2);
            CHECK(child.err() == errc::canceled);
        }
        // All at once: each number is received once and in order, each tick is one, and done is the end.
        auto numbers = gort::make_chan<int>();
        gort::go([=, c = open] {
            for (int i = 0;; ++i)
                if (gort::select(gort::on_send(numbers, i), gort::on_recv(c.done())) == 1) return;
        });
        ticker k{50us};
        int next = 0, ticks = 0;
        for (bool on = true; on;) {
            int v = -1;
            switch (gort::select(gort::on_recv(numbers, v), gort::on_recv(k.c()), gort::on_recv(after(1h)),
                                 gort::on_recv(open.done()))) {
            case 0: CHECK_EQ(v, next++); break;
            case 1: ++ticks; break;
            case 2: CHECK(false); break;
            default: on = false;
            }
            if (next >= 1000 && ticks >= 20) cancel_open();
        }
        k.stop();
        CHECK(open.err() == errc::canceled);
        CHECK_EQ(live_timers(), 0);
    });
}
