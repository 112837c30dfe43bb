// rt/sched/enter.cc - coming into the runtime otherwise than through an open gate: without the P, or as a thread of the
// program's own.
// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/thread.h"
#include "rt/base/fork.h"
#include "rt/base/sim_seam.h"
#include "rt/base/solo.h"
#include "rt/host.h"
#include "rt/sched/look.h"
#include "rt/sched/park.h"
#include "rt/sched/unload.h"

namespace gort::rt {

namespace {

// The commit of a goroutine whose run ends or has ended. Either its end finds it on no thread, and frees it, or the end
// has been and left that to us.
void leave_run(void* arg, G* left) {
    sched.lock.lock();
    static_cast<M*>(arg)->curg = nullptr;
    const bool late = left->status.load(std::memory_order_relaxed) == GStatus::kDead;
    sched.lock.unlock();
    if (late) free_abandoned_g(left);
}

// mp's goroutine runs without a P no longer. The end of the run has counted it among those of earlier runs.
void stray_ends_locked(const M* mp) GORT_REQUIRES(sched.lock) {
    const bool of_this_run = mp->epoch == sched.epoch.load(std::memory_order_relaxed);
    detail::g_strays.fetch_sub(of_this_run ? detail::kStray : detail::kStrayElsewhere,
                               std::memory_order_relaxed);
}

// What was asked while this goroutine was inside, and left at the gate for it.
M* answer_late(M* mp) {
    P* pp = p_of(mp);
    const uint32_t asked = pp->attention.load(std::memory_order_relaxed);
    if (asked & (kAskPreempt | kAskRelease)) return yield_slow(mp);
    if (asked & kAskShare) {
        pp->attention.fetch_and(~kAskShare, std::memory_order_acquire);
        share_whatever(pp);
    }
    return mp;
}

}  // namespace

M* enter_slow(M* mp) {
    if (const SimHooks* sim = simulation()) [[unlikely]] {
        if (mp->foreign) sim->foreign();
        return sim->at(mp);
    }
    if (mp->foreign) return mp;
    mp->gate_lock.lock();  // a thief puts the P back before it unlocks
    if (!mp->lost_p.load(std::memory_order_relaxed)) {
        GORT_DCHECK(mp->p);
        mp->open.store(static_cast<uint16_t>(mp->place), std::memory_order_relaxed);
        mp->gate_lock.unlock();
        return answer_late(mp);
    }
    mp->lost_p.store(false, std::memory_order_relaxed);
    mp->gate_lock.unlock();
    G* gp = mp->curg;
    mp->commit_arg = mp;
    mp->commit_g = gp;
    sched.lock.lock();
    if (!running() || mp->epoch != sched.epoch.load(std::memory_order_relaxed)) {
        stray_ends_locked(mp);
        sched.lock.unlock();
        mp->commit_fn = leave_run;
        return switch_to_g0(mp, gp, nullptr);  // abandoned: never comes back
    }
    if (!mp->is_m0 || gp == sched.main_g.load(std::memory_order_relaxed)) {
        if (P* pp = pop_idle_p_locked()) {
            stray_ends_locked(mp);
            sched.lock.unlock();
            acquire_p(mp, pp);
            return mp;
        }
    }
    sched.lock.unlock();
    gp->status.set(GStatus::kRunnable);
    mp->commit_fn = [](void* arg, G* left) {
        sched.lock.lock();  // both under one lock: a deadlock check must not see neither
        stray_ends_locked(static_cast<M*>(arg));
        sched.runq.push(left);
        sched.runq_size.store(sched.runq.count, std::memory_order_relaxed);
        wake_one_locked();
        sched.lock.unlock();
    };
    return switch_to_g0(mp, gp, nullptr);
}

namespace {
void detach_foreign(void* arg) {
    auto* mp = static_cast<M*>(arg);
    if (g_forked.load(std::memory_order_relaxed)) return;  // the books are not this process's
    end_locals(&mp->pseudo, true);
    sched.foreign.fetch_sub(1, std::memory_order_relaxed);
    kernel::tls_set(nullptr);
    free_m(mp);
    kernel::LockGuard guard(sched.lock);
    check_deadlock_locked();
}
}  // namespace

void detach_all_foreign() {
    for (;;) {
        sched.lock.lock();
        M* mp = sched.allm;
        while (mp && !mp->foreign) mp = mp->next_all;
        sched.lock.unlock();
        if (!mp) return;
        detach_foreign(mp);
    }
}

M* attach_foreign() {
    check_not_forked();
    if (const SimHooks* sim = simulation()) sim->foreign();
    watch_process();
    {
        kernel::LockGuard guard(sched.lock);  // see begin() in run.cc
        sched.foreign.fetch_add(1, std::memory_order_relaxed);
    }
    M* mp = new_m(true);
    mp->tid = kernel::gettid();
    mp->eh = host_eh_globals(&mp->no_eh);
    mp->curg = &mp->pseudo;
    mp->pseudo.flags = kGForeign;
    mp->pseudo.locked_m = mp;
    mp->pseudo.status.begin(GStatus::kRunning);
    kernel::tls_set(mp);
    host_on_thread_exit(&mp->thread_exit, detach_foreign, mp);
    end_solo();
    sysmon_ensure();
    return mp;
}

}  // namespace gort::rt
