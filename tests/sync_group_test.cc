// tests/sync_group_test.cc - gort::semaphore, err_group, single_flight.
// SPDX-License-Identifier: BSD-2-Clause
//
// The ids (XS-…) are those of the list of Go's behaviours.
#include "ctx/err_group.h"
#include "ctx/semaphore.h"
#include "rt/sync/single_flight.h"
#include "tests/sync_test.h"
#include "tests/watch.h"

using namespace gort;
using namespace gort::sync_test;
using namespace std::chrono_literals;

namespace {

static_assert(!std::is_copy_constructible_v<semaphore> && !std::is_copy_constructible_v<err_group> &&
              !std::is_copy_constructible_v<single_flight<int, int>>);

const std::error_code err1 = std::make_error_code(std::errc::io_error);
const std::error_code err2 = std::make_error_code(std::errc::no_link);

TEST_P(XS_01_the_first_error_wins, 1, 2, 8) {
    with_procs(procs, [] {
        err_group none;
        CHECK(!none.wait());
        for (int failing = 0; failing < 3; ++failing) {
            err_group g;
            std::atomic<int> ran{0};
            auto turn = make_chan<unit>();
            g.go([&] { ++ran; });
            g.go([&]() -> std::error_code {
                ++ran;
                if (failing < 1) return {};
                return err1;
            });
            g.go([&, turn]() -> std::error_code {
                turn.recv();
                ++ran;
                if (failing < 2) return {};
                return err2;
            });
            EVENTUALLY(ran == 2);
            for (int i = 0; i < 10; ++i) yield();
            turn << unit{};
            const std::error_code got = g.wait();
            CHECK_EQ(ran, 3);
            CHECK(failing == 0 ? !got : got == err1 || got == err2);
            if (failing == 1) CHECK(got == err1);
        }
    });
}

TEST_P(XS_02_its_context_ends_with_the_first_error, 1, 2, 8) {
    with_procs(procs, [] {
        err_group g{ctx::background()};
        g.go([&]() -> std::error_code {
            g.context().done().recv();
            CHECK(ctx::cause(g.context()) == err1);
            return err2;
        });
        g.go([&] { return err1; });
        CHECK(g.wait() == err1);
        CHECK(g.context().err() == ctx::errc::canceled);
        CHECK(ctx::cause(g.context()) == err1);
        err_group fine{ctx::background()};
        fine.go([&] { CHECK(!fine.context().err()); });
        CHECK(!fine.wait());
        CHECK(fine.context().err() == ctx::errc::canceled);
        CHECK(ctx::cause(fine.context()) == ctx::errc::canceled);
    });
}

TEST_P(XS_03_the_limit, 1, 2, 8) {
    with_procs(procs, [] {
        for (int limit : {1, 3}) {
            err_group g;
            g.set_limit(limit);
            std::atomic<int> active{0}, most{0}, ran{0};
            for (int i = 0; i < 30; ++i)
                g.go([&] {
                    const int now = ++active;
                    for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
                    }
                    yield();
                    --active;
                    ++ran;
                });
            CHECK(!g.wait());
            CHECK_EQ(ran, 30);
            CHECK_LE(most.load(), limit);
        }
        err_group g;
        g.set_limit(1);
        auto hold = make_chan<unit>();
        CHECK(g.try_go([hold] { hold.recv(); }));
        CHECK(!g.try_go([] {}));
        // XS-04
        CHECK_EQ(panic_of([&] { g.set_limit(2); }),
                 "errgroup: modify limit while 1 goroutines in the group are still active");
        hold << unit{};
        CHECK(!g.wait());
        g.set_limit(0);
        CHECK(!g.try_go([] {}));
        g.set_limit(-1);
        CHECK(g.try_go([] {}));
        CHECK(!g.wait());
    });
}

TEST(XS_05_an_exception_ends_the_process) {
    Died d = run_dying(2, [] {
        err_group g;
        g.go([] { panic("in a part"); });
        g.wait();
        std::puts("waited");
    });
    CHECK_DIED(d, d.exit_code() == 2 && d.first_line() == "panic: in a part");
    CHECK_DIED(d, d.out.empty());
}

