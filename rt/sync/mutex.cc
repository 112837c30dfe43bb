// rt/sync/mutex.cc - the contended half of mutex.
// SPDX-License-Identifier: BSD-2-Clause
//
// The word says whether it is locked, and whose it is (rt/own/owner.h), and nothing else; who waits, and in which mode,
// is in the table (rt/sync/sema.h).
//   normal    unlock frees the word, takes the head of the queue out and readies it; while one that was woken is on
//   his way
//             (woken), unlock goes its fast way again. The woken one tries; if it fails it queues at the head.
//   starving  unlock leaves the word locked and gives it to the head.
// Why nobody sleeps for ever: a root that is not counted has somebody on his way, who counts it again when he
// arrives. He holds the lock then, so that his own unlock sees it, or he makes the fence that a sleeper makes.
// A waiter whose deadline comes while it is queued is taken out by its timer (rt/sched/timed.h): it had been woken by
// nobody, and its heir at the head of the queue is counted as it was.
// A waiter that joins a counted queue needs no fence: the one who counted it made it, and no unlock since has missed
// it.
//
// No TSA: a slot's lock is taken in one function and released in another one, often by the commit of a park, after a
// switch. Which of these a path takes follows from values, which the analysis does not look at.
#include "rt/sync/mutex.h"

#include "arch/sanitize.h"
#include "arch/arch.h"
#include "rt/base/report.h"
#include "rt/base/sim_seam.h"
#include "rt/go.h"
#include "rt/own/owner.h"
#include "rt/sched/timed.h"
#include "rt/sync/sema.h"
#include "rt/time/clock.h"

