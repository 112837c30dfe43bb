// bench/spawn.cc - starting and joining empty goroutines, 10,000 at a time and one at a time; per goroutine.
// SPDX-License-Identifier: BSD-2-Clause
#include "bench/runtime.h"
#include "rt/sync/wait_group.h"

WORKLOAD(spawn, "empty goroutines: start and join") {
    constexpr uint64_t kBatch = 10'000;
    bench::on_gort(run, [&run] {
        run.per_op(
            "batch10k",
            [](uint64_t n) {
                gort::wait_group wg;
                for (; n; n -= kBatch) {
                    wg.add(static_cast<int>(kBatch));
                    for (uint64_t i = 0; i < kBatch; ++i) gort::go([&wg] { wg.done(); });
                    wg.wait();
                }
            },
            kBatch);
        run.per_op("one_and_join", [](uint64_t n) {
            gort::wait_group wg;
            for (; n; --n) {
                wg.add(1);
                gort::go([&wg] { wg.done(); });
                wg.wait();
            }
        });
    });
}
