// rt/sched/retake.h - a goroutine that sleeps in a system call without saying so loses its P early, where that pays.
// SPDX-License-Identifier: BSD-2-Clause
//
// To lose the P costs the goroutine a place in the queue and the process two wakes of a thread, some 50 us together; to
// keep it costs those who wait the rest of a time slice. So a thread is left alone until it has slept for as long as
// its kind of goroutine (where it was spawned: G::site) has to.
// LEARNING. That patience begins at kFirst. A thread that has lost its P so is looked at once more, kPays later: if it
// sleeps still, its kind's patience is halved, at last to none; if it woke soon, doubled, up to a time slice. Patience
// counts from when the thread fell asleep, not from when the goroutine's turn began: so it settles a little above the
// sleeps that are too short to pay, and one that is longer is still seen.
// Some of those that slept are looked at until they wake: one that does not come back then (a loop of system calls) has
// become a thread beside the Ps, and many of those are slower than goroutines in turn. So that costs it more.
// The end of a time slice that takes the P from a sleeping thread is a lesson, too.
// LOOKING. Two reads of a thread's CPU clock (0.35 us each) that are the same say that it is not on a CPU. Whether it
// sleeps or waits for one, /proc says (some 10 us), and is asked once, when the patience is over.
// Context: sysmon.
#pragma once

#include "rt/sched/sched.h"

namespace gort::rt {

void retakes_begin();  // a run begins

// Has the thread that holds pp been asleep in user code for long enough? late: there is no patience when a timer is
// late. If not now, *again is lowered to when it may have been.
bool sleeps_in_a_call(P* pp, int64_t now, bool late, int64_t* again);

void note_retake(P* pp, const M* holder, int64_t now);  // [holder's gate_lock] it loses pp
void judge_retakes(int64_t now, int64_t* again);        // of the threads that did, those that it is time for

// [tests] ns that goroutines spawned at a place are left alone.
uint32_t patience_of(const Site& site);

}  // namespace gort::rt
