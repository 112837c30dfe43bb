// tests/explore/world.cc - model threads and who goes on.
// SPDX-License-Identifier: BSD-2-Clause
#include "tests/explore/world.h"

#include <cstdio>
#include <cstring>

#include "kernel/tls.h"

namespace gort::explore {

World* world = nullptr;

namespace {

constexpr size_t kStack = 256 << 10, kPage = 4096;
constexpr uint32_t kMostSteps = 20'000;  // of one execution: more is a livelock
constexpr uint32_t kMostRounds = 3'000;  // of waiting in which nobody does anything else

constexpr uint32_t kRoundsToTime = 64;  // of waiting, before the first sleeper's time is over
constexpr uint32_t kInsists = 64;       // looks of one that waits for others while these stand still

bool independent(const Pending& a, const Pending& b) {
    const auto touches_all = [](const Pending& p) {
        switch (p.what) {
        case Op::kLoad:
        case Op::kStore:
        case Op::kModify:
        case Op::kExchange:
        case Op::kFutexWait:
        case Op::kFutexWake:
        case Op::kFence: return false;
        default: return true;
        }
    };
    const auto local = [](const Pending& p) { return p.what == Op::kBegin || p.what == Op::kJoin; };
    if (local(a) || local(b)) return true;
    if (touches_all(a) || touches_all(b) || (a.sc && b.sc)) return false;
    if (a.what == Op::kFence || b.what == Op::kFence) return true;
    const bool apart = a.address + static_cast<uintptr_t>(a.size) <= b.address ||
                       b.address + static_cast<uintptr_t>(b.size) <= a.address;
    return apart || (a.what == Op::kLoad && b.what == Op::kLoad);
}

}  // namespace

void World::init(const Piece* p) {
    piece = p;
    bounds = p->bounds;
    memory.init();
    events.reserve(kMostSteps * 2);
    make_arena();
}

// --- threads

void World::thread_main(void* arg, void*) {
    auto* t = static_cast<Thread*>(arg);
    t->fn(t->arg);
    world->end_thread();
}

Thread* World::spawn(ThreadFn fn, void* arg) {
    if (nthreads == kThreads) stop("more model threads than the explorer has", nullptr);
    Thread& t = threads[nthreads];
    t = {};
    t.view.id = nthreads;
    t.tid = 1000 + nthreads;
    t.fn = fn;
    t.arg = arg;
    t.state = Thread::State::kReady;
    if (nthreads) {
        view().tick();
        t.view.now = view().now;
    }
    t.view.tick();
    ++nthreads;
    t.stack = allocate(kStack, kPage);
    arch::context_init(&t.ctx, t.stack, kStack, &World::thread_main, &t);
    return &t;
}

bool World::runnable(int t) const {
    const Thread& thread = threads[t];
    if (thread.state == Thread::State::kReady) return true;
    if (thread.state == Thread::State::kSleeps) return thread.timed;
    if (thread.state == Thread::State::kJoins) {
        for (int i = 1; i < nthreads; ++i)
            if (threads[i].state != Thread::State::kDone) return false;
        return true;
    }
    return false;
}

void World::go_to(int t) {
    Thread& to = threads[t];
    if (to.state == Thread::State::kSleeps) {  // its time is over
        to.state = Thread::State::kReady;
        to.timed_out = true;
        if (to.until > now) now = to.until;
    }
    if (to.state == Thread::State::kJoins) to.state = Thread::State::kReady;
    if (t == current) return;
    Thread& from = threads[current];
    kernel::ThreadArea* area = kernel::thread_area();
    from.self = area->self;
    area->self = to.self;
    area->tid = to.tid;
    current = t;
    arch::switch_context(&from.ctx, &to.ctx, nullptr);
}

// The current thread is at a point where another may go on. forced: it cannot go on itself.
void World::pick_next(bool forced) {
    Answers a;
    Thread& from = threads[current];
    const bool goes_on = !forced && !from.yields;
    if (goes_on) a.add(current, Cost::kFree);
    for (int i = 1; i <= nthreads; ++i) {
        const int t = (current + i) % nthreads;
        if ((t == current && goes_on) || !runnable(t) || threads[t].yields || sleeps(t)) continue;
        a.add(t, goes_on ? Cost::kPreemption : Cost::kFree);
    }
    if (a.n) {
        // Time may pass while they stand still: a sleeper's is over, or who waits for others looks again and again.
        for (int i = 1; i <= nthreads; ++i) {
            const int t = (current + i) % nthreads;
            if (runnable(t) && (sleeps(t) || threads[t].yields)) a.add(t, Cost::kTime);
        }
    } else {
        offer_waiters(&a);
    }
    if (!a.n) failed("deadlock: nobody can go on", nullptr);
    const uint32_t ordinary = a.values[0];
    if (exploring && chooser_->reduces()) {
        uint32_t kept = 0;
        for (uint32_t i = 0; i < a.n; ++i) {
            if (asleep >> a.values[i] & 1) continue;
            a.values[kept] = a.values[i];
            a.costs[kept++] = a.costs[i];
        }
        if (!kept) finish(End::kPruned);
        a.n = kept;
    }
    const int next = static_cast<int>(choose_among(Choice::kSwitch, &a, ordinary));
    if (exploring && chooser_->reduces())
        for (int t = 0; t < nthreads; ++t)
            if ((asleep >> t & 1) && !independent(threads[t].next, threads[next].next)) asleep &= ~(1u << t);
    Thread& to = threads[next];
    if (to.yields && !sleeps(next) && !to.view.newest_only) to.insists = kInsists;
    to.yields = false;
    go_to(next);
}

// Only those who wait are left. Who waits for others has another look, at the newest stores; sleepers wake by the
// clock, the first one first.
void World::offer_waiters(Answers* a) {
    for (int i = 1; i <= nthreads; ++i) {
        const int t = (current + i) % nthreads;
        if (threads[t].state != Thread::State::kReady || !threads[t].yields) continue;
        threads[t].view.newest_only = true;
        a->add(t, Cost::kFree);
    }
    if (a->n && ++idle_rounds_ > kMostRounds) failed("livelock: all who could go on wait in vain", nullptr);
    int first = -1;
    for (int t = 0; t < nthreads; ++t)
        if (sleeps(t) && runnable(t) && (first < 0 || threads[t].until < threads[first].until)) first = t;
    if (first < 0 || (a->n && idle_rounds_ % kRoundsToTime != kRoundsToTime - 1)) return;
    a->n = 0;
    a->add(first, Cost::kFree);
}

void World::step(Op what, const void* address, bool sc, int size) {
    Thread& t = me();
    ++t.ops;
    if (what != Op::kLoad && what != Op::kFutexWait && !memory.ignored(address)) t.refused = 0;
    if (!exploring) return;
    if (++steps_ > kMostSteps) failed(kTooLong, nullptr);
    t.next = {what, reinterpret_cast<uintptr_t>(address), sc, size};
    const bool local =
        what == Op::kLoad || what == Op::kStore || what == Op::kModify || what == Op::kExchange;
    if (!local || chooser_->everywhere() || memory.shared(address, size)) pick_next(false);
    if (what != Op::kLoad && what != Op::kClock && what != Op::kFence) changed();
    ++steps_made;
}

// Whoever waits for others may look again.
void World::changed() {
    idle_rounds_ = 0;
    for (int i = 0; i < nthreads; ++i) {
        if (i == current) continue;
        threads[i].yields = false;
        threads[i].view.newest_only = false;
    }
}

void World::yield(Op what) {
    memory.compiler_fence(view());
    Thread& t = me();
    ++t.ops;
    if (exploring && ++steps_ > kMostSteps) failed(kTooLong, nullptr);
    t.next = {what, 0, false, 0};
    if (t.insists) --t.insists;
    else t.yields = true;
    pick_next(false);
}

void World::wait(const void* address, int64_t until) {
    Thread& t = me();
    ++t.ops;
    t.state = Thread::State::kSleeps;
    t.timed = until >= 0;
    t.until = until;
    t.waits_on = address;
    t.timed_out = t.was_woken = false;
    t.refused = 0;
    pick_next(true);
    me().waits_on = nullptr;
}

int World::wake(const void* address, int n) {
    int woken = 0;
    for (int i = 1; i <= nthreads && woken < n; ++i) {
        Thread& t = threads[(current + i) % nthreads];
        if (t.state != Thread::State::kSleeps || t.waits_on != address) continue;
        t.state = Thread::State::kReady;
        t.was_woken = true;
        t.yields = false;
        memory.woken(t.view, address);
        ++woken;
    }
    return woken;
}

// The kernel makes one running thread after the other execute a full fence; each at its own moment.
void World::barrier(const void* pc, const void* asker) {
    const int self = current;
    step(Op::kBarrier, nullptr, true);
    memory.compiler_fence(view());
    memory.fence(view(), Order::kSeqCst);
    note(Op::kBarrier, nullptr, 0, Order::kSeqCst, pc).asker = asker;
    for (int i = 0; i < nthreads; ++i) {
        if (i == self) continue;
        const bool over = threads[i].state == Thread::State::kDone;
        if (exploring && !over) step(Op::kForced, nullptr, true);
        memory.forced_fence(threads[i].view);
        if (over) continue;
        Event& e = note(Op::kForced, nullptr, 0, Order::kSeqCst, pc);
        e.from = static_cast<int8_t>(i);
        e.asker = asker;
    }
    memory.fence(view(), Order::kSeqCst);
    memory.compiler_fence(view());
}

int64_t World::clock() {
    now += bounds.clock_step;
    return now;
}

void World::join_all() {
    me().state = Thread::State::kJoins;
    me().next = {Op::kJoin, 0, false, 0};
    ++me().ops;
    pick_next(true);
    for (int i = 1; i < nthreads; ++i) memory.joined(view(), threads[i].view);
}

void World::end_thread() {
    view().tick();
    memory.compiler_fence(view());
    note(Op::kEnd, nullptr, 0, Order::kPlain, nullptr);
    me().state = Thread::State::kDone;
    ++me().ops;
    bool all = true;
    for (int i = 0; i < nthreads; ++i) all = all && threads[i].state == Thread::State::kDone;
    if (all) finish(End::kGood);
    pick_next(true);
    __builtin_trap();
}

void World::finish(End how) {
    end_ = how;
    exploring = false;
    arch::switch_context(&threads[current].ctx, &search_, nullptr);
    __builtin_trap();
}

void World::failed(const char* why, const void* pc) {
    if (why != text) std::snprintf(text, sizeof text, "%s", why);
    failed_at = pc;
    finish(End::kFailed);
}

void World::stop(const char* why, const void* pc) {
    std::snprintf(text, sizeof text, "%s", why);
    failed_at = pc;
    finish(End::kStopped);
}

void World::race(uintptr_t address, const Access& before, bool write, bool atomic, const void* pc) {
    Event& e = note(Op::kPlain, reinterpret_cast<void*>(address), 8, Order::kPlain, pc);
    e.asker = before.pc;
    e.from = static_cast<int8_t>(before.thread);
    std::snprintf(text, sizeof text, "race: %s%s at T%d, %s%s at T%d, and nothing orders them",
                  atomic ? "atomic " : "", write ? "write" : "read", current, before.atomic ? "atomic " : "",
                  before.write ? "write" : "read", before.thread);
    failed(text, pc);
}

// --- choices

uint32_t World::choose_among(Choice kind, Answers* a, uint32_t ordinary) {
    if (!exploring) return a->values[0];
    if (chooser_->bounded()) {
        const int bound[] = {kUnbounded, bounds.preemptions, bounds.timeouts, bounds.stale, bounds.early};
        uint32_t kept = 0;
        for (uint32_t i = 0; i < a->n; ++i) {
            const auto c = static_cast<size_t>(a->costs[i]);
            if (c && bound[c] < kUnbounded && spent[c] >= bound[c]) continue;
            a->values[kept] = a->values[i];
            a->costs[kept++] = a->costs[i];
        }
        a->n = kept;
        if (!kept) finish(End::kPruned);
        if (kept > 1 && deviations.size() >= most_deviations && a->values[0] == ordinary) {
            left_out = true;
            a->n = 1;
        }
    }
    const uint32_t which = a->n > 1 ? chooser_->choose(kind, *a) : 0;
    const auto cost = static_cast<size_t>(a->costs[which]);
    if (cost) ++spent[cost];
    if (a->values[which] != ordinary)
        deviations.push_back({static_cast<uint8_t>(current), kind, a->values[which], me().ops});
    return a->values[which];
}

uint32_t World::choose(Choice kind, uint32_t n) {
    if (!exploring || n < 2) return 0;
    const Cost cost = kind == Choice::kRead    ? Cost::kStale
                      : kind == Choice::kWrite ? Cost::kEarly
                                               : Cost::kFree;
    Answers a;
    for (uint32_t i = 0; i < n && i < Answers::kMost; ++i) a.add(static_cast<int>(i), i ? cost : Cost::kFree);
    return choose_among(kind, &a, 0);
}

uint32_t World::choose_exchange(const Cost* costs, uint32_t n) {
    Answers a;
    for (uint32_t i = 0; i < n; ++i) a.add(static_cast<int>(i), costs[i]);
    return choose_among(Choice::kExchange, &a, 0);
}

// --- what happened

Event& World::note(Op what, const void* address, int size, Order order, const void* pc) {
    if (!exploring) events.clear();
    events.push_back({pc, nullptr, reinterpret_cast<uintptr_t>(address), 0, 0, me().ops, 0, what, order,
                      static_cast<uint8_t>(current), -1, static_cast<uint8_t>(size), 0,
                      last_running_ != current});
    last_running_ = current;
    return events.back();
}

void World::note_load(const Store* s, uint64_t value, int back) {
    Event& e = events.back();
    e.value = value;
    e.from = s->by;
    e.from_op = s->op;
    e.behind = static_cast<uint8_t>(back);
}
void World::note_store(uint64_t value, int back) {
    events.back().value = value;
    events.back().behind = static_cast<uint8_t>(back);
}
void World::note_modify(uint64_t value, uint64_t before, const Store* old) {
    Event& e = events.back();
    e.value = value;
    e.old = before;
    e.from = old->by;
    e.from_op = old->op;
    if (e.what == Op::kExchange) e.what = Op::kModify;
}

int World::weakened(const void* pc) const {
    for (const Weak& w : weak)
        if (w.pc == pc) return w.how;
    return 0;
}

// --- the search's side

void World::setup() {
    memory.forget();
    spawn([](void*) { world->piece->run(); }, nullptr);
    current = 0;
    kernel::thread_area()->tid = threads[0].tid;
    end_ = End::kGood;
    arch::switch_context(&search_, &threads[0].ctx, nullptr);
    if (end_ == End::kFailed || end_ == End::kStopped) return;
    take_snapshot();
}

// Returns once for each execution.
void World::begin_exploring() {
    began_ = true;
    memory.compiler_fence(view());
    arch::switch_context(&me().ctx, &search_, nullptr);
}

End World::run(Chooser* chooser) {
    chooser_ = chooser;
    set_back();
    ++executions;
    exploring = true;
    end_ = End::kGood;
    arch::switch_context(&search_, &me().ctx, nullptr);
    exploring = false;
    if (after) after(after_arg, *this);
    return end_;
}

}  // namespace gort::explore
