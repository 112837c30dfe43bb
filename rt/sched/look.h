// rt/sched/look.h - an M without work looks for some at other Ps, and what a P does when one looks. See rt/own/share.h.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "rt/sched/sched.h"

namespace gort::rt {

// [g0, out of work] Something to run from another P or from the global queue; null: mp had better sleep.
G* look(M* mp);

// [P's holder, inside, nothing of the queues is running] Makes part of what waits public, if nothing is yet.
void share(P* pp);
// The same for an owner whose goroutine runs on: it also offers what it has readied last.
void share_all(P* pp);
// The same for an owner whose goroutine has made no decision for so long that a looker wanted to take the P: whatever
// there is.
void share_whatever(P* pp);

// [P's holder, g0] What lies in the P's own public part comes back into its queues. False: nothing did.
bool take_back(P* pp);

// [P's holder, g0] kAskTakeBack: it is time to do so.
void end_offer(P* pp);

// [P's holder, g0] kAskGather: everything that waits here goes back to the P that it was taken from.
void gather(P* pp);

// [P's holder, inside] Around the locking of an object that several Ps use: what does it cost this P, which runs loot,
// that another P used the object last? The first eight times are measured, then every eighth.
int64_t remote_begin_slow();
[[gnu::always_inline]] inline int64_t remote_begin(const P* pp) {
    if (!pp || !pp->loot.from) return 0;
    const uint32_t n = pp->loot.remote;
    return n < 8 || (n & 7) == 0 ? remote_begin_slow() : 0;
}
void remote_end_slow(P* pp, int64_t began);
[[gnu::always_inline]] inline void remote_end(P* pp, int64_t began) {  // another P had used it last
    if (!pp) return;
    ++pp->loot.remote;
    if (began) remote_end_slow(pp, began);
}

// What a P has lost in waiting for the other Ps or the kernel while it ran what it had taken: not counted as a gain.
void note_lost(P* pp, int64_t ns);

// So many decisions and spawns have been made at pp in the last ns.
void note_grain(P* pp, int64_t ns, uint64_t decisions, uint64_t spawned);

// The Ps that run now are armed: who leaves work behind there wakes an M. Those of fine grain are not when wakes
// were in vain lately.
void arm_makers(int64_t now);

// Do goroutines wait at pp that another P would gladly run? [sysmon]
bool worth_a_wake(const P* pp, int64_t now);

}  // namespace gort::rt
