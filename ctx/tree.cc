// ctx/tree.cc - linking, cancelling and destroying the nodes of the tree of contexts.
// SPDX-License-Identifier: BSD-2-Clause
//
// No TSA: nodes are locked in loops, and handed locked from one function to the next.
#include "ctx/node.h"

#include "rt/base/sim_seam.h"
#include "rt/host.h"
#include "rt/time/clock.h"

namespace gort::ctx::detail {

using namespace rt;
using gort::detail::kClosed;

namespace {

// What a cancellation leaves to be done when its locks are free.
struct Aftermath {
    Sudog* woken = nullptr;
    Sudog** woken_end = &woken;
    Child* funcs = nullptr;  // newest first
    Child* orphans = nullptr;
};

void put(Child** list, Child* c) {
    c->next = *list;
    *list = c;
}

// ---- lists ----

void push_child(CancelNode* parent, Child* c) {
    c->under = parent;
    c->next = parent->children;
    c->prev = nullptr;
    if (c->next) c->next->prev = c;
    parent->children = c;
    c->linked.store(true, std::memory_order_relaxed);
}

void unlink_child(Child* c) {
    if (c->next) c->next->prev = c->prev;
    if (c->prev) c->prev->next = c->next;
    else c->under->children = c->next;
    c->linked.store(false, std::memory_order_release);  // X2
}

// ---- cancelling ----

// Closes a channel that is shared from the start and has no senders. Who waits is to be readied.
void close_done(Hchan* c, Aftermath* after) {
    c->lock.mutex.lock();
    c->fill.store(c->fill.load(std::memory_order_relaxed) | kClosed, std::memory_order_release);
    while (Sudog* sg = gort::detail::take_waiter(c->recvq)) {
        sg->state = SudogState::kClosed;
        *after->woken_end = sg;
        after->woken_end = &sg->next;
    }
    c->lock.mutex.unlock();
}

uint64_t epoch() { return sched.epoch.load(std::memory_order_relaxed); }

// Under the lock. A firing that is on its way finds that it has come too late.
void disarm(TimerNode* n) {
    if (!n->armed) return;
    if (!timer_stop(&n->timer) && n->epoch == epoch()) return;
    n->armed = false;
    n->holders.store(1, std::memory_order_relaxed);  // there can be no other holder now
}

void mark(CancelNode* n, const std::error_code& err, const std::error_code& cause, Aftermath* after) {
    n->err_code = err;
    n->cause_code = cause;
    n->state.store(1, std::memory_order_release);  // X1
    if (Hchan* c = n->done_chan.load(std::memory_order_relaxed)) close_done(c, after);
    if (Tree::kind(n) == Kind::kTimer) disarm(static_cast<TimerNode*>(n));
}

// n is locked and marked: everything below it. No recursion, for trees may be deep.
void cancel_below(CancelNode* n, const std::error_code& err, const std::error_code& cause,
                  Aftermath* after) GORT_NO_TSA {
    CancelNode* at = n;
    for (;;) {
        Child* child = at->children;
        if (!child) {
            if (at == n) return;
            CancelNode* up = at->under;
            const bool orphan = at->orphan;
            at->lock.unlock();
            unlink_child(at);  // from here its owners may destroy it
            if (orphan) put(&after->orphans, at);
            at = up;
            continue;
        }
        if (child->next) __builtin_prefetch(child->next, 1);
        if (child->is_func) {
            unlink_child(child);
            put(&after->funcs, child);
            continue;
        }
        auto* node = static_cast<CancelNode*>(child);
        node->lock.lock();
        if (node->state.load(std::memory_order_relaxed)) {  // its own cancel is about to unlink it
            node->lock.unlock();
            unlink_child(node);
            continue;
        }
        mark(node, err, cause, after);
        at = node;
    }
}

// A timer's fn has found that its node is gone, all but the memory.
void free_memory(void* storage) { delete *static_cast<TimerNode**>(storage); }

void deadline_passed(void* storage) {
    auto* n = *static_cast<TimerNode**>(storage);
    const std::error_code err = errc::deadline_exceeded;
    cancel(n, err, n->late ? n->late : err, false);
    unref_slow(n);
}

// fn. The rest is a goroutine's: cancelling may take long, and drops what others own.
void fire(Timer* t, int64_t, uint64_t) {
    auto* n = static_cast<TimerNode*>(t->arg);
    M* mp = self();
    n->lock.lock();
    n->armed = false;
    bool still = n->state.load(std::memory_order_relaxed) == 0;
    if (still) {  // unless the last handle has just gone
        std::atomic<uint32_t>& refs = Tree::refs(n);
        uint32_t have = refs.load(std::memory_order_relaxed);
        while (have && !refs.compare_exchange_weak(have, have + 1, std::memory_order_relaxed)) {
        }
        still = have != 0;
    }
    n->lock.unlock();
    const bool last = n->holders.fetch_sub(1, std::memory_order_acq_rel) == 1;
    if (still) spawn_inside(mp, deadline_passed, n, Site::here());
    else if (last) spawn_inside(mp, free_memory, n, Site::here());
}

bool has_other_handles(const Hchan* c) {
    return c && c != closed_chan() && c->owned + c->shared.load(std::memory_order_acquire) > 1;
}

// The last handle has gone. True if the node is out of everything and can go as well.
[[gnu::noinline]] bool last_of(CancelNode* n, Child** funcs) GORT_NO_TSA {
    auto* timed = Tree::kind(n) == Kind::kTimer ? static_cast<TimerNode*>(n) : nullptr;
    CancelNode* up = n->under;
    M* mp = enter();
    if (up) up->lock.lock();
    n->lock.lock();
    const bool linked = n->linked.load(std::memory_order_relaxed);
    bool go = true;
    if (!n->state.load(std::memory_order_relaxed)) {
        const bool seen = n->children || has_other_handles(n->done_chan.load(std::memory_order_relaxed));
        if (seen && (linked || (timed && timed->armed))) {
            Tree::refs(n).store(1, std::memory_order_relaxed);
            n->orphan = true;
            go = false;
        }
    }
    if (go) {
        if (linked) unlink_child(n);
        if (timed) disarm(timed);
        *funcs = n->children;  // functions all: a context below would have a reference
        n->children = nullptr;
    }
    n->lock.unlock();
    if (up) up->lock.unlock();
    leave(mp);
    return go;
}

// Cancelled, and no thread can be about to touch it.
bool at_rest(const CancelNode* n) {
    // X1, X2
    if (!n->state.load(std::memory_order_acquire) || n->linked.load(std::memory_order_acquire)) return false;
    return Tree::kind(n) != Kind::kTimer ||
           static_cast<const TimerNode*>(n)->holders.load(std::memory_order_acquire) == 1;
}

void destroy(CancelNode* n, Child* funcs) {
    while (funcs) {
        auto* f = static_cast<AfterFunc*>(funcs);
        funcs = funcs->next;
        after_func_release(f);
    }
    if (Hchan* c = n->done_chan.load(std::memory_order_relaxed)) gort::detail::chan_release(c);
    delete n->watch;
    if (Tree::kind(n) == Kind::kTimer) {
        auto* t = static_cast<TimerNode*>(n);
        if (t->holders.load(std::memory_order_acquire) == 1 ||
            t->holders.fetch_sub(1, std::memory_order_acq_rel) == 1)
            delete t;
    } else {
        delete n;
    }
}

}  // namespace

Hchan* closed_chan() {
    static Hchan closed;
    static Hchan* const c = [] {
        closed.lock.owner.begin(gort::detail::kShared, gort::detail::ChanLock::kForEver);
        closed.fill.store(kClosed, std::memory_order_relaxed);
        closed.ops = &gort::detail::Ops<unit>::table;
        return &closed;
    }();
    return c;
}

Hchan* done_of(CancelNode* n) {
    Hchan* c = n->done_chan.load(std::memory_order_acquire);  // X1
    if (!c) {
        M* mp = enter();
        n->lock.lock();
        c = n->done_chan.load(std::memory_order_relaxed);
        if (!c) {
            if (n->state.load(std::memory_order_relaxed)) {
                c = closed_chan();
                gort::detail::chan_retain(c);
            } else {
                c = gort::detail::chan_new(&gort::detail::Ops<unit>::table, 0, nullptr, true);
            }
            n->done_chan.store(c, std::memory_order_release);  // X1
        }
        n->lock.unlock();
        leave(mp);
    }
    gort::detail::chan_retain(c);
    return c;
}

void link(CancelNode* child, CancelNode* parent) {
    M* mp = enter();
    parent->lock.lock();
    const bool done = parent->state.load(std::memory_order_relaxed) != 0;
    if (!done) push_child(parent, child);
    parent->lock.unlock();
    leave(mp);
    if (done) cancel(child, parent->err_code, parent->cause_code, true);
}

void arm(TimerNode* n) {
    M* mp = enter();
    if (sched.state.load(std::memory_order_relaxed) == RunState::kStopped) [[unlikely]] {
        leave(mp);
        gort::panic("context: a deadline needs a running runtime (call gort::run or gort::start first)");
    }
    bool earliest = false;
    n->lock.lock();
    if (!n->state.load(std::memory_order_relaxed)) {
        n->timer.fn = fire;
        n->timer.arg = n;
        n->epoch = epoch();
        n->armed = true;
        n->holders.store(2, std::memory_order_relaxed);
        earliest = timer_start(timers_of(mp), &n->timer);
    }
    n->lock.unlock();
    if (earliest) timer_hurry(mp);
    leave(mp);
}

bool link_func(AfterFunc* f, CancelNode* parent) {
    M* mp = enter();
    parent->lock.lock();
    const bool done = parent->state.load(std::memory_order_relaxed) != 0;
    if (!done) push_child(parent, f);
    parent->lock.unlock();
    leave(mp);
    return !done;
}

bool unlink_func(AfterFunc* f) {
    CancelNode* up = f->under;
    if (!up) return false;
    M* mp = enter();
    up->lock.lock();
    const bool linked = f->linked.load(std::memory_order_relaxed);
    if (linked) unlink_child(f);
    up->lock.unlock();
    leave(mp);
    return linked;
}

void cancel(CancelNode* n, const std::error_code& err, const std::error_code& cause,
            bool by_parent) GORT_NO_TSA {
    Aftermath after;
    M* mp = enter();
    n->lock.lock();
    if (n->state.load(std::memory_order_relaxed)) {
        n->lock.unlock();
        return leave(mp);
    }
    mark(n, err, cause, &after);
    cancel_below(n, err, cause, &after);
    const bool orphan = n->orphan;
    const stop_func* watch = n->watch;
    n->lock.unlock();
    if (CancelNode* up = n->under) {
        up->lock.lock();
        if (n->linked.load(std::memory_order_relaxed)) unlink_child(n);
        up->lock.unlock();
    }
    *after.woken_end = nullptr;
    if (const SimHooks* sim = simulation(); sim && !after.woken) [[unlikely]]
        sim->after(mp);
    while (Sudog* sg = after.woken) {
        after.woken = sg->next;  // it is on the stack of the one who is woken
        ready(mp, sg->g);
    }
    Child* stopped = nullptr;
    while (after.funcs) {
        auto* f = static_cast<AfterFunc*>(after.funcs);
        after.funcs = f->next;
        uint32_t registered = 0;
        if (f->state.compare_exchange_strong(registered, 1, std::memory_order_acq_rel))
            spawn_inside(mp, f->invoke, f, f->site);
        else put(&stopped, f);
    }
    leave(mp);
    // What runs the user's code.
    while (stopped) {
        auto* f = static_cast<AfterFunc*>(stopped);
        stopped = f->next;
        after_func_release(f);
    }
    while (after.orphans) {
        auto* node = static_cast<CancelNode*>(after.orphans);
        after.orphans = node->next;
        unref_slow(node);
    }
    if (watch && !by_parent) [[unlikely]]
        (*watch)();
    if (orphan) unref_slow(n);
}

void unref_slow(const context_base* gone) noexcept {
    auto* c = const_cast<context_base*>(gone);
    while (c && c->parent_ != c) {
        const bool cancels = c->kind_ == Kind::kCancel || c->kind_ == Kind::kTimer;
        auto* n = cancels ? static_cast<CancelNode*>(c) : nullptr;
        // Nothing else can make two of one, but for a timer that fires before the node is cancelled: so that comes
        // first.
        const bool alone = (c->kind_ != Kind::kTimer || n->state.load(std::memory_order_acquire)) &&  // X1
                           c->refs_.load(std::memory_order_acquire) == 1;
        if (!alone && c->refs_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
        if (n) {
            Child* funcs = nullptr;
            if (!at_rest(n) && !last_of(n, &funcs)) return;
            context_base* up = std::exchange(c->parent_, nullptr);
            destroy(n, funcs);
            c = up;
        } else {
            context_base* up = std::exchange(c->parent_, nullptr);
            delete c;
            c = up;
        }
    }
}

}  // namespace gort::ctx::detail
