// bench/mpmc.cc - 8 producers and 8 consumers on one buffered channel; per item.
// SPDX-License-Identifier: BSD-2-Clause
#include "bench/runtime.h"
#include "chan/chan.h"

namespace {

constexpr uint64_t kEach = 8;

uint64_t sum_to(uint64_t n) { return n * (n - 1) / 2; }

void mpmc(const bench::Run& run, uint64_t n) {
    auto c = gort::make_chan<int>(128);
    auto made = gort::make_chan<gort::unit>();
    auto sums = gort::make_chan<uint64_t>();
    for (uint64_t p = 0; p < kEach; ++p) {
        gort::go([c, made, n] {
            for (uint64_t i = 0; i < n / kEach; ++i) c << static_cast<int>(i);
            made << gort::unit{};
        });
        gort::go([c, sums] {
            uint64_t sum = 0;
            for (int v : c) sum += static_cast<uint64_t>(v);
            sums << sum;
        });
    }
    for (uint64_t p = 0; p < kEach; ++p) made.recv();
    c.close();
    uint64_t total = 0;
    for (uint64_t p = 0; p < kEach; ++p) total += sums.recv();
    run.check(total == kEach * sum_to(n / kEach), "an item was lost or doubled");
}

}  // namespace

WORKLOAD(mpmc, "8 producers, 8 consumers, one buffered channel") {
    bench::on_gort(run, [&run] {
        run.per_op(
            "p8c8_cap128", [&run](uint64_t n) { mpmc(run, n); }, kEach);
    });
}
