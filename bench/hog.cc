// bench/hog.cc - one goroutine a P spins without a call while the main one sleeps 1 ms again and again: how late it
// wakes.
// SPDX-License-Identifier: BSD-2-Clause
#include "bench/runtime.h"

WORKLOAD(hog, "how late a sleeper wakes while every P is hogged") {
    bench::on_gort(run, [&run] {
        bench::sleeper_beside(run, run.procs(), [](const std::atomic<bool>& stop) {
            while (!stop.load(std::memory_order_relaxed)) {
            }
        });
    });
}
