// PUBLIC
// rt/sync/mutex.h - mutex: blocks the goroutine that waits for it, never its thread.
// SPDX-License-Identifier: BSD-2-Clause
//
// As Go's sync.Mutex, with the timed forms of std::timed_mutex. Works with std::lock_guard, std::unique_lock and
// std::scoped_lock. Not reentrant (recursive_mutex.h is), and not owned: one goroutine may lock it and another one
// unlock it. It may be held across anything, also across calls that block. The goroutine that locked and unlocked
// it last may destroy it, even while an earlier call of unlock is still returning.
//
//      gort::mutex mu;
//      {
//          std::lock_guard guard(mu);
//          ++count;
//      }
//
// Waiters queue first come first served, but a waiter that is woken competes with goroutines that call lock just
// then; if it loses, it waits at the head of the queue. Once a waiter has waited for more than 1 ms, unlock hands
// the lock to it directly and lets it run at once, and new callers queue. That goes on until a waiter gets the lock
// that was the last one or has waited for less than 1 ms.
//
// Context:  any goroutine and any other thread of the process (that one sleeps on a futex). Not in a signal handler.
// Memory order: unlock number n happens before lock number m returns, n < m. A try_lock that fails orders nothing.
// Fatal errors: "sync: unlock of unlocked mutex".
// Cost:     lock 1 locked instruction, none as long as all goroutines that lock it run at the same of the gomaxprocs
//           places; unlock none.
// Source:   Go's package sync, type Mutex.
#pragma once

#include "../config.h"

#include <atomic>
#include <chrono>
#include <cstdint>

#include "../time.h"
#include "sema_fast.h"

namespace gort {

namespace detail {

// owner.mark: 0 free, 1 locked. From 0 to 1 it goes inside the gate of the owner (rt/own/gate_fast.h), or by compare
// and swap while the mutex is shared; whoever has it locked stores 0.
struct MutexWord {
    Owner owner;
};
// What the inlined ones cannot: first of all a shared mutex.
void mutex_lock_slow(MutexWord* word, bool of_rw);
bool mutex_try_lock_slow(MutexWord* word);
bool mutex_lock_until(MutexWord* word, bool of_rw, int64_t deadline);  // rt/time.h: deadline_at
void mutex_unlock_slow(MutexWord* word);
void mutex_wake(const void* word);        // the mutex may be gone
bool mutex_take_shared(MutexWord* word);  // false: it is locked, or not shared

// Inside the gate of its owner.
[[gnu::always_inline]] inline bool mutex_take_mine(MutexWord* word) {
    if (word->owner.mark.load(std::memory_order_acquire) != 0) return false;
    word->owner.mark.store(1, std::memory_order_relaxed);
    return true;
}
// A mutex that has an owner: taken if that is this P, and it is free. Else false.
[[gnu::always_inline]] inline bool mutex_take_quick(MutexWord* word) {
    if (!owned(word->owner)) return false;
    Gate* g = owner_enter(word->owner);
    if (!g) [[unlikely]]
        return false;
    const bool taken = mutex_take_mine(word);
    gate_leave(g);
    return taken;
}
[[gnu::always_inline]] inline void mutex_unlock(MutexWord* word) {
    if (word->owner.mark.load(std::memory_order_relaxed) != 1 || sema_wanted(word)) [[unlikely]]
        return mutex_unlock_slow(word);
    word->owner.mark.store(0, std::memory_order_release);
    light_fence();
    if (sema_wanted(word)) [[unlikely]]
        mutex_wake(word);
}

}  // namespace detail

class cond;
class condition_variable;

class mutex {
public:
    constexpr mutex() noexcept = default;
    mutex(const mutex&) = delete;
    mutex& operator=(const mutex&) = delete;

    // Blocks the caller until it has the lock.
    void lock() {
        if (!detail::mutex_take_quick(&word_)) [[unlikely]]
            detail::mutex_lock_slow(&word_, false);
    }
    // Takes the lock if it is free, and says whether it did. Never blocks.
    bool try_lock() {
        if (detail::mutex_take_quick(&word_)) return true;
        return detail::mutex_try_lock_slow(&word_);
    }
    // Blocks until the caller has the lock, which gives true, or until the time is over, which gives false.
    // Deadlines are described in rt/time.h; with one that has passed this is try_lock.
    template <class Rep, class Period>
    bool try_lock_for(std::chrono::duration<Rep, Period> d) {
        return detail::mutex_take_quick(&word_) ||
               detail::mutex_lock_until(&word_, false, detail::deadline_in(d));
    }
    // The same until an instant.
    template <class Clock, class D>
    bool try_lock_until(const std::chrono::time_point<Clock, D>& t) {
        return detail::mutex_take_quick(&word_) ||
               detail::wait_for_instant(t, false, [this](int64_t deadline) {
                   return detail::mutex_lock_until(&word_, false, deadline);
               });
    }
    // Gives the lock back; if goroutines wait for it, one of them is woken. Never blocks. A mutex that is not
    // locked is a fatal error.
    void unlock() { detail::mutex_unlock(&word_); }

private:
    friend class cond;
    friend class condition_variable;
    detail::MutexWord word_;
};

}  // namespace gort
