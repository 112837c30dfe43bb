// tests/kernel_lock_test.cc - futex, Mutex, Note and lock ranks.
// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/lock.h"

#include <signal.h>

#include "arch/arch.h"
#include "kernel/clock.h"
#include "kernel/counts.h"
#include "kernel/fatal.h"
#include "kernel/futex.h"
#include "kernel/lock_rank.h"
#include "kernel/rand.h"
#include "kernel/signal.h"
#include "kernel/thread.h"
#include "tests/kernel_test.h"

using namespace gort::kernel;
using namespace kernel_test;

// Until the other thread sleeps in the kernel. Only for waits that nothing but the test ends.
static void wait_until_asleep(const std::atomic<int>& tid) {
    EVENTUALLY(tid.load() != 0 && thread_state(tid.load()) == 'S');
}

// ---- futex ----

TEST(futex_wait_returns_at_once_when_the_word_differs) {
    std::atomic<uint32_t> word{1};
    CHECK_EQ(futex_wait(&word, 0), -EAGAIN);
    CHECK_EQ(futex_wait(&word, 1, 0), -ETIMEDOUT);
    CHECK_EQ(futex_wait(&word, 1, 1000), -ETIMEDOUT);
    CHECK_EQ(futex_wake(&word, 1), 0);
}

TEST(futex_wake_wakes_as_many_as_asked) {
    struct Shared {
        std::atomic<uint32_t> word{0};
        std::atomic<int> woken{0};
        std::atomic<int> tid[3]{};
        std::atomic<int> next{0};
    } s;
    Worker w[3];
    for (auto& one : w)
        one.start(
            [](void* p) {
                auto* sh = static_cast<Shared*>(p);
                sh->tid[sh->next++] = k::gettid();
                while (sh->word.load() == 0) {
                    if (futex_wait(&sh->word, 0) == 0) break;
                }
                ++sh->woken;
            },
            &s);
    for (const auto& tid : s.tid) wait_until_asleep(tid);
    CHECK_EQ(futex_wake(&s.word, 1), 1);
    EVENTUALLY(s.woken == 1);
    s.word = 1;
    CHECK_EQ(futex_wake(&s.word, 10), 2);
    for (auto& one : w) one.join();
    CHECK_EQ(s.woken, 3);
}

TEST(futex_wait_ends_with_a_signal) {
    static std::atomic<int> hits;
    set_signal(
        SIGUSR1, [](int, siginfo_t*, void*) { ++hits; }, 0, 0, nullptr);
    struct Shared {
        std::atomic<uint32_t> word{0};
        std::atomic<int> tid{0};
        std::atomic<int> result{1};
    } s;
    std::thread t([&s] {
        s.tid = k::gettid();
        s.result = futex_wait(&s.word, 0);
    });
    wait_until_asleep(s.tid);
    CHECK_EQ(signal_thread(s.tid, SIGUSR1), 0);
    t.join();
    CHECK_EQ(s.result, -EINTR);
    CHECK_EQ(hits, 1);
}

TEST(futex_wait_reports_an_injected_interruption) {
    std::atomic<uint32_t> word{0};
    INJECT(Sys::kFutex, 1, EINTR);
    CHECK_EQ(futex_wait(&word, 0), -EINTR);
    inject(Sys::kFutex, 1, EINTR);  // meant for a wait: a wake is not lost by it
    CHECK_EQ(futex_wake(&word, 1), 0);
}
#if defined(GORT_DEBUG)
TEST_DIES(futex_wait_dies_of_what_cannot_happen, "fatal error: futex wait: errno 38 (ENOSYS)", 2) {
    std::atomic<uint32_t> word{0};
    inject(Sys::kFutex, 1, ENOSYS);
    futex_wait(&word, 0);
}
TEST_DIES(futex_wake_dies_of_what_cannot_happen, "fatal error: futex wake: errno 22 (EINVAL)", 2) {
    std::atomic<uint32_t> word{0};
    inject(Sys::kFutex, 1, EINVAL);
    futex_wake(&word, 1);
}
#endif
TEST(futex_wake_of_memory_that_is_gone_wakes_nobody) {
    INJECT(Sys::kFutex, 1, EFAULT);
    std::atomic<uint32_t> word{0};
    CHECK_EQ(futex_wake(&word, 1), 0);
}

