// rt/sched/look.cc - an M without work looks for some at other Ps; what an asked P shares; and the judgement
// afterwards.
// SPDX-License-Identifier: BSD-2-Clause
//
// A LOOKER keeps its P while it looks, so no deadlock is declared meanwhile. For each P that it watches:
//
//      what it sees                                     what it does
//      something public                                 takes all of it by one exchange
//      an offer (readied last, its waker runs on)       takes it when it lies there for kOfferRest
//      the P is left alone (Sharing::pause)             nothing, until the pause is over or the grain has changed
//      something waits, or coarse grain                 says kHungry: spawn and ready make the next surplus public
//      the same still waits after kAskAfter             asks with kAskShare: the next decision makes it public
//      no decision for kForceAfter after that           takes the P through the gate: half the queue, give the P back
//
// It gives up after P::look_for, which grows with what looking brings and shrinks when it brings nothing, or at once
// when there is nobody to be watched. Lookers are at most half as many as Ps that work, and never more than there are
// CPUs for them.
//
// Constants, measured on two vCPUs (Xeon, line round trip 230 ns, wake 6 to 25 us; Zen 5, 80 to 150 ns, 20 us):
//   kFine       150 ns   decisions that follow each other faster move less work than their cache lines cost; of such a
//                        P only goroutines that have not run are taken, since those may be whole trees
//   kOfferGrain 3 us     what was readied last is worth more here than there unless its waker runs on for long
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
#include "rt/sched/look.h"

#include "arch/arch.h"
#include "kernel/clock.h"
#include "rt/base/sim_seam.h"
#include "rt/own/gate.h"

namespace gort::rt {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr int64_t kFine = 150, kCoarse = 600, kOfferGrain = 3'000;
constexpr int64_t kOfferRest = 300, kAskAfter = 1'000, kForceAfter = 8'000;
constexpr int64_t kLookLeast = 10'000, kLookMost = 200'000;
constexpr int64_t kPauseFirst = 250'000, kPauseCrowd = 2'000'000, kPauseMost = 64'000'000;
constexpr int64_t kWakePauseFirst = 50'000, kWakePauseMost = 64'000'000;
constexpr int64_t kWakePays = 10'000;  // ns of work that waits: less is done before a sleeper is awake
constexpr int64_t kGainLines = 4;
constexpr int64_t kClock = 30;                     // ns that reading it takes
constexpr int32_t kBadCosts = 4, kMostTrust = 16;  // good experiences
constexpr int kPauses = 6;                         // of 10 to 70 ns, between two rounds
constexpr uint32_t kVictims = 8;

// One P that a looker watches.
struct Watched {
    P* pp;
    uint64_t picks;       // at `since`,
    uint64_t created;     // and how many it had spawned
    int64_t since;        // of the measurement of its grain
    int64_t next_glance;  // at its hot lines
    uint64_t turn;
    int64_t waits_since;  // 0: nothing waits
    int64_t asked;        // 0: not yet
    uint64_t asked_picks;
    const G* offer;
    int64_t offer_since;
};

// Ps at work, without those whose Ms look; me is one of the holders.
int working_others() {
    return sched.nprocs.load(kRelaxed) - sched.npidle.load(kRelaxed) - sched.looking.load(kRelaxed) - 1;
}

// Is there a CPU for one more M than those that work, the caller's among them?
bool cpu_to_spare() { return working_others() + 1 < sched.ncpu; }

bool may_look(const P* me) {
    const int working = working_others(), looking = sched.looking.load(kRelaxed);
    if (working <= 0 || looking * 2 >= working + 1) return false;
    return me->sent_to_look || working + looking < sched.ncpu;
}

bool left_alone(const P* pp, int64_t now) {
    const Sharing& s = pp->sharing;
    if (now >= s.pause_until.load(kRelaxed)) return false;
    const int64_t grain = s.grain.load(kRelaxed), then = s.pause_grain.load(kRelaxed);
    return grain < 4 * then || grain < kCoarse;
}

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
    s.trust_grain.store(s.grain.load(kRelaxed), kRelaxed);
    s.batch.store(batch * 4 < Sharing::kMostBatch ? batch * 4 : Sharing::kMostBatch, kRelaxed);
    s.pause.store(pause > kPauseFirst ? pause - pause / 4 : 0, kRelaxed);
    sched.wake_pause.store(0, kRelaxed);
}

