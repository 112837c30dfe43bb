// rt/trace/stats.cc - gort::stats: reads what others write, without a lock.
// SPDX-License-Identifier: BSD-2-Clause
//
// Cost to what is counted: one plain addition to a P's line per park; switches follow from what the queue moves anyway
// (P::picks), everything else is counted on slow paths.
#include "rt/stats.h"

#include "rt/base/fork.h"
#include "rt/go.h"
#include "rt/sched/delays.h"
#include "rt/sched/sched.h"
#include "rt/stack/stack.h"

namespace gort::rt {

namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

using kernel::Count;
using kernel::CountedMutex;

// What the process has counted; kept from when the run began, for these go on from one run to the next.
struct Counted {
    uint64_t counts[kernel::kCounts];
    CountedMutex::Counts sched_lock, depot_lock, stack_lock, procs_lock;
};
Counted at_begin;

void read_counted(Counted* to) {
    for (uint32_t i = 0; i < kernel::kCounts; ++i) to->counts[i] = kernel::counted(static_cast<Count>(i));
    to->sched_lock = sched.lock.counts();
    to->depot_lock = depot_lock_counts();
    to->stack_lock = stack_lock_counts();
    to->procs_lock = procs_lock_counts();
}

lock_stats since(const CountedMutex::Counts& now, const CountedMutex::Counts& then) {
    return {now.acquired - then.acquired, now.waited - then.waited, now.slept - then.slept};
}

void report_counted(runtime_stats* s) {
    Counted now;
    read_counted(&now);
    auto counted = [&](Count what) {
        const auto i = static_cast<uint32_t>(what);
        return now.counts[i] - at_begin.counts[i];
    };
    s->barriers = {
        counted(Count::kBarrierTake), counted(Count::kBarrierChannel), counted(Count::kBarrierSync),
        counted(Count::kBarrierLock), counted(Count::kBarrierSleeper), counted(Count::kBarrierWaiter),
        counted(Count::kBarrierSolo), counted(Count::kBarrierArm),     counted(Count::kBarrierOther)};
    s->handshakes = counted(Count::kHandshakes);
    s->futex_waits = counted(Count::kFutexWaits);
    s->futex_wakes = counted(Count::kFutexWakes);
    s->sched_lock = since(now.sched_lock, at_begin.sched_lock);
    s->depot_lock = since(now.depot_lock, at_begin.depot_lock);
    s->stack_lock = since(now.stack_lock, at_begin.stack_lock);
    s->procs_lock = since(now.procs_lock, at_begin.procs_lock);
}

// Fields that their owners write plainly: a glance is a guess. (Hence no TSA.)
[[gnu::noinline, gnu::no_sanitize_thread]] bool runs_something(const M* mp) { return mp->curg != nullptr; }
[[gnu::noinline, gnu::no_sanitize_thread]] int idle_ms() GORT_NO_TSA { return sched.midle_count; }
[[gnu::noinline, gnu::no_sanitize_thread]] uint32_t cached_stacks(const P* pp) { return pp->stacks; }
[[gnu::noinline, gnu::no_sanitize_thread]] bool is_retired(const P* pp) { return pp->retired; }

void read_p(const P* pp, proc_stats* to) {
    to->switches = pp->picks();
    to->parks = pp->parks.load(kRelaxed);
    to->steals = pp->steals.load(kRelaxed);
    to->steal_tries = pp->steal_tries.load(kRelaxed);
    to->looks = pp->looks.load(kRelaxed);
    to->created = pp->created.load(kRelaxed);
    to->finished = pp->finished.load(kRelaxed);
    to->timers = pp->timers.count.load(kRelaxed);
    to->queued = pp->queued();
    to->running = pp->m.load(std::memory_order_acquire) != nullptr;
}

// So that the number of Ps is what gomaxprocs says.
bool settled() {
    if (!sched.unsettled.load(std::memory_order_acquire)) return true;
    if (!self()) return settle_procs(nullptr);
    M* mp = enter();
    const bool done = settle_procs(mp);
    leave(mp);
    return done;
}

}  // namespace

void stats_begin() { read_counted(&at_begin); }

}  // namespace gort::rt

namespace gort::detail {

using namespace rt;

// The first call, without room, only says how many Ps there are.
int read_stats(runtime_stats* s, proc_stats* procs, int room) {
    check_not_forked();
    const bool up = sched.state.load(kRelaxed) != RunState::kStopped;
    while (up && !settled()) kernel::sys_sched_yield();
    const int all = up ? sched.nallp.load(std::memory_order_acquire) : 0;
    if (!procs && all) return all;
    if (up) report_counted(s);
    const bool resident = s->stack_resident != 0;
    const StackTotals stacks = stack_totals();
    s->stacks_in_use = stacks.in_use;
    for (int i = 0; i < all; ++i) {
        proc_stats one;
        const P* pp = sched.allp[i];
        read_p(pp, &one);
        s->created += one.created;
        s->switches += one.switches;
        s->parks += one.parks;
        s->steals += one.steals;
        s->steal_tries += one.steal_tries;
        s->looks += one.looks;
        s->timers += one.timers;
        s->runnable += one.queued;
        const M* mp = pp->m.load(std::memory_order_acquire);
        s->running += mp && runs_something(mp);
        s->goroutines += static_cast<int64_t>(one.created) - static_cast<int64_t>(one.finished);
        const uint32_t cached = cached_stacks(pp);  // out of the pool, but no goroutine's
        s->stacks_in_use -= cached < s->stacks_in_use ? cached : s->stacks_in_use;
        if (i < room && !is_retired(pp)) procs[i] = one;
    }
    if (up) {
        const auto foreign = sched.foreign_created.load(kRelaxed);
        s->created += foreign;
        s->goroutines += static_cast<int64_t>(foreign);
        s->runnable += sched.runq_size.load(kRelaxed);
        s->running += detached();
        const int64_t blocked = s->goroutines - s->running - s->runnable;
        s->waiting = blocked > 0 ? blocked : 0;
        s->procs = sched.nprocs.load(kRelaxed);
        s->idle_procs = sched.npidle.load(kRelaxed);
        s->threads = sched.nm.load(kRelaxed);
        s->idle_threads = idle_ms();
        const int waiters = sched.poll_waiters.load(kRelaxed);
        s->poll_waiters = waiters > 0 ? static_cast<uint64_t>(waiters) : 0;
        s->retakes = sched.retakes.load(kRelaxed);
        s->wakes = sched.wakes.load(kRelaxed);
        s->sleeps = sched.sleeps.load(kRelaxed);
        s->polls = sched.polls.load(kRelaxed);
    }
    s->stack_reserved = stacks.reserved;
    s->stack_resident = resident ? stack_resident_total() : 0;
    return all;
}

int read_delays(duration_histogram* ready_to_running, park_stats* parks, int room) {
    static_assert(duration_histogram::buckets == kDelayBuckets);
    constexpr auto kReasons = static_cast<uint32_t>(WaitReason::kCount);
    delays_read_ready(ready_to_running->count);
    int n = 0;
    for (uint32_t r = 0; r < kReasons && n < room; ++r) {
        park_stats& to = parks[n];
        delays_read_parked(static_cast<WaitReason>(r), to.parked.count);
        if (!to.parked.total()) continue;
        to.reason = wait_reason_text(static_cast<WaitReason>(r));
        ++n;
    }
    return n;
}

}  // namespace gort::detail
