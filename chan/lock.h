// chan/lock.h - a channel's lock: nothing at all for the P that the channel belongs to, a futex lock once it is shared.
// SPDX-License-Identifier: BSD-2-Clause
//
// A channel is made biased to the P of its maker. Whoever is inside the gate with that P is alone with the channel,
// since everybody else, finding another bias than his own P, first takes the bias away for good:
//
//      the holder of the P                       the one who wants in (outside the gate)
//      1  in_rt = 1 (enter)                      1  bias: P -> kRevoking, by CAS
//      2  light_barrier                          2  heavy_barrier
//      3  read bias: mine? then go ahead         3  wait until the M that holds P is outside the gate, or P is nobody's
//                                                4  bias = kUnbiased: from now on the SharedLock counts
//
// If the fence of the right side falls after 3 of the left, the M is seen inside; if before, it finds kRevoking. Who
// finds kRevoking, or another P, leaves the gate and waits outside: so two Ms that want each other's channels do not
// wait for each other's leaving.
// Why: most channels live and die among goroutines of one P, and the lock's one locked instruction is half the cost
// of an operation on a buffer. A revocation costs about 1 us; a P whose channels are taken away again and again
// makes its next ones shared from the start (P::chan_shared).
//
// Invariant: inside the gate, between lock and unlock, the bias stays kUnbiased, or is this P and may become kRevoking.
// Context:   [G or foreign thread, inside the gate]; chan_revoke: any thread, outside of it.
// Ordering:  B1 kUnbiased's release -> the acquire in chan_lock: what the P's holders did to the channel is visible.
//            K1 unlock's release -> lock's acquire: what earlier holders did is visible.
#pragma once

#include "kernel/lock_rank.h"
#include "rt/gate.h"

namespace gort::detail {

// One locked instruction to take, none to give back: who goes to sleep pays for the fence that unlock lacks, between
// its store and its look at sleepers (kernel/membarrier.h). Blocks the M, so nothing of unbounded time is done under
// it. unlock looks at the lock once more after it gave it away: the memory must stay readable.
class SharedLock {
public:
    void lock() {
        kernel::lock_rank_acquire(kernel::LockRank::kChan, this);
        if (state_.exchange(1, std::memory_order_acquire) != 0) [[unlikely]]  // K1
            lock_slow();
    }
    void unlock() {
        kernel::lock_rank_release(kernel::LockRank::kChan, this);
        state_.store(0, std::memory_order_release);  // K1
        kernel::light_barrier();
        if (kernel::glance(sleepers_) != 0) [[unlikely]]
            unlock_slow();
    }

private:
    [[gnu::noinline]] void lock_slow();
    [[gnu::noinline]] void unlock_slow();

    std::atomic<uint32_t> state_{0};
    std::atomic<uint32_t> sleepers_{0};
};

struct ChanLock {
    std::atomic<rt::P*> bias{nullptr};
    SharedLock gate;
};

// No Ps: their addresses are aligned. A foreign thread's P is null, which no bias of a living channel is.
inline rt::P* unbiased() { return reinterpret_cast<rt::P*>(uintptr_t{1}); }
inline rt::P* revoking() { return reinterpret_cast<rt::P*>(uintptr_t{2}); }

// Outside the gate: returns when the bias is gone.
void chan_revoke(ChanLock& lock);

// [the run has ended] The same when no M holds a P any more.
void chan_revoke_at_end(ChanLock& lock);

// Leaves the gate meanwhile. The result is the M to go on with; the lock is taken.
[[gnu::noinline]] rt::M* chan_lock_slow(rt::M* mp, ChanLock& lock);

[[gnu::always_inline]] inline rt::M* chan_lock(rt::M* mp, ChanLock& lock) {
    rt::P* bias = lock.bias.load(std::memory_order_acquire);  // B1
    if (bias == rt::p_of(mp)) [[likely]]
        return mp;
    if (bias != unbiased()) [[unlikely]]
        return chan_lock_slow(mp, lock);
    lock.gate.lock();
    return mp;
}

// Of a channel that we have locked: is it the lock that we hold? If it was this P's own, others may have begun to
// take it away meanwhile; but they wait for our leaving before they call it unbiased.
[[gnu::always_inline]] inline bool chan_is_shared(const ChanLock& lock) {
    return lock.bias.load(std::memory_order_relaxed) == unbiased();
}

[[gnu::always_inline]] inline void chan_unlock(ChanLock& lock) {
    if (chan_is_shared(lock)) lock.gate.unlock();
}

}  // namespace gort::detail
