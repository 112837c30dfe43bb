// rt/c/context.cc - gort_c.h: contexts, without the C++ runtime that ctx/ needs.
// SPDX-License-Identifier: BSD-2-Clause
//
// Up is by `parent`, which holds a reference. Down is from what can be cancelled to what is to be cancelled with it: a
// list that holds none, so that a child without a reference goes at once. `owner` is the nearest context that can
// be cancelled, at or above.
//
// Invariants: (1) a context that can be cancelled is in its owner's list from its making until it is cancelled, its
//             owner is, or its last reference goes.
//             (2) err != GORT_OK: done is closed, the list of children is empty or is being emptied by who holds mu.
// Locks:      mu, a parent's before its children's: who cancels holds it while the children are cancelled, so a child
//             that is about to go waits for it before it takes itself out and frees its memory.
// Memory:     refs are those of handles and children. When they are gone the timer is stopped; its own references
//             (FuncTimer::refs, one for us and one while it is pending or its function is on the way) free the memory.
#include "chan/select_ops.h"
#include "chan/time.h"
#include "rt/c/c.h"
#include "rt/c/chan.h"
#include "rt/sync/mutex.h"
#include "rt/time/clock.h"

using namespace gort;
using gort::detail::FuncTimer;
using gort::detail::MutexWord;

struct gort_ctx : FuncTimer {
    std::atomic<uint32_t> holders{1};
    gort_ctx* parent;
    gort_ctx* above;  // the parent's owner, or null
    gort_ctx* owner;
    int64_t deadline;  // the earliest, its own or an ancestor's

    // --- of one that holds a value
    const void* key = nullptr;
    void* value = nullptr;

    // --- of one that can be cancelled
    MutexWord mu;
    gort::detail::Hchan* done = nullptr;
    // under mu; written with release, read with acquire: who sees the end sees done closed
    std::atomic<gort_status> err{GORT_OK};
    gort_ctx* children = nullptr;  // under mu
    bool timed = false;            // under mu: the timer was started
    // --- under above->mu
    bool linked = false;
    gort_ctx* next = nullptr;
    gort_ctx* prev = nullptr;

    explicit constexpr gort_ctx(gort_ctx* p)
        : FuncTimer{},
          parent(p),
          above(p ? p->owner : nullptr),
          owner(above),
          deadline(p ? p->deadline : GORT_FOREVER) {}
};

namespace gort::c {

namespace {

constinit gort_ctx g_background(nullptr);

struct Locked {
    MutexWord* m;
    explicit Locked(MutexWord* mu) : m(mu) {
        if (!gort::detail::mutex_take_quick(m)) gort::detail::mutex_lock_slow(m, false);
    }
    ~Locked() { gort::detail::mutex_unlock(m); }
    Locked(const Locked&) = delete;
    Locked& operator=(const Locked&) = delete;
};

gort_ctx* make(gort_ctx* parent) {
    if (!parent) misused("cannot create context from nil parent");
    void* memory = rt::host_alloc(sizeof(gort_ctx));
    if (!memory) return nullptr;
    auto* c = new (memory) gort_ctx(parent);
    gort_ctx_ref(parent);
    return c;
}

// Under above->mu.
void unlink(gort_ctx* c) {
    if (!c->linked) return;
    c->linked = false;
    (c->prev ? c->prev->next : c->above->children) = c->next;
    if (c->next) c->next->prev = c->prev;
}

// All but taking it out of its owner's list.
void end(gort_ctx* c, gort_status why) {
    bool timed;
    {
        const Locked guard(&c->mu);
        if (c->err.load(std::memory_order_relaxed) != GORT_OK) return;
        gort::detail::chan_close(c->done);
        c->err.store(why, std::memory_order_release);
        while (gort_ctx* child = c->children) {
            unlink(child);
            end(child, why);
        }
        timed = c->timed;
    }
    if (timed) gort::detail::func_timer_stop(c);
}

void cancel(gort_ctx* c, gort_status why) {
    end(c, why);
    if (!c->above) return;
    const Locked guard(&c->above->mu);
    unlink(c);
}

// The goroutine that the timer starts, with the reference of the setting that fired.
void run_deadline(void* storage) {
    auto* c = static_cast<gort_ctx*>(*static_cast<FuncTimer**>(storage));
    cancel(c, GORT_TIMEOUT);
    gort::detail::func_timer_release(c);
}

// Returns the parent, whose reference is the caller's now.
gort_ctx* free_memory(gort_ctx* c) {
    gort_ctx* parent = c->parent;
    if (c->done) gort::detail::chan_release(c->done);
    rt::host_free(c);
    return parent;
}

// The last reference is gone.
void abandon(gort_ctx* c) {
    if (c->above) {
        const Locked guard(&c->above->mu);
        unlink(c);
    }
    bool timed;
    {
        const Locked guard(&c->mu);
        timed = c->timed;
    }
    if (timed) gort::detail::func_timer_stop(c);
}

// Makes c one that can be cancelled; it is new.
gort_ctx* with_cancel(gort_ctx* c) {
    c->owner = c;
    c->destroy = [](FuncTimer* t) noexcept { gort_ctx_unref(free_memory(static_cast<gort_ctx*>(t))); };
    c->invoke = run_deadline;
    c->done = signal_new();
    gort_ctx* above = c->above;
    if (!above) return c;
    gort_status err;
    {
        const Locked guard(&above->mu);
        err = above->err.load(std::memory_order_relaxed);
        if (err == GORT_OK) {
            c->linked = true;
            c->next = above->children;
            if (c->next) c->next->prev = c;
            above->children = c;
        }
    }
    if (err != GORT_OK) end(c, err);
    return c;
}

}  // namespace

}  // namespace gort::c

