// bench/wake.cc - the main goroutine sends to a parked one and then computes for 1 ms without a call: how many
// microseconds until the other one runs.
// SPDX-License-Identifier: BSD-2-Clause
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include "bench/compute.h"
#include "bench/runtime.h"
#include "chan/chan.h"
#include "rt/time.h"

namespace {

std::vector<double> delays(double ms, uint64_t steps) {
    std::vector<double> us;
    auto ball = gort::make_chan<double>();
    auto ack = gort::make_chan<bool>(1);
    gort::go([&us, ball, ack] {
        for (const double sent : ball) {
            us.push_back((bench::now_ns() - sent) / 1e3);
            ack << true;
        }
        ack.close();
    });
    for (const double end = bench::now_ns() + ms * 1e6; bench::now_ns() < end;) {
        // the receiver parks meanwhile, and the other threads go idle
        gort::sleep(std::chrono::microseconds(200));
        ball << bench::now_ns();
        bench::compute(steps);
        ack.recv();
    }
    ball.close();
    ack.recv();
    return us;
}

}  // namespace

WORKLOAD(wake, "how soon a readied goroutine runs while its waker computes on; P >= 2") {
    if (run.procs() < 2) {
        std::fputs("wake: needs --procs 2 or more\n", stderr);
        return;
    }
    bench::on_gort(run, [&run] {
        const uint64_t steps = bench::steps_per_ms();
        bench::Series p50{"runnext_p50", "us", {}, 0}, p99{"runnext_p99", "us", {}, 0};
        for (unsigned r = 0; r < run.reps(); ++r) {
            std::vector<double> us = delays(run.ms(), steps);
            p50.n = p99.n = us.size();
            p50.values.push_back(bench::percentile(us, 0.5));
            p99.values.push_back(bench::percentile(us, 0.99));
        }
        run.emit(p50);
        run.emit(p99);
    });
}
