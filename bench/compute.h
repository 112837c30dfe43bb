// bench/compute.h - a loop that computes without a call, and how much of it takes a millisecond.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <algorithm>
#include <cstdint>

#include "bench/harness.h"

namespace bench {

[[gnu::noinline]] inline void compute(uint64_t steps) {
    static uint64_t computed;
    uint64_t x = computed;
    for (; steps; --steps) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        asm volatile("" : "+r"(x));
    }
    computed = x;
}

inline uint64_t steps_per_ms() {
    constexpr uint64_t kSteps = 1'000'000;
    double best = 1e18;
    for (int i = 0; i < 5; ++i) {
        const double start = now_ns();
        compute(kSteps);
        best = std::min(best, now_ns() - start);
    }
    return static_cast<uint64_t>(static_cast<double>(kSteps) * 1e6 / best);
}

}  // namespace bench
