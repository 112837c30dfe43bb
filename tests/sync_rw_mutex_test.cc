// tests/sync_rw_mutex_test.cc - gort::rw_mutex: readers and writers, their order, misuse.
// SPDX-License-Identifier: BSD-2-Clause
//
// The ids (RW-…, MM-…, DL-…) are those of the list of Go's behaviours.
#include <mutex>
#include <shared_mutex>

#include "tests/sync_test.h"

using namespace gort;
using namespace gort::sync_test;

namespace {

// RW-15
constinit rw_mutex global_rw;
static_assert(!std::is_copy_constructible_v<rw_mutex> && !std::is_move_constructible_v<rw_mutex>);

// Where its waiters are: see rt/sync/rw_mutex.cc.
int waiting_readers(const rw_mutex& rw) { return waiting(&rw); }
int waiting_writer(const rw_mutex& rw) { return waiting(reinterpret_cast<const char*>(&rw) + 4); }
int queued_writers(const rw_mutex& rw) { return waiting(reinterpret_cast<const char*>(&rw) + 8); }

// So many reads in a row that readers count in their P's places.
void read_often(rw_mutex& rw) {
    for (int i = 0; i < 5000; ++i) {
        rw.lock_shared();
        rw.unlock_shared();
    }
}

// RW-01, RW-04, RW-06: +1 for each reader inside, +10000 for each writer.
void hammer(int readers, int rounds, bool foreign) {
    rw_mutex rw;
    std::atomic<int> activity{0};
    auto reader = [&](int n) {
        for (int i = 0; i < n; ++i) {
            rw.lock_shared();
            const int seen = activity.fetch_add(1) + 1;
            CHECK(seen >= 1 && seen < 10000);
            for (int j = 0; j < 100; ++j) asm volatile("");
            if (i % 20 == 0) yield();
            activity.fetch_sub(1);
            rw.unlock_shared();
        }
    };
    auto writer = [&](int n) {
        for (int i = 0; i < n; ++i) {
            rw.lock();
            CHECK_EQ(activity.fetch_add(10000) + 10000, 10000);
            for (int j = 0; j < 100; ++j) asm volatile("");
            if (i % 20 == 0) yield();
            activity.fetch_sub(10000);
            rw.unlock();
        }
    };
    wait_group wg;
    wg.go([&] { writer(rounds); });
    int i = 0;
    for (; i < readers / 2; ++i) wg.go([&] { reader(rounds); });
    wg.go([&] { writer(rounds); });
    for (; i < readers; ++i) wg.go([&] { reader(rounds); });
    std::vector<std::thread> threads;
    if (foreign) {
        threads.emplace_back([&] { reader(rounds); });
        threads.emplace_back([&] { writer(rounds / 4); });
    }
    wg.wait();
    blocking([&] {
        for (auto& t : threads) t.join();
    });
}

TEST_P(RW_01_many_readers_or_one_writer, 1, 2, 4, 10) {
    with_procs(procs, [] {
        for (int readers : {1, 3, 10}) hammer(readers, 500, false);
    });
}
TEST_P(RW_01_with_foreign_threads, 1, 2, 8) {
    with_procs(procs, [] { hammer(4, 500, true); });
}
TEST_STRESS_P(RW_01_for_long, 2, 8) {
    with_procs(procs, [] {
        for (int i = 0; i < 20; ++i) hammer(10, 5000, i % 2 == 0);
    });
}

TEST_P(RW_02_readers_are_inside_together, 1, 2, 8) {
    for (bool places : {false, true})
        with_procs(procs, [places] {
            rw_mutex rw;
            if (places) read_often(rw);
            std::atomic<int> inside{0};
            wait_group wg;
            for (int i = 0; i < 4; ++i)
                wg.go([&] {
                    rw.lock_shared();
                    ++inside;
                    EVENTUALLY(inside == 4);
                    rw.unlock_shared();
                });
            wg.wait();
            CHECK(rw.try_lock());
            rw.unlock();
        });
}

TEST_P(RW_03_a_waiting_writer_stops_new_readers, 1, 2, 8) {
    for (bool places : {false, true})
        with_procs(procs, [places] {
            rw_mutex rw;
            if (places) read_often(rw);
            rw.lock_shared();
            wait_group wg;
            std::string log;
            wg.go([&] {
                rw.lock();
                log += "writer ";
                rw.unlock();
            });
            EVENTUALLY(waiting_writer(rw) == 1);
            CHECK(!rw.try_lock_shared());
            CHECK(!rw.try_lock());
            wg.go([&] {
                rw.lock_shared();
                log += "reader ";
                rw.unlock_shared();
            });
            EVENTUALLY(waiting_readers(rw) == 1);
            rw.unlock_shared();
            wg.wait();
            CHECK_EQ(log, "writer reader ");
        });
}

TEST_P(RW_05_readers_that_wait_get_in_before_the_next_writer, 1, 2, 8) {
    with_procs(procs, [] {
        rw_mutex rw;
        std::atomic<int> readers_in{0};
        std::atomic<bool> writer_in{false};
        wait_group wg;
        rw.lock();
        for (int i = 0; i < 3; ++i)
            wg.go([&] {
                rw.lock_shared();
                CHECK(!writer_in);
                ++readers_in;
                EVENTUALLY(readers_in == 3);
                rw.unlock_shared();
            });
        EVENTUALLY(waiting_readers(rw) == 3);
        wg.go([&] {
            rw.lock();
            writer_in = true;
            CHECK_EQ(readers_in, 3);
            rw.unlock();
        });
        EVENTUALLY(queued_writers(rw) == 1);
        rw.unlock();
        wg.wait();
    });
}

TEST_P(RW_06_writers_are_served_first_come_first_served, 1, 2) {
    with_procs(procs, [] {
        rw_mutex rw;
        std::vector<int> order;
        wait_group wg;
        rw.lock();
        for (int i = 0; i < 5; ++i) {
            wg.go([&, i] {
                rw.lock();
                order.push_back(i);
                rw.unlock();
            });
            EVENTUALLY(queued_writers(rw) == i + 1);
        }
        rw.unlock();
        wg.wait();
        CHECK(order == std::vector<int>({0, 1, 2, 3, 4}));
    });
}

TEST(RW_07_RW_13_reading_twice_around_a_writer_is_a_deadlock) {
    Died d = run_dying(1, [] {
        rw_mutex rw;
        rw.lock_shared();
        go([&] { rw.lock(); });
        EVENTUALLY(waiting_writer(rw) == 1);
        rw.lock_shared();
    });
    CHECK_DIED(d, d.exit_code() == 2 && d.first_line() == kDeadlock);
    CHECK_DIED(d, d.matches("^goroutine 1 \\[sync\\.RWMutex\\.RLock\\]:$"));
    CHECK_DIED(d, d.matches("^goroutine [0-9]+ \\[sync\\.RWMutex\\.Lock\\]:$"));
}
TEST(RW_13_DL_01_a_writer_that_waits_for_a_writer) {
    Died d = run_dying(1, [] {
        rw_mutex rw;
        rw.lock();
        rw.lock();
    });
    CHECK_DIED(d, d.exit_code() == 2 && d.first_line() == kDeadlock);
    CHECK_DIED(d, d.matches("^goroutine 1 \\[sync\\.RWMutex\\.Lock\\]:$"));
}

template <class F>
void dies_of(const char* text, F f) {
    Died d = run_dying(1, [f] {
        try {
            rw_mutex rw;
            f(rw);
        } catch (...) {
        }
    });
    CHECK_DIED(d, d.exit_code() == 2 && d.first_line() == std::string("fatal error: ") + text);
}
TEST(RW_08_unlock_of_what_is_not_locked) {
    constexpr const char* text = "sync: Unlock of unlocked RWMutex";
    dies_of(text, [](rw_mutex& rw) { rw.unlock(); });
    dies_of(text, [](rw_mutex& rw) {
        rw.lock_shared();
        rw.unlock();
    });
    dies_of(text, [](rw_mutex& rw) {
        rw.lock();
        rw.unlock();
        rw.unlock();
    });
    dies_of(text, [](rw_mutex& rw) {
        read_often(rw);
        rw.lock_shared();
        rw.unlock();
    });
}
TEST(RW_09_unlock_shared_of_what_is_not_read) {
    constexpr const char* text = "sync: RUnlock of unlocked RWMutex";
    dies_of(text, [](rw_mutex& rw) { rw.unlock_shared(); });
    dies_of(text, [](rw_mutex& rw) {
        rw.lock();
        rw.unlock_shared();
    });
    dies_of(text, [](rw_mutex& rw) {
        rw.lock_shared();
        rw.unlock_shared();
        rw.unlock_shared();
    });
    dies_of(text, [](rw_mutex& rw) {
        read_often(rw);
        rw.unlock_shared();
    });
}

TEST_P(RW_10_the_tries, 1, 2) {
    for (bool places : {false, true})
        with_procs(procs, [places] {
            rw_mutex rw;
            if (places) read_often(rw);
            CHECK(rw.try_lock());
            CHECK(!rw.try_lock());
            CHECK(!rw.try_lock_shared());
            rw.unlock();
            CHECK(rw.try_lock_shared());
            CHECK(rw.try_lock_shared());
            CHECK(!rw.try_lock());
            rw.unlock_shared();
            CHECK(!rw.try_lock());
            rw.unlock_shared();
            CHECK(rw.try_lock());
            rw.unlock();
        });
}

TEST_P(RW_11_others_may_unlock, 1, 2, 8) {
    for (bool places : {false, true})
        with_procs(procs, [places] {
            rw_mutex rw;
            if (places) read_often(rw);
            wait_group wg;
            for (int i = 0; i < 100; ++i) rw.lock_shared();
            for (int i = 0; i < 50; ++i) wg.go([&] { rw.unlock_shared(); });
            std::thread t([&] {
                for (int i = 0; i < 50; ++i) rw.unlock_shared();
            });
            wg.wait();
            blocking([&] { t.join(); });
            rw.lock();
            wg.go([&] { rw.unlock(); });
            wg.wait();
            CHECK(rw.try_lock());
            rw.unlock();
        });
}

TEST_P(RW_12_a_read_locker_is_a_reader, 1, 2) {
    with_procs(procs, [] {
        rw_mutex rw;
        auto one = rw.rlocker(), two = rw.rlocker();
        {
            std::scoped_lock both(one, two);
            CHECK(!rw.try_lock());
            CHECK(rw.try_lock_shared());
            rw.unlock_shared();
        }
        rw.lock();
        CHECK(!one.try_lock());
        rw.unlock();
    });
}

// MX-15's sister: what the standard asks of a SharedLockable.
TEST_P(RW_15_standard_locks, 1, 2) {
    with_procs(procs, [] {
        rw_mutex a, b;
        long plain = 0;
        lock_both_in_either_order(a, b, &plain, 200, [&] {
            std::shared_lock reader(a);
            CHECK(plain > 0);
        });
        std::unique_lock writer(a, std::try_to_lock);
        CHECK(writer.owns_lock());
        CHECK_EQ(plain, 800);
    });
}

// MM-09: readers see what the writer wrote, the writer changes it when they have left. TSan looks on.
TEST_P(MM_09_edges, 1, 2, 8) {
    with_procs(procs, [] {
        rw_mutex rw;
        struct {
            long a = 0, b = 0;
        } plain;
        wait_group wg;
        for (int i = 0; i < 4; ++i)
            wg.go([&] {
                for (int j = 0; j < 3000; ++j) {
                    rw.lock_shared();
                    CHECK_EQ(plain.a, plain.b);
                    if (j % 64 == 0) yield();
                    rw.unlock_shared();
                }
            });
        wg.go([&] {
            for (int j = 0; j < 100; ++j) {
                rw.lock();
                ++plain.a;
                yield();
                ++plain.b;
                rw.unlock();
                for (int k = 0; k < 20; ++k) yield();
            }
        });
        wg.wait();
    });
}

// A run's end leaves readers and writers behind; the lock of the next run at the same place knows nothing of them.
TEST_P(abandoned_waiters_leave_no_trace, 1, 2, 8) {
    alignas(rw_mutex) static unsigned char place[sizeof(rw_mutex)];
    for (int i = 0; i < 3; ++i) {
        auto* rw = new (place) rw_mutex;
        with_procs(procs, [rw] {
            read_often(*rw);
            CHECK(rw->try_lock());
            rw->unlock();
            read_often(*rw);
            std::atomic<bool> in{false};
            go([rw, &in] {
                rw->lock_shared();
                in = true;
                select();
            });
            EVENTUALLY(in.load());
            go([rw] { rw->lock(); });
            EVENTUALLY(waiting_writer(*rw) == 1);
            go([rw] { rw->lock(); });
            go([rw] { rw->lock_shared(); });
            EVENTUALLY(queued_writers(*rw) == 1 && waiting_readers(*rw) == 1);
        });
        rw->~rw_mutex();
    }
}

}  // namespace
