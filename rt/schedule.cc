// rt/schedule.cc - an M on its own stack: what to run next when the P's queue does not say, stealing, going idle.
// SPDX-License-Identifier: BSD-2-Clause
//
// Order of looking: own runnext, fresh ones and queue (every 61st time the global queue first) - global queue -
// descriptors - timers of all Ps - other Ps' queues - a short spin - idle. An M that goes idle gives its P up under
// sched.lock after a last look at the global queue under the same lock, so what comes there later finds the idle P
// and wakes an M for it.
#include "rt/clock.h"
#include "rt/sched.h"

namespace gort::rt {

constinit Sched sched;

namespace {

constexpr uint32_t kGlobalBatch = 128;
constexpr uint32_t kStealMost = 1024;
constexpr uint32_t kOldestEvery = 16;  // rounds; seldom enough for trees to stay depth first
constexpr int64_t kSpin = 20'000;      // ns of looking before an M goes idle; about what a wake takes
constexpr int kSpinsMost = 64;         // rounds of that: a pause takes from 10 to 70 ns
constexpr int kSpinPauses = 16;        // between two rounds
constexpr int64_t kPollRecent = 200'000;

// Up to a fair share of the global queue; the first is returned, the rest goes to the P's queue. Who made that work
// woke one M for all of it, so whoever takes some and leaves some wakes the next.
G* take_global(P* pp) {
    if (!sched.runq_size.load(std::memory_order_relaxed)) return nullptr;
    kernel::LockGuard guard(sched.lock);
    auto n = sched.runq.count / static_cast<uint32_t>(sched.nprocs.load(std::memory_order_relaxed)) + 1;
    if (n > kGlobalBatch) n = kGlobalBatch;
    G* first = sched.runq.pop();
    if (!first) return nullptr;
    while (--n > 0) {
        G* gp = sched.runq.pop();
        if (!gp) break;
        pp->runq.push(gp);
    }
    sched.runq_size.store(sched.runq.count, std::memory_order_relaxed);
    if (sched.runq.count) wake_one_locked();
    return first;
}

// Timers of every P that are due; true if there were any. Any M may run any P's timers: each heap has its lock.
bool run_timers() {
    bool any = false;
    int64_t now = 0;
    const int n = sched.nallp.load(std::memory_order_acquire);
    for (int i = 0; i < n; ++i) {
        Timers& ts = sched.allp[i]->timers;
        const int64_t when = ts.next_when.load(std::memory_order_relaxed);
        if (when == INT64_MAX) continue;
        if (!now) now = rt::now();
        if (when > now) continue;
        timers_run(&ts, now);
        any = true;
    }
    return any;
}

void run_own_timers(P* pp) {
    const int64_t when = pp->timers.next_when.load(std::memory_order_relaxed);
    if (when == INT64_MAX) return;
    const int64_t now = rt::now();
    if (when <= now) timers_run(&pp->timers, now);
}

// Half the queue to where others can have it; the asker has either spun for it or gone idle, so wake one.
void give_half(P* pp) {
    GList list;
    take_half(pp, &list, kStealMost, true);  // runnext, too: somebody has time for it
    if (list.head) put_global_list(&list);
}

// Also sees to it that nobody starves the queue: not a stream of fresh goroutines, and not two that hand a value to
// and fro through runnext. What waits behind them runs next.
// late: by the clock, not by the count.
void begin_round(P* pp, bool late = false) {
    pp->set_until_look(kGlobalEvery);
    const uint32_t round = pp->rounds.load(std::memory_order_relaxed) + 1;
    pp->rounds.store(round, std::memory_order_relaxed);
    if (!late && !pp->fresh.empty() && pp->runnext.load(std::memory_order_relaxed)) return;
    G* gp = round % (late ? 2 : kOldestEvery) ? nullptr : pp->fresh.pop_oldest();
    if (late && !gp && pp->runq.empty()) gp = pp->fresh.pop_oldest();
    if (!gp) gp = pp->remove_oldest();
    if (gp) pp->put_next(gp);
}

// What pick_next left to g0. Returns a G that must run now, or null to go on looking.
G* look_around(P* pp) {
    // kAskRelease may come at any moment, and is retire_p's to answer: who takes it off says that the P is given up.
    const uint32_t asked = pp->attention.load(std::memory_order_relaxed) & ~kAskRelease;
    if (asked) {
        pp->attention.fetch_and(~asked, std::memory_order_acquire);
        if (asked & kAskPreempt)
            if (G* gp = pp->runnext.load(std::memory_order_relaxed)) {
                pp->runnext.store(pp->fresh.empty() ? nullptr : pp->remove_oldest(),
                                  std::memory_order_relaxed);
                pp->runq.push(gp);  // a fresh one, too: else it would be next again
            }
        if (asked & kAskSteal) give_half(pp);
        if (asked & kAskPoll) poll_take(pp, true);
        // Whom a late timer wakes goes first; the round is for the next decision.
        if ((asked & kAskTimers) && run_timers() && (asked & kAskRound)) {
            pp->attention.fetch_or(kAskRound, std::memory_order_relaxed);
            return nullptr;
        }
    }
    run_own_timers(pp);
    const bool late = asked & kAskRound;
    if (!late && pp->until_look() > 0) return nullptr;
    begin_round(pp, late);
    return take_global(pp);
}

// What other Ps' queues held at the first of two looks. Only what still waits at the second is stolen, and not from a
// lively queue: the rules of sysmon.cc. Goroutines that hand values to each other all the time have something queued at
// most instants, and lose their caches, and their channels' bias, to a thief who takes it.
class Loot {
public:
    explicit Loot(P* pp) {
        pp->looks.store(pp->looks.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        const auto n = static_cast<uint32_t>(sched.nallp.load(std::memory_order_acquire));
        const uint32_t start = pp->rand.below(n);
        for (uint32_t i = 0; i < n && count_ < kMost; ++i) {
            P* victim = sched.allp[(start + i) % n];
            if (victim == pp || !victim->queued()) continue;
            seen_[count_++] = {victim,
                               victim->runnext.load(std::memory_order_relaxed),
                               victim->turn(),
                               victim->picks(),
                               victim->runq.tail(),
                               victim->fresh.pushed()};
        }
    }
    // What waited when its P's goroutine poked, if that one still runs: the first look was then.
    G* take_poked(M* mp, P* pp) const {
        for (const Seen* s = seen_; s != seen_ + count_; ++s)
            if (s->turn == s->victim->poked_turn.load(std::memory_order_relaxed) && steal_from(mp, s->victim))
                return pick_next(pp);
        return nullptr;
    }
    G* take(M* mp, P* pp) const {
        for (const Seen* s = seen_; s != seen_ + count_; ++s)
            if (still_waits(*s) && rt::now() >= s->victim->tiny_until.load(std::memory_order_relaxed) &&
                steal_from(mp, s->victim))
                return pick_next(pp);
        return nullptr;
    }

private:
    static constexpr uint32_t kMost = 64;
    struct Seen {
        P* victim;
        G* runnext;
        uint64_t turn, picks;
        uint32_t tail, pushed;
    };
    static bool still_waits(const Seen& s) {
        if (s.victim->picks() - s.picks >= kLively) return false;
        return s.victim->waits_since(s.tail, s.pushed) ||
               (s.runnext && s.turn == s.victim->turn() &&
                s.runnext == s.victim->runnext.load(std::memory_order_relaxed));
    }
    Seen seen_[kMost];
    uint32_t count_ = 0;
};

// Other Ps at work than the caller's.
int busy_others() {
    return sched.nprocs.load(std::memory_order_relaxed) - sched.npidle.load(std::memory_order_relaxed) - 1;
}

// Of an M that is out of work. It need not look at the descriptors if nobody else is at work: then it goes to sleep in
// the poller, and that is a look as well. Nor if somebody else at work does so all the time: then the events are his,
// and this M does not sleep in the poller either, where each of them would wake it to compete for the CPU. Should he
// stop looking, sysmon notices (serve_poll).
bool should_look(M* mp) {
    mp->others_poll = false;
    if (busy_others() <= 0) return false;
    const M* by = sched.polled_by.load(std::memory_order_relaxed);
    if (!by || by == mp || !sched.poll_waiters.load(std::memory_order_relaxed)) return true;
    mp->others_poll = rt::now() - sched.polled_when.load(std::memory_order_relaxed) < kPollRecent;
    return !mp->others_poll;
}

void begin_batch(P* pp) {
    if (sched.nprocs.load(std::memory_order_relaxed) < 2) return;
    pp->batch_start.store(rt::now(), std::memory_order_relaxed);
    pp->batch_picks = pp->picks();
}

void end_batch(P* pp) {
    const int64_t start = pp->batch_start.load(std::memory_order_relaxed);
    if (!start) return;
    if (const auto n = static_cast<int64_t>(pp->picks() - pp->batch_picks); n > 0)
        pp->batch_each.store((rt::now() - start) / n, std::memory_order_relaxed);
    pp->batch_start.store(0, std::memory_order_relaxed);
}

// Some other P has work queued or somebody may put it there soon.
bool worth_spinning() {
    if (sched.ncpu < 2) return false;
    const int busy = busy_others();
    return busy > 0 && sched.spinning.load(std::memory_order_relaxed) * 2 < busy + 1;
}

}  // namespace

void take_half(P* pp, GList* to, uint32_t most, bool or_next) {
    for (uint32_t n = pp->runq.size() - pp->runq.size() / 2; n > 0 && to->count < most; --n)
        to->push(pp->remove_oldest());
    for (uint32_t n = pp->fresh.size() - pp->fresh.size() / 2; n > 0 && to->count < most; --n)
        to->push(pp->fresh.pop_oldest());
    if (to->head || !or_next) return;
    if (G* gp = pp->runnext.load(std::memory_order_relaxed)) {
        pp->runnext.store(nullptr, std::memory_order_relaxed);
        to->push(gp);
    }
}

void answer_steal(P* pp) {
    if (pp->attention.fetch_and(~kAskSteal, std::memory_order_acquire) & kAskSteal) give_half(pp);
}

bool nothing_around(P* pp) {
    if (sched.runq_size.load(std::memory_order_relaxed)) return false;
    const int64_t when = pp->timers.next_when.load(std::memory_order_relaxed);
    if (when != kForever && when <= rt::now()) return false;
    begin_round(pp);
    return true;
}

uint32_t steal_from(M* mp, P* victim) {
    M* holder;
    P* pp = p_of(mp);
    pp->steal_tries.store(pp->steal_tries.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    if (take(victim, &holder, kAskSteal) != Taken::kYes) return 0;
    GList list;
    take_half(victim, &list, kStealMost, true);
    give_back(holder);
    const uint32_t n = list.count;
    while (G* gp = list.pop()) pp->put_aside(gp);
    pp->steals.store(pp->steals.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    return n;
}

// When the run ends nothing is queued any more: what would be is abandoned.
void put_global(G* gp) {
    kernel::LockGuard guard(sched.lock);
    if (running()) put_global_locked(gp);
}

void put_global_locked(G* gp) {
    sched.runq.push(gp);
    sched.runq_size.store(sched.runq.count, std::memory_order_relaxed);
    wake_one_locked();
}

void put_global_list(GList* list, bool in_hand) {
    kernel::LockGuard guard(sched.lock);
    if (in_hand) sched.in_hand.store(false, std::memory_order_relaxed);
    if (!running()) return;
    while (G* gp = list->pop()) sched.runq.push(gp);
    sched.runq_size.store(sched.runq.count, std::memory_order_relaxed);
    wake_one_locked();
}

namespace {

// Before an M goes idle. A scout that had luck asks for the next poke when its work is done, and looks once more for
// what was left before that could be seen; else sysmon is to look. True: look again.
bool scout_again(M* mp) {
    switch (mp->scout) {
    case Scout::kNo: return false;
    case Scout::kLooks: sysmon_nudge(); break;
    case Scout::kFound:
        sched.poke_wanted.store(1, std::memory_order_relaxed);
        kernel::heavy_barrier(kernel::Count::kBarrierArm);
        break;
    }
    const bool again = mp->scout == Scout::kFound;
    mp->scout = Scout::kNo;
    return again;
}

// A short time in which somebody may come up with something.
G* spin(M* mp, P* pp) {
    const Loot loot(pp);
    if (mp->scout == Scout::kLooks)
        if (G* gp = loot.take_poked(mp, pp)) return gp;
    sched.spinning.fetch_add(1, std::memory_order_relaxed);
    G* gp = nullptr;
    const int64_t end = rt::now() + kSpin;
    for (int i = 0; i < kSpinsMost && !gp && rt::now() < end; ++i) {
        for (int j = 0; j < kSpinPauses; ++j) arch::pause();
        if (sched.runq_size.load(std::memory_order_relaxed)) gp = take_global(pp);
        if (!running() || pp->attention.load(std::memory_order_relaxed)) break;
    }
    sched.spinning.fetch_sub(1, std::memory_order_relaxed);
    return gp ? gp : loot.take(mp, pp);
}

}  // namespace

// Something to run, or null when the M must look at itself again: no P, or the run ends.
G* find_runnable(M* mp) {
    for (;;) {
        P* pp = p_of(mp);
        if (!pp || !running() || (pp->attention.load(std::memory_order_relaxed) & kAskRelease))
            return nullptr;
        if (pp->until_look() <= 0 || pp->attention.load(std::memory_order_relaxed))
            if (G* gp = look_around(pp)) return gp;
        if (G* gp = pick_next(pp)) return gp;
        if (G* gp = take_global(pp)) return gp;
        end_batch(pp);
        if (poll_take(pp, should_look(mp))) {
            begin_batch(pp);
            continue;
        }
        if (run_timers()) continue;
        if (worth_spinning()) {
            if (G* gp = spin(mp, pp)) return gp;
            if (sched.runq_size.load(std::memory_order_relaxed)) continue;
        }
        if (scout_again(mp)) continue;
        if (!go_idle(mp) || mp->next_g) return nullptr;
    }
}

// An M's life. Returns when its thread is to end: the run is over, or its locked goroutine ended.
void schedule_loop(M* mp) {
    for (;;) {
        if (G* left = mp->left_g) {  // before the commit publishes it
            mp->left_g = nullptr;
            if (left->flags & kGCanary) check_canary(left);
            left->flags &= static_cast<uint16_t>(~kGOnM0);
            if (left->flags & kGLocked) {
                mp->locked_sp = left->ctx.sp;
                left->ctx.sp = nullptr;
            }
        }
        run_commit(mp);
        mp->curg = nullptr;
        if (mp->dying || sched.epoch.load(std::memory_order_relaxed) != mp->epoch || !running()) return;
        P* pp = p_of(mp);
        if (!pp) {
            stop_m(mp);
            continue;
        }
        G* gp = mp->next_g;
        mp->next_g = nullptr;
        // acquire: which Ps are retired, for the one who inherits
        if (pp->attention.load(std::memory_order_acquire) & kAskRelease) {
            if (gp) pp->runq.push(gp);
            retire_p(mp);
            continue;
        }
        if (mp->locked_g && gp != mp->locked_g) {  // its goroutine waits: others go on with the P
            hand_off_and_wait(mp, gp);
            continue;
        }
        if (!gp) gp = find_runnable(mp);
        if (!gp) continue;
        if (mp->scout == Scout::kLooks) mp->scout = Scout::kFound;
        if (p_of(mp)->queued() && sched.poke_wanted.load(std::memory_order_relaxed) &&
            !p_of(mp)->in_brief_batch(rt::now()))
            poke_from_g0();
        if ((gp->flags & kGLocked) && gp->locked_m != mp) {
            run_locked(mp, gp);
            continue;
        }
        if (mp->is_m0 && gp != sched.main_g) {  // M0 runs nothing else: it must be free to return from run()
            hand_off_and_wait(mp, gp);
            continue;
        }
        execute(mp, gp);
    }
}

void execute(M* mp, G* gp) {
    if (!gp->stack) give_stack(mp, gp);
    mp->curg = gp;
    if (gp->flags & kGLocked) gp->ctx.sp = mp->locked_sp;
    if (mp->is_m0) gp->flags |= kGOnM0;
    mp->left_from = nullptr;
    arch::switch_context(&mp->g0, &gp->ctx, nullptr);  // back on the same thread, so on the same M
}

M* switch_to_g0(M* mp, G* gp, G* next) {
    EhGlobals* eh = mp->eh;
    const EhGlobals saved = *eh;
    eh->caught = nullptr;
    eh->uncaught = 0;
    mp->next_g = next;
    mp->left_g = gp;
    arch::switch_context(&gp->ctx, &mp->g0, nullptr);
    mp = self();
    run_commit(mp);
    *mp->eh = saved;
    return mp;
}

}  // namespace gort::rt