TEST_P(XS_07_callers_share_one_call, 1, 2, 8) {
    with_procs(procs, [] {
        single_flight<std::string, int> sf;
        auto [v, shared] = sf.call("k", [] { return 7; });
        CHECK_EQ(v, 7);
        CHECK(!shared);
        std::atomic<int> calls{0}, back{0};
        auto go_on = make_chan<unit>();
        wait_group started, wg;
        started.add(10);
        for (int i = 0; i < 10; ++i)
            wg.go([&, go_on] {
                started.done();
                auto r = sf.call("k", [&] {
                    ++calls;
                    go_on.recv();
                    return 42;
                });
                CHECK_EQ(r.value, 42);
                CHECK(r.shared || calls > 1);  // one who came when the first call was over made its own
                ++back;
            });
        started.wait();
        EVENTUALLY(calls == 1);
        for (int i = 0; i < 100; ++i) yield();
        CHECK_EQ(back, 0);
        go_on.close();
        wg.wait();
        CHECK(calls <= 10);
        CHECK_EQ(back, 10);
    });
}

TEST_P(XS_08_results_on_a_channel, 1, 2) {
    with_procs(procs, [] {
        using group = single_flight<int, std::string>;
        group sf;
        auto a = make_chan<group::result>(1), b = make_chan<group::result>(1);
        auto go_on = make_chan<unit>();
        sf.call_chan(
            1,
            [go_on] {
                go_on.recv();
                return std::string("v");
            },
            a);
        sf.call_chan(
            1,
            []() -> std::string {
                CHECK(false);
                return "";
            },
            b);
        go_on << unit{};
        group::result r;
        CHECK(a.recv(r));
        CHECK(r.value == "v" && r.shared);
        CHECK(b.recv(r));
        CHECK(r.value == "v" && r.shared);
        CHECK_EQ(a.try_recv(r), recv_result::empty);  // never closed
    });
}

TEST_P(XS_09_forget, 1, 2) {
    with_procs(procs, [] {
        single_flight<int, int> sf;
        auto first_on = make_chan<unit>(), second_on = make_chan<unit>();
        std::atomic<int> in{0}, out{0};
        wait_group wg;
        auto flight = [&](chan<unit> on, int value) {
            wg.go([&, on, value] {
                CHECK_EQ(sf.call(1,
                                 [&] {
                                     ++in;
                                     on.recv();
                                     return value;
                                 })
                             .value,
                         value);
                ++out;
            });
        };
        flight(first_on, 1);
        EVENTUALLY(in == 1);
        sf.forget(1);
        flight(second_on, 2);
        EVENTUALLY(in == 2);
        first_on << unit{};
        EVENTUALLY(out == 1);  // that does not take the second one's entry away
        Watch third;
        wg.go([&] {
            third.me();
            CHECK_EQ(sf.call(1, [] { return 3; }).value, 2);
        });
        EVENTUALLY(third.waits());
        second_on << unit{};
        wg.wait();
    });
}

TEST_P(XS_10_XS_11_exceptions_and_goexit_reach_all, 1, 2) {
    with_procs(procs, [] {
        single_flight<int, int> sf;
        for (bool exits : {false, true}) {
            std::atomic<int> caught{0}, returned{0}, ended{0}, in{0};
            auto go_on = make_chan<unit>();
            wait_group wg;
            for (int i = 0; i < 5; ++i)
                wg.go([&, go_on, exits] {
                    defer end{[&] { ++ended; }};
                    try {
                        sf.call(1, [&]() -> int {
                            ++in;
                            go_on.recv();
                            if (exits) goexit();
                            panic("no");
                        });
                        ++returned;
                    } catch (const panic_error& e) {
                        CHECK_EQ(e.what(), "no");
                        ++caught;
                    }
                });
            EVENTUALLY(in == 1);
            for (int i = 0; i < 50; ++i) yield();
            go_on.close();
            wg.wait();
            CHECK_EQ(returned, 0);
            CHECK_EQ(caught, exits ? 0 : 5);
            CHECK_EQ(ended, 5);
        }
    });
    Died d = run_dying(1, [] {
        using group = single_flight<int, int>;
        group sf;
        auto c = make_chan<group::result>(1);
        sf.call_chan(
            1, []() -> int { panic("unseen"); }, c);
        c.recv();
    });
    CHECK_DIED(d, d.exit_code() == 2 && d.first_line() == "panic: unseen");
}

