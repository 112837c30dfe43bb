// examples/prime_sieve.cc - a chain of goroutines, each of which drops the multiples of one prime.
// SPDX-License-Identifier: BSD-2-Clause
#include <gort.h>

#include <cstdio>

int main() {
    return gort::run([] {
        auto in = gort::make_chan<int>();
        gort::go([in] {
            for (int i = 2;; ++i) in << i;
        });
        for (int n = 0; n < 12; ++n) {
            const int prime = in.recv();
            std::printf("%d ", prime);
            auto out = gort::make_chan<int>();
            gort::go([in, out, prime] {
                for (int v : in)
                    if (v % prime) out << v;
            });
            in = out;
        }
        std::printf("\n");
    });  // the goroutines that still wait are abandoned here
}
