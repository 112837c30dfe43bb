// rt/sched/sched.h - the scheduler's global state, and what the files of rt/sched offer to each other and to others.
// SPDX-License-Identifier: BSD-2-Clause
//
// LIFE OF A GOROUTINE
//   go f          spawn.cc: a G from the P's magazine, the callable inside it, into runnext. No stack.
//   first run     pick_next takes it; the goroutine that just ended hands over its stack in place, else a warm one
//   parks         park.cc: picks the next G itself and switches to it; nobody runs on g0 while there is work
//   is readied    runnext of the waker's P
//   moves         look.cc: an M without work takes what another P makes public (share.h)
//   ends          spawn.cc: goroutine_entry looks at what is next before it gives up the stack
//
// WHO WAKES AN M. An M without work looks for some itself before it sleeps (look.cc). When the last one goes to sleep
// it arms the Ps at work: the next who leaves work behind there wakes an M, if what waits is worth a wake and waking
// has not been in vain lately (left_behind). Stores and loads may pass each other there, so sysmon.cc looks once more,
// a few milliseconds later at most. Work without a P (from foreign threads, the poller, timers) wakes an M at once.
//
// Invariants: (1) idle Ps have empty queues. (2) an M goes idle, and work reaches the global queue, under
//             sched.lock: so no wake-up is lost. (3) while some P is idle and some other runs, sysmon is awake or
//             will wake within 10 ms.
// Lock order: kernel/lock_rank.h: sched.lock, then gate locks, then stacks.
#pragma once

#include "kernel/fatal.h"
#include "kernel/lock.h"
#include "rt/own/gate.h"

namespace gort::rt {

// Where for_some_gs has got to.
struct GCursor {
    const void* chunk = nullptr;
    uint32_t index = 0;
};

struct Config {
    int max_procs = 0;  // 0: as many as CPUs
    int max_threads = 10000;
    size_t stack_size = 256 << 10;  // reserved address space for each goroutine
    bool stack_tiers = true;        // and more, as long as stacks are few
    uint64_t seed = 0;              // 0: random
    int64_t schedtrace_ms = 0;      // 0: no trace
    bool schedtrace_detail = false;
    bool sigquit = true;
    int num_cpu = 1;
};

// What the scheduler asks of rt/net/netpoll.cc; a table, so that programs without descriptors are linked without it.
struct PollHooks {
    // [P's holder] readies what is ready, in pp's queue; how many. look: also if nothing is pending
    int (*take)(P* pp, bool look);
    // [sched.poller] sleeps for up to ns; < 0: for ever. What comes is pending until a take
    void (*wait)(int64_t ns);
    void (*wake)();     // ends a wait
    bool (*pending)();  // has wait got something that no take has taken?
    void (*end)();      // the run is over
    void (*forked)();   // this is a child whose parent had no run: its epoll is the parent's
};

// A number that one thread now and then writes, and others look at.
class Glanced {
public:
    // NOLINTNEXTLINE(google-explicit-constructor)
    operator int() const { return n_.load(std::memory_order_relaxed); }
    void operator=(int n) { n_.store(n, std::memory_order_relaxed); }

private:
    std::atomic<int> n_{1};
};

enum class RunState : uint32_t { kStopped, kStarting, kRunning, kStopping };

struct Sched {
    kernel::CountedMutex lock{kernel::LockRank::kSched};
    // --- under lock
    GList runq GORT_GUARDED_BY(lock);  // the global queue
    P* pidle GORT_GUARDED_BY(lock) = nullptr;
    M* midle GORT_GUARDED_BY(lock) = nullptr;
    M* allm GORT_GUARDED_BY(lock) = nullptr;
    M* timekeeper GORT_GUARDED_BY(lock) = nullptr;  // the idle M that sleeps until the earliest timer
    int midle_count GORT_GUARDED_BY(lock) = 0;
    bool sysmon_rests GORT_GUARDED_BY(lock) = false;  // it sleeps until somebody takes an idle P
    uint64_t next_m_id GORT_GUARDED_BY(lock) = 0;
    M* spare_ms GORT_GUARDED_BY(lock) = nullptr;   // linked through next_all
    bool suspected GORT_GUARDED_BY(lock) = false;  // a deadlock, but for threads that we do not know
    M* births GORT_GUARDED_BY(lock) = nullptr;  // whose threads sysmon is to make; linked through next_idle
    int64_t retry_pause GORT_GUARDED_BY(lock) =
        0;                                   // threads.cc: before the next try; 0: the last one went well
    int starting GORT_GUARDED_BY(lock) = 0;  // Ps in hand for Ms that are not in allm yet

