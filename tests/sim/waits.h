// tests/sim/waits.h - wait_group and cond: those who wait, and who tells them.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "tests/sim/corpus.h"

namespace gort::corpus {

// Counted by the goroutine itself, maybe after the wait.
template <bool right>
void add_in_the_goroutine() {
    auto wg = std::make_shared<wait_group>();
    auto done = std::make_shared<int>(0);
    for (int i = 0; i < 2; ++i) {
        if (right) wg->add(1);
        go([=] {
            if (!right) wg->add(1);
            ++*done;
            wg->done();
        });
    }
    wg->wait();
    sim::check(*done == 2, "wait returned too early");
}

// The one that fails says done itself, and so does what runs at its end.
template <bool right>
void done_twice() {
    wait_group wg;
    mutex mu;
    int failures = 0;
    auto finished = make_chan<unit>(2);
    for (int i = 0; i < 2; ++i) {
        wg.add(1);
        go([&] {
            bool second;
            {
                std::lock_guard lock(mu);
                second = ++failures == 2;
            }
            if (second && !right) wg.done();
            wg.done();
            finished << unit{};
        });
    }
    wg.wait();
    finished.recv();
    finished.recv();
}

// The next round is counted while somebody is still on his way out of the wait for the last one.
template <bool right>
void wait_group_reused() {
    wait_group wg;
    auto out = make_chan<unit>(1), finished = make_chan<unit>(2);
    wg.add(1);
    go([&, out, finished] {
        wg.wait();
        out << unit{};
        finished << unit{};
    });
    go([&, out, finished] {
        wg.done();
        if (right) out.recv();
        wg.add(1);
        wg.done();
        finished << unit{};
    });
    finished.recv();
    finished.recv();
}

// Waits with the lock held that those who are waited for need.
template <bool right>
void waits_under_the_lock() {
    wait_group wg;
    mutex mu;
    int n = 0;
    for (int i = 0; i < 2; ++i)
        wg.go([&] {
            std::lock_guard lock(mu);
            ++n;
        });
    std::unique_lock lock(mu);
    if (right) lock.unlock();
    wg.wait();
    sim::check(n == 2, "wait returned too early");
}

// Returns without done when somebody else was faster.
template <bool right>
void no_done_on_the_early_return() {
    wait_group wg;
    mutex mu;
    bool taken = false;
    wg.add(2);
    for (int i = 0; i < 2; ++i)
        go([&] {
            {
                std::lock_guard lock(mu);
                if (taken && !right) return;
            }
            yield();
            {
                std::lock_guard lock(mu);
                taken = true;
            }
            wg.done();
        });
    wg.wait();
}

// `if` where it must be `while`: two are woken for one item.
template <bool right>
void cond_without_a_loop() {
    mutex mu;
    cond c(mu);
    int items = 0;
    wait_group wg;
    for (int i = 0; i < 2; ++i)
        wg.go([&] {
            std::lock_guard lock(mu);
            if (right) {
                while (items == 0) c.wait();
            } else {
                if (items == 0) c.wait();
            }
            sim::check(items > 0, "nothing there");
            --items;
        });
    for (int i = 0; i < 2; ++i)
        wg.go([&] {
            std::lock_guard lock(mu);
            ++items;
            c.broadcast();
        });
    wg.wait();
}

// Nothing is remembered of a signal for which nobody waits.
template <bool right>
void signal_before_the_wait() {
    mutex mu;
    cond c(mu);
    bool ready = false;
    go([&] {
        std::lock_guard lock(mu);
        ready = true;
        c.signal();
    });
    std::lock_guard lock(mu);
    if (right) {
        while (!ready) c.wait();
    } else {
        c.wait();
    }
}

// One cond for producers and consumers, and one signal: it may wake one of the wrong kind.
template <bool right>
void signal_for_the_wrong_one() {
    mutex mu;
    cond c(mu);
    int items = 0;
    auto tell = [&] { right ? c.broadcast() : c.signal(); };
    wait_group wg;
    for (int i = 0; i < 2; ++i) {
        wg.go([&] {
            std::lock_guard lock(mu);
            while (items == 1) c.wait();
            ++items;
            tell();
        });
        wg.go([&] {
            std::lock_guard lock(mu);
            while (items == 0) c.wait();
            --items;
            tell();
        });
    }
    wg.wait();
}

// What is waited for changes without the lock, just before the wait.
template <bool right>
void changed_without_the_lock() {
    struct State {
        mutex mu;
        cond c{mu};
        bool ready = false;
    };
    auto s = std::make_shared<State>();
    go([=] {
        if (right) {
            std::lock_guard lock(s->mu);
            s->ready = true;
        } else {
            s->ready = true;
        }
        s->c.broadcast();
    });
    std::lock_guard lock(s->mu);
    while (!s->ready) s->c.wait();
}

// Wakes a producer only if the queue was full when it took something; two may wait.
template <bool right>
void bounded_queue() {
    mutex mu;
    cond not_full(mu), not_empty(mu);
    std::vector<int> items;
    const size_t room = 1;
    wait_group wg;
    for (int i = 0; i < 2; ++i)
        wg.go([&] {
            for (int k = 0; k < 2; ++k) {
                std::lock_guard lock(mu);
                while (items.size() == room) not_full.wait();
                items.push_back(k);
                not_empty.signal();
            }
        });
    for (int i = 0; i < 2; ++i)
        wg.go([&] {
            for (int k = 0; k < 2; ++k) {
                std::lock_guard lock(mu);
                while (items.empty()) right ? not_empty.wait() : not_full.wait();
                items.pop_back();
                not_full.signal();
            }
        });
    wg.wait();
}

// The last one out says so, but the look and the leaving are two.
template <bool right>
void last_one_out() {
    struct State {
        mutex mu;
        int inside = 2;
    };
    auto s = std::make_shared<State>();
    auto empty = make_chan<unit>(2);
    for (int i = 0; i < 2; ++i)
        go([=] {
            if (right) {
                std::lock_guard lock(s->mu);
                if (--s->inside == 0) empty << unit{};
                return;
            }
            s->mu.lock();
            const bool last = s->inside == 1;
            s->mu.unlock();
            s->mu.lock();
            --s->inside;
            s->mu.unlock();
            if (last) empty << unit{};
        });
    empty.recv();
}

}  // namespace gort::corpus
