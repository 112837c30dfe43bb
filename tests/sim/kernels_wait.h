// tests/sim/kernels_wait.h - programs that come to a stand: locks, channels, and the two mixed.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "tests/sim/corpus.h"

namespace gort::corpus {

// A keeper calls back with its lock held, and the callback asks the keeper.
template <bool right>
void callback_asks_its_caller() {
    struct Leases {
        mutex mu;
        int left = 2;
        int remaining() {
            std::lock_guard lock(mu);
            return left;
        }
    };
    auto leases = std::make_shared<Leases>();
    wait_group wg;
    auto checkpoint = [=] { return leases->remaining() == 0; };
    for (int i = 0; i < 2; ++i)
        wg.go([=] {
            bool last;
            {
                std::lock_guard lock(leases->mu);
                last = --leases->left == 0;
                if (last && !right) checkpoint();
            }
            if (last && right) checkpoint();
        });
    wg.wait();
}

// Three that each hold one lock and want the next one.
template <bool right>
void three_locks_in_a_ring() {
    auto locks = std::make_shared<std::array<mutex, 3>>();
    wait_group wg;
    for (size_t i = 0; i < 3; ++i)
        wg.go([=] {
            size_t first = i, second = (i + 1) % 3;
            if (right && first > second) std::swap(first, second);
            std::lock_guard a((*locks)[first]);
            std::lock_guard b((*locks)[second]);
        });
    wg.wait();
}

// One case of a loop goes round without giving the lock back.
template <bool right>
void goes_round_with_the_lock() {
    auto mu = std::make_shared<mutex>();
    auto closing = std::make_shared<bool>(false);
    auto stop = make_chan<unit>();
    wait_group wg;
    wg.go([=] {
        for (int i = 0; i < 3; ++i) {
            mu->lock();
            if (*closing) {
                if (right) mu->unlock();
                break;
            }
            mu->unlock();
        }
        stop.recv();
    });
    wg.go([=] {
        {
            std::lock_guard lock(*mu);
            *closing = true;
        }
        { std::lock_guard lock(*mu); }
        stop.close();
    });
    wg.wait();
}

// Asks a loop that may have gone.
template <bool right>
void asks_a_loop_that_has_gone() {
    auto questions = make_chan<chan<int>>();
    auto stop = make_chan<unit>(), gone = make_chan<unit>();
    go([=] {
        chan<int> who;
        while (select(on_recv(questions, who), on_recv(stop)) == 0) who << 1;
        gone.close();
    });
    go([=] { stop << unit{}; });
    auto answer = make_chan<int>(1);
    if (right) {
        if (select(on_send(questions, answer), on_recv(gone)) == 0) answer.recv();
    } else {
        questions << answer;
        answer.recv();
    }
    gone.recv();
}

// A watch goes on sending to a watcher that has gone away.
template <bool right>
void watch_without_a_watcher() {
    auto [c, cancel] = ctx::with_cancel(ctx::background());
    auto events = make_chan<int>(1);
    go([=, c = c] {
        for (int i = 0; i < 3; ++i) {
            if (!right && c.err()) return;
            if (!right) events << i;
            else if (select(on_send(events, i), on_recv(c.done())) == 1) return;
        }
        events.close();
    });
    events.recv();
    cancel();
}

// Stop waits for the worker, and the worker calls it.
template <bool right>
void worker_that_stops_itself() {
    auto done = make_chan<unit>(), stop = make_chan<unit>(1);
    auto failed = make_chan<unit>(1);
    auto stop_it = [=] {
        select(on_send(stop, unit{}), otherwise());
        done.recv();
    };
    go([=] {
        if (select(on_recv(stop), on_recv(failed)) == 1) {
            if (right) go(stop_it);
            else stop_it();
        }
        done.close();
    });
    go([=] { failed << unit{}; });
    stop_it();
}

// Two streams are merged; the end of one is taken for the end of both.
template <bool right>
void merge_forgets_a_stream() {
    auto a = make_chan<int>(), b = make_chan<int>();
    auto source = [](chan<int> c) {
        c << 1;
        c.close();
    };
    go([=] { source(a); });
    go([=] { source(b); });
    chan<int> x = a, y = b;
    while (right ? x || y : x && y) {
        int v;
        bool ok;
        if (select(on_recv(x, v, ok), on_recv(y, v, ok)) == 0) {
            if (!ok) x = nullptr;
        } else if (!ok) {
            y = nullptr;
        }
    }
}

// A sleeper is woken through a channel, by who holds the lock that it wants first.
template <bool right>
void keepalive_is_woken_under_the_lock() {
    auto mu = std::make_shared<mutex>();
    auto dormant = std::make_shared<bool>(false);
    auto awake = make_chan<unit>(right ? 1 : 0);
    auto stop = make_chan<unit>();
    wait_group wg;
    wg.go([=] {
        std::unique_lock lock(*mu);
        *dormant = true;
        lock.unlock();
        lock.lock();  // looks once more before it sleeps
        lock.unlock();
        if (select(on_recv(awake), on_recv(stop)) == 1) return;
        std::lock_guard again(*mu);
        *dormant = false;
    });
    wg.go([=] {
        std::lock_guard lock(*mu);
        if (*dormant) awake << unit{};
        else stop.close();
    });
    wg.wait();
}

// The writer resets a connection with the lock held; who does the resetting takes it on the error's way.
template <bool right>
void reset_by_who_holds_the_lock() {
    auto mu = std::make_shared<mutex>();
    auto resets = make_chan<int>();
    auto errors = make_chan<int>(1);
    auto stop = make_chan<unit>();
    wait_group wg;
    wg.go([=] {
        int left = 2;
        while (left > 0) {
            const int what = select(on_recv(resets), on_recv(errors));
            --left;
            if (what == 1) std::lock_guard lock(*mu);
        }
    });
    wg.go([=] {
        std::unique_lock lock(*mu);
        if (right) lock.unlock();
        resets << 1;
    });
    wg.go([=] { errors << 1; });
    wg.wait();
}

// Waits for all in the round that started the first.
template <bool right>
void waits_in_the_loop() {
    auto wg = std::make_shared<wait_group>();
    auto turn = make_chan<int>(1);
    wg->add(2);
    for (int i = 0; i < 2; ++i) {
        go([=] {
            turn << i;
            turn.recv();
            wg->done();
        });
        if (!right) wg->wait();
    }
    wg->wait();
}

// Status updates go into a queue under a lock that the queue's reader takes.
template <bool right>
void status_queue() {
    auto mu = std::make_shared<mutex>();
    auto updates = make_chan<int>(1);
    auto set = [=](int v) {
        std::unique_lock lock(*mu);
        if (right) lock.unlock();
        updates << v;
    };
    go([=] {
        for (int i = 0; i < 3; ++i) {
            updates.recv();
            std::lock_guard lock(*mu);
        }
    });
    wait_group wg;
    for (int i = 0; i < 3; ++i) wg.go([=] { set(i); });
    wg.wait();
}

// Draining holds the lock and waits for tasks; a task needs the lock to say that it has ended.
template <bool right>
void drain_and_the_last_task() {
    struct Stopper {
        mutex mu;
        cond ended{mu};
        int running = 0;
        bool draining = false;
    };
    auto s = std::make_shared<Stopper>();
    auto finished = make_chan<unit>(2);
    wait_group wg;
    for (int i = 0; i < 2; ++i)
        wg.go([=] {
            {
                std::lock_guard lock(s->mu);
                if (s->draining) return;
                ++s->running;
            }
            yield();
            if (right) {
                std::lock_guard lock(s->mu);
                --s->running;
                s->ended.broadcast();
            } else {
                finished << unit{};
                std::lock_guard lock(s->mu);
                --s->running;
            }
        });
    wg.go([=] {
        std::lock_guard lock(s->mu);
        s->draining = true;
        if (right) {
            while (s->running > 0) s->ended.wait();
        } else {
            for (int n = s->running; n >= 0 && s->running > 0; --n) {
                finished.recv();
                if (n == 0) break;
            }
        }
    });
    wg.wait();
}

// A reader waits with the lock shared for somebody who comes behind a writer.
template <bool right>
void reader_waits_for_a_later_reader() {
    auto rw = std::make_shared<rw_mutex>();
    auto told = make_chan<unit>();
    wait_group wg;
    wg.go([=] {
        std::shared_lock lock(*rw);
        if (right) lock.unlock();
        told.recv();
    });
    wg.go([=] { std::unique_lock lock(*rw); });
    wg.go([=] {
        { std::shared_lock lock(*rw); }
        told.close();
    });
    wg.wait();
}

// A semaphore's unit is asked for again by who has it, when the other one was faster.
template <bool right>
void permits_taken_one_by_one() {
    auto permits = std::make_shared<semaphore>(2);
    wait_group wg;
    for (int i = 0; i < 2; ++i)
        wg.go([=] {
            if (right) {
                (void)permits->acquire(ctx::background(), 2);
            } else {
                (void)permits->acquire(ctx::background(), 1);
                (void)permits->acquire(ctx::background(), 1);
            }
            permits->release(2);
        });
    wg.wait();
}

// The error of the first ends the receiver; the second one's has nobody.
template <bool right>
void group_of_two_errors() {
    auto errors = make_chan<int>(right ? 1 : 0);
    auto stop = make_chan<unit>();
    go([=] {
        if (select(on_recv(errors), on_recv(stop)) == 1) return;
        stop.recv();
    });
    wait_group wg;
    for (int i = 0; i < 2; ++i)
        wg.go([=] {
            if (right) select(on_send(errors, i), otherwise());
            else errors << i;
        });
    go([=] {
        yield();
        stop.close();
    });
    wg.wait();
}

}  // namespace gort::corpus
