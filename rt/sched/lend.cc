// rt/sched/lend.cc - a goroutine that waits runs its children on its own stack: rt/sched/lend.h.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/sched/lend.h"

#include "rt/base/sim_seam.h"
#include "rt/sched/free_list.h"
#include "rt/sched/park.h"

namespace gort::rt {
namespace {

// Below the frame of the function that lends lie those of what it calls to be switched out.
constexpr uintptr_t kGap = 512;

// The commit of a borrower's end where something else runs before its lender: only now has its stack been left.
void ready_lender(void* lender, G*) { ready(self(), static_cast<G*>(lender)); }

// The bottom of a borrower's part of the stack.
void borrower_entry(void* arg, void*) {
    auto* lender = static_cast<G*>(arg);
    // kGap was enough: the lender was switched out above this frame. (Null: rt/sched/trim.h hides it.)
    GORT_DCHECK(!handle_of(lender) || handle_of(lender) >= __builtin_frame_address(0));
    M* mp = run_to_its_end(self());
    G* gp = mp->curg;
    P* pp = p_of(mp);
    void* sp = handle_of(lender);  // null: rt/sched/trim.h had seen it in an earlier wait
    const bool by_g0 = !sp || must_use_g0(mp, pp, gp);
    arch::Context last = gp->ctx;
    free_g(pp, gp);
    if (by_g0) [[unlikely]] {
        mp->commit_fn = ready_lender;
        mp->commit_arg = lender;
        mp->commit_g = nullptr;
        arch::switch_final(&last, &mp->g0, nullptr);
    }
    lender->status.set(GStatus::kRunnable);
    mp->curg = lender;
    arch::switch_final(&last, &lender->ctx, sp, nullptr);
}

M* lend(M* mp, G* gp, G* child, uintptr_t top) {
    gp->wait_reason = WaitReason::kWaitGroupWait;
    gp->wait_since = 1;  // odd: there is nothing to trim, rt/sched/trim.h
    gp->status.set(GStatus::kWaiting);
    child->stack = gp->stack;
    child->flags |= kGBorrows;
    arch::context_init(&child->ctx, reinterpret_cast<void*>(top), 0, borrower_entry, gp);
    mp->curg = child;
    arch::switch_context(&gp->ctx, &child->ctx, nullptr);
    mp = self();
    run_commit(mp);
    return mp;
}

}  // namespace

[[gnu::noinline]] M* run_children_here(M* mp, const void* group) {
    if (arch::kToolWatches || simulation()) return mp;
    G* gp = mp->curg;
    const uintptr_t top = (reinterpret_cast<uintptr_t>(__builtin_frame_address(0)) - kGap) & ~uintptr_t{63};
    const auto lowest = reinterpret_cast<uintptr_t>(stack_bounds(gp->stack).lo);
    // Each goroutine is promised as much as sched.stack_class says.
    if (top - lowest < stack_class_size(sched.stack_class)) return mp;
    // First the look around: it may put somebody else first, who has run before.
    for (P* pp; (pp = p_of(mp)) && !must_use_g0(mp, pp, gp) && child_is_next(mp, group);) {
        G* child = pp->take_runnext();
        if (!child) child = pp->take_fresh();
        GORT_DCHECK(!child->stack && child->group == group);
        mp = lend(mp, gp, child, top);
    }
    return mp;
}

}  // namespace gort::rt
