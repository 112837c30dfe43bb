// chan/lock.h - a channel's lock: nothing for the P that the channel belongs to, an InsideLock once it is shared.
// SPDX-License-Identifier: BSD-2-Clause
//
// rt/own/owner.h has the protocol: a channel begins as its maker's P's; who wants it and finds another owner leaves the
// gate and takes it away; a P that has locked it for a streak makes it its own again.
//
// A channel that was made in a run of a simulation (rt/sim.h) is that run's. Others that use it end the process, with
// Go's texts.
//
// Invariant: inside the gate, between lock and unlock, the channel stays shared, or this P's and may become kRevoking.
// Context:  [G or foreign thread, inside the gate]; chan_revoke: any thread, outside of it.
// Ordering: B1, B2 of rt/own/owner.h; K1 of rt/base/inside_lock.h: what earlier holders did is visible.
#pragma once

#include "rt/base/inside_lock.h"
#include "rt/own/owner.h"
#include "rt/sched/judge.h"

namespace gort::detail {

struct ChanLock {
    Owner owner;
    rt::InsideLock mutex{kernel::LockRank::kChan};

    // Owner::losses of a channel that is shared from the start and stays so. One that is only shared from the start has
    // been lost once.
    static constexpr uint8_t kForEver = 255;
    // The same, of one that was made in a simulation: its references are counted as a shared one's.
    static constexpr uint8_t kSimulated = 254;

    bool is_shared() const { return owner.whose.load(std::memory_order_relaxed) == kShared; }
    // Since then all its references are counted in Hchan::shared.
    bool was_shared(std::memory_order order) const { return owner.losses.load(order) != 0; }
};

}  // namespace gort::detail
