// PUBLIC
// rt/sync/recursive_mutex.h - recursive_mutex: a mutex that its holder may lock again.
// SPDX-License-Identifier: BSD-2-Clause
//
// As std::recursive_timed_mutex. It is owned by the goroutine that locked it, or by the thread where that is not one of
// gort's, and free again after as many unlocks as locks. An unlock by any other goroutine is a fatal error. So it
// must be unlocked where it was locked, which gort::mutex does not ask for. A goroutine that ends while it holds
// one leaves it locked; std::lock_guard and the like unlock on panic and goexit.
// Waiting, its order and its cost are as with mutex.
//
// Context:  any goroutine and any other thread of the process (that one sleeps on a futex). Not in a signal handler.
// Memory order: as mutex.
// Panics:   "sync: recursive_mutex locked too often", beyond 2^32 - 1 times; try_lock and its kin are false then.
// Fatal errors: "sync: unlock of a recursive_mutex that the caller does not hold".
// Source:   std::recursive_timed_mutex; Go has none.
#pragma once

#include "../config.h"

#include <atomic>
#include <chrono>
#include <cstdint>

#include "mutex.h"

namespace gort {

namespace detail {
const void* lock_owner();  // tells the calling goroutine, or thread, from all others that live
[[noreturn]] void recursive_unlock_by_other();
[[noreturn]] void recursive_too_deep();
}  // namespace detail

class recursive_mutex {
public:
    constexpr recursive_mutex() noexcept = default;
    recursive_mutex(const recursive_mutex&) = delete;
    recursive_mutex& operator=(const recursive_mutex&) = delete;

    // Blocks the caller until it has the lock; one that has it already gets it once more.
    void lock() {
        const void* me = detail::lock_owner();
        if (owner_.load(std::memory_order_relaxed) == me) {
            if (depth_ == kMost) detail::recursive_too_deep();
            ++depth_;
            return;
        }
        mutex_.lock();
        mine(me);
    }
    // Takes the lock if it is free or the caller's already, and says whether it did. Never blocks.
    bool try_lock() {
        return take([this] { return mutex_.try_lock(); });
    }
    // Blocks until the caller has the lock, which gives true, or until the time is over, which gives false.
    // Deadlines are described in rt/time.h.
    template <class Rep, class Period>
    bool try_lock_for(std::chrono::duration<Rep, Period> d) {
        return take([&] { return mutex_.try_lock_for(d); });
    }
    // The same until an instant.
    template <class Clock, class D>
    bool try_lock_until(const std::chrono::time_point<Clock, D>& t) {
        return take([&] { return mutex_.try_lock_until(t); });
    }
    // Takes one lock back. The last one gives the mutex to the next goroutine that waits.
    void unlock() {
        if (owner_.load(std::memory_order_relaxed) != detail::lock_owner()) [[unlikely]]
            detail::recursive_unlock_by_other();
        if (--depth_ != 0) return;
        owner_.store(nullptr, std::memory_order_relaxed);
        mutex_.unlock();
    }

private:
    static constexpr uint32_t kMost = UINT32_MAX;

    void mine(const void* me) {
        owner_.store(me, std::memory_order_relaxed);
        depth_ = 1;
    }
    template <class F>
    bool take(F lock) {
        const void* me = detail::lock_owner();
        if (owner_.load(std::memory_order_relaxed) == me) {
            if (depth_ == kMost) return false;
            ++depth_;
            return true;
        }
        if (!lock()) return false;
        mine(me);
        return true;
    }

    mutex mutex_;
    uint32_t depth_ = 0;  // the holder's
    std::atomic<const void*> owner_{
        nullptr};  // another thread's look at it is a guess; its own address is not
};

}  // namespace gort
