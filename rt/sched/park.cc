// rt/sched/park.cc - park, ready and yield over the switch of rt/sched/sched.h.
// SPDX-License-Identifier: BSD-2-Clause
//
// Locked instructions: park 0, ready 0, yield 0. Yield is bound by loads and stores, of which the CPU does three a
// cycle: inlined around the switch, so that nothing is saved but what is live, it does 36 of them in 4.3 ns, as a
// function 48 in 6.4 (Zen 4, 2 goroutines; Go 34 in the same run).
#include "rt/sched/park.h"

#include "kernel/mem.h"
#include "kernel/sys.h"
#include "rt/go.h"
#include "rt/host.h"
#include "rt/sched/delays.h"
#include "rt/sync/sema.h"

namespace gort::rt {

namespace {

bool ends_by_stop(WaitReason why) {
    switch (why) {
    case WaitReason::kChanReceive:
    case WaitReason::kChanSend:
    case WaitReason::kChanReceiveNil:
    case WaitReason::kChanSendNil:
    case WaitReason::kSelect:
    case WaitReason::kSelectNoCases:
    case WaitReason::kCondWait:
    case WaitReason::kLatchWait:
    case WaitReason::kBarrierWait:
    case WaitReason::kFutureWait:
    case WaitReason::kWaitGroupWait: return true;
    default: return false;
    }
}

bool waits_in_sema(WaitReason why) {
    return why == WaitReason::kWaitGroupWait || why == WaitReason::kLatchWait ||
           why == WaitReason::kBarrierWait || why == WaitReason::kFutureWait;
}

bool is_stopped() { return sched.stopped.load(std::memory_order_relaxed); }

// The note was not woken. It will be if somebody has taken us out of the queue already.
[[gnu::cold, gnu::noinline]] M* give_up(WaitReason why) {
    M* mp = enter();
    G* gp = &mp->pseudo;
    if (why == WaitReason::kCondWait) {  // its lock must be taken again first
        mp->gave_up = true;
        return mp;
    }
    const bool out = !gp->waiting         ? true
                     : waits_in_sema(why) ? sema_give_up(gp)
                                          : sched.give_up.load(std::memory_order_relaxed)(mp, gp);
    if (out) {
        gp->waiting = nullptr;
        gp->status.set(GStatus::kRunning);
    }
    leave(mp);
    if (out) panic_stopped(why);
    mp->note.sleep();
    return enter();
}

}  // namespace

void panic_stopped(WaitReason why) {
    char text[96];
    size_t n = kernel::str_copy(text, sizeof text, wait_reason_text(why));
    n += kernel::str_copy(text + n, sizeof text - n, ": the runtime has been stopped (by gort::stop)");
    host_throw_panic(text);
}

void end_foreign_waits() {
    kernel::full_barrier();
    kernel::LockGuard guard(sched.lock);
    for (M* mp = sched.allm; mp; mp = mp->next_all)
        if (mp->foreign) mp->note.nudge();
}

// A foreign thread's wait: its pseudo-G has no stack to switch from, so the commit runs at once and the thread sleeps.
M* park_foreign(M* mp, CommitFn commit, void* arg, WaitReason why) {
    G* gp = &mp->pseudo;
    gp->wait_reason = why;
    gp->status.set(GStatus::kWaiting);
    mp->note.clear();
    if (commit) commit(arg, gp);
    leave(mp);
    if (!ends_by_stop(why)) mp->note.sleep();
    else if (!mp->note.sleep_unless(is_stopped)) return give_up(why);
    return enter();
}

M* park(M* mp, CommitFn commit, void* arg, WaitReason why) { return park_here(mp, commit, arg, why); }

void ready(M* mp, G* gp) {
    if (gp->flags & (kGForeign | kGTimed)) [[unlikely]] {
        if (gp->flags & kGForeign) {
            gp->status.set(GStatus::kRunnable);
            gp->locked_m->note.wake();
            return;
        }
        delays_ready(gp);
    }
    GORT_DCHECK(gp->status.load(std::memory_order_relaxed) == GStatus::kWaiting);
    gp->status.set(GStatus::kRunnable);
    P* pp = p_of(mp);
    if (!pp) [[unlikely]]
        return put_global(gp);
    pp->put_next(gp);
    if (pp->wanted.load(std::memory_order_relaxed)) [[unlikely]]
        left_behind(mp);
}

void ready_global(G* gp) {
    if (gp->flags & kGForeign) {
        gp->status.set(GStatus::kRunnable);
        gp->locked_m->note.wake();
        return;
    }
    if (gp->flags & kGTimed) delays_ready(gp);
    gp->status.set(GStatus::kRunnable);
    put_global(gp);
}

M* yield_slow(M* mp) {
    if (mp->foreign) {
        kernel::sys_sched_yield();
        return mp;
    }
    // No other thread can take it before it is switched out: the P is ours as long as we are inside.
    p_of(mp)->runq.push(mp->curg);
    return switch_to_g0(mp, mp->curg, nullptr);
}

namespace {

using detail::Handles;
constexpr Handles kOver{nullptr, nullptr};

// Whom gp, which goes to the end of the queue, makes room for; null if it is alone here.
[[gnu::always_inline]] inline G* rotate(P* pp, G* gp) {
    G* next = pp->take_runnext();
    if (!next) next = pp->take_fresh();
    if (!next) return pp->runq.rotate(gp);
    pp->runq.push(gp);
    return next;
}

// Somebody may wait in the global queue or for a timer, and this may be the only P.
M* yield_alone(M* mp, P* pp) {
    if (nothing_around(pp)) return mp;
    pp->set_until_look(0);  // look there first
    return yield_slow(mp);
}

// The ways off yield_begin's straight one come back when all is over.
[[gnu::noinline]] Handles finish_whole() {
    gort::detail::yield_whole();
    return kOver;
}
[[gnu::noinline]] void commit_and_leave(M* mp) {
    run_commit(mp);
    leave(mp);
}
[[gnu::noinline]] Handles finish_fresh(M* mp, G* gp, G* next) {
    leave(switch_to_g(mp, gp, next));
    return kOver;
}

}  // namespace
}  // namespace gort::rt