// ---- Mutex ----

struct Counted {
    Mutex m;
    long n GORT_GUARDED_BY(m) = 0;
    std::atomic<int> inside{0};
    int rounds = 0;
};
static void count_up(void* p) {
    auto* c = static_cast<Counted*>(p);
    for (int i = 0; i < c->rounds; ++i) {
        LockGuard guard(c->m);
        GORT_CHECK(c->inside.fetch_add(1, std::memory_order_relaxed) == 0);
        ++c->n;
        if (i % 64 == 0) sys_sched_yield();  // so that others queue up, even on one CPU
        c->inside.fetch_sub(1, std::memory_order_relaxed);
    }
}
static void contend(int spins) {
    if (spins >= 0) set_lock_spins(spins);
    constexpr int kThreads = 6;
    Counted c;
    c.rounds = 4000 / gort::test::slow();
    Worker w[kThreads];
    for (auto& one : w) one.start(count_up, &c);
    for (auto& one : w) one.join();
    LockGuard guard(c.m);
    CHECK_EQ(c.n, long{kThreads} * c.rounds);
}
TEST(mutex_excludes) { contend(-1); }
TEST(mutex_excludes_without_spinning) { contend(0); }
TEST(mutex_excludes_on_pthreads) {
    Counted c;
    c.rounds = 2000 / gort::test::slow();
    std::thread t[3];
    for (auto& one : t) one = std::thread(count_up, &c);
    for (auto& one : t) one.join();
    LockGuard guard(c.m);
    CHECK_EQ(c.n, 3L * c.rounds);
}
// Next to nothing inside, so that two often find it free at the same moment.
static void rush(int rounds) {
    struct Shared {
        Mutex m;
        long n GORT_GUARDED_BY(m) = 0;
        std::atomic<int> here{0};
        int rounds = 0;
    } s;
    s.rounds = rounds / gort::test::slow();
    const auto body = [](void* p) {
        auto* sh = static_cast<Shared*>(p);
        for (++sh->here; sh->here < 2;) sys_sched_yield();
        for (int i = 0; i < sh->rounds; ++i) {
            LockGuard guard(sh->m);
            ++sh->n;
        }
    };
    Worker w[2];
    for (auto& one : w) one.start(body, &s);
    for (auto& one : w) one.join();
    LockGuard guard(s.m);
    CHECK_EQ(s.n, 2L * s.rounds);
}
TEST(mutex_excludes_in_a_rush) { rush(300'000); }
TEST_STRESS(mutex_excludes_in_a_long_rush) { rush(10'000'000); }
TEST(mutex_excludes_when_waits_are_interrupted) {
    INJECT(Sys::kFutex, 3, EINTR, 500);
    contend(0);
}

TEST(try_lock_takes_only_a_free_mutex) {
    Mutex m;
    CHECK(!m.held());
    CHECK(m.try_lock());
    CHECK(m.held());
    std::thread([&m] {
        if (m.try_lock()) gort::test::fail(__FILE__, __LINE__, "taken twice");
    }).join();
    m.unlock();
    CHECK(!m.held());
    CHECK(m.try_lock());
    m.unlock();
}

TEST(mutex_sleeper_is_woken_by_unlock) {
    struct Shared {
        Mutex m;
        std::atomic<int> tid{0};
        std::atomic<bool> got{false};
    } s;
    set_lock_spins(0);
    s.m.lock();
    Worker w;
    w.start(
        [](void* p) {
            auto* sh = static_cast<Shared*>(p);
            sh->tid = k::gettid();
            LockGuard guard(sh->m);
            sh->got = true;
        },
        &s);
    wait_until_asleep(s.tid);
    CHECK(!s.got);
    s.m.unlock();
    w.join();
    CHECK(s.got);
}

TEST(uncontended_mutex_makes_no_system_call) {
    inject_clear();
    Mutex m;
    for (int i = 0; i < 100; ++i) LockGuard guard(m);
    CHECK_EQ(inject_count(Sys::kFutex), 0);
}

// ---- Note ----

TEST(futex_calls_are_counted) {
    std::atomic<uint32_t> word{0};
    const uint64_t waits = counted(Count::kFutexWaits), wakes = counted(Count::kFutexWakes);
    futex_wake(&word, 1);
    CHECK_EQ(futex_wait(&word, 1), -EAGAIN);
    futex_wake(&word, 1);
    CHECK_EQ(counted(Count::kFutexWaits) - waits, 1u);
    CHECK_EQ(counted(Count::kFutexWakes) - wakes, 2u);
}

TEST(a_counted_mutex_counts_who_took_it_and_who_had_to_wait) {
    CountedMutex m;
    CHECK_EQ(m.counts().acquired, 0u);
    for (int i = 0; i < 5; ++i) LockGuard guard(m);
    CHECK(m.try_lock());
    CHECK(!m.try_lock());
    CHECK_EQ(m.counts().acquired, 6u);
    CHECK_EQ(m.counts().waited, 1u);
    CHECK_EQ(m.counts().slept, 0u);
    const uint64_t waits = counted(Count::kFutexWaits);
    Worker other;
    other.start([](void* p) { LockGuard guard(*static_cast<CountedMutex*>(p)); }, &m);
    EVENTUALLY(counted(Count::kFutexWaits) != waits);  // it sleeps, or is about to
    m.unlock();
    other.join();
    CHECK_EQ(m.counts().acquired, 7u);
    CHECK_EQ(m.counts().waited, 2u);
    CHECK_EQ(m.counts().slept, 1u);
}

TEST(note_wake_before_sleep_is_kept) {
    Note n;
    CHECK(!n.woken());
    n.wake();
    CHECK(n.woken());
    n.sleep();
    CHECK(n.timed_sleep(0));
    n.clear();
    CHECK(!n.woken());
    CHECK(!n.timed_sleep(0));
    n.wake();
    CHECK(n.timed_sleep(-1));
}

TEST(note_times_out_and_can_still_be_woken) {
    Note n;
    const int64_t start = nanotime();
    CHECK(!n.timed_sleep(2'000'000));
    CHECK_LE(2'000'000, nanotime() - start);
    CHECK(!n.timed_sleep(1));
    n.wake();
    CHECK(n.timed_sleep(1));
}

TEST(note_hands_over_between_threads) {
    struct Shared {
        Note ping, pong;
        long value = 0;
        int rounds = 0;
    } s;
    s.rounds = 2000 / gort::test::slow();
    Worker w;
    w.start(
        [](void* p) {
            auto* sh = static_cast<Shared*>(p);
            for (int i = 0; i < sh->rounds; ++i) {
                sh->ping.sleep();
                sh->ping.clear();
                ++sh->value;  // no race: the notes order it
                sh->pong.wake();
            }
        },
        &s);
    for (int i = 0; i < s.rounds; ++i) {
        ++s.value;
        s.ping.wake();
        if (i % 2) s.pong.sleep();
        else CHECK(s.pong.timed_sleep(int64_t{60} * kNsPerSec));
        s.pong.clear();
    }
    w.join();
    CHECK_EQ(s.value, 2L * s.rounds);
}

// The wake comes after the sleeper saw that nobody had come, and before it withdraws: there it reads the clock.
TEST(note_wake_between_timeout_and_withdrawal) {
    static Note n;
    static int readings;
    g_clock = [](int clock, Timespec* out) {
        if (++readings == 2) n.wake();
        return sys_clock_gettime(clock, out);
    };
    CHECK(n.timed_sleep(1));
    CHECK_EQ(readings, 2);
    CHECK(n.woken());
}

// A wake at any moment of a short timed sleep is seen by it or by the next one, never lost, never doubled.
TEST(note_wake_races_with_the_timeout) {
    struct Shared {
        Note n;
        std::atomic<int> turn{0};
        uint64_t seed = gort::test::rnd();
        int rounds = 0;
    } s;
    s.rounds = 3000 / gort::test::slow();
    TEST_TIMEOUT(120);  // a round takes time slices where other processes want the CPUs as well
    Worker w;
    w.start(
        [](void* p) {
            auto* sh = static_cast<Shared*>(p);
            Rand delay{sh->seed};
            for (int i = 1; i <= sh->rounds; ++i) {
                for (int n = 0; sh->turn.load(std::memory_order_acquire) != i; ++n)
                    n < 1000 ? gort::arch::pause() : static_cast<void>(sys_sched_yield());
                for (uint32_t n = delay.below(64); n > 0; --n) gort::arch::pause();
                sh->n.wake();
            }
        },
        &s);
    for (int i = 1; i <= s.rounds; ++i) {
        s.turn.store(i, std::memory_order_release);
        while (!s.n.timed_sleep(i % 4 * 100)) {
        }
        s.n.clear();
    }
    w.join();
}

TEST(note_sleeps_on_after_interruptions) {
    INJECT(Sys::kFutex, 1, EINTR, 50);
    Note n;
    const int64_t start = nanotime();
    CHECK(!n.timed_sleep(1'000'000));
    CHECK_LE(1'000'000, nanotime() - start);
    CHECK_LT(0, inject_failures(Sys::kFutex));

    inject(Sys::kFutex, 1, EINTR, 50);
    std::thread waker([&n] {
        EVENTUALLY(inject_failures(Sys::kFutex) >= 50);
        n.wake();
    });
    n.sleep();
    CHECK(n.woken());
    waker.join();
}

TEST_DIES(note_woken_twice, "a note is woken once", -SIGABRT) {
    Note n;
    n.wake();
    n.wake();
}
TEST_DIES(note_with_two_sleepers, "a note has one sleeper", -SIGABRT) {
    static Note n;
    static std::atomic<int> tid;
    std::thread([] {
        tid = k::gettid();
        n.sleep();
    }).detach();
    wait_until_asleep(tid);
    n.sleep();
}

// ---- ranks ----

TEST(ranks_follow_locks_and_threads) {
    Mutex low(LockRank::kSched), high(LockRank::kLeaf), none;
    {
        LockGuard a(low);
        LockGuard b(high);
        LockGuard c(none);  // unranked: anywhere
        CHECK(low.held() && high.held() && none.held());
#if defined(GORT_DEBUG)
        CHECK_EQ(lock_rank_count(), 2);
        std::thread([&low] {
            CHECK(!low.held());  // somebody else's
            CHECK_EQ(lock_rank_count(), 0);
        }).join();
#endif
    }
    CHECK_EQ(lock_rank_count(), 0);
    // Out of order by try_lock, released in any order.
    LockGuard b(high);
    CHECK(low.try_lock());
    CHECK(low.held());
    low.unlock();
}

TEST(ranks_allow_several_channels_in_address_order) {
    const int locks[20] = {};
    for (const int& l : locks) lock_rank_acquire(LockRank::kChan, &l);  // more than the list holds
    for (const int& l : locks) lock_rank_release(LockRank::kChan, &l);
    for (const int& l : locks) lock_rank_acquire(LockRank::kChan, &l);
    for (int i = 20; i-- > 0;) lock_rank_release(LockRank::kChan, &locks[i]);
    CHECK_EQ(lock_rank_count(), 0);
}

// What clang would refuse to compile, done behind its back.
[[maybe_unused]] static void take(Mutex& m) GORT_NO_TSA { m.lock(); }
[[maybe_unused]] static void give(Mutex& m) GORT_NO_TSA { m.unlock(); }

#if defined(GORT_DEBUG)
TEST_DIES(rank_order_is_enforced, "lock rank violation: takes lock", -SIGABRT) {
    Mutex low(LockRank::kSched), high(LockRank::kLeaf);
    LockGuard b(high);
    LockGuard a(low);
}
TEST_DIES(rank_needs_address_order_among_channels, "takes out of order lock", -SIGABRT) {
    const int locks[2] = {};
    lock_rank_acquire(LockRank::kChan, &locks[1]);
    lock_rank_acquire(LockRank::kChan, &locks[0]);
}
TEST_DIES(rank_allows_one_lock_of_most_ranks, "takes out of order lock", -SIGABRT) {
    Mutex m[2] = {Mutex(LockRank::kSched), Mutex(LockRank::kSched)};
    take(m[0]);
    take(m[1]);  // though the addresses rise
}
TEST_DIES(ranked_mutex_is_not_recursive, "takes again lock", -SIGABRT) {
    Mutex a(LockRank::kSched);
    take(a);
    take(a);
}
TEST_DIES(rank_notices_an_unlock_by_another_thread, "releases lock", -SIGABRT) {
    Mutex a(LockRank::kSched);
    take(a);
    std::thread([&a] { give(a); }).join();
}
TEST_DIES(assert_held_dies_without_the_lock, "check failed: held()", -SIGABRT) {
    Mutex a(LockRank::kSched);
    a.assert_held();
}
#endif
