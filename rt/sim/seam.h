// rt/sim/seam.h - what the runtime asks of a simulation (rt/sim.h) while one runs; nothing is linked in without.
// SPDX-License-Identifier: BSD-2-Clause
//
// A simulation runs a whole program on one thread and decides everything that is left to chance. Fast paths are inlined
// in users' code, so they must come to us by themselves: the words that they read anyway say "not here, go the slow
// way". While a simulation runs
//      open of its M's gate is 0        every enter() goes through enter_slow, which asks at()
//      g_strays is not 0                locks that are shared, and looks without the gate, enter it
//      g_sema_wanted[] are not 0        unlock goes to unlock_slow
//      P::attention has kAskSimulation  whoever is switched away from goes to g0, where the simulation chooses the next
//      P::wanted is not 0               spawn and ready say so to left_behind()
//      g_now_hook, g_choose_hook        the clock, and every random choice of the runtime
// What remains are these questions, all of them in functions that are cold without a simulation as well.
// Context: the hooks are called on the simulation's thread, but for foreign(), which is called on any other.
#pragma once

#include <atomic>
#include <cstdint>

namespace gort {
struct options;
}

namespace gort::rt {

struct G;
struct M;
struct Trace;

struct SimHooks {
    // [inside the gate, a goroutine] It is about to do something that others can notice: a scheduling point. Returns
    // when it is its turn.
    M* (*at)(M* mp);
    // [inside the gate, maybe on g0] spawn or ready has just put somebody into runnext.
    void (*left_behind)(M* mp);
    // [a goroutine] A panic has reached the goroutine's end, or there is a fatal error: the run has failed. Never
    // returns. trace: of the place, or null for the caller's.
    void (*fail)(const char* text, const Trace* trace);
    // [a thread of the program's own] It called into gort. Never returns.
    void (*foreign)();
    // gomaxprocs(n) of the simulated machine.
    int (*procs)(int n);
};
inline constinit std::atomic<const SimHooks*> g_sim{nullptr};

// The simulation that runs, or null. Constant while it runs.
[[gnu::always_inline]] inline const SimHooks* simulation() { return g_sim.load(std::memory_order_relaxed); }

// rt/run.cc: the runtime without a thread of its own, for a simulation. Why it cannot start, or null.
const char* begin_simulation(const options& o);
void end_simulation();
void read_environment();  // GORT_... may be asked for

}  // namespace gort::rt
