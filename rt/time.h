// PUBLIC
// rt/time.h - sleeping. Timers and tickers, which hand out channels, are in chan/time.h.
// SPDX-License-Identifier: BSD-2-Clause
//
// Context: goroutines, which park; any other thread, which sleeps as a thread. Not in a signal handler.
// Source:  Go's package time: Sleep.
#pragma once

#include "config.h"

#include <chrono>
#include <cstdint>
#include <ratio>

namespace gort {

using duration = std::chrono::nanoseconds;
using time_point = std::chrono::steady_clock::time_point;

namespace detail {

void sleep_ns(int64_t ns);

// Rounded up, so that nobody wakes too early; what has no room is INT64_MAX, which means for ever. NaN is 0.
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

}  // namespace detail

// Blocks for at least d. d <= 0 returns at once, without letting others run; a d so large that its end cannot be
// counted never returns.
template <class Rep, class Period>
void sleep(std::chrono::duration<Rep, Period> d) {
    detail::sleep_ns(detail::to_ns(d));
}

}  // namespace gort
