// rt/sched/free_list.cc - the slow half of the free lists: the depot, refills, and what a run leaves behind.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/sched/free_list.h"

#include "kernel/clock.h"
#include "kernel/mem.h"
#include "rt/base/report.h"
#include "rt/base/slab.h"
#include "rt/sched/judge.h"
#include "rt/sync/sema.h"
#include "rt/trace/gdb_table.h"

namespace gort::rt {

Slab<G> g_slab;

namespace {

struct Depot {
    kernel::CountedMutex lock{kernel::LockRank::kLeaf};
    G* chains = nullptr;  // chains of free Gs; the head of each points to the next chain with `wake`
} depot;

constexpr uint32_t kStackBatch = kStackCache / 2;

}  // namespace

kernel::CountedMutex::Counts depot_lock_counts() { return depot.lock.counts(); }

G* refill_gs(P* pp) {
    if (G* chain = pp->gfree_full) {
        pp->gfree_full = nullptr;
        pp->gfree_count = kMagazine;
        return chain;
    }
    {
        kernel::LockGuard guard(depot.lock);
        if (G* chain = depot.chains) {
            depot.chains = static_cast<G*>(chain->wake);
            pp->gfree_count = chain->seq;
            return chain;
        }
    }
    G* fresh[kMagazine];
    // They are written to: a program that needs two should not pay for the pages of a hundred.
    if (pp->g_batch < kMagazine) pp->g_batch *= 2;
    const uint32_t n = g_slab.alloc_many(fresh, pp->g_batch);
    if (!n) kernel::fatal("out of memory for another goroutine");
    for (uint32_t i = 0; i + 1 < n; ++i) fresh[i]->next = fresh[i + 1];
    fresh[n - 1]->next = nullptr;
    pp->gfree_count = n;
    return fresh[0];
}

void to_depot(G* chain, uint32_t count) {
    if (!chain) return;
    chain->seq = count;
    kernel::LockGuard guard(depot.lock);
    chain->wake = depot.chains;
    depot.chains = chain;
}

// The P's free stacks lie the small ones first: the large ones are given out before them.
void make_room_for_stack(P* pp) {
    void* given[kStackBatch];
    uint32_t n = 0, kept = 0;
    const uint32_t small = pp->small_stacks < kStackBatch ? pp->small_stacks : kStackBatch;
    while (n < small) given[n++] = pp->stack_cache[--pp->small_stacks];
    const uint32_t large_from = pp->small_stacks + n;
    for (kept = pp->small_stacks; kept + kStackBatch < pp->stacks; ++kept)
        pp->stack_cache[kept] = pp->stack_cache[kept - pp->small_stacks + large_from];
    for (uint32_t i = kept - pp->small_stacks + large_from; i < pp->stacks; ++i)
        given[n++] = pp->stack_cache[i];
    pp->stacks = kept;
    stack_free_mixed(given, n);
}

void refill_stacks(P* pp) {
    StackError error = StackError::kNone;
    // A batch is made warm, guards and pages: a program that needs two stacks should not pay for thirty-two.
    if (pp->stack_batch < kStackBatch) pp->stack_batch *= 2;
    const int64_t start = kernel::nanotime();
    const size_t n = stack_alloc_tiered(sched.stack_class, pp->stack_cache, pp->stack_batch, &error);
    note_lost(pp, kernel::nanotime() - start);
    if (!n) fatal_no_stack(stack_error_text(error));
    pp->stacks = static_cast<uint32_t>(n);
    pp->small_stacks = 0;
    while (pp->small_stacks < n && !stack_is_large(pp->stack_cache[pp->small_stacks])) ++pp->small_stacks;
}

void* new_stack(int cls) {
    StackError error = StackError::kNone;
    void* stack = nullptr;
    if (!stack_alloc_tiered(cls, &stack, 1, &error)) fatal_no_stack(stack_error_text(error));
    return stack;
}

G* alloc_g_foreign() {
    {
        kernel::LockGuard guard(depot.lock);
        if (G* chain = depot.chains) {
            G* rest = chain->next;
            if (rest) rest->wake = chain->wake;
            depot.chains = rest ? rest : static_cast<G*>(chain->wake);
            return chain;
        }
    }
    G* gp = nullptr;
    if (!g_slab.alloc_many(&gp, 1)) kernel::fatal("out of memory for another goroutine");
    return gp;
}

void free_g_foreign(G* gp) {
    gp->status.set(GStatus::kFree);
    gp->stack = nullptr;
    gp->ctx.sp = nullptr;
    gp->flags = 0;
    gp->next = nullptr;
    to_depot(gp, 1);
}

void give_stacks_back(P* pp) {
    const uint32_t n = pp->stacks;
    pp->stacks = pp->small_stacks = 0;
    if (n) stack_free_mixed(pp->stack_cache, n);
}

void flush_p_caches(P* pp) {
    give_stacks_back(pp);
    to_depot(pp->gfree_full, kMagazine);
    to_depot(pp->gfree, pp->gfree_count);
    pp->gfree = pp->gfree_full = nullptr;
    pp->gfree_count = 0;
}

void free_abandoned_g(G* gp) {
    end_locals(gp, false);
    if (gp->stack) {
        auto abandon = sched.abandon.load(std::memory_order_relaxed);
        if (!sema_abandon(gp) && abandon && gp->waiting) abandon(gp);
        arch::context_destroy(&gp->ctx);
        if (!(gp->flags & kGBorrows)) stack_free(stack_class(gp->stack), gp->stack);
    }
    free_g_foreign(gp);
}

// What main's return left behind. Gs on threads that have not come back are kDead: those keep what they stand on.
void free_abandoned_gs() {
    GList left;
    g_slab.for_each([&left](G* gp) {
        const GStatus status = gp->status.load(std::memory_order_relaxed);
        if (status == GStatus::kRunnable || status == GStatus::kWaiting) left.push(gp);
    });
    while (G* gp = left.pop()) free_abandoned_g(gp);
}

// No TSA: dumps ask in any state of things, so without the lock.
GStatus observed_status(const G* gp) GORT_NO_TSA {
    const GStatus status = gp->status.load(std::memory_order_acquire);
    if (status != GStatus::kRunnable) return status;
    for (const M* mp = sched.allm; mp; mp = mp->next_all)
        if (mp->curg == gp) return GStatus::kRunning;
    return status;
}

void for_each_g(void (*fn)(G*, void*), void* arg) {
    g_slab.for_each([&](G* gp) {
        const GStatus status = gp->status.load(std::memory_order_acquire);
        if (status != GStatus::kFree && status != GStatus::kDead) fn(gp, arg);
    });
}

bool for_some_gs(GCursor* at, uint32_t most, bool (*fn)(G*)) {
    return g_slab.for_some(&at->chunk, &at->index, most, fn);
}

}  // namespace gort::rt
