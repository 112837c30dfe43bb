// rt/biased_lock.h - a GateLock that costs no locked instruction as long as one P is the only one to use it.
// SPDX-License-Identifier: BSD-2-Clause
//
// For locks that live for ever and are mostly used by one P at a time: the slots of the table of waiters. Unlike the
// bias of rt/gate_fast.h it is taken away from inside the gate, for what is done under the lock is short: the owner
// says in a byte of its own that it holds it.
//
//      the owner's P, inside the gate            who wants it, inside the gate
//      1  held[P] = 1                            1  bias: P -> kRevoking, by CAS
//      2  light_barrier                          2  heavy_barrier
//      3  read bias: P? then it has the lock     3  wait while held[P]
//         else held[P] = 0, and as the other     4  bias = kShared: now the GateLock counts
//
// If the fence of the right side falls after 1 of the left, held is seen; if before, the owner finds kRevoking.
// A P that has locked it kStreak times in a row while it was shared makes it its own again: it holds the GateLock then,
// and who gets that afterwards finds the bias changed. Each loss doubles the streak that this takes. One byte for each
// P, as an owner that is too late writes its byte once more; Ps beyond kOwners never own.
// Context:   as GateLock.
// Ordering:  B2 held's release -> the acquire of who waits for it, and of the P itself: what was done under the lock.
//            B3 kShared's release -> acquire: the same, for those who come later.
#pragma once

#include "rt/bias.h"
#include "rt/gate_lock.h"

namespace gort::rt {

class GORT_CAPABILITY("mutex") BiasedLock {
public:
    explicit constexpr BiasedLock(kernel::LockRank rank) : lock_(rank) {}
    BiasedLock(const BiasedLock&) = delete;
    BiasedLock& operator=(const BiasedLock&) = delete;

    // No TSA: which of the two locks it is the analysis cannot know.
    void lock() GORT_ACQUIRE() GORT_NO_TSA {
        if (solo()) return;
        const M* mp = self();
        const uint32_t place = mp ? place_of(mp) : 0;
        if (place != 0 && bias_.load(std::memory_order_relaxed) == place) [[likely]] {
            held_[place - 1].store(1, std::memory_order_relaxed);
            kernel::light_barrier();
            if (bias_.load(std::memory_order_acquire) == place) [[likely]]
                return;
            held_[place - 1].store(0, std::memory_order_release);
        }
        lock_shared(place);
    }
    // The bias is kShared for as long as the GateLock is held, and nothing else while the owner holds it.
    void unlock() GORT_RELEASE() GORT_NO_TSA {
        if (solo()) return;
        if (bias_.load(std::memory_order_relaxed) == kShared) return lock_.unlock();
        held_[place_of(self()) - 1].store(0, std::memory_order_release);  // B2
    }

private:
    static constexpr uint32_t kOwners = 8;
    static constexpr uint16_t kNew = 0, kRevoking = 0xfffe, kShared = 0xffff;
    static constexpr uint16_t kStreak = 64, kMostStreak = 16384;

    [[gnu::noinline]] void lock_shared(uint32_t place);
    void revoke(uint16_t owner);

    GateLock lock_;
    std::atomic<uint16_t> bias_{kNew};  // kNew, a place up to kOwners, kRevoking, kShared
    // under lock_:
    uint16_t last_ = 0;    // the P that locked it last,
    uint16_t streak_ = 0;  // so many times in a row
    uint16_t wanted_ = kStreak;
    std::atomic<uint8_t> held_[kOwners] = {};
};

}  // namespace gort::rt
