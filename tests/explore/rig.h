// tests/explore/rig.h - goroutines that run at once, each on an M and a P of its own, with the whole scheduler.
// SPDX-License-Identifier: BSD-2-Clause
//
// The setup brings each of them to where it computes outside of the gate; then exploration starts and lets them go. The
// main goroutine has a P, too, and only waits for their ends; it then checks, and the execution is over.
#pragma once

#include "arch/arch.h"
#include "rt/go.h"
#include "rt/sched/park.h"
#include "tests/explore/explore.h"

namespace gort::explore {

struct Racer {
    void (*run)();
    rt::G* parked = nullptr;
    std::atomic<bool> there{false}, over{false};
};
inline Racer g_racers[4];
inline std::atomic<bool> g_go{false};
inline int g_nracers = 0, g_spare_ps = 0;

// [goroutine] Where the scheduler's own ways bring it to another P.
inline void park_for(rt::G** to) {
    const auto commit = [](void* at, rt::G* left) { *static_cast<rt::G**>(at) = left; };
    rt::leave(rt::park(rt::enter(), commit, to, rt::WaitReason::kPark));
}

// before: on the main goroutine, in the setup. after: the same, when all are over.
template <class Before, class After>
void race_goroutines(Before before, After after, std::initializer_list<void (*)()> fns, int spare_ps = 0) {
    static Before first = before;
    static After last = after;
    for (auto* fn : fns) g_racers[g_nracers++].run = fn;
    g_spare_ps = spare_ps;
    options o;
    o.max_procs = g_nracers + 1 + spare_ps;
    o.seed = 1;
    name(&rt::sched, sizeof rt::sched, "sched");
    run(
        [] {
            rt::sched.ncpu =
                kThreads;  // there are as many as it wants; locks were told that there is one: no spinning
            first();
            for (int i = 0; i < g_nracers; ++i) {
                go([i] {
                    Racer& r = g_racers[i];
                    park_for(&r.parked);
                    r.there.store(true, std::memory_order_relaxed);
                    while (!g_go.load(std::memory_order_acquire)) arch::pause();
                    r.run();
                    r.over.store(true, std::memory_order_release);
                });
                while (!g_racers[i].parked) yield();
                rt::ready_global(g_racers[i].parked);
                while (!g_racers[i].there.load(std::memory_order_relaxed)) arch::pause();
            }
            while (rt::sched.npidle.load(std::memory_order_relaxed) != g_spare_ps) arch::pause();
            explore::start();
            g_go.store(true, std::memory_order_release);
            for (int i = 0; i < g_nracers; ++i)
                while (!g_racers[i].over.load(std::memory_order_acquire)) arch::pause();
            last();
            finish();
        },
        o);
}

}  // namespace gort::explore