TEST_P(XS_12_never_more_than_there_are, 1, 2, 8) {
    with_procs(procs, [] {
        semaphore s{5};
        std::atomic<int64_t> held{0};
        auto loop = [&](int64_t k) {
            for (int i = 0; i < 300; ++i) {
                const int64_t n = 1 + (i * k) % 5;
                CHECK(!s.acquire(ctx::background(), n));
                CHECK(held.fetch_add(n) + n <= 5);
                if (i % 4 == 0) yield();
                held -= n;
                s.release(n);
            }
        };
        wait_group wg;
        for (int64_t k = 1; k <= 5; ++k) wg.go([&, k] { loop(k); });
        std::thread t([&] { loop(3); });
        wg.wait();
        blocking([&] { t.join(); });
        CHECK(s.try_acquire(5));
        CHECK(!s.try_acquire());
        s.release(5);
    });
}

TEST_P(XS_13_who_wants_many_is_not_overtaken, 1, 2, 8) {
    with_procs(procs, [] {
        semaphore s{4};
        std::atomic<bool> stop{false};
        wait_group wg;
        for (int i = 0; i < 8; ++i)
            wg.go([&] {
                while (!stop) {
                    s.acquire();
                    yield();
                    s.release();
                }
            });
        for (int i = 0; i < 20; ++i) {
            s.acquire(4);
            s.release(4);
        }
        stop = true;
        wg.wait();
    });
}

TEST_P(XS_14_contexts_that_end, 1, 2) {
    with_procs(procs, [] {
        semaphore s{2};
        auto [ended, end] = ctx::with_cancel(ctx::background());
        end();
        CHECK(s.acquire(ended, 1) == ctx::errc::canceled);
        CHECK(s.try_acquire(2));
        s.release(1);
        // A waiter that gives up lets those behind it through.
        auto [c, cancel] = ctx::with_cancel(ctx::background());
        wait_group wg;
        std::atomic<bool> asked{false}, through{false};
        wg.go([&, c = c] {
            asked = true;
            CHECK(s.acquire(c, 2) == ctx::errc::canceled);
        });
        EVENTUALLY(asked.load());
        EVENTUALLY(!s.try_acquire(1) || (s.release(1), false));  // it queues
        wg.go([&] {
            s.acquire(1);
            through = true;
        });
        for (int i = 0; i < 30; ++i) yield();
        CHECK(!through);
        cancel();
        wg.wait();
        CHECK(through);
        s.release(2);
        CHECK(s.try_acquire(2));
    });
}

TEST_P(XS_15_more_than_there_are, 1, 2) {
    with_procs(procs, [] {
        semaphore s{2};
        CHECK(!s.try_acquire(3));
        auto [c, cancel] = ctx::with_cancel(ctx::background());
        wait_group wg;
        Watch asks;
        wg.go([&, c = c] {
            asks.me();
            CHECK(s.acquire(c, 3) == ctx::errc::canceled);
        });
        EVENTUALLY(asks.waits());
        CHECK(!s.acquire(ctx::background(), 2));  // held up by nobody
        s.release(2);
        cancel();
        wg.wait();
    });
}

TEST(XS_16_released_more_than_held) {
    with_procs(1, [] {
        semaphore s{2};
        s.acquire(1);
        CHECK_EQ(panic_of([&] { s.release(2); }), "semaphore: released more than held");
        s.release(1);
        CHECK_EQ(panic_of([&] { s.release(-1); }), "semaphore: negative number of units");
    });
}

}  // namespace
