// bench/pingpong.cc - two goroutines and two unbuffered channels; per round trip.
// SPDX-License-Identifier: BSD-2-Clause
#include "bench/runtime.h"
#include "chan/chan.h"

WORKLOAD(pingpong, "two goroutines, two unbuffered channels") {
    bench::on_gort(run, [&run] {
        run.per_op("roundtrip", [&run](uint64_t n) {
            auto there = gort::make_chan<int>();
            auto back = gort::make_chan<int>();
            gort::go([there, back] {
                for (int v : there) back << v;
            });
            for (uint64_t i = 0; i < n; ++i) {
                const int ball = static_cast<int>(i);
                there << ball;
                run.check(back.recv() == ball, "a ball came back changed");
            }
            there.close();
        });
    });
}
