// kernel/lock_rank.h - every lock in the order in which a thread may take them; checked in GORT_DEBUG.
// SPDX-License-Identifier: BSD-2-Clause
//
// Rule: a thread takes a lock only if its rank is above the rank of every lock it holds. Two of one rank only
// where the rank says so, and then in address order. So no cycle can exist, on any path that any test ever
// ran. This is the one list, and the one place in kernel/ that names locks of the layers above; add yours
// here.
// Context:  any thread. The held locks are the thread's, not the goroutine's: a lock that is held across a
//           stack switch is released by the incoming side on the same thread.
#pragma once

#include <cstdint>

namespace gort::kernel {

enum class LockRank : uint32_t {
    kUnranked = 0,  // not checked: a lock under which nothing else is ever taken, or that only a test has
    kInit,          // start and stop of the runtime
    kContext,       // ctx: a parent's lock before its children's
    kTime,          // a timer that has a channel
    kChan,          // Hchan, several at once in address order (select)
    kSync,          // sync objects that hold a lock of their own
    kPollDesc,      // one descriptor's waiters
    kSema,          // a bucket of the semaphore table
    kTimers,        // a P's timer heap; two when one P's timers move to another
    kAllGs,         // the list of all goroutines
    kSched,         // idle lists, global queue
    kGate,          // m.gate_lock, several in address order (stop the world)
    kStackPool,     // arenas and free slots
    kThreads,       // the list of all threads
    kLeaf,          // nothing may be taken under it
};

#if defined(GORT_DEBUG)
void lock_rank_acquire(LockRank rank,
                       const void* lock);               // before the lock is waited for; dies on a violation
void lock_rank_tried(LockRank rank, const void* lock);  // after a try_lock: in any order, it cannot deadlock
void lock_rank_release(LockRank rank, const void* lock);  // dies if this thread does not hold it
bool lock_rank_held(const void* lock);
int lock_rank_count();  // ranked locks that this thread holds
#else
inline void lock_rank_acquire(LockRank, const void*) {}
inline void lock_rank_tried(LockRank, const void*) {}
inline void lock_rank_release(LockRank, const void*) {}
inline bool lock_rank_held(const void*) { return true; }
inline int lock_rank_count() { return 0; }
#endif

}  // namespace gort::kernel
