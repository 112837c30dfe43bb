// chan/lock.h - a channel's lock: nothing at all for the P that the channel belongs to, a GateLock once it is shared.
// SPDX-License-Identifier: BSD-2-Clause
//
// A channel is made biased to the P of its maker. Whoever is inside the gate with that P is alone with the channel,
// since everybody else, finding another bias than his own P, first takes the bias away:
//
//      the holder of the P                       the one who wants in (outside the gate)
//      1  in_rt = 1 (enter)                      1  bias: P -> kRevoking, by CAS
//      2  light_barrier                          2  handshake (rt/gate.h), or heavy_barrier
//      3  read bias: mine? then go ahead         3  wait until the M that holds P is outside the gate, or P is nobody's
//                                                4  bias = shared: from now on the GateLock counts
//
// If the fence of the right side falls after 3 of the left, the M is seen inside; if before, it finds kRevoking. Who
// finds kRevoking, or another P, leaves the gate and waits outside: so two Ms that want each other's channels do not
// wait for each other's leaving.
// A P that has locked a shared channel kStreak times in a row makes it its own again. It holds the GateLock then and
// is inside the gate; who gets the lock afterwards looks at the bias once more, and lets go. A look at in_rt by whoever
// saw the new bias sees us inside. Each loss doubles the streak that this takes.
// Why: most channels live and die among goroutines of one P, and the lock's one locked instruction is half the cost
// of an operation on a buffer. A revocation costs 1 to 8 us; a P that loses more than one new channel in 128
// makes its next ones shared from the start (P::chan_reluctance).
//
// Invariant: inside the gate, between lock and unlock, the bias stays shared, or is this P and may become kRevoking.
// Context:   [G or foreign thread, inside the gate]; chan_revoke: any thread, outside of it.
// Ordering:  B1 the release that makes it shared -> the acquire in chan_lock: what the P's holders did to the channel
//               is visible. What holders of the GateLock did comes before the release that makes it a P's.
//            K1 of rt/gate_lock.h: what earlier holders did is visible.
// Modelled in tests/model/chan_lock.pml.
#pragma once

#include "rt/gate.h"
#include "rt/gate_lock.h"
#include "rt/look.h"

namespace gort::detail {

// What ChanLock::bias can be. A shared one counts, under the GateLock, how often the same P has locked it:
//
//      bit 0  1     bits 1-16  the place of that P     bits 17-20  losses     bits 32-63  what its streak still lacks
//
// Everything else is even: kRevoking, or the address of a P. A foreign thread's P is null, which no living channel's
// is.
inline constexpr uintptr_t kRevoking = 2, kShared = 1;
inline bool is_shared(uintptr_t bias) { return bias & 1; }
inline bool is_a_p(uintptr_t bias) { return !is_shared(bias) && bias != kRevoking; }
inline uintptr_t bias_to(const rt::P* pp) { return reinterpret_cast<uintptr_t>(pp); }

struct ChanLock {
    std::atomic<uintptr_t> bias{0};
    rt::GateLock gate{kernel::LockRank::kChan};

    static constexpr uint64_t kStreak = 128;

    // Holding the gate of a shared one: false if it is this P's turn to have it.
    // began: rt::remote_begin.
    [[gnu::always_inline]] bool count(rt::P* pp, int64_t began) {
        const uint64_t seen = bias.load(std::memory_order_relaxed);
        const uint64_t place = pp ? pp->index + 1 : 0;
        const uint64_t losses = seen >> 17 & 15;
        uint64_t next = seen - (uint64_t{1} << 32);
        if ((seen >> 1 & 0xffff) != place) {
            next = kShared | place << 1 | losses << 17 | ((kStreak << losses) - 1) << 32;
            rt::remote_end(pp, began);
        }
        bias.store(next, std::memory_order_relaxed);
        return next >> 32 != 0;
    }
};

// What a channel keeps of its past, apart from the lock for want of room.
struct ChanPast {
    std::atomic<bool> was_shared{
        false};             // once it was: since then all its references are counted in Hchan::shared
    bool for_ever = false;  // shared from the start, and to stay so
    uint8_t losses = 0;     // of those who made it their own later: kMostLosses is as good as more

    static constexpr uint8_t kMostLosses = 7;
};

}  // namespace gort::detail
