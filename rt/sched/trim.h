// rt/sched/trim.h - stacks that went deep once give their pages back: those of goroutines that park for long, and free
// ones.
// SPDX-License-Identifier: BSD-2-Clause
//
// A parked goroutine's pages below its stack pointer are of no use to it, but no other thread may drop them while
// it may be resumed. Its handle decides: who resumes a goroutine reads G::ctx.sp once, and finds a null one only on
// the slow way.
//
//      the trimmer (sysmon, a batch at a time)           who wakes the goroutine, and who resumes it
//      1  reads status, wait_since, sp                   1  status = kRunnable
//      2  hidden = sp | kHidden; ctx.sp: sp -> null      2  reads ctx.sp: not null, so it goes on that stack;
//      3  heavy_barrier                                     null: take_from_trim
//      4  reads status and wait_since again
//
// If 4 finds the goroutine in the same wait, any waker comes after 3, and then the reader finds null: the stack is the
// trimmer's. It says kTrimming, drops pages, puts sp back and takes its marks off. Else somebody has woken it: either
// he read sp before it was hidden, and the goroutine runs or has ended, or he finds null and takes sp from `hidden`.
// Which of the two the trimmer cannot tell, so it never touches that G again.
// take_from_trim may find kHidden: it takes that off by CAS, as the trimmer sets kTrimming by CAS; so one of the two
// has the stack. It waits while it finds kTrimming: as long as dropping kPiece bytes takes.
//
// A goroutine's status says kWaiting before its stack is at rest. So every round begins with the time in coarse_now and
// a heavy_barrier, after which it waits until every P has been outside: who parks later notes that time or a later one,
// and all whose wait is older are at rest. The same time tells one wait from the next.
// TRIMMED. Odd times are the trimmer's: wait_since is made odd when there is nothing more to give in this wait.
// Context: take_from_trim on g0, by who is about to resume gp. The others: sysmon.
// Ordering: T1 the trimmer's stores to ctx.sp and `hidden` -> take_from_trim's acquire: the pages have been dropped
//              before the goroutine runs. Who finds sp back in its place reads it relaxed, without take_from_trim: what
//              the goroutine then does in those pages it does at addresses made from sp, so it comes after that load.
#pragma once

#include "rt/sched/sched.h"

namespace gort::rt {

void trim_begin();  // a run begins
// What is due, in slices of some 200 us. idle: no goroutine wants the CPU. When to come again; kForever: not before
// something has run.
int64_t trim_tick(int64_t now, bool idle);
void trim_resume();  // something runs, after trim_tick said kForever

[[gnu::cold, gnu::noinline]] void* take_from_trim(G* gp);
struct TrimCounts {
    uint64_t bytes = 0;      // dropped below the stack pointers of parked goroutines
    uint64_t stacks = 0;     // that happened to so many
    uint64_t too_late = 0;   // somebody woke it when its handle had just been hidden
    uint64_t slow_ways = 0;  // take_from_trim
};
TrimCounts trim_counts();
// [tests] ns from one round to the next, and how long a goroutine has been parked then; 0, 0: as always. Before a run.
void trim_set_pace(int64_t every, int64_t parked);

uintptr_t hidden_handle(const void* stack);  // a guess, for dumps: where a stack whose handle is hidden rests

}  // namespace gort::rt
