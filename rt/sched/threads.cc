// rt/sched/threads.cc - threads for Ms: who makes them, and how the run goes on where none can be had.
// SPDX-License-Identifier: BSD-2-Clause
//
// WHO. A new thread takes over its maker's signal mask, CPUs, priority, namespaces and more, which users change on
// threads that are theirs. So no thread is made by one that is or was a locked goroutine's, nor by the program's own:
// for those sysmon, which nobody touches, makes it (sched.births).
// NO THREAD. The system refuses one (RLIMIT_NPROC, pids.max, memory), or max_threads is reached. Then the P that it was
// for goes to the idle ones and its work to the global queue, where every M that comes back finds both; sysmon tries
// again after a time that doubles up to kRetryMost. Until then no P is taken from anybody and none is woken that would
// need a new thread: goroutines that block their threads wait for each other. A line on stderr says so. Only if nobody
// is left who could go on is it fatal, and not before kTries more.
#include "kernel/sys.h"
#include "rt/base/report.h"
#include "rt/host.h"
#include "rt/sched/sched.h"
#include "rt/time/clock.h"

namespace gort::rt {

namespace {

constexpr int kTries = 20;  // after 1, 2, 3 ... ms: 210 ms together, as Go
constexpr int64_t kMs = 1'000'000;
constexpr int64_t kRetryFirst = kMs, kRetryMost = 64 * kMs;
constexpr int kLimit = 1;  // for an errno: max_threads is reached

// A P that is in the caller's hands is the only one at work: no M holds another or is about to, no goroutine runs
// without one.
bool nobody_else_locked() GORT_REQUIRES(sched.lock) {
    const int at_work =
        sched.nprocs.load(std::memory_order_relaxed) - sched.npidle.load(std::memory_order_relaxed);
    return at_work <= 1 && detached() == 0 && !sched.midle;
}

// Said once a run: the program goes on, but not as it was meant to. err: -errno or kLimit.
void say_shortage(int err) {
    static std::atomic<uint64_t> said{0};  // in which run
    const uint64_t run = sched.epoch.load(std::memory_order_relaxed);
    if (said.exchange(run, std::memory_order_relaxed) == run) return;
    kernel::Out out(2);
    out.str("gort: no more threads: ");
    if (err == kLimit) out.str("max_threads is ").dec(sched.max_threads.load(std::memory_order_relaxed));
    else out.str("the system refuses one: ").str(kernel::errno_name(-err));
    out.str("; goroutines that block their thread wait for each other\n");
}

void note_shortage(int err) {
    kernel::LockGuard guard(sched.lock);
    sched.short_of_threads.store(true, std::memory_order_relaxed);
    if (err == kLimit) return;
    const int64_t pause = sched.retry_pause ? sched.retry_pause * 2 : kRetryFirst;
    sched.retry_pause = pause < kRetryMost ? pause : kRetryMost;
    sched.retry_when.store(rt::now() + sched.retry_pause, std::memory_order_relaxed);
}

// pp is the caller's, which has no M for it. Its work is for everybody. False: set_procs waits for it.
bool leave_p_idle_locked(P* pp) GORT_REQUIRES(sched.lock) {
    if (pp->attention.load(std::memory_order_acquire) & kAskRelease) return false;
    take_all(pp, &sched.runq);
    sched.runq_size.store(sched.runq.count, std::memory_order_relaxed);
    push_idle_p_locked(pp);
    return true;
}

void nap_before_retry(int tries) {
    const kernel::Timespec nap = kernel::to_timespec(tries * kMs);
    kernel::sys_nanosleep(&nap, nullptr);
}

// 0; -errno or kLimit: there is none, and pp and first are the caller's still.
int make_m(P* pp, G* first) {
    if (!count_one_more_m()) return kLimit;
    M* mp = new_m();
    mp->next_p = pp;
    mp->next_g = first;
    if (const M* me = self(); (!me || me->foreign || me->locked_g || me->altered) && !on_sysmon()) {
        sched.lock.lock();
        const bool later = running();  // else sysmon may have made its last ones
        if (later) {
            mp->next_idle = sched.births;
            sched.births = mp;
        }
        sched.lock.unlock();
        if (later) sysmon_nudge();
        else free_m(mp);
        return 0;
    }
    const int err = start_thread_of(mp);
    if (err) free_m(mp);
    return err;
}

}  // namespace

bool count_one_more_m() {
    const int most = sched.max_threads.load(std::memory_order_relaxed);
    if (sched.nm.fetch_add(1, std::memory_order_relaxed) < most) return true;
    sched.nm.fetch_sub(1, std::memory_order_relaxed);
    return false;
}

int start_thread_of(M* mp) {
    mp->start = {m_main, mp};
    const int err = host_start_thread(&mp->start, kThreadStack);
    if (err) return err;
    if (sched.retry_when.load(std::memory_order_relaxed) == 0) return 0;
    kernel::LockGuard guard(sched.lock);
    sched.retry_pause = 0;
    sched.retry_when.store(0, std::memory_order_relaxed);
    return 0;
}

void start_births() {
    for (;;) {
        sched.lock.lock();
        M* mp = sched.births;
        if (mp) sched.births = mp->next_idle;
        sched.lock.unlock();
        if (!mp) return;
        mp->next_idle = nullptr;
        P* pp = mp->next_p;
        G* first = mp->next_g;
        if (start_thread_of(mp) == 0) continue;
        free_m(mp);
        start_m(pp, first);
    }
}

void start_m(P* pp, G* first) {
    for (int tries = 1;; ++tries) {
        sched.lock.lock();
        // No thread waits for a P that is in no M's hands at the end of a run.
        const bool done = !running() || start_idle_m_locked(pp, first);
        sched.lock.unlock();
        if (done) return;
        const int err = make_m(pp, first);
        if (!err) return;
        note_shortage(err);
        sched.lock.lock();
        const bool alone = nobody_else_locked();
        if (!alone && first) {
            pp->put_next(first);
            first = nullptr;
        }
        const bool retires = !alone && !leave_p_idle_locked(pp);
        if (!alone && sched.midle) wake_one_locked();  // who has become idle meanwhile
        sched.lock.unlock();
        if (retires) retire_loose_p(pp);
        if (!alone) {
            say_shortage(err);
            return sysmon_nudge();
        }
        if (tries > kTries && err == kLimit)
            fatal_thread_exhaustion(sched.max_threads.load(std::memory_order_relaxed));
        if (tries > kTries) fatal_newosproc(sched.nm.load(std::memory_order_relaxed), -err);
        nap_before_retry(tries);
    }
}

void start_another_m(P* pp) {
    if (make_m(pp, nullptr)) start_m(pp);
}

void start_monitor(HostStart* start) {
    for (int tries = 1;; ++tries) {
        const int err = host_start_thread(start, kThreadStack);
        if (!err) return;
        if (tries > kTries) fatal_newosproc(sched.nm.load(std::memory_order_relaxed), -err);
        nap_before_retry(tries);
    }
}

bool may_start_m_locked() { return sched.midle || may_make_m_locked(); }

bool may_make_m_locked() {
    if (sched.nm.load(std::memory_order_relaxed) >= sched.max_threads.load(std::memory_order_relaxed))
        return false;
    const int64_t when = sched.retry_when.load(std::memory_order_relaxed);
    return when == 0 || rt::now() >= when;
}

bool may_start_m() {
    {
        kernel::LockGuard guard(sched.lock);
        if (may_start_m_locked()) return true;
    }
    if (sched.nm.load(std::memory_order_relaxed) >= sched.max_threads.load(std::memory_order_relaxed))
        say_shortage(kLimit);
    return false;
}

void end_shortage() {
    if (!sched.short_of_threads.load(std::memory_order_relaxed)) return;
    kernel::LockGuard guard(sched.lock);
    if (!may_start_m_locked()) return;
    sched.short_of_threads.store(false, std::memory_order_relaxed);  // as far as we know
    if (sched.runq.count) wake_one_locked();
}

}  // namespace gort::rt
