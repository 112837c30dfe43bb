// tests/sync_timed_test.cc - locks with time limits, recursive_mutex, condition_variable.
// SPDX-License-Identifier: BSD-2-Clause
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <shared_mutex>

#include "rt/time/clock.h"
#include "tests/sync_test.h"

using namespace gort;
using namespace gort::sync_test;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

// The std's requirements, by name.
template <class L>
concept BasicLockable = requires(L& l) {
    l.lock();
    l.unlock();
};
template <class L>
concept Lockable = BasicLockable<L> && requires(L& l) {
    { l.try_lock() } -> std::same_as<bool>;
};
template <class L>
concept TimedLockable = Lockable<L> && requires(L& l) {
    { l.try_lock_for(1ms) } -> std::same_as<bool>;
    { l.try_lock_until(Clock::now()) } -> std::same_as<bool>;
    { l.try_lock_until(std::chrono::system_clock::now()) } -> std::same_as<bool>;
};
template <class L>
concept SharedTimedLockable = requires(L& l) {
    l.lock_shared();
    l.unlock_shared();
    { l.try_lock_shared() } -> std::same_as<bool>;
    { l.try_lock_shared_for(1ms) } -> std::same_as<bool>;
    { l.try_lock_shared_until(Clock::now()) } -> std::same_as<bool>;
};
static_assert(TimedLockable<mutex> && TimedLockable<rw_mutex> && TimedLockable<recursive_mutex>);
static_assert(SharedTimedLockable<rw_mutex> && BasicLockable<rw_mutex::read_locker>);
static_assert(!std::is_copy_constructible_v<recursive_mutex> &&
              !std::is_move_constructible_v<recursive_mutex>);
static_assert(!std::is_copy_constructible_v<condition_variable> &&
              !std::is_move_constructible_v<condition_variable>);
static_assert(sizeof(mutex) == 8 && sizeof(condition_variable) == 4);
[[maybe_unused]] constinit recursive_mutex global_recursive;

TEST(std_wrappers_take_them) {
    with_procs(1, [] {
        mutex mu;
        rw_mutex rw;
        recursive_mutex rec;
        {
            std::scoped_lock all(mu, rw, rec);
            CHECK(!mu.try_lock() && !rw.try_lock() && rec.try_lock());
            rec.unlock();
        }
        std::unique_lock timed(mu, 1ms);
        CHECK(timed.owns_lock());
        CHECK(!std::unique_lock(mu, Clock::now() + 1ms).owns_lock());
        std::shared_lock read(rw, 1ms);
        CHECK(read.owns_lock() && std::shared_lock(rw, Clock::now()).owns_lock());
        CHECK(!std::unique_lock(rw, 1ms).owns_lock());
        std::unique_lock again(rec, 1ms);
        CHECK(again.owns_lock());
        timed.unlock();
        std::condition_variable_any any;  // blocks the thread, so only for who may
        CHECK(any.wait_for(mu.try_lock() ? mu : mu, 1us) == std::cv_status::timeout);
        mu.unlock();
    });
}

// Takes a lock as its two halves say, without knowing which.
struct Exclusive {
    template <class L>
    static bool until(L& l, Clock::time_point t) {
        return l.try_lock_until(t);
    }
    template <class L>
    static void unlock(L& l) {
        l.unlock();
    }
};
struct Shared {
    static bool until(rw_mutex& l, Clock::time_point t) { return l.try_lock_shared_until(t); }
    static void unlock(rw_mutex& l) { l.unlock_shared(); }
};

template <class How, class L>
void times_out_then_gets_it(L& l) {
    l.lock();
    auto tries = make_chan<bool>();
    go([&, tries] {
        const auto t = Clock::now() + 2ms;
        tries << How::until(l, t);
        CHECK(Clock::now() >= t);
        tries << How::until(l, Clock::time_point::min());
        tries << How::until(l, Clock::now() + 1h);
        How::unlock(l);
        tries << true;
    });
    CHECK(!tries.recv() && !tries.recv());
    for (int i = 0; i < 20; ++i) yield();
    CHECK_EQ(tries.len(), 0);
    l.unlock();
    CHECK(tries.recv() && tries.recv());
    CHECK(l.try_lock());
    l.unlock();
}

TEST_P(a_limit_ends_a_wait_and_a_lock_in_time_is_had, 1, 2) {
    with_procs(procs, [] {
        mutex mu;
        rw_mutex rw;
        recursive_mutex rec;
        times_out_then_gets_it<Exclusive>(mu);
        times_out_then_gets_it<Exclusive>(rw);
        times_out_then_gets_it<Shared>(rw);
        times_out_then_gets_it<Exclusive>(rec);
    });
}

