// rt/sync/wait_group.cc - wait_group's waiting, waking and misuse.
// SPDX-License-Identifier: BSD-2-Clause
//
// A waiter sets the flag under its slot's lock while the counter is positive. Whoever brings the counter to zero and
// finds the flag sets the word to 0 under the same lock and wakes all. Nobody touches the word after the counter was
// zero but the one who wakes, and the woken ones, who own it.
#include "rt/sync/wait_group.h"

#include "rt/host.h"
#include "rt/sema.h"

namespace gort::detail {

using namespace rt;

void wait_group_slow(std::atomic<uint64_t>* state, uint64_t after, int32_t delta) GORT_NO_TSA {
    const auto count = static_cast<int32_t>(after >> 32);
    if (count < 0) host_throw_panic("sync: negative WaitGroup counter");
    if (delta > 0 && count == delta)
        host_throw_panic("sync: WaitGroup misuse: Add called concurrently with Wait");
    if (count > 0) return;
    M* mp = enter();
    SemaSlot& slot = sema_slot_of(state);
    slot.lock.lock();
    if (state->load(std::memory_order_relaxed) != after) {
        slot.lock.unlock();
        leave(mp);
        host_throw_panic("sync: WaitGroup misuse: Add called concurrently with Wait");
    }
    state->store(0, std::memory_order_release);
    Waiter* woken = sema_take_all(slot, state);
    slot.lock.unlock();
    sema_ready_all(mp, woken);
    leave(mp);
}

void wait_group_wait(std::atomic<uint64_t>* state) GORT_NO_TSA {
    M* mp = enter();
    SemaSlot& slot = sema_slot_of(state);
    slot.lock.lock();
    uint64_t seen = state->load(std::memory_order_acquire);
    do {
        if (seen >> 32 == 0) {
            slot.lock.unlock();
            return leave(mp);
        }
    } while (!(seen & 1) && !state->compare_exchange_weak(seen, seen | 1, std::memory_order_acq_rel,
                                                          std::memory_order_acquire));
    Waiter w(mp->curg, state);
    slot.push_back(&w);
    leave(sema_park(mp, slot, &w, WaitReason::kWaitGroupWait));
    if (state->load(std::memory_order_acquire) != 0)
        host_throw_panic("sync: WaitGroup is reused before previous Wait has returned");
}

}  // namespace gort::detail
