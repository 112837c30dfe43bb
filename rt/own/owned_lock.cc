// rt/own/owned_lock.cc - taking an OwnedLock away, and giving it to a P.
// SPDX-License-Identifier: BSD-2-Clause
//
// No TSA: whether the InsideLock or the owner's byte is the lock follows from a value.
#include "rt/own/owned_lock.h"

#include "arch/arch.h"
#include "kernel/sys.h"
#include "rt/sched/judge.h"

namespace gort::rt {

namespace {
constexpr int kPauses = 50;  // as in rt/base/inside_lock.cc
}

// Returns when it was shared, if only for a moment.
void OwnedLock::take_away() {
    const uint32_t place = revoke_begin(owner_);
    if (!place) return;
    kernel::heavy_barrier(kernel::Count::kBarrierLock);
    for (int i = 0; held_[place - 1].load(std::memory_order_acquire) != 0; ++i) {  // B3
        if (i < kPauses) arch::pause();
        else kernel::sys_sched_yield();
    }
    revoke_end(owner_);
}

void OwnedLock::lock_shared(uint32_t place) GORT_NO_TSA {
    P* pp = place ? p_of(self()) : nullptr;
    int64_t began = 0;
    for (;; lock_.unlock()) {
        if (owner_.whose.load(std::memory_order_relaxed) != kShared) take_away();
        began = remote_begin(pp);
        lock_.lock();
        if (owner_.whose.load(std::memory_order_acquire) == kShared) break;  // B1
    }
    if (owner_.last.load(std::memory_order_relaxed) != place) remote_end(pp, began);
    if (!owner_.used_by(place) || place > kOwners) return;
    held_[place - 1].store(1, std::memory_order_relaxed);
    make_own(self(), owner_);
    lock_.unlock();
}

}  // namespace gort::rt
