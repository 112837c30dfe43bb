// rt/sched/free_list.h - the Gs and the stacks that are free, as far as a P keeps them for itself.
// SPDX-License-Identifier: BSD-2-Clause
//
// Free Gs lie in magazines of kMagazine, two per P, and travel through a depot as whole chains: one lock for each 128
// spawns that move between Ps, none for those that do not. Free stacks of the default class lie in the P's stack_cache.
// Context: [P's holder, inside] what takes a P; any thread what does not.
#pragma once

#include "rt/sched/sched.h"
#include "rt/stack/stack.h"

namespace gort::rt {

G* refill_gs(P* pp);  // the magazine in use is empty: takes another one, and its first G from that
void to_depot(G* chain, uint32_t count);  // chain may be null
void make_room_for_stack(P* pp);          // its stack_cache is full: half of it goes to the pool
void refill_stacks(P* pp);                // its stack_cache is empty
void* new_stack(int cls);                 // one that no P keeps

[[gnu::always_inline]] inline G* alloc_g(P* pp) {
    G* gp = pp->gfree;
    if (!gp) [[unlikely]]
        gp = refill_gs(pp);
    G* next = gp->next;
    pp->gfree = next;
    --pp->gfree_count;
    if (next) prefetch_whole(next);
    return gp;
}

[[gnu::always_inline]] inline void free_g(P* pp, G* gp) {
    gp->status.set(GStatus::kFree);
    gp->stack = nullptr;
    gp->ctx.sp = nullptr;
    gp->flags = 0;
    if (pp->gfree_count >= kMagazine) [[unlikely]] {
        to_depot(pp->gfree_full, kMagazine);
        pp->gfree_full = pp->gfree;
        pp->gfree = nullptr;
        pp->gfree_count = 0;
    }
    gp->next = pp->gfree;
    pp->gfree = gp;
    ++pp->gfree_count;
}

// No other goroutine gets it before the caller has left it: the pool is given others.
inline void stack_to_cache(P* pp, void* stack) {
    if (pp->stacks == kStackCache) make_room_for_stack(pp);
    uint32_t at = pp->stacks++;
    if (!stack_is_large(stack)) {
        pp->stack_cache[at] = pp->stack_cache[pp->small_stacks];
        at = pp->small_stacks++;
    }
    pp->stack_cache[at] = stack;
}

inline void* pop_stack(P* pp) {
    void* stack = pp->stack_cache[--pp->stacks];
    if (pp->small_stacks > pp->stacks) pp->small_stacks = pp->stacks;
    if (pp->stacks) {  // the next one's first frames, in time for the next start
        const char* top = static_cast<const char*>(pp->stack_cache[pp->stacks - 1]);
        __builtin_prefetch(top, 1);
        for (size_t i = 1; i <= 3; ++i) __builtin_prefetch(top - i * arch::kCacheLine, 1);
    }
    return stack;
}

// A stack of the class, from those that the P keeps if it is the default class.
inline void* stack_from_cache(P* pp, int cls) {
    if (cls != sched.stack_class) return new_stack(cls);
    if (!pp->stacks) refill_stacks(pp);
    return pop_stack(pp);
}

}  // namespace gort::rt
