// bench/sync.cc - what the smaller parts of sync cost when nobody waits, and a condition handed to and fro; per
// operation.
// SPDX-License-Identifier: BSD-2-Clause
#include "bench/runtime.h"
#include "rt/sync/cond.h"
#include "rt/sync/once.h"
#include "rt/sync/pool.h"
#include "rt/sync/sync_map.h"
#include "rt/sync/wait_group.h"

namespace {

// Two goroutines hand a turn to and fro under one mutex, with a condition each.
void cond_roundtrip(uint64_t n) {
    gort::mutex mu;
    gort::cond mine(mu), yours(mu);
    int turn = 0;
    gort::wait_group wg;
    wg.add(1);
    gort::go([&] {
        mu.lock();
        for (uint64_t i = 0; i < n; ++i) {
            while (turn != 1) yours.wait();
            turn = 0;
            mine.signal();
        }
        mu.unlock();
        wg.done();
    });
    mu.lock();
    for (uint64_t i = 0; i < n; ++i) {
        turn = 1;
        yours.signal();
        while (turn != 0) mine.wait();
    }
    mu.unlock();
    wg.wait();
}

}  // namespace

WORKLOAD(sync, "once, pool, map and wait_group with nobody waiting; a condition's round trip") {
    bench::on_gort(run, [&run] {
        gort::once once;
        int calls = 0;
        auto call = [&calls] { ++calls; };
        once.call(call);
        run.per_op("once_done", [&](uint64_t n) {
            for (; n > 0; --n) once.call(call);
            run.check(calls == 1, "once ran twice");
        });
        gort::pool<int*> pool([] { return new int(0); });
        run.per_op("pool_get_put", [&](uint64_t n) {
            for (; n > 0; --n) {
                int* p = pool.get();
                ++*p;
                pool.put(p);
            }
        });
        gort::sync_map<int, int> map;
        for (int i = 0; i < 100; ++i) map.store(i, i);
        run.per_op("map_load_hit100", [&](uint64_t n) {
            int key = 0;
            for (; n > 0; --n) {
                const auto v = map.load(key);
                if (!v || *v != key) run.check(false, "a stored key is missing");
                if (++key == 100) key = 0;
            }
        });
        gort::wait_group wg;
        run.per_op("waitgroup_add_done", [&](uint64_t n) {
            for (; n > 0; --n) {
                wg.add(1);
                wg.done();
            }
        });
        run.per_op("cond_roundtrip", cond_roundtrip);
    });
}
