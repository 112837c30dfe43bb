// rt/procs.cc - Ps: making them, and changing their number while everything runs.
// SPDX-License-Identifier: BSD-2-Clause
//
// A P beyond the new number is retired: taken from the idle list, taken through the gate from an M in user code, or
// given up by its M, which is asked through `attention`. Its goroutines go to the global queue, its timers to another P.
#include "kernel/sys.h"
#include "rt/park.h"
#include "rt/slab.h"
#include "rt/solo.h"

namespace gort::rt {

namespace {

Slab<P> p_slab;
kernel::Mutex procs_lock{kernel::LockRank::kInit};  // one change at a time

// pp is in our hands: nobody runs it.
void empty_into_global(P* pp, P* heir) {
    GList list;
    if (G* gp = pp->runnext.load(std::memory_order_relaxed)) {
        pp->runnext.store(nullptr, std::memory_order_relaxed);
        list.push(gp);
    }
    while (G* gp = pp->runq.pop()) list.push(gp);
    timers_move(&pp->timers, &heir->timers);
    flush_p_caches(pp);
    if (list.head) put_global_list(&list);
}

P* heir_of(const P* pp) {
    for (int i = 0, n = sched.nallp.load(std::memory_order_acquire); i < n; ++i)
        if (sched.allp[i] != pp && !sched.allp[i]->retired) return sched.allp[i];
    return sched.allp[0];
}

void remove_idle_p_locked(P* pp) {
    for (P** at = &sched.pidle; *at; at = &(*at)->next_idle)
        if (*at == pp) {
            *at = pp->next_idle;
            sched.npidle.fetch_sub(1, std::memory_order_relaxed);
            return;
        }
}

bool is_idle_locked(const P* pp) {
    for (P* p = sched.pidle; p; p = p->next_idle)
        if (p == pp) return true;
    return false;
}

}  // namespace

P* new_p(uint32_t index) {
    P* pp = p_slab.alloc();
    if (!pp) kernel::fatal("out of memory for another P");
    pp->index = index;
    pp->runq.init();
    pp->rand.s = sched.config.seed + index * 0x9e3779b97f4a7c15u;
    return pp;
}

void retire_p(M* mp) {
    P* pp = release_p(mp);
    empty_into_global(pp, heir_of(pp));
    pp->attention.fetch_and(~kAskRelease, std::memory_order_release);  // set_procs waits for this
}

int set_procs(M* mp, int n) {
    const int before = sched.nprocs.load(std::memory_order_relaxed);
    if (n < 1) return before;
    if (n > static_cast<int>(kMaxProcs)) n = static_cast<int>(kMaxProcs);
    procs_lock.lock();
    const int old = sched.nprocs.load(std::memory_order_relaxed);
    P* mine = p_of(mp);
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
        sched.lock.unlock();
    }
    for (int i = sched.nallp.load(std::memory_order_relaxed) - 1; have > n && i >= 0; --i) {
        P* pp = sched.allp[i];
        if (pp == mine || pp->retired) continue;
        --have;
        sched.lock.lock();
        pp->retired = true;
        sched.nprocs.store(have, std::memory_order_relaxed);
        sched.lock.unlock();
        for (bool asked = false;;) {
            sched.lock.lock();
            const bool idle = is_idle_locked(pp);
            if (idle) remove_idle_p_locked(pp);
            sched.lock.unlock();
            if (idle) {
                empty_into_global(pp, mine ? mine : heir_of(pp));
                pp->attention.fetch_and(~kAskRelease, std::memory_order_relaxed);
                break;
            }
            if (asked && !(pp->attention.load(std::memory_order_acquire) & kAskRelease)) break;  // its M did it
            M* holder;
            const Taken taken = take(pp, &holder);
            if (taken == Taken::kYes) {
                keep(pp, holder);
                empty_into_global(pp, mine ? mine : heir_of(pp));
                pp->attention.fetch_and(~kAskRelease, std::memory_order_relaxed);
                break;
            }
            if (!asked) {
                pp->attention.fetch_or(kAskRelease, std::memory_order_release);
                asked = true;
            }
            kernel::sys_sched_yield();  // it is inside the runtime, or on its way from one M to another
        }
    }
    procs_lock.unlock();
    return old;
}

}  // namespace gort::rt