// What so many goroutines that were moved have to give to have been worth it. Of several, the first is slow to start.
int64_t least_gain(uint32_t n) {
    const int64_t each = kGainLines * sched.line_ns.load(kRelaxed);
    return n < 4 ? each * n : each * n + 1'000;
}

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

// The list goes into pp's queues. Returns how many there were.
uint32_t put_aside_all(P* pp, G* list) {
    uint32_t n = 0;
    while (G* gp = list) {
        if (gp->flags & kGChain) {
            const FreshChain chain{gp, static_cast<G*>(gp->wake), gp->seq};
            gp->flags &= static_cast<uint16_t>(~kGChain);
            list = chain.last->next;
            chain.last->next = nullptr;
            pp->fresh.push_chain(chain);
            n += chain.count;
            continue;
        }
        list = gp->next;
        pp->put_aside(gp);
        ++n;
    }
    return n;
}

G* adopt(P* me, P* from, G* list, int64_t now) {
    const uint32_t n = put_aside_all(me, list);
    me->loot = {from, n, now, 0, 0, me->loot.stacks, now, 0, from->idle_until(now)};
    me->steals.store(me->steals.load(kRelaxed) + n, kRelaxed);
    return pick_next(me);
}

G* take_public(P* me, Watched& w, int64_t now) {
    PublicQueue& q = w.pp->open_to_all;
    if (q.empty()) return nullptr;
    if (const G* offer = q.offer()) {
        if (offer != w.offer) {
            w.offer = offer;
            w.offer_since = now;
        }
        if (now - w.offer_since < kOfferRest) return nullptr;
    }
    me->steal_tries.store(me->steal_tries.load(kRelaxed) + 1, kRelaxed);
    G* list = q.take_all();
    return list ? adopt(me, w.pp, list, now) : nullptr;
}

// Of a P whose goroutine makes no decision: also what is to run next.
void take_what_waits(P* pp, GList* to) {
    take_half(pp, to, pp->sharing.batch.load(kRelaxed), true);
    if (to->head) return;
    if (G* gp = pp->runnext.load(kRelaxed)) {
        pp->runnext.store(nullptr, kRelaxed);
        to->push(gp);
    }
}

// The owner does not answer: through the gate.
G* force(P* me, P* victim, int64_t now) {
    M* holder;
    me->steal_tries.store(me->steal_tries.load(kRelaxed) + 1, kRelaxed);
    if (take(victim, &holder, kAskShare) != Taken::kYes) return nullptr;
    GList list;
    take_what_waits(victim, &list);
    give_back(holder);
    return list.head ? adopt(me, victim, list.head, now) : nullptr;
}

// So long did it take to read a line that the owner had written since.
void note_line(int64_t ns) {
    constexpr int64_t kLeast = 30, kMost = 400;
    ns -= kClock;
    if (ns < kLeast) ns = kLeast;
    if (ns > kMost) ns = kMost;
    sched.line_ns.store((sched.line_ns.load(kRelaxed) * 15 + ns) / 16, kRelaxed);
}

