// tests/sim/times.h - timers, deadlines, contexts: what comes at the same instant, and what is never told.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "tests/sim/corpus.h"

namespace gort::corpus {

// The idiom of before Go 1.23, where it never was right: the value has been received already.
template <bool right>
void drained_after_the_stop() {
    timer t(1ms);
    auto work = make_chan<int>(1);
    go([=] {
        sleep(1ms);
        work << 1;
    });
    const bool late = select(on_recv(work), on_recv(t.c())) == 1;
    if (!t.stop() && !right) t.c().recv();
    if (late) work.recv();
}

// The function of a timer comes although the channel it writes to has been closed.
template <bool right>
void timer_function_after_the_close() {
    auto c = make_chan<int>(2);
    auto mu = std::make_shared<mutex>();
    auto closed = std::make_shared<bool>(false);
    timer t = after_func(1ms, [=] {
        std::lock_guard lock(*mu);
        if (right && *closed) return;
        c << 1;
    });
    sleep(1ms);
    t.stop();
    std::lock_guard lock(*mu);
    *closed = true;
    c.close();
}

// The loop over a ticker is told nothing.
template <bool right>
void ticker_without_a_stop() {
    auto stop = make_chan<unit>();
    go([=] {
        ticker t(1ms);
        for (;;) {
            if (!right) t.c().recv();
            else if (select(on_recv(t.c()), on_recv(stop)) == 1) return;
        }
    });
    sleep(3ms);
    stop.close();
}

// After the timeout the result is looked at while the worker still writes it.
template <bool right>
void result_after_the_timeout() {
    auto value = std::make_shared<int>(0);
    auto done = make_chan<unit>();
    go([=] {
        sleep(1ms);
        *value = 1;
        sim::point();
        *value = 2;
        done.close();
    });
    const bool late = select(on_recv(done), on_recv(after(1ms))) == 1;
    if (late && right) done.recv();
    sim::check(*value != 1, "half a result");
    if (late && !right) done.recv();
}

// A sleep that is as long as what it is to wait for.
template <bool right>
void sleep_for_an_order() {
    auto ready = std::make_shared<bool>(false);
    auto told = make_chan<unit>();
    go([=] {
        sleep(10ms);
        *ready = true;
        told.close();
    });
    if (right) told.recv();
    else sleep(10ms);
    sim::check(*ready, "not ready");
}

// The heart beats just when the time is up: who is declared dead answers.
template <bool right>
void heartbeat() {
    timer limit(2ms);
    auto beats = make_chan<int>(4);
    go([=] {
        for (int i = 0; i < 3; ++i) {
            sleep(right ? 1ms : 2ms);
            beats << i;
        }
    });
    for (int i = 0; i < 3; ++i) {
        const int what = select(on_recv(beats), on_recv(limit.c()));
        sim::check(what == 0, "declared dead");
        limit.reset(2ms);
    }
}

// Workers that look at their jobs only are not told that it is over.
template <bool right>
void missed_cancel() {
    auto [c, cancel] = ctx::with_cancel(ctx::background());
    auto jobs = make_chan<int>();
    for (int i = 0; i < 2; ++i)
        go([=, c = c] {
            for (;;) {
                if (!right) jobs.recv();
                else if (select(on_recv(jobs), on_recv(c.done())) == 1) return;
            }
        });
    jobs << 1;
    cancel();
}

// The context is not cancelled on the way out that is taken when the answer comes first.
template <bool right>
void cancel_that_is_not_called() {
    auto [c, cancel] = ctx::with_cancel(ctx::background());
    auto answer = make_chan<int>(1);
    go([=, c = c] {
        if (select(on_send(answer, 1), on_recv(c.done())) == 1) return;
        c.done().recv();
    });
    auto quit = make_chan<unit>(1);
    go([=] { quit << unit{}; });
    if (select(on_recv(answer), on_recv(quit)) == 0 && !right) return;
    cancel();
}

// It is done and too late at the same time, and what was done is done again.
template <bool right>
void done_and_too_late() {
    auto charges = std::make_shared<int>(0);
    for (int i = 0; i < 2; ++i) {
        auto [c, cancel] = ctx::with_timeout(ctx::background(), 1ms);
        auto done = make_chan<unit>(1);
        go([=] {
            sleep(1ms);
            ++*charges;
            done << unit{};
        });
        bool ok = select(on_recv(done), on_recv(c.done())) == 0;
        if (!ok && right) {
            done.recv();
            ok = true;
        }
        cancel();
        if (ok) break;
    }
    sleep(1ms);
    sim::check(*charges == 1, "charged twice");
}

// The error is reported to somebody who has been cancelled, too.
template <bool right>
void error_to_nobody() {
    auto [c, cancel] = ctx::with_timeout(ctx::background(), 1ms);
    auto errors = make_chan<int>();
    go([=, c = c] {
        c.done().recv();
        if (right) select(on_send(errors, 1), otherwise());
        else errors << 1;
    });
    select(on_recv(errors), on_recv(c.done()));
    cancel();
}

// A retry that waits longer than whoever waits for it.
template <bool right>
void retry_after_the_end() {
    auto result = make_chan<int>(right ? 1 : 0);
    auto [c, cancel] = ctx::with_timeout(ctx::background(), 3ms);
    go([=, c = c] {
        for (int i = 0; i < 3; ++i) sleep(1ms);
        result << 1;
    });
    select(on_recv(result), on_recv(c.done()));
    cancel();
}

// Said to be ready before it is.
template <bool right>
void ready_before_it_is() {
    auto ready = make_chan<unit>();
    auto routes = std::make_shared<int>(0);
    go([=] {
        if (right) *routes = 1;
        ready.close();
        sim::point();
        *routes = 1;
    });
    ready.recv();
    sim::check(*routes == 1, "no routes");
}

// A periodic flush and the last one at the end empty the buffer both.
template <bool right>
void flushed_twice() {
    auto mu = std::make_shared<mutex>();
    auto buffer = std::make_shared<int>(1);
    auto written = std::make_shared<int>(0);
    auto flush = [=] {
        std::unique_lock lock(*mu);
        const int n = *buffer;
        if (!right) lock.unlock();
        *written += n;
        sim::point();
        if (!right) lock.lock();
        *buffer = 0;
    };
    wait_group wg;
    wg.add(1);
    timer t = after_func(1ms, [&] {
        flush();
        wg.done();
    });
    sleep(1ms);
    flush();
    wg.wait();
    sim::check(*written == 1, "written twice");
}

}  // namespace gort::corpus
