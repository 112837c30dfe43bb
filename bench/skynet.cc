// bench/skynet.cc - a tree of goroutines, ten children a node; the leaves' numbers are summed up through channels.
// SPDX-License-Identifier: BSD-2-Clause
#include "bench/runtime.h"
#include "chan/chan.h"

namespace {

void skynet(const gort::chan<int64_t>& up, int64_t num, int64_t size) {
    if (size == 1) {
        up << num;
        return;
    }
    auto mine = gort::make_chan<int64_t>();
    for (int64_t i = 0; i < 10; ++i)
        gort::go([mine, num, i, size] { skynet(mine, num + i * (size / 10), size / 10); });
    int64_t sum = 0;
    for (int i = 0; i < 10; ++i) sum += mine.recv();
    up << sum;
}

}  // namespace

WORKLOAD(skynet, "a tree of goroutines: ten children a node, a million leaves, sums through channels") {
    int64_t size = 10;
    while (size < static_cast<int64_t>(run.size(1'000'000))) size *= 10;
    bench::on_gort(run, [&run, size] {
        bench::Series peak{"peak_rss", "MiB", {}, static_cast<uint64_t>(size)};
        run.total_ms("total", static_cast<uint64_t>(size), [&] {
            bench::reset_peak_rss();
            auto up = gort::make_chan<int64_t>();
            gort::go([up, size] { skynet(up, 0, size); });
            run.check(up.recv() == size * (size - 1) / 2, "wrong sum");
            peak.values.push_back(static_cast<double>(bench::peak_rss_bytes()) / (1 << 20));
        });
        run.emit(peak);
    });
}
