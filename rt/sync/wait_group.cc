// rt/sync/wait_group.cc - wait_group's waiting, waking and misuse.
// SPDX-License-Identifier: BSD-2-Clause
//
// A waiter sets the flag under its slot's lock while the counter is positive. The goroutine that brings the counter
// to zero and finds the flag sets the word to 0 under the same lock and wakes all. No goroutine touches the word
// after the counter was zero but the one who wakes, and the woken ones, who own it.
//
// No TSA: a slot's lock is taken in one function and released in another one, often by the commit of a park, after a
// switch. Which of these a path takes follows from values, which the analysis does not look at.
#include "rt/sync/wait_group.h"

#include "rt/base/report.h"
#include "rt/base/sim_seam.h"
#include "rt/host.h"
#include "rt/own/owner.h"
#include "rt/sched/lend.h"
#include "rt/sync/sema.h"

namespace gort::detail {

using namespace rt;

namespace {

constexpr uint64_t change(int32_t n) { return static_cast<uint64_t>(static_cast<int64_t>(n)) << 32; }
int32_t count_of(uint64_t word) { return static_cast<int32_t>(word >> 32); }
bool waits_of(uint64_t word) { return (word >> 24 & 1) != 0; }
bool is_shared(uint64_t word) { return (word & 0xffff) == kShared; }

OwnerWord64* word_of(WaitGroupWord* word) {
    return reinterpret_cast<OwnerWord64*>(reinterpret_cast<char*>(word) + offsetof(WaitGroupWord, count) - 4);
}
uint64_t load(WaitGroupWord* word) { return __atomic_load_n(word_of(word), __ATOMIC_ACQUIRE); }
// *seen is what it is now if that fails. B1, B2 of rt/own/owner.h
bool swap(WaitGroupWord* word, uint64_t* seen, uint64_t to) {
    return __atomic_compare_exchange_n(word_of(word), seen, to, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

// False if it is not shared. Of the streak, which is no more than a guess here, nothing is touched after the count.
bool add_shared(WaitGroupWord* word, int32_t n, int32_t* count, bool* waits) {
    uint64_t seen = load(word);
    do
        if (!is_shared(seen)) return false;
    while (!swap(word, &seen, seen + change(n)));
    *count = count_of(seen + change(n));
    *waits = waits_of(seen);
    return true;
}

// [inside the gate] A shared one becomes this P's, as it has earned it.
bool make_own(const M* mp, WaitGroupWord* word) {
    const uint64_t place = place_of(mp);
    uint64_t seen = load(word);
    do
        if (!place || !is_shared(seen)) return false;
    while (!swap(word, &seen, (seen & ~uint64_t{0xffff}) | place));
    return true;
}

// Go's rule for who adds to a group that is not at zero: all of them in one simulation's run, or none.
[[gnu::noinline, gnu::cold]] void check_run(WaitGroupWord* word) {
    const SimHooks* sim = simulation();
    if (word->count.load(std::memory_order_relaxed) == 0) {
        if (sim) word->owner.whose.store(kNobody, std::memory_order_relaxed);
        return;
    }
    const uint16_t whose = word->owner.whose.load(std::memory_order_relaxed);
    if (sim && is_sim_place(whose) && sim->of_this_run(whose)) return;
    fatal_error(sim && is_sim_place(whose)
                    ? "sync: WaitGroup.Add called from multiple synctest bubbles"
                    : "sync: WaitGroup.Add called from inside and outside synctest bubble");
}

[[gnu::noinline]] int32_t add_settled(WaitGroupWord* word, int32_t n, bool earned, bool* waits) {
    if (simulation() || is_sim_place(word->owner.whose.load(std::memory_order_relaxed))) [[unlikely]]
        check_run(word);
    for (int32_t count;;) {
        if (!self()) {
            revoke_sync(word->owner);
            if (add_shared(word, n, &count, waits)) return count;
            continue;
        }
        bool mine;
        M* mp = settle(enter(), word->owner, &mine);
        if (!mine && earned) mine = make_own(mp, word);
        bool done = true;
        if (mine) count = wait_group_add_mine(word, n, waits);
        else done = add_shared(word, n, &count, waits);
        leave(mp);
        if (done) return count;
    }
}

}  // namespace

// What the inlined one cannot: a shared group, a new one, another P's, or somebody who must wait for a P first.
void wait_group_add(WaitGroupWord* word, int32_t n) {
    const bool shared = word->owner.whose.load(std::memory_order_relaxed) == kShared;
    const bool earned = shared && word->owner.used_by(place_here());
    int32_t count;
    bool waits;
    if (!shared || earned || strays() || !add_shared(word, n, &count, &waits))
        count = add_settled(word, n, earned, &waits);
    if (count < 0 || waits) wait_group_slow(word, count, n);
}

void wait_group_slow(WaitGroupWord* word, int32_t count, int32_t delta) GORT_NO_TSA {
    if (count < 0) host_throw_panic("sync: negative WaitGroup counter");
    if (delta > 0 && count == delta)
        host_throw_panic("sync: WaitGroup misuse: Add called concurrently with Wait");
    if (count > 0) return;
    M* mp = enter();
    SemaSlot& slot = sema_slot_of(word);
    slot.lock.lock();
    if (word->count.load(std::memory_order_relaxed) != 0 ||
        word->owner.mark.load(std::memory_order_relaxed) == 0) {
        slot.lock.unlock();
        leave(mp);
        host_throw_panic("sync: WaitGroup misuse: Add called concurrently with Wait");
    }
    word->owner.mark.store(0, std::memory_order_release);
    if (G* gp = slot.pop_only(word)) {  // as a rule
        slot.lock.unlock();
        ready(mp, gp);
        return leave(mp);
    }
    Waiter* woken = sema_take_all(slot, word);
    slot.lock.unlock();
    sema_ready_all(mp, woken);
    leave(mp);
}

namespace {

enum class Wait { kNot, kYes, kOthersOwn };

// Sets the mark if there is anything to wait for, under the slot's lock.
Wait mark_waiter(WaitGroupWord* word, bool mine) {
    if (mine) {
        if (word->count.load(std::memory_order_acquire) == 0) return Wait::kNot;
        word->owner.mark.store(1, std::memory_order_release);
        return Wait::kYes;
    }
    uint64_t seen = load(word);
    do {
        if (count_of(seen) == 0) return Wait::kNot;
        if (waits_of(seen)) return Wait::kYes;
        if (!is_shared(seen)) return Wait::kOthersOwn;
    } while (!swap(word, &seen, seen | uint64_t{1} << 24));
    return Wait::kYes;
}

}  // namespace

void wait_group_wait(WaitGroupWord* word) GORT_NO_TSA {
    M* mp = enter();
    if (child_is_next(mp, word)) {
        mp = run_children_here(mp, word);
        if (wait_group_count(*word) == 0) return leave(mp);
    }
    SemaSlot& slot = sema_slot_of(word);
    Wait waits;
    do {
        bool mine;
        mp = settle(mp, word->owner, &mine);
        slot.lock.lock();
        waits = mark_waiter(word, mine);
        if (waits != Wait::kYes) slot.lock.unlock();
    } while (waits == Wait::kOthersOwn);
    if (waits == Wait::kNot) return leave(mp);
    Waiter w(mp->curg, word);
    slot.push_back(&w);
    mp = sema_park(mp, slot, &w, WaitReason::kWaitGroupWait);
    touches(&word->owner);
    leave(mp);
    if (word->count.load(std::memory_order_acquire) != 0 ||
        word->owner.mark.load(std::memory_order_relaxed) != 0)
        host_throw_panic("sync: WaitGroup is reused before previous Wait has returned");
}

}  // namespace gort::detail