namespace gort::detail {

using namespace rt;

// What most yields find: a P, nothing that wants to be looked at, somebody in the queue who has run before. Whatever
// else there is begins anew in yield_whole; every call here is the last, so no register need be kept across one.
Handles yield_begin() {
    M* mp = arch::kToolWatches ? nullptr : try_enter();
    if (!mp) [[unlikely]]
        return finish_whole();
    P* pp = p_of(mp);
    G* gp = mp->curg;
    if (must_look_up(mp, pp, gp) || pp->until_look() <= 0) [[unlikely]]
        return finish_whole();
    if (pp->runnext.load(std::memory_order_relaxed) || !pp->fresh.empty()) [[unlikely]]
        return finish_whole();
    G* next = pp->runq.rotate(gp);
    if (!next) [[unlikely]]
        return finish_whole();
    void* sp = handle_of(next);
    if (!sp) [[unlikely]]
        return finish_fresh(mp, gp, next);
    mp->curg = next;
    return {&gp->ctx.sp, sp};
}

void yield_end() {
    M* mp = self();
    if (mp->commit_fn) [[unlikely]]
        return commit_and_leave(mp);
    leave(mp);
}

void yield_whole() {
    M* mp = enter();
    P* pp = p_of(mp);
    G* gp = mp->curg;
    if (!pp || must_use_g0(mp, pp, gp)) [[unlikely]]
        return leave(yield_slow(mp));
    G* next = rotate(pp, gp);
    if (!next) return leave(yield_alone(mp, pp));
    mark_return(mp);
    mp = switch_to_g(mp, gp, next);
    leave(mp);
    if (!returns_in_step(mp)) arch::return_by_jump();
}

}  // namespace gort::detail
