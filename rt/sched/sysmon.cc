// rt/sched/sysmon.cc - the monitor thread: wakes Ms for work that waits, takes Ps from goroutines that keep them too
// long.
// SPDX-License-Identifier: BSD-2-Clause
//
// WORK THAT WAITS is found by Ms that look for it (rt/sched/look.cc) and by makers, which the last one that goes to
// sleep has armed. What both miss is seen here: a queue where something waited at two looks, and that is worth a wake,
// has an M woken that looks. Makers are armed again here after a wake in vain. The looks follow each other after kFast
// when the last one led to something, after twice as long each time when not, up to kSlow.
// TIME SLICES. A P that picks nothing from its queues for kSlice while others want a P: if its goroutine is in user
// code the P is taken through the gate and another M goes on with it, else its M is asked to let runnext wait for once.
// A goroutine in gort::blocking is in user code that said so: two looks are enough.
// One whose thread sleeps in a system call and said nothing loses its P earlier: rt/sched/retake.h.
// If no thread can be had for it (rt/sched/threads.cc), the P stays where it is, and its M is only asked.
// MEMORY of stacks that nobody uses goes back meanwhile: rt/sched/trim.h.
// REST. When all Ps are idle and nobody runs without one, it sleeps until somebody takes an idle P: no wake-ups, but a
// few for the memory that can be given back then.
// WHO. Nobody, as long as main is the only goroutine, no timer runs and no other thread has called in: then there is
// nothing to see, and a program that starts, does something and ends needs no second thread. Whoever changes that calls
// left_behind, attach_foreign or lock_os_thread, and those sysmon_ensure. From then on a thread of its own; until M0,
// which runs main only, has to hand its P over while no M is idle: instead of making one it takes the watch and sends
// that thread to work. M0 then watches until the run ends. After its first sleep, whoever it is makes the Ps of a run
// that was not told how many to have (rt/sched/procs.cc): a small program has ended before.
// Context: whoever it is has no P; so it readies through the global queue and runs no timers itself.
#include "kernel/futex.h"
#include "kernel/signal.h"
#include "kernel/thread.h"
#include "rt/time/clock.h"
#include "rt/host.h"
#include "rt/sched/judge.h"
#include "rt/sched/look.h"
#include "rt/sched/park.h"
#include "rt/base/report.h"
#include "rt/base/sim_seam.h"
#include "rt/sched/retake.h"
#include "rt/sched/trim.h"
#include "rt/trace/stall.h"

