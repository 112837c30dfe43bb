// bench/forkjoin.cc - parallel fib(27), a goroutine for every call, results through channels.
// SPDX-License-Identifier: BSD-2-Clause
#include "bench/runtime.h"
#include "chan/chan.h"

namespace {

void fib(int n, const gort::chan<int>& up) {
    if (n < 2) {
        up << n;
        return;
    }
    auto mine = gort::make_chan<int>();
    gort::go([mine, n] { fib(n - 1, mine); });
    gort::go([mine, n] { fib(n - 2, mine); });
    const int a = mine.recv();
    const int b = mine.recv();
    up << a + b;
}

}  // namespace

WORKLOAD(forkjoin, "parallel fib(27), a goroutine for every call, results through channels") {
    bench::on_gort(run, [&run] {
        run.total_ms("fib27", 635621, [&run] {  // n: the number of calls
            auto up = gort::make_chan<int>();
            gort::go([up] { fib(27, up); });
            run.check(up.recv() == 196418, "wrong sum");
        });
    });
}
