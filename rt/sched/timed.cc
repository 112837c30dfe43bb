// rt/sched/timed.cc - park_until: the timer's side, the waiter's, and a foreign thread's sleep.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/sched/timed.h"

#include "rt/sync/sema.h"
#include "rt/time/clock.h"

namespace gort::rt {

namespace {

void time_out(Timer* t, int64_t, uint64_t) {
    auto* w = static_cast<TimedWait*>(t->arg);
    M* mp = self();
    G* gp = w->gp;
    const bool gave_up = w->give_up(mp, w);
    if (gave_up) w->timed_out = true;
    const bool awaited =
        w->state.exchange(TimedWait::kOver, std::memory_order_acq_rel) == TimedWait::kAwaited;
    if (gave_up || awaited) ready(mp, gp);
}

// [the stack of the goroutine that comes next] What w points to may be gone once the commit has unlocked.
void start_and_commit(void* arg, G* gp) {
    auto* w = static_cast<TimedWait*>(arg);
    const CommitFn commit = w->commit;
    void* const commit_arg = w->commit_arg;
    M* mp = self();
    const bool earliest = timer_start(timers_of(mp), &w->timer);
    if (commit) commit(commit_arg, gp);
    if (earliest) timer_hurry(mp);
}

void await(void* arg, G* gp) {
    uint32_t set = TimedWait::kSet;
    auto* w = static_cast<TimedWait*>(arg);
    if (!w->state.compare_exchange_strong(set, TimedWait::kAwaited, std::memory_order_acq_rel))
        ready(self(), gp);
}

[[gnu::noinline]] M* park_foreign_until(M* mp, TimedWait& w, WaitReason why) {
    G* gp = &mp->pseudo;
    gp->wait_reason = why;
    gp->status.set(GStatus::kWaiting);
    mp->note.clear();
    w.gp = gp;
    if (w.commit) w.commit(w.commit_arg, gp);
    leave(mp);
    const int64_t left = w.deadline - now();
    if (mp->note.timed_sleep(left > 0 ? left : 0)) return enter();
    mp = enter();
    if (w.give_up(mp, &w)) {
        gp->status.set(GStatus::kRunnable);
        w.timed_out = true;
        return mp;
    }
    leave(mp);
    mp->note.sleep();
    return enter();
}

}  // namespace

M* park_until(M* mp, TimedWait& w, WaitReason why) {
    if (mp->foreign) [[unlikely]]
        return park_foreign_until(mp, w, why);
    w.gp = mp->curg;
    w.timer.when = w.deadline;
    w.timer.fn = time_out;
    w.timer.arg = &w;
    mp = park_goroutine(mp, w.gp, start_and_commit, &w, why);
    if (!timer_stop(&w.timer) && w.state.load(std::memory_order_acquire) != TimedWait::kOver)
        mp = park(mp, await, &w, why);
    return mp;
}

M* sema_park_until(M* mp, SemaSlot& slot, Waiter* w, WaitReason why, int64_t deadline, bool* late,
                   bool (*give_up)(M* mp, TimedWait* w), void* object) {
    TimedWait t{.deadline = deadline,
                .give_up = give_up ? give_up : [](M*, TimedWait* timed) { return sema_give_up(timed->gp); },
                .object = object,
                .commit = OwnedLock::unlock_commit,
                .commit_arg = &slot.lock};
    w->sg.g->waiting = &w->sg;
    mp = park_until(mp, t, why);
    w->sg.g->waiting = nullptr;
    *late = t.timed_out;
    return mp;
}

}  // namespace gort::rt
