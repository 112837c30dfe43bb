// examples/timeout.cc - a limit for one operation, one for all of them together, and not waiting at all.
// SPDX-License-Identifier: BSD-2-Clause
#include <gort.h>

#include <chrono>
#include <cstdio>

using namespace std::chrono_literals;

int main() {
    return gort::run([] {
        auto silent = gort::make_chan<int>();
        switch (gort::select(gort::on_recv(silent), gort::on_recv(gort::after(5ms)))) {
        case 0: std::printf("a value\n"); break;
        case 1: std::printf("nothing within 5 ms\n"); break;
        }

        auto ready = gort::make_chan<int>(1);
        ready << 42;
        gort::select(gort::on_recv(ready, [](int v) { std::printf("%d in time\n", v); }),
                     gort::on_recv(gort::after(10s), [](auto) { std::printf("too late\n"); }));

        int ticks = 0;  // one limit for all of it
        gort::ticker every(1ms);
        gort::timer limit(30s);
        while (ticks < 3 && gort::select(gort::on_recv(every.c()), gort::on_recv(limit.c())) == 0) ++ticks;
        limit.stop();
        every.stop();
        std::printf("%d ticks\n", ticks);

        gort::select(gort::on_recv(silent), gort::otherwise([] { std::printf("nothing now\n"); }));
    });
}
