// bench/sieve.cc - the concurrent prime sieve: a chain of filters, one goroutine for each prime.
// SPDX-License-Identifier: BSD-2-Clause
#include "bench/runtime.h"
#include "chan/chan.h"

namespace {

// the 2000th prime, where the generator stops, so that all filters end
constexpr int kCount = 2000, kLast = 17389;

void filter(const gort::chan<int>& in, const gort::chan<int>& out, int prime) {
    for (int v : in)
        if (v % prime) out << v;
    out.close();
}

}  // namespace

WORKLOAD(sieve, "the concurrent prime sieve up to the 2000th prime") {
    bench::on_gort(run, [&run] {
        run.total_ms("first2000", kCount, [&run] {
            auto c = gort::make_chan<int>();
            gort::go([out = c] {
                for (int i = 2; i <= kLast; ++i) out << i;
                out.close();
            });
            int prime = 0;
            for (int i = 0; i < kCount; ++i) {
                prime = c.recv();
                auto next = gort::make_chan<int>();
                gort::go([c, next, prime] { filter(c, next, prime); });
                c = next;
            }
            int more;
            run.check(prime == kLast && !c.recv(more), "not the 2000th prime");
        });
    });
}
