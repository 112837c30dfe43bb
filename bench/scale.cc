// bench/scale.cc - what a second P gives, by how much is computed for each item: eight ways to spread work, grains from
// 0 to 100 us, each pair in a process of its own and measured in its steady state.
// SPDX-License-Identifier: BSD-2-Clause
//
// An item is one stretch of computing of that many ns: a turn of one of 64 that yield, a goroutine, a value that one of
// 8 takes from a channel, or that passes one of 8 stages, or half of a ball's way there and back, or a task of a phase
// that ends when all its 16 (or 2) have. `alternate_...` is about a process that does different things in turn: how
// long each takes there, and how many times as long as in a process by itself (over_alone).
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "bench/compute.h"
#include "bench/runtime.h"
#include "chan/chan.h"
#include "rt/sync/wait_group.h"

namespace {

using bench::Run;

constexpr uint64_t kGrains[] = {0, 100, 300, 1000, 3000, 10'000, 100'000};
constexpr uint64_t kMostItems = 200'000;  // a round,
constexpr double kRoundNs = 20e6;         // which lasts about so long on one P
constexpr uint64_t kWorkers = 8, kYielders = 64;

// What a round needs to know. `steps` are of bench::compute.
struct Job {
    const Run& run;
    uint64_t items, steps;
};

void yields(const Job& job) {
    gort::wait_group wg;
    for (uint64_t i = 0; i < kYielders; ++i)
        wg.go([turns = job.items / kYielders, steps = job.steps] {
            for (uint64_t k = turns; k; --k) {
                bench::compute(steps);
                gort::yield();
            }
        });
    wg.wait();
}

void spawns(const Job& job) {
    gort::wait_group wg;
    for (uint64_t k = job.items; k; --k) wg.go([steps = job.steps] { bench::compute(steps); });
    wg.wait();
}

// Each of 8 takes items from one channel; their sums must make up what was sent.
void pool_of(const Job& job, int64_t capacity) {
    auto c = gort::make_chan<int>(capacity);
    uint64_t sums[kWorkers] = {}, sum = 0;
    gort::wait_group wg;
    for (uint64_t& mine : sums)
        wg.go([&mine, c, steps = job.steps] {
            uint64_t taken = 0;
            for (int v : c) {
                bench::compute(steps);
                taken += static_cast<uint64_t>(v);
            }
            mine = taken;
        });
    for (uint64_t k = 0; k < job.items; ++k) c << static_cast<int>(k);
    c.close();
    wg.wait();
    for (const uint64_t one : sums) sum += one;
    job.run.check(sum == job.items * (job.items - 1) / 2, "an item was lost or doubled");
}
void pool(const Job& job) { pool_of(job, 128); }
void pool0(const Job& job) { pool_of(job, 0); }

// Every value passes 8 stages, in order.
void pipe(const Job& job) {
    const auto first = gort::make_chan<int>(16);
    const uint64_t values = job.items / kWorkers;
    auto in = first;
    gort::wait_group wg;
    for (uint64_t i = 0; i < kWorkers; ++i) {
        auto out = gort::make_chan<int>(16);
        wg.go([in, out, steps = job.steps] {
            for (int v : in) {
                bench::compute(steps);
                out << v;
            }
            out.close();
        });
        in = out;
    }
    wg.go([first, values] {
        for (uint64_t k = 0; k < values; ++k) first << static_cast<int>(k);
        first.close();
    });
    uint64_t next = 0;
    for (int v : in) job.run.check(static_cast<uint64_t>(v) == next++, "a value overtook another one");
    job.run.check(next == values, "a value was lost");
    wg.wait();
}

// Two that compute at the same time: one sends, computes, and takes back what the other one has computed on.
void pair(const Job& job) {
    auto there = gort::make_chan<int>(), back = gort::make_chan<int>();
    gort::wait_group wg;
    wg.go([there, back, steps = job.steps] {
        for (int v : there) {
            bench::compute(steps);
            back << v;
        }
    });
    for (uint64_t k = 0; k < job.items / 2; ++k) {
        there << static_cast<int>(k);
        bench::compute(job.steps);
        job.run.check(static_cast<uint64_t>(back.recv()) == k, "another ball came back");
    }
    there.close();
    wg.wait();
}

void phases_of(const Job& job, uint64_t tasks) {
    for (uint64_t p = job.items / tasks; p; --p) {
        gort::wait_group all;
        for (uint64_t k = tasks; k; --k) all.go([steps = job.steps] { bench::compute(steps); });
        all.wait();
    }
}
void phases(const Job& job) { phases_of(job, 16); }
void phases2(const Job& job) { phases_of(job, 2); }

// Goroutines of all grains, one like every tenth of them, so that short ones wait behind long ones: 10 us on average.
void mixed(const Job& job) {
    gort::wait_group wg;
    for (uint64_t k = 0; k < job.items; ++k) {
        const uint64_t steps = k % 10 == 9 ? job.steps * 9 : job.steps * (k % 10) / 36;
        wg.go([steps] { bench::compute(steps); });
    }
    wg.wait();
}

// 8 producers and 8 consumers that compute nothing.
void mpmc(const Job& job) {
    auto c = gort::make_chan<int>(128);
    uint64_t sums[kWorkers] = {}, sum = 0;
    const uint64_t each = job.items / kWorkers;
    gort::wait_group made, taken;
    for (uint64_t& mine : sums) {
        made.go([c, each] {
            for (uint64_t k = 0; k < each; ++k) c << static_cast<int>(k);
        });
        taken.go([&mine, c] {
            uint64_t got = 0;
            for (int v : c) got += static_cast<uint64_t>(v);
            mine = got;
        });
    }
    made.wait();
    c.close();
    taken.wait();
    for (const uint64_t one : sums) sum += one;
    job.run.check(sum == kWorkers * (each * (each - 1) / 2), "an item was lost or doubled");
}

struct Way {
    const char* name;
    void (*round)(const Job&);
    uint64_t granule;  // of items
};
constexpr Way kWays[] = {{"yield", yields, kYielders}, {"spawn", spawns, 1},     {"pool", pool, 1},
                         {"pool0", pool0, 1},          {"pipe", pipe, kWorkers}, {"pair", pair, 2},
                         {"phases", phases, 16},       {"phases2", phases2, 2}};
struct Part {
    Way way;
    uint64_t grain;
};
constexpr Part kParts[] = {
    {{"phases", phases, 16}, 10'000}, {{"mpmc", mpmc, kWorkers}, 0}, {{"mixed", mixed, 10}, 10'000}};

// Items in a round of this grain: whole granules, at least one.
uint64_t items_of(const Run& run, const Way& way, uint64_t grain) {
    const auto most = static_cast<double>(run.size(kMostItems));
    const double share = most / static_cast<double>(kMostItems);
    const double fit = kRoundNs * share / (static_cast<double>(grain) + 50);
    return std::max<uint64_t>(static_cast<uint64_t>(std::min(most, fit)) / way.granule, 1) * way.granule;
}

bench::Loop loop_of(const Run& run, const std::string& metric, const Way& way, uint64_t grain,
                    uint64_t per_ms) {
    const Job job{run, items_of(run, way, grain), grain * per_ms / 1'000'000};
    return {metric, [way, job](uint64_t) { way.round(job); }, job.items};
}

void alternate(Run& run, uint64_t per_ms) {
    constexpr size_t kCount = std::size(kParts);
    std::vector<bench::Loop> all;
    bool wanted = false;
    for (const Part& p : kParts) {
        all.push_back(loop_of(run, std::string("alternate_") + p.way.name, p.way, p.grain, per_ms));
        wanted |= run.wants(all.back().metric);
    }
    if (!wanted) return;
    void* shared =
        mmap(nullptr, kCount * sizeof(double), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    run.check(shared != MAP_FAILED, "mmap");
    auto* alone = static_cast<double*>(shared);
    for (size_t i = 0; i < kCount; ++i)
        run.in_own_process(
            [&] { bench::on_gort(run, [&] { alone[i] = bench::median_of(run.rounds({all[i]})[0]); }); });
    run.in_own_process([&] {
        bench::on_gort(run, [&] {
            std::vector<bench::Series> series = run.rounds(all);
            for (size_t i = 0; i < kCount; ++i) {
                char note[80];
                std::snprintf(note, sizeof note, " alone=%.1f over_alone=%.3f", alone[i],
                              bench::median_of(series[i]) / alone[i]);
                series[i].note += note;
                run.emit(series[i]);
            }
        });
    });
    munmap(shared, kCount * sizeof(double));
}

}  // namespace

WORKLOAD(
    scale,
    "items of 0 to 100 us, spread in eight ways: medians of steady rounds; what alternates, beside itself") {
    const uint64_t per_ms = bench::steps_per_ms();
    for (const Way& way : kWays)
        for (const uint64_t grain : kGrains) {
            const std::string metric = std::string(way.name) + "_g" + std::to_string(grain);
            if (!run.wants(metric)) continue;
            run.in_own_process([&] {
                bench::on_gort(run,
                               [&] { run.emit(run.rounds({loop_of(run, metric, way, grain, per_ms)})[0]); });
            });
        }
    alternate(run, per_ms);
}
