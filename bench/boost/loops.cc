// bench/boost/loops.cc - yield, spawn, pingpong, buffered, mpmc, mutex and sync on Boost.Fiber.
// SPDX-License-Identifier: BSD-2-Clause
//
// The loops are those of bench/go. There is no select, and no reader lock.
#include "bench/boost/fibers.h"

namespace {

using namespace bench;
using boost::fibers::channel_op_status;

// g fibers do their share of n operations each; the main one waits.
template <class F>
void share(uint64_t g, uint64_t n, F loop) {
    WaitGroup wg;
    wg.add(g);
    for (uint64_t i = 0; i < g; ++i)
        go([&, n] {
            loop(n / g);
            wg.done();
        });
    wg.wait();
}

uint64_t sum_to(uint64_t n) { return n * (n - 1) / 2; }

void pipe(const Run& run, size_t capacity, uint64_t n) {
    Buffered<uint64_t> c(capacity);
    WaitGroup wg;
    wg.add(1);
    go([&] {
        for (uint64_t i = 0; i < n; ++i) c.push(i);
        wg.done();
    });
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; ++i) sum += c.value_pop();
    wg.wait();
    run.check(sum == sum_to(n), "an item was lost or doubled");
}

}  // namespace

WORKLOAD(yield, "fibers that yield in a loop") {
    Fibers fibers(run.procs());
    for (const uint64_t g : {2u, 1000u})
        run.per_op(
            "g" + std::to_string(g),
            [g](uint64_t n) {
                share(g, n, [](uint64_t mine) {
                    for (; mine; --mine) yield();
                });
            },
            g);
}

WORKLOAD(spawn, "empty fibers: start and join") {
    constexpr uint64_t kBatch = 10000;
    Fibers fibers(run.procs());
    run.per_op(
        "batch10k",
        [](uint64_t n) {
            WaitGroup wg;
            for (; n; n -= kBatch) {
                wg.add(kBatch);
                for (uint64_t i = 0; i < kBatch; ++i) go([&wg] { wg.done(); });
                wg.wait();
            }
        },
        kBatch);
    run.per_op("one_and_join", [](uint64_t n) {
        WaitGroup wg;
        for (; n; --n) {
            wg.add(1);
            go([&wg] { wg.done(); });
            wg.wait();
        }
    });
}

WORKLOAD(pingpong, "two fibers, two unbuffered channels") {
    Fibers fibers(run.procs());
    run.per_op("roundtrip", [&](uint64_t n) {
        Unbuffered<uint64_t> there, back;
        WaitGroup wg;
        wg.add(1);
        go([&] {
            for (uint64_t v; there.pop(v) == channel_op_status::success;) back.push(v);
            wg.done();
        });
        for (uint64_t i = 0; i < n; ++i) {
            there.push(i);
            run.check(back.value_pop() == i, "a ball came back changed");
        }
        there.close();
        wg.wait();
    });
}

WORKLOAD(buffered, "one producer, one consumer, one buffered channel (127, 1023 and 1 slots)") {
    Fibers fibers(run.procs());
    run.per_op("cap100", [&](uint64_t n) { pipe(run, 128, n); });
    run.per_op("cap1024", [&](uint64_t n) { pipe(run, 1024, n); });
    run.per_op("alone_send_recv", [&](uint64_t n) {
        Buffered<uint64_t> c(2);
        uint64_t sum = 0;
        for (uint64_t i = 0; i < n; ++i) {
            c.push(i);
            sum += c.value_pop();
        }
        run.check(sum == sum_to(n), "an item was lost or doubled");
    });
}

WORKLOAD(mpmc, "8 producers, 8 consumers, one channel (127 slots)") {
    Fibers fibers(run.procs());
    run.per_op(
        "p8c8_cap128",
        [&](uint64_t n) {
            Buffered<uint64_t> c(128);
            WaitGroup makers, takers;
            std::atomic<uint64_t> total{0};
            makers.add(8);
            takers.add(8);
            for (int p = 0; p < 8; ++p) {
                go([&] {
                    for (uint64_t i = 0; i < n / 8; ++i) c.push(i);
                    makers.done();
                });
                go([&] {
                    uint64_t sum = 0;
                    for (uint64_t v; c.pop(v) == channel_op_status::success;) sum += v;
                    total += sum;
                    takers.done();
                });
            }
            makers.wait();
            c.close();
            takers.wait();
            run.check(total == 8 * sum_to(n / 8), "an item was lost or doubled");
        },
        8);
}

WORKLOAD(mutex, "lock and unlock, alone and by 8 fibers") {
    Fibers fibers(run.procs());
    for (const uint64_t g : {1u, 8u})
        run.per_op(
            "lock_g" + std::to_string(g),
            [&](uint64_t n) {
                boost::fibers::mutex mutex;
                uint64_t x = 0;
                share(g, n, [&](uint64_t mine) {
                    for (; mine; --mine) {
                        mutex.lock();
                        ++x;
                        mutex.unlock();
                    }
                });
                run.check(x == n, "two were inside at once");
            },
            g);
}

WORKLOAD(sync, "two fibers hand a turn to and fro through two conditions") {
    Fibers fibers(run.procs());
    run.per_op("cond_roundtrip", [](uint64_t n) {
        boost::fibers::mutex mutex;
        boost::fibers::condition_variable mine, yours;
        int turn = 0;
        WaitGroup wg;
        wg.add(1);
        go([&, n] {
            {
                std::unique_lock lock(mutex);
                for (uint64_t i = 0; i < n; ++i) {
                    while (turn != 1) yours.wait(lock);
                    turn = 0;
                    mine.notify_one();
                }
            }
            wg.done();
        });
        {
            std::unique_lock lock(mutex);
            for (uint64_t i = 0; i < n; ++i) {
                turn = 1;
                yours.notify_one();
                while (turn != 0) mine.wait(lock);
            }
        }
        wg.wait();
    });
}
