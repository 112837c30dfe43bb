// tests/sim/locks.h - orders, upgrades, and what happens between two critical sections.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "tests/sim/corpus.h"

namespace gort::corpus {

template <bool right>
void lock_order() {
    mutex a, b;
    wait_group wg;
    wg.go([&] {
        std::lock_guard x(a);
        std::lock_guard y(b);
    });
    wg.go([&] {
        std::lock_guard x(right ? a : b);
        std::lock_guard y(right ? b : a);
    });
    wg.wait();
}

// A reader reads again while a writer waits.
template <bool right>
void rw_mutex_reentry() {
    rw_mutex rw;
    int value = 1;
    wait_group wg;
    auto get = [&] {
        std::shared_lock lock(rw);
        return value;
    };
    wg.go([&] {
        if (right) {
            get();
            get();
        } else {
            std::shared_lock lock(rw);
            get();
        }
    });
    wg.go([&] {
        std::unique_lock lock(rw);
        ++value;
    });
    wg.wait();
}

// Sends with the lock held to somebody who needs the lock to come to receive.
template <bool right>
void send_under_a_lock() {
    auto c = make_chan<int>();
    auto mu = std::make_shared<mutex>();
    wait_group wg;
    wg.go([=] {
        std::unique_lock lock(*mu);
        if (right) lock.unlock();
        c << 1;
    });
    wg.go([=] {
        { std::lock_guard lock(*mu); }
        c.recv();
    });
    wg.wait();
}

// The slow way, taken when somebody else was first, locks once more.
template <bool right>
void locks_twice_on_the_slow_way() {
    mutex mu;
    int users = 0;
    wait_group wg;
    auto report = [&] { std::lock_guard lock(mu); };
    for (int i = 0; i < 2; ++i)
        wg.go([&] {
            {
                std::unique_lock lock(mu);
                ++users;
                if (users == 2) {
                    if (right) lock.unlock();
                    report();
                    if (right) lock.lock();
                }
            }
            yield();
            std::lock_guard lock(mu);
            --users;
        });
    wg.wait();
}

// Returns with the lock held when there is nothing to do.
template <bool right>
void no_unlock_on_the_early_return() {
    mutex mu;
    int jobs = 1;
    wait_group wg;
    for (int i = 0; i < 2; ++i)
        wg.go([&] {
            mu.lock();
            if (jobs == 0) {
                if (right) mu.unlock();
                return;
            }
            mu.unlock();
            mu.lock();
            if (jobs > 0) --jobs;
            mu.unlock();
        });
    wg.wait();
    std::lock_guard lock(mu);
}

// What was read under the lock is old when it is written under the lock.
template <bool right>
void check_then_act() {
    mutex mu;
    int balance = 10;
    wait_group wg;
    for (int i = 0; i < 2; ++i)
        wg.go([&] {
            if (right) {
                std::lock_guard lock(mu);
                if (balance >= 10) balance -= 10;
                return;
            }
            mu.lock();
            const bool enough = balance >= 10;
            mu.unlock();
            if (!enough) return;
            std::lock_guard lock(mu);
            balance -= 10;
        });
    wg.wait();
    sim::check(balance >= 0, "overdrawn");
}

// A counter that is read and written in two sections loses an addition.
template <bool right>
void lost_update() {
    mutex mu;
    int n = 0;
    wait_group wg;
    for (int i = 0; i < 2; ++i)
        wg.go([&] {
            std::unique_lock lock(mu);
            const int seen = n;
            if (!right) {
                lock.unlock();
                lock.lock();
            }
            n = seen + 1;
        });
    wg.wait();
    sim::check(n == 2, "an addition is lost");
}

// Two find that it is not there yet.
template <bool right>
void made_twice() {
    rw_mutex rw;
    std::shared_ptr<int> instance;
    int made = 0;
    auto get = [&] {
        {
            std::shared_lock lock(rw);
            if (instance) return;
        }
        std::unique_lock lock(rw);
        if (right && instance) return;
        instance = std::make_shared<int>(++made);
    };
    wait_group wg;
    for (int i = 0; i < 2; ++i) wg.go(get);
    wg.wait();
    sim::check(made == 1, "made twice");
}

// Two that clean up both believe the lock to be theirs.
template <bool right>
void unlocked_twice() {
    mutex mu, guard;
    bool held = true;
    mu.lock();
    wait_group wg;
    for (int i = 0; i < 2; ++i)
        wg.go([&] {
            guard.lock();
            const bool mine = held;
            if (right) held = false;
            guard.unlock();
            if (!mine) return;
            mu.unlock();
            guard.lock();
            held = false;
            guard.unlock();
        });
    wg.wait();
}

template <bool right>
void philosophers() {
    mutex forks[3];
    wait_group wg;
    for (int i = 0; i < 3; ++i)
        wg.go([&, i] {
            int first = i, second = (i + 1) % 3;
            if (right && second < first) std::swap(first, second);
            std::lock_guard x(forks[first]);
            std::lock_guard y(forks[second]);
        });
    wg.wait();
}

// Reads, and wants to write without giving the reading up.
template <bool right>
void upgrade() {
    rw_mutex rw;
    int n = 0;
    wait_group wg;
    for (int i = 0; i < 2; ++i)
        wg.go([&] {
            rw.lock_shared();
            const bool needed = n < 5;
            if (right) rw.unlock_shared();
            if (needed) {
                rw.lock();
                ++n;
                rw.unlock();
            }
            if (!right) rw.unlock_shared();
        });
    wg.wait();
}

// From a to b and from b to a, each locked in the order of the arguments.
template <bool right>
void transfer() {
    struct Account {
        mutex mu;
        int money = 10;
    } a, b;
    auto move = [](Account& from, Account& to) {
        if (right) {
            std::scoped_lock both(from.mu, to.mu);
            --from.money;
            ++to.money;
        } else {
            std::lock_guard x(from.mu);
            std::lock_guard y(to.mu);
            --from.money;
            ++to.money;
        }
    };
    wait_group wg;
    wg.go([&] { move(a, b); });
    wg.go([&] { move(b, a); });
    wg.wait();
}

// stop waits for the loop, which needs the lock that stop holds.
template <bool right>
void stop_waits_under_the_lock() {
    mutex mu;
    bool stopping = false;
    auto done = make_chan<unit>();
    go([&, done] {
        for (;;) {
            std::lock_guard lock(mu);
            if (stopping) break;
        }
        done.close();
    });
    mu.lock();
    stopping = true;
    if (right) mu.unlock();
    done.recv();
    if (!right) mu.unlock();
}

// Notifies with the lock held, and the observer wants to leave, which takes the lock.
template <bool right>
void observer_leaves() {
    mutex mu;
    auto events = make_chan<int>();
    auto leaving = make_chan<unit>();
    wait_group wg;
    wg.go([&] {
        std::unique_lock lock(mu);
        if (right) {
            select(on_send(events, 1), on_recv(leaving));
        } else {
            events << 1;
        }
    });
    wg.go([&] {
        if (right) leaving.close();
        std::lock_guard lock(mu);
        if (!right) {
            int v = 0;
            events.try_recv(v);
        }
    });
    wg.wait();
}

// once calls itself, the second time it is used.
template <bool right>
void once_within_once() {
    once init;
    mutex mu;
    int users = 0;
    std::function<void()> start = [&] {
        init.call([&] {
            int n = 0;
            {
                std::lock_guard lock(mu);
                n = users;
            }
            if (n > 1 && !right) start();
        });
    };
    wait_group wg;
    for (int i = 0; i < 2; ++i)
        wg.go([&] {
            {
                std::lock_guard lock(mu);
                ++users;
            }
            start();
        });
    wg.wait();
}

}  // namespace gort::corpus
