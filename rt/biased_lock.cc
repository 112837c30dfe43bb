// rt/biased_lock.cc - taking a BiasedLock away, and giving it to a P.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/biased_lock.h"

#include "arch/arch.h"
#include "kernel/sys.h"
#include "rt/look.h"

namespace gort::rt {

namespace {
constexpr int kPauses = 50;  // as in rt/gate_lock.cc
}

// Returns when it is shared, at least for a moment.
void BiasedLock::revoke(uint16_t owner) {
    if (owner == kRevoking || !bias_.compare_exchange_strong(owner, kRevoking, std::memory_order_acq_rel)) {
        kernel::sys_sched_yield();
        return;
    }
    kernel::heavy_barrier(kernel::Count::kBarrierLock);
    for (int i = 0; held_[owner - 1].load(std::memory_order_acquire) != 0; ++i) {  // B2
        if (i < kPauses) arch::pause();
        else kernel::sys_sched_yield();
    }
    bias_.store(kShared, std::memory_order_release);  // B3
}

void BiasedLock::lock_shared(uint32_t place) GORT_NO_TSA {
    int64_t began = 0;
    for (;;) {
        uint16_t bias = bias_.load(std::memory_order_acquire);  // B3
        if (bias == kNew) {
            // The first one: nobody has it.
            bias_.compare_exchange_strong(bias, kShared, std::memory_order_acq_rel);
            continue;
        }
        if (bias != kShared) {
            revoke(bias);
            continue;
        }
        began = place ? remote_begin(p_of(self())) : 0;
        lock_.lock();
        if (bias_.load(std::memory_order_acquire) == kShared) break;  // B3
        lock_.unlock();
    }
    if (place != last_) {
        if (last_ != 0 && streak_ > wanted_ && wanted_ < kMostStreak)
            wanted_ = static_cast<uint16_t>(wanted_ * 2);
        last_ = static_cast<uint16_t>(place);
        if (place) remote_end(p_of(self()), began);
        streak_ = 0;
        return;
    }
    if (place == 0 || place > kOwners || ++streak_ <= wanted_) return;
    held_[place - 1].store(1, std::memory_order_relaxed);
    bias_.store(static_cast<uint16_t>(place), std::memory_order_release);  // B3
    lock_.unlock();
}

}  // namespace gort::rt
