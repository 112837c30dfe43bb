// bench/park1m.cc - a million goroutines park on a receive of one channel, whose close wakes them: how long both take,
// in memory that is new and again in the same, and what a parked one costs in memory and page tables.
// SPDX-License-Identifier: BSD-2-Clause
#include <atomic>

#include "bench/runtime.h"
#include "chan/chan.h"
#include "rt/sync/wait_group.h"

namespace {

struct Figures {
    double spawn, wake, rss, pte, faults;
};

Figures round(uint64_t size) {
    const uint64_t rss = bench::rss_bytes(), pte = bench::page_table_bytes();
    const auto each = static_cast<double>(size);
    const auto faults = static_cast<double>(bench::page_faults());
    auto c = gort::make_chan<int>();
    gort::wait_group wg;
    std::atomic<uint64_t> arrived{0};
    wg.add(static_cast<int>(size));
    Figures f{};
    bench::Stopwatch watch;
    for (uint64_t i = 0; i < size; ++i)
        gort::go([&wg, &arrived, &c] {
            arrived.fetch_add(1, std::memory_order_relaxed);
            c.recv();
            wg.done();
        });
    while (arrived.load(std::memory_order_relaxed) != size) gort::yield();
    f.spawn = watch.wall_ns() / 1e6;
    f.rss = (static_cast<double>(bench::rss_bytes()) - static_cast<double>(rss)) / each;
    f.pte = (static_cast<double>(bench::page_table_bytes()) - static_cast<double>(pte)) / each;
    watch.restart();
    c.close();
    wg.wait();
    f.wake = watch.wall_ns() / 1e6;
    f.faults = (static_cast<double>(bench::page_faults()) - faults) / each;
    return f;
}

}  // namespace

WORKLOAD(park1m, "a million parked goroutines: start, wake, bytes each") {
    const uint64_t size = run.size(1'000'000);
    run.fresh_processes({{"spawn_all_parked", "ms"},
                         {"wake_all_join", "ms"},
                         {"spawn_all_parked_again", "ms"},
                         {"wake_all_join_again", "ms"},
                         {"rss_each", "B"},
                         {"pte_each", "B"},
                         {"faults_each", "faults"},
                         {"faults_each_again", "faults"}},
                        size, size * 5000, [&run, size](double* out) {
                            bench::on_gort(run, [size, out] {
                                const Figures cold = round(size), warm = round(size);
                                const double all[] = {cold.spawn, cold.wake, warm.spawn,  warm.wake,
                                                      cold.rss,   cold.pte,  cold.faults, warm.faults};
                                for (int i = 0; i < 8; ++i) out[i] = all[i];
                            });
                        });
}
