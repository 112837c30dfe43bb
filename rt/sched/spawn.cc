// rt/sched/spawn.cc - how a goroutine begins and ends: spawning, the entry of every goroutine, its end.
// SPDX-License-Identifier: BSD-2-Clause
//
// Locked instructions: spawn 0, end 0.
#include "kernel/clock.h"
#include "kernel/mem.h"
#include "rt/host.h"
#include "rt/go.h"
#include "rt/local.h"
#include "rt/sched/free_list.h"
#include "rt/sched/judge.h"
#include "rt/sched/park.h"
#include "rt/base/report.h"
#include "rt/stack/stack.h"
#include "rt/stack/pool.h"

namespace gort::rt {

namespace {

constexpr uint64_t kIdBlock = 64;
// The main goroutine's end is the run's, unless a panic is under way; a locked goroutine takes its thread along.
M* end_special(M* mp, G* gp) {
    if (gp->flags & kGCanary) check_canary(gp);
    if (gp->flags & kGMain) {
        if (!(gp->flags & kGGoexit)) {
            leave(mp);
            wait_for_dying(gort::yield);
            mp = enter();
        }
        sched.main_g.store(nullptr, std::memory_order_relaxed);
        if (!(gp->flags & kGGoexit)) {
            sched.main_done.store(true, std::memory_order_relaxed);
            sched.lock.lock();
            sched.state.store(RunState::kStopping, std::memory_order_release);
            sched.lock.unlock();
            wake_m0();
        }
    }
    if (gp->flags & kGLocked) {
        mp->locked_g = nullptr;
        mp->lock_depth = 0;
        gp->locked_m = nullptr;
        mp->altered = true;
        if (!mp->is_m0) mp->dying = true;
    }
    return mp;
}

// The commit of a goroutine's end.
void bury(void* arg, G*) {
    auto* mp = static_cast<M*>(arg);
    if constexpr (arch::kToolWatches) arch::context_destroy(&mp->dead);
    if (mp->dead_stack) stack_free(stack_class(mp->dead_stack), mp->dead_stack);
}

// What mp's goroutine is there for, and what comes with its end, up to the G and the stack.
[[gnu::always_inline]] inline M* run_goroutine(M* mp) {
    leave(mp);
    gort_invoke(mp->curg->storage, mp->curg->invoke);
    mp = enter();
    while (mp->curg->locals) [[unlikely]] {  // its destructors may make more
            leave(mp);
            gort_invoke(mp->curg, [](void* gp) { end_locals(static_cast<G*>(gp), true); });
            mp = enter();
        }
    G* gp = mp->curg;
    if (gp->flags & (kGMain | kGLocked | kGCanary)) [[unlikely]]
        mp = end_special(mp, gp);
    P* pp = p_of(mp);
    pp->finished.store(pp->finished.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    return mp;
}

// The bottom of every goroutine's stack. One stack runs one goroutine after the other as long as fresh ones are next.
void goroutine_entry(void* stack, void*) {
    M* mp = self();
    arch::context_started(&mp->curg->ctx);
    run_commit(mp);
    for (;;) {
        mp = run_goroutine(mp);
        G* gp = mp->curg;
        P* pp = p_of(mp);
        const int cls = gp->stack_class;
        G* next = must_use_g0(mp, pp, gp) || (gp->flags & kGMain) ? nullptr : pick_next(pp);
        void* sp = next ? handle_of(next) : nullptr;
        if (next && !sp) {
            // locked to another M, or hidden; or see below
            const bool fits = next->stack_class == cls || next->stack_class <= stack_class(stack);
            if (next->stack || (cls != sched.stack_class && !fits)) {
                mp->next_g = next;
                next = nullptr;
            } else if (fits) {
                next->stack = stack;
                next->ctx = gp->ctx;
                free_g(pp, gp);
                mp->curg = next;
                continue;
            } else {
                give_stack(mp, next);
                sp = next->ctx.sp;
            }
        }
        // From here the stack and the G are on free lists of this P, which no other thread can reach before we have
        // left them.
        arch::Context last = gp->ctx;
        free_g(pp, gp);
        if (cls == sched.stack_class) stack_to_cache(pp, stack);
        // the pool gives it to others, a tool takes its fiber away
        if (arch::kToolWatches || cls != sched.stack_class) {
            mp->dead = last;
            mp->dead_stack = cls == sched.stack_class ? nullptr : stack;
            mp->commit_arg = mp;
            mp->commit_fn = bury;
        }
        if (cls != sched.stack_class && next) {  // bury needs more stack than next may have left
            mp->next_g = next;
            next = nullptr;
        }
        if (next) {
            mp->curg = next;
            arch::switch_final(&last, &next->ctx, sp, nullptr);
        }
        arch::switch_final(&last, &mp->g0, nullptr);
    }
}

}  // namespace

M* run_to_its_end(M* mp) { return run_goroutine(mp); }

uint64_t next_goid(P* pp) {
    if (pp->id_next == pp->id_end) {
        pp->id_next = sched.next_goid.fetch_add(kIdBlock, std::memory_order_relaxed);
        pp->id_end = pp->id_next + kIdBlock;
    }
    return pp->id_next++;
}

void give_stack(M* mp, G* gp) {
    const int cls = gp->stack_class;
    void* stack = stack_from_cache(p_of(mp), cls);
    gp->stack = stack;
    if (slot_info(stack)->guard == GuardKind::kCanary) [[unlikely]]
        gp->flags |= kGCanary;
    if constexpr (arch::kToolWatches) {
        const StackBounds b = stack_bounds(stack);
        arch::context_init(&gp->ctx, b.lo, b.size(), goroutine_entry, stack);
    } else {
        P* pp = p_of(mp);
        const bool timed = pp->loot.from && (++pp->loot.stacks & 7) == 0;
        const int64_t start = timed ? kernel::nanotime() : 0;
        arch::context_init(&gp->ctx, stack, 0, goroutine_entry, stack);  // it ends where its header begins
        if (timed) note_lost(pp, 8 * (kernel::nanotime() - start));      // a page, where the stack is cold
    }
}

void check_canary(G* gp) {
    if (!stack_canary_ok(gp->stack)) fatal_stack_overflow(gp);
}

// It becomes part of the run under the lock under which that ends: the end takes every G of the run, wherever it is,
// and must neither find this one in our hands nor, when we are slow, leave it to us for the next run.
void put_foreign(G* gp) {
    {
        kernel::LockGuard guard(sched.lock);
        if (sched.state.load(std::memory_order_relaxed) == RunState::kRunning) {
            gp->status.set(GStatus::kRunnable);
            return put_global_locked(gp);
        }
    }
    free_g_foreign(gp);
}

void end_locals(G* gp, bool destroy) {
    while (detail::GLocal* l = gp->locals) {
        gp->locals = l->next;
        l->end(l, destroy);
    }
}

}  // namespace gort::rt

namespace gort::detail {

using namespace rt;

namespace {

// A new G runs next on this P; who was to run next before goes to the queue. From a foreign thread: the global queue.
[[gnu::always_inline]] inline void submit(M* mp, G* gp) {
    P* pp = p_of(mp);
    if (!pp) [[unlikely]] {
        sched.foreign_created.fetch_add(1, std::memory_order_relaxed);
        return put_foreign(gp);
    }
    gp->status.set(GStatus::kRunnable);
    pp->created.store(pp->created.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    pp->put_next(gp);
    if (pp->wanted.load(std::memory_order_relaxed)) [[unlikely]]
        left_behind(mp);
}

int class_of(size_t stack_size) {
    if (stack_size == 0) return sched.stack_class;
    return stack_class_for(stack_size);
}

[[gnu::always_inline]] inline G* fresh_g(M* mp, const Site& site, int cls, const void* group) {
    P* pp = p_of(mp);
    G* gp = pp ? alloc_g(pp) : alloc_g_foreign();
    gp->id = pp ? next_goid(pp) : sched.next_goid.fetch_add(1, std::memory_order_relaxed);
    gp->site = site;
    gp->stack_class = static_cast<uint8_t>(cls);
    gp->group = group;
    return gp;
}

// Leaves the runtime before it throws or dies.
[[gnu::noinline]] int checked_class_slow(M* mp, size_t stack_size) {
    if (sched.state.load(std::memory_order_relaxed) != RunState::kRunning) [[unlikely]] {
        leave(mp);
        kernel::fatal("go: the runtime is not running (call gort::run or gort::start first)");
    }
    const int cls = class_of(stack_size);
    if (cls < 0) [[unlikely]] {
        leave(mp);
        host_throw_panic("go: stack_size out of range (at most 1 GiB)");
    }
    return cls;
}
[[gnu::always_inline]] inline int checked_class(M* mp, size_t stack_size) {
    if (stack_size != 0 || sched.state.load(std::memory_order_relaxed) != RunState::kRunning) [[unlikely]]
        return checked_class_slow(mp, stack_size);
    return sched.stack_class;
}

}  // namespace
}  // namespace gort::detail

namespace gort::rt {

void spawn_inside(M* mp, void (*invoke)(void* storage), void* arg, const Site& site) {
    G* gp = detail::fresh_g(mp, site, sched.stack_class, nullptr);
    gp->invoke = invoke;
    *reinterpret_cast<void**>(gp->storage) = arg;
    detail::submit(mp, gp);
}

}  // namespace gort::rt

namespace gort::detail {

void spawn_copy(Invoke invoke, const void* callable, size_t size, const Site& site, size_t stack_size,
                const void* group) {
    M* mp = enter();
    G* gp = fresh_g(mp, site, checked_class(mp, stack_size), group);
    gp->invoke = invoke;
    auto* to = reinterpret_cast<uint64_t*>(gp->storage);
    kernel::copy_bytes(to, callable, size);
    submit(mp, gp);
    leave(mp);
}

GLocal** local_list() {
    M* mp = self();
    if (!mp) [[unlikely]] {
        mp = enter();
        leave(mp);
    }
    return &mp->curg->locals;
}

Fresh spawn_begin(Invoke invoke, const Site& site, size_t stack_size, const void* group) {
    M* mp = enter();
    G* gp = fresh_g(mp, site, checked_class(mp, stack_size), group);
    gp->invoke = invoke;
    leave(mp);
    return {gp, gp->storage};
}

void spawn_commit(const Fresh& fresh) {
    M* mp = enter();
    submit(mp, fresh.g);
    leave(mp);
}

void spawn_cancel(const Fresh& fresh) {
    M* mp = enter();
    if (P* pp = p_of(mp)) free_g(pp, fresh.g);
    else free_g_foreign(fresh.g);
    leave(mp);
}

}  // namespace gort::detail
