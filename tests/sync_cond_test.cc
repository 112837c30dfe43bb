// tests/sync_cond_test.cc - gort::cond: who is woken, by what, and nobody else.
// SPDX-License-Identifier: BSD-2-Clause
//
// The ids (CO-…, MM-…, DL-…) are those of the list of Go's behaviours.
#include <algorithm>
#include <mutex>

#include "tests/sync_test.h"

using namespace gort;
using namespace gort::sync_test;

namespace {

// CO-10
static_assert(!std::is_copy_constructible_v<cond> && !std::is_move_constructible_v<cond>);
struct Member {
    mutex mu;
    cond changed{mu};
};

// A lock that is none of ours.
struct ChanLock {
    chan<unit> c = make_chan<unit>(1);
    void lock() { c << unit{}; }
    void unlock() { c.recv(); }
};

// CO-01, CO-02: nothing is lost between the unlock and the sleep, whatever the lock.
template <class L>
void hand_a_state_on(L& lock) {
    for (int round = 0; round < 300; ++round) {
        int x = 0;
        cond c(lock);
        wait_group wg;
        wg.go([&] {
            std::lock_guard guard(lock);
            x = 1;
            c.wait();
            CHECK_EQ(x, 2);
            x = 3;
            c.signal();
        });
        wg.go([&] {
            for (bool done = false; !done; yield()) {
                std::lock_guard guard(lock);
                if (x == 1) {
                    x = 2;
                    c.signal();
                    done = true;
                }
            }
        });
        wg.go([&] {
            for (bool done = false; !done; yield()) {
                std::lock_guard guard(lock);
                if (x == 2) {
                    c.wait();
                    CHECK_EQ(x, 3);
                    done = true;
                } else if (x == 3) {
                    done = true;
                }
            }
        });
        wg.wait();
    }
}
TEST_P(CO_01_02_works_with_any_lock, 1, 2, 8) {
    with_procs(procs, [] {
        mutex mu;
        hand_a_state_on(mu);
        rw_mutex rw;
        hand_a_state_on(rw);
        ChanLock cl;
        hand_a_state_on(cl);
        auto reader = rw.rlocker();
        cond c(reader);
        wait_group wg;
        wg.go([&] {
            reader.lock();
            c.wait();
            reader.unlock();
        });
        EVENTUALLY(waiting(&c) == 1);
        EVENTUALLY(rw.try_lock());  // it queues before it unlocks
        rw.unlock();
        EVENTUALLY(waiting(&c) == 1);
        c.signal();
        wg.wait();
    });
}

// CO-03: every wait that returns was told to.
TEST_P(CO_03_no_spurious_wake_ups, 1, 2, 8) {
    with_procs(procs, [] {
        Member m;
        long told = 0, woken = 0;
        constexpr int n = 4, each = 3000;
        wait_group wg;
        for (int i = 0; i < n; ++i)
            wg.go([&] {
                for (int j = 0; j < each; ++j) {
                    std::lock_guard guard(m.mu);
                    m.changed.wait();
                    ++woken;
                    CHECK(woken <= told);
                }
            });
        while (told < n * each) {
            {
                std::lock_guard guard(m.mu);
                if (waiting(&m.changed) > 0) {
                    ++told;
                    m.changed.signal();
                }
            }
            yield();
        }
        wg.wait();
        CHECK_EQ(woken, n * each);
    });
}

TEST_P(CO_04_signal_wakes_one_and_is_not_remembered, 1, 2, 8) {
    with_procs(procs, [] {
        Member m;
        int woken = 0;
        m.changed.signal();
        m.changed.broadcast();
        wait_group wg;
        for (int i = 0; i < 2; ++i)
            wg.go([&] {
                std::lock_guard guard(m.mu);
                m.changed.wait();
                ++woken;
            });
        EVENTUALLY(waiting(&m.changed) == 2);
        for (int left = 1; left >= 0; --left) {
            {
                std::lock_guard guard(m.mu);
                m.changed.signal();
                CHECK_EQ(waiting(&m.changed), left);
            }
            for (bool seen = false; !seen; yield()) {
                std::lock_guard guard(m.mu);
                seen = woken == 2 - left;
                CHECK(woken <= 2 - left);
            }
        }
        wg.wait();
        m.changed.signal();
    });
}

TEST_P(CO_05_the_oldest_is_woken, 1, 2, 8) {
    with_procs(procs, [] {
        Member m;
        std::vector<int> order;
        wait_group wg;
        constexpr int n = 100;
        for (int i = 0; i < n; ++i) {
            wg.go([&, i] {
                std::lock_guard guard(m.mu);
                m.changed.wait();
                order.push_back(i);
            });
            EVENTUALLY(waiting(&m.changed) == i + 1);
        }
        for (int i = 0; i < n; ++i) {
            m.changed.signal();
            for (bool seen = false; !seen; yield()) {
                std::lock_guard guard(m.mu);
                seen = int(order.size()) == i + 1;
            }
        }
        wg.wait();
        CHECK(std::is_sorted(order.begin(), order.end()));
    });
}

TEST_P(CO_06_broadcast_wakes_all_that_are_there_once, 1, 2, 8) {
    with_procs(procs, [] {
        Member m;
        constexpr int n = 50, rounds = 50;
        std::vector<int> wakes(n);
        int running = 0, round = 0;
        bool exit = false;
        wait_group wg;
        for (int g = 0; g < n; ++g)
            wg.go([&, g] {
                std::lock_guard guard(m.mu);
                while (!exit) {
                    ++running;
                    m.changed.wait();
                    if (!exit) CHECK_EQ(++wakes[size_t(g)], round);
                }
            });
        for (int r = 1; r <= rounds; ++r) {
            EVENTUALLY(waiting(&m.changed) == n);
            std::lock_guard guard(m.mu);
            CHECK_EQ(running, n);
            running = 0;
            round = r;
            m.changed.broadcast();
        }
        EVENTUALLY(waiting(&m.changed) == n);
        {
            std::lock_guard guard(m.mu);
            exit = true;
            m.changed.broadcast();
        }
        wg.wait();
        for (int w : wakes) CHECK_EQ(w, rounds);
    });
}

// CO-07, CO-08: broadcast without the lock while another one comes to wait.
TEST_P(CO_07_08_nobody_steals_a_wake_up, 1, 2, 8) {
    with_procs(procs, [] {
        for (int i = 0; i < 500; ++i) {
            Member m;
            wait_group first, all;
            first.add(1);
            all.go([&] {
                m.mu.lock();
                first.done();
                m.changed.wait();
                m.mu.unlock();
            });
            first.wait();
            m.mu.lock();
            m.mu.unlock();  // it waits
            std::atomic<bool> over{false}, late{false};
            all.go([&] {
                m.changed.broadcast();
                over = true;
            });
            all.go([&] {
                m.mu.lock();
                if (!over) m.changed.wait();
                m.mu.unlock();
                late = true;
            });
            EVENTUALLY(over.load());
            // Now the first one is through or on its way; the late one may have come to wait.
            while (!late) {
                m.changed.broadcast();
                yield();
            }
            all.wait();
        }
    });
}

TEST(CO_09_waiting_without_the_lock) {
    Died d = run_dying(1, [] {
        try {
            Member m;
            m.changed.wait();
        } catch (...) {
        }
    });
    CHECK_DIED(d, d.exit_code() == 2 && d.first_line() == "fatal error: sync: unlock of unlocked mutex");
    d = run_dying(1, [] {
        rw_mutex rw;
        cond c(rw);
        c.wait();
    });
    CHECK_DIED(d, d.exit_code() == 2 && d.first_line() == "fatal error: sync: Unlock of unlocked RWMutex");
}

TEST(CO_11_DL_01_a_wait_that_nobody_ends) {
    Died d = run_dying(1, [] {
        Member m;
        m.mu.lock();
        m.changed.wait();
    });
    CHECK_DIED(d, d.exit_code() == 2 && d.first_line() == kDeadlock);
    CHECK_DIED(d, d.matches("^goroutine 1 \\[sync\\.Cond\\.Wait\\]:$"));
    d = run_dying(1, [] {
        rw_mutex rw;
        cond c(rw);
        rw.lock();
        c.wait();
    });
    CHECK_DIED(d, d.matches("^goroutine 1 \\[sync\\.Cond\\.Wait\\]:$"));
}

TEST_P(CO_02_foreign_threads_wait_and_signal, 1, 2) {
    with_procs(procs, [] {
        Member m;
        int turn = 0;
        constexpr int rounds = 300;
        std::thread t([&] {
            std::lock_guard guard(m.mu);
            for (int i = 0; i < rounds; ++i) {
                while (turn != 1) m.changed.wait();
                turn = 0;
                m.changed.signal();
            }
        });
        {
            std::lock_guard guard(m.mu);
            for (int i = 0; i < rounds; ++i) {
                turn = 1;
                m.changed.signal();
                while (turn != 0) m.changed.wait();
            }
        }
        blocking([&] { t.join(); });
    });
}

// MM-13: what was written before a signal without the lock.
TEST_P(MM_13_signal_orders, 1, 2, 8) {
    with_procs(procs, [] {
        for (int i = 0; i < 300; ++i) {
            Member m;
            int plain = 0;
            wait_group wg;
            wg.go([&] {
                std::lock_guard guard(m.mu);
                m.changed.wait();
                CHECK_EQ(plain, 1);
            });
            EVENTUALLY(waiting(&m.changed) == 1);
            plain = 1;
            m.changed.signal();
            wg.wait();
        }
    });
}

// Those that have queued but do not sleep yet are unlinked at a run's end as well.
TEST_P(abandoned_waiters_leave_no_trace, 1, 2, 8) {
    static mutex mu;
    static cond c(mu);
    struct Forever {
        void lock() {}
        void unlock() { select(); }  // never comes back
    };
    static Forever lock;
    static cond odd(lock);
    for (int i = 0; i < 3; ++i)
        with_procs(procs, [] {
            go([] {
                mu.lock();
                c.wait();
            });
            go([] { odd.wait(); });
            EVENTUALLY(waiting(&c) == 1 && waiting(&odd) == 1);
        });
    with_procs(procs, [] {
        CHECK_EQ(waiting(&c), 0);
        CHECK_EQ(waiting(&odd), 0);
        wait_group wg;
        wg.go([] {
            std::lock_guard guard(mu);
            c.wait();
        });
        EVENTUALLY(waiting(&c) == 1);
        c.signal();
        wg.wait();
    });
}

}  // namespace
