// rt/sched/schedule.cc - an M on its own stack: what to run next when the P's queue does not say, going idle.
// SPDX-License-Identifier: BSD-2-Clause
//
// Order of looking: own runnext, fresh ones and queue (every 61st time the global queue first) - global queue -
// descriptors - timers of all Ps - other Ps (rt/sched/look.cc) - idle. An M that goes idle gives its P up under
// sched.lock after a last look at the global queue under the same lock, so what comes there later finds the idle P
// and wakes an M for it.
#include "rt/own/gate.h"
#include "rt/sched/delays.h"
#include "rt/sched/look.h"
#include "rt/sched/sched.h"
#include "rt/sched/trim.h"
#include "rt/time/clock.h"

namespace gort::rt {

constinit Sched sched;

namespace {

constexpr uint32_t kGlobalBatch = 128;
constexpr uint32_t kOldestEvery = 16;   // rounds; seldom enough for trees to stay depth first
constexpr uint32_t kMeasureEvery = 16;  // rounds from one measurement of the grain to the next
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

bool run_own_timers(P* pp) {
    const int64_t when = pp->timers.next_when.load(std::memory_order_relaxed);
    if (when == INT64_MAX) return false;
    const int64_t now = rt::now();
    if (when > now) return false;
    timers_run(&pp->timers, now);
    return true;
}

// How long kMeasureEvery rounds took, for each decision.
void measure_grain(P* pp) {
    if (sched.nprocs.load(std::memory_order_relaxed) < 2) return;
    const int64_t now = kernel::nanotime();
    const uint64_t picks = pp->picks();
    if (const uint64_t made = picks - pp->measured_picks;
        made - 1 < uint64_t{10} * kMeasureEvery * kGlobalEvery)
        pp->sharing.grain.store((now - pp->measured) / static_cast<int64_t>(made), std::memory_order_relaxed);
    pp->measured = now;
    pp->measured_picks = picks;
}

// Also sees to it that nobody starves the queue: not a stream of fresh goroutines, and not two that hand a value to
// and fro through runnext. What waits behind them runs next.
// late: by the clock, not by the count.
void begin_round(P* pp, bool late = false) {
    pp->set_until_look(kGlobalEvery);
    const uint32_t round = pp->rounds.load(std::memory_order_relaxed) + 1;
    pp->rounds.store(round, std::memory_order_relaxed);
    if (round % kMeasureEvery == 0) measure_grain(pp);
    if (!pp->open_to_all.empty()) take_back(pp);  // nobody came for it
    if (!late && !pp->fresh.empty() && pp->runnext.load(std::memory_order_relaxed)) return;
    G* gp = round % (late ? 2 : kOldestEvery) ? nullptr : pp->fresh.pop_oldest();
    if (late && !gp && pp->runq.empty()) gp = pp->fresh.pop_oldest();
    if (!gp) gp = pp->remove_oldest();
    if (gp) pp->put_next(gp);
}

// A round by the clock, which may come with every decision: the global queue and the P's own take turns, else those who
// lose their P and come back by the global queue would always be before those who wait here.
G* take_late(P* pp) {
    const bool own_turn = pp->global_went && pp->global_head == pp->runq.head();
    G* gp = own_turn ? nullptr : take_global(pp);
    pp->global_went = gp != nullptr;
    pp->global_head = pp->runq.head();
    if (gp) pp->set_until_look(kGlobalEvery);
    else begin_round(pp, true);
    return gp;
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
        if (asked & kAskAnswer) answer(pp);
        if (asked & kAskTakeBack) end_offer(pp);
        if (asked & kAskGather) gather(pp);
        if (asked & kAskStacks) give_stacks_back(pp);
        if (asked & kAskShare) share(pp);
        if (asked & kAskPoll) poll_take(pp, true);
        // Whom a late timer wakes goes first; the round is for the next decision.
        if ((asked & kAskTimers) && run_timers() && (asked & kAskRound)) {
            pp->attention.fetch_or(kAskRound, std::memory_order_relaxed);
            return nullptr;
        }
    }
    const bool timers = run_own_timers(pp);
    const bool late = asked & kAskRound;
    if (!late && pp->until_look() > 0) return nullptr;
    // Whom a round puts first sends whom a timer has woken to the tail of the queue: let that one decision pass.
    if (timers && !late && pp->until_look() == 0 && pp->runnext.load(std::memory_order_relaxed))
        return nullptr;
    if (late) return take_late(pp);
    begin_round(pp);
    return take_global(pp);
}

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

}  // namespace