// A writer that gives up lets the readers in whom it had stopped.
TEST_P(a_writer_that_gives_up_lets_readers_go_on, 1, 2) {
    with_procs(procs, [] {
        rw_mutex rw;
        rw.lock_shared();
        auto done = make_chan<int>();
        go([&] {
            CHECK(!rw.try_lock_for(3ms));
            done << 1;
        });
        EVENTUALLY(!rw.try_lock_shared() || (rw.unlock_shared(), false));  // the writer waits
        go([&] {
            rw.lock_shared();
            rw.unlock_shared();
            done << 2;
        });
        CHECK_EQ(done.recv() + done.recv(), 3);
        rw.unlock_shared();
        CHECK(rw.try_lock());
        rw.unlock();
    });
}

// Nobody gets lost and nobody is in twice, whatever comes first: the deadline, the lock, another waiter.
template <class L>
void limits_race(int procs) {
    with_procs(procs, [] {
        L l;
        long plain = 0;
        std::atomic<long> taken{0}, late{0};
        wait_group wg;
        for (int i = 0; i < 6; ++i)
            wg.go([&, i] {
                for (int j = 0; j < 1500 / (GORT_TEST_SANITIZER ? 10 : 1); ++j) {
                    if (i == 0) {
                        l.lock();
                    } else if (!l.try_lock_for(std::chrono::microseconds((i * j) % 9))) {
                        ++late;
                        yield();
                        continue;
                    }
                    ++plain;
                    if (j % 7 == 0) yield();
                    l.unlock();
                    ++taken;
                }
            });
        wg.wait();
        CHECK_EQ(plain, taken.load());
        CHECK(l.try_lock());
        l.unlock();
    });
}
TEST_P(limits_race_with_unlocks, 1, 2, 4) {
    limits_race<mutex>(procs);
    limits_race<rw_mutex>(procs);
    limits_race<recursive_mutex>(procs);
}

TEST(readers_with_limits_and_writers) {
    with_procs(2, [] {
        rw_mutex rw;
        std::atomic<int> in{0};
        wait_group wg;
        for (int i = 0; i < 4; ++i)
            wg.go([&, i] {
                for (int j = 0; j < 600; ++j) {
                    if (i == 0 ? rw.try_lock_for(20us) : rw.try_lock_shared_for(5us)) {
                        if (i == 0) {
                            CHECK_EQ(in.load(), 0);
                            rw.unlock();
                        } else {
                            ++in;
                            yield();
                            --in;
                            rw.unlock_shared();
                        }
                    }
                    yield();
                }
            });
        wg.wait();
        CHECK(rw.try_lock());
        rw.unlock();
    });
}

TEST(threads_wait_with_limits) {
    start();
    mutex mu;
    rw_mutex rw;
    condition_variable cv;
    mu.lock();
    rw.lock_shared();
    std::thread([&] {
        CHECK(!mu.try_lock_for(2ms));
        CHECK(!rw.try_lock_for(2ms));
        CHECK(rw.try_lock_shared_for(1h));
        rw.unlock_shared();
    }).join();
    rw.unlock_shared();
    std::thread waits([&] {
        CHECK(mu.try_lock_for(1h));
        mu.unlock();
    });
    std::unique_lock held(mu, std::adopt_lock);
    CHECK(cv.wait_for(held, 2ms) == std::cv_status::timeout && held.owns_lock());
    held.unlock();
    waits.join();
    CHECK(mu.try_lock());
    mu.unlock();
    stop();
}

// ---- recursive_mutex

TEST(recursive_locks_as_often_as_it_likes) {
    with_procs(2, [] {
        recursive_mutex mu;
        for (int i = 0; i < 3; ++i) mu.lock();
        CHECK(mu.try_lock() && mu.try_lock_for(0s) && mu.try_lock_until(Clock::now()));
        auto other = make_chan<bool>();
        go([&] { other << mu.try_lock(); });
        CHECK(!other.recv());
        for (int i = 0; i < 6; ++i) {
            go([&] { other << mu.try_lock_for(10us); });
            CHECK(!other.recv());
            mu.unlock();
        }
        go([&] {
            other << mu.try_lock();
            mu.unlock();
        });
        CHECK(other.recv());
        // by panic and goexit
        try {
            const std::lock_guard guard(mu);
            panic("out");
        } catch (const panic_error&) {
        }
        wait_group wg;
        wg.go([&] {
            const std::lock_guard guard(mu);
            goexit();
        });
        wg.wait();
        CHECK(mu.try_lock());
        mu.unlock();
    });
}
TEST_DIES(recursive_unlock_by_another, "sync: unlock of a recursive_mutex that the caller does not hold", 2) {
    with_procs(1, [] {
        recursive_mutex mu;
        mu.lock();
        wait_group wg;
        wg.go([&] { mu.unlock(); });
        wg.wait();
    });
}
TEST_DIES(recursive_unlock_of_unlocked, "sync: unlock of a recursive_mutex that the caller does not hold",
          2) {
    with_procs(1, [] { recursive_mutex().unlock(); });
}
TEST_DIES(recursive_deadlock_has_its_reason, "[sync.Mutex.Lock]", 2) {
    with_procs(1, [] {
        recursive_mutex mu;
        go([&] { mu.lock(); });
        yield();
        mu.lock();
    });
}