namespace gort::detail {

using namespace rt;

namespace {

constexpr int64_t kStarves = 1'000'000;
constexpr int kRounds = 4, kPauses = 30;  // Go's figures
constexpr uint64_t kHanded = 1;

// Only where the holder can be running meanwhile, and nobody here has anything better to do.
bool may_spin(const M* mp) {
    if (sched.ncpu < 2) return false;
    if (mp->foreign) return true;
    const P* pp = p_of(const_cast<M*>(mp));
    return sched.nprocs.load(std::memory_order_relaxed) - sched.npidle.load(std::memory_order_relaxed) > 1 &&
           !pp->has_waiting() && !pp->runnext.load(std::memory_order_relaxed);
}

// A shared mutex may become a P's between settle and a try; then it is free, and yet not to be had.
enum class Got { kIt, kNothing, kOthersOwn };

[[gnu::always_inline]] inline Got take(MutexWord* word, bool mine) {
    if (mine ? mutex_take_mine(word) : mutex_take_shared(word)) return Got::kIt;
    return mine || word->owner.mark.load(std::memory_order_relaxed) != 0 ? Got::kNothing : Got::kOthersOwn;
}

// A shared one needs no gate.
[[gnu::always_inline]] inline bool take_outside(MutexWord* word) {
    return word->owner.whose.load(std::memory_order_relaxed) == kShared && !strays() &&
           mutex_take_shared(word);  // B1
}

void make_own(MutexWord* word) {
    M* mp = enter();
    if (place_of(mp) != 0) rt::make_own(mp, word->owner);
    leave(mp);
}

bool spin(MutexWord* word, bool mine) {
    for (int i = 0; i < kRounds; ++i) {
        for (int j = 0; j < kPauses; ++j) arch::pause();
        if (word->owner.mark.load(std::memory_order_relaxed) == 0 && take(word, mine) == Got::kIt)
            return true;
    }
    return false;
}

// True: it is locked. False: the deadline has passed, which without kTimed is none. One who was woken for the lock and
// finds that his time is over arrives all the same, so that the next unlock wakes another one.
// The slot is unlocked by the park.
template <bool kTimed>
[[gnu::always_inline]] inline bool lock_slow(MutexWord* word, bool of_rw, int64_t deadline) GORT_NO_TSA {
    // A thread that never called in may lock before there is a runtime.
    if (!self()) {
        revoke_sync(word->owner);
        if (mutex_take_shared(word)) return true;
    }
    bool mine;
    M* mp = settle(enter(), word->owner, &mine);
    if (take(word, mine) == Got::kIt || (may_spin(mp) && spin(word, mine))) {
        leave(mp);
        return true;
    }
    const WaitReason why = of_rw ? WaitReason::kRwMutexLock : WaitReason::kMutexLock;
    SemaSlot& slot = sema_slot_of(word);
    Waiter w(mp->curg, word);
    for (bool woken = false;;) {
        slot.lock.lock();
        Waiter* root = slot.find(word);
        if (root && woken) root->woken = false;
        const bool barred = root && root->starving && !woken;
        Got got = barred ? Got::kNothing : take(word, mine);
        bool over = false, again = false;
        if (got != Got::kIt) {
            const int64_t now = rt::now();
            if (!w.since) w.since = now;
            over = kTimed && now >= deadline;
            if (!over && woken) slot.push_front(&w);
            else if (!over) slot.push_back(&w);
            root = slot.find(word);
            if (!over && woken && now - w.since > kStarves) root->starving = true;
        }
        if (root) {
            const bool before = root->counted;
            slot.count(root);
            if (got != Got::kIt && root->counted && !before) {
                if (!simulation()) kernel::heavy_barrier(kernel::Count::kBarrierWaiter);
                got = take(word, mine);
                again = got == Got::kOthersOwn;
                if (got != Got::kNothing && !over) slot.remove(&w);
            }
        }
        if (got == Got::kIt || over) {
            slot.lock.unlock();
            leave(mp);
            return got == Got::kIt;
        }
        if (again) {
            slot.lock.unlock();
        } else {
            bool late = false;
            if constexpr (kTimed) mp = sema_park_until(mp, slot, &w, why, deadline, &late);
            else mp = sema_park(mp, slot, &w, why);
            if (late || w.sg.payload.word == kHanded) {
                leave(mp);
                return !late;
            }
            woken = true;
        }
        mp = settle(mp, word->owner, &mine);
    }
}

}  // namespace

bool mutex_take_shared(MutexWord* word) {
    uint32_t free = shared_word(word->owner, 0);
    auto* at = reinterpret_cast<OwnerWord32*>(reinterpret_cast<char*>(word) + offsetof(Owner, whose));
    if (!__atomic_compare_exchange_n(at, &free, free | 1u << 24, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return false;
    // unlock's release is of the mark alone, and TSan goes by addresses.
    if constexpr (GORT_TSAN) static_cast<void>(word->owner.mark.load(std::memory_order_acquire));
    if (word->owner.used_by(place_here())) [[unlikely]]
        make_own(word);
    return true;
}

void mutex_lock_slow(MutexWord* word, bool of_rw) {
    if (!take_outside(word)) lock_slow<false>(word, of_rw, kForever);
}

bool mutex_lock_until(MutexWord* word, bool of_rw, int64_t deadline) {
    if (take_outside(word)) return true;
    return deadline == kForever ? lock_slow<false>(word, of_rw, kForever)
                                : lock_slow<true>(word, of_rw, deadline);
}

bool mutex_try_lock_slow(MutexWord* word) {
    if (take_outside(word)) return true;
    if (word->owner.mark.load(std::memory_order_relaxed) != 0 && !strays()) return false;
    for (Got got;;) {
        if (!self()) {
            revoke_sync(word->owner);
            got = take(word, false);
        } else {
            bool mine;
            M* mp = settle(enter(), word->owner, &mine);
            got = take(word, mine);
            leave(mp);
        }
        if (got != Got::kOthersOwn) return got == Got::kIt;
    }
}

namespace {

// Out of the queue, on his way. His own count when he arrives sets the flag back.
Waiter* take_head(SemaSlot& slot, Waiter* root) {
    auto* next = root->next();
    slot.remove(root);
    if (next) {
        next->woken = true;
        slot.count(next);
    }
    return root;
}

void hand_over(M* mp, SemaSlot& slot, Waiter* root) GORT_NO_TSA {
    auto* next = root->next();
    if (rt::now() - root->since < kStarves) root->starving = false;
    slot.remove(root);
    if (next) slot.count(next);
    root->sg.payload.word = kHanded;
    G* gp = root->sg.g;
    slot.lock.unlock();
    ready(mp, gp);
    leave(mp);
    yield();  // at once: the rest of our time is his
}

}  // namespace

void mutex_unlock_slow(MutexWord* word) GORT_NO_TSA {
    M* mp = enter();
    if (word->owner.mark.load(std::memory_order_relaxed) != 1) {
        leave(mp);
        fatal_error("sync: unlock of unlocked mutex");
    }
    touches(&word->owner);
    SemaSlot& slot = sema_slot_of(word);
    slot.lock.lock();
    Waiter* root = slot.find(word);
    if (root && root->starving) return hand_over(mp, slot, root);
    word->owner.mark.store(0, std::memory_order_release);
    G* gp = root && !root->woken ? take_head(slot, root)->sg.g : nullptr;
    slot.lock.unlock();
    if (gp) ready(mp, gp);
    leave(mp);
}

void mutex_wake(const void* word) {
    M* mp = enter();
    mutex_wake_inside(mp, word);
    leave(mp);
}

void mutex_wake_inside(M* mp, const void* word) GORT_NO_TSA {
    SemaSlot& slot = sema_slot_of(word);
    slot.lock.lock();
    Waiter* root = slot.find(word);
    G* gp = root && !root->woken ? take_head(slot, root)->sg.g : nullptr;
    slot.lock.unlock();
    if (gp) ready(mp, gp);
}

}  // namespace gort::detail
