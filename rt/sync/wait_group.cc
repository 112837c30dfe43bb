// rt/sync/wait_group.cc - wait_group's waiting, waking and misuse.
// SPDX-License-Identifier: BSD-2-Clause
//
// A waiter sets the flag under its slot's lock while the counter is positive. Whoever brings the counter to zero and
// finds the flag sets the word to 0 under the same lock and wakes all. Nobody touches the word after the counter was
// zero but the one who wakes, and the woken ones, who own it.
#include "rt/sync/wait_group.h"

#include "rt/bias.h"
#include "rt/host.h"
#include "rt/sema.h"

namespace gort::detail {

using namespace rt;

namespace {

uint64_t add_shared(WaitGroupWord* word, int32_t n) {
    return word->state.fetch_add(wait_group_change(n), std::memory_order_acq_rel) + wait_group_change(n);
}

[[gnu::noinline]] uint64_t add_settled(WaitGroupWord* word, int32_t n) {
    if (!self()) {
        bias_revoke(word->bias);
        return add_shared(word, n);
    }
    bool mine;
    M* mp = bias_settle(enter(), word->bias, &mine);
    const uint64_t after = mine ? wait_group_add_mine(word, n) : add_shared(word, n);
    leave(mp);
    return after;
}

}  // namespace

// What the inlined one cannot: a shared group, a new one, another P's, or somebody who must wait for a P first.
void wait_group_add(WaitGroupWord* word, int32_t n) {
    const bool shared = word->bias.load(std::memory_order_acquire) == kBiasShared;  // B1
    const uint64_t after = shared && !strays() ? add_shared(word, n) : add_settled(word, n);
    if (static_cast<int64_t>(after) < 0 || (after & 1)) wait_group_slow(word, after, n);
}

void wait_group_slow(WaitGroupWord* word, uint64_t after, int32_t delta) GORT_NO_TSA {
    const auto count = static_cast<int32_t>(after >> 32);
    if (count < 0) host_throw_panic("sync: negative WaitGroup counter");
    if (delta > 0 && count == delta)
        host_throw_panic("sync: WaitGroup misuse: Add called concurrently with Wait");
    if (count > 0) return;
    M* mp = enter();
    SemaSlot& slot = sema_slot_of(word);
    slot.lock.lock();
    if (word->state.load(std::memory_order_relaxed) != after) {
        slot.lock.unlock();
        leave(mp);
        host_throw_panic("sync: WaitGroup misuse: Add called concurrently with Wait");
    }
    word->state.store(0, std::memory_order_release);
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

void wait_group_wait(WaitGroupWord* word) GORT_NO_TSA {
    bool mine;
    M* mp = bias_settle(enter(), word->bias, &mine);
    SemaSlot& slot = sema_slot_of(word);
    slot.lock.lock();
    uint64_t seen = word->state.load(std::memory_order_acquire);
    do {
        if (seen >> 32 == 0) {
            slot.lock.unlock();
            return leave(mp);
        }
        if (seen & 1) break;
        if (mine) {
            word->state.store(seen | 1, std::memory_order_release);
            break;
        }
    } while (!word->state.compare_exchange_weak(seen, seen | 1, std::memory_order_acq_rel,
                                                std::memory_order_acquire));
    Waiter w(mp->curg, word);
    slot.push_back(&w);
    leave(sema_park(mp, slot, &w, WaitReason::kWaitGroupWait));
    if (word->state.load(std::memory_order_acquire) != 0)
        host_throw_panic("sync: WaitGroup is reused before previous Wait has returned");
}

}  // namespace gort::detail
