// rt/own/m.h - M, an OS thread that runs goroutines; or the stand-in for a thread of the program's own that calls in.
// SPDX-License-Identifier: BSD-2-Clause
//
// Invariants: (1) p and open are written under gate_lock only, by the M itself or by a thread that takes its P.
//             (2) in_rt is 1 from enter() to leave(), across every switch between them: it belongs to the thread.
//             (3) commit_fn is set by the side that leaves and run by the side that arrives, on the same M.
#pragma once

#include "kernel/lock.h"
#include "rt/host.h"
#include "rt/own/g.h"
#include "rt/own/gate_fast.h"
#include "rt/stack/fault.h"

namespace gort::rt {

// of an M's g0: the scheduler, signal-free; touched pages count, not these
inline constexpr size_t kThreadStack = 256 << 10;

// What the C++ runtime keeps per thread for exceptions (the C++ ABI's __cxa_eh_globals): the goroutine's, so it moves.
struct EhGlobals {
    void* caught;
    unsigned uncaught;
};

using CommitFn = void (*)(void* arg, G* left);

// The gate comes first: see rt/own/gate.h.
struct alignas(64) M : detail::Gate {
    P* p = nullptr;
    bool foreign = false;  // not our thread: no P ever, parks on its own futex
    bool is_m0 = false;    // the thread that called run(): runs nothing but the main goroutine
    uint32_t place = 0;    // p's index + 1; 0: it has none
    G* curg = nullptr;
    CommitFn commit_fn = nullptr;
    void* commit_arg = nullptr;
    G* commit_g = nullptr;
    EhGlobals* eh = nullptr;  // of this thread
    // where the blocking call was called that was switched away from last: mark_return
    const void* left_from = nullptr;

    // --- cold
    alignas(64) arch::Context g0;  // the thread's own stack: where an M without work waits
    kernel::Mutex gate_lock{kernel::LockRank::kGate};
    kernel::Note note;  // idle, or a foreign thread's park
    // futex: M0, and an M with a locked G, wait here. C1: release to acquire
    std::atomic<uint32_t> called{0};
    bool in_poll = false;        // sched.lock: its sleep is the poller's
    bool others_poll = false;    // when it last ran out of work, somebody else looked after the descriptors
    P* next_p = nullptr;         // handed over before the note is woken
    arch::Context dead;          // of a stack left for good, until its tools are told
    void* dead_stack = nullptr;  // that stack, if it goes back to the pool
    // to be run by g0: picked on a goroutine's stack, or handed over with next_p
    G* next_g = nullptr;
    // handed over before `called` is set: the M may still be busy with a P of its own
    P* called_p = nullptr;
    G* called_g = nullptr;
    G* left_g = nullptr;        // who switched to g0, until g0 has looked at it
    G* locked_g = nullptr;      // lock_os_thread: this M runs nothing else
    void* locked_sp = nullptr;  // handle of locked_g while it is switched out
    uint32_t lock_depth = 0;    // nested lock_os_thread calls of locked_g
    M* next_idle = nullptr;     // sched.lock
    M* next_all = nullptr;      // sched.lock
    M* prev_all = nullptr;
    bool in_midle = false;  // sched.lock
    bool gave_up = false;   // a foreign thread's last wait for a cond ended because of stop()
    bool dying = false;     // its locked G ended: the thread ends too
    // a locked G ended on it: signal mask, CPUs and all else may be what that made of them, so it makes no thread
    bool altered = false;
    // gate_lock: the P was retaken while user code ran; counted in g_strays
    std::atomic<bool> lost_p{false};
    uint64_t epoch = 0;  // the run it belongs to
    uint64_t id = 0;
    int tid = 0;
    HostStart start{};             // until its thread runs
    HostThreadExit thread_exit{};  // of a foreign thread
    // sysmon's, for GORT_STALL: whom it ran at the last look, in which turn, since when; has that been said?
    uint64_t stall_goid = 0, stall_turn = 0;
    int64_t stall_since = 0;
    bool stall_said = false;
    FaultThread fault;
    EhGlobals no_eh{};  // `eh` of a program without exceptions
    G pseudo;           // curg of a foreign thread
};

}  // namespace gort::rt
