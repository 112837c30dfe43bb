// rt/sched/delays.cc - see delays.h.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/sched/delays.h"

#include "rt/base/check_seam.h"

namespace gort::rt {

namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr uint32_t kReasons = static_cast<uint32_t>(WaitReason::kCount);
std::atomic<uint64_t> g_parked[kReasons][kDelayBuckets];
std::atomic<uint64_t> g_ready[kDelayBuckets];

uint32_t bucket(int64_t ns) {
    const auto units = ns > 0 ? static_cast<uint64_t>(ns) >> 11 : 0;
    const uint32_t b = units ? 64u - static_cast<uint32_t>(__builtin_clzll(units)) : 0;
    return b < kDelayBuckets ? b : kDelayBuckets - 1;
}

}  // namespace

int64_t delays_park(P* pp, G* gp) {
    if (gp->flags & kGHolds)
        if (auto* check = g_check_park.load(kRelaxed)) check(gp);
    if (pp) pp->sample_due = false;
    gp->flags |= kGTimed;
    gp->seq = 0;  // it has not been readied
    return kernel::nanotime();
}

void delays_note(G* gp, int64_t since) {
    gp->flags &= static_cast<uint16_t>(~kGTimed);
    if (gp->seq == 0) return;
    const int64_t now = kernel::nanotime();
    const uint32_t units = (static_cast<uint32_t>(now >> 10) | 1) - gp->seq;
    const int64_t waited = units < 1u << 31 ? int64_t{units} << 10 : 0;
    const auto why = static_cast<uint32_t>(gp->wait_reason);
    g_ready[bucket(waited)].fetch_add(1, kRelaxed);
    if (why < kReasons) g_parked[why][bucket(now - since - waited)].fetch_add(1, kRelaxed);
}

void delays_read_parked(WaitReason why, uint64_t* counts) {
    for (uint32_t i = 0; i < kDelayBuckets; ++i)
        counts[i] = g_parked[static_cast<uint32_t>(why)][i].load(kRelaxed);
}

void delays_read_ready(uint64_t* counts) {
    for (uint32_t i = 0; i < kDelayBuckets; ++i) counts[i] = g_ready[i].load(kRelaxed);
}

void delays_begin() {
    for (auto& g : g_ready) g.store(0, kRelaxed);
    for (auto& reason : g_parked)
        for (auto& g : reason) g.store(0, kRelaxed);
}

}  // namespace gort::rt
