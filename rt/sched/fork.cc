// rt/sched/fork.cc - see fork.h.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/base/fork.h"

#include <new>

#include "kernel/fatal.h"
#include "kernel/membarrier.h"
#include "kernel/thread.h"
#include "rt/host.h"
#include "rt/sched/sched.h"
#include "rt/sched/unload.h"

namespace gort::rt {

std::atomic<bool> g_forked{false};

namespace {

// No run, and no other thread. Somebody who is gone now may have held the lock, in the middle of a change.
// No TSA: the lock itself is made anew.
void forget_others(M* me) GORT_NO_TSA {
    new (&sched.lock) kernel::Mutex(kernel::LockRank::kSched);
    sched.midle = sched.births = sched.spare_ms = nullptr;
    sched.midle_count = sched.starting = 0;
    sched.timekeeper = nullptr;
    sched.poller.store(nullptr, std::memory_order_relaxed);
    sched.allm = me;
    if (me) {
        me->tid = kernel::gettid();
        me->next_all = me->prev_all = nullptr;
    }
    sched.foreign.store(me ? 1 : 0, std::memory_order_relaxed);
    detail::g_strays.store(0, std::memory_order_relaxed);
    sysmon_forget();
    if (const PollHooks* hooks = sched.poll_hooks.load(std::memory_order_relaxed)) hooks->forked();
}

// [the child]
void in_child() {
    kernel::forget_tid();
    kernel::membarrier_in_child();
    host_in_child();
    M* me = self();
    // A goroutine of a run that is over may have gone on until it forked.
    const bool alone =
        sched.state.load(std::memory_order_relaxed) == RunState::kStopped && (!me || me->foreign);
    if (alone && !g_forked.load(std::memory_order_relaxed)) return forget_others(me);
    g_forked.store(true, std::memory_order_relaxed);
    kernel::tls_set(nullptr);
}

}  // namespace

void fatal_forked() {
    kernel::fatal(
        "gort does not survive a fork while it runs: in the child call exec or _exit, and nothing of gort");
}

void watch_process() {
    static std::atomic<bool> watched{false};
    if (watched.exchange(true, std::memory_order_relaxed)) return;
    host_on_fork(in_child);
    host_on_unload(unload);
}

}  // namespace gort::rt
