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

// One P: one of the gomaxprocs() places where goroutines run.
struct proc_stats {
    uint64_t switches = 0;     // times it chose a goroutine to run
    uint64_t parks = 0;        // times a goroutine blocked on it
    uint64_t steals = 0;       // goroutines it took from others' queues
    uint64_t steal_tries = 0;  // times it tried to take some
    uint64_t looks = 0;        // rounds of looking at others' queues
    uint64_t created = 0;      // goroutines started on it
    uint64_t finished = 0;     // that ended on it
    uint64_t timers = 0;       // pending
    uint32_t queued = 0;       // goroutines that wait here for their turn
    bool running = false;      // some thread holds it
};

// Fences that interrupt every CPU that runs a thread of this program, by what needed one.
struct barrier_stats {
    uint64_t take = 0;     // a P was to be taken from its thread: steals, retakes
    uint64_t channel = 0;  // a channel was taken from the P that owned it
    uint64_t sync = 0;     // a mutex, wait_group or other sync object was
    uint64_t lock = 0;     // a lock of the runtime's own was
    uint64_t sleeper = 0;  // a thread was about to sleep for a lock
    uint64_t waiter = 0;   // a goroutine was about to wait for a mutex
    uint64_t solo = 0;     // there was a second P, or a foreign thread, for the first time
    uint64_t arm = 0;      // somebody asked to be told when work is left behind
    uint64_t other = 0;
    uint64_t total() const { return take + channel + sync + lock + sleeper + waiter + solo + arm + other; }
};

// A lock that all threads share.
struct lock_stats {
    uint64_t acquired = 0;
    uint64_t waited = 0;  // somebody else had it: spun, slept, or a try that failed
    uint64_t slept = 0;
};

// How often something took so long: bucket 0 up to 2.048 us, each of the others up to twice as long as the one before,
// the last anything longer. Of samples: one park in eight of those that found nothing else to run on their P, and one
// in about two thousand of the others.
struct duration_histogram {
    static constexpr int buckets = 32;
    uint64_t count[buckets] = {};

    uint64_t total() const {
        uint64_t n = 0;
        for (uint64_t c : count) n += c;
        return n;
    }
    static constexpr int64_t limit_ns(int bucket) { return int64_t{2048} << bucket; }  // of bucket: exclusive
    // What a fraction of them (0 to 1) did not exceed, to the bucket: limit_ns; 0 without samples.
    int64_t quantile_ns(double fraction) const {
        const double wanted = fraction * static_cast<double>(total());
        uint64_t n = 0;
        for (int i = 0; i < buckets; ++i)
            if (count[i] && static_cast<double>(n += count[i]) >= wanted) return limit_ns(i);
        return 0;
    }
};
// Goroutines that were parked, by why, in the words of tracebacks.
struct park_stats {
    const char* reason = "";
    duration_histogram parked;
};

struct runtime_stats {
    // --- how things stand
    int64_t goroutines = 0;  // that exist: num_goroutine()
    int64_t running =
        0;  // now on a thread; those without a P as well, which compute or sit in a blocking call
    int64_t runnable = 0;  // that wait for their turn
    int64_t waiting = 0;   // blocked: the rest
    int procs = 0;         // gomaxprocs()
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
    uint64_t retakes = 0;      // Ps taken from a goroutine that kept one too long
    uint64_t wakes = 0;        // threads woken for work
    uint64_t sleeps = 0;       // times a thread ran out of work and slept
    uint64_t polls = 0;        // looks at the descriptors
    uint64_t steal_tries = 0;  // sums over per_p
    uint64_t looks = 0;
    barrier_stats barriers;
    uint64_t handshakes = 0;   // Ps asked to answer, instead of a barrier or before one
    uint64_t futex_waits = 0;  // calls, whether they slept or not
    uint64_t futex_wakes = 0;
    lock_stats sched_lock;  // idle lists, global queue
    lock_stats depot_lock;  // free goroutines between Ps
    lock_stats stack_lock;  // free stacks between Ps; a call of stats takes it, too
    lock_stats procs_lock;  // changes of gomaxprocs

    duration_histogram ready_to_running;      // from when a parked goroutine was woken to when it ran
    std::vector<park_stats> parks_by_reason;  // those that there were samples of
    std::vector<proc_stats> per_p;            // by number
};

namespace detail {
int read_stats(runtime_stats* totals, proc_stats* procs, int room);
int read_delays(duration_histogram* ready_to_running, park_stats* parks, int room);  // how many reasons
}  // namespace detail

// A snapshot; all zero but for the stacks while the runtime is not up. Takes microseconds, and about 50 ns for each
// stack ever in use if resident, because the kernel is asked page by page: stats(false) leaves stack_resident 0.
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