// At the P's hot lines, which the owner has to fetch back: the finer its grain, the more seldom.
G* glance(P* me, Watched& w, int64_t now) {
    P* pp = w.pp;
    Sharing& s = pp->sharing;
    const int64_t before = kernel::nanotime();
    const uint64_t picks = pp->picks(), made = picks - w.picks;
    if (made) note_line(kernel::nanotime() - before);
    const int64_t elapsed = now - w.since;
    if (elapsed > 2'000 && (made >= 8 || elapsed > s.grain.load(kRelaxed))) {
        note_grain(pp, elapsed, made, pp->created.load(kRelaxed) - w.created);
        if (made) {
            w.since = now;
            w.picks = picks;
            w.created = pp->created.load(kRelaxed);
        }
    }
    const int64_t grain = s.grain.load(kRelaxed);
    w.next_glance = now + (grain && grain < 2'000 ? 2'000 : 500);
    const uint32_t queued = pp->queued();
    const bool fine = grain && grain < kFine;
    if ((queued || grain >= kCoarse) && !(pp->wanted.load(kRelaxed) & kHungry))
        pp->wanted.fetch_or(kHungry, kRelaxed);
    // A lone runnext waits only while the same goroutine runs on.
    const uint64_t turn = pp->turn();
    if (turn != w.turn && !pp->has_work()) w.waits_since = 0;
    w.turn = turn;
    if (!queued || (fine && pp->fresh.empty())) {
        w.waits_since = w.asked = 0;
        return nullptr;
    }
    if (!w.waits_since) {
        w.waits_since = now;
        w.asked = 0;
    }
    if (now - w.waits_since < kAskAfter) return nullptr;
    if (!w.asked) {
        pp->attention.fetch_or(kAskShare, std::memory_order_release);
        w.asked = now;
        w.asked_picks = picks;
        return nullptr;
    }
    if (picks != w.asked_picks) {  // it has seen the wish: the next one
        w.asked = 0;
        w.waits_since = now;
        return nullptr;
    }
    if (now - w.asked < kForceAfter) return nullptr;
    w.asked = now;
    return force(me, pp, now);
}

uint32_t choose_victims(P* me, Watched* to, int64_t now) {
    const auto all = static_cast<uint32_t>(sched.nallp.load(std::memory_order_acquire));
    const uint32_t start = me->rand.below(all);
    uint32_t n = 0;
    for (uint32_t i = 0; i < all && n < kVictims; ++i) {
        P* pp = sched.allp[(start + i) % all];
        if (pp == me || !pp->m.load(kRelaxed) || left_alone(pp, now)) continue;
        to[n++] = {pp, pp->picks(), pp->created.load(kRelaxed), now, now, pp->turn(), 0, 0, 0, nullptr, 0};
    }
    return n;
}

// Coarse grain brings work in steps of its length: four of them, and half as long after each look in vain.
int64_t look_time(const P* me, const Watched* watched, uint32_t n) {
    int64_t grain = 0;
    for (uint32_t i = 0; i < n; ++i) {
        const int64_t g = watched[i].pp->sharing.grain.load(kRelaxed);
        if (g > grain) grain = g;
    }
    int64_t ns = 4 * grain < kLookMost ? 4 * grain : kLookMost;
    ns >>= me->vain_looks;
    return ns > me->look_for ? ns : me->look_for;
}

bool timer_due(int64_t now) { return earliest_timer() <= now; }

}  // namespace

// A goroutine that makes no decision but spawns all the time is fine-grained all the same.
void note_grain(P* pp, int64_t elapsed, uint64_t decisions, uint64_t spawned) {
    const uint64_t made = decisions ? decisions : spawned;
    if (made > 100'000'000) return;  // a glance at counters that move is a guess
    auto& grain = pp->sharing.grain;
    if (made) grain.store(elapsed / static_cast<int64_t>(made), kRelaxed);
    else if (elapsed > grain.load(kRelaxed)) grain.store(elapsed, kRelaxed);
}

