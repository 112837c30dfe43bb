// rt/sched/procs.cc - Ps: making them, and changing their number while everything runs.
// SPDX-License-Identifier: BSD-2-Clause
//
// A run that is not told how many to have begins with one: to learn what the cgroup allows takes as long as all else
// that a small program's start does. sysmon asks after its first sleep, and before that whoever wants to know the
// number.
// Such a run also follows what affinity and cgroup allow while it goes on: follow_procs.
// A P beyond the new number is retired: taken from the idle list, taken through the gate from an M in user code, or
// given up by its M, which is asked through `attention`. Its goroutines go to the global queue, its timers to
// another P.
#include "kernel/cpu.h"
#include "kernel/sys.h"
#include "rt/base/slab.h"
#include "rt/base/solo.h"
#include "rt/sched/look.h"
#include "rt/sched/park.h"

namespace gort::rt {

namespace {

Slab<P> p_slab;

kernel::CountedMutex procs_lock{kernel::LockRank::kInit};  // one change at a time

// pp is in our hands: no M runs it.
void empty_into_global(P* pp, P* heir) {
    GList list;
    take_all(pp, &list);
    timers_move(&pp->timers, &heir->timers);
    flush_p_caches(pp);
    if (list.head) put_global_list(&list);
}

P* heir_of(const P* pp) {
    for (int i = 0, n = sched.nallp.load(std::memory_order_acquire); i < n; ++i)
        if (sched.allp[i] != pp && !sched.allp[i]->retired) return sched.allp[i];
    return sched.allp[0];
}

bool remove_idle_p_locked(const P* pp) {
    for (P** at = &sched.pidle; *at; at = &(*at)->next_idle)
        if (*at == pp) {
            *at = pp->next_idle;
            sched.npidle.fetch_sub(1, std::memory_order_relaxed);
            return true;
        }
    return false;
}

// pp, which is not idle, has been asked for: from its M in user code, or by its M. Nobody's means: on its way to an M.
// False: the run ends. Then an M gives its P up for that, and no M answers us any more.
bool wait_for_release(P* pp, P* heir) {
    while (pp->attention.load(std::memory_order_acquire) & kAskRelease) {
        if (!running()) return false;
        M* holder;
        if (take(pp, &holder, kAskRelease) == Taken::kYes) {
            keep(pp, holder);
            empty_into_global(pp, heir);
            pp->attention.fetch_and(~kAskRelease, std::memory_order_relaxed);
            return true;
        }
        kernel::sys_sched_yield();
    }
    return true;
}

}  // namespace

P* new_p(uint32_t index) {
    P* pp = p_slab.alloc();
    if (!pp) kernel::fatal("out of memory for another P");
    pp->index = index;
    pp->runq.init(pp->runq_first);
    pp->fresh.init(pp->fresh_first);
    pp->rand.s = sched.config.seed + index * 0x9e3779b97f4a7c15u;
    return pp;
}

void take_all(P* pp, GList* to) {
    take_back(pp);
    if (G* gp = pp->runnext.load(std::memory_order_relaxed)) {
        pp->runnext.store(nullptr, std::memory_order_relaxed);
        to->push(gp);
    }
    while (G* gp = pp->runq.pop()) to->push(gp);
    while (G* gp = pp->fresh.pop_oldest()) to->push(gp);
}

void retire_p(M* mp) { retire_loose_p(release_p(mp)); }

void retire_loose_p(P* pp) {
    // Not if the run ends: what is there is abandoned, and there may be no other P than this one.
    if (running()) empty_into_global(pp, heir_of(pp));
    pp->attention.fetch_and(~kAskRelease, std::memory_order_release);  // set_procs waits for this
}

namespace {

void change_locked(P* mine, int n) GORT_REQUIRES(procs_lock) {
    const int old = sched.nprocs.load(std::memory_order_relaxed);
    if (n > 1) end_solo();
    int have = old;
    for (int i = 0; have < n; ++i) {  // retired ones first, then new ones
        P* pp = i < sched.nallp.load(std::memory_order_relaxed) ? sched.allp[i] : nullptr;
        if (pp && !pp->retired) continue;
        if (!pp) {
            pp = new_p(static_cast<uint32_t>(i));
            sched.allp[i] = pp;
            sched.nallp.store(i + 1, std::memory_order_release);
        }
        ++have;
        sched.lock.lock();
        pp->retired = false;
        pp->next_idle = sched.pidle;
        sched.pidle = pp;
        sched.npidle.fetch_add(1, std::memory_order_relaxed);
        sched.nprocs.store(have, std::memory_order_relaxed);
        if (sched.runq.count) wake_one_locked();
        sched.lock.unlock();
    }
    for (int i = sched.nallp.load(std::memory_order_relaxed) - 1; have > n && i >= 0; --i) {
        P* pp = sched.allp[i];
        if (pp == mine || pp->retired) continue;
        --have;
        // all at once: no look may find as many idle Ps as there are, while one of them runs
        sched.lock.lock();
        pp->retired = true;
        const bool idle = remove_idle_p_locked(pp);
        sched.nprocs.store(have, std::memory_order_relaxed);
        if (!idle) pp->attention.fetch_or(kAskRelease, std::memory_order_release);
        sched.lock.unlock();
        P* heir = mine ? mine : heir_of(pp);
        if (idle) empty_into_global(pp, heir);
        else if (!wait_for_release(pp, heir)) break;
    }
}

}  // namespace

kernel::CountedMutex::Counts procs_lock_counts() { return procs_lock.counts(); }

// The lock is only tried: who holds it waits for others to leave the gate, and we may be inside.
bool settle_procs(M* mp) {
    if (!sched.unsettled.load(std::memory_order_acquire)) return true;
    const int n = kernel::cpus_for(sched.ncpu, kernel::cgroup_quota());
    if (!procs_lock.try_lock()) return false;
    if (running() && sched.unsettled.load(std::memory_order_relaxed)) {
        change_locked(mp ? p_of(mp) : nullptr, n);
        sched.unsettled.store(false, std::memory_order_release);
    }
    procs_lock.unlock();
    return true;
}

// Go's figure.
constexpr int64_t kFollowEvery = 1'000'000'000;

// [the watcher] The number of CPUs may change while the program runs: by taskset, by a container's new limit. Whose
// number was said is not followed. The mask that counts is that of the thread which began the run: what taskset -p
// sets.
void follow_procs(int64_t now, int first_tid) {
    static int64_t looked = 0;
    static uint64_t epoch = 0;
    if (!sched.follows.load(std::memory_order_relaxed)) return;
    if (epoch != sched.epoch.load(std::memory_order_relaxed)) {
        epoch = sched.epoch.load(std::memory_order_relaxed);
        looked = now;  // the run has just begun with what there is
    }
    if (now - looked < kFollowEvery) return;
    looked = now;
    const int affinity = kernel::affinity_cpu_count_of(first_tid);
    if (!affinity) return;  // the thread has gone
    sched.ncpu = affinity;
    int n = kernel::cpus_for(affinity, kernel::cgroup_quota());
    if (n > static_cast<int>(kMaxProcs)) n = static_cast<int>(kMaxProcs);
    if (n == sched.nprocs.load(std::memory_order_relaxed) || !procs_lock.try_lock()) return;
    if (running() && sched.follows.load(std::memory_order_relaxed)) change_locked(nullptr, n);
    procs_lock.unlock();
}

bool set_procs(M* mp, int n, int* before) {
    if (!settle_procs(mp)) return false;
    *before = sched.nprocs.load(std::memory_order_relaxed);
    if (n < 1) return true;
    if (n > static_cast<int>(kMaxProcs)) n = static_cast<int>(kMaxProcs);
    if (!procs_lock.try_lock()) return false;
    if (running()) {  // else a retired P may still be its M's, see wait_for_release
        *before = sched.nprocs.load(std::memory_order_relaxed);
        sched.follows.store(false, std::memory_order_relaxed);
        change_locked(p_of(mp), n);
    }
    procs_lock.unlock();
    return true;
}

}  // namespace gort::rt
