// bench/mutex.cc - lock and unlock, alone and by eight goroutines; per operation over all.
// SPDX-License-Identifier: BSD-2-Clause
#include <string>

#include "bench/runtime.h"
#include "rt/sync/mutex.h"
#include "rt/sync/rw_mutex.h"
#include "rt/sync/wait_group.h"

namespace {

// g goroutines do their share of n operations each; the main one waits.
template <class F>
void share(uint64_t g, uint64_t n, F loop) {
    gort::wait_group wg;
    wg.add(static_cast<int>(g));
    for (uint64_t i = 0; i < g; ++i)
        gort::go([&wg, &loop, n, g] {
            loop(n / g);
            wg.done();
        });
    wg.wait();
}

// What both loops count must stay in memory, as it does in a program that does more.
void keep(uint64_t& x) { asm volatile("" : "+m"(x)); }

void lock(bench::Run& run, uint64_t g) {
    run.per_op(
        "lock_g" + std::to_string(g),
        [&run, g](uint64_t n) {
            gort::mutex mu;
            uint64_t x = 0;
            share(g, n, [&mu, &x](uint64_t mine) {
                for (; mine > 0; --mine) {
                    mu.lock();
                    ++x;
                    keep(x);
                    mu.unlock();
                }
            });
            run.check(x == n, "two were inside at once");
        },
        g);
}

void rlock(bench::Run& run, uint64_t g) {
    run.per_op(
        "rlock_g" + std::to_string(g),
        [&run, g](uint64_t n) {
            gort::rw_mutex mu;
            uint64_t x = 1, sum = 0;
            share(g, n, [&mu, &x, &sum](uint64_t mine) {
                uint64_t s = 0;
                for (; mine > 0; --mine) {
                    mu.lock_shared();
                    s += x;
                    mu.unlock_shared();
                }
                mu.lock();
                sum += s;
                mu.unlock();
            });
            run.check(sum == n, "a reader was lost");
        },
        g);
}

}  // namespace

WORKLOAD(mutex, "lock and unlock, alone and by 8 goroutines with a tiny critical section; reading likewise") {
    bench::on_gort(run, [&run] {
        for (uint64_t g : {1u, 8u}) lock(run, g);
        for (uint64_t g : {1u, 8u}) rlock(run, g);
    });
}
