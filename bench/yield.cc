// bench/yield.cc - g goroutines call yield() in a loop while the main one waits; per yield over all of them.
// SPDX-License-Identifier: BSD-2-Clause
#include <string>

#include "bench/runtime.h"
#include "rt/sync/wait_group.h"

namespace {

void yield_loop(uint64_t g, uint64_t n) {
    gort::wait_group wg;
    wg.add(static_cast<int>(g));
    for (uint64_t i = 0; i < g; ++i)
        gort::go([&wg, turns = n / g] {
            for (uint64_t k = turns; k; --k) gort::yield();
            wg.done();
        });
    wg.wait();
}

}  // namespace

WORKLOAD(yield, "goroutines that yield in a loop") {
    bench::on_gort(run, [&run] {
        for (const uint64_t g : {2u, 1000u})
            run.per_op(
                "g" + std::to_string(g), [g](uint64_t n) { yield_loop(g, n); }, g);
    });
}
