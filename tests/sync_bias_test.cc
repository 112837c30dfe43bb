// tests/sync_bias_test.cc - objects that belong to a P until another one wants them: rt/own/owner.h.
// SPDX-License-Identifier: BSD-2-Clause
#include <thread>

#include "rt/own/owned_lock.h"
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

// Before there is a runtime, on a thread that never calls in otherwise, and after a run that left it a P's own.
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

const detail::Owner& owner_of(const mutex& mu) {
    return reinterpret_cast<const detail::MutexWord&>(mu).owner;
}
const detail::Owner& owner_of(const wait_group& wg) {
    return reinterpret_cast<const detail::WaitGroupWord&>(wg).owner;
}
bool shared(const auto& object) { return owner_of(object).whose == detail::kShared; }
bool mine(const auto& object) { return owner_of(object).whose == rt::self()->place; }

// Uses it n times, and another thread once.
void use(mutex& mu, int n) {
    for (int i = 0; i < n; ++i) {
        mu.lock();
        mu.unlock();
    }
}
void use(wait_group& wg, int n) {
    for (int i = 0; i < n; ++i) wg.add(i % 2 ? -1 : 1);
}
void use_elsewhere(auto& object) {
    blocking([&] { std::thread([&] { use(object, 2); }).join(); });
}

void is_earned_back(auto& object) {
    use(object, 2);
    CHECK(mine(object));
    for (int streak = 2 * detail::Owner::kStreak, i = 0; i < 3; ++i, streak *= 2) {
        use_elsewhere(object);
        CHECK(shared(object));
        use(object, streak - 2);
        CHECK(shared(object));
        use(object, 4);
        CHECK(mine(object));
    }
}

TEST(what_one_p_alone_uses_again_is_earned_back) {
    with_procs(1, [] {
        mutex mu;
        is_earned_back(mu);
        wait_group wg;
        CHECK(mine(wg));  // who makes it is the first to use it
        is_earned_back(wg);
        wg.wait();
    });
}

// Who has seen that it is shared, and comes with his compare and swap when it has become a P's, gets nothing.
TEST(a_late_swap_fails) {
    with_procs(1, [] {
        mutex mu;
        use(mu, 1);
        auto& word = reinterpret_cast<detail::MutexWord&>(mu);
        CHECK(mine(mu));
        CHECK(!detail::mutex_take_shared(&word));
        use_elsewhere(mu);
        CHECK(detail::mutex_take_shared(&word));
        mu.unlock();
    });
}

// A P that has lost too many makes its next ones shared, until it has made enough of them.
TEST(a_p_that_loses_objects_makes_shared_ones) {
    with_procs(1, [] {
        forgive();
        for (const int expected : {0, 0, 1, 127, 127}) {
            int n = 0;
            for (;; ++n) {
                wait_group wg;
                use(wg, 2);
                if (!mine(wg)) continue;
                use_elsewhere(wg);
                break;
            }
            CHECK_EQ(n, expected);
        }
    });
}

// Bursts on what all use, long enough to make it one's own; and who waits sleeps meanwhile.
TEST_P(bursts_on_mutexes_and_groups_that_change_hands, 2, 8) {
    with_procs(procs, [&] {
        for (int round = 0; round < 60; ++round) {
            forgive();
            constexpr int kObjects = 3;
            mutex mus[kObjects];
            long plain[kObjects] = {}, total = 0;
            wait_group groups[kObjects], end;
            for (wait_group& wg : groups) wg.add(1);
            std::atomic<long> locked{0}, woken{0};
            auto worker = [&](unsigned id) {
                unsigned r = (static_cast<unsigned>(round) * 16 + id) * 2654435761u + 1;
                for (int burst = 0; burst < 8; ++burst) {
                    r = r * 1664525u + 1013904223u;
                    const unsigned at = (r >> 8) % kObjects;
                    const unsigned n = (r >> 12) % (8 * detail::Owner::kStreak);
                    for (unsigned i = 0; i < n; ++i) {
                        if (i % 7 || !mus[at].try_lock()) mus[at].lock();
                        ++plain[at];
                        mus[at].unlock();
                        ++locked;
                        groups[at].add(2);
                        groups[at].add(-2);
                        if (i % 100 == 99) yield();
                    }
                }
            };
            for (wait_group& wg : groups)
                for (int i = 0; i < 2; ++i)
                    end.go([&] {
                        wg.wait();
                        ++woken;
                    });
            wait_group workers;
            for (unsigned i = 0; i < 4; ++i) workers.go([&, i] { worker(i); });
            std::thread foreign([&] { worker(9); });
            workers.wait();
            blocking([&] { foreign.join(); });
            for (wait_group& wg : groups) wg.done();
            end.wait();
            for (long n : plain) total += n;
            CHECK_EQ(total, locked.load());
            CHECK_EQ(woken.load(), 2l * kObjects);
        }
    });
}

// One P alone makes the lock its own; a thread takes it away; nobody loses a count.
TEST_P(an_owned_lock_changes_hands, 2, 4) {
    with_procs(procs, [] {
        static rt::OwnedLock lock{kernel::LockRank::kSema};
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
