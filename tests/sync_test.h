// tests/sync_test.h - what the tests of rt/sync share.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gort.h"
#include "rt/sync/sema.h"
#include "tests/child.h"
#include "tests/procs.h"

namespace gort::sync_test {

using test::Died;
using test::panic_of;
using test::run_child;

// Queues that exist in the table of waiters.
inline long live_queues() {
    long n = 0;
    for (const rt::SemaSlot& slot : rt::g_sema)
        for (const rt::Waiter* root = slot.roots; root; root = root->next_root) ++n;
    return n;
}
inline long wanted_slots() {
    long n = 0;
    for (const auto& wanted : detail::g_sema_wanted) n += wanted.load();
    return n;
}
inline const bool queues_in_ledger = test::ledger_add("queues of waiters", live_queues);
inline const bool wanted_in_ledger = test::ledger_add("wanted slots", wanted_slots);

template <class F>
int with_procs(int n, F&& main) {
    options o;
    o.max_procs = n;
    o.seed = test::seed() | 1;
    return gort::run(std::forward<F>(main), o);
}

// How many wait for this object.
inline int waiting(const void* object) {
    rt::M* mp = rt::enter();
    rt::SemaSlot& slot = rt::sema_slot_of(object);
    slot.lock.lock();
    int n = 0;
    for (const rt::Waiter* w = slot.find(object); w; w = w->next()) ++n;
    slot.lock.unlock();
    rt::leave(mp);
    return n;
}

// Four goroutines lock both in turn, in either order, and count; after each count one does `alone`.
template <class Lock, class F>
void lock_both_in_either_order(Lock& a, Lock& b, long* plain, int rounds, F alone) {
    wait_group wg;
    for (int i = 0; i < 4; ++i)
        wg.go([&, i] {
            for (int j = 0; j < rounds; ++j) {
                {
                    std::scoped_lock both(i % 2 ? a : b, i % 2 ? b : a);
                    ++*plain;
                }
                alone();
            }
        });
    wg.wait();
}

// What a program that ends badly says.
template <class F>
Died run_dying(int procs, F&& main) {
    return run_child([&] { with_procs(procs, std::forward<F>(main)); });
}

inline constexpr const char* kDeadlock = "fatal error: all goroutines are asleep - deadlock!";

}  // namespace gort::sync_test