    // --- written under lock, read anywhere
    std::atomic<M*> poller{nullptr};  // the idle M that sleeps in the poller
    std::atomic<uint32_t> runq_size{0};
    std::atomic<int> npidle{0};
    std::atomic<int> nprocs{0};  // Ps that are not retired
    std::atomic<int> nallp{0};   // entries of allp
    // the run was not told how many Ps to have, and has one until somebody asks: settle_procs. Of procs.cc, not of lock
    std::atomic<bool> unsettled{false};
    std::atomic<bool> follows{false};  // nobody has said how many Ps: rt/sched/procs.cc, follow_procs
    std::atomic<int> nm{0};            // Ms of this run that exist
    std::atomic<bool> short_of_threads{false};  // one could not be made lately: threads.cc
    std::atomic<int64_t> retry_when{0};         // not before; 0: at once
    std::atomic<RunState> state{RunState::kStopped};
    std::atomic<uint64_t> epoch{0};  // counts run() and start()

    // --- atomics
    std::atomic<int> foreign{0};        // attached foreign threads
    std::atomic<int> poll_waiters{0};   // goroutines blocked on descriptors
    std::atomic<int64_t> line_ns{100};  // what it costs to read a line that another CPU has written
    std::atomic<int> looking{0};        // Ms that look for work: rt/sched/look.cc
    // When makers may be armed again, and how long it will be after the next wake in vain
    std::atomic<int64_t> wake_after{0}, wake_pause{0};
    std::atomic<int64_t> timekeeper_until{INT64_MAX};  // written under lock
    std::atomic<int64_t> coarse_now{0};                // a recent clock reading, for "waits since"; even
    std::atomic<uint64_t> next_goid{2};                // 1 is main
    std::atomic<uint64_t> foreign_created{0};
    std::atomic<int> max_threads{10000};
    std::atomic<M*> polled_by{nullptr};  // who looked at the descriptors last, and when; not kept at P=1
    std::atomic<int64_t> polled_when{0};
    std::atomic<uint64_t> retakes{0}, wakes{0}, sleeps{0}, polls{0};

    std::atomic<const PollHooks*> poll_hooks{nullptr};  // set by rt/net/netpoll.cc with the first descriptor

    // --- set by chan/store.cc once there are channels
    std::atomic<void (*)(G*)> abandon{nullptr};  // gp will never run again: unlinks it from what it waits on
    // a foreign thread's wait ends: the same; false if somebody is about to wake it
    std::atomic<bool (*)(M*, G*)> give_up{nullptr};

    // --- set by chan/time.cc once there are channels with timers
    // [all Ps idle] it is a channel's, and nobody waits there
    std::atomic<bool (*)(const Timer*)> wakes_nobody{nullptr};

