// rt/sched/timed.h - waiting with a deadline: a park that a timer in the waiter's own frame may end.
// SPDX-License-Identifier: BSD-2-Clause
//
// Who waits links itself into what it waits for, as for park, and says by `give_up` how it is taken out again. Either
// somebody takes it out and readies it, or the timer takes it out and readies it: give_up decides which of the two was
// first, so that there is one ready for each park. The frame holds the timer, so it must not vanish while the timer's
// function is at work, which on another M may be late:
//
//      the waiter, woken                       time_out, on whatever M runs the timer
//      1  timer_stop: true? done               1  give_up: true? timed_out = true
//      2  state kSet -> kAwaited, by CAS,      2  state -> kOver; was it kAwaited? then ready
//         and parks once more; if it is        3  gave up: ready
//         kOver already it goes on at once
//
// After 2 of the right side the frame is touched no more. A thread of the program's own needs no timer: it sleeps with
// a timeout and gives up itself.
// The timer is started by the commit, when the waiter's stack is at rest, and before the object is unlocked.
// Context: [G or foreign thread, inside the gate].
// Cost:    as a park, and the timer's start and stop. Nothing for those who wait without a deadline.
#pragma once

#include "rt/sched/park.h"
#include "rt/time/timers.h"

namespace gort::rt {

struct TimedWait {
    enum : uint32_t { kSet, kAwaited, kOver };

    // Set by the caller.
    int64_t deadline;  // of rt::now()
    // [inside the gate, any M] Takes gp, which waits, out of what it waits for; false: somebody was first, and readies
    // it.
    bool (*give_up)(M* mp, TimedWait* w);
    void* object;  // the caller's, for give_up
    CommitFn commit = nullptr;
    void* commit_arg = nullptr;

    bool timed_out = false;  // what came of it

    // The library's.
    G* gp = nullptr;
    Timer timer{};
    std::atomic<uint32_t> state{kSet};
};

// As park, with commit and its argument from w. When it returns the waiter has been taken out.
M* park_until(M* mp, TimedWait& w, WaitReason why);

// The same for a waiter of rt/sync/sema.h, linked and its slot locked; *late says what came of it. give_up, if it is
// not sema_give_up, gets `object`.
struct Waiter;
struct SemaSlot;
M* sema_park_until(M* mp, SemaSlot& slot, Waiter* w, WaitReason why, int64_t deadline, bool* late,
                   bool (*give_up)(M* mp, TimedWait* w) = nullptr, void* object = nullptr);

}  // namespace gort::rt
