// PUBLIC
// rt/sync/cond.h - cond: waits under a lock until another goroutine says that something has changed.
// SPDX-License-Identifier: BSD-2-Clause
//
// As Go's sync.Cond: cond c{mu}; with mu a mutex, an rw_mutex, an rw_mutex::read_locker, or anything with lock() and
// unlock() that may be used by goroutines and does not throw. The lock must outlive the cond. wait is called with
// the lock held:
//
//      mu.lock();
//      while (!ready) c.wait();
//      …
//      mu.unlock();
//
// wait returns only after a signal or broadcast: there are no spurious wake-ups. signal wakes the goroutine that has
// waited longest; one that begins to wait later cannot take that signal. A signal without a waiter is forgotten.
// condition_variable.h has waits with a time limit.
//
// Context:  any goroutine and any other thread of the process (that one sleeps on a futex); signal and broadcast
//           with or without the lock. Not in a signal handler.
// Memory order: signal and broadcast happen before the return of the waits that they end.
// Fatal errors: those of the lock, if wait is called without holding it.
// Source:   Go's package sync, type Cond.
#pragma once

#include "../config.h"

#include <atomic>
#include <cstdint>
#include <type_traits>

#include "mutex.h"

namespace gort {

namespace detail {

struct CondWord {
    std::atomic<uint32_t> waiters{0};  // under the slot's lock; a look without it that finds 0 is right
};
struct CondState : CondWord {
    void* lock;
    void (*lock_fn)(void*);  // null: a gort::mutex's word
    void (*unlock_fn)(void*);
};
bool cond_wait(CondState* c);  // true, so that it can return by a jump: arch/arch.h
bool cond_wait_mutex(CondWord* c, MutexWord* mutex);
bool cond_wait_mutex_until(CondWord* c, MutexWord* mutex,
                           int64_t deadline);  // false: the deadline has passed
void cond_signal(CondWord* c);
void cond_broadcast(CondWord* c);

}  // namespace detail

class cond {
public:
    // A condition of what this lock guards.
    template <class L>
    requires requires(L& l) {
        l.lock(), l.unlock();
    } &&(!std::is_same_v<std::remove_cv_t<L>, mutex>)explicit cond(L& lock) noexcept
        : state_{{0},
                 const_cast<std::remove_cv_t<L>*>(&lock),
                 [](void* l) { static_cast<L*>(l)->lock(); },
                 [](void* l) { static_cast<L*>(l)->unlock(); }} {
    }
    explicit cond(mutex& lock) noexcept : state_{{0}, &lock.word_, nullptr, nullptr} {}
    cond(const cond&) = delete;
    cond& operator=(const cond&) = delete;

    // Unlocks the lock, blocks until a signal or broadcast, and locks the lock again.
    void wait() { detail::cond_wait(&state_); }
    // Wakes the goroutine that has waited longest, if any waits. Never blocks.
    void signal() {
        if (state_.waiters.load(std::memory_order_relaxed) != 0 || detail::strays())
            detail::cond_signal(&state_);
    }
    // Wakes all goroutines that wait now. Never blocks.
    void broadcast() {
        if (state_.waiters.load(std::memory_order_relaxed) != 0 || detail::strays())
            detail::cond_broadcast(&state_);
    }

private:
    detail::CondState state_;
};

}  // namespace gort
