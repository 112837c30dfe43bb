// bench/boost/trees.cc - threadring, skynet, sieve and forkjoin on Boost.Fiber: many fibers, unbuffered
// channels. SPDX-License-Identifier: BSD-2-Clause
#include <array>

#include "bench/boost/fibers.h"

namespace {

using namespace bench;
using boost::fibers::channel_op_status;

constexpr size_t kRing = 503;

// The token counts down; who gets 0 reports its number. The ring then closes itself.
uint64_t ring(uint64_t hops) {
    std::array<Unbuffered<uint64_t>, kRing> in;
    Unbuffered<uint64_t> done;
    WaitGroup wg;
    wg.add(kRing);
    for (size_t me = 0; me < kRing; ++me)
        go([&, me] {
            Unbuffered<uint64_t>& next = in[(me + 1) % kRing];
            for (uint64_t token; in[me].pop(token) == channel_op_status::success;) {
                if (token) next.push(token - 1);
                else done.push(me);
            }
            if (me != kRing - 1) next.close();
            wg.done();
        });
    in[0].push(hops);
    const uint64_t last = done.value_pop();
    in[0].close();
    wg.wait();
    return last;
}

void skynet(Unbuffered<int64_t>* up, int64_t num, int64_t size) {
    if (size == 1) {
        up->push(num);
        return;
    }
    Unbuffered<int64_t> mine;
    for (int64_t i = 0; i < 10; ++i)
        go([&mine, i, num, size] { skynet(&mine, num + i * (size / 10), size / 10); });
    int64_t sum = 0;
    for (int i = 0; i < 10; ++i) sum += mine.value_pop();
    up->push(sum);
}

using Stream = std::shared_ptr<Unbuffered<int>>;

void fib(int n, Unbuffered<int>* up) {
    if (n < 2) {
        up->push(n);
        return;
    }
    Unbuffered<int> mine;
    go([&mine, n] { fib(n - 1, &mine); });
    go([&mine, n] { fib(n - 2, &mine); });
    const int a = mine.value_pop(), b = mine.value_pop();
    up->push(a + b);
}

}  // namespace

WORKLOAD(threadring, "503 fibers pass a token around") {
    Fibers fibers(run.procs());
    const uint64_t hops = run.size(5000000);
    run.per_op(
        "hop",
        [&](uint64_t n) {
            for (; n; n -= hops) run.check(ring(hops) == hops % kRing, "the token ended elsewhere");
        },
        hops);
}

WORKLOAD(skynet, "a tree of a million fibers, ten children a node") {
    int64_t size = 10;
    while (size < static_cast<int64_t>(run.size(1000000))) size *= 10;
    pretouch(static_cast<uint64_t>(size) * 5000);
    Fibers fibers(run.procs());
    Series peak{"peak_rss", "MiB", {}, static_cast<uint64_t>(size)};
    run.total_ms("total", static_cast<uint64_t>(size), [&] {
        reset_peak_rss();
        Unbuffered<int64_t> up;
        go([&] { skynet(&up, 0, size); });
        run.check(up.value_pop() == size * (size - 1) / 2, "wrong sum");
        peak.values.push_back(static_cast<double>(peak_rss_bytes()) / (1 << 20));
    });
    run.emit(peak);
}

WORKLOAD(sieve, "the concurrent prime sieve, first 2000 primes") {
    constexpr int kCount = 2000, kLast = 17389;
    Fibers fibers(run.procs());
    run.total_ms("first2000", kCount, [&] {
        auto c = std::make_shared<Unbuffered<int>>();
        go([out = c] {
            for (int i = 2; i <= kLast; ++i) out->push(i);
            out->close();
        });
        int prime = 0, rest;
        for (int i = 0; i < kCount; ++i) {
            prime = c->value_pop();
            auto next = std::make_shared<Unbuffered<int>>();
            go([in = c, out = next, prime] {
                for (int v; in->pop(v) == channel_op_status::success;)
                    if (v % prime) out->push(v);
                out->close();
            });
            c = next;
        }
        run.check(prime == kLast && c->pop(rest) == channel_op_status::closed, "not the 2000th prime");
    });
}

WORKLOAD(forkjoin, "fib(27) with a fiber for every call") {
    pretouch(2ull << 30);
    Fibers fibers(run.procs());
    run.total_ms("fib27", 635621, [&] {  // n: the number of calls
        Unbuffered<int> up;
        go([&] { fib(27, &up); });
        run.check(up.value_pop() == 196418, "wrong sum");
    });
}
