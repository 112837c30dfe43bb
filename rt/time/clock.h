// rt/time/clock.h - the one clock of rt, chan and ctx: monotonic nanoseconds, or a simulation's virtual time.
// SPDX-License-Identifier: BSD-2-Clause
//
// Context:  any thread, any stack. A hook is installed before the runtime starts and stays until it has stopped.
// Cost:     one predicted branch on top of kernel::nanotime.
#pragma once

#include <atomic>
#include <cstdint>

#include "kernel/clock.h"

namespace gort::rt {

inline constexpr int64_t kForever = INT64_MAX;  // a deadline that never comes

using NowFn = int64_t (*)();
inline constinit std::atomic<NowFn> g_now_hook{nullptr};  // virtual time; never goes back

[[gnu::always_inline]] inline int64_t now() {
    const NowFn hook = g_now_hook.load(std::memory_order_relaxed);
    if (hook) [[unlikely]]
        return hook();
    return kernel::nanotime();
}

// The instant d nanoseconds after t (which is not negative): kForever where that cannot be counted.
constexpr int64_t deadline_after(int64_t t, int64_t d) {
    int64_t sum = 0;
    if (__builtin_add_overflow(t, d, &sum)) return d > 0 ? kForever : 0;
    return sum;
}

}  // namespace gort::rt