namespace gort::rt {

namespace {

constexpr int64_t kFast = 25'000;
constexpr int64_t kSlow = 5'000'000;
constexpr int64_t kBesideIdle =
    1'000'000;  // with a P that has nothing to do, for as long as work begins to wait
constexpr int64_t kStuck =
    4'000'000;  // no decision for so long: what waits there is served even beside busy CPUs
constexpr int64_t kSlice = 10'000'000;
constexpr int64_t kLate = 200'000;
// so that a process with a ticker does not stop and start it each time
constexpr int64_t kRestAfter = 12'000'000;
constexpr int64_t kSuspectFirst = 1'000'000, kSuspectMost = 60'000'000'000;
constexpr int64_t kPollIdle = 100'000, kPollBusy = 4'000'000, kPollWatch = 500'000;
constexpr int kPrSetTimerslack = 29, kPrGetTimerslack = 30;

enum class Who : uint32_t { kNobody, kThread, kM0 };
std::atomic<Who> who{Who::kNobody};  // written under sched.lock

std::atomic<uint32_t> word{0};  // futex: counts reasons to look up
// futex: 1 while the thread is there, or being made. W2: its last release to the acquire of who goes on with its notes
std::atomic<uint32_t> alive{0};
std::atomic<bool> made{false};  // it counts among the process's threads
std::atomic<bool> quit{false};
std::atomic<int> tid{0};
int first_tid = 0;                    // of the thread that called run or start,
kernel::SignalSet first_signals = 0;  // and what it had blocked
bool foreign_made = false;            // the thread was, by one of the program's own

// What the thread is to do when M0 has taken the watch.
std::atomic<bool> relieved{false};
P* work_p = nullptr;
G* work_g = nullptr;

// m0: who asks, or null for the thread.
bool over(const M* m0) {
    if (quit.load(std::memory_order_acquire)) return true;
    return m0 ? m0->called.load(std::memory_order_acquire) != 0 : relieved.load(std::memory_order_acquire);
}

bool others_want_a_p(const P* pp) {
    return pp->has_waiting() || pp->runnext.load(std::memory_order_relaxed) ||
           sched.runq_size.load(std::memory_order_relaxed) ||
           sched.poll_waiters.load(std::memory_order_relaxed) || earliest_timer() != INT64_MAX;
}

// What cannot wait for the end of a time slice.
bool wanted_now(const P* pp, int64_t now) {
    return pp->has_waiting() || pp->runnext.load(std::memory_order_relaxed) ||
           sched.runq_size.load(std::memory_order_relaxed) ||
           sched.poll_waiters.load(std::memory_order_relaxed) || earliest_timer() <= now;
}

// sleeps: in a system call, and said nothing.
bool retake(P* pp, int64_t now, bool sleeps) {
    if (!may_start_m()) {
        pp->attention.fetch_or(kAskPreempt, std::memory_order_release);  // if it is inside, that will do
        return false;
    }
    M* holder;
    if (take(pp, &holder, sleeps ? 0 : kAskPreempt) != Taken::kYes) return false;
    note_retake(pp, holder, now);
    keep(pp, holder);
    sched.retakes.fetch_add(1, std::memory_order_relaxed);
    start_m(pp);
    return true;
}

// Every P has work, now and at the last look: one that an M holds which only looks for work is as good as idle.
bool no_p_to_spare() {
    static bool before = false;
    const bool was = before;
    before = sched.npidle.load(std::memory_order_relaxed) == 0 &&
             sched.looking.load(std::memory_order_relaxed) == 0;
    return before && was;
}

// Its decisions since the last look, as a measure of its grain.
void measure(P* pp, int64_t now) {
    const uint64_t picks = pp->picks(), created = pp->created.load(std::memory_order_relaxed);
    const int64_t elapsed = now - pp->seen_when;
    if (elapsed < kFast / 2) return;
    note_grain(pp, elapsed, picks - pp->seen_picks, created - pp->seen_created);
    if (picks == pp->seen_picks && created == pp->seen_created) return;
    pp->seen_picks = picks;
    pp->seen_created = created;
    pp->seen_when = now;
}

bool enough_at_work() {
    const int working =
        sched.nprocs.load(std::memory_order_relaxed) - sched.npidle.load(std::memory_order_relaxed);
    return working >= sched.ncpu;
}

// One look at one P; true if it led to anything.
bool look_at(P* pp, int64_t now, bool all_busy, int64_t* again) {
    const bool late = deadline_after(earliest_timer(), kLate) <= now;
    if (!pp->m.load(std::memory_order_acquire)) {
        pp->seen_queue = pp->blocking_seen = false;
        pp->seen_when = now;
        pp->seen_picks = pp->picks();
        return false;
    }
    bool acted = false;
    const uint32_t tick = pp->runq.head() + pp->fresh.popped();
    if (tick != pp->seen_tick) {
        pp->seen_tick = tick;
        pp->tick_since = now;
    }
    const uint64_t turn = pp->turn();
    const bool same_turn = turn == pp->seen_turn;
    if (!same_turn) pp->turn_since = now;
    pp->seen_turn = turn;
    measure(pp, now);
    const bool queue = pp->has_waiting() || (same_turn && pp->runnext.load(std::memory_order_relaxed));
    const bool blocking = pp->blocking.load(std::memory_order_relaxed);
    if (queue && (pp->seen_queue || blocking) && sched.npidle.load(std::memory_order_relaxed) > 0 &&
        sched.looking.load(std::memory_order_relaxed) == 0 && worth_a_wake(pp, now) &&
        ((!enough_at_work() && now >= sched.wake_after.load(std::memory_order_relaxed)) ||
         now - pp->turn_since >= kStuck)) {
        acted = true;
        wake_looker();
    }
    // Something has begun to wait: the second look comes soon.
    if (queue && !pp->seen_queue && sched.npidle.load(std::memory_order_relaxed) > 0 && worth_a_wake(pp, now))
        acted = true;
    pp->seen_queue = queue;
    if ((blocking && pp->blocking_seen) || now - pp->tick_since >= kSlice) {
        if (all_busy && others_want_a_p(pp) && retake(pp, now, false)) acted = true;
        if (!blocking) pp->tick_since = now;
    } else if (all_busy && !blocking && wanted_now(pp, now) && sleeps_in_a_call(pp, now, late, again) &&
               retake(pp, now, true)) {
        acted = true;
    }
    pp->blocking_seen = blocking;
    return acted;
}

bool all_idle() {
    return sched.npidle.load(std::memory_order_relaxed) == sched.nprocs.load(std::memory_order_relaxed) &&
           detached() == 0 && !sched.short_of_threads.load(std::memory_order_relaxed);
}

void set_coarse_now(int64_t now) { sched.coarse_now.store(now & ~int64_t{1}, std::memory_order_relaxed); }

// Until somebody takes an idle P. While a deadlock is suspected, with a look at it now and then.
void rest(const M* m0) {
    int64_t look = kSuspectFirst;
    for (bool rests = true; rests;) {
        const uint32_t seen = word.load(std::memory_order_acquire);
        const int64_t now = rt::now(), trim = trim_tick(now, true);
        sched.lock.lock();
        if (sched.suspected) check_deadlock_locked();
        sched.sysmon_rests = rests = all_idle() && !over(m0);
        const bool suspected = sched.suspected;
        sched.lock.unlock();
        if (!rests) return;
        int64_t sleep = suspected ? look : -1;
        if (trim != kForever && (sleep < 0 || trim - now < sleep)) sleep = trim - now;
        const bool nudged = kernel::futex_wait(&word, seen, sleep) != -ETIMEDOUT;
        sched.lock.lock();
        sched.sysmon_rests = false;
        rests = (sched.suspected || !nudged) && all_idle();
        sched.lock.unlock();
        if (!nudged && sleep != look) continue;
        look = look * 2 < kSuspectMost ? look * 2 : kSuspectMost;
    }
}

// What rest() does, for one that never rests.
void look_for_deadlock() {
    kernel::LockGuard guard(sched.lock);
    if (sched.suspected) check_deadlock_locked();
}

// When the earliest timer is ours to serve: if an idle M sleeps until then, only when that one is late.
int64_t our_timer() {
    const int64_t until = earliest_timer();
    const bool kept = sched.timekeeper_until.load(std::memory_order_relaxed) <= until;
    return deadline_after(until, kept ? kLate : 0);
}

// An idle P, and a timer that is due although nobody sleeps for it.
bool serve_timers(int64_t now) {
    if (sched.npidle.load(std::memory_order_relaxed) == 0 || our_timer() > now) return false;
    wake_one();
    return true;
}

// Goroutines wait for descriptors, and whoever is at work is to look at them when that is done.
bool nobody_polls() {
    return sched.poll_waiters.load(std::memory_order_relaxed) &&
           !sched.poller.load(std::memory_order_relaxed) && !all_idle();
}

// Goroutines wait for descriptors, nobody sleeps in the poller, and nobody has asked it for a while.
bool serve_poll(int64_t now) {
    static uint64_t seen;
    static int64_t since;
    const uint64_t polls = sched.polls.load(std::memory_order_relaxed);
    if (polls != seen || !sched.poll_waiters.load(std::memory_order_relaxed)) {
        seen = polls;
        since = now;
        return false;
    }
    const bool idle_p = sched.npidle.load(std::memory_order_relaxed) > 0;
    if (now - since < (idle_p ? kPollIdle : kPollBusy)) return false;
    {
        kernel::LockGuard guard(sched.lock);
        if (sched.poller.load(std::memory_order_relaxed)) return false;
        sched.polled_by.store(nullptr, std::memory_order_relaxed);
        if (idle_p) wake_one_locked();
    }
    if (!idle_p)
        for (int i = 0, n = sched.nallp.load(std::memory_order_acquire); i < n; ++i)
            sched.allp[i]->attention.fetch_or(kAskPoll, std::memory_order_release);
    since = now;
    return true;
}

void watch(const M* m0) {
    tid.store(kernel::gettid(), std::memory_order_relaxed);
    kernel::sys_prctl(kPrSetTimerslack, 1);
    int64_t delay = kFast;
    int64_t quiet_since = 0;
    int64_t trim = kForever, again = kForever;  // again: when to look at who sleeps
    while (!over(m0)) {
        // before the look at what a nudge may be about
        const uint32_t seen = word.load(std::memory_order_acquire);
        start_births();
        int64_t now = rt::now();
        const int64_t trace = schedtrace_tick(now);
        const int64_t stall = stall_tick(now);
        if (all_idle() && sched.config.schedtrace_ms != 0) {
            look_for_deadlock();
        } else if (all_idle()) {
            if (!quiet_since) quiet_since = now;
            if (now - quiet_since > kRestAfter) {
                rest(m0);
                trim_resume();
                quiet_since = 0;
                delay = kFast;
                continue;
            }
            delay = kSlow;
        } else {
            quiet_since = 0;
        }
        if (delay > longest_watch_sleep()) delay = longest_watch_sleep();
        int64_t sleep = delay;
        if (sched.npidle.load(std::memory_order_relaxed) > 0) {
            const int64_t until = our_timer();
            if (until != INT64_MAX && until - now < sleep) sleep = until - now < kFast ? kFast : until - now;
            if (sleep > kPollWatch && nobody_polls()) sleep = kPollWatch;
        }
        if (trace - now < sleep) sleep = trace - now;
        if (stall - now < sleep) sleep = stall - now;
        if (again - now < sleep) sleep = again - now < kFast ? kFast : again - now;
        if (trim - now < sleep) sleep = trim - now < kFast ? kFast : trim - now;
        const bool nudged = kernel::futex_wait(&word, seen, sleep) != -ETIMEDOUT;
        if (over(m0)) break;
        while (!settle_procs(nullptr)) kernel::sys_sched_yield();
        now = rt::now();
        set_coarse_now(now);
        follow_procs(now, first_tid);

        bool acted = false;
        const bool all_busy = no_p_to_spare();
        again = kForever;
        judge_retakes(now, &again);
        for (int i = 0, n = sched.nallp.load(std::memory_order_acquire); i < n; ++i)
            acted |= look_at(sched.allp[i], now, all_busy, &again);
        end_shortage();
        acted |= serve_timers(now);
        acted |= ask_for_what_is_late(now);
        acted |= serve_poll(now);
        trim = trim_tick(now, false);
        if (sched.npidle.load(std::memory_order_relaxed) > 0 &&
            sched.looking.load(std::memory_order_relaxed) == 0)
            arm_makers(now);
        const int64_t most = sched.npidle.load(std::memory_order_relaxed) > 0 ? kBesideIdle : kSlow;
        delay = acted || nudged ? kFast : delay * 2 < most ? delay * 2 : most;
    }
    tid.store(0, std::memory_order_relaxed);
}

// A new thread takes over its maker's signal mask, CPUs, priority and more. The program's own threads may have changed
// theirs, and all Ms would inherit it.
void be_like_the_first() {
    constexpr size_t kWords = 128;
    uint64_t cpus[kWords];
    kernel::set_signal_mask(first_signals, nullptr);
    const int size = kernel::sys_sched_getaffinity(first_tid, sizeof cpus, cpus);
    if (size > 0) kernel::sys_sched_setaffinity(0, static_cast<size_t>(size), cpus);
    // Who may not raise his priority stays below.
    kernel::SchedAttr attr;
    if (kernel::sys_sched_getattr(first_tid, &attr) == 0) kernel::sys_sched_setattr(0, &attr);
}

void thread_main(void*) {
    made.store(true, std::memory_order_relaxed);
    if (foreign_made) be_like_the_first();
    if (!over(nullptr)) {
        kernel::set_thread_name("gort-sysmon");
        watch(nullptr);
    }
    const bool works = relieved.load(std::memory_order_acquire);
    P* pp = work_p;
    G* gp = work_g;
    alive.store(0, std::memory_order_release);  // W2
    kernel::futex_wake(&alive, 1);
    if (!works) return;
    kernel::sys_prctl(kPrSetTimerslack, 0);  // what it was
    m_of_sysmon(pp, gp);
}

}  // namespace

void sysmon_nudge() {
    word.fetch_add(1, std::memory_order_release);
    kernel::futex_wake(&word, 1);
}

bool on_sysmon() { return tid.load(std::memory_order_relaxed) == kernel::gettid(); }

void sysmon_begin() {
    quit.store(false, std::memory_order_relaxed);
    relieved.store(false, std::memory_order_relaxed);
    made.store(false, std::memory_order_relaxed);
    who.store(Who::kNobody, std::memory_order_relaxed);
    first_tid = kernel::gettid();
    kernel::block_signals(0, &first_signals);
    sched.coarse_now.store(0, std::memory_order_relaxed);  // unknown
    sched.wake_after.store(0, std::memory_order_relaxed);
    sched.wake_pause.store(0, std::memory_order_relaxed);
    trim_begin();
    retakes_begin();
}

void sysmon_ensure() {
    if (simulation()) return;
    if (who.load(std::memory_order_relaxed) != Who::kNobody) return;
    {
        kernel::LockGuard guard(sched.lock);
        if (who.load(std::memory_order_relaxed) != Who::kNobody) return;
        if (sched.state.load(std::memory_order_relaxed) != RunState::kRunning) return;
        who.store(Who::kThread, std::memory_order_relaxed);
        alive.store(1, std::memory_order_relaxed);
    }
    set_coarse_now(rt::now());
    const M* me = self();
    foreign_made = me && me->foreign;
    static HostStart start{thread_main, nullptr};
    start_monitor(&start);
}

bool sysmon_has_thread() {
    return who.load(std::memory_order_relaxed) == Who::kThread && made.load(std::memory_order_relaxed);
}

bool sysmon_to_work_locked(P* pp, G* first) {
    if (who.load(std::memory_order_relaxed) != Who::kThread) return false;
    who.store(Who::kM0, std::memory_order_relaxed);
    work_p = pp;
    work_g = first;
    relieved.store(true, std::memory_order_release);
    return true;
}

void sysmon_watch(M* m0) {
    sysmon_nudge();
    // It may be in the middle of a look, or not have begun yet.
    while (alive.load(std::memory_order_acquire)) {  // W2
        if (over(m0)) return;
        kernel::futex_wait(&word, word.load(std::memory_order_acquire), kFast);
    }
    const int slack = kernel::sys_prctl(kPrGetTimerslack);
    watch(m0);
    if (slack > 0) kernel::sys_prctl(kPrSetTimerslack, static_cast<unsigned long>(slack));
}

void sysmon_stop() {
    if (who.load(std::memory_order_relaxed) == Who::kThread) {
        quit.store(true, std::memory_order_release);
        sysmon_nudge();
    }
    while (alive.load(std::memory_order_acquire)) kernel::futex_wait(&alive, 1);
    start_births();  // those of before the end began: they are counted, and end at once
}

void sysmon_forget() {
    who.store(Who::kNobody, std::memory_order_relaxed);
    alive.store(0, std::memory_order_relaxed);
    made.store(false, std::memory_order_relaxed);
    tid.store(0, std::memory_order_relaxed);
}

void sysmon_wake_locked() {
    sched.sysmon_rests = false;
    sysmon_nudge();
}

}  // namespace gort::rt
