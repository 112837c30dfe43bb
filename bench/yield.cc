// bench/yield.cc - g goroutines call yield() in a loop; per yield over all of them.
// SPDX-License-Identifier: BSD-2-Clause
#include <atomic>
#include <string>

#include "bench/runtime.h"

namespace {

// The main goroutine is one of the g, so nobody else is in the queue.
void yield_loop(uint64_t g, uint64_t n) {
    std::atomic<uint64_t> left{g - 1};
    auto turns = [n, g] {
        for (uint64_t k = n / g; k; --k) gort::yield();
    };
    for (uint64_t i = 1; i < g; ++i)
        gort::go([&left, turns] {
            turns();
            left.fetch_sub(1, std::memory_order_release);
        });
    turns();
    while (left.load(std::memory_order_acquire)) gort::yield();
}

}  // namespace

WORKLOAD(yield, "goroutines that yield in a loop") {
    bench::on_gort(run, [&run] {
        for (const uint64_t g : {2u, 1000u})
            run.per_op(
                "g" + std::to_string(g), [g](uint64_t n) { yield_loop(g, n); }, g);
    });
}
