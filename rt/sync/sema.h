// rt/sync/sema.h - who waits for which address: the wait queues of everything in rt/sync.
// SPDX-License-Identifier: BSD-2-Clause
//
// A table of slots, found by hashing the object's address. Each has a lock and a list of queues, one for each
// address that somebody waits for: the first waiter of a queue, its root, stands for it. Objects hold a word or two
// and no queue, so they may be destroyed as soon as nobody uses them, and what is left of a run is unlinked without
// looking at them.
//
// Invariants: (1) under the slot's lock: one root for each address that has waiters, and only those; last, woken,
//             starving, counted mean something in a root only. (2) g_sema_wanted[slot] is the number of counted
//             roots; a mutex's root is counted iff it is starving or nobody woken from its queue is still on his
//             way; no others are.
//             (3) G::waiting is the waiter's Sudog from before it is linked until it is back.
// Lock:     the slot's, rank kSema, in the gate. A waiter's park releases it. Nothing is readied and no user code runs
//           under it.
// Context:  [G or foreign thread, inside the gate].
// Cost:     a slot holds 1/4096 of the addresses waited for; each operation is O(1) plus the walk over those.
#pragma once

#include "rt/own/owned_lock.h"
#include "rt/own/sudog.h"
#include "rt/sched/park.h"
#include "rt/sync/sema_fast.h"

namespace gort::rt {

struct Waiter {
    Sudog sg;  // next and prev: of the queue; object: the address; payload.word: what the waker says
    Waiter* next_root;
    Waiter* last;
    int64_t since = 0;  // when it came
    bool woken;         // somebody who was woken is on his way: no need to wake another one
    bool starving;      // rt/sync/mutex.cc
    bool counted;
    uint8_t kind = 0;  // rt/sync/cond.cc

    // What is not set here is set by the push.
    Waiter(G* gp, const void* object) {
        sg.g = gp;
        sg.object = const_cast<void*>(object);
        sg.payload.word = 0;
        sg.also = nullptr;
        sg.select = false;
    }
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;
    Waiter* next() const { return reinterpret_cast<Waiter*>(sg.next); }
};
static_assert(offsetof(Waiter, sg) == 0);

struct SemaSlot {
    OwnedLock lock{kernel::LockRank::kSema};
    Waiter* roots = nullptr;

    // All under the lock.
    Waiter* find(const void* object) const {
        Waiter* w = roots;
        while (w && w->sg.object != object) w = w->next_root;
        return w;
    }
    void push_back(Waiter* w) {
        if (roots) return push_back_slow(w);
        push_alone(w);
    }
    void push_front(Waiter* w);
    void remove(Waiter* w);  // from anywhere; it may be read and written to afterwards, until it is readied
    Waiter* pop(const void* object) {
        Waiter* root = find(object);
        if (!root) return nullptr;
        if (root != roots || root->sg.next || root->counted) remove(root);
        else {
            roots = root->next_root;
            root->sg.state = SudogState::kDone;
        }
        return root;
    }
    // The waiter for object, if it is the only one in this slot; else null, and nothing done.
    [[gnu::always_inline]] G* pop_only(const void* object) {
        Waiter* w = roots;
        if (!w || w->sg.object != object || w->next_root || w->sg.next || w->counted) [[unlikely]]
            return nullptr;
        roots = nullptr;
        w->sg.state = SudogState::kDone;
        return w->sg.g;
    }
    void count(Waiter* root);  // a mutex's, after woken or starving changed: invariant (2)

private:
    // The first for its address.
    void push_alone(Waiter* w) {
        w->sg.next = w->sg.prev = nullptr;
        w->sg.state = SudogState::kWaiting;
        w->last = w;
        w->woken = w->starving = w->counted = false;
        w->next_root = roots;
        roots = w;
    }
    [[gnu::noinline]] void push_back_slow(Waiter* w);
    Waiter** link_of(const Waiter* root);
};
extern SemaSlot g_sema[detail::kSemaSlots];

inline SemaSlot& sema_slot_of(const void* object) { return g_sema[detail::sema_slot(object)]; }

// w is linked and the slot locked: sleeps until somebody has taken it out and readied it. Returns the M it wakes on.
[[gnu::always_inline]] inline M* sema_park(M* mp, SemaSlot& slot, Waiter* w, WaitReason why) {
    w->sg.g->waiting = &w->sg;
    mp = park_here(mp, slot.lock.commit(), &slot.lock, why);
    w->sg.g->waiting = nullptr;
    return mp;
}

// [the run has ended] gp's Waiter comes out: the one it sleeps with, and the one that it left in G::param when it had
// queued but did not sleep yet. False if it waits for something else.
bool sema_abandon(G* gp);
// [inside the gate] gp, which waits, comes out; false: somebody has taken it out, and is about to ready it.
bool sema_give_up(G* gp);

// Takes all waiters for object out; to be readied with sema_ready_all after the slot is unlocked.
Waiter* sema_take_all(SemaSlot& slot, const void* object);
void sema_ready_all(M* mp, Waiter* list);

}  // namespace gort::rt

namespace gort::detail {

// rt/sync/mutex.cc: wakes the head of a mutex's queue, as an unlock does. [inside the gate]
void mutex_wake_inside(rt::M* mp, const void* state);

}  // namespace gort::detail