// ---- condition_variable

TEST_P(cv_a_queue, 1, 2, 4) {
    with_procs(procs, [] {
        mutex mu;
        condition_variable some, room;
        std::vector<int> queue;
        long sum = 0;
        constexpr int kEach = 400, kMakers = 3;
        wait_group wg;
        for (int i = 0; i < kMakers; ++i)
            wg.go([&] {
                for (int j = 1; j <= kEach; ++j) {
                    std::unique_lock lock(mu);
                    room.wait(lock, [&] { return queue.size() < 2; });
                    queue.push_back(j);
                    some.notify_one();
                }
            });
        for (int i = 0; i < kMakers; ++i)
            wg.go([&] {
                for (int j = 0; j < kEach; ++j) {
                    std::unique_lock lock(mu);
                    CHECK(some.wait_for(lock, 1h, [&] { return !queue.empty(); }));
                    sum += queue.back();
                    queue.pop_back();
                    room.notify_all();
                }
            });
        wg.wait();
        CHECK_EQ(sum, long{kMakers} * kEach * (kEach + 1) / 2);
    });
}

TEST_P(cv_limits, 1, 2) {
    with_procs(procs, [] {
        mutex mu;
        condition_variable cv;
        std::unique_lock lock(mu);
        auto t = Clock::now() + 2ms;
        CHECK(cv.wait_until(lock, t) == std::cv_status::timeout);
        CHECK(Clock::now() >= t && lock.owns_lock() && !mu.try_lock());
        CHECK(cv.wait_for(lock, 0s) == std::cv_status::timeout);
        CHECK(cv.wait_until(lock, std::chrono::system_clock::now() + 1ms) == std::cv_status::timeout);
        CHECK(!cv.wait_for(lock, 1ms, [] { return false; }));
        CHECK(!cv.wait_until(lock, Clock::now() + 1ms, [] { return false; }));
        CHECK(cv.wait_for(lock, -1s, [] { return true; }));
        // who gave up is not in the queue any more: the notify goes to one who waits
        bool there = false;
        wait_group wg;
        wg.go([&] {
            std::unique_lock mine(mu);
            cv.wait(mine, [&] { return there; });
        });
        EVENTUALLY((lock.unlock(), yield(), lock.lock(), waiting(&cv) == 1));
        there = true;
        cv.notify_one();
        lock.unlock();
        wg.wait();
        lock.lock();
        try {
            cv.wait_for(lock, 1h, []() -> bool { panic("from the predicate"); });
            CHECK(false);
        } catch (const panic_error&) {
            CHECK(lock.owns_lock());
        }
    });
}

TEST_P(cv_limits_race_with_notifies, 1, 2, 4) {
    with_procs(procs, [] {
        mutex mu;
        condition_variable cv;
        int tokens = 0, taken = 0;
        std::atomic<bool> over{false};
        wait_group waiters, makers;
        for (int i = 0; i < 4; ++i)
            waiters.go([&, i] {
                std::unique_lock lock(mu);
                for (int n = 0; !over.load() || tokens > 0; ++n)
                    if (cv.wait_for(lock, std::chrono::microseconds(n % 5 * i), [&] { return tokens > 0; })) {
                        --tokens;
                        ++taken;
                    }
            });
        const int each = GORT_TEST_SANITIZER ? 50 : 500;
        for (int i = 0; i < 2; ++i)
            makers.go([&] {
                for (int n = 0; n < each; ++n) {
                    {
                        const std::lock_guard lock(mu);
                        ++tokens;
                    }
                    cv.notify_one();
                    yield();
                }
            });
        makers.wait();
        over = true;
        waiters.wait();
        CHECK_EQ(taken, 2 * each);
    });
}

TEST_DIES(cv_wait_without_the_lock, "sync: unlock of unlocked mutex", 2) {
    with_procs(1, [] {
        mutex mu;
        condition_variable cv;
        std::unique_lock lock(mu, std::defer_lock);
        cv.wait_for(lock, 1ms);
    });
}
TEST_DIES(cv_deadlock_has_its_reason, "[sync.Cond.Wait]", 2) {
    with_procs(1, [] {
        mutex mu;
        condition_variable cv;
        std::unique_lock lock(mu);
        cv.wait(lock);
    });
}

}  // namespace
