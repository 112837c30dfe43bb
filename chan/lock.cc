// chan/lock.cc - taking a channel's bias away, and the contended half of its lock.
// SPDX-License-Identifier: BSD-2-Clause
#include "chan/lock.h"

#include "arch/arch.h"
#include "kernel/futex.h"
#include "kernel/sys.h"

namespace gort::detail {

using namespace rt;

namespace {

constexpr int kPauses = 100;         // of 10 to 60 ns, before the CPU is given to whoever may need it
constexpr uint32_t kLeastShared = 16, kMostShared = 4096;

// Until whoever was inside the gate with pp has been outside.
void wait_for_outside(const P* pp) {
    M* mp = pp->m.load(std::memory_order_acquire);
    for (int i = 0; mp && mp->in_rt.load(std::memory_order_acquire); ++i) {
        if (i < kPauses) arch::pause();
        else kernel::sys_sched_yield();
        if (pp->m.load(std::memory_order_acquire) != mp) return;  // it gave the P up, so it was done
    }
}

// Each loss doubles the number of channels that this P makes shared from the start; see chan_new.
void punish(P* pp) {
    uint32_t n = pp->chan_penalty.load(std::memory_order_relaxed);
    if (n < kLeastShared) n = kLeastShared;
    pp->chan_shared.store(n, std::memory_order_relaxed);
    if (n < kMostShared) pp->chan_penalty.store(n * 2, std::memory_order_relaxed);
}

}  // namespace

void SharedLock::lock_slow() {
    for (int i = 0; i < kPauses; ++i) {
        arch::pause();
        // K1
        if (state_.load(std::memory_order_relaxed) == 0 && state_.exchange(1, std::memory_order_acquire) == 0)
            return;
    }
    // Either this sees the lock free, or the holder's look at sleepers, which comes after the fence, sees us.
    sleepers_.fetch_add(1, std::memory_order_relaxed);
    kernel::heavy_barrier();
    while (state_.exchange(1, std::memory_order_acquire) != 0) kernel::futex_wait(&state_, 1);  // K1
    sleepers_.fetch_sub(1, std::memory_order_relaxed);
}

void SharedLock::unlock_slow() { kernel::futex_wake(&state_, 1); }

void chan_revoke(ChanLock& lock) {
    for (;;) {
        P* owner = lock.bias.load(std::memory_order_acquire);  // B1
        if (owner == unbiased()) return;
        if (owner == revoking()) {
            kernel::sys_sched_yield();
            continue;
        }
        if (!lock.bias.compare_exchange_strong(owner, revoking(), std::memory_order_acq_rel)) continue;
        kernel::heavy_barrier();
        wait_for_outside(owner);
        lock.bias.store(unbiased(), std::memory_order_release);  // B1
        return punish(owner);
    }
}

void chan_revoke_at_end(ChanLock& lock) {
    P* owner = lock.bias.load(std::memory_order_acquire);
    if (owner != unbiased() && owner != revoking() &&
        lock.bias.compare_exchange_strong(owner, unbiased(), std::memory_order_acq_rel))  // B1
        return;
    chan_revoke(lock);  // a foreign thread is at it
}

M* chan_lock_slow(M* mp, ChanLock& lock) {
    leave(mp);
    chan_revoke(lock);
    return chan_lock(enter(), lock);
}

}  // namespace gort::detail
