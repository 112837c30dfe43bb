// rt/sched/lend.h - who waits for goroutines that have not begun runs them on its own stack: fork and join without a
// stack, a park and a wake for each child.
// SPDX-License-Identifier: BSD-2-Clause
//
// LENDER is the goroutine that waits, and lends its stack below its own frames. BORROWER is the child that runs there.
// A borrower is a goroutine like any other: id, name, panic, goexit, locals, park, dumps; it may park and go on at
// another P. It differs in two things only: the stack is not its own (kGBorrows), and when it ends its lender goes on.
// Nothing else can ready the lender meanwhile: it is kWaiting, but no queue of waiters holds it. Borrowers lend in
// turn.
//
// Only for what must be over before the wait is: a child of wait_group::go for its group's wait without a deadline.
// The order in which goroutines run stays what it was: pick_next would have taken the same one.
#pragma once

#include "rt/sched/sched.h"
#include "rt/stack/stack.h"

namespace gort::rt {

// [goroutine, inside the gate] Runs gp's children of this group that are next here, one after the other, as long as
// there is room for them. Returns the M on which the goroutine goes on.
M* run_children_here(M* mp, const void* group);

// Is the goroutine that runs next here such a child?
[[gnu::always_inline]] inline bool child_is_next(M* mp, const void* group) {
    const P* pp = p_of(mp);
    if (!pp) return false;
    const G* gp = pp->runnext.load(std::memory_order_relaxed);
    if (!gp) gp = pp->fresh.next();
    return gp && gp->group == group && !gp->stack;
}

}  // namespace gort::rt
