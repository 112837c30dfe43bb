// chan/time.cc - timers behind channels and functions: who holds what, and what a stop that comes late must do.
// SPDX-License-Identifier: BSD-2-Clause
//
// A TimeChan is the buffer of its channel, a ring of one word, and the timer that fills it. It never blocks and is
// never stale: fn fills the ring only if the setting that fired is still the present one, and stop and reset empty
// it, all under TimeChan::lock. The channel is shared for ever, because fn runs inside the gate and could not
// take it away from a P.
// Invariants: (1) refs = 1 while the channel has handles + the settings that are pending or whose fn is on its way.
//             (2) armed: the present setting has not fired, been stopped, or been made obsolete.
//             (3) the heap refers to the timer only while a setting holds a reference; so fn finds it alive.
// A run's end makes pending timers idle (timers_abandon). Who then finds a setting of another epoch that is not pending
// gives its reference back, because its fn will not come.
// Locks: TimeChan::lock, then the channel's, or the heap's. What is woken is readied under none.
// Cost:  locked instructions at P=2: after 6 (its handle included), stop 3; with one P the handle's and the channel's.
#include "chan/time.h"

#include "chan/hchan.h"
#include "rt/base/report.h"
#include "rt/base/sim_seam.h"
#include "rt/base/slab.h"
#include "rt/host.h"
#include "rt/time/clock.h"
#include "rt/time/timers.h"

