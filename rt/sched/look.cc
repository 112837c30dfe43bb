// rt/sched/look.cc - an M without work looks for some at other Ps.
// SPDX-License-Identifier: BSD-2-Clause
//
// A LOOKER keeps its P while it looks, so no deadlock is declared meanwhile. For each P that it watches:
//
//      what it sees                                     what it does
//      something public                                 takes all of it by one exchange
//      an offer (readied last, its waker runs on)       takes it when it lies there for kOfferRest
//      the P is left alone (Sharing::pause)             nothing, until the pause is over or the grain has changed
//      something waits, or coarse grain                 says kHungry: spawn and ready make the next surplus public
//      the same still waits after kAskAfter, or what    asks with kAskShare: the next decision makes it public
//      waits takes more than kAskAtOnce
//      no decision for kForceAfter after that           takes the P through the gate: half the queue, give the P back
//
// It gives up after P::look_for, which grows with what looking brings and shrinks when it brings nothing, or at once
// when there is nobody to be watched. Lookers are at most half as many as Ps that work, and never more than there are
// CPUs for them.
//
//   kAskAtOnce  4 us     16 tasks of 1 us and a wait for all of them gain 1.26 and not 1.18, of 10 us 1.84 and not
//                        1.66 (medians)
//
// Whether that pays, and the constants of that: judge.h, judge.cc.
#include "rt/sched/look.h"

#include "arch/arch.h"
#include "kernel/clock.h"
#include "rt/own/gate.h"
#include "rt/sched/judge.h"

namespace gort::rt {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr int64_t kOfferRest = 300, kAskAfter = 1'000, kAskAtOnce = 4'000, kForceAfter = 8'000;
constexpr int64_t kLookLeast = 10'000, kLookMost = 200'000;
constexpr int64_t kWakePauseFirst = 50'000, kWakePauseMost = 64'000'000;
constexpr int kPauses = 6;  // of 10 to 70 ns, between two rounds
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

bool may_look(const P* me) {
    const int working = working_others(), looking = sched.looking.load(kRelaxed);
    if (working <= 0 || looking * 2 >= working + 1) return false;
    return me->sent_to_look || working + looking < sched.ncpu;
}

G* adopt(P* me, P* from, G* list, int64_t now) {
    prefetch_whole(list);
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
    if (now - w.waits_since < kAskAfter && queued * grain < kAskAtOnce) return nullptr;
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

bool cpu_to_spare() { return working_others() + 1 < sched.ncpu; }

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

}  // namespace gort::rt
