// rt/sched/run.cc - the runtime's start and end, its options, and the small public calls.
// SPDX-License-Identifier: BSD-2-Clause
//
// START  options and environment are checked, Ps made (the first one, if the number was not told: procs.cc); run()
//        turns the calling thread into M0, which runs the main goroutine and nothing else, so that it is free to
//        return when main does, on whatever thread main ran last.
// END    state = kStopping; every M gives its P up at its next scheduling decision and ends its thread; one that is in
//        user code has kGrace to come back, then its P is taken and it ends at its next call into gort.
//        What is parked or queued is abandoned: its stack is freed, its destructors never run.
#include "arch/arch.h"
#include "kernel/cpu.h"
#include "kernel/env.h"
#include "kernel/membarrier.h"
#include "kernel/rand.h"
#include "kernel/sys.h"
#include "kernel/thread.h"
#include "kernel/vdso.h"
#include "rt/base/check_seam.h"
#include "rt/time/clock.h"
#include "rt/sched/delays.h"
#include "rt/sched/free_list.h"
#include "rt/stack/fault.h"
#include "rt/base/fork.h"
#include "rt/go.h"
#include "rt/trace/gdb_table.h"
#include "rt/host.h"
#include "rt/sched/park.h"
#include "rt/base/report.h"
#include "rt/base/sim_seam.h"
#include "rt/base/solo.h"
#include "rt/stack/stack.h"
#include "rt/trace/stall.h"
#include "rt/sched/unload.h"

