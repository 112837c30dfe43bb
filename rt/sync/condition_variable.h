// PUBLIC
// rt/sync/condition_variable.h - condition_variable: std's form of cond, with time limits and predicates.
// SPDX-License-Identifier: BSD-2-Clause
//
// As std::condition_variable, with a std::unique_lock<gort::mutex>; it parks the goroutine that waits, never its
// thread:
//
//      std::unique_lock lock(mu);
//      if (!ready.wait_for(lock, 100ms, [&] { return !queue.empty(); })) return timed_out();
//
// wait gives the lock back and waits in one step, and has it again when it returns, for whichever reason; the forms
// without a predicate return after a notify or at the deadline and not otherwise. notify_one wakes the goroutine
// that has waited longest. All that wait at one time must wait with the same mutex. It may be destroyed once all
// that waited have been notified, even if they have not returned yet.
// Deadlines: rt/time.h. A predicate is called with the lock held; what it throws leaves wait, and the lock is held.
//
// Context:  any goroutine and any other thread of the process (that one sleeps on a futex); notify with or without the
//           lock. Not in a signal handler. After gort::stop a wait of such a thread is a panic; one with a time limit
//           waits for that.
// Memory order: a notify happens before the return of the wait that it ends.
// Fatal errors: "sync: unlock of unlocked mutex", if wait is called without holding the lock.
// Source:   std::condition_variable. There is no notify_all_at_thread_exit and no native_handle.
#pragma once

#include "../config.h"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <utility>

#include "../time.h"
#include "cond.h"
#include "mutex.h"

namespace gort {

namespace detail {
// std::unique_lock<gort::mutex>, or what has its mutex(). (<mutex> is the program's to include.)
template <class L>
concept holds_mutex = requires(L& lock) {
    static_cast<gort::mutex*>(lock.mutex());
    lock.owns_lock();
};
}  // namespace detail

class condition_variable {
public:
    condition_variable() noexcept = default;
    condition_variable(const condition_variable&) = delete;
    condition_variable& operator=(const condition_variable&) = delete;

    // Wakes the goroutine that has waited longest, if any waits. Never blocks.
    void notify_one() noexcept {
        if (word_.waiters.load(std::memory_order_relaxed) != 0) detail::cond_signal(&word_);
    }
    // Wakes all goroutines that wait now. Never blocks.
    void notify_all() noexcept {
        if (word_.waiters.load(std::memory_order_relaxed) != 0) detail::cond_broadcast(&word_);
    }

    // Unlocks the lock, blocks until a notify, and locks it again. With a predicate: again and again until that is
    // true.
    template <detail::holds_mutex L>
    void wait(L& lock) {
        detail::cond_wait_mutex(&word_, word_of(lock));
    }
    template <detail::holds_mutex L, class P>
    void wait(L& lock, P pred) {
        while (!pred()) wait(lock);
    }

    template <detail::holds_mutex L, class Clock, class D>
    std::cv_status wait_until(L& lock, const std::chrono::time_point<Clock, D>& t) {
        return wait_to(lock, detail::deadline_at(t)) || Clock::now() < t ? std::cv_status::no_timeout
                                                                         : std::cv_status::timeout;
    }
    // pred()'s value at the end
    template <detail::holds_mutex L, class Clock, class D, class P>
    bool wait_until(L& lock, const std::chrono::time_point<Clock, D>& t, P pred) {
        while (!pred())
            if (wait_until(lock, t) == std::cv_status::timeout) return pred();
        return true;
    }

    template <detail::holds_mutex L, class Rep, class Period>
    std::cv_status wait_for(L& lock, std::chrono::duration<Rep, Period> d) {
        return wait_to(lock, detail::deadline_in(d)) ? std::cv_status::no_timeout : std::cv_status::timeout;
    }
    template <detail::holds_mutex L, class Rep, class Period, class P>
    bool wait_for(L& lock, std::chrono::duration<Rep, Period> d, P pred) {
        const int64_t deadline = detail::deadline_in(d);
        while (!pred())
            if (!wait_to(lock, deadline)) return pred();
        return true;
    }

private:
    template <class L>
    static detail::MutexWord* word_of(L& lock) {
        return &lock.mutex()->word_;
    }
    template <class L>
    bool wait_to(L& lock, int64_t deadline) {
        return detail::cond_wait_mutex_until(&word_, word_of(lock), deadline);
    }
    detail::CondWord word_;
};

}  // namespace gort