using namespace gort::c;

extern "C" {

gort_ctx* gort_ctx_background() { return &g_background; }

gort_ctx* gort_ctx_with_cancel(gort_ctx* parent) {
    GORT_C_FENCE();
    gort_ctx* c = make(parent);
    return c ? with_cancel(c) : nullptr;
}

gort_ctx* gort_ctx_with_deadline(gort_ctx* parent, int64_t deadline) {
    GORT_C_FENCE();
    gort_ctx* c = make(parent);
    if (!c) return nullptr;
    const bool sooner = deadline < c->deadline;
    if (sooner) c->deadline = deadline;
    with_cancel(c);
    if (!sooner) return c;  // the parent's end comes first
    const int64_t now = rt::now();
    if (deadline <= now) {
        cancel(c, GORT_TIMEOUT);
        return c;
    }
    const Locked guard(&c->mu);
    if (c->err.load(std::memory_order_relaxed) == GORT_OK) {
        c->timed = true;
        gort::detail::func_timer_start(c, deadline - now);
    }
    return c;
}

gort_ctx* gort_ctx_with_value(gort_ctx* parent, const void* key, void* value) {
    GORT_C_FENCE();
    gort_ctx* c = make(parent);
    if (!c) return nullptr;
    c->key = key;
    c->value = value;
    return c;
}

void* gort_ctx_value(const gort_ctx* c, const void* key) {
    for (; c; c = c->parent)
        if (c->owner != c && c->parent && c->key == key) return c->value;
    return nullptr;
}

void gort_ctx_cancel(gort_ctx* c) {
    GORT_C_FENCE();
    if (c && c->owner) cancel(c->owner, GORT_CANCELED);
}

gort_chan* gort_ctx_done(gort_ctx* c) { return c && c->owner ? handle(c->owner->done) : nullptr; }

gort_status gort_ctx_err(const gort_ctx* c) {
    return c && c->owner ? c->owner->err.load(std::memory_order_acquire) : GORT_OK;
}

bool gort_ctx_deadline(const gort_ctx* c, int64_t* deadline) {
    if (!c || c->deadline == GORT_FOREVER) return false;
    if (deadline) *deadline = c->deadline;
    return true;
}

gort_ctx* gort_ctx_ref(gort_ctx* c) {
    if (c && c != &g_background) c->holders.fetch_add(1, std::memory_order_relaxed);
    return c;
}

void gort_ctx_unref(gort_ctx* c) {
    GORT_C_FENCE();
    // One that keeps its parent alive alone takes it along; a long chain is no deep recursion.
    while (c && c != &g_background && c->holders.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        if (c->owner == c) abandon(c);
        if (c->refs.load(std::memory_order_acquire) != 1) return gort::detail::func_timer_release(c);
        c = free_memory(c);
    }
}

}  // extern "C"