namespace gort::rt {

namespace {

constexpr int64_t kGrace = 10'000'000;
kernel::Mutex init_lock{kernel::LockRank::kInit};
bool initialized = false;
std::atomic<int> preset_procs{0};  // gomaxprocs outside of a run

[[noreturn]] void bad_env(const char* name, const char* value, const char* why, const char* accepted) {
    kernel::Out(2)
        .str(name)
        .str("=")
        .str(value)
        .str(": ")
        .str(why)
        .str("; accepted: ")
        .str(accepted)
        .ch('\n');
    kernel::sys_exit_group(2);
}

uint64_t text_uint(const char* name, const char* text, uint64_t min, uint64_t max, uint64_t otherwise,
                   bool size, const char* accepted) {
    if (!text) return otherwise;
    uint64_t value = 0;
    const char* why =
        size ? kernel::parse_size(text, min, max, &value) : kernel::parse_uint(text, min, max, &value);
    if (why) bad_env(name, text, why, accepted);
    return value;
}
uint64_t env_uint(const char* name, uint64_t min, uint64_t max, uint64_t otherwise, bool size,
                  const char* accepted) {
    return text_uint(name, kernel::env_get(name), min, max, otherwise, size, accepted);
}
// Of what prints the scheduler's state: a program with raised privileges ignores it.
uint64_t env_uint_to_show(const char* name, uint64_t min, uint64_t max, const char* accepted) {
    return text_uint(name, kernel::env_get_to_show(name), min, max, 0, false, accepted);
}

void init_once() {
    kernel::LockGuard guard(init_lock);
    if (initialized) return;
    kernel::auxv_source(host_auxv);
    kernel::env_init(host_environ());
    kernel::membarrier_init();
    deadlock_init();
    gdb_table_keep();
    host_init();
    if (const char* text = kernel::env_get_to_show("GORT_CHECK"); text && !g_check_linked.load())
        kernel::Out(2)
            .str("GORT_CHECK=")
            .str(text)
            .str(": nothing is checked, for this program is not linked with libgort_check.a\n");
    watch_process();
    initialized = true;
}

// What gomaxprocs said before the run, or the environment does; 0: neither.
int told_procs() {
    if (const int n = preset_procs.load(std::memory_order_relaxed)) return n;
    return static_cast<int>(env_uint("GORT_MAXPROCS", 1, kMaxProcs, 0, false, "1 to 1024"));
}

int default_procs() {
    const int n = told_procs();
    return n ? n : kernel::cpu_count();
}

// Options as they hold, or a panic that names the bad one.
const char* configure(const options& o) {
    Config& c = sched.config;
    if (o.max_procs < 0 || o.max_procs > static_cast<int>(kMaxProcs))
        return "run: options.max_procs out of range (1 to 1024)";
    if (o.max_threads < 0) return "run: options.max_threads out of range (at least 1)";
    sched.ncpu = c.num_cpu = kernel::affinity_cpu_count();
    c.max_procs = o.max_procs ? o.max_procs : told_procs();
    c.max_threads = o.max_threads ? o.max_threads : 10000;
    sched.max_threads.store(c.max_threads, std::memory_order_relaxed);
    c.stack_size = o.stack_size
                       ? o.stack_size
                       : env_uint("GORT_STACK", stack_class_size(0), stack_class_size(kStackClasses - 1),
                                  kDefaultStackSize, true, "128K to 1G");
    sched.stack_class = stack_class_for(c.stack_size);
    if (sched.stack_class < 0) return "run: options.stack_size out of range (at most 1 GiB)";
    c.stack_tiers = env_uint("GORT_STACK_TIERS", 0, 1, 1, false, "0 and 1") != 0 && o.stack_tiers;
    stack_set_tiers(c.stack_tiers);
    c.seed = o.seed ? o.seed : env_uint("GORT_SEED", 1, UINT64_MAX, 0, false, "1 to 18446744073709551615");
    if (!c.seed) c.seed = kernel::random_seed();
    c.schedtrace_ms =
        static_cast<int64_t>(env_uint_to_show("GORT_SCHEDTRACE", 1, 3'600'000, "1 to 3600000 (ms)"));
    c.schedtrace_detail = env_uint_to_show("GORT_SCHEDDETAIL", 0, 1, "0 and 1") != 0;
    sched.follows.store(!c.max_procs, std::memory_order_relaxed);
    const bool later = !c.max_procs && sched.ncpu > 1 && sched.has_main && !c.schedtrace_ms;
    sched.unsettled.store(later, std::memory_order_relaxed);
    if (!c.max_procs) c.max_procs = later ? 1 : kernel::cpu_count();
    return nullptr;
}

// [signal]
void* running_slot() {
    const M* mp = self();
    return mp && mp->curg ? mp->curg->stack : nullptr;
}

// As the first run finds it.
void reset_p(P* pp) {
    pp->rand.s = sched.config.seed + pp->index * 0x9e3779b97f4a7c15u;
    pp->id_next = pp->id_end = 0;
    pp->created.store(0, std::memory_order_relaxed);
    pp->finished.store(0, std::memory_order_relaxed);
    pp->steals.store(0, std::memory_order_relaxed);
    pp->steal_tries.store(0, std::memory_order_relaxed);
    pp->looks.store(0, std::memory_order_relaxed);
    pp->parks.store(0, std::memory_order_relaxed);
    pp->wanted.store(kWakeOne, std::memory_order_relaxed);  // the first goroutine that it starts makes sysmon
    pp->loot.from = nullptr;
    pp->set_until_look(kGlobalEvery);
    pp->picked.store(0, std::memory_order_relaxed);
    pp->attention.store(0, std::memory_order_relaxed);
}

// Why it cannot start, or null: then the runtime is up and this thread may become an M.
const char* begin(const options& o, bool has_main) {
    check_not_forked();
    init_once();
    auto stopped = RunState::kStopped;
    if (!sched.state.compare_exchange_strong(stopped, RunState::kStarting, std::memory_order_acquire))
        return "run: the runtime is already running in this process";
    sched.has_main = has_main;
    if (const char* why = configure(o)) {
        sched.state.store(RunState::kStopped, std::memory_order_release);
        return why;
    }
    sched.stopped.store(false, std::memory_order_relaxed);
    fault_init();
    fault_set_running_slot(running_slot);
    sched.main_done.store(false, std::memory_order_relaxed);
    sched.main_g.store(nullptr, std::memory_order_relaxed);
    sched.started = rt::now();
    stats_begin();
    delays_begin();
    const bool names_stalls = stall_begin();
    sched.next_goid.store(2, std::memory_order_relaxed);
    sched.foreign_created.store(0, std::memory_order_relaxed);
    sched.retakes.store(0, std::memory_order_relaxed);
    sched.wakes.store(0, std::memory_order_relaxed);
    sched.sleeps.store(0, std::memory_order_relaxed);
    sched.polls.store(0, std::memory_order_relaxed);
    sched.polled_by.store(nullptr, std::memory_order_relaxed);
    sched.nm.store(has_main ? 1 : 0, std::memory_order_relaxed);
    sched.epoch.fetch_add(1, std::memory_order_relaxed);
    for (int i = 0, all = sched.nallp.load(std::memory_order_relaxed); i < all || i < sched.config.max_procs;
         ++i) {
        P* pp = i < all ? sched.allp[i] : nullptr;
        if (!pp) {
            pp = new_p(static_cast<uint32_t>(i));
            sched.allp[i] = pp;
            sched.nallp.store(i + 1, std::memory_order_release);
        }
        reset_p(pp);
        pp->retired = i >= sched.config.max_procs;  // left over from a run with more
        if (pp->retired) continue;
        kernel::LockGuard guard(sched.lock);
        pp->next_idle = sched.pidle;
        sched.pidle = pp;
    }
    sched.npidle.store(sched.config.max_procs, std::memory_order_relaxed);
    sched.nprocs.store(sched.config.max_procs, std::memory_order_relaxed);
    if (has_main && self()) sched.foreign.fetch_sub(1, std::memory_order_relaxed);  // it is M0 now
    bool alone = false;
    if (sched.config.max_procs == 1) {
        // A thread that attaches counts itself under this lock, and then ends solo: it is in the count, or finds both
        // of solo's words and sets them back. It must never be inside while somebody sets them.
        kernel::LockGuard guard(sched.lock);
        alone = sched.foreign.load(std::memory_order_relaxed) == 0;
        if (alone) begin_solo();
    }
    if (!alone) end_solo();  // the run before may have been so to its end
    sysmon_begin();
    {
        kernel::LockGuard guard(sched.lock);  // with attach_foreign: who is not counted here finds it running
        sched.state.store(RunState::kRunning, std::memory_order_release);
    }
    if (!has_main || sched.config.schedtrace_ms || names_stalls ||
        sched.foreign.load(std::memory_order_relaxed))
        sysmon_ensure();
    return nullptr;
}

// In a loop that waits for threads on their way out: what they still do takes microseconds, a sleep 70. No yields: each
// of them costs a time slice where others want the CPU, too.
void wait_a_little(int round) {
    constexpr int kSpins = 50, kPauses = 20;
    constexpr kernel::Timespec kNap{0, 20'000};
    if (round >= kSpins || sched.ncpu < 2) {
        kernel::sys_nanosleep(&kNap, nullptr);
        return;
    }
    for (int i = 0; i < kPauses; ++i) arch::pause();
}

// Every P back from its M.
void collect_ps() {
    const int64_t patience = rt::now() + kGrace;
    for (int i = 0, n = sched.nallp.load(std::memory_order_acquire); i < n; ++i) {
        P* pp = sched.allp[i];
        for (int round = 0; pp->m.load(std::memory_order_acquire); ++round) {
            M* holder;
            if (rt::now() > patience && take(pp, &holder, kAskRelease) == Taken::kYes) {
                keep(pp, holder);
                break;
            }
            wait_a_little(round);
        }
    }
}

// Threads of this run that are neither spinning in user code without a P nor M0 have ended, or end at once.
void collect_ms() {
    for (int round = 0;; ++round) {
        bool waiting = false;
        sched.lock.lock();
        waiting = sched.starting != 0;
        for (M* mp = sched.allm; mp; mp = mp->next_all)
            if (!mp->foreign && !mp->is_m0 && !mp->lost_p.load(std::memory_order_relaxed) &&
                mp->epoch == sched.epoch.load(std::memory_order_relaxed))
                waiting = true;
        sched.lock.unlock();
        if (!waiting) return;
        wait_a_little(round);
    }
}

void end() {
    sched.lock.lock();
    sched.state.store(RunState::kStopping, std::memory_order_release);
    sched.lock.unlock();
    sysmon_stop();
    for (int i = 0, n = sched.nallp.load(std::memory_order_acquire); i < n; ++i)
        sched.allp[i]->attention.fetch_or(kAskRelease, std::memory_order_release);
    wake_all_for_stop();
    collect_ps();
    collect_ms();
    bool some_left = false;
    sched.lock.lock();  // the Ms that are left belong to no run; see leave_run in enter.cc
    for (M* mp = sched.allm; mp; mp = mp->next_all) {
        if (mp->foreign || mp->is_m0) continue;
        some_left = true;
        if (mp->curg && mp->epoch == sched.epoch.load(std::memory_order_relaxed))
            mp->curg->status.set(GStatus::kDead);
    }
    sched.epoch.fetch_add(1, std::memory_order_acq_rel);
    detail::g_strays.fetch_add(detached() * (detail::kStrayElsewhere - detail::kStray),
                               std::memory_order_relaxed);
    sched.lock.unlock();
    if (some_left) host_stay_loaded();  // they are in user code
    for (int i = 0, n = sched.nallp.load(std::memory_order_acquire); i < n; ++i) {
        P* pp = sched.allp[i];
        pp->runnext.store(nullptr, std::memory_order_relaxed);
        pp->open_to_all.take_all();
        while (pp->runq.pop()) {
        }
        while (pp->fresh.pop_oldest()) {
        }
        timers_abandon(&pp->timers);
        flush_p_caches(pp);
    }
    if (const PollHooks* hooks = sched.poll_hooks.load(std::memory_order_acquire)) hooks->end();
    {
        kernel::LockGuard guard(sched.lock);
        sched.runq = {};
        sched.runq_size.store(0, std::memory_order_relaxed);
        sched.pidle = nullptr;
        sched.npidle.store(0, std::memory_order_relaxed);
    }
    free_abandoned_gs();
}

void run_on_m0(detail::Invoke invoke, void* arg) {
    M* outer = self();  // this thread's stand-in, if it called in before
    M* mp = new_m();
    mp->is_m0 = true;
    sched.m0 = mp;
    m_begin(mp);

    sched.lock.lock();
    P* pp = pop_idle_p_locked();
    sched.lock.unlock();
    acquire_p(mp, pp);
    G* gp = alloc_g(pp);
    gp->id = 1;
    gp->site = {};
    gp->stack_class = static_cast<uint8_t>(stack_main_class(sched.stack_class));
    gp->invoke = invoke;
    *reinterpret_cast<void**>(gp->storage) = arg;
    gp->flags = kGMain | kGOnM0;
    gp->status.set(GStatus::kRunnable);
    pp->created.store(1, std::memory_order_relaxed);
    sched.main_g.store(gp, std::memory_order_relaxed);
    mp->next_g = gp;
    schedule_loop(mp);
    if (p_of(mp)) release_p(mp);
    end();
    fault_thread_exit(&mp->fault);
    kernel::tls_set(outer);
    if (outer) sched.foreign.fetch_add(1, std::memory_order_relaxed);
    sched.m0 = nullptr;
    arch::context_destroy(&mp->g0);
    free_m(mp);
    sched.state.store(RunState::kStopped, std::memory_order_release);
}

}  // namespace

const char* begin_simulation(const options& o) { return begin(o, true); }

void end_simulation() {
    end();
    sched.state.store(RunState::kStopped, std::memory_order_release);
}

void read_environment() { init_once(); }

}  // namespace gort::rt

namespace gort {

using namespace rt;

namespace detail {

int run_main(Invoke main, void* arg, const options& o) {
    if (const char* why = begin(o, true)) host_throw_panic(why);
    run_on_m0(main, arg);
    return 0;
}

const char* start_or_why(const options& o) { return begin(o, false); }

void go_of_nil() { fatal_error("go of nil func value"); }

bool blocking_begin() {
    M* mp = self();
    if (!mp || mp->foreign) return false;
    mp = enter();
    if (simulation()) {  // one step
        leave(mp);
        return false;
    }
    p_of(mp)->blocking.store(true, std::memory_order_relaxed);
    left_behind(mp);
    leave(mp);
    return true;
}

void blocking_end() {
    M* mp = enter();  // without the P: waits for one
    p_of(mp)->blocking.store(false, std::memory_order_relaxed);
    leave(mp);
}

}  // namespace detail

void start(const options& o) {
    if (const char* why = detail::start_or_why(o)) host_throw_panic(why);
}

void stop() {
    check_not_forked();
    if (sched.has_main || sched.state.load(std::memory_order_relaxed) != RunState::kRunning)
        host_throw_panic("stop: the runtime was not started by gort::start");
    if (M* mp = self(); mp && !mp->foreign) host_throw_panic("stop: called by a goroutine");
    end();
    sched.stopped.store(true, std::memory_order_relaxed);
    sched.state.store(RunState::kStopped, std::memory_order_release);
    end_foreign_waits();
}

int gomaxprocs(int n) {
    if (sched.state.load(std::memory_order_acquire) == RunState::kStopped) [[unlikely]] {
        init_once();
        const int before = default_procs();
        if (n >= 1)
            preset_procs.store(n < static_cast<int>(kMaxProcs) ? n : static_cast<int>(kMaxProcs),
                               std::memory_order_relaxed);
        return before;
    }
    if (const SimHooks* sim = simulation()) return sim->procs(n);
    for (;;) {
        M* mp = enter();
        int before;
        const bool done = set_procs(mp, n, &before);
        leave(mp);
        if (done) return before;
        yield();
    }
}

int num_goroutine() {
    if (simulation()) detail::check_in();
    // The ends first: of one that comes and goes meanwhile its end must not be counted alone.
    int64_t n = 0;
    const int all = sched.nallp.load(std::memory_order_acquire);
    for (int i = 0; i < all; ++i)
        n -= static_cast<int64_t>(sched.allp[i]->finished.load(std::memory_order_acquire));
    for (int i = 0; i < all; ++i)
        n += static_cast<int64_t>(sched.allp[i]->created.load(std::memory_order_relaxed));
    n += static_cast<int64_t>(sched.foreign_created.load(std::memory_order_relaxed));
    return static_cast<int>(n);
}

int num_cpu() {
    if (sched.state.load(std::memory_order_relaxed) == RunState::kStopped)
        return kernel::affinity_cpu_count();
    return sched.config.num_cpu;
}

void lock_os_thread() {
    M* mp = enter();
    if (!mp->foreign && !simulation()) {  // whose goroutines all have the one thread
        G* gp = mp->curg;
        sysmon_ensure();  // by a thread that nobody has changed yet
        if (++mp->lock_depth == 0) {
            --mp->lock_depth;
            leave(mp);
            host_throw_panic("LockOSThread nesting overflow");
        }
        mp->locked_g = gp;
        gp->locked_m = mp;
        gp->flags |= kGLocked;
    }
    leave(mp);
}

void unlock_os_thread() {
    M* mp = enter();
    if (!mp->foreign && mp->lock_depth && --mp->lock_depth == 0) {
        G* gp = mp->curg;
        mp->locked_g = nullptr;
        gp->locked_m = nullptr;
        gp->flags &= static_cast<uint16_t>(~kGLocked);
    }
    leave(mp);
}

int set_max_threads(int n) {
    const int before = sched.max_threads.exchange(n, std::memory_order_relaxed);
    if (sched.nm.load(std::memory_order_relaxed) > n) fatal_thread_exhaustion(n);
    return before;
}

size_t set_max_stack(size_t bytes) {
    const size_t before = stack_set_max(bytes);
    if (M* mp = self(); mp && !mp->foreign) {  // what this P keeps may be larger
        mp = enter();
        if (P* pp = p_of(mp)) give_stacks_back(pp);
        leave(mp);
    }
    return before;
}

}  // namespace gort
