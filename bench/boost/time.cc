// bench/boost/time.cc - park1m and timers on Boost.Fiber.
// SPDX-License-Identifier: BSD-2-Clause
#include <chrono>

#include "bench/boost/fibers.h"

namespace {

using namespace bench;
using std::chrono::milliseconds;

// spawn and wake milliseconds, bytes of memory and of page tables each.
void park_round(uint64_t size, double* spawn, double* wake, double* rss, double* pte) {
    const uint64_t rss0 = rss_bytes(), pte0 = page_table_bytes();
    const auto each = static_cast<double>(size);
    Unbuffered<int> c;
    WaitGroup wg;
    std::atomic<uint64_t> arrived{0};
    wg.add(size);
    Stopwatch watch;
    for (uint64_t i = 0; i < size; ++i)
        go([&] {
            arrived.fetch_add(1, std::memory_order_relaxed);
            int v;
            c.pop(v);
            wg.done();
        });
    while (arrived.load() != size) yield();
    *spawn = watch.wall_ns() / 1e6;
    *rss = static_cast<double>(rss_bytes() - rss0) / each;
    *pte = static_cast<double>(page_table_bytes() - pte0) / each;
    watch.restart();
    c.close();
    wg.wait();
    *wake = watch.wall_ns() / 1e6;
}

// Sleeps of 1 ms by 100 fibers; microseconds late.
std::vector<double> lateness(double ms) {
    constexpr int kSleepers = 100;
    std::vector<std::vector<double>> each(kSleepers);
    WaitGroup wg;
    wg.add(kSleepers);
    const double end = now_ns() + ms * 1e6;
    for (auto& mine : each)
        go([&] {
            for (double now = now_ns(); now < end;) {
                boost::this_fiber::sleep_for(milliseconds(1));
                const double after = now_ns();
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

}  // namespace

WORKLOAD(park1m, "a million parked fibers: start, wake, bytes each") {
    const uint64_t size = run.size(1000000);
    run.fresh_processes({{"spawn_all_parked", "ms"},
                         {"wake_all_join", "ms"},
                         {"spawn_all_parked_again", "ms"},
                         {"wake_all_join_again", "ms"},
                         {"rss_each", "B"},
                         {"pte_each", "B"}},
                        size, size * 5000, [&](double* out) {
                            Fibers fibers(run.procs());
                            double rss, pte;
                            park_round(size, out, out + 1, out + 4, out + 5);
                            park_round(size, out + 2, out + 3, &rss, &pte);
                        });
}

WORKLOAD(timers, "a million sleeps, and the lateness of sleeps") {
    const uint64_t size = run.size(1000000);
    pretouch(size * 5000);
    Fibers fibers(run.procs());
    run.total_ms("sleep1m", size, [&] {
        WaitGroup wg;
        wg.add(size);
        for (uint64_t i = 0; i < size; ++i)
            go([&wg, i] {
                boost::this_fiber::sleep_for(milliseconds(1 + i % 1000));
                wg.done();
            });
        wg.wait();
    });
    Series p50{"sleep1ms_x100_late_p50", "us", {}, 0}, p99{"sleep1ms_x100_late_p99", "us", {}, 0};
    for (unsigned r = 0; r < run.reps(); ++r) {
        std::vector<double> late = lateness(run.ms());
        p50.values.push_back(percentile(late, 0.5));
        p99.values.push_back(percentile(late, 0.99));
        p50.n = p99.n = late.size();
    }
    run.emit(p50);
    run.emit(p99);
}
