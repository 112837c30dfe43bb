// examples/fan_out.cc - one channel to several: every reader takes what it can, and each value is taken once.
// SPDX-License-Identifier: BSD-2-Clause
#include <gort.h>

#include <cstdio>

int main() {
    return gort::run([] {
        auto work = gort::make_chan<int>();
        auto sums = gort::make_chan<long>();
        constexpr int kReaders = 4;
        for (int i = 0; i < kReaders; ++i)
            gort::go([=] {
                long sum = 0;
                for (int v : work) sum += v;
                sums << sum;
            });
        for (int v = 1; v <= 1000; ++v) work << v;
        work.close();
        long total = 0;
        for (int i = 0; i < kReaders; ++i) total += sums.recv();
        std::printf("%d readers took %ld\n", kReaders, total);
    });
}
