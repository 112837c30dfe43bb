// rt/time/timers.h - timers: a priority queue per P that anybody may use, of objects that belong to their callers.
// SPDX-License-Identifier: BSD-2-Clause
//
// Invariants: (1) a Timer is pending (home != null: exactly one live entry of that heap refers to it) or idle (nothing
//             refers to it, but for a fn that was taken off and is being run).
//             (2) an entry and its slot are a pair for life. Stopping clears the slot's pointer, so the heap keeps no
//             pointer to a Timer that is not pending, though the dead entry may stay until the heap gets to it.
//             (3) next_when <= the when of every live entry; it may be early after a stop, never late.
// Context:    any thread, on any stack with 1 KiB left; fn is called without any lock of ours, on the stack of whoever
//             runs the heap: it must not block, and may start, stop and reset timers.
// Lock:       Timers::lock (LockRank::kTimers). Under it nothing is readied and no fn runs.
// Ordering:   I1 home's release at insertion and removal -> acquire where it is read without the lock.
//             next_when and count are written relaxed before the lock is released: who goes to sleep on what he read
//             there needs a Dekker handshake with whoever starts a timer (the scheduler's idle protocol).
//
// What a caller may rely on (Go 1.23's rules, one level below channels):
//  - timer_stop and timer_reset return true if the timer was pending: fn will not be called for that setting, and after
//    a stop the library does not touch the Timer again. False: fn was called, is being called, or is about to be.
//  - An fn that is about to be called cannot be called back. It gets the seq of the setting that fired; every start,
//    stop and reset makes a new one, also if it came too late. Who must not act on a stale firing takes its own lock in
//    fn and around stop and reset, and compares seq with t->seq there.
//  - Unless the timer is periodic, nothing touches it after fn was entered. So a reference that "stop was true" or fn,
//    exactly one of them, gives back keeps the memory alive.
//  - Equal whens fire in the order of their starts, one after the other if one thread runs the heap.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "rt/base/inside_lock.h"
#include "rt/time/clock.h"

namespace gort::rt {

struct Timer;
struct Timers;
struct TimerSlot;
struct TimerWheel;

using TimerFn = void (*)(Timer* t, int64_t now, uint64_t seq);

struct Timer {
    // Set by the caller before timer_start; when and period while pending only through timer_reset.
    int64_t when = 0;    // due at this rt::now(); negative counts as 0, kForever never fires
    int64_t period = 0;  // > 0: again every so many ns after when
    TimerFn fn = nullptr;
    void* arg = nullptr;  // the caller's

    // The library's, under home's lock (atomics may be read without it).
    std::atomic<uint64_t> seq{0};        // of the present setting; also moved by a stop that came too late
    TimerSlot* slot = nullptr;           // while pending
    std::atomic<Timers*> home{nullptr};  // null: idle
};
static_assert(sizeof(Timer) <= 64, "a Timer lives in stack frames");

struct Timers {
    std::atomic<int64_t> next_when{kForever};  // run it then
    std::atomic<uint32_t> count{0};            // pending timers
    InsideLock lock{kernel::LockRank::kTimers};

    TimerWheel* wheel = nullptr;  // under lock; null until the first start
};

// Makes an idle timer pending; no other thread may use t meanwhile. True if it became the earliest of that heap:
// then who sleeps until the old next_when must be told.
bool timer_start(Timers* home, Timer* t);

// Makes it idle. True if it was pending.
bool timer_stop(Timer* t);

// Sets it anew, whether it is pending (then it stays in its heap) or idle (then `home`). True if it was pending.
// *earliest, if given, is what timer_start would return, for the heap it is in.
bool timer_reset(Timers* home, Timer* t, int64_t when, int64_t period, bool* earliest = nullptr);

// Calls fn of all that are due, and of those that become due by that. A periodic timer is first set to its next
// multiple of period after now. Returns the new next_when.
int64_t timers_run(Timers* ts, int64_t now);

// Moves all timers of a P that retires. True if one of them became the earliest of `to`.
bool timers_move(Timers* from, Timers* to);

// Forgets all timers, pending or not, without touching them, and gives the memory back. No other thread may use the
// heap.
void timers_clear(Timers* ts);

// The end of a run: makes every pending timer idle, its fn will not be called, and gives the memory back. Threads of
// the program's own may stop, reset and start timers meanwhile.
void timers_abandon(Timers* ts);

// [no other thread can be at this heap] Is there a pending timer of which f says so?
bool timers_any(const Timers* ts, bool (*f)(const Timer* t, void* arg), void* arg);

// When a timer that was due at `when` is due next: when plus the least multiple of period that is after now.
int64_t next_multiple(int64_t when, int64_t period, int64_t now);

}  // namespace gort::rt
