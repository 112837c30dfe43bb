// PUBLIC
// rt/stats.h - what the scheduler has done and how things stand: for people, logs and metrics.
// SPDX-License-Identifier: BSD-2-Clause
//
// Context: goroutines and any other thread, at any time. Never blocks. The figures are read one after the other while
//          things go on, so that sums may be off by what happens meanwhile. Counters count from the start of this
//          run().
// Source:  Go's runtime/metrics and schedtrace, as far as they speak of goroutines.
#pragma once

#include "config.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gort {

// One of the gomaxprocs() places where goroutines run. Go calls such a place a P; a thread takes one to run goroutines,
// and each has a queue of goroutines that wait for their turn there.
struct proc_stats {
    uint64_t switches = 0;     // times a goroutine was chosen to run there
    uint64_t parks = 0;        // times a goroutine blocked there
    uint64_t steals = 0;       // goroutines that were taken from the other places' queues
    uint64_t steal_tries = 0;  // times that was tried
    uint64_t looks = 0;        // rounds of looking at the other places' queues
    uint64_t created = 0;      // goroutines that were started there
    uint64_t finished = 0;     // goroutines that ended there
    uint64_t timers = 0;       // pending timers
    uint32_t queued = 0;       // goroutines that wait there for their turn
    bool running = false;      // a thread has taken the place
};

// How often the runtime interrupted every CPU that runs a thread of this program (the system call membarrier), by what
// needed that. It spares the frequent operations their locked instructions.
struct barrier_stats {
    uint64_t take = 0;     // a place was taken from its thread: steals, retakes
    uint64_t channel = 0;  // a channel was used at a second place for the first time
    uint64_t sync = 0;     // the same of a mutex, wait_group or another object of rt/sync
    uint64_t lock = 0;     // the same of a lock of the runtime's own
    uint64_t sleeper = 0;  // a thread was about to sleep for a lock
    uint64_t waiter = 0;   // a goroutine was about to wait for a mutex
    uint64_t solo = 0;     // a second place, or a thread of the program's own, came in for the first time
    uint64_t arm = 0;      // an idle thread asked to be woken when work is left waiting
    uint64_t other = 0;    // all other reasons
    uint64_t total() const { return take + channel + sync + lock + sleeper + waiter + solo + arm + other; }
};

// How a lock that all threads share was used.
struct lock_stats {
    uint64_t acquired = 0;
    uint64_t waited = 0;  // it was held: the thread spun or slept, or its try failed
    uint64_t slept = 0;
};

// A histogram of durations. Bucket 0 counts those up to 2.048 us, each further bucket those up to twice as long as the
// one before, the last bucket all longer ones. Not every wait is measured: one in eight of those that left their place
// without anything to run, and one in about two thousand of the others.
struct duration_histogram {
    static constexpr int buckets = 32;
    uint64_t count[buckets] = {};

    uint64_t total() const {
        uint64_t n = 0;
        for (uint64_t c : count) n += c;
        return n;
    }
    // The end of a bucket in ns: what it counts is shorter.
    static constexpr int64_t limit_ns(int bucket) { return int64_t{2048} << bucket; }
    // The duration in ns that this fraction of all (0 to 1) did not exceed, rounded up to a bucket's limit_ns; 0
    // without samples. h.quantile_ns(0.99) is the 99th percentile.
    int64_t quantile_ns(double fraction) const {
        const double wanted = fraction * static_cast<double>(total());
        uint64_t n = 0;
        for (int i = 0; i < buckets; ++i)
            if (count[i] && static_cast<double>(n += count[i]) >= wanted) return limit_ns(i);
        return 0;
    }
};
// How long goroutines were blocked for one reason, which is named as in tracebacks: "chan receive".
struct park_stats {
    const char* reason = "";
    duration_histogram parked;
};

struct runtime_stats {
    // --- how things stand
    int64_t goroutines = 0;  // that exist, as num_goroutine() says
    int64_t running = 0;     // now on a thread; those that compute or sit in a blocking call count, too
    int64_t runnable = 0;    // that wait for their turn
    int64_t waiting = 0;     // blocked: the rest
    int procs = 0;           // gomaxprocs()
    int idle_procs = 0;
    int threads =
        0;  // OS threads of ours that run goroutines or wait to; without the monitor and the program's own
    int idle_threads = 0;
    uint64_t timers = 0;        // pending: sleeps, timers, tickers, deadlines
    uint64_t poll_waiters = 0;  // goroutines blocked on descriptors
    size_t stacks_in_use = 0;   // goroutines that have run have one
    size_t stack_reserved = 0;  // bytes of address space
    size_t stack_resident = 0;  // bytes of memory; see stats()

    // --- counters
    uint64_t created = 0;   // goroutines
    uint64_t switches = 0;  // sums over per_p
    uint64_t parks = 0;
    uint64_t steals = 0;
    uint64_t retakes = 0;      // times a goroutine kept its place too long and lost it
    uint64_t wakes = 0;        // threads woken for work
    uint64_t sleeps = 0;       // times a thread ran out of work and slept
    uint64_t polls = 0;        // looks at the descriptors
    uint64_t steal_tries = 0;  // sums over per_p
    uint64_t looks = 0;
    barrier_stats barriers;
    uint64_t handshakes = 0;   // times a place was asked to answer, instead of a barrier or before one
    uint64_t futex_waits = 0;  // calls, whether they slept or not
    uint64_t futex_wakes = 0;
    lock_stats sched_lock;  // idle lists, global queue
    lock_stats depot_lock;  // memory of ended goroutines, for all places
    lock_stats stack_lock;  // free stacks, for all places; a call of stats takes it, too
    lock_stats procs_lock;  // changes of gomaxprocs

    duration_histogram ready_to_running;      // from when a parked goroutine was woken to when it ran
    std::vector<park_stats> parks_by_reason;  // one for each reason with samples
    std::vector<proc_stats> per_p;            // one for each place, by number
};

namespace detail {
int read_stats(runtime_stats* totals, proc_stats* procs, int room);
int read_delays(duration_histogram* ready_to_running, park_stats* parks, int room);  // how many reasons
}  // namespace detail

// Takes a snapshot. While the runtime is not up, all but the figures about stacks is zero. It takes microseconds,
// and with `resident` about 50 ns more for each stack that was ever in use, because the kernel is asked page by
// page; stats(false) leaves stack_resident 0.
//
//      const auto s = gort::stats(false);
//      log("%ld goroutines, %ld wait for their turn", s.goroutines, s.runnable);
inline runtime_stats stats(bool resident = true) {
    runtime_stats s;
    s.stack_resident = resident;
    const int n = detail::read_stats(&s, nullptr, 0);
    s.per_p.resize(static_cast<size_t>(n));
    detail::read_stats(&s, s.per_p.data(), n);
    s.parks_by_reason.resize(32);
    s.parks_by_reason.resize(
        static_cast<size_t>(detail::read_delays(&s.ready_to_running, s.parks_by_reason.data(), 32)));
    return s;
}

}  // namespace gort
