// tests/sync_mutex_test.cc - gort::mutex: exclusion, order, starvation, misuse.
// SPDX-License-Identifier: BSD-2-Clause
//
// The ids (MX-…, MM-…, DL-…) are those of the list of Go's behaviours.
#include <memory>
#include <mutex>

#include "tests/sync_test.h"

using namespace gort;
using namespace gort::sync_test;
using namespace std::chrono_literals;

namespace {

// MX-01, MX-14, MX-15
constinit mutex global_mutex;
static_assert(!std::is_copy_constructible_v<mutex> && !std::is_move_constructible_v<mutex>);
static_assert(!std::is_copy_assignable_v<mutex> && !std::is_move_assignable_v<mutex>);
static_assert(sizeof(mutex) == 4);

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

}  // namespace
