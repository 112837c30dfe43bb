// bench/hog.cc - one goroutine a P spins without a call while the main one sleeps 1 ms again and again for 3 s (less
// when --ms asks for short repetitions): how late it wakes.
// SPDX-License-Identifier: BSD-2-Clause
#include <atomic>
#include <chrono>
#include <vector>

#include "bench/runtime.h"
#include "rt/sync/wait_group.h"
#include "rt/time.h"

namespace {

constexpr double kSpanMs = 3000, kUsualMs = 550;

std::vector<double> lateness(unsigned hogs, double span_ms) {
    std::atomic<bool> stop{false};
    gort::wait_group wg;
    wg.add(static_cast<int>(hogs));
    for (unsigned p = 0; p < hogs; ++p)
        gort::go([&] {
            while (!stop.load(std::memory_order_relaxed)) {
            }
            wg.done();
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

WORKLOAD(hog, "how late a sleeper wakes while every P is hogged") {
    const double span = run.ms() < kUsualMs ? kSpanMs * run.ms() / kUsualMs : kSpanMs;
    bench::on_gort(run, [&run, span] {
        bench::Series p50{"late_p50", "ms", {}, 0}, p99{"late_p99", "ms", {}, 0},
            most{"late_max", "ms", {}, 0};
        for (unsigned r = 0; r < run.reps(); ++r) {
            std::vector<double> late = lateness(run.procs(), span);
            p50.n = p99.n = most.n = late.size();
            p50.values.push_back(bench::percentile(late, 0.5));
            p99.values.push_back(bench::percentile(late, 0.99));
            most.values.push_back(bench::percentile(late, 1));
        }
        for (const bench::Series& s : {p50, p99, most}) run.emit(s);
    });
}
