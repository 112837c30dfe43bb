// rt/time/timers.cc - who may touch the wheel when: the lock, the home of a timer, and the calls of fn.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/time/timers.h"

#include "kernel/fatal.h"
#include "rt/time/wheel.h"

namespace gort::rt {

namespace {

constexpr uint32_t kBatch = 16;  // timers taken off under one lock

void add_count(Timers* ts, uint32_t n) {
    ts->count.store(ts->count.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

// Not a locked add: who compares seq serializes the callers of stop and reset.
void new_seq(Timer* t) {
    t->seq.store(t->seq.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

int64_t update_next(Timers* ts) {
    const int64_t next = ts->wheel ? wheel_next(ts->wheel) : kForever;
    if (next != ts->next_when.load(std::memory_order_relaxed))
        ts->next_when.store(next, std::memory_order_relaxed);
    return next;
}

[[gnu::noinline]] void make_wheel(Timers* ts) {
    int error = 0;
    ts->wheel = wheel_new(0, &error);
    if (!ts->wheel) kernel::fatal_errno("no memory for timers", error);
}

// True if it is the earliest now.
bool insert(Timers* ts, Timer* t) {
    if (!ts->wheel) [[unlikely]]
        make_wheel(ts);
    if (t->when < 0) t->when = 0;
    wheel_insert(ts->wheel, t);
    add_count(ts, 1);
    if (t->when >= ts->next_when.load(std::memory_order_relaxed)) return false;
    ts->next_when.store(t->when, std::memory_order_relaxed);
    return true;
}

void remove(Timers* ts, Timer* t) {
    wheel_remove(ts->wheel, t);
    ts->wheel = wheel_trim(ts->wheel);
    add_count(ts, UINT32_MAX);
    if (t->when <= ts->next_when.load(std::memory_order_relaxed)) update_next(ts);
}

// The heap of a pending timer, locked; null if it is idle. (The analysis cannot follow a lock that a result tells of.)
Timers* lock_home(Timer* t) GORT_NO_TSA {
    for (;;) {
        Timers* ts = t->home.load(std::memory_order_acquire);  // I1
        if (!ts) return nullptr;
        ts->lock.lock();
        if (t->home.load(std::memory_order_relaxed) == ts) return ts;
        ts->lock.unlock();
    }
}

}  // namespace

int64_t next_multiple(int64_t when, int64_t period, int64_t now) {
    const int64_t first = deadline_after(when, period);
    if (first > now) return first;
    return deadline_after(when, ((now - when) / period + 1) * period);
}

bool timer_start(Timers* home, Timer* t) {
    InsideLockGuard guard(home->lock);
    t->home.store(home, std::memory_order_release);  // I1
    new_seq(t);
    return insert(home, t);
}

bool timer_stop(Timer* t) GORT_NO_TSA {
    Timers* ts = lock_home(t);
    new_seq(t);
    if (!ts) return false;
    remove(ts, t);
    t->home.store(nullptr, std::memory_order_release);  // I1
    ts->lock.unlock();
    return true;
}

bool timer_reset(Timers* home, Timer* t, int64_t when, int64_t period, bool* earliest) GORT_NO_TSA {
    Timers* ts;
    bool was_pending = false;
    for (;;) {
        ts = lock_home(t);
        if (ts) {
            remove(ts, t);
            was_pending = true;
            break;
        }
        home->lock.lock();
        Timers* idle = nullptr;  // several may reset it at once, each with another heap in mind
        if (t->home.compare_exchange_strong(idle, home, std::memory_order_acq_rel)) {  // I1
            ts = home;
            break;
        }
        home->lock.unlock();
    }
    new_seq(t);
    t->when = when;
    t->period = period;
    const bool first = insert(ts, t);
    ts->lock.unlock();
    if (earliest) *earliest = first;
    return was_pending;
}

int64_t timers_run(Timers* ts, int64_t now) {
    if (now == kForever) --now;  // what never fires does not fire at the end of time either
    int64_t next = ts->next_when.load(std::memory_order_relaxed);
    while (next <= now) {
        struct {
            Timer* timer;
            TimerFn fn;
            uint64_t seq;
        } due[kBatch];
        uint32_t n = 0;
        ts->lock.lock();
        while (n < kBatch && ts->wheel) {
            bool more;
            Timer* t = wheel_take(ts->wheel, now, &more);
            if (!t) break;
            due[n++] = {t, t->fn, t->seq.load(std::memory_order_relaxed)};
            if (t->period > 0) {
                t->when = next_multiple(t->when, t->period, now);
                wheel_insert(ts->wheel, t);
            } else {
                add_count(ts, UINT32_MAX);  // first: who finds it idle does not find it counted
                t->home.store(nullptr, std::memory_order_release);  // I1
            }
        }
        if (ts->wheel) ts->wheel = wheel_trim(ts->wheel);  // none: another run, or a move, was first
        next = update_next(ts);
        ts->lock.unlock();
        for (uint32_t i = 0; i < n; ++i) due[i].fn(due[i].timer, now, due[i].seq);
        next = ts->next_when.load(std::memory_order_relaxed);
    }
    return next;
}

bool timers_move(Timers* from, Timers* to) {
    GORT_DCHECK(from != to);
    Timers* first = from < to ? from : to;
    Timers* second = from < to ? to : from;
    InsideLockGuard guard_first(first->lock);
    InsideLockGuard guard_second(second->lock);
    if (!from->wheel) return false;
    bool earliest = false;
    for (bool more = true; more;) {
        while (Timer* t = wheel_take(from->wheel, kForever, &more)) {
            t->home.store(to, std::memory_order_release);  // I1
            earliest |= insert(to, t);
        }
    }
    wheel_delete(from->wheel);
    from->wheel = nullptr;
    from->count.store(0, std::memory_order_relaxed);
    from->next_when.store(kForever, std::memory_order_relaxed);
    return earliest;
}

bool timers_any(const Timers* ts, bool (*f)(const Timer*, void*), void* arg) {
    return ts->wheel && wheel_any(ts->wheel, f, arg);
}

void timers_clear(Timers* ts) {
    if (ts->wheel) wheel_delete(ts->wheel);
    ts->wheel = nullptr;
    ts->count.store(0, std::memory_order_relaxed);
    ts->next_when.store(kForever, std::memory_order_relaxed);
}

void timers_abandon(Timers* ts) {
    InsideLockGuard guard(ts->lock);
    if (!ts->wheel) return;
    for (bool more = true; more;)
        // I1
        while (Timer* t = wheel_take(ts->wheel, kForever, &more))
            t->home.store(nullptr, std::memory_order_release);
    timers_clear(ts);
}

}  // namespace gort::rt
