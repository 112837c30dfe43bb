// rt/sched/share.cc - what a P does for those that look for work: it makes goroutines public, takes them back, and
// wakes an M where that pays.
// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/clock.h"
#include "rt/base/sim_seam.h"
#include "rt/sched/judge.h"
#include "rt/sched/look.h"

namespace gort::rt {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr int64_t kWakePays = 10'000;  // ns of work that waits: less is done before a sleeper is awake

// What waits is worth a wake if it is more than is done meanwhile, or if there will be more: where looking has
// paid, who is awake takes the next ones at once. Unknown grain is taken for coarse.
bool pays(const P* pp) {
    const int64_t grain = pp->sharing.grain.load(kRelaxed);
    if (!grain) return true;
    return pp->queued() * grain >= kWakePays ||
           (grain >= kOfferGrain && pp->sharing.pause.load(kRelaxed) == 0);
}

// pp is armed, and something waits there. It stays armed while it is not yet enough; but where decisions are so
// fine that being asked each time would be felt, once is all, until it is armed again.
void wake_for(P* pp) {
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

}  // namespace

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

void take_what_waits(P* pp, GList* to) {
    take_half(pp, to, pp->sharing.batch.load(kRelaxed), true);
    if (to->head) return;
    if (G* gp = pp->runnext.load(kRelaxed)) {
        pp->runnext.store(nullptr, kRelaxed);
        to->push(gp);
    }
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

void arm_makers(int64_t now) {
    const bool in_vain = now < sched.wake_after.load(kRelaxed);
    for (int i = 0, n = sched.nallp.load(std::memory_order_acquire); i < n; ++i) {
        P* pp = sched.allp[i];
        if (!pp->m.load(kRelaxed) || (pp->wanted.load(kRelaxed) & kWakeOne)) continue;
        if (in_vain && pp->sharing.grain.load(kRelaxed) < kOfferGrain) continue;
        pp->wanted.fetch_or(kWakeOne, kRelaxed);
    }
}

bool worth_a_wake(const P* pp, int64_t now) {
    if (left_alone(pp, now)) return false;
    const int64_t grain = pp->sharing.grain.load(kRelaxed);
    return !grain || grain >= kFine || !pp->fresh.empty();
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
