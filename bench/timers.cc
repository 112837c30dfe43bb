// bench/timers.cc - sleeps and after_func: a million sleepers, timers that are stopped, how late sleepers wake.
// SPDX-License-Identifier: BSD-2-Clause
#include <chrono>
#include <random>
#include <vector>

#include "bench/runtime.h"
#include "chan/time.h"
#include "rt/sync/wait_group.h"

namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr size_t kPending = 100'000;
constexpr size_t kSleepers = 100;

void sleep_all(uint64_t size) {
    gort::wait_group wg;
    wg.add(static_cast<int>(size));
    for (uint64_t i = 0; i < size; ++i)
        gort::go([&wg, d = std::chrono::milliseconds(1 + i % 1000)] {
            gort::sleep(d);
            wg.done();
        });
    wg.wait();
}

// 100 goroutines sleep 1 ms again and again; how many microseconds late each wakes.
std::vector<double> lateness(double ms) {
    std::vector<std::vector<double>> each(kSleepers);
    gort::wait_group wg;
    wg.add(kSleepers);
    const double end = bench::now_ns() + ms * 1e6;
    for (auto& mine : each)
        gort::go([&wg, &mine, end] {
            for (double now = bench::now_ns(); now < end;) {
                gort::sleep(std::chrono::milliseconds(1));
                const double after = bench::now_ns();
                mine.push_back((after - now - 1e6) / 1e3);
                now = after;
            }
            wg.done();
        });
    wg.wait();
    std::vector<double> all;
    for (const auto& mine : each) all.insert(all.end(), mine.begin(), mine.end());
    return all;
}

void stop_among_many(bench::Run& run) {
    bool ran = false;
    const auto f = [&ran] { ran = true; };
    std::mt19937_64 rnd(1);
    const auto between = [&rnd](int lo, int hi) {
        return seconds(lo) +
               nanoseconds(rnd() % static_cast<uint64_t>(nanoseconds(seconds(hi - lo)).count()));
    };
    std::vector<gort::timer> others;
    for (size_t i = 0; i < kPending; ++i) others.push_back(gort::after_func(between(600, 1200), f));
    run.check(others.size() == kPending, "some are missing");
    run.per_op("afterfunc_stop_30s", [&f](uint64_t n) {
        for (; n > 0; --n) gort::after_func(seconds(30), f).stop();
    });
    // The timers that are stopped lie anywhere among the pending ones.
    std::vector<nanoseconds> durations(1024);
    for (auto& d : durations) d = between(600, 1200);
    run.per_op("afterfunc_stop_random", [&](uint64_t n) {
        for (; n > 0; --n) gort::after_func(durations[n % durations.size()], f).stop();
    });
    for (const gort::timer& t : others) t.stop();
    run.check(!ran, "a stopped timer ran");
}

}  // namespace

WORKLOAD(timers, "a million sleeps, timers that are stopped, how late sleepers wake") {
    const uint64_t size = run.size(1'000'000);
    bench::pretouch(size * 4608);
    bench::on_gort(run, [&run, size] {
        bench::Series faults{"sleep1m_faults_each", "faults", {}, size};
        run.total_ms("sleep1m", size, [size, &faults] {
            const uint64_t before = bench::page_faults();
            sleep_all(size);
            faults.values.push_back(static_cast<double>(bench::page_faults() - before) /
                                    static_cast<double>(size));
        });
        run.emit(faults);
        stop_among_many(run);
        bench::Series p50{"sleep1ms_x100_late_p50", "us", {}, 0}, p99{"sleep1ms_x100_late_p99", "us", {}, 0};
        for (unsigned r = 0; r < run.reps(); ++r) {
            std::vector<double> late = lateness(run.ms());
            p50.values.push_back(bench::percentile(late, 0.5));
            p99.values.push_back(bench::percentile(late, 0.99));
            p50.n = p99.n = late.size();
        }
        run.emit(p50);
        run.emit(p99);
    });
}
