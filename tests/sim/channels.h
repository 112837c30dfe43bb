// tests/sim/channels.h - closing, leaking, losing: what goes wrong with channels.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "tests/sim/corpus.h"

namespace gort::corpus {

// Whoever fails first closes `stop`; two may.
template <bool right>
void double_close() {
    auto stop = make_chan<unit>();
    auto once_only = std::make_shared<once>();
    wait_group wg;
    for (int i = 0; i < 2; ++i)
        wg.go([=] {
            if (right) {
                once_only->call([=] { stop.close(); });
                return;
            }
            if (select(on_recv(stop), otherwise()) == 0) return;
            stop.close();
        });
    wg.wait();
}

// The consumer ends the stream that the producer still writes to.
template <bool right>
void send_after_close() {
    auto jobs = make_chan<int>(1);
    auto stop = make_chan<unit>();
    go([=] {
        for (int i = 0; i < 3; ++i)
            if (select(on_send(jobs, i), on_recv(stop)) == 1) return;
        if (right) jobs.close();
    });
    jobs.recv();
    stop.close();
    if (!right) jobs.close();
}

// Nobody takes the answer of a request that has timed out.
template <bool right>
void leaked_sender_behind_a_timeout() {
    auto answer = make_chan<int>(right ? 1 : 0);
    go([=] {
        sleep(2ms);
        answer << 42;
    });
    select(on_recv(answer), on_recv(after(2ms)));
}

// The producer returns early and forgets to close.
template <bool right>
void receiver_of_a_stream_without_end() {
    auto items = make_chan<int>();
    auto cancel = make_chan<unit>(1);
    go([=] {
        for (int i = 0; i < 3; ++i)
            if (select(on_send(items, i), on_recv(cancel)) == 1) {
                if (right) items.close();
                return;
            }
        items.close();
    });
    go([=] { cancel << unit{}; });
    for (int v : items) (void)v;
}

// Both are ready, and select may take the work although it is to stop.
template <bool right>
void select_with_two_ready() {
    auto work = make_chan<int>(4);
    auto stop = make_chan<unit>();
    auto stopped = std::make_shared<bool>(false);
    auto done = make_chan<unit>();
    go([=] {
        for (;;) {
            if (right && select(on_recv(stop), otherwise()) == 0) break;
            int v = 0;
            if (select(on_recv(work, v), on_recv(stop)) == 1) break;
            sim::check(right || !*stopped, "work after the stop");
        }
        done.close();
    });
    work << 1;
    work << 2;
    stop.close();
    *stopped = true;
    done.recv();
}

// Everybody reports, only the first report is read.
template <bool right>
void first_error_wins() {
    auto errors = make_chan<int>(right ? 3 : 0);
    for (int i = 0; i < 3; ++i) go([=] { errors << i; });
    errors.recv();
}

// The channel is made by a goroutine that others do not wait for.
template <bool right>
void channel_that_is_not_there_yet() {
    auto c = std::make_shared<chan<int>>();
    auto ready = make_chan<unit>();
    go([=] {
        *c = make_chan<int>(1);
        ready.close();
        *c << 1;
    });
    if (right) ready.recv();
    chan<int> mine = *c;
    sim::point();
    mine.recv();
}

// A select that sends to subscribers which close their channels themselves.
template <bool right>
void subscriber_closes_its_channel() {
    auto events = make_chan<int>(1);
    auto gone = make_chan<unit>();
    wait_group wg;
    wg.go([=] {
        for (int i = 0; i < 2; ++i)
            if (select(on_send(events, i), on_recv(gone)) == 1) return;
    });
    wg.go([=] {
        int v = 0;
        events.try_recv(v);
        gone.close();
        if (!right) events.close();
    });
    wg.wait();
}

// Each waits for the other one to take what it sends.
template <bool right>
void two_that_send_first() {
    auto a = make_chan<int>(), b = make_chan<int>();
    wait_group wg;
    wg.go([=] {
        a << 1;
        b.recv();
    });
    wg.go([=] {
        if (right) {
            a.recv();
            b << 2;
        } else {
            b << 2;
            a.recv();
        }
    });
    wg.wait();
}

// The wake-up is dropped where the one to be woken is not waiting yet.
template <bool right>
void dropped_signal() {
    auto wake = make_chan<unit>(right ? 1 : 0);
    go([=] { select(on_send(wake, unit{}), otherwise()); });
    wake.recv();
}

// Results are read after all have been delivered, which cannot be.
template <bool right>
void results_nobody_reads() {
    auto results = make_chan<int>(2);
    auto wg = std::make_shared<wait_group>();
    for (int i = 0; i < 3; ++i) wg->go([=] { results << i; });
    if (right) {
        go([=] {
            wg->wait();
            results.close();
        });
    } else {
        wg->wait();
        results.close();
    }
    for (int v : results) (void)v;
}

// One of two slots is not given back on the way out that is taken when the job was there first.
template <bool right>
void slot_that_is_not_given_back() {
    auto slots = make_chan<unit>(1);
    auto seen = std::make_shared<int>(0);
    auto mu = std::make_shared<mutex>();
    wait_group wg;
    for (int i = 0; i < 2; ++i)
        wg.go([=] {
            {
                std::lock_guard guard(*mu);
                ++*seen;
            }
            slots << unit{};
            const bool second = [&] {
                std::lock_guard guard(*mu);
                return *seen == 2;
            }();
            if (!right && second) return;
            slots.recv();
        });
    wg.wait();
}

// One value for two that wait.
template <bool right>
void broadcast_by_a_send() {
    auto ready = make_chan<unit>(1);
    wait_group wg;
    for (int i = 0; i < 2; ++i) wg.go([=] { ready.recv(); });
    if (right) ready.close();
    else ready << unit{};
    wg.wait();
}

// Who breaks off leaves the generator behind.
template <bool right>
void generator_without_a_way_out() {
    auto numbers = make_chan<int>();
    auto stop = make_chan<unit>();
    go([=] {
        for (int i = 0;; ++i) {
            if (right) {
                if (select(on_send(numbers, i), on_recv(stop)) == 1) return;
            } else {
                numbers << i;
            }
        }
    });
    for (int n : numbers)
        if (n == 2) break;
    stop.close();
}

// A flag says whether the channel is open; between the look at it and the send it is closed.
template <bool right>
void flag_and_send() {
    auto c = make_chan<int>(4);
    auto mu = std::make_shared<mutex>();
    auto closed = std::make_shared<bool>(false);
    wait_group wg;
    wg.go([=] {
        std::unique_lock lock(*mu);
        if (*closed) return;
        if (!right) lock.unlock();
        c << 1;
    });
    wg.go([=] {
        std::lock_guard lock(*mu);
        *closed = true;
        c.close();
    });
    wg.wait();
}

// A stage that stops reading stops those before it.
template <bool right>
void pipeline_whose_end_gives_up() {
    auto a = make_chan<int>(), b = make_chan<int>();
    auto stop = make_chan<unit>();
    go([=] {
        for (int i = 0; i < 4; ++i)
            if (select(on_send(a, i), on_recv(stop)) == 1) break;
        a.close();
    });
    go([=] {
        for (int v : a) {
            if (right) {
                if (select(on_send(b, v * v), on_recv(stop)) == 1) break;
            } else {
                b << v * v;
            }
        }
        b.close();
    });
    int v = 0;
    for (int i = 0; i < 3; ++i) b.recv(v);
    stop.close();
}

}  // namespace gort::corpus
