// rt/sync/word_wait.cc - what latch, barrier and future sleep with, and who holds a recursive_mutex.
// SPDX-License-Identifier: BSD-2-Clause
//
// No TSA: a slot's lock is taken in one function and released in another one, often by the commit of a park, after a
// switch. Which of these a path takes follows from values, which the analysis does not look at.
#include "rt/sync/word_wait.h"

#include "rt/base/report.h"
#include "rt/host.h"
#include "rt/sched/timed.h"
#include "rt/sync/recursive_mutex.h"
#include "rt/sync/sema.h"
#include "rt/time/clock.h"

namespace gort::detail {

using namespace rt;

namespace {

WaitReason reason_of(WordOf what) {
    switch (what) {
    case WordOf::kLatch: return WaitReason::kLatchWait;
    case WordOf::kBarrier: return WaitReason::kBarrierWait;
    case WordOf::kFuture: break;
    }
    return WaitReason::kFutureWait;
}

}  // namespace

void word_wait(const std::atomic<uint32_t>* word, uint32_t value, WordOf what) {
    word_wait_until(word, value, what, kForever);
}

bool word_wait_until(const std::atomic<uint32_t>* word, uint32_t value, WordOf what,
                     int64_t deadline) GORT_NO_TSA {
    const WaitReason why = reason_of(what);
    M* mp = enter();
    bool changed;
    while (!(changed = word->load(std::memory_order_acquire) != value)) {
        if (deadline != kForever && deadline <= now()) break;
        SemaSlot& slot = sema_slot_of(word);
        slot.lock.lock();
        if (word->load(std::memory_order_acquire) != value) {
            slot.lock.unlock();
            continue;
        }
        Waiter w(mp->curg, word);
        slot.push_back(&w);
        bool late;
        if (deadline == kForever) mp = sema_park(mp, slot, &w, why);
        else mp = sema_park_until(mp, slot, &w, why, deadline, &late);
    }
    leave(mp);
    return changed;
}

void word_wake_all(const void* word) GORT_NO_TSA {
    M* mp = enter();
    SemaSlot& slot = sema_slot_of(word);
    slot.lock.lock();
    Waiter* woken = sema_take_all(slot, word);
    slot.lock.unlock();
    sema_ready_all(mp, woken);
    leave(mp);
}

void word_misuse(const char* text) { host_throw_panic(text); }

// ---- recursive_mutex

const void* lock_owner() {
    M* mp = self();
    if (!mp) [[unlikely]] {
        mp = enter();
        leave(mp);
    }
    return mp->curg;
}

void recursive_unlock_by_other() {
    fatal_error("sync: unlock of a recursive_mutex that the caller does not hold");
}
void recursive_too_deep() { host_throw_panic("sync: recursive_mutex locked too often"); }

}  // namespace gort::detail