    // --- constant after start
    P* allp[kMaxProcs] = {};
    Config config;
    bool has_main = false;             // run(), not start(): deadlock is detected
    std::atomic<bool> stopped{false};  // stop() has returned, or is about to, and no other run has begun
    int stack_class = 0;
    Glanced ncpu;  // CPUs of the affinity mask: from time to time another number (follow_procs)
    int64_t started = 0;
    M* m0 = nullptr;
    std::atomic<G*> main_g{nullptr};
    std::atomic<bool> main_done{false};
};
extern Sched sched;

// Goroutines of this run that run on without a P. What is written of the run is written under lock.
inline uint32_t detached() {
    return detail::g_strays.load(std::memory_order_relaxed) % detail::kStrayElsewhere;
}

inline bool running() { return sched.state.load(std::memory_order_acquire) == RunState::kRunning; }

// --- schedule.cc
void schedule_loop(M* mp);  // an M's life on its own stack, until its thread is to end
G* find_runnable(M* mp);    // null: the M must look at itself again
void execute(M* mp, G* gp);
void put_global(G* gp);  // any thread; wakes an M if a P is idle
void put_global_locked(G* gp) GORT_REQUIRES(sched.lock);
void put_global_list(GList* list);

// --- mach.cc
M* new_m(bool foreign = false);
void free_m(M* mp);
void m_begin(M* mp);   // [its thread] from here on the thread is that M, inside the gate
void m_main(void* m);  // a thread's life as an M
bool start_idle_m_locked(P* pp, G* first) GORT_REQUIRES(sched.lock);  // false: there is none
void m_of_sysmon(P* pp, G* first);                                    // its thread's life as an M
void stop_m(M* mp);  // no P: sleeps until somebody hands one over, or the run ends
// gives the P up and sleeps; false: the M must look at itself again
bool go_idle(M* mp);
void hand_off_and_wait(M* mp, G* first);  // locked M or M0: another M goes on, until ours is wanted
void run_locked(M* mp, G* gp);            // gp may run on its own M only: hand the P to that
void wake_one();                          // an idle P and an M for it, if there are both
void wake_looker();                       // the same, to look for work
void wake_one_locked() GORT_REQUIRES(sched.lock);
void wake_all_for_stop();
void wake_m0();  // main has returned
void m_exit(M* mp);
P* pop_idle_p_locked() GORT_REQUIRES(sched.lock);  // or null; sysmon learns of it
void push_idle_p_locked(P* pp) GORT_REQUIRES(sched.lock);
int64_t earliest_timer();

// --- threads.cc
// An idle or new M runs pp, `first` at once. If no thread can be had, pp goes to the idle ones and its work to all.
void start_m(P* pp, G* first = nullptr);
void start_another_m(P* pp);  // the same by a new thread, whoever is idle
int start_thread_of(M* mp);   // 0 or -errno
bool count_one_more_m();      // false: there are as many as may be
void start_births();          // [sysmon] the threads that others may not make
bool may_start_m();           // a guess: is there an idle M, or can one be made?
bool may_start_m_locked() GORT_REQUIRES(sched.lock);
bool may_make_m_locked() GORT_REQUIRES(sched.lock);  // without an idle M
void end_shortage();  // [sysmon, now and then] tries what could not be done for want of threads
void start_monitor(struct HostStart* start);  // sysmon's thread

// --- spawn.cc
// [goroutine that has just begun, inside] Runs what it is there for, its locals' destructors and what else its end asks
// for, but for its G and its stack. Returns inside, with the M that it ends on.
M* run_to_its_end(M* mp);
void put_foreign(G* gp);  // a new one, to the global queue; frees it when the run is over
[[gnu::noinline]] void give_stack(M* mp, G* gp);  // gp is fresh: a stack, ready to be switched to
void check_canary(G* gp);                         // gp has just left its stack
// [G or foreign thread, outside the gate] or gp will never run again
void end_locals(G* gp, bool destroy);
uint64_t next_goid(P* pp);
// A goroutine for the runtime's own callbacks, from inside the gate: invoke finds arg in its storage. Not under a lock.
void spawn_inside(M* mp, void (*invoke)(void* storage), void* arg, const Site& site);

// --- free_list.cc; what is inlined of it: free_list.h
kernel::CountedMutex::Counts depot_lock_counts();
G* alloc_g_foreign();
void free_g_foreign(G* gp);
void flush_p_caches(P* pp);
void give_stacks_back(P* pp);                       // [pp's holder, on g0] those that it keeps, to the pool
void free_abandoned_g(G* gp);                       // its stack is at rest and nobody will resume it
void free_abandoned_gs();                           // of a run that has ended
void for_each_g(void (*fn)(G*, void*), void* arg);  // all but free ones; status by observed_status
// The next `most` Gs from *at on, free ones too, until fn says false: that one comes first the next time. False: there
// are no more. *at begins as {}.
bool for_some_gs(GCursor* at, uint32_t most, bool (*fn)(G*));
GStatus observed_status(const G* gp);  // tells running from runnable: whether it is some M's curg

// --- procs.cc
kernel::CountedMutex::Counts procs_lock_counts();
P* new_p(uint32_t index);
// False: somebody else is at it; leave the gate and try again. mp is inside, or null: no M
bool set_procs(M* mp, int n, int* before);
bool settle_procs(M* mp);  // sched.unsettled no more
void follow_procs(int64_t now, int first_tid);
void retire_p(M* mp);             // kAskRelease
void retire_loose_p(P* pp);       // the same for one that no M has
void take_all(P* pp, GList* to);  // of what is queued; pp is the caller's

// --- deadlock.cc
void deadlock_init();
void check_deadlock_locked() GORT_REQUIRES(sched.lock);  // an M has gone idle, a foreign thread has gone

// --- stats.cc
void stats_begin();  // a run begins: counters start at 0

// --- schedtrace.cc
int64_t schedtrace_tick(int64_t now);  // prints if it is time; when to come again
void schedtrace_last();                // the process dies: in detail, if traces were asked for

// --- sysmon.cc
void sysmon_begin();  // a run begins, without it
// something may have to be seen from now on: starts it unless it is there. Not under sched.lock
void sysmon_ensure();
void sysmon_stop();
void sysmon_forget();      // [a forked child] its thread is the parent's
bool sysmon_has_thread();  // besides the Ms'
// M0 takes the watch: its thread is to be an M that runs pp, first of all `first`. False: it has none.
bool sysmon_to_work_locked(P* pp, G* first) GORT_REQUIRES(sched.lock);
void sysmon_watch(M* m0);                             // then; until M0 is called
void sysmon_wake_locked() GORT_REQUIRES(sched.lock);  // an idle P was taken while it rested
void sysmon_nudge();
bool on_sysmon();  // is this its thread

// --- look.cc
// mp's P is `wanted`, and something waits there: for a looker, or to have one woken.
[[gnu::noinline]] void left_behind(M* mp);

// --- late.cc
bool ask_for_what_is_late(int64_t now);  // [sysmon] true if somebody was
int64_t longest_watch_sleep();           // [sysmon] while something is late

// --- timers (rt/time/timers.h) of whoever is inside the gate

// Where it starts them: on its P; a thread of the program's own has none.
inline Timers* timers_of(M* mp) {
    P* pp = p_of(mp);
    return pp ? &pp->timers : &sched.allp[0]->timers;
}
void timer_hurry(M* mp);  // sleep.cc: one became the earliest of its heap

// Descriptors' events into pp's queue; how many. pp is the caller's.
// Also when nobody waits any more: as long as something is pending no M goes idle.
inline int poll_take(P* pp, bool look) {
    const PollHooks* hooks = sched.poll_hooks.load(std::memory_order_acquire);
    if (!hooks || (!sched.poll_waiters.load(std::memory_order_relaxed) && !hooks->pending())) return 0;
    return hooks->take(pp, look);
}
inline bool poll_pending() {
    const PollHooks* hooks = sched.poll_hooks.load(std::memory_order_acquire);
    return hooks && hooks->pending();
}

// Half of what waits, the oldest first, goes to `to`, at most `most`: those that have run only if those_that_ran, and
// of those that have not only what one goroutine spawned, the largest pieces of work.
void take_half(P* pp, GList* to, uint32_t most, bool those_that_ran);

// The next G of this P, or null. runnext inherits the time slice.
[[gnu::always_inline]] inline G* pick_next(P* pp) {
    if (G* gp = pp->take_runnext()) return gp;
    if (G* gp = pp->take_fresh()) return gp;
    return pp->runq.pop();
}

// --- the switch (here because it is inlined into the few places that block)

[[gnu::always_inline]] inline void run_commit(M* mp) {
    if (CommitFn fn = mp->commit_fn) {
        mp->commit_fn = nullptr;
        fn(mp->commit_arg, mp->commit_g);
    }
}

// a look around from here: if there is nothing to see, the count begins anew
[[gnu::noinline]] bool nothing_around(P* pp);

// What stops the direct way from one G to the next: the P wants to look around (every kGlobalEvery-th time, or asked);
// the G may not be left so (locked, main on M0, guarded by a canary); exception state to be saved. Then g0 does it, for
// here the caller may still hold the lock that its commit releases.
[[gnu::always_inline]] inline bool must_look_up(const M* mp, P* pp, const G* gp) {
    const EhGlobals* eh = mp->eh;
    if (pp->attention.load(std::memory_order_relaxed) | (gp->flags & kGLeaveByG0)) [[unlikely]]
        return true;
    return (reinterpret_cast<uintptr_t>(eh->caught) | eh->uncaught) != 0;
}
[[gnu::always_inline]] inline bool must_use_g0(const M* mp, P* pp, const G* gp) {
    if (must_look_up(mp, pp, gp)) [[unlikely]]
        return true;
    return pp->until_look() <= 0 && !nothing_around(pp);
}

// THE RETURN OF A FUNCTION THAT BLOCKED. arch::return_by_jump tells why it may cost more than the switch itself. Such a
// function marks where it was called from before it parks:
//      mark_return(mp);
//      mp = park(...);
//      return returns_in_step(mp) ? value : return_by_jump(value);  // asked before anything else can switch
// That is written out, since GCC makes a call of it where a struct goes through one function more
// (tests/arch_elf_test.sh).
// Was the goroutine that was left last in a call from the same place as the function that asks?
[[gnu::always_inline]] inline void mark_return(M* mp) { mp->left_from = arch::return_site(); }
[[gnu::always_inline]] inline bool returns_in_step(const M* mp) {
    return mp->left_from == arch::return_site();
}

[[gnu::noinline]] M* switch_to_g0(M* mp, G* gp, G* next);  // next: picked already, or null

// [debug builds] What must hold before gp is left: the M is inside the gate with a P, and gp is what it runs.
[[gnu::always_inline]] inline void check_before_switch(const M* mp, const G* gp) {
    GORT_DCHECK(mp == self() && mp->in_rt.load(std::memory_order_relaxed) == 1);
    GORT_DCHECK(mp->p && !mp->foreign && mp->curg == gp && gp->stack);
}

// From gp straight to next. Returns when gp is resumed, with the M it then runs on.
// A G that is fresh, or whose handle is hidden (G's invariant 2b), has no sp: that is the slow way's. So is a fresh one
// for which a batch of stacks must be made first, while others wait for the lock that the commit releases.
[[gnu::always_inline]] inline M* switch_to_g(M* mp, G* gp, G* next) {
    check_before_switch(mp, gp);
    GORT_DCHECK(next != gp && next->status.load(std::memory_order_relaxed) == GStatus::kRunnable);
    void* sp = handle_of(next);
    if (!sp) [[unlikely]] {
        if (next->stack || (mp->commit_fn && !p_of(mp)->stacks)) return switch_to_g0(mp, gp, next);
        give_stack(mp, next);
        sp = next->ctx.sp;
    }
    mp->curg = next;
    arch::switch_context(&gp->ctx, &next->ctx, sp, nullptr);
    mp = self();
    run_commit(mp);
    return mp;
}

// gp, the running goroutine, will be published by the commit. Runs others until it is resumed; returns the M it then
// runs on. No hop over g0 while there is something to run.
[[gnu::always_inline]] inline M* switch_away(M* mp, P* pp, G* gp) {
    check_before_switch(mp, gp);
    GORT_DCHECK(mp->p == pp);
    pp->parks.store(pp->parks.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    if (must_use_g0(mp, pp, gp)) [[unlikely]]
        return switch_to_g0(mp, gp, nullptr);
    G* next = pick_next(pp);
    if (!next) return switch_to_g0(mp, gp, nullptr);
    return switch_to_g(mp, gp, next);
}

}  // namespace gort::rt
