// rt/sched/park.h - the one blocking primitive: park, ready, yield, and the switch between goroutines.
// SPDX-License-Identifier: BSD-2-Clause
//
// Everything that blocks a goroutine is park(); everything that wakes one is ready(). The lost wake-up argument:
//      1  the waiter, under the lock of the object, links itself into the object's wait queue
//      2  park(commit = unlock) switches away; the incoming side runs the commit: only now can others take the lock
//      3  the waker, under that lock, unlinks the waiter, unlocks, and calls ready(): the stack is already suspended
// Context:  [G or foreign thread, inside the gate]: between enter() and leave(). After park or yield the M may be
//           another one: use the returned pointer.
// Cost:     0 locked instructions; one resume site, so one indirect jump that is easy to predict.
#pragma once

#include "kernel/fatal.h"
#include "rt/own/gate.h"
#include "rt/sched/sched.h"

namespace gort::rt {

// AFTER stop() nobody sends to a thread of the program's own, or counts a wait_group down, any more. So what such a
// thread waits for then, and what it has waited for since before, is a panic, until a run begins; but for locks, which
// another thread may hold, and for descriptors, whose waits end with ECANCELED. (Not after run(): its caller may close
// the channels then.)

// Suspends the calling goroutine; `commit(arg, g)` runs when its stack is at rest, on whatever stack comes next. On a
// foreign thread it runs at once and the thread sleeps on a futex. Returns the M it wakes on, inside the gate.
M* park(M* mp, CommitFn commit, void* arg, WaitReason why);

// The same, inlined, for a goroutine: for what is hot and returns by a jump or to one place only. Without a commit if
// nobody but who runs next on this P can get at what it waits on.
[[gnu::always_inline]] inline M* park_goroutine(M* mp, G* gp, CommitFn commit, void* arg, WaitReason why) {
    gp->wait_reason = why;
    gp->wait_since = sched.coarse_now.load(std::memory_order_relaxed);
    gp->status.set(GStatus::kWaiting);
    if (commit) {
        mp->commit_fn = commit;
        mp->commit_arg = arg;
        mp->commit_g = gp;
    }
    return switch_away(mp, p_of(mp), gp);
}
[[gnu::noinline]] M* park_foreign(M* mp, CommitFn commit, void* arg, WaitReason why);
[[gnu::always_inline]] inline M* park_here(M* mp, CommitFn commit, void* arg, WaitReason why) {
    if (mp->foreign) [[unlikely]]
        return park_foreign(mp, commit, arg, why);
    return park_goroutine(mp, mp->curg, commit, arg, why);
}

// [foreign thread, outside the gate] Not gave_up any more: what it has waited for is given up now.
[[noreturn]] void panic_stopped(WaitReason why);
void end_foreign_waits();  // sched.stopped has just become true

// Makes a parked G runnable: it runs next on this P when the caller blocks. Never switches, never blocks. Once for each
// park. Not under a lock that the woken side needs. mp must be inside the gate.
void ready(M* mp, G* gp);

// The same from a place without M or P (sysmon, the poller): through the global queue.
void ready_global(G* gp);

M* yield_slow(M* mp);  // gort::yield where there is no direct way

}  // namespace gort::rt
