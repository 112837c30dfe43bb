// rt/net/netpoll.h - descriptors that goroutines wait for: one PollDesc each, and the poller that wakes them.
// SPDX-License-Identifier: BSD-2-Clause
//
// A PollDesc is a descriptor's life: it is registered with epoll once, edge-triggered, for both directions, when
// somebody first has to wait. Each direction (Side) is an operation lock and a binary semaphore:
//
//   owner    the goroutine whose operation is under way; others queue up behind it and are served one at a time
//   ready    an edge came since the owner last tried; a wait takes it and returns at once
//   waiter   the owner, parked until an edge, a passed deadline or close; the side that wakes it takes it out first
//   drained  the last read took all there was: the next one need not ask the kernel before an edge comes
//
// An attempt goes: ready = false (poll_begin, poll_wait), system call, and if that would block, poll_wait. An edge that
// comes after ready = false is found by poll_wait; what came before it is found by the system call.
// `drained` may stand only where the kernel promises an edge for whatever comes after a short read: TCP. What can be
// left in a TCP socket after one is an end, an error or urgent data, and each of them shows in the event: then
// `always`.
//
// DEADLINES are compared with the clock when an operation starts and when its timer fires. A timer is only set while
// somebody waits, and only moved if it would fire too late: one that fires too early looks at the deadline that then
// holds and is set again. So no timer can end an operation before the deadline in force, and a stale
// one, of an earlier deadline or of an earlier owner of this memory, changes nothing.
// NUMBERS. A PollDesc is never unmapped, and counts its lives in gen. Events carry both, so that one which was fetched
// before a close cannot wake who uses the same memory, or the same descriptor number, now.
// CLOSE ends all waits at once. The descriptor number is given up when the last operation has left.
//
// Lock: PollDesc::lock guards everything but handles. It is an InsideLock, so a PollDesc is touched by those inside the
//       gate only. The M that sleeps in epoll_wait has no P: what it gets lies in the inbox until a P's holder takes
//       it.
// Cost: an operation that need not wait 2 locked instructions, one that waits 5, and 1 more for each event; none with
//       one P and no foreign thread.
// Context: [G or foreign thread, outside the gate] unless it says otherwise.
// Results: 0 or more, or -errno, or kErr….
#pragma once

#include <linux/errno.h>

#include "rt/base/inside_lock.h"
#include "rt/own/runq.h"
#include "rt/time/timers.h"

namespace gort::rt {

inline constexpr unsigned kRead = 0, kWrite = 1;

inline constexpr uint16_t kDescTcp = 1;       // a short read means: nothing left
inline constexpr uint16_t kDescBorrowed = 2;  // not ours to close
inline constexpr uint16_t kDescShared = 4;    // others may hold it open: take it out of epoll by name
inline constexpr uint16_t kDescSocket = 8;    // send and recv work on it
inline constexpr uint16_t kDescStream = 16;   // an empty read is its end
inline constexpr uint16_t kDescFile = 32;     // epoll does not take it: its calls block

// The results that are no errno: net::errc of rt/net/error.h, which asserts that they agree.
inline constexpr int kErrClosed = -10001, kErrNotPollable = -10004;

struct Side {
    G* owner = nullptr;
    G* waiter = nullptr;
    GList queue;
    int64_t deadline = 0;  // of rt::now(); 0: none. While the descriptor is barred: passed, and
    int64_t kept = 0;      // this is what it was, or has been set to since
    int64_t armed = 0;     // when the timer fires, or has just fired; 0: it is idle
    int woken = 0;         // what the waiter was woken with; 0: an edge
    bool ready = false;
    bool drained = false;
    Timer timer;
};

struct alignas(64) PollDesc {
    InsideLock lock{kernel::LockRank::kPollDesc};
    int fd = -1;
    uint32_t gen = 0;
    uint16_t flags = 0;
    bool registered = false;
    bool closing = false;
    bool gone = false;       // the descriptor is closed, no operation is inside
    bool orphan = false;     // no handle is left
    bool always = false;     // an end, an error or urgent data was announced: never wait before a try
    bool event_err = false;  // the last event was an error and nothing else
    int barred = 0;          // the error that every operation gets; 0: none
    uint32_t bars = 0;       // how many say so
    G* closer = nullptr;     // waits for `gone`
    Side side[2];
    std::atomic<uint32_t> handles{0};  // P2: the release of one is seen by the thread that drops the last
    PollDesc* next_free = nullptr;
    PollDesc* next_all = nullptr;  // constant once it is in the list
};

// Takes over fd, which must be non-blocking, with one handle. `now`: register it at once, to learn whether epoll
// takes it.
int poll_open(int fd, uint16_t flags, bool now, PollDesc** out);
inline void poll_retain(PollDesc* d) { d->handles.fetch_add(1, std::memory_order_relaxed); }
void poll_drop(PollDesc* d);    // the last one closes
int poll_close(PollDesc* d);    // and waits until the descriptor is given up
int poll_release(PollDesc* d);  // as close, but the descriptor stays open: it, or an error

// An operation of one side: begin (waits for its turn, and if nothing can be there, for an edge), tries with d->fd,
// wait whenever a try would block, end. If begin fails there is nothing to end; if wait fails there is. An end without
// a begin panics.
int poll_begin(PollDesc* d, unsigned side);
int poll_wait(PollDesc* d, unsigned side);
void poll_end(PollDesc* d, unsigned side, bool drained = false);

// A short system call on a descriptor that is not being closed: fn(fd, arg) under the lock.
int poll_with(PollDesc* d, int (*fn)(int fd, void* arg), void* arg);

// sides: 1 read, 2 write. when: of rt::now(), at least 1; 0 clears. Holds for pending and later operations.
int poll_set_deadline(PollDesc* d, unsigned sides, int64_t when);

// Ends operations that are under way and all that begin, with `error`, until as many unbars: both sides' deadlines have
// passed meanwhile, so that no operation looks at one thing more than it did. Of several errors the first one counts.
void poll_bar(PollDesc* d, int error);
void poll_unbar(PollDesc* d);

// For the books that tests keep: PollDescs in use, and descriptors that the poller itself holds open.
int poll_live();
int poll_own_fds();

}  // namespace gort::rt
