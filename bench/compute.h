// bench/compute.h - a loop that computes without a call, and how much of it takes a millisecond.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <algorithm>
#include <cstdint>

#include "bench/harness.h"

namespace bench {

// Touches no memory, so that those who compute at the same time are not in each other's way.
[[gnu::noinline]] inline void compute(uint64_t steps) {
    uint64_t x = steps;
    for (; steps; --steps) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        asm volatile("" : "+r"(x));
    }
}

inline uint64_t steps_per_ms() {
    constexpr uint64_t kMeasured = 1'000'000;
    for (const double end = now_ns() + 20e6; now_ns() < end;)
        compute(kMeasured);  // the clock has come up to its speed
    double best = 1e18;
    for (int i = 0; i < 5; ++i) {
        const double start = now_ns();
        compute(kMeasured);
        best = std::min(best, now_ns() - start);
    }
    return static_cast<uint64_t>(static_cast<double>(kMeasured) * 1e6 / best);
}

}  // namespace bench
