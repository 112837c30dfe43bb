// rt/sched/delays.h - how long goroutines wait: samples of the time parked and of the time from ready to running.
// SPDX-License-Identifier: BSD-2-Clause
//
// Sampled are parks that go over g0 anyway: one in eight of those that find nothing else to run, and one in about two
// thousand of the others, for which a decision is sent that way. So the direct way from one goroutine to the next costs
// what it did: ready looks at one flag more of those that it looks at together.
#pragma once

#include "kernel/clock.h"
#include "rt/own/g.h"
#include "rt/own/p.h"

namespace gort::rt {

// Of up to 2.048 us, and each twice as far as the one before.
inline constexpr uint32_t kDelayBuckets = 32;

// Time in units of 1.024 us, which wraps after an hour and more; never 0.
inline uint32_t delay_clock() { return static_cast<uint32_t>(kernel::nanotime() >> 10) | 1; }

// [P's holder, on its way to g0] Is gp's park to be a sample?
inline bool delays_sample(P* pp, const G* gp) {
    if (gp->status.load(std::memory_order_relaxed) != GStatus::kWaiting) return false;
    if (gp->flags & kGHolds) [[unlikely]]
        return true;
    return pp && ((++pp->g0_parks & 7) == 0 || pp->sample_due);
}
int64_t delays_park(P* pp, G* gp);                            // it is; when it began. pp: may be null
void delays_note(G* gp, int64_t since);                       // [gp itself] it runs again
inline void delays_ready(G* gp) { gp->seq = delay_clock(); }  // [whoever readies it] a sample
void delays_read_parked(WaitReason why, uint64_t* counts);
void delays_read_ready(uint64_t* counts);
void delays_begin();  // a run begins

}  // namespace gort::rt
