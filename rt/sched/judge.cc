// rt/sched/judge.cc - the judgement about moving goroutines: what was gained, what was lost, and the pause after it.
// SPDX-License-Identifier: BSD-2-Clause
//
// Constants (the machines: judge.h):
//   kGainLines  4        a goroutine that was moved costs as many lines more, on both sides together; what a line
//                        costs is measured as it comes, at first glances (sched.line_ns)
// What the lines of objects cost that several Ps use is measured as it comes, over 100 us at least and at most 1 us
// each, for an M that loses its CPU would count for hundreds: more than half of the time, and what was taken goes
// back. kLines is a compromise: with 5, workers of 1 us over a buffer stay alone, who gain 1.7; with 2 and with 3 a
// pipeline of 100 ns steps is still shared, and does 0.8 to 1.0 of what one P does.
//   kPauseCrowd 2 ms     where more than four fifths of the time went into such lines, which 25 us show: many over one
//                        channel lost 0.8 to 1.9 of it, workers and pipelines hardly ever more than 0.8
//   kBadCosts   4        good experiences: with 5 % bad ones, each of which put an M to sleep, an unbuffered pool
//                        of 1 us gained 1.2 and not 1.5
#include "rt/sched/judge.h"

#include "kernel/clock.h"

namespace gort::rt {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr int64_t kPauseFirst = 250'000, kPauseCrowd = 2'000'000, kPauseMost = 64'000'000;
constexpr int64_t kGainLines = 4;
constexpr int32_t kBadCosts = 4, kMostTrust = 16;  // good experiences

void leave_alone(P* victim, int64_t now, int64_t least = kPauseFirst) {
    Sharing& s = victim->sharing;
    const uint32_t batch = s.batch.load(kRelaxed);
    const int64_t pause = s.pause.load(kRelaxed);
    int64_t next = pause * 2 < kPauseMost ? pause * 2 : kPauseMost;
    if (next < least) next = least;
    s.trust.store(0, kRelaxed);
    s.batch.store(batch > Sharing::kFirstBatch * 2 ? batch / 4 : Sharing::kFirstBatch / 2, kRelaxed);
    s.pause.store(next, kRelaxed);
    s.pause_grain.store(s.grain.load(kRelaxed), kRelaxed);
    s.pause_until.store(now + next, kRelaxed);
}

// One bad experience among many good ones is forgiven, unless those were made with coarser work.
void judge(P* victim, bool good, int64_t now) {
    Sharing& s = victim->sharing;
    const int32_t trust = s.trust.load(kRelaxed);
    if (!good) {
        const bool finer = s.grain.load(kRelaxed) < s.trust_grain.load(kRelaxed) / 4;
        if (trust < kBadCosts || finer) return leave_alone(victim, now);
        s.trust.store(trust - kBadCosts, kRelaxed);
        return;
    }
    const uint32_t batch = s.batch.load(kRelaxed);
    const int64_t pause = s.pause.load(kRelaxed);
    if (trust < kMostTrust) s.trust.store(trust + 1, kRelaxed);
    write_about(s.trust_grain, s.grain.load(kRelaxed));
    write_new(s.batch, batch * 4 < Sharing::kMostBatch ? batch * 4 : Sharing::kMostBatch);
    write_new(s.pause, pause > kPauseFirst ? pause - pause / 4 : 0);
    write_new(sched.wake_pause, int64_t{0});
}

// What so many goroutines that were moved have to give to have been worth it. Of several, the first is slow to start.
int64_t least_gain(uint32_t n) {
    const int64_t each = kGainLines * sched.line_ns.load(kRelaxed);
    return n < 4 ? each * n : each * n + 1'000;
}

}  // namespace

// me is out of work: what has the last loot brought?
void judge_loot(P* me, int64_t now) {
    Loot& l = me->loot;
    if (!l.from) return;
    // While the other one was idle nothing was gained: there was one to do the work before, too.
    const int64_t gain = now - l.since - l.lost - (l.from->idle_until(now) - l.from_idle);
    // Where decisions are far apart, what was taken would have waited for long, and a little more time is not felt
    // there.
    const bool coarse = l.from->sharing.grain.load(kRelaxed) >= kOfferGrain;
    judge(l.from, (coarse || gain >= least_gain(l.count)) && gain >= l.lost, now);
    l.from = nullptr;
}

// So long did it take to read a line that the owner had written since.
void note_line(int64_t ns) {
    constexpr int64_t kLeast = 30, kMost = 400;
    ns -= kClock;
    if (ns < kLeast) ns = kLeast;
    if (ns > kMost) ns = kMost;
    sched.line_ns.store((sched.line_ns.load(kRelaxed) * 15 + ns) / 16, kRelaxed);
}

// A goroutine that makes no decision but spawns all the time is fine-grained all the same.
void note_grain(P* pp, int64_t elapsed, uint64_t decisions, uint64_t spawned) {
    const uint64_t made = decisions ? decisions : spawned;
    if (made > 100'000'000) return;  // a glance at counters that move is a guess
    auto& grain = pp->sharing.grain;
    if (made) write_about(grain, elapsed / static_cast<int64_t>(made));
    else if (elapsed > grain.load(kRelaxed)) grain.store(elapsed, kRelaxed);
}

int64_t remote_begin_slow() { return kernel::nanotime(); }

// The lock is one of the lines that have to come; what it guards are others, and cost about as much.
void remote_end_slow(P* pp, int64_t began) {
    constexpr int64_t kOneIn = 8, kLines = 3, kEvery = 64, kMostLoss = 1'000;
    constexpr int64_t kCrowdLasts = 100'000;  // shorter is the beginning: what was taken makes itself at home
    Loot& l = pp->loot;
    const int64_t now = kernel::nanotime();
    const int64_t took = now - began - kClock;
    const int64_t one = took < 0 ? 0 : took > kMostLoss ? kMostLoss : took;
    l.lost += one * kLines * (l.remote <= kOneIn ? 1 : kOneIn);
    if (l.remote % kEvery != 1) return;
    const int64_t lost = l.lost - l.lost_then, all = now - l.checked;
    const bool crowd = lost > all / 5 * 4;
    if (all < (crowd ? kCrowdLasts / 4 : kCrowdLasts)) return;
    l.checked = now;
    l.lost_then = l.lost;
    if (lost <= all / 2 || !l.from) return;
    leave_alone(l.from, now, crowd ? kPauseCrowd : kPauseFirst);
    pp->attention.fetch_or(kAskGather, kRelaxed);
}

void note_lost(P* pp, int64_t ns) { pp->loot.lost += ns; }

}  // namespace gort::rt
