// rt/sched/deadlock.cc - when nothing can ever wake: all are asleep, and nothing outside can change that.
// SPDX-License-Identifier: BSD-2-Clause
//
// Outside are threads of the program's own. One that has called into gort is counted (sched.foreign), but one that
// has not may be about to: main starts a thread and waits for what it will send. So before a deadlock is declared
// the process's threads are counted, and while there are some that we do not know, it is only suspected. sysmon
// looks again now and then, for what we do not know may also be an M on its way out.
//
// TIMERS. A pending one can make a goroutine runnable, but for a channel's on which none waits: a ticker that somebody
// keeps is no sign of life. To know that costs nothing where timers are started and channels waited for; instead the
// pending ones are looked through here, up to the first that counts. No lock is needed for that: all Ps are idle and
// whoever wants one, or is about to attach himself, needs sched.lock first.
#include "arch/sanitize.h"
#include "kernel/fatal.h"
#include "kernel/file.h"
#include "kernel/vm.h"
#include "rt/base/report.h"
#include "rt/host.h"
#include "rt/sched/sched.h"

namespace gort::rt {

namespace {

int emulators_threads = 0;  // constant after init

constexpr char kStatus[] = "/proc/self/status";

// How many threads the process has, or -errno if the system does not say.
int count_threads() {
    uint64_t n = 0;
    const int error = kernel::find_number(kStatus, "Threads:\t", &n);
    return error ? error : static_cast<int>(n);
}

// Too many open files, or no /proc: not to know is no proof, so nothing is declared. A program that hangs is told why.
void say_unknown(int error) {
    static bool said = false;  // guarded by sched.lock
    if (said) return;
    said = true;
    kernel::Out(2)
        .str("gort: all goroutines are asleep, but whether this is a deadlock cannot be told: ")
        .str(kStatus)
        .str(": errno ")
        .dec(-error)
        .str(" (")
        .str(kernel::errno_name(error))
        .str(")\n");
}

bool strangers_locked() GORT_REQUIRES(sched.lock) {
    int known = sysmon_has_thread() + emulators_threads + host_tool_threads();
    for (const M* mp = sched.allm; mp; mp = mp->next_all)
        if (!mp->foreign) ++known;
    const int threads = count_threads();
    if (threads < 0) say_unknown(threads);
    return threads > known || threads < 0;
}

enum class Sign { kNone, kLife, kUnknown };

// Who has many timers on whose channels nobody waits pays for one long look with many looks that are not made, so
// that none of them costs more than kPerLook timers on the average. sysmon's look is always made.
constexpr uint32_t kPerLook = 1000;

Sign timers_sign_locked() {
    static uint32_t owed = 0;  // sched.lock
    uint64_t pending = 0;
    const int n = sched.nallp.load(std::memory_order_acquire);
    for (int i = 0; i < n; ++i) pending += sched.allp[i]->timers.count.load(std::memory_order_relaxed);
    if (!pending) return Sign::kNone;
    if (!sched.wakes_nobody.load(std::memory_order_acquire)) return Sign::kLife;
    if (owed && !on_sysmon()) {
        --owed;
        return Sign::kUnknown;
    }
    uint32_t seen = 0;
    const auto counts = [](const Timer* t, void* arg) {
        ++*static_cast<uint32_t*>(arg);
        return !sched.wakes_nobody.load(std::memory_order_relaxed)(t);
    };
    bool life = false;
    for (int i = 0; i < n && !life; ++i) life = timers_any(&sched.allp[i]->timers, counts, &seen);
    owed = seen / kPerLook;
    return life ? Sign::kLife : Sign::kNone;
}

void suspect_locked() GORT_REQUIRES(sched.lock) {
    sched.suspected = true;
    if (!on_sysmon()) sysmon_nudge();  // it may rest without a limit
}

}  // namespace

void deadlock_init() {
    if (!kernel::emulated()) return;  // an emulator has threads of its own that show as ours
    const int n = count_threads();
    if (n > 1) emulators_threads = n - 1;
}

void check_deadlock_locked() {
    sched.suspected = false;
    if (!sched.has_main || sched.state.load(std::memory_order_relaxed) != RunState::kRunning) return;
    if (sched.main_done.load(std::memory_order_relaxed)) return;
    if (sched.npidle.load(std::memory_order_relaxed) != sched.nprocs.load(std::memory_order_relaxed)) return;
    if (detached() || sched.foreign.load(std::memory_order_relaxed)) return;
    if (sched.runq.count || sched.poll_waiters.load(std::memory_order_relaxed)) return;
    switch (timers_sign_locked()) {
    case Sign::kLife: return;
    case Sign::kUnknown: return suspect_locked();
    case Sign::kNone: break;
    }
    if (strangers_locked()) return suspect_locked();
    sched.lock.unlock();
    fatal_deadlock();
}

}  // namespace gort::rt
