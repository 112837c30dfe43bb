// PUBLIC
// rt/sync/mutex.h - mutex: blocks the goroutine that waits for it, never its thread.
// SPDX-License-Identifier: BSD-2-Clause
//
// As Go's sync.Mutex. Works with std::lock_guard, std::unique_lock and std::scoped_lock. Not reentrant, and not
// owned: one goroutine may lock it and another one unlock it. It may be held across anything, also across what
// blocks. It may be destroyed by whoever took it last, while the call of unlock before that is still returning.
//
// Normal mode: waiters queue first come first served, but a woken one competes with those who come just then; if it
// loses, it waits at the head. Starvation mode: one that has waited for more than 1 ms is handed the lock by unlock,
// which lets it run at once; newcomers queue. It ends when the new owner was the last waiter or has waited for less
// than 1 ms.
//
// Context:  any goroutine and any other thread of the process (that one sleeps on a futex). Not in a signal handler.
// Memory order: unlock number n happens before lock number m returns, n < m. A try_lock that fails orders nothing.
// Fatal errors: "sync: unlock of unlocked mutex".
// Cost:     lock 1 locked instruction, unlock none.
// Source:   Go's package sync, type Mutex.
#pragma once

#include <atomic>
#include <cstdint>

#include "../sema_fast.h"

namespace gort {

namespace detail {

// The word of a mutex: 0 free, 1 locked.
void mutex_lock_slow(std::atomic<uint32_t>* state, bool of_rw);
bool mutex_try_lock_slow(std::atomic<uint32_t>* state);
void mutex_unlock_slow(std::atomic<uint32_t>* state);
void mutex_wake(const void* state);  // the mutex may be gone

[[gnu::always_inline]] inline bool mutex_take(std::atomic<uint32_t>* state) {
    uint32_t free = 0;
    return state->compare_exchange_strong(free, 1, std::memory_order_acquire, std::memory_order_relaxed);
}
[[gnu::always_inline]] inline void mutex_unlock(std::atomic<uint32_t>* state) {
    if (state->load(std::memory_order_relaxed) != 1 || sema_wanted(state)) [[unlikely]]
        return mutex_unlock_slow(state);
    state->store(0, std::memory_order_release);
    light_fence();
    if (sema_wanted(state)) [[unlikely]]
        mutex_wake(state);
}

}  // namespace detail

class cond;

class mutex {
public:
    constexpr mutex() noexcept = default;
    mutex(const mutex&) = delete;
    mutex& operator=(const mutex&) = delete;

    void lock() {
        if (detail::strays() || !detail::mutex_take(&state_)) [[unlikely]]
            detail::mutex_lock_slow(&state_, false);
    }
    // Never blocks: true if it took the lock.
    bool try_lock() {
        if (detail::strays()) [[unlikely]]
            return detail::mutex_try_lock_slow(&state_);
        return state_.load(std::memory_order_relaxed) == 0 && detail::mutex_take(&state_);
    }
    void unlock() { detail::mutex_unlock(&state_); }

private:
    friend class cond;
    std::atomic<uint32_t> state_{0};
};

}  // namespace gort
