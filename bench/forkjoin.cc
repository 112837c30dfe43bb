// bench/forkjoin.cc - parallel fib(27): a goroutine for every call, results through channels; and one for each fork,
// joined by a wait_group on the caller's stack.
// SPDX-License-Identifier: BSD-2-Clause
#include "bench/runtime.h"
#include "chan/chan.h"
#include "rt/sync/wait_group.h"

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

int fib_wg(int n) {
    if (n < 2) return n;
    int a = 0;
    gort::wait_group wg;
    wg.go([&a, n] { a = fib_wg(n - 1); });
    const int b = fib_wg(n - 2);
    wg.wait();
    return a + b;
}

}  // namespace

WORKLOAD(forkjoin,
         "parallel fib(27): a goroutine for every call and channels; one for each fork and a wait group") {
    bench::on_gort(run, [&run] {
        run.total_ms("fib27", 635621, [&run] {  // n: the number of calls
            auto up = gort::make_chan<int>();
            gort::go([up] { fib(27, up); });
            run.check(up.recv() == 196418, "wrong sum");
        });
        run.total_ms("fib27_wg", 317810, [&run] {  // n: the number of forks
            run.check(fib_wg(27) == 196418, "wrong sum");
        });
    });
}
