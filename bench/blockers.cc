// bench/blockers.cc - goroutines that block their threads in nanosleep and do not say so: how long many of them take,
// and how late a sleeper of 1 ms wakes beside 200 that loop, for 3 s (less when --ms asks for short repetitions).
// SPDX-License-Identifier: BSD-2-Clause
#include <time.h>

#include <atomic>
#include <chrono>
#include <vector>

#include "bench/runtime.h"
#include "rt/sync/wait_group.h"
#include "rt/time.h"

namespace {

constexpr double kSpanMs = 3000, kUsualMs = 550;
constexpr int kLooping = 200;

void block(long us) {
    const timespec t{0, us * 1000};
    nanosleep(&t, nullptr);
}

void block_at_once(uint64_t n) {
    gort::wait_group wg;
    for (uint64_t i = 0; i < n; ++i) wg.go([] { block(50'000); });
    wg.wait();
}

// They yield after each sleep, so that they are goroutines in turn and not threads that never come back.
std::vector<double> lateness(double span_ms) {
    std::atomic<bool> stop{false};
    gort::wait_group wg;
    for (int i = 0; i < kLooping; ++i)
        wg.go([&] {
            while (!stop.load(std::memory_order_relaxed)) {
                block(1'000);
                gort::yield();
            }
        });
    std::vector<double> late;
    for (const double end = bench::now_ns() + span_ms * 1e6; bench::now_ns() < end;) {
        const double before = bench::now_ns();
        gort::sleep(std::chrono::milliseconds(1));
        late.push_back((bench::now_ns() - before - 1e6) / 1e6);
    }
    stop.store(true, std::memory_order_relaxed);
    wg.wait();
    return late;
}

}  // namespace

WORKLOAD(blockers,
         "200 and 5000 goroutines that block their thread for 50 ms; a sleeper beside 200 in a loop") {
    const double span = run.ms() < kUsualMs ? kSpanMs * run.ms() / kUsualMs : kSpanMs;
    bench::on_gort(run, [&run, span] {
        run.total_ms("few", 200, [] { block_at_once(200); });
        const uint64_t many = run.size(5000);
        run.total_ms("many", many, [many] { block_at_once(many); });
        if (!run.wants("late_p50") && !run.wants("late_p99") && !run.wants("late_max")) return;
        bench::Series p50{"late_p50", "ms", {}, 0}, p99{"late_p99", "ms", {}, 0},
            most{"late_max", "ms", {}, 0};
        for (unsigned r = 0; r < run.reps(); ++r) {
            std::vector<double> late = lateness(span);
            p50.n = p99.n = most.n = late.size();
            p50.values.push_back(bench::percentile(late, 0.5));
            p99.values.push_back(bench::percentile(late, 0.99));
            most.values.push_back(bench::percentile(late, 1));
        }
        for (const bench::Series& s : {p50, p99, most}) run.emit(s);
    });
}
