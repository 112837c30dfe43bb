// bench/runtime.h - how a workload gets its goroutines: gort::run with the P that was asked for.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <atomic>
#include <chrono>
#include <utility>
#include <vector>

#include "bench/harness.h"
#include "rt/go.h"
#include "rt/sync/wait_group.h"
#include "rt/time.h"

namespace bench {

// Runs body as the main goroutine. Run's members may be called in it.
template <class F>
void on_gort(const Run& run, F body) {
    gort::options options;
    options.max_procs = static_cast<int>(run.procs());
    gort::run(std::move(body), options);
}

// How late a sleeper of 1 ms wakes beside goroutines that are at it all the time: body(stop) of each returns once stop
// has become true. Three metrics, in ms: late_p50, late_p99, late_max. For 3 s, or less when --ms asks for short
// repetitions.
template <class F>
void sleeper_beside(Run& run, unsigned others, F body) {
    constexpr double kSpanMs = 3000, kUsualMs = 550;
    const double span = run.ms() < kUsualMs ? kSpanMs * run.ms() / kUsualMs : kSpanMs;
    Series p50{"late_p50", "ms", {}, 0}, p99{"late_p99", "ms", {}, 0}, most{"late_max", "ms", {}, 0};
    for (unsigned r = 0; r < run.reps(); ++r) {
        std::atomic<bool> stop{false};
        gort::wait_group wg;
        for (unsigned i = 0; i < others; ++i) wg.go([&] { body(stop); });
        std::vector<double> late;
        for (const double end = now_ns() + span * 1e6; now_ns() < end;) {
            const double before = now_ns();
            gort::sleep(std::chrono::milliseconds(1));
            late.push_back((now_ns() - before - 1e6) / 1e6);
        }
        stop.store(true, std::memory_order_relaxed);
        wg.wait();
        p50.n = p99.n = most.n = late.size();
        p50.values.push_back(percentile(late, 0.5));
        p99.values.push_back(percentile(late, 0.99));
        most.values.push_back(percentile(late, 1));
    }
    for (const Series& s : {p50, p99, most}) run.emit(s);
}

}  // namespace bench
