// tests/sync_mutex_test.cc - gort::mutex: exclusion, order, starvation, misuse.
// SPDX-License-Identifier: BSD-2-Clause
//
// The ids (MX-…, MM-…, DL-…) are those of the list of Go's behaviours.
#include <memory>
#include <mutex>

#include "rt/time/clock.h"
#include "tests/sync_test.h"

using namespace gort;
using namespace gort::sync_test;
using namespace std::chrono_literals;

namespace {

// MX-01, MX-14, MX-15
[[maybe_unused]] constinit mutex global_mutex;
static_assert(!std::is_copy_constructible_v<mutex> && !std::is_move_constructible_v<mutex>);
static_assert(!std::is_copy_assignable_v<mutex> && !std::is_move_assignable_v<mutex>);
static_assert(sizeof(mutex) == 8);

// MX-02, MM-08, MM-10: the counter is plain, so lost counts and TSan show two inside at once.
TEST_P(MX_02_MM_08_one_at_a_time, 1, 2, 8) {
    with_procs(procs, [] {
        mutex mu;
        long plain = 0;
        wait_group wg;
        for (int i = 0; i < 10; ++i)
            wg.go([&] {
                for (int j = 0; j < 1000; ++j) {
                    if (j % 3 == 0) {
                        if (!mu.try_lock()) {
                            mu.lock();
                        }
                    } else {
                        mu.lock();
                    }
                    ++plain;
                    if (j % 50 == 0) yield();
                    mu.unlock();
                }
            });
        wg.wait();
        CHECK_EQ(plain, 10000);
    });
}

TEST_P(MX_02_with_foreign_threads, 1, 2, 8) {
    with_procs(procs, [] {
        mutex mu;
        long plain = 0;
        auto hammer = [&](int rounds) {
            for (int j = 0; j < rounds; ++j) {
                mu.lock();
                ++plain;
                if (j % 100 == 0) yield();
                mu.unlock();
            }
        };
        std::vector<std::thread> threads;
        for (int i = 0; i < 3; ++i) threads.emplace_back(hammer, 2000);
        wait_group wg;
        for (int i = 0; i < 4; ++i) wg.go([&] { hammer(2000); });
        wg.wait();
        blocking([&] {
            for (auto& t : threads) t.join();
        });
        CHECK_EQ(plain, 14000);
    });
}

TEST(MX_03_DL_01_a_second_lock_by_the_holder_blocks_for_ever) {
    Died d = run_dying(1, [] {
        mutex mu;
        mu.lock();
        mu.lock();
    });
    CHECK_DIED(d, d.exit_code() == 2 && d.first_line() == kDeadlock);
    CHECK_DIED(d, d.matches("^goroutine 1 \\[sync\\.Mutex\\.Lock\\]:$"));
}

TEST_P(MX_04_another_goroutine_may_unlock, 1, 2) {
    with_procs(procs, [] {
        mutex mu;
        mu.lock();
        go([&] { mu.unlock(); });
        mu.lock();
        mu.unlock();
    });
}

TEST(MX_05_unlock_of_an_unlocked_mutex_cannot_be_caught) {
    Died d = run_dying(1, [] {
        try {
            mutex mu;
            mu.unlock();
        } catch (...) {
        }
    });
    CHECK_DIED(d, d.exit_code() == 2 && d.first_line() == "fatal error: sync: unlock of unlocked mutex");
    CHECK_DIED(d, d.matches("^goroutine 1 \\[running\\]:$"));
    d = run_dying(1, [] {
        mutex mu;
        mu.lock();
        mu.unlock();
        mu.unlock();
    });
    CHECK_DIED(d, d.exit_code() == 2 && d.first_line() == "fatal error: sync: unlock of unlocked mutex");
}

TEST_P(MX_06_try_lock_never_blocks, 1, 2) {
    with_procs(procs, [] {
        mutex mu;
        CHECK(mu.try_lock());
        CHECK(!mu.try_lock());
        go([&] { mu.lock(); });
        EVENTUALLY(waiting(&mu) == 1);
        CHECK(!mu.try_lock());
        mu.unlock();
        EVENTUALLY(waiting(&mu) == 0);
        yield();
        EVENTUALLY(!mu.try_lock());
        mu.unlock();
        CHECK(mu.try_lock());
        mu.unlock();
    });
}

TEST_P(MX_07_waiters_are_served_first_come_first_served, 1, 2, 8) {
    with_procs(procs, [] {
        mutex mu;
        std::vector<int> order;
        wait_group wg;
        mu.lock();
        for (int i = 0; i < 5; ++i) {
            wg.go([&, i] {
                mu.lock();
                order.push_back(i);
                mu.unlock();
            });
            EVENTUALLY(waiting(&mu) == i + 1);
        }
        mu.unlock();
        wg.wait();
        CHECK(order == std::vector<int>({0, 1, 2, 3, 4}));
    });
}

// MX-08: a woken waiter does not keep others from taking the lock before it runs.
TEST(MX_08_a_running_newcomer_may_be_first) {
    with_procs(1, [] {
        mutex mu;
        std::string log;
        wait_group wg;
        mu.lock();
        wg.go([&] {
            mu.lock();
            log += "waiter ";
            mu.unlock();
        });
        EVENTUALLY(waiting(&mu) == 1);
        for (int i = 0; i < 3; ++i) {  // with one P nobody else runs here
            mu.unlock();
            mu.lock();
            log += "newcomer ";
        }
        mu.unlock();
        wg.wait();
        CHECK_EQ(log, "newcomer newcomer newcomer waiter ");
    });
}

// A holder that gives the lock back for a moment only. No clock: without starvation mode this does not end.
TEST_P(MX_09_a_waiter_does_not_starve, 1, 2, 8) {
    with_procs(procs, [] {
        mutex mu;
        std::atomic<bool> stop{false};
        wait_group wg;
        wg.go([&] {
            while (!stop) {
                mu.lock();
                const int64_t until = rt::now() + 100'000;
                while (rt::now() < until) {
                }
                mu.unlock();
            }
        });
        for (int i = 0; i < 10; ++i) {
            sleep(100us);
            mu.lock();
            mu.unlock();
        }
        stop = true;
        wg.wait();
    });
}

bool starves(const mutex& mu) {
    rt::M* mp = rt::enter();
    rt::SemaSlot& slot = rt::sema_slot_of(&mu);
    slot.lock.lock();
    const rt::Waiter* root = slot.find(&mu);
    const bool yes = root && root->starving;
    slot.lock.unlock();
    rt::leave(mp);
    return yes;
}

// MX-09, MX-06, MX-10, MX-11: with one P everything can be told. A waiter that lost after a millisecond starves;
// then the lock is handed over, the new owner runs at once, and the mode ends with the last waiter.
TEST(MX_10_11_06_starvation_mode_begins_hands_over_and_ends) {
    with_procs(1, [] {
        mutex mu;
        std::string log;
        wait_group wg;
        mu.lock();
        for (const char* name : {"a ", "b "})
            wg.go([&, name] {
                mu.lock();
                log += name;
                mu.unlock();
            });
        EVENTUALLY(waiting(&mu) == 2);
        const int64_t until = rt::now() + 2'000'000;
        while (rt::now() < until) {
        }
        mu.unlock();  // wakes the first
        mu.lock();    // and is faster
        CHECK(!starves(mu));
        yield();  // it tries, in vain
        CHECK(starves(mu));
        CHECK_EQ(waiting(&mu), 2);
        CHECK(!mu.try_lock());
        log += "unlock ";
        mu.unlock();
        log += "after ";  // whoever was handed the lock has run
        wg.wait();
        CHECK(log.find("after") > log.find(log[7]));
        CHECK_EQ(log.find("unlock "), 0);
        CHECK_LT(log.find("unlock"), log.find("after"));
        CHECK(log.substr(7, 2) != "af");
        CHECK(!starves(mu));
        // Back to normal: a newcomer may be first again.
        log.clear();
        mu.lock();
        wg.go([&] {
            mu.lock();
            log += "waiter";
            mu.unlock();
        });
        EVENTUALLY(waiting(&mu) == 1);
        mu.unlock();
        mu.lock();
        log += "newcomer ";
        mu.unlock();
        wg.wait();
        CHECK_EQ(log, "newcomer waiter");
    });
}

// MX-13: no allocation, and nothing stays in the table.
TEST(MX_13_uncontended_locking_leaves_no_trace) {
    with_procs(1, [] {
        mutex mu;
        for (int i = 0; i < 100000; ++i) {
            mu.lock();
            mu.unlock();
        }
        CHECK_EQ(waiting(&mu), 0);
    });
}

TEST_P(MX_15_standard_locks, 1, 2, 8) {
    with_procs(procs, [] {
        mutex a, b;
        long plain = 0;
        lock_both_in_either_order(a, b, &plain, 300, [&] {
            std::lock_guard one(a);
            ++plain;
        });
        std::unique_lock tries(a, std::try_to_lock);
        CHECK(tries.owns_lock());
        std::unique_lock again(a, std::try_to_lock);
        CHECK(!again.owns_lock());
        CHECK_EQ(plain, 2400);
    });
}

TEST_P(MX_16_held_while_the_holder_sleeps_and_moves, 1, 2, 8) {
    with_procs(procs, [] {
        mutex mu;
        long plain = 0;
        wait_group wg;
        for (int i = 0; i < 8; ++i)
            wg.go([&] {
                for (int j = 0; j < 20; ++j) {
                    std::lock_guard guard(mu);
                    const long seen = plain;
                    sleep(10us);
                    yield();
                    plain = seen + 1;
                }
            });
        wg.wait();
        CHECK_EQ(plain, 160);
    });
}

// Whoever took it last may destroy it, although the unlock before that may not have returned: ASan looks on.
TEST_P(it_may_be_destroyed_by_its_last_owner, 2, 8) {
    struct Shared {
        mutex mu;
        int refs = 4;
    };
    with_procs(procs, [] {
        for (int round = 0; round < 500; ++round) {
            auto* s = new Shared;
            wait_group wg;
            for (int i = 0; i < 4; ++i)
                wg.go([s] {
                    s->mu.lock();
                    const bool last = --s->refs == 0;
                    s->mu.unlock();
                    if (last) delete s;
                });
            wg.wait();
        }
    });
}

// AT-05, AT-06, AT-07: many waiters on few objects, and many objects with a waiter each, in no particular order.
TEST_P(AT_05_06_07_many_waiters, 1, 2, 8) {
    with_procs(procs, [] {
        constexpr int n = 4000;
        mutex two[2];
        long plain[2] = {0, 0};
        wait_group wg;
        std::atomic<int> come{0};
        two[0].lock();
        two[1].lock();
        for (int i = 0; i < n; ++i)
            wg.go([&, i] {
                ++come;
                two[i % 2].lock();
                ++plain[i % 2];
                two[i % 2].unlock();
            });
        EVENTUALLY(come ==
                   n);  // first: to count thousands takes long, under the lock that those who come need
        EVENTUALLY(waiting(&two[0]) == n / 2 && waiting(&two[1]) == n / 2);
        two[0].unlock();
        two[1].unlock();
        wg.wait();
        CHECK_EQ(plain[0] + plain[1], n);
        std::vector<mutex> each(n);
        for (auto& mu : each) {
            mu.lock();
            wg.go([&mu] {
                mu.lock();
                mu.unlock();
            });
        }
        for (auto& mu : each) EVENTUALLY(waiting(&mu) == 1);
        for (size_t i = 0; i < n; ++i) each[i * 7919 % n].unlock();
        wg.wait();
    });
}

// A run's end leaves waiters behind; the next run finds none, and foreign threads that waited still wait.
TEST_P(abandoned_waiters_leave_no_trace, 1, 2, 8) {
    static mutex mu;
    std::thread foreign;
    std::atomic<bool> got{false};
    with_procs(procs, [&] {
        mu.lock();
        for (int i = 0; i < 3; ++i) go([] { mu.lock(); });
        EVENTUALLY(waiting(&mu) == 3);
        foreign = std::thread([&] {
            mu.lock();
            got = true;
            mu.unlock();
        });
        EVENTUALLY(waiting(&mu) == 4);
    });
    with_procs(procs, [&] {
        CHECK_EQ(waiting(&mu), 1);
        mu.unlock();
        EVENTUALLY(got.load());
    });
    foreign.join();
    CHECK(mu.try_lock());
    mu.unlock();
}

void hammer_for_long(int goroutines, int rounds) {
    mutex mu;
    long plain = 0;
    wait_group wg;
    for (int i = 0; i < goroutines; ++i)
        wg.go([&, i] {
            for (int j = 0; j < rounds; ++j) {
                mu.lock();
                ++plain;
                if ((i + j) % 97 == 0) yield();
                mu.unlock();
                if ((i + j) % 13 == 0) yield();
            }
        });
    wg.wait();
    CHECK_EQ(plain, long{goroutines} * rounds);
}
TEST_STRESS_P(MX_02_for_long, 1, 2, 8) {
    with_procs(procs, [] {
        for (int i = 0; i < 20; ++i) hammer_for_long(16, 20000);
    });
}

}  // namespace
