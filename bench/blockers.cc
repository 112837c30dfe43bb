// bench/blockers.cc - goroutines that block their threads in nanosleep and do not say so: how long many of them take,
// and how late a sleeper of 1 ms wakes beside 200 that loop.
// SPDX-License-Identifier: BSD-2-Clause
#include <time.h>

#include "bench/runtime.h"

namespace {

constexpr unsigned kLooping = 200;

void block(long us) {
    const timespec t{0, us * 1000};
    nanosleep(&t, nullptr);
}

void block_at_once(uint64_t n) {
    gort::wait_group wg;
    for (uint64_t i = 0; i < n; ++i) wg.go([] { block(50'000); });
    wg.wait();
}

}  // namespace

WORKLOAD(blockers,
         "200 and 5000 goroutines that block their thread for 50 ms; a sleeper beside 200 in a loop") {
    bench::on_gort(run, [&run] {
        run.total_ms("few", 200, [] { block_at_once(200); });
        const uint64_t many = run.size(5000);
        run.total_ms("many", many, [many] { block_at_once(many); });
        if (!run.wants("late_p50") && !run.wants("late_p99") && !run.wants("late_max")) return;
        // They yield after each sleep, so that they are goroutines in turn and not threads that never come back.
        bench::sleeper_beside(run, kLooping, [](const std::atomic<bool>& stop) {
            while (!stop.load(std::memory_order_relaxed)) {
                block(1'000);
                gort::yield();
            }
        });
    });
}
