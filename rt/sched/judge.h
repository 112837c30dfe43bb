// rt/sched/judge.h - does it pay to move goroutines from a P to another one? Judged afterwards, by time.
// SPDX-License-Identifier: BSD-2-Clause
//
// Constants, measured on two vCPUs (Xeon, line round trip 230 ns, wake 6 to 25 us; Zen 5, 80 to 150 ns, 20 us):
//   kFine       150 ns   decisions that follow each other faster move less work than their cache lines cost; of such a
//                        P only goroutines that have not run are taken, since those may be whole trees
//   kOfferGrain 3 us     what was readied last is worth more here than there unless its waker runs on for long
#pragma once

#include "rt/sched/sched.h"

namespace gort::rt {

// Of the ns from one scheduling decision to the next: a P's grain.
inline constexpr int64_t kFine = 150, kCoarse = 600, kOfferGrain = 3'000;
inline constexpr int64_t kClock = 30;  // ns that reading the clock takes

// After bad experiences nothing is taken from pp, until the pause is over or its work has become coarser.
inline bool left_alone(const P* pp, int64_t now) {
    constexpr auto kRelaxed = std::memory_order_relaxed;
    const Sharing& s = pp->sharing;
    if (now >= s.pause_until.load(kRelaxed)) return false;
    const int64_t grain = s.grain.load(kRelaxed), then = s.pause_grain.load(kRelaxed);
    return grain < 4 * then || grain < kCoarse;
}

// [P's holder, g0, out of work] What has the last loot brought? The P that it came from is judged by that.
void judge_loot(P* me, int64_t now);

// A looker took so many ns to read a line that the P's owner had written since: sched.line_ns.
void note_line(int64_t ns);

// So many decisions and spawns have been made at pp in the last ns.
void note_grain(P* pp, int64_t ns, uint64_t decisions, uint64_t spawned);

// [P's holder, inside] Around the locking of an object that several Ps use: what does it cost this P, which runs loot,
// that another P used the object last? The first eight times are measured, then every eighth.
int64_t remote_begin_slow();
[[gnu::always_inline]] inline int64_t remote_begin(const P* pp) {
    if (!pp || !pp->loot.from) return 0;
    const uint32_t n = pp->loot.remote;
    return n < 8 || (n & 7) == 0 ? remote_begin_slow() : 0;
}
void remote_end_slow(P* pp, int64_t began);
[[gnu::always_inline]] inline void remote_end(P* pp, int64_t began) {  // another P had used it last
    if (!pp) return;
    ++pp->loot.remote;
    if (began) remote_end_slow(pp, began);
}

// A P that runs loot has lost so many ns in waiting for other Ps or the kernel: they are not counted as a gain.
void note_lost(P* pp, int64_t ns);

}  // namespace gort::rt
