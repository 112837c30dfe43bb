// rt/own/owned_lock.h - an InsideLock that costs no locked instruction as long as one P is the only one to use it.
// SPDX-License-Identifier: BSD-2-Clause
//
// For locks that live for ever and are mostly used by one P at a time: the slots of the table of waiters.
// rt/own/owner.h has the protocol. This one is taken away from inside the gate, for what is done under it is short: the
// owner says in a byte of its own that it holds the lock, and who takes it away waits for that, by a barrier: to ask
// for an answer he would have to be outside. As that is dear, 10 to 15 us for both, against 6 ns for a locked
// instruction, its first streak is as long as after kLossesAtFirst losses, 1024: with 64, parallel fib by wait_groups
// at P=2 paid 330 barriers a run, with 1024 90.
//
//      the owner's P, inside the gate            who wants it, inside the gate
//      1  held[P] = 1                            1  whose: P -> kRevoking, by CAS
//      2  light_barrier                          2  heavy_barrier
//      3  read whose: P? then it has the lock    3  wait while held[P]
//         else held[P] = 0, and as the other     4  whose = kShared: now the InsideLock counts
//
// One byte for each P, as an owner that is too late writes its byte once more; Ps beyond kOwners never own.
// Context:   as InsideLock.
// Ordering:  B3 held's release -> the acquire of who waits for it. The others are rt/own/owner.h's.
#pragma once

#include "rt/base/inside_lock.h"
#include "rt/own/owner.h"

namespace gort::rt {

class GORT_CAPABILITY("mutex") OwnedLock {
public:
    explicit constexpr OwnedLock(kernel::LockRank rank) : lock_(rank) {}
    OwnedLock(const OwnedLock&) = delete;
    OwnedLock& operator=(const OwnedLock&) = delete;

    // No TSA: which of the two locks it is the analysis cannot know.
    void lock() GORT_ACQUIRE() GORT_NO_TSA {
        if (solo()) return;
        const M* mp = self();
        const uint32_t place = mp ? place_of(mp) : 0;
        if (place != 0 && owner_.whose.load(std::memory_order_relaxed) == place) [[likely]] {
            held_[place - 1].store(1, std::memory_order_relaxed);
            kernel::light_barrier();
            // Whoever made it ours was inside with this P: no acquire is needed.
            if (owner_.whose.load(std::memory_order_relaxed) == place) [[likely]]
                return;
            held_[place - 1].store(0, std::memory_order_release);
        }
        lock_shared(place);
    }
    // It is shared for as long as the InsideLock is held, and not while the owner holds it.
    void unlock() GORT_RELEASE() GORT_NO_TSA {
        if (solo()) return;
        if (owner_.whose.load(std::memory_order_relaxed) == kShared) {
            // It was taken before solo ended, as no lock at all, and still nobody else is inside: only debug builds
            // know, and mind.
            if (kernel::lock_rank_held(&lock_)) lock_.unlock();
            return;
        }
        held_[place_of(self()) - 1].store(0, std::memory_order_release);  // B3
    }

    // The commit of a park that begins with the lock held (rt/sched/park.h); null where there is nothing to unlock.
    CommitFn commit() const { return solo() ? nullptr : unlock_commit; }
    // No TSA: the goroutine that was left has locked it.
    static void unlock_commit(void* lock, G*) GORT_NO_TSA { static_cast<OwnedLock*>(lock)->unlock(); }

private:
    static constexpr uint32_t kOwners = 8;
    static constexpr uint8_t kLossesAtFirst = 4;

    [[gnu::noinline]] void lock_shared(uint32_t place);
    void take_away();

    InsideLock lock_;
    Owner owner_{{0}, {0}, {kShared}, {kLossesAtFirst}, {0}};
    std::atomic<uint8_t> held_[kOwners] = {};
};

}  // namespace gort::rt
