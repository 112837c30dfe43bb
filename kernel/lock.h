// kernel/lock.h - Mutex and Note: how an OS thread waits for another one (a goroutine: rt/sched/park.h).
// SPDX-License-Identifier: BSD-2-Clause
//
// Invariants: (1) Mutex: 0 free, 1 held, 2 held and somebody may sleep. Only the holder leaves 1 or 2; a
//                 waiter that slept always takes it as 2, because others may sleep still.
//             (2) Note: 0 clear, 1 woken, 2 clear and its one sleeper may sleep. clear -> one wake -> one
//                 sleep.
//             (3) no park, no user code and no allocation of unbounded time while a Mutex is held.
// Context:    any thread, any stack (an M's, a goroutine's); not signal handlers, but for Note::wake.
// Ordering:   L1 unlock's release -> lock's acquire;  N1 wake's release -> the return of sleep: an acquire.
#pragma once

#include <atomic>
#include <cstdint>

#include "kernel/lock_rank.h"
#include "kernel/thread_annotations.h"

namespace gort::kernel {

class GORT_CAPABILITY("mutex") Mutex {
public:
    explicit constexpr Mutex([[maybe_unused]] LockRank rank = LockRank::kUnranked)
#if defined(GORT_DEBUG)
        : rank_(rank)
#endif
    {
    }
    Mutex(const Mutex&) = delete;
    Mutex& operator=(const Mutex&) = delete;

    void lock() GORT_ACQUIRE() {
        ranked_acquire();
        uint32_t free = 0;
        if (!state_.compare_exchange_strong(free, 1, std::memory_order_acquire, std::memory_order_relaxed))
            lock_slow();  // L1
    }
    // A try cannot deadlock, so it may go against the ranks.
    bool try_lock() GORT_TRY_ACQUIRE(true);
    void unlock() GORT_RELEASE() {
        ranked_release();
        if (state_.exchange(0, std::memory_order_release) == 2) unlock_slow();  // L1
    }
    // True if this thread holds it, as far as the build can tell: release only knows that somebody does.
    bool held() const;
    void assert_held() const GORT_ASSERT_HELD();

protected:
    bool lock_slow();  // has it slept?

private:
    friend class CountedMutex;
    void unlock_slow();
#if defined(GORT_DEBUG)
    void ranked_acquire() { lock_rank_acquire(rank_, this); }
    void ranked_tried() { lock_rank_tried(rank_, this); }
    void ranked_release() { lock_rank_release(rank_, this); }
    LockRank rank_;
#else
    void ranked_acquire() {}
    void ranked_tried() {}
    void ranked_release() {}
#endif
    std::atomic<uint32_t> state_{0};
};

// A Mutex that all threads share: counts how often it was taken and how often somebody had to wait for it. It counts
// under itself where it can, so that this costs two plain instructions.
class GORT_CAPABILITY("mutex") CountedMutex : public Mutex {
public:
    struct Counts {
        uint64_t acquired = 0;
        uint64_t waited = 0;  // somebody else had it: spun, slept, or a try that failed
        uint64_t slept = 0;
    };

    using Mutex::Mutex;
    void lock() GORT_ACQUIRE() {
        ranked_acquire();
        uint32_t free = 0;
        if (!state_.compare_exchange_strong(free, 1, std::memory_order_acquire, std::memory_order_relaxed))
            lock_contended();  // L1
        took();
    }
    bool try_lock() GORT_TRY_ACQUIRE(true);
    Counts counts() const {  // any thread; a glance
        return {acquired_.load(std::memory_order_relaxed), waited_.load(std::memory_order_relaxed),
                slept_.load(std::memory_order_relaxed)};
    }

private:
    void lock_contended();
    void took() { acquired_.store(acquired_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed); }

    std::atomic<uint64_t> acquired_{0}, waited_{0}, slept_{0};
};

template <class M>
class GORT_SCOPED_CAPABILITY LockGuard {
public:
    explicit LockGuard(M& m) GORT_ACQUIRE(m) : m_(m) { m_.lock(); }
    ~LockGuard() GORT_RELEASE() { m_.unlock(); }
    LockGuard(const LockGuard&) = delete;
    LockGuard& operator=(const LockGuard&) = delete;

private:
    M& m_;
};

// One thread sleeps until another one says so, once. A wake before the sleep is not lost. The sleeper may
// free the note as soon as sleep returns: wake touches it no more, but for a stray futex wake of its address.
class Note {
public:
    constexpr Note() = default;
    Note(const Note&) = delete;
    Note& operator=(const Note&) = delete;

    void clear();                  // the sleeper's, before anybody may wake it
    void sleep();                  // until wake
    bool timed_sleep(int64_t ns);  // true: woken; false: ns passed first. ns < 0: for ever
    // As sleep, but ends without a wake, and is false, once over() is true. It asks when a nudge comes; who makes it
    // true nudges afterwards, with a full_barrier (kernel/membarrier.h) in between.
    bool sleep_unless(bool (*over)());
    void nudge();  // any number of times
    void wake();   // once for each clear: a second one is a bug and dies
    bool woken() const { return state_.load(std::memory_order_acquire) == 1; }  // N1

private:
    std::atomic<uint32_t> state_{0};
};

// How often lock spins before it sleeps: 0 on one CPU. Found out at the first contention; a runtime that
// knows better says so.
void set_lock_spins(int spins);

}  // namespace gort::kernel
