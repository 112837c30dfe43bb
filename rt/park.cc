// rt/park.cc - park, ready and yield over the switch of rt/sched.h.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/park.h"

#include "kernel/sys.h"
#include "rt/go.h"

namespace gort::rt {

namespace {

// A foreign thread's wait: its pseudo-G has no stack to switch from, so the commit runs at once and the thread sleeps.
M* park_foreign(M* mp, CommitFn commit, void* arg, WaitReason why) {
    G* gp = &mp->pseudo;
    gp->wait_reason = why;
    gp->status.store(GStatus::kWaiting, std::memory_order_relaxed);
    mp->note.clear();
    if (commit) commit(arg, gp);
    leave(mp);
    mp->note.sleep();
    return enter();
}

}  // namespace

M* park(M* mp, CommitFn commit, void* arg, WaitReason why) {
    if (mp->foreign) [[unlikely]]
        return park_foreign(mp, commit, arg, why);
    G* gp = mp->curg;
    gp->wait_reason = why;
    gp->wait_since = sched.coarse_now.load(std::memory_order_relaxed);
    gp->status.store(GStatus::kWaiting, std::memory_order_relaxed);
    mp->commit_fn = commit;
    mp->commit_arg = arg;
    mp->commit_g = gp;
    return switch_away(mp, p_of(mp), gp);
}

void ready(M* mp, G* gp) {
    if (gp->flags & kGForeign) [[unlikely]] {
        gp->status.store(GStatus::kRunnable, std::memory_order_relaxed);
        gp->locked_m->note.wake();
        return;
    }
    GORT_DCHECK(gp->status.load(std::memory_order_relaxed) == GStatus::kWaiting);
    gp->status.store(GStatus::kRunnable, std::memory_order_relaxed);
    P* pp = p_of(mp);
    if (!pp) [[unlikely]]
        return put_global(gp);
    if (G* old = pp->runnext.load(std::memory_order_relaxed)) pp->runq.push(old);
    pp->runnext.store(gp, std::memory_order_relaxed);
    maybe_poke();
}

void ready_global(G* gp) {
    if (gp->flags & kGForeign) {
        gp->status.store(GStatus::kRunnable, std::memory_order_relaxed);
        gp->locked_m->note.wake();
        return;
    }
    gp->status.store(GStatus::kRunnable, std::memory_order_relaxed);
    put_global(gp);
}

M* yield_slow(M* mp) {
    if (mp->foreign) {
        kernel::sys_sched_yield();
        return mp;
    }
    // Nobody can take it before it is switched out: the P is ours as long as we are inside.
    p_of(mp)->runq.push(mp->curg);
    return switch_to_g0(mp, mp->curg, nullptr);
}

}  // namespace gort::rt

namespace gort {

void yield() {
    using namespace rt;
    M* mp = enter();
    P* pp = p_of(mp);
    G* gp = mp->curg;
    if (!pp || must_use_g0(mp, pp, gp)) [[unlikely]]
        return leave(yield_slow(mp));
    G* next = pp->runnext.load(std::memory_order_relaxed);
    if (next) {
        pp->runnext.store(nullptr, std::memory_order_relaxed);
        pp->runq.push(gp);
    } else if (!(next = pp->runq.rotate(gp))) {
        // Alone here; but somebody may wait in the global queue or for a timer, and this may be the only P.
        if (nothing_around(pp)) return leave(mp);
        pp->countdown.store(0, std::memory_order_relaxed);  // look there first
        return leave(yield_slow(mp));
    }
    count_pick(pp);
    mp->left_from = arch::return_site();
    mp = switch_to_g(mp, gp, next);
    leave(mp);
    if (!returns_in_step(mp)) arch::return_by_jump();
}

}  // namespace gort
