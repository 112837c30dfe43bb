// PUBLIC
// rt/sync/rw_mutex.h - rw_mutex: many readers or one writer; blocks the goroutine that waits, never its thread.
// SPDX-License-Identifier: BSD-2-Clause
//
// As Go's sync.RWMutex, with the timed forms of std::shared_timed_mutex. Works with std::shared_lock,
// std::unique_lock and std::scoped_lock. A waiting writer stops new readers, so one goroutine must not read-lock
// twice: if a writer comes between the two, that is a deadlock. Not owned, and no upgrade or downgrade. A writer
// waits for the readers that were in when it came; when it unlocks, all readers that wait by then get in before the
// next writer. Writers among themselves are served as by a mutex.
//
// Context:  any goroutine and any other thread of the process (that one sleeps on a futex). Not in a signal handler.
// Memory order: unlock happens before the lock_shared that follows it returns, unlock_shared before the lock that
//           follows it. A try that fails orders nothing.
// Fatal errors: "sync: Unlock of unlocked RWMutex", "sync: RUnlock of unlocked RWMutex".
// Cost:     lock_shared and unlock_shared none or 1 locked instruction each, lock 2, unlock 1. The first writer after a
//           stretch of nothing but readers waits for about 2 us.
// Source:   Go's package sync, type RWMutex.
#pragma once

#include "../config.h"

#include <atomic>
#include <cstdint>

#include "mutex.h"

namespace gort {

namespace detail {

struct RwState {
    std::atomic<uint64_t> word{0};     // rt/sync/rw_mutex.cc
    MutexWord writer;                  // who may be the writer
    std::atomic<uint16_t> reads{0};    // since a writer came last, while readers count in the word
    std::atomic<uint16_t> enough{16};  // so many say that it is read more than it is written
};
void rw_lock(RwState* rw);
bool rw_try_lock(RwState* rw);
bool rw_lock_until(RwState* rw, int64_t deadline);
void rw_unlock(RwState* rw);
void rw_lock_shared(RwState* rw);
bool rw_try_lock_shared(RwState* rw);
bool rw_lock_shared_until(RwState* rw, int64_t deadline);
void rw_unlock_shared(RwState* rw);
void rw_forget(RwState* rw);
inline constexpr uint64_t kRwUsedSlots = 32;

}  // namespace detail

class rw_mutex {
public:
    constexpr rw_mutex() noexcept = default;
    rw_mutex(const rw_mutex&) = delete;
    rw_mutex& operator=(const rw_mutex&) = delete;
    ~rw_mutex() {
        if (rw_.word.load(std::memory_order_relaxed) & detail::kRwUsedSlots) detail::rw_forget(&rw_);
    }

    // Blocks the caller until it is the only one that holds the lock.
    void lock() { detail::rw_lock(&rw_); }
    // Takes the lock for writing if no reader and no writer holds it, and says whether it did. Never blocks.
    bool try_lock() { return detail::rw_try_lock(&rw_); }
    // Blocks until the caller has the lock for writing, which gives true, or until the time is over, which gives false.
    // Deadlines are described in rt/time.h; with one that has passed this is try_lock. While it waits it stops new
    // readers, as lock does.
    template <class Rep, class Period>
    bool try_lock_for(std::chrono::duration<Rep, Period> d) {
        return detail::rw_lock_until(&rw_, detail::deadline_in(d));
    }
    // The same until an instant.
    template <class Clock, class D>
    bool try_lock_until(const std::chrono::time_point<Clock, D>& t) {
        return detail::wait_for_instant(
            t, false, [this](int64_t deadline) { return detail::rw_lock_until(&rw_, deadline); });
    }
    // Gives the lock back that lock took.
    void unlock() { detail::rw_unlock(&rw_); }

    // Blocks the caller until it holds the lock for reading, as any number of goroutines may at one time.
    void lock_shared() { detail::rw_lock_shared(&rw_); }
    // Takes the lock for reading unless a writer holds it or waits for it, and says whether it did. Never blocks.
    bool try_lock_shared() { return detail::rw_try_lock_shared(&rw_); }
    // The same as try_lock_for and try_lock_until, for reading.
    template <class Rep, class Period>
    bool try_lock_shared_for(std::chrono::duration<Rep, Period> d) {
        return detail::rw_lock_shared_until(&rw_, detail::deadline_in(d));
    }
    template <class Clock, class D>
    bool try_lock_shared_until(const std::chrono::time_point<Clock, D>& t) {
        return detail::wait_for_instant(
            t, false, [this](int64_t deadline) { return detail::rw_lock_shared_until(&rw_, deadline); });
    }
    // Gives the lock back that lock_shared took.
    void unlock_shared() { detail::rw_unlock_shared(&rw_); }

    // Go's RLocker: an object whose lock and unlock are this one's lock_shared and unlock_shared.
    class read_locker {
    public:
        explicit read_locker(rw_mutex& rw) : rw_(&rw) {}
        void lock() const { rw_->lock_shared(); }
        bool try_lock() const { return rw_->try_lock_shared(); }
        void unlock() const { rw_->unlock_shared(); }

    private:
        rw_mutex* rw_;
    };
    // A read_locker of this lock; it holds no lock by itself. For instance for a cond whose waiters only read.
    read_locker rlocker() { return read_locker(*this); }

private:
    detail::RwState rw_;
};

}  // namespace gort
