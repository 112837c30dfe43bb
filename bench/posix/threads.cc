// bench/posix/threads.cc - yield, spawn, channels, locks and lateness, one plain thread for every goroutine.
// SPDX-License-Identifier: BSD-2-Clause
#include "bench/posix/threads.h"

#include <time.h>

#include <array>
#include <atomic>
#include <shared_mutex>
#include <string>
#include <vector>

#include "bench/compute.h"

namespace {

using namespace bench;

// g threads do their share of n operations each.
template <class F>
void share(uint64_t g, uint64_t n, F loop) {
    std::vector<std::unique_ptr<Thread>> threads;
    for (uint64_t i = 0; i < g; ++i) threads.push_back(std::make_unique<Thread>([&] { loop(n / g); }));
}

uint64_t sum_to(uint64_t n) { return n * (n - 1) / 2; }

void pipe(const Run& run, size_t cap, uint64_t n) {
    Chan<uint64_t> c(cap);
    Thread producer([&] {
        for (uint64_t i = 0; i < n; ++i) c.send(i);
    });
    uint64_t sum = 0, v;
    for (uint64_t i = 0; i < n && c.recv(&v); ++i) sum += v;
    run.check(sum == sum_to(n), "an item was lost or doubled");
}

constexpr size_t kRing = 503;

size_t ring(uint64_t hops) {
    std::array<Chan<uint64_t>, kRing> in;
    Chan<size_t> done;
    std::vector<std::unique_ptr<Thread>> threads;
    for (size_t me = 0; me < kRing; ++me)
        threads.push_back(std::make_unique<Thread>([&, me] {
            Chan<uint64_t>& next = in[(me + 1) % kRing];
            for (uint64_t token; in[me].recv(&token);) {
                if (token) next.send(token - 1);
                else done.send(me);
            }
            if (me != kRing - 1) next.close();
        }));
    in[0].send(hops);
    size_t last = kRing;
    done.recv(&last);
    in[0].close();
    return last;
}

}  // namespace

WORKLOAD(yield, "threads that call sched_yield in a loop") {
    use_cpus(run.procs());
    for (const uint64_t g : {2u, 1000u})
        run.per_op(
            "g" + std::to_string(g),
            [g](uint64_t n) {
                share(g, n, [](uint64_t mine) {
                    for (; mine; --mine) sched_yield();
                });
            },
            g);
}

WORKLOAD(spawn, "empty threads: start and join; batches of 1000, not 10000") {
    constexpr uint64_t kBatch = 1000;
    use_cpus(run.procs());
    run.per_op(
        "batch1k",
        [](uint64_t n) {
            for (; n; n -= kBatch) share(kBatch, kBatch, [](uint64_t) {});
        },
        kBatch);
    run.per_op("one_and_join", [](uint64_t n) {
        for (; n; --n) Thread([] {});
    });
}

WORKLOAD(pingpong, "two threads, two rendezvous channels of mutex and conditions") {
    use_cpus(run.procs());
    run.per_op("roundtrip", [&](uint64_t n) {
        Chan<uint64_t> there, back;
        Thread other([&] {
            for (uint64_t v; there.recv(&v);) back.send(v);
        });
        for (uint64_t i = 0; i < n; ++i) {
            uint64_t v = ~i;
            there.send(i);
            back.recv(&v);
            run.check(v == i, "a ball came back changed");
        }
        there.close();
    });
}

WORKLOAD(buffered, "one producer, one consumer, one bounded queue") {
    use_cpus(run.procs());
    run.per_op("cap100", [&](uint64_t n) { pipe(run, 100, n); });
    run.per_op("cap1024", [&](uint64_t n) { pipe(run, 1024, n); });
    run.per_op("alone_send_recv", [&](uint64_t n) {
        Chan<uint64_t> c(1);
        uint64_t sum = 0, v;
        for (uint64_t i = 0; i < n; ++i) {
            c.send(i);
            if (c.recv(&v)) sum += v;
        }
        run.check(sum == sum_to(n), "an item was lost or doubled");
    });
}

WORKLOAD(mpmc, "8 producers, 8 consumers, one bounded queue") {
    use_cpus(run.procs());
    run.per_op(
        "p8c8_cap128",
        [&](uint64_t n) {
            Chan<uint64_t> c(128);
            std::atomic<uint64_t> total{0};
            {
                std::vector<std::unique_ptr<Thread>> takers;
                for (int p = 0; p < 8; ++p)
                    takers.push_back(std::make_unique<Thread>([&] {
                        uint64_t sum = 0;
                        for (uint64_t v; c.recv(&v);) sum += v;
                        total += sum;
                    }));
                share(8, n, [&](uint64_t mine) {
                    for (uint64_t i = 0; i < mine; ++i) c.send(i);
                });
                c.close();
            }
            run.check(total == 8 * sum_to(n / 8), "an item was lost or doubled");
        },
        8);
}

