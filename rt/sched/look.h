// rt/sched/look.h - an M without work looks for some at other Ps (look.cc), and what a P does for it (share.cc). See
// rt/own/share.h.
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

// The Ps that run now are armed: who leaves work behind there wakes an M. Those of fine grain are not when wakes
// were in vain lately.
void arm_makers(int64_t now);

// Do goroutines wait at pp that another P would gladly run? [sysmon]
bool worth_a_wake(const P* pp, int64_t now);

// Is there a CPU for one more M than those that work, the caller's among them?
bool cpu_to_spare();

// [P's holder, inside] The list goes into pp's queues. Returns how many there were.
uint32_t put_aside_all(P* pp, G* list);

// [P's holder, inside] Half of what waits at pp whose goroutine makes no decision; or else what is to run next there.
void take_what_waits(P* pp, GList* to);

}  // namespace gort::rt
