// rt/sim/host_engine.cc - the runtime under a simulation: taking it over, each run's beginning and end.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/sim/engine.h"

#include "arch/arch.h"
#include "kernel/sys.h"
#include "kernel/thread.h"
#include "kernel/tls.h"
#include "rt/base/choice.h"
#include "rt/go.h"
#include "rt/host.h"
#include "rt/panic.h"
#include "rt/sched/free_list.h"
#include "rt/sched/park.h"
#include "rt/stack/fault.h"
#include "rt/sync/sema_fast.h"
#include "rt/time/clock.h"
#include "rt/time/timers.h"

namespace gort::sim {

using namespace rt;

Engine* g_engine = nullptr;

namespace {

constexpr uint32_t kWanted = 1 << 20;  // added to each of g_sema_wanted

void add_wanted(uint32_t n) {
    for (auto& w : gort::detail::g_sema_wanted)
        w.store(w.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

}  // namespace

struct Hooks {
    static M* at(M* mp) { return g_engine->at(mp); }

    static void after(M* mp) {
        if (g_engine->on_task_ && g_engine->running_ != kNobody) g_engine->at(mp, false);
    }

    static void left_behind(M* mp) {
        Engine& e = *g_engine;
        const G* gp = p_of(mp)->runnext.load(std::memory_order_relaxed);
        const bool fresh = gp && !gp->stack;
        e.drain();
        if (fresh) e.touches(nullptr);
        // After go, and after whatever has woken somebody, of which nothing else is left to be done: plain variables
        // that the caller writes next are not there yet for whom it has started or woken.
        if (e.on_task_ && e.running_ != kNobody && !e.quiet_) e.at(mp, false);
    }

    static void fail(const char* text, const Trace*) { g_engine->fail(text); }

    [[noreturn]] static void foreign() {
        static constexpr char kText[] =
            "fatal error: gort::sim: a thread of the program's own called into gort while a simulation runs; "
            "in a "
            "simulation use goroutines (gort::go) instead of threads\n";
        kernel::sys_write(2, kText, sizeof kText - 1);
        kernel::sys_exit_group(2);
    }

    static void takes(M* mp, gort::detail::Owner& o) { g_engine->takes(mp, o); }
    static void touches(const void* object) { g_engine->touches(object); }
    static bool of_this_run(uint16_t place) { return g_engine->of_this_run(place); }

    static int procs(int n) {
        Engine& e = *g_engine;
        const int before = e.procs_;
        if (n >= 1) e.procs_ = n;
        return before;
    }

    static int64_t now() { return g_engine->now_; }
    static uint32_t choose(kernel::Rand&, uint32_t n) { return g_engine->chance(n); }

    static constexpr SimHooks kTable{takes,       touches, of_this_run, at,    after,
                                     left_behind, fail,    foreign,     procs, &kSimNet};
};

Engine::Engine() {
    if (g_engine) panic("gort::sim: a simulation runs already");
    if (sched.state.load(std::memory_order_acquire) != RunState::kStopped)
        panic("gort::sim: not while the runtime is up (between gort::start and stop, or in gort::run)");
    outer_ = self();
    now_ = kStart;
    g_engine = this;
    g_sim.store(&Hooks::kTable, std::memory_order_relaxed);
    g_now_hook.store(Hooks::now, std::memory_order_relaxed);
    g_choose_hook.store(Hooks::choose, std::memory_order_relaxed);
    gort::options o;
    o.max_procs = 1;
    o.seed = 1;
    if (const char* why = begin_simulation(o)) {
        g_sim.store(nullptr, std::memory_order_relaxed);
        g_now_hook.store(nullptr, std::memory_order_relaxed);
        g_choose_hook.store(nullptr, std::memory_order_relaxed);
        g_engine = nullptr;
        panic(why);
    }
    mp_ = new_m();
    m_begin(mp_);
    sched.lock.lock();
    pp_ = pop_idle_p_locked();
    sched.lock.unlock();
    acquire_p(mp_, pp_);
    // From here on no operation takes a fast way: rt/base/sim_seam.h.
    mp_->open.store(0, std::memory_order_relaxed);
    mp_->born.store(gort::detail::kNobody, std::memory_order_relaxed);
    pp_->attention.store(kAskSimulation, std::memory_order_relaxed);
    pp_->wanted.store(kWakeOne, std::memory_order_relaxed);
    gort::detail::g_strays.fetch_add(gort::detail::kStrayElsewhere, std::memory_order_relaxed);
    add_wanted(kWanted);
}

Engine::~Engine() {
    add_wanted(0u - kWanted);
    gort::detail::g_strays.fetch_sub(gort::detail::kStrayElsewhere, std::memory_order_relaxed);
    pp_->attention.store(0, std::memory_order_relaxed);
    release_p(mp_);
    mp_->is_m0 = true;  // who does not wait for itself
    end_simulation();
    sched.epoch.fetch_and(~kSimEpoch, std::memory_order_relaxed);
    fault_thread_exit(&mp_->fault);
    kernel::tls_set(outer_);
    if (outer_) sched.foreign.fetch_add(1, std::memory_order_relaxed);
    arch::context_destroy(&mp_->g0);
    free_m(mp_);
    g_sim.store(nullptr, std::memory_order_relaxed);
    g_now_hook.store(nullptr, std::memory_order_relaxed);
    g_choose_hook.store(nullptr, std::memory_order_relaxed);
    g_engine = nullptr;
}

// ---- a run ----

void Engine::run_test(void* storage) {
    auto* e = *static_cast<Engine**>(storage);
    e->fn_(e->arg_);
    e->main_returned_ = true;
}

void Engine::run_task(void* storage) {
    g_engine->current().invoke(storage);
    g_engine->current().ending = true;  // what follows is not noted
}

void Engine::begin_run() {
    tasks_.clear();
    task_of_.clear();
    ready_.resize(1);
    running_ = next_ = waiter_ = kNobody;
    live_ = 0;
    streak_ = tired_ = 0;
    now_ = kStart;
    main_ended_ = main_returned_ = over_ = false;
    procs_ = 1;
    outcome_.failed = false;
    outcome_.what.clear();
    outcome_.deviations.clear();
    outcome_.steps = outcome_.decisions = outcome_.preemptions = outcome_.hash = 0;
    sched.epoch.store((sched.epoch.load(std::memory_order_relaxed) + 1) | kSimEpoch,
                      std::memory_order_relaxed);
    first_place_ = (first_place_ + places_) % kPlaces;
    places_ = 0;
    reduces_ = strategy_->reduces();
    step(0, Step::kGoesOn);
    mp_->epoch = sched.epoch.load(std::memory_order_relaxed);
    mp_->gave_up = false;
    sched.next_goid.store(2, std::memory_order_relaxed);
    pp_->id_next = pp_->id_end = 0;
    pp_->rand.s = 1;
    pp_->created.store(1, std::memory_order_relaxed);
    pp_->finished.store(0, std::memory_order_relaxed);

    G* gp = alloc_g(pp_);
    gp->id = 1;
    gp->site = {};
    gp->stack_class = static_cast<uint8_t>(sched.stack_class);
    gp->invoke = run_test;
    *reinterpret_cast<Engine**>(gp->storage) = this;
    gp->flags = 0;
    gp->status.set(GStatus::kRunnable);
    ready_.push_back(adopt(gp));
}

void Engine::end_run() {
    if (net_) {
        // what was open stays so, and no goroutine waits there any more
        if (const PollHooks* hooks = sched.poll_hooks.load(std::memory_order_acquire)) hooks->end();
        net_.reset();
    }
    if (pp_->timers.wheel) timers_abandon(&pp_->timers);
    if (live_)
        for (Task& t : tasks_)
            if (t.g) free_abandoned_g(t.g);
    drain();
}

const Outcome& Engine::run(void (*fn)(void*), void* arg, Strategy& s, uint64_t seed, const Limits& limits,
                           Recorder* trace) {
    fn_ = fn;
    arg_ = arg;
    strategy_ = &s;
    limits_ = limits;
    trace_ = trace;
    s.begin(seed);
    begin_run();
    loop();
    if (trace_ && outcome_.failed)
        for (const Task& t : tasks_)
            if (t.g) trace_->left(t, now_);
    mix(outcome_.steps);
    end_run();
    return outcome_;
}

// ---- whose objects are: rt/base/sim_seam.h ----

// An object that was used before is another place's now. A run that has no place left keeps the last one.
void Engine::step(uint32_t task, Step kind) {
    const bool last = places_ == kPlaces - 1;
    if (!last) ++places_;
    mp_->place = kSimPlace + (first_place_ + places_ - 1) % kPlaces;
    if (reduces_) strategy_->step(task, last ? Step::kEverything : kind);
}

void Engine::takes(M* mp, gort::detail::Owner& o) {
    o.whose.store(static_cast<uint16_t>(mp->place), std::memory_order_relaxed);
    touches(&o);
}

// ---- what the test calls ----

void Engine::point() {
    static constexpr char kAllPoints = 0;  // whatever is marked by one is marked for all
    M* mp = enter();
    touches(&kAllPoints);
    leave(mp);
}

void Engine::wait() {
    M* mp = enter();
    if (waiter_ != kNobody) {
        leave(mp);
        panic("wait already in progress");
    }
    waiter_ = running_;
    touches(nullptr);
    leave(park(mp, nullptr, nullptr, WaitReason::kPark));
}

uint64_t Engine::random(uint64_t n) {
    if (n < 2) return 0;
    if (n <= UINT32_MAX) return chance(static_cast<uint32_t>(n));
    const uint64_t wide = uint64_t{chance(UINT32_MAX)} << 32 | chance(UINT32_MAX);
    return wide % n;
}

}  // namespace gort::sim