G* look(M* mp) {
    P* me = p_of(mp);
    int64_t now = kernel::nanotime();
    judge_loot(me, now);
    me->begin_idle(now);
    const bool sent = me->sent_to_look;
    G* got = nullptr;
    if (!mp->is_m0 && may_look(me)) {  // M0 could only hand on what it finds
        Watched watched[kVictims];
        const uint32_t n = choose_victims(me, watched, now);
        const int64_t start = now;
        int64_t end = start + look_time(me, watched, n);
        if (sent && me->look_for < 2 * kForceAfter + kAskAfter) end = start + 2 * kForceAfter + kAskAfter;
        sched.looking.fetch_add(1, kRelaxed);
        uint32_t round = 0;
        for (; n && now < end; ++round) {
            for (uint32_t i = 0; i < n && !got; ++i) {
                got = take_public(me, watched[i], now);
                if (!got && now >= watched[i].next_glance) got = glance(me, watched[i], now);
            }
            if (got || sched.runq_size.load(kRelaxed) || me->attention.load(kRelaxed) || !running()) break;
            if (round % 16 == 15 && timer_due(now)) break;
            for (int j = 0; j < kPauses; ++j) arch::pause();
            now = kernel::nanotime();
        }
        sched.looking.fetch_sub(1, kRelaxed);
        me->looks.store(me->looks.load(kRelaxed) + round, kRelaxed);
        for (uint32_t i = 0; i < n; ++i)
            if (watched[i].pp->wanted.load(kRelaxed) & kHungry)
                watched[i].pp->wanted.fetch_and(~kHungry, kRelaxed);
        if (got) {
            const int64_t longer = 4 * (now - start) + 3 * kLookLeast;
            if (longer > me->look_for) me->look_for = longer < kLookMost ? longer : kLookMost;
            me->vain_looks = 0;
        } else if (now >= end) {
            if (me->vain_looks < 16) ++me->vain_looks;
            me->look_for = me->look_for / 2 > kLookLeast ? me->look_for / 2 : kLookLeast;
        }
    }
    if (sent) {
        me->sent_to_look = false;
        if (!got) {
            const int64_t pause = sched.wake_pause.load(kRelaxed);
            const int64_t next =
                pause ? (pause * 2 < kWakePauseMost ? pause * 2 : kWakePauseMost) : kWakePauseFirst;
            sched.wake_pause.store(next, kRelaxed);
            sched.wake_after.store(now + next, kRelaxed);
        }
    }
    if (got) me->end_idle(now);
    if (got && me->has_work() && cpu_to_spare()) wake_looker();  // there is more: the next M comes
    return got;
}

void share(P* pp) {
    if (!pp->open_to_all.empty()) return;
    GList list;
    const int64_t grain = pp->sharing.grain.load(kRelaxed);
    take_half(pp, &list, pp->sharing.batch.load(kRelaxed), !grain || grain >= kFine);
    if (!list.head) return;
    pp->open_to_all.push(list.head, list.tail);
    pp->wanted.fetch_and(~kHungry, kRelaxed);
}

void share_all(P* pp) {
    share(pp);
    if (pp->sharing.grain.load(kRelaxed) < kOfferGrain || !pp->open_to_all.empty()) return;
    G* gp = pp->runnext.load(kRelaxed);
    if (!gp || !pp->open_to_all.push_offer(gp)) return;
    pp->runnext.store(nullptr, kRelaxed);
    pp->attention.fetch_or(kAskTakeBack, kRelaxed);
}

// At the first decision after an offer it stays public if there is something else to run, at the second it comes back.
void end_offer(P* pp) {
    if (pp->queued() && pp->open_to_all.keep_offer()) {
        pp->attention.fetch_or(kAskTakeBack, kRelaxed);
        return;
    }
    take_back(pp);
}

void share_whatever(P* pp) {
    if (!pp->open_to_all.empty()) return;
    GList list;
    take_what_waits(pp, &list);
    if (list.head) pp->open_to_all.push(list.head, list.tail);
}

