// rt/base/inside_lock.h - a lock for inside the gate: one locked instruction to take it, none to give it back, none at
// all when this thread is the only one that can be inside (rt/base/solo.h).
// SPDX-License-Identifier: BSD-2-Clause
//
// Unlocking is a plain store and then a look at whether somebody sleeps. Between the two belongs a full fence, and the
// one who goes to sleep provides it (kernel/membarrier.h):
//
//      unlock                                lock_slow
//      1  state = 0                          1  ++sleepers
//      2  light_barrier                      2  heavy_barrier
//      3  read sleepers; wake one if any     3  state = 1, was it 0? if not, sleep while it is 1
//
// Either 3 of the sleeper finds 0, or 3 of the holder finds the sleeper. The kernel looks at state again before it lets
// anybody sleep, so the argument holds for every later holder as well: its own 1 to 3 come after the sleeper's 2.
// Context:    [G or foreign thread, inside the gate], on any stack; or any thread while the runtime is not up.
//             Blocks the M: under it, no park, no user code, nothing of unbounded time.
// Lifetime:   unlock reads the lock after it gave it away, so the memory must outlive all users by more than the lock.
// Ordering:   K1 unlock's release -> lock's acquire.
#pragma once

#include <atomic>
#include <cstdint>

#include "kernel/lock_rank.h"
#include "kernel/membarrier.h"
#include "kernel/thread_annotations.h"
#include "rt/base/solo.h"

namespace gort::rt {

class GORT_CAPABILITY("mutex") InsideLock {
public:
    explicit constexpr InsideLock([[maybe_unused]] kernel::LockRank rank)
#if defined(GORT_DEBUG)
        : rank_(rank)
#endif
    {
    }
    InsideLock(const InsideLock&) = delete;
    InsideLock& operator=(const InsideLock&) = delete;

    void lock() GORT_ACQUIRE() {
#if defined(GORT_DEBUG)
        kernel::lock_rank_acquire(rank_, this);
#endif
        if (solo()) return;
        if (state_.exchange(1, std::memory_order_acquire) != 0) [[unlikely]]
            lock_slow();  // K1
    }
    void unlock() GORT_RELEASE() {
#if defined(GORT_DEBUG)
        kernel::lock_rank_release(rank_, this);
#endif
        if (solo()) return;
        state_.store(0, std::memory_order_release);  // K1
        kernel::light_barrier();
        if (kernel::glance(sleepers_) != 0) [[unlikely]]
            unlock_slow();
    }

    uint32_t sleepers() const { return sleepers_.load(std::memory_order_relaxed); }  // for tests

private:
    [[gnu::noinline]] void lock_slow();
    [[gnu::noinline]] void unlock_slow();

#if defined(GORT_DEBUG)
    kernel::LockRank rank_;
#endif
    std::atomic<uint32_t> state_{0};
    std::atomic<uint32_t> sleepers_{0};
};

class GORT_SCOPED_CAPABILITY InsideLockGuard {
public:
    explicit InsideLockGuard(InsideLock& lock) GORT_ACQUIRE(lock) : lock_(lock) { lock_.lock(); }
    ~InsideLockGuard() GORT_RELEASE() { lock_.unlock(); }
    InsideLockGuard(const InsideLockGuard&) = delete;
    InsideLockGuard& operator=(const InsideLockGuard&) = delete;

private:
    InsideLock& lock_;
};

}  // namespace gort::rt