void take_half(P* pp, GList* to, uint32_t most, bool those_that_ran) {
    if (those_that_ran)
        for (uint32_t n = (pp->runq.size() + 1) / 2; n > 0 && to->count < most; --n)
            to->push(pp->remove_oldest());
    const uint32_t half = (pp->fresh.size() + 1) / 2, left = most - to->count;
    FreshChain chain = pp->fresh.cut_oldest(half < left ? half : left);
    if (!chain.count) return;
    chain.first->flags |= kGChain;
    chain.first->wake = chain.last;
    chain.first->seq = chain.count;
    (to->tail ? to->tail->next : to->head) = chain.first;
    to->tail = chain.last;
    to->count += chain.count;
}

bool nothing_around(P* pp) {
    if (sched.runq_size.load(std::memory_order_relaxed)) return false;
    const int64_t when = pp->timers.next_when.load(std::memory_order_relaxed);
    if (when != kForever && when <= rt::now()) return false;
    // Now and then a decision goes over g0 although there is nothing to see, for a sample: rt/sched/delays.h
    if ((pp->rounds.load(std::memory_order_relaxed) & 31) == 0 && !pp->sample_due) {
        pp->sample_due = true;
        return false;
    }
    begin_round(pp);
    return true;
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

void put_global_list(GList* list) {
    kernel::LockGuard guard(sched.lock);
    if (!running()) return;
    while (G* gp = list->pop()) sched.runq.push(gp);
    sched.runq_size.store(sched.runq.count, std::memory_order_relaxed);
    wake_one_locked();
}

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
        if (take_back(pp)) continue;
        if (poll_take(pp, should_look(mp))) continue;
        if (run_timers()) continue;
        if (G* gp = look(mp)) return gp;
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
        p_of(mp)->sent_to_look = false;  // it has found work otherwise
        if (p_of(mp)->idle_since.load(std::memory_order_relaxed)) p_of(mp)->end_idle(kernel::nanotime());
        if (p_of(mp)->wanted.load(std::memory_order_relaxed) && p_of(mp)->queued()) left_behind(mp);
        if ((gp->flags & kGLocked) && gp->locked_m != mp) {
            run_locked(mp, gp);
            continue;
        }
        if (mp->is_m0 && gp != sched.main_g.load(std::memory_order_relaxed)) {
            // M0 runs nothing else, because it must be free to return from run().
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
    void* sp = handle_of(gp);
    if (!sp) [[unlikely]]
        sp = take_from_trim(gp);
    if (mp->is_m0) gp->flags |= kGOnM0;
    mp->left_from = nullptr;
    arch::switch_context(&mp->g0, &gp->ctx, sp, nullptr);  // back on the same thread, so on the same M
}

M* switch_to_g0(M* mp, G* gp, G* next) {
    EhGlobals* eh = mp->eh;
    const EhGlobals saved = *eh;
    eh->caught = nullptr;
    eh->uncaught = 0;
    mp->next_g = next;
    mp->left_g = gp;
    const int64_t since = delays_sample(p_of(mp), gp) ? delays_park(p_of(mp), gp) : 0;
    arch::switch_context(&gp->ctx, &mp->g0, nullptr);
    mp = self();
    run_commit(mp);
    *mp->eh = saved;
    if (since) delays_note(gp, since);
    return mp;
}

}  // namespace gort::rt