WORKLOAD(mutex, "std::mutex and std::shared_mutex, alone and by 8 threads") {
    use_cpus(run.procs());
    for (const uint64_t g : {1u, 8u})
        run.per_op(
            "lock_g" + std::to_string(g),
            [&](uint64_t n) {
                std::mutex mutex;
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
    for (const uint64_t g : {1u, 8u})
        run.per_op(
            "rlock_g" + std::to_string(g),
            [&](uint64_t n) {
                std::shared_mutex mutex;
                const volatile uint64_t x = 1;
                std::atomic<uint64_t> total{0};
                share(g, n, [&](uint64_t mine) {
                    uint64_t sum = 0;
                    for (; mine; --mine) {
                        mutex.lock_shared();
                        sum += x;
                        mutex.unlock_shared();
                    }
                    total += sum;
                });
                run.check(total == n, "a reader was lost");
            },
            g);
}

WORKLOAD(threadring, "503 threads pass a token around; 20,000 hops unless --size says otherwise") {
    use_cpus(run.procs());
    const uint64_t hops = run.size(20000);
    run.per_op(
        "hop",
        [&](uint64_t n) {
            for (; n; n -= hops) run.check(ring(hops) == hops % kRing, "the token ended elsewhere");
        },
        hops);
}

WORKLOAD(timers, "the lateness of 100 threads' sleeps") {
    use_cpus(run.procs());
    Series p50{"sleep1ms_x100_late_p50", "us", {}, 0}, p99{"sleep1ms_x100_late_p99", "us", {}, 0};
    for (unsigned r = 0; r < run.reps(); ++r) {
        std::vector<double> late;
        std::mutex mutex;
        const double end = now_ns() + run.ms() * 1e6;
        share(100, 100, [&](uint64_t) {
            std::vector<double> mine;
            for (double now = now_ns(); now < end;) {
                const timespec ms{0, 1000000};
                nanosleep(&ms, nullptr);
                const double after = now_ns();
                mine.push_back((after - now - 1e6) / 1e3);
                now = after;
            }
            const std::lock_guard lock(mutex);
            late.insert(late.end(), mine.begin(), mine.end());
        });
        p50.values.push_back(percentile(late, 0.5));
        p99.values.push_back(percentile(late, 0.99));
        p50.n = p99.n = late.size();
    }
    run.emit(p50);
    run.emit(p99);
}

WORKLOAD(wake, "how soon a thread woken by a futex runs while its waker computes on") {
    use_cpus(run.procs());
    const uint64_t steps = steps_per_ms();
    Series p50{"runnext_p50", "us", {}, 0}, p99{"runnext_p99", "us", {}, 0};
    for (unsigned r = 0; r < run.reps(); ++r) {
        std::vector<double> us;
        std::atomic<uint32_t> sent{0}, seen{0};
        double when = 0;
        bool over = false;
        {
            Thread woken([&] {
                for (uint32_t had = 0;; had = sent.load()) {
                    sent.wait(had);
                    if (over) return;
                    us.push_back((now_ns() - when) / 1e3);
                    seen = sent.load();
                    seen.notify_one();
                }
            });
            const timespec pause{0, 200000};
            for (const double end = now_ns() + run.ms() * 1e6; now_ns() < end;) {
                nanosleep(&pause, nullptr);
                when = now_ns();
                const uint32_t now = ++sent;
                sent.notify_one();
                compute(steps);
                for (uint32_t old; (old = seen.load()) != now;) seen.wait(old);
            }
            over = true;
            ++sent;
            sent.notify_one();
        }
        p50.n = p99.n = us.size();
        p50.values.push_back(percentile(us, 0.5));
        p99.values.push_back(percentile(us, 0.99));
    }
    run.emit(p50);
    run.emit(p99);
}

WORKLOAD(sync, "pthread_once done; two threads hand a turn to and fro through two conditions") {
    use_cpus(run.procs());
    static std::once_flag once;
    static int calls = 0;
    run.per_op("once_done", [&](uint64_t n) {
        for (; n; --n) std::call_once(once, [] { ++calls; });
        run.check(calls == 1, "once ran twice");
    });
    run.per_op("cond_roundtrip", [](uint64_t n) {
        std::mutex mutex;
        std::condition_variable mine, yours;
        int turn = 0;
        Thread other([&] {
            std::unique_lock lock(mutex);
            for (uint64_t i = 0; i < n; ++i) {
                yours.wait(lock, [&] { return turn == 1; });
                turn = 0;
                mine.notify_one();
            }
        });
        std::unique_lock lock(mutex);
        for (uint64_t i = 0; i < n; ++i) {
            turn = 1;
            yours.notify_one();
            mine.wait(lock, [&] { return turn == 0; });
        }
    });
}
