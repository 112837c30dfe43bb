// chan/hchan.h - the untyped channel: a ring of elements and two queues of waiters.
// SPDX-License-Identifier: BSD-2-Clause
//
// Invariants, whenever the lock is free and the channel is open, but for waiters that another case has claimed:
//   (1) recvq and sendq are not both non-empty, unless one select waits in both.
//   (2) recvq non-empty implies len == 0; sendq non-empty implies len == cap.
//   (3) a closed channel has empty queues, and nothing enters them any more.
// A sender that finds a receiver waiting puts the element into the receiver's frame; a receiver that finds a sender
// waiting on a full buffer takes the head and moves the sender's element to the tail. Waiters are served first come
// first served.
//
// Lock: under it nothing is readied, nothing blocks, and of the user's code only the element's noexcept move runs (and
//       the destructor of what was moved from).
// Whoever may have handed an element over or unlocked does not touch the channel again: the other side may hold the
// last reference by then. Only the lock is looked at once more, so headers are never unmapped (chan/store.cc).
// Context:  [G or foreign thread, inside the gate] unless it says otherwise. fill and the heads of the queues may be
//           read by anybody, and are then a guess.
// Ordering: H1 fill is written with release, so that a look without the lock (try operations that fail, len) sees what
//           came before: what a closing side did is seen by whoever finds the channel closed.
//           R1 every release of a reference -> the last one: the element destructors see all uses.
#pragma once

#include "arch/arch.h"
#include "chan/lock.h"
#include "chan/ops.h"
#include "rt/base/solo.h"
#include "rt/own/sudog.h"
#include "rt/sched/park.h"

namespace gort::detail {

struct Hchan {
    // --- first line: all that an unbuffered channel uses
    ChanLock lock;
    rt::WaitQueue recvq;
    rt::WaitQueue sendq;
    std::atomic<size_t> fill{0};  // number of elements in the ring; with kClosed it is never less than cap
    size_t cap = 0;               // constant

    // --- second line. Under the lock:
    char* head = nullptr;  // of the ring: received next
    char* tail = nullptr;  // sent next
    uint64_t place = 0;    // the ring of one word, or of an element without size

    // the number of references, see chan/store.cc
    int32_t owned = 1;
    std::atomic<int32_t> shared{0};