namespace gort::detail {

using namespace rt;

namespace {

struct TimeChan {
    uint64_t slot = 0;  // the ring
    Timer timer;
    InsideLock lock{kernel::LockRank::kTime};
    std::atomic<uint32_t> refs{1};
    // --- under lock
    bool armed = false;
    int64_t period = 0;
    uint64_t epoch = 0;  // the run that the last setting belongs to
    Hchan* c = nullptr;  // null: the last handle is gone
};
Slab<TimeChan> slab;

static_assert(sizeof(Timer) <= sizeof(FuncTimer::timer) && alignof(Timer) <= alignof(FuncTimer));

void last_handle_gone(void* buffer) noexcept;
void no_move(void*, void*, const ElemOps*) noexcept {}
void no_destroy(void*) noexcept {}
constexpr ElemOps kTimeOps{sizeof(uint64_t), alignof(uint64_t), true,       true,
                           no_move,          no_move,           no_destroy, last_handle_gone};

TimeChan* time_of(Hchan* c) { return static_cast<TimeChan*>(buffer_of(c)); }
uint64_t epoch() { return sched.epoch.load(std::memory_order_relaxed); }

void release(TimeChan* tc) {
    if (tc->refs.load(std::memory_order_acquire) == 1 ||
        tc->refs.fetch_sub(1, std::memory_order_acq_rel) == 1)
        slab.free(tc);
}

[[noreturn]] void not_running(M* mp) {
    leave(mp);
    host_throw_panic("time: the runtime is not running (call gort::run or gort::start first)");
}
M* enter_running() {
    M* mp = enter();
    if (sched.state.load(std::memory_order_relaxed) == RunState::kStopped) [[unlikely]]
        not_running(mp);
    return mp;
}

// The value into the channel, or to who waits; that one is to be readied.
G* deliver(Hchan* c, int64_t now) {
    const Payload value{.word = static_cast<uint64_t>(now)};
    G* woken = nullptr;
    c->lock.mutex.lock();
    const size_t fill = c->fill.load(std::memory_order_relaxed);
    if (Sudog* sg = take_waiter(c->recvq)) {
        elem_across<true>(c, &sg->payload, value);
        sg->state = SudogState::kDone;
        woken = sg->g;
    } else if (fill == 0) {
        ring_put<true>(c, fill, value);
    }
    c->lock.mutex.unlock();
    return woken;
}

// True if there was a value that had not been received.
bool take_back(Hchan* c) {
    c->lock.mutex.lock();
    const size_t fill = c->fill.load(std::memory_order_relaxed);
    Payload value{.word = 0};
    if (fill) ring_take<true>(c, fill, &value);
    c->lock.mutex.unlock();
    return fill != 0;
}

void fire(Timer* t, int64_t now, uint64_t seq) {
    auto* tc = static_cast<TimeChan*>(t->arg);
    M* mp = self();
    G* woken = nullptr;
    bool again = false;
    tc->lock.lock();
    if (tc->armed && tc->c && seq == t->seq.load(std::memory_order_relaxed)) {
        woken = deliver(tc->c, now);
        again = tc->armed = tc->period > 0;
        if (again) {  // the reference goes on to the next setting
            t->when = next_multiple(t->when, tc->period, now);
            timer_start(timers_of(mp), t);
        }
    }
    tc->lock.unlock();
    if (!again) release(tc);
    if (woken) ready(mp, woken);
}

// [all Ps idle] For rt/sched/deadlock.cc.
bool wakes_nobody(const Timer* t) {
    if (t->fn != fire) return false;
    const Hchan* c = static_cast<const TimeChan*>(t->arg)->c;
    return !c || c->recvq.empty();
}

// Under the lock: the present setting is gone. True if there was one.
bool disarm(TimeChan* tc) {
    if (!tc->armed) return false;
    tc->armed = false;
    if (timer_stop(&tc->timer) || tc->epoch != epoch())
        tc->refs.fetch_sub(1, std::memory_order_relaxed);  // the caller has another one
    return true;
}

// Under the lock, and not armed.
bool arm(M* mp, TimeChan* tc, int64_t ns, int64_t period) {
    tc->armed = true;
    tc->period = period;
    tc->epoch = epoch();
    tc->refs.fetch_add(1, std::memory_order_relaxed);
    tc->timer.when = deadline_after(now(), ns);
    return timer_start(timers_of(mp), &tc->timer);
}

// [outside the gate] The channel is about to go.
void last_handle_gone(void* buffer) noexcept {
    auto* tc = static_cast<TimeChan*>(buffer);
    M* mp = enter();
    tc->lock.lock();
    tc->c = nullptr;
    disarm(tc);
    tc->lock.unlock();
    release(tc);
    leave(mp);
}

}  // namespace

Hchan* time_chan(int64_t ns, int64_t period) {
    M* mp = enter_running();
    TimeChan* tc = slab.alloc();
    if (!tc) kernel::fatal("out of memory for another timer");
    if (!sched.wakes_nobody.load(std::memory_order_relaxed)) [[unlikely]]
        sched.wakes_nobody.store(wakes_nobody, std::memory_order_release);
    Hchan* c = chan_new(&kTimeOps, 1, tc, true);
    if (simulation()) [[unlikely]]
        c->lock.owner.begin(static_cast<uint16_t>(place_of(mp)), ChanLock::kSimulated);
    tc->c = c;
    tc->timer.fn = fire;
    tc->timer.arg = tc;
    // No other thread knows it yet, so no lock is needed; fn takes the lock after the heap's has made all this visible.
    if (arm(mp, tc, ns, period)) timer_hurry(mp);
    leave(mp);
    return c;
}

bool time_chan_stop(Hchan* c) {
    if (chan_of_another_run(c)) [[unlikely]]
        fatal_error("stop of synctest timer from outside bubble");
    TimeChan* tc = time_of(c);
    M* mp = enter();
    tc->lock.lock();
    const bool was_armed = disarm(tc);
    const bool unreceived = take_back(c);
    tc->lock.unlock();
    leave(mp);
    return was_armed || unreceived;
}

bool time_chan_reset(Hchan* c, int64_t ns, int64_t period) {
    if (chan_of_another_run(c)) [[unlikely]]
        fatal_error("reset of synctest timer from outside bubble");
    TimeChan* tc = time_of(c);
    M* mp = enter_running();
    tc->lock.lock();
    const bool was_armed = disarm(tc);
    const bool unreceived = take_back(c);
    const bool earliest = arm(mp, tc, ns, period);
    tc->lock.unlock();
    if (earliest) timer_hurry(mp);
    leave(mp);
    return was_armed || unreceived;
}

void time_panic(const char* text) { host_throw_panic(text); }

// ---- functions ----
//
// No lock: a firing on its way counts as the function's start. Each setting has a reference, which a stop that was
// in time or the goroutine that runs the function gives back.

namespace {

Timer* timer_of(FuncTimer* t) { return reinterpret_cast<Timer*>(t->timer); }

// After a stop or reset that found nothing pending: the end of a run may have taken the setting, with its reference.
void release_forgotten(FuncTimer* t, uint64_t of, const char* in_another_run) {
    if (!of || of == epoch()) return;
    if (of & kSimEpoch) fatal_error(in_another_run);
    func_timer_release(t);  // not the last: the caller has a handle
}

void call(Timer* t, int64_t, uint64_t) {
    auto* ft = static_cast<FuncTimer*>(t->arg);
    ft->epoch.store(0, std::memory_order_relaxed);
    spawn_inside(self(), ft->invoke, ft, ft->site);
}

}  // namespace

void func_timer_start(FuncTimer* t, int64_t ns) {
    M* mp = enter_running();
    auto* timer = new (t->timer) Timer;
    timer->fn = call;
    timer->arg = t;
    timer->when = deadline_after(now(), ns);
    t->epoch.store(epoch(), std::memory_order_relaxed);
    t->refs.store(2, std::memory_order_relaxed);
    if (timer_start(timers_of(mp), timer)) timer_hurry(mp);
    leave(mp);
}

bool func_timer_stop(FuncTimer* t) {
    M* mp = enter();
    const bool was_pending = timer_stop(timer_of(t));
    const uint64_t of = t->epoch.load(std::memory_order_relaxed);
    if (of) t->epoch.store(0, std::memory_order_relaxed);
    leave(mp);
    if (was_pending) func_timer_release(t);  // not the last: the caller has a handle
    else release_forgotten(t, of, "stop of synctest timer from outside bubble");
    return was_pending;
}

bool func_timer_reset(FuncTimer* t, int64_t ns) {
    M* mp = enter_running();
    func_timer_retain(t);
    bool earliest = false;
    const uint64_t of = t->epoch.exchange(epoch(), std::memory_order_relaxed);
    const bool was_pending = timer_reset(timers_of(mp), timer_of(t), deadline_after(now(), ns), 0, &earliest);
    if (earliest) timer_hurry(mp);
    leave(mp);
    if (was_pending) func_timer_release(t);  // the former setting's
    else release_forgotten(t, of, "reset of synctest timer from outside bubble");
    return was_pending;
}

}  // namespace gort::detail
