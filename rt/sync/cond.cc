// rt/sync/cond.cc - the queue of a cond: first come first served, in the table of waiters.
// SPDX-License-Identifier: BSD-2-Clause
//
// A waiter queues before it gives its lock back, so a goroutine that takes the lock after that finds it. A
// gort::mutex is given back under the slot's lock, as that is one store; who waits for it is woken by the commit of
// the park. For other locks, and a mutex whose waiter starves, the slot is unlocked meanwhile, and a signal that
// comes then finds a waiter that does not sleep yet (Waiter::kind): it only takes it out of the queue.
// Locked instructions: wait 1 and the mutex's, signal 1; 0 with one P and no foreign thread.
//
// No TSA: a slot's lock is taken in one function and released in another one, often by the commit of a park, after a
// switch. Which of these a path takes follows from values, which the analysis does not look at.
#include "rt/sync/cond.h"

#include "rt/base/report.h"
#include "rt/base/sim_seam.h"
#include "rt/own/owner.h"
#include "rt/sched/timed.h"
#include "rt/sync/sema.h"
#include "rt/time/clock.h"

namespace gort::detail {

using namespace rt;

namespace {

// kWatched: asleep, in a simulation, which is told of those who look at the queue as well.
constexpr uint8_t kAsleep = 0, kAwake = 1, kWatched = 2;

// Which lock is given back for the wait, and how: as in CondState.
struct Guarding {
    void* lock;
    void (*lock_fn)(void*);
    void (*unlock_fn)(void*);
};

void add_waiters(CondWord* c, uint32_t n) {
    c->waiters.store(c->waiters.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

struct Leaving {
    SemaSlot* slot;
    void* mutex;
};

// [the stack of the goroutine that comes next]: once the slot is unlocked the waiter may be gone.
void left_with_mutex(void* arg, G*) GORT_NO_TSA {
    const Leaving l = *static_cast<Leaving*>(arg);
    l.slot->lock.unlock();
    mutex_wake_inside(self(), l.mutex);
}
void left(void* arg, G*) GORT_NO_TSA { static_cast<SemaSlot*>(arg)->lock.unlock(); }

void lock_again(const Guarding& by) {
    if (by.lock_fn) return by.lock_fn(by.lock);
    auto* word = static_cast<MutexWord*>(by.lock);
    if (!mutex_take_quick(word)) mutex_lock_slow(word, false);
}

// A foreign thread's wait was ended by stop(), unless a signal came first. The lock is held when the panic leaves wait.
[[gnu::cold, gnu::noinline]] void stopped(M* mp, SemaSlot& slot, CondWord* c, const Guarding& by,
                                          Waiter& w) GORT_NO_TSA {
    mp->gave_up = false;
    slot.lock.lock();
    const bool waits = w.sg.state == SudogState::kWaiting;
    if (waits) {
        slot.remove(&w);
        add_waiters(c, ~0u);
        mp->pseudo.status.set(GStatus::kRunning);  // now: it may wait for the lock
    }
    slot.lock.unlock();
    leave(mp);
    if (!waits) mp->note.sleep();
    lock_again(by);
    if (waits) panic_stopped(WaitReason::kCondWait);
}

// [inside the gate] A deadline has come: out of the queue, unless a signal was first.
bool give_up_wait(M*, TimedWait* t) GORT_NO_TSA {
    auto* c = static_cast<CondWord*>(t->object);
    auto* w = reinterpret_cast<Waiter*>(t->gp->waiting);
    SemaSlot& slot = sema_slot_of(c);
    slot.lock.lock();
    const bool waits = w->sg.state == SudogState::kWaiting;
    if (waits) {
        slot.remove(w);
        add_waiters(c, ~0u);
    }
    slot.lock.unlock();
    return waits;
}

// w is linked. False: the deadline has passed.
[[gnu::noinline]] bool wait_with_any(M* mp, SemaSlot& slot, CondWord* c, const Guarding& by, Waiter& w,
                                     int64_t deadline) GORT_NO_TSA {
    w.kind = kAwake;
    w.sg.g->param = &w;  // sema_abandon
    touches(c);
    slot.lock.unlock();
    leave(mp);
    if (by.unlock_fn) by.unlock_fn(by.lock);
    else mutex_unlock(static_cast<MutexWord*>(by.lock));
    mp = enter();
    slot.lock.lock();
    w.sg.g->param = nullptr;
    bool late = false;
    if (w.sg.state == SudogState::kWaiting) {
        w.kind = simulation() ? kWatched : kAsleep;
        if (deadline != kForever) {
            mp = sema_park_until(mp, slot, &w, WaitReason::kCondWait, deadline, &late, give_up_wait, c);
        } else {
            mp = sema_park(mp, slot, &w, WaitReason::kCondWait);
            if (mp->gave_up) [[unlikely]]
                return stopped(mp, slot, c, by, w), true;
        }
        leave(mp);
    } else {
        slot.lock.unlock();
        leave(mp);
    }
    lock_again(by);
    return !late;
}

[[noreturn]] void not_locked(M* mp) {
    leave(mp);
    fatal_error("sync: unlock of unlocked mutex");
}

[[gnu::always_inline]] inline bool wait(CondWord* c, const Guarding& by) GORT_NO_TSA {
    M* mp = enter();
    SemaSlot& slot = sema_slot_of(c);
    auto* word = static_cast<MutexWord*>(by.lock);
    if (!by.lock_fn && word->owner.mark.load(std::memory_order_relaxed) != 1) [[unlikely]]
        not_locked(mp);
    slot.lock.lock();
    Waiter w(mp->curg, c);
    slot.push_back(&w);
    add_waiters(c, 1);
    if (by.lock_fn || sema_wanted(word)) [[unlikely]]
        return wait_with_any(mp, slot, c, by, w, kForever);
    word->owner.mark.store(0, std::memory_order_release);
    light_fence();
    w.sg.g->waiting = &w.sg;
    mark_return(mp);
    if (sema_wanted(word)) [[unlikely]] {
        Leaving l{&slot, word};
        mp = park(mp, left_with_mutex, &l, WaitReason::kCondWait);
    } else {
        mp = park(mp, left, &slot, WaitReason::kCondWait);
    }
    w.sg.g->waiting = nullptr;
    if (mp->gave_up) [[unlikely]]
        return stopped(mp, slot, c, by, w), true;
    const uint16_t whose = word->owner.whose.load(std::memory_order_acquire);  // B1
    const bool taken =
        whose == place_of(mp) ? mutex_take_mine(word) : whose == kShared && mutex_take_shared(word);
    const bool in_step = returns_in_step(mp);
    leave(mp);
    if (!taken) mutex_lock_slow(word, false);
    return in_step ? true : arch::return_by_jump(true);
}

}  // namespace

bool cond_wait(CondState* c) { return wait(c, {c->lock, c->lock_fn, c->unlock_fn}); }
bool cond_wait_mutex(CondWord* c, MutexWord* mutex) { return wait(c, {mutex, nullptr, nullptr}); }

bool cond_wait_mutex_until(CondWord* c, MutexWord* mutex, int64_t deadline) GORT_NO_TSA {
    M* mp = enter();
    if (mutex->owner.mark.load(std::memory_order_relaxed) != 1) [[unlikely]]
        not_locked(mp);
    SemaSlot& slot = sema_slot_of(c);
    slot.lock.lock();
    Waiter w(mp->curg, c);
    slot.push_back(&w);
    add_waiters(c, 1);
    return wait_with_any(mp, slot, c, {mutex, nullptr, nullptr}, w, deadline);
}

void cond_signal(CondWord* c) GORT_NO_TSA {
    M* mp = enter();
    SemaSlot& slot = sema_slot_of(c);
    slot.lock.lock();
    Waiter* w = slot.pop(c);
    if (w) add_waiters(c, ~0u);
    G* gp = nullptr;
    if (w && w->kind == kAsleep) [[likely]] {
        gp = w->sg.g;
    } else {
        touches(c);
        if (w && w->kind == kWatched) gp = w->sg.g;
    }
    slot.lock.unlock();
    if (gp) ready(mp, gp);
    leave(mp);
}

void cond_broadcast(CondWord* c) GORT_NO_TSA {
    M* mp = enter();
    SemaSlot& slot = sema_slot_of(c);
    slot.lock.lock();
    Waiter* list = sema_take_all(slot, c);
    c->waiters.store(0, std::memory_order_relaxed);
    // Those that do not sleep yet go their way as soon as the slot is unlocked.
    Waiter** link = &list;
    Waiter* w = list;
    if (!w) touches(c);
    while (w) {
        Waiter* next = w->next();
        if (w->kind != kAsleep) [[unlikely]]
            touches(c);
        if (w->kind != kAwake) {
            *link = w;
            link = reinterpret_cast<Waiter**>(&w->sg.next);
        }
        w = next;
    }
    *link = nullptr;
    slot.lock.unlock();
    sema_ready_all(mp, list);
    leave(mp);
}

}  // namespace gort::detail
