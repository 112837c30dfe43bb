// rt/sched/late.cc - sysmon's eye on what is late by the clock: due timers, the global queue, the oldest of a P's
// queue.
// SPDX-License-Identifier: BSD-2-Clause
//
// A P looks for all of these every so many decisions (kGlobalEvery), which is soon where decisions take a microsecond
// and late where they take milliseconds. So sysmon looks at the clock and asks through `attention`: the P does at its
// next decision what it would do after those many. One that decides nothing loses its P after a time slice, and whoever
// gets the P finds the request.
// A P that is asked for its timers and does not answer until the next look computes: then all are asked, since anybody
// may run anybody's timers.
#include "rt/sched/sched.h"
#include "rt/time/clock.h"

namespace gort::rt {

namespace {

constexpr int64_t kTimerLate = 200'000;  // a P that decides often is sooner by itself
constexpr int64_t kTimersLook =
    1'000'000;  // while one is late: the slice that it waits for is not to be missed
constexpr int64_t kWaitsLong = 5'000'000;    // in the global queue
constexpr int64_t kOldestLong = 10'000'000;  // in a P's queue: a time slice

std::atomic<bool> some_timer_late{false};

// True if it was not asked already.
bool ask(P* pp, uint32_t what) {
    if (pp->attention.load(std::memory_order_relaxed) & what) return false;
    return !(pp->attention.fetch_or(what, std::memory_order_release) & what);
}

bool ask_all(uint32_t what) {
    bool any = false;
    for (int i = 0, n = sched.nallp.load(std::memory_order_acquire); i < n; ++i)
        if (P* pp = sched.allp[i]; pp->m.load(std::memory_order_relaxed)) any |= ask(pp, what);
    return any;
}

bool timers_late(int64_t now) {
    bool any = false, late = false;
    for (int i = 0, n = sched.nallp.load(std::memory_order_acquire); i < n; ++i) {
        P* pp = sched.allp[i];
        const int64_t when = pp->timers.next_when.load(std::memory_order_relaxed);
        if (deadline_after(when, kTimerLate) > now) continue;
        late = true;
        any |= pp->m.load(std::memory_order_relaxed) && ask(pp, kAskTimers) ? true : ask_all(kAskTimers);
    }
    some_timer_late.store(late, std::memory_order_relaxed);
    return any;
}

bool global_late(int64_t now) {
    static int64_t since;  // it has not been seen empty
    if (!sched.runq_size.load(std::memory_order_relaxed)) {
        since = now;
        return false;
    }
    if (now - since < kWaitsLong) return false;
    since = now;
    return ask_all(kAskRound);
}

bool oldest_late(P* pp, int64_t now) {
    if (now - pp->round_when < kOldestLong) return false;
    const bool waits = pp->m.load(std::memory_order_relaxed) && pp->round_when &&
                       (static_cast<int32_t>(pp->runq.head() - pp->round_tail) < 0 ||
                        (pp->round_public && !pp->open_to_all.empty()) ||
                        (!pp->fresh.empty() && pp->fresh.oldest_group() == pp->round_group));
    pp->round_when = now;
    pp->round_tail = pp->runq.tail();
    pp->round_public = !pp->open_to_all.empty();
    pp->round_group = pp->fresh.empty() ? UINT32_MAX : pp->fresh.oldest_group();
    return waits && ask(pp, kAskRound);
}

}  // namespace

int64_t longest_watch_sleep() {
    return some_timer_late.load(std::memory_order_relaxed) ? kTimersLook : INT64_MAX;
}

bool ask_for_what_is_late(int64_t now) {
    bool acted = timers_late(now);
    acted |= global_late(now);
    for (int i = 0, n = sched.nallp.load(std::memory_order_acquire); i < n; ++i)
        oldest_late(sched.allp[i], now);
    return acted;
}

}  // namespace gort::rt
