// tests/sync_bias_test.cc - objects that belong to a P until another one wants them: rt/gate_fast.h, rt/biased_lock.h.
// SPDX-License-Identifier: BSD-2-Clause
#include <thread>

#include "rt/bias.h"
#include "rt/biased_lock.h"
#include "tests/sync_test.h"

using namespace gort;
using namespace gort::sync_test;

namespace {

// A P that has lost objects makes the next ones shared from the start: so many that it keeps bring it back.
void forgive() {
    for (int i = 0; i < 9000; ++i) {
        mutex mu;
        mu.lock();
        mu.unlock();
    }
}

// Both hammer on a new mutex; one of them comes when the other one has begun.
TEST_P(a_mutex_is_taken_away_while_it_is_used, 2, 4) {
    with_procs(procs, [] {
        for (int round = 0; round < 200; ++round) {
            if (round % 4 == 0) forgive();
            mutex mu;
            long plain = 0;
            std::atomic<int> begun{0};
            wait_group wg;
            for (int i = 0; i < 2; ++i)
                wg.go([&] {
                    for (int j = 0; j < 300; ++j) {
                        if (j % 3 == 0 && mu.try_lock()) {
                        } else {
                            mu.lock();
                        }
                        ++plain;
                        mu.unlock();
                        if (j == 10) {
                            ++begun;
                            for (int k = 0; k < 3 && begun < 2; ++k) yield();
                        }
                    }
                });
            wg.wait();
            CHECK_EQ(plain, 600);
        }
    });
}

TEST_P(a_mutex_is_taken_away_by_a_thread, 1, 2) {
    with_procs(procs, [] {
        for (int round = 0; round < 50; ++round) {
            mutex mu;
            long plain = 0;
            mu.lock();  // it is this P's
            mu.unlock();
            std::atomic<bool> there{false};
            std::thread t([&] {
                there = true;
                for (int j = 0; j < 500; ++j) {
                    mu.lock();
                    ++plain;
                    mu.unlock();
                }
            });
            while (!there) yield();
            for (int j = 0; j < 500; ++j) {
                mu.lock();
                ++plain;
                mu.unlock();
            }
            blocking([&] { t.join(); });
            CHECK_EQ(plain, 1000);
        }
    });
}

TEST_P(a_wait_group_is_taken_away_while_it_is_used, 2, 4) {
    with_procs(procs, [] {
        for (int round = 0; round < 200; ++round) {
            if (round % 4 == 0) forgive();
            wait_group wg, end;
            for (int i = 0; i < 4; ++i)
                end.go([&] {
                    for (int j = 0; j < 100; ++j) {
                        wg.add(2);
                        wg.done();
                        if (j % 10 == 0) yield();
                        wg.done();
                    }
                });
            end.wait();
            wg.wait();  // would never return, or would have panicked, had a count been lost
        }
    });
}

// Before there is a runtime, on a thread that never calls in otherwise, and after a run that left it biased.
TEST(without_a_runtime) {
    mutex mu;
    mu.lock();
    CHECK(!mu.try_lock());
    mu.unlock();
    mutex other;
    wait_group wg;
    with_procs(2, [&] {
        other.lock();
        other.unlock();
        wg.add(1);
    });
    CHECK(other.try_lock());
    CHECK(!other.try_lock());
    other.unlock();
    wg.done();
    wg.wait();
}

// One P alone makes the lock its own; a thread takes it away; nobody loses a count.
TEST_P(a_biased_lock_changes_hands, 2, 4) {
    with_procs(procs, [] {
        static rt::BiasedLock lock{kernel::LockRank::kSema};
        long plain = 0;
        auto hammer = [&](int n) {
            for (int i = 0; i < n; ++i) {
                rt::M* mp = rt::enter();
                lock.lock();
                ++plain;
                lock.unlock();
                rt::leave(mp);
                if (i % 500 == 0) yield();
            }
        };
        hammer(3000);
        std::thread t([&] { hammer(20000); });
        wait_group wg;
        for (int i = 0; i < 3; ++i) wg.go([&] { hammer(20000); });
        wg.wait();
        blocking([&] { t.join(); });
        hammer(3000);
        CHECK_EQ(plain, 86000);
    });
}

}  // namespace
