// PUBLIC
// rt/time.h - sleeping, and what deadlines are. Timers and tickers, which hand out channels, are in chan/time.h.
// SPDX-License-Identifier: BSD-2-Clause
//
// DEADLINES. Every wait with a limit (sleep_until, try_lock_until, push_until …) takes a time_point of any clock,
// and the form for a duration counts from the call. A deadline of steady_clock is kept exactly. One of another clock is
// turned into one of steady_clock when the wait begins, and looked at once more when that has passed: a wait never ends
// before its clock says so, but a clock that is set forward meanwhile does not end it earlier.
// A deadline that has passed, and a duration <= 0: what can be done at once is done, nothing blocks. One so far away
// that it cannot be counted never comes.
//
// Context: goroutines, which park; any other thread, which sleeps as a thread. Not in a signal handler.
// Source:  Go's package time: Sleep; std::this_thread's sleep_for and sleep_until.
#pragma once

#include "config.h"

#include <chrono>
#include <cstdint>
#include <ratio>
#include <type_traits>

namespace gort {

// Nanoseconds; and an instant of the clock by which gort keeps its deadlines.
using duration = std::chrono::nanoseconds;
using time_point = std::chrono::steady_clock::time_point;

namespace detail {

void sleep_ns(int64_t ns);
void sleep_to(int64_t deadline);
int64_t clock_ns();                      // steady_clock's, as the runtime sees it
int64_t deadline_after_now(int64_t ns);  // INT64_MAX: never

// Rounded up, so that no sleep ends too early; what has no room is INT64_MAX, which means for ever. NaN is 0.
template <class Rep, class Period>
constexpr int64_t to_ns(std::chrono::duration<Rep, Period> d) {
    using Wide = std::chrono::duration<long double, std::nano>;
    const long double ns = Wide(d).count();
    if (!(ns > 0)) return 0;
    if (ns >= 9223372036854775807.0L) return INT64_MAX;
    if constexpr (std::chrono::treat_as_floating_point_v<Rep> || Period::num != 1)
        return static_cast<int64_t>(__builtin_ceill(ns));
    else return std::chrono::ceil<std::chrono::nanoseconds>(d).count();
}

// Deadlines of the runtime: nanoseconds of steady_clock, INT64_MIN for one that has passed, INT64_MAX for none.
template <class Rep, class Period>
int64_t deadline_in(std::chrono::duration<Rep, Period> d) {
    const int64_t ns = to_ns(d);
    return ns == 0 ? INT64_MIN : deadline_after_now(ns);
}
template <class Clock, class D>
int64_t deadline_at(const std::chrono::time_point<Clock, D>& t) {
    if constexpr (std::is_same_v<Clock, std::chrono::steady_clock>) return to_ns(t.time_since_epoch());
    else return deadline_in(t - Clock::now());
}
// wait(deadline), again and again as long as that is `late` although t's clock says that t has not come.
template <class Clock, class D, class R, class W>
R wait_for_instant(const std::chrono::time_point<Clock, D>& t, R late, W wait) {
    for (;;) {
        const R r = wait(deadline_at(t));
        if (std::is_same_v<Clock, std::chrono::steady_clock> || r != late || Clock::now() >= t) return r;
    }
}

}  // namespace detail

// Blocks the caller for at least d. With d <= 0 it returns at once, without letting others run; with a d so large that
// its end cannot be counted it never returns.
//
//      gort::sleep(50ms);
template <class Rep, class Period>
void sleep(std::chrono::duration<Rep, Period> d) {
    detail::sleep_ns(detail::to_ns(d));
}

// Blocks the caller until t has come. If t has come already it returns at once, without letting others run.
//
//      gort::sleep_until(std::chrono::steady_clock::now() + 1s);
template <class Clock, class D>
void sleep_until(const std::chrono::time_point<Clock, D>& t) {
    detail::wait_for_instant(t, true, [](int64_t deadline) {
        detail::sleep_to(deadline);
        return true;
    });
}

}  // namespace gort
