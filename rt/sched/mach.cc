// rt/sched/mach.cc - Ms: starting, idling, handing a P over.
// SPDX-License-Identifier: BSD-2-Clause
//
// An M without work gives its P to sched.pidle and lies in sched.midle, both under sched.lock. Whoever has work for an
// idle P takes a P and an M from there (wake_one), puts the P into m.next_p and wakes the note.
// One idle M at a time is the timekeeper: it sleeps until the earliest timer of all Ps, in the poller when descriptors
// are watched and nobody at work sees to them. While no P is idle there is none: then busy Ps run timers themselves and
// sysmon looks after them.
// Ordering: next_p and next_g are written before the note is woken (N1 of kernel/lock.h).
#include "kernel/futex.h"
#include "kernel/thread.h"
#include "rt/base/report.h"
#include "rt/base/slab.h"
#include "rt/host.h"
#include "rt/sched/look.h"
#include "rt/sched/park.h"
#include "rt/stack/fault.h"
#include "rt/time/clock.h"

namespace gort::rt {

namespace {

Slab<M> m_slab;

bool all_idle_locked() {
    return sched.npidle.load(std::memory_order_relaxed) == sched.nprocs.load(std::memory_order_relaxed);
}

void push_idle_m_locked(M* mp) GORT_REQUIRES(sched.lock) {
    mp->in_midle = true;
    mp->next_idle = sched.midle;
    sched.midle = mp;
    ++sched.midle_count;
}

void remove_idle_m_locked(M* mp) GORT_REQUIRES(sched.lock) {
    for (M** at = &sched.midle; *at; at = &(*at)->next_idle)
        if (*at == mp) {
            *at = mp->next_idle;
            mp->in_midle = false;
            --sched.midle_count;
            return;
        }
}

// The timekeeper, which would leave the timers to sysmon, and M0, which runs main only, when there is no other.
M* pop_idle_m_locked() GORT_REQUIRES(sched.lock) {
    M* best = nullptr;
    for (M* mp = sched.midle; mp; mp = mp->next_idle) {
        if (mp != sched.timekeeper && !mp->is_m0) {
            best = mp;
            break;
        }
        if (!best || best->is_m0) best = mp;
    }
    if (best) remove_idle_m_locked(best);
    return best;
}

// As the waits want it: negative only where it means for ever.
int64_t from_now(int64_t until) {
    if (until == INT64_MAX) return -1;
    const int64_t ns = until - rt::now();
    return ns > 0 ? ns : 0;
}

void wake_m(M* mp, P* pp, G* first) {
    mp->next_p = pp;
    mp->next_g = first;
    if (mp->in_poll) sched.poll_hooks.load(std::memory_order_acquire)->wake();
    else mp->note.wake();
}

// sched.lock held, mp has no P. Returns with the lock released: with a P, or because the run ends.
void wait_for_p_locked(M* mp) GORT_RELEASE(sched.lock) {
    for (;;) {
        if (!running() || mp->epoch != sched.epoch.load(std::memory_order_relaxed)) break;
        const bool pending = poll_pending();
        if ((sched.runq.count || pending) && sched.pidle) {
            P* pp = pop_idle_p_locked();
            sched.lock.unlock();
            return acquire_p(mp, pp);
        }
        int64_t until = INT64_MAX;
        const bool polls = sched.poll_waiters.load(std::memory_order_relaxed) &&
                           !sched.poller.load(std::memory_order_relaxed) && !pending &&
                           (!mp->others_poll || all_idle_locked());
        bool keeper = false;
        if (sched.pidle) {
            until = earliest_timer();
            keeper = polls || until < sched.timekeeper_until.load(std::memory_order_relaxed);
        }
        if (keeper) {
            if (until != INT64_MAX && until <= rt::now()) {
                P* pp = pop_idle_p_locked();
                sched.lock.unlock();
                return acquire_p(mp, pp);
            }
            sched.timekeeper = mp;
            sched.timekeeper_until.store(until, std::memory_order_relaxed);
            mp->in_poll = polls;
            if (mp->in_poll) sched.poller.store(mp, std::memory_order_relaxed);
        }
        mp->note.clear();
        sched.sleeps.store(sched.sleeps.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        push_idle_m_locked(mp);
        check_deadlock_locked();
        const bool suspected = sched.suspected;
        sched.lock.unlock();
        if (suspected) sysmon_ensure();  // which looks again now and then

        if (mp->in_poll) sched.poll_hooks.load(std::memory_order_acquire)->wait(from_now(until));
        else if (keeper) mp->note.timed_sleep(from_now(until));
        else mp->note.sleep();

        sched.lock.lock();
        if (sched.timekeeper == mp) {
            sched.timekeeper = nullptr;
            sched.timekeeper_until.store(INT64_MAX, std::memory_order_relaxed);
        }
        if (sched.poller.load(std::memory_order_relaxed) == mp)
            sched.poller.store(nullptr, std::memory_order_relaxed);
        mp->in_poll = false;
        P* pp = mp->next_p;
        mp->next_p = nullptr;
        if (!pp) {  // not called: time is up, or the poller had something
            if (mp->in_midle) remove_idle_m_locked(mp);
            if (!keeper || !(pp = pop_idle_p_locked())) continue;
        }
        sched.lock.unlock();
        return acquire_p(mp, pp);
    }
    sched.lock.unlock();
}

// M0 and an M with a locked goroutine never lie in midle, for they must not be given just any work. They wait here
// for their own. `called` is a flag, not a Note, because the end of the run may call as well.
void wait_until_called(M* mp) {
    // C1
    while (running() && !mp->called.load(std::memory_order_acquire)) kernel::futex_wait(&mp->called, 0);
    if (!running()) return;
    mp->called.store(0, std::memory_order_relaxed);
    P* pp = mp->called_p;
    mp->called_p = nullptr;
    mp->next_g = mp->called_g;
    mp->called_g = nullptr;
    if (pp) acquire_p(mp, pp);
}

void call_m(M* mp) {
    mp->called.store(1, std::memory_order_release);  // C1
    kernel::futex_wake(&mp->called, 1);
}

}  // namespace

void m_begin(M* mp) {
    kernel::tls_set(mp);
    mp->tid = kernel::gettid();
    mp->eh = host_eh_globals(&mp->no_eh);
    mp->in_rt.store(1, std::memory_order_relaxed);
    fault_thread_init(&mp->fault);
}

void m_main(void* arg) {
    auto* mp = static_cast<M*>(arg);
    m_begin(mp);
    kernel::set_thread_name("gort-m");
    P* pp = mp->next_p;
    mp->next_p = nullptr;
    acquire_p(mp, pp);
    schedule_loop(mp);
    m_exit(mp);
}

void push_idle_p_locked(P* pp) {
    GORT_DCHECK(!pp->has_waiting() && !pp->runnext.load(std::memory_order_relaxed));
    // For who runs it next: armed, as arm_makers would do; it is not known yet what it will run.
    pp->wanted.store(kWakeOne, std::memory_order_relaxed);
    pp->sharing.grain.store(0, std::memory_order_relaxed);
    pp->next_idle = sched.pidle;
    sched.pidle = pp;
    sched.npidle.fetch_add(1, std::memory_order_relaxed);
}

P* pop_idle_p_locked() {
    P* pp = sched.pidle;
    if (!pp) return nullptr;
    sched.pidle = pp->next_idle;
    pp->next_idle = nullptr;
    sched.npidle.fetch_sub(1, std::memory_order_relaxed);
    if (sched.sysmon_rests) sysmon_wake_locked();
    return pp;
}

int64_t earliest_timer() {
    int64_t first = INT64_MAX;
    for (int i = 0, n = sched.nallp.load(std::memory_order_acquire); i < n; ++i) {
        const int64_t when = sched.allp[i]->timers.next_when.load(std::memory_order_relaxed);
        if (when < first) first = when;
    }
    return first;
}

// The memory of an M stays an M, and its gate_lock a lock: a thread that has read P::m may still try that lock when
// the M has gone. So a used one is set back field by field.
M* new_m(bool foreign) {
    sched.lock.lock();
    M* mp = sched.spare_ms;
    if (mp) {
        sched.spare_ms = mp->next_all;
        sched.lock.unlock();
        mp->in_rt.store(0, std::memory_order_relaxed);
        mp->is_m0 = mp->dying = mp->altered = false;
        mp->curg = nullptr;
        mp->g0 = {};
        mp->called.store(0, std::memory_order_relaxed);
        mp->next_p = mp->called_p = nullptr;
        mp->next_g = mp->called_g = mp->left_g = mp->locked_g = nullptr;
        mp->locked_sp = nullptr;
        mp->lock_depth = 0;
        mp->prev_all = nullptr;
        mp->others_poll = false;
        mp->lost_p.store(false, std::memory_order_relaxed);
        mp->note.clear();
        mp->pseudo.flags = 0;
    } else {
        sched.lock.unlock();
        if (!m_slab.alloc_many(&mp, 1)) kernel::fatal("out of memory for another M");
    }
    mp->foreign = foreign;
    kernel::LockGuard guard(sched.lock);
    mp->id = sched.next_m_id++;
    mp->epoch = sched.epoch.load(std::memory_order_relaxed);
    mp->next_all = sched.allm;
    if (sched.allm) sched.allm->prev_all = mp;
    sched.allm = mp;
    return mp;
}

void free_m(M* mp) {
    kernel::LockGuard guard(sched.lock);
    (mp->prev_all ? mp->prev_all->next_all : sched.allm) = mp->next_all;
    if (mp->next_all) mp->next_all->prev_all = mp->prev_all;
    mp->next_all = sched.spare_ms;
    sched.spare_ms = mp;
    if (!mp->foreign && mp->epoch == sched.epoch.load(std::memory_order_relaxed))
        sched.nm.fetch_sub(1, std::memory_order_relaxed);
}

// The thread's end: the P is left to be collected, the M's memory goes back.
void m_exit(M* mp) {
    if (p_of(mp)) {
        P* pp = release_p(mp);
        if (running()) start_m(pp);  // its locked goroutine ended; the run goes on
    }
    kernel::tls_set(nullptr);
    fault_thread_exit(&mp->fault);
    arch::context_destroy(&mp->g0);
    free_m(mp);
}

bool start_idle_m_locked(P* pp, G* first) {
    M* mp = pop_idle_m_locked();
    if (mp) wake_m(mp, pp, first);
    return mp != nullptr;
}

void stop_m(M* mp) {
    if (mp->locked_g || mp->is_m0) return wait_until_called(mp);
    mp->others_poll = false;
    sched.lock.lock();
    wait_for_p_locked(mp);
}

bool go_idle(M* mp) {
    sched.lock.lock();
    P* pp = p_of(mp);
    if (!running() || sched.runq.count || poll_pending() || !pp->open_to_all.empty() ||
        pp->attention.load(std::memory_order_relaxed)) {
        sched.lock.unlock();
        return running();
    }
    push_idle_p_locked(release_p(mp));
    if (sched.looking.load(std::memory_order_relaxed) == 0) arm_makers(kernel::nanotime());
    wait_for_p_locked(mp);
    if (!p_of(mp)) return false;
    // sysmon may have rested as well: what parks from here on has not waited since it did. Even: set_coarse_now.
    if (sysmon_has_thread())
        sched.coarse_now.store(kernel::nanotime() & ~int64_t{1}, std::memory_order_relaxed);
    return true;
}

void wake_one_locked() {
    if (!sched.pidle || !running()) return;
    M* mp = pop_idle_m_locked();
    if (!mp) {
        // Every M is busy or blocked: a new one, whose thread must not be made under the lock.
        if (!may_start_m_locked()) {
            sched.short_of_threads.store(true, std::memory_order_relaxed);
            return;
        }
        P* pp = pop_idle_p_locked();
        ++sched.starting;
        sched.lock.unlock();
        start_m(pp);
        sched.lock.lock();
        --sched.starting;
        return;
    }
    sched.wakes.fetch_add(1, std::memory_order_relaxed);
    wake_m(mp, pop_idle_p_locked(), nullptr);
}

void wake_one() {
    kernel::LockGuard guard(sched.lock);
    wake_one_locked();
}

// The timekeeper has enough to do, and M0 runs main only: rather another thread than one of these.
void wake_looker() {
    if (sched.npidle.load(std::memory_order_relaxed) == 0) return;
    sched.lock.lock();
    M* mp = running() && sched.pidle ? pop_idle_m_locked() : nullptr;
    if (mp && (mp == sched.timekeeper || mp->is_m0)) {
        push_idle_m_locked(mp);
        mp = nullptr;
    }
    if (!running() || !sched.pidle || (!mp && !may_make_m_locked())) return sched.lock.unlock();
    P* pp = pop_idle_p_locked();
    pp->sent_to_look = true;
    sched.wakes.fetch_add(1, std::memory_order_relaxed);
    if (mp) {
        wake_m(mp, pp, nullptr);
        return sched.lock.unlock();
    }
    ++sched.starting;
    sched.lock.unlock();
    start_another_m(pp);
    sched.lock.lock();
    --sched.starting;
    sched.lock.unlock();
}

void wake_m0() {
    kernel::LockGuard guard(sched.lock);
    M* mp = sched.m0;
    if (mp->in_midle) {
        remove_idle_m_locked(mp);
        wake_m(mp, nullptr, nullptr);
    }
    call_m(mp);
    if (!sysmon_has_thread()) sysmon_nudge();  // it may be M0
}

// M0 need not start a thread: sysmon's will do, if M0 watches instead.
static bool change_places(P* pp, G* first) {
    if (!count_one_more_m()) return false;
    kernel::LockGuard guard(sched.lock);
    if (sched.midle || !running() || !sysmon_to_work_locked(pp, first)) {
        sched.nm.fetch_sub(1, std::memory_order_relaxed);
        return false;
    }
    ++sched.starting;
    return true;
}

void hand_off_and_wait(M* mp, G* first) {
    P* pp = release_p(mp);
    if (mp->is_m0 && !mp->locked_g && !mp->altered && change_places(pp, first)) {
        sysmon_watch(mp);
    } else {
        start_m(pp, first);
    }
    wait_until_called(mp);
}

void m_of_sysmon(P* pp, G* first) {
    M* mp = new_m();
    mp->next_p = pp;
    mp->next_g = first;
    {
        kernel::LockGuard guard(sched.lock);
        --sched.starting;
    }
    m_main(mp);
}

// gp is locked to another M, which waits in wait_until_called, or is on its way there: the flag remembers.
void run_locked(M* mp, G* gp) {
    M* lm = gp->locked_m;
    lm->called_p = release_p(mp);
    lm->called_g = gp;
    call_m(lm);
    stop_m(mp);
}

// The run is over: everybody who sleeps looks up.
void wake_all_for_stop() {
    kernel::LockGuard guard(sched.lock);
    while (M* mp = sched.midle) {
        remove_idle_m_locked(mp);
        wake_m(mp, nullptr, nullptr);
    }
    for (M* mp = sched.allm; mp; mp = mp->next_all)
        if (!mp->foreign) call_m(mp);
}

}  // namespace gort::rt