bool take_back(P* pp) {
    G* list = pp->open_to_all.take_all();
    if (!list) return false;
    if (!list->next && !pp->runnext.load(kRelaxed)) {
        list->flags &= static_cast<uint16_t>(~kGChain);
        pp->runnext.store(list, kRelaxed);
        return true;
    }
    put_aside_all(pp, list);
    return true;
}

void gather(P* pp) {
    P* to = pp->loot.from;
    pp->loot.from = nullptr;
    if (!to) return;
    GList list;
    if (G* gp = pp->take_runnext()) list.push(gp);
    while (G* gp = pp->remove_oldest()) list.push(gp);
    while (G* gp = pp->fresh.pop_oldest()) list.push(gp);
    if (!list.head) return;
    sched.lock.lock();
    // Under the lock, for under it a P goes idle or is retired: it has looked at its public part by then, or will.
    const bool there = running() && to->m.load(kRelaxed) && !to->retired;
    if (there) {
        to->open_to_all.push(list.head, list.tail);
        to->attention.fetch_or(kAskTakeBack, std::memory_order_release);
    }
    sched.lock.unlock();
    if (there) return;
    while (G* gp = list.pop()) pp->put_aside(gp);
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

void arm_makers(int64_t now) {
    const bool in_vain = now < sched.wake_after.load(kRelaxed);
    for (int i = 0, n = sched.nallp.load(std::memory_order_acquire); i < n; ++i) {
        P* pp = sched.allp[i];
        if (!pp->m.load(kRelaxed) || (pp->wanted.load(kRelaxed) & kWakeOne)) continue;
        if (in_vain && pp->sharing.grain.load(kRelaxed) < kOfferGrain) continue;
        pp->wanted.fetch_or(kWakeOne, kRelaxed);
    }
}

// What waits is worth a wake if it is more than is done meanwhile, or if there will be more: where looking has
// paid, who is awake takes the next ones at once. Unknown grain is taken for coarse.
static bool pays(const P* pp) {
    const int64_t grain = pp->sharing.grain.load(kRelaxed);
    if (!grain) return true;
    return pp->queued() * grain >= kWakePays ||
           (grain >= kOfferGrain && pp->sharing.pause.load(kRelaxed) == 0);
}

bool worth_a_wake(const P* pp, int64_t now) {
    if (left_alone(pp, now)) return false;
    const int64_t grain = pp->sharing.grain.load(kRelaxed);
    return !grain || grain >= kFine || !pp->fresh.empty();
}

// pp is armed, and something waits there. It stays armed while it is not yet enough; but where decisions are so
// fine that being asked each time would be felt, once is all, until it is armed again.
static void wake_for(P* pp) {
    const auto unarm = [pp] { pp->wanted.fetch_and(~kWakeOne, kRelaxed); };
    const int64_t grain = pp->sharing.grain.load(kRelaxed);
    const bool coarse = grain >= kOfferGrain;
    if (sched.npidle.load(kRelaxed) == 0 || sched.looking.load(kRelaxed) > 0 || !cpu_to_spare()) {
        if (!coarse) unarm();
        return;
    }
    if (!pays(pp)) {
        if (grain < kFine) unarm();
        return;
    }
    const int64_t now = kernel::nanotime();
    if (now < sched.wake_after.load(kRelaxed) || left_alone(pp, now)) {
        if (!coarse) unarm();
        return;
    }
    unarm();
    wake_looker();
}

// From spawn or ready, with mp's goroutine running on, or on g0.
void left_behind(M* mp) {
    if (const SimHooks* sim = simulation()) return sim->left_behind(mp);
    sysmon_ensure();
    P* pp = p_of(mp);
    if (!pp) return;
    const uint32_t wanted = pp->wanted.load(kRelaxed);
    if (wanted & kHungry) {
        if (mp->curg) share_all(pp);
        else share(pp);
    }
    if ((wanted & kWakeOne) && pp->queued()) wake_for(pp);
}

}  // namespace gort::rt