    // constant
    char* ring = nullptr;
    char* end = nullptr;
    const ElemOps* ops = nullptr;
};
inline constexpr size_t kClosed = size_t{1} << 63;

// What ops->free_buffer is given; null if the ring is in the header.
inline void* buffer_of(const Hchan* c) {
    return c->ring == reinterpret_cast<const char*>(&c->place) ? nullptr : c->ring;
}

#if !defined(GORT_DEBUG)
static_assert(sizeof(Hchan) <= 128 && offsetof(Hchan, head) == 64);
#endif

// ---- the lock, see chan/lock.h

// Outside the gate: returns when c was shared, if only for a moment.
void chan_revoke(Hchan* c);
// What for, where that is told.
enum class ChanUse : uint8_t { kSend, kReceive, kClose, kSelect };
// Inside; leaves the gate meanwhile. The result is the M to go on with, maybe with another P.
rt::M* chan_revoke_from_inside(rt::M* mp, Hchan* c, ChanUse use);
// Does c belong to a run of a simulation that the caller is not in?
bool chan_of_another_run(const Hchan* c);

// [the run has ended] The same when no M holds a P any more.
void chan_revoke_at_end(Hchan* c);

// May leave the gate meanwhile. The result is the M to go on with; the lock is taken.
[[gnu::noinline]] rt::M* chan_lock_slow(rt::M* mp, Hchan* c, ChanUse use);

// Holding the mutex, and it is this P's turn: makes c its own and unlocks the mutex, unless c is to stay shared.
[[gnu::noinline]] void chan_make_own(rt::M* mp, Hchan* c);

enum class LockGot : uint8_t { kNothing, kMutex, kOwn };

// kNothing: it is another P's; who holds no other lock leaves the gate and revokes it.
// No TSA, here and below: whether it is the mutex that is held the analysis cannot know.
[[gnu::always_inline]] inline LockGot chan_lock_try(rt::M* mp, Hchan* c) GORT_NO_TSA {
    Owner& owner = c->lock.owner;
    const uint32_t place = rt::place_of(mp);
    const uint16_t whose = owner.whose.load(std::memory_order_acquire);  // B1
    if (whose == place) [[likely]]
        return LockGot::kOwn;
    if (whose != kShared) [[unlikely]]
        return LockGot::kNothing;
    rt::P* pp = rt::p_of(mp);
    arch::prefetch_write(&c->head);  // both lines come at the same time
    const int64_t began = rt::remote_begin(pp);
    c->lock.mutex.lock();
    if (!c->lock.is_shared()) [[unlikely]] {
        c->lock.mutex.unlock();
        return LockGot::kNothing;
    }
    if (owner.last.load(std::memory_order_relaxed) != place) rt::remote_end(pp, began);
    if (owner.used_by(place)) [[unlikely]] {
        chan_make_own(mp, c);
        return c->lock.is_shared() ? LockGot::kMutex : LockGot::kOwn;
    }
    return LockGot::kMutex;
}

[[gnu::always_inline]] inline rt::M* chan_lock(rt::M* mp, Hchan* c, ChanUse use) {
    if (chan_lock_try(mp, c) == LockGot::kNothing) [[unlikely]]
        return chan_lock_slow(mp, c, use);
    return mp;
}

// Of a channel that we have locked: is it the mutex that we hold? If it was this P's own, others may have begun to
// take it away meanwhile; but they wait for our leaving before they call it shared.
[[gnu::always_inline]] inline bool chan_is_shared(const Hchan* c) { return c->lock.is_shared(); }

[[gnu::always_inline]] inline void chan_unlock(Hchan* c) GORT_NO_TSA {
    if (chan_is_shared(c)) c->lock.mutex.unlock();
}

// ---- elements

// What a send is given and where a receive puts it: the word or an address, as the channel's kind says.
using rt::Payload;

template <bool kWord>
[[gnu::always_inline]] inline void elem_into_slot(Hchan* c, char* slot, Payload from) {
    if constexpr (kWord) *reinterpret_cast<uint64_t*>(slot) = from.word;
    else c->ops->move(slot, from.at, c->ops);
}
// Out of the ring for good; *to is a word, or the place that to->at says.
template <bool kWord>
[[gnu::always_inline]] inline void elem_out_of_slot(Hchan* c, Payload* to, char* slot) {
    if constexpr (kWord) to->word = *reinterpret_cast<uint64_t*>(slot);
    else c->ops->relocate(to->at, slot, c->ops);
}
// From a sender to a receiver.
template <bool kWord>
[[gnu::always_inline]] inline void elem_across(Hchan* c, Payload* to, Payload from) {
    if constexpr (kWord) to->word = from.word;
    else c->ops->move(to->at, from.at, c->ops);
}

[[gnu::always_inline]] inline char* ring_next(const Hchan* c, char* slot) {
    slot += c->ops->size;
    return slot == c->end ? c->ring : slot;
}

// Under the lock, and there is room.
template <bool kWord>
[[gnu::always_inline]] inline void ring_put(Hchan* c, size_t fill, Payload from) {
    char* slot = c->tail;
    elem_into_slot<kWord>(c, slot, from);
    c->tail = ring_next(c, slot);
    c->fill.store(fill + 1, std::memory_order_release);  // H1
}
// Under the lock, and there is one.
template <bool kWord>
[[gnu::always_inline]] inline void ring_take(Hchan* c, size_t fill, Payload* to) {
    char* slot = c->head;
    elem_out_of_slot<kWord>(c, to, slot);
    c->head = ring_next(c, slot);
    c->fill.store(fill - 1, std::memory_order_release);  // H1
}

// True if this select is ours to complete: no other waker has it.
inline bool claim(rt::G* gp) { return rt::exchange_inside(gp->select_done, 1) == 0; }

// The first waiter that is still to be had, unlinked; null if there is none. Under the lock.
[[gnu::always_inline]] inline rt::Sudog* take_waiter(rt::WaitQueue& q) {
    for (;;) {
        rt::Sudog* sg = q.first.load(std::memory_order_relaxed);
        if (!sg) return nullptr;
        q.pop(sg);
        if (!sg->select) [[likely]]
            return sg;
        if (claim(sg->g)) {
            sg->g->wake = sg;
            return sg;
        }
        sg->state = rt::SudogState::kLost;
    }
}

// The receiving half of a full channel with a waiting sender: the head to us, the sender's element to the tail.
template <bool kWord>
[[gnu::always_inline]] inline void take_from_sender(Hchan* c, rt::Sudog* sender, Payload* to) {
    if (c->cap == 0) {
        elem_across<kWord>(c, to, sender->payload);
    } else {  // full: the slot that becomes free is the next to be written
        char* slot = c->head;
        elem_out_of_slot<kWord>(c, to, slot);
        elem_into_slot<kWord>(c, slot, sender->payload);
        c->head = c->tail = ring_next(c, slot);
    }
    sender->state = rt::SudogState::kDone;
}

// The commit of a park: [any stack, after the waiter's is at rest].
void unlock_commit(void* c, rt::G* gp);

// Waits with the lock held, which whoever runs next releases. The waiter's Sudogs are linked. Returns the M it wakes
// on.
[[gnu::always_inline]] inline rt::M* park_on(rt::M* mp, Hchan* c, rt::WaitReason why) {
    if (mp->foreign) [[unlikely]]
        return rt::park(mp, unlock_commit, c, why);
    return rt::park_goroutine(mp, mp->curg, chan_is_shared(c) ? unlock_commit : nullptr, c, why);
}

// No room and no receiver, or nothing to receive and no sender: what a look without the lock can say.
inline bool looks_full(const Hchan* c) {
    return c->cap == 0 ? c->recvq.first.load(std::memory_order_acquire) == nullptr  // W1
                       : c->fill.load(std::memory_order_acquire) >= c->cap;         // H1
}
inline bool looks_empty(const Hchan* c) {
    return c->cap == 0 ? c->sendq.first.load(std::memory_order_acquire) == nullptr   // W1
                       : (c->fill.load(std::memory_order_acquire) & ~kClosed) == 0;  // H1
}
inline bool is_closed(const Hchan* c) { return c->fill.load(std::memory_order_acquire) & kClosed; }  // H1

// [the run has ended] What of gp is linked into channels comes out: Sched::abandon.
void abandon_sudogs(rt::G* gp);
bool give_up_sudogs(rt::M* mp, rt::G* gp);  // sched.give_up

long live_chans();  // GORT_DEBUG only; else 0

[[noreturn]] void block_for_ever(rt::WaitReason why);
[[noreturn]] void panic_closed();  // outside the gate

}  // namespace gort::detail
