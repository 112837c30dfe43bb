// bench/buffered.cc - one producer and one consumer on a buffered channel; and one goroutine alone with one.
// SPDX-License-Identifier: BSD-2-Clause
#include <string>

#include "bench/runtime.h"
#include "chan/chan.h"

namespace {

// 0 + 1 + ... + n-1, each taken as an int.
uint64_t sum_to(uint64_t n) { return n * (n - 1) / 2; }

void pipe(const bench::Run& run, int64_t cap, uint64_t n) {
    auto c = gort::make_chan<int>(cap);
    gort::go([c, n] {
        for (uint64_t i = 0; i < n; ++i) c << static_cast<int>(i);
    });
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; ++i) sum += static_cast<uint64_t>(c.recv());
    run.check(sum == sum_to(n), "an item was lost or doubled");
}

}  // namespace

WORKLOAD(buffered, "one producer, one consumer, one buffered channel") {
    bench::on_gort(run, [&run] {
        for (const int64_t cap : {100, 1024})
            run.per_op("cap" + std::to_string(cap), [&run, cap](uint64_t n) { pipe(run, cap, n); });
        run.per_op("alone_send_recv", [&run](uint64_t n) {
            auto c = gort::make_chan<int>(1);
            uint64_t sum = 0;
            for (uint64_t i = 0; i < n; ++i) {
                c << static_cast<int>(i);
                sum += static_cast<uint64_t>(c.recv());
            }
            run.check(sum == sum_to(n), "an item was lost or doubled");
        });
    });
}
