// rt/own/fresh.h - a P's goroutines that have not run yet: a stack of groups, each a FIFO of what one goroutine spawned
// in a row.
// SPDX-License-Identifier: BSD-2-Clause
//
// Why not in the run queue: a tree of goroutines (fork and join, divide and conquer) that is walked in the order of
// spawning is walked breadth first, and then nearly all of its goroutines live at once, each on a stack. Newest group
// first walks it depth first: few stacks, all warm. Inside a group the order is that of the spawning, as in Go. Thieves
// take the oldest groups, the largest pieces of work.
// Nobody starves: rt/sched/schedule.cc, begin_round, looks at the run queue and at the oldest group now and then.
//
// Invariants: (1) a G here has no stack, is kRunnable and on no other queue. (2) a group is never empty. (3) only
//             the newest group grows, and only while its maker runs on.
// Context:    [owner P inside the gate], or whoever took the P through the gate. The counts may be read by anybody.
#pragma once

#include <atomic>
#include <cstdint>

#include "rt/own/g.h"

namespace gort::rt {

// Goroutines of one group that change the P together, linked through G::next. In a list with others the first has
// kGChain set, knows the last (G::wake) and how many there are (G::seq), so that who takes it need not walk over them:
// each step is a cache line that lies at the other CPU.
struct FreshChain {
    G* first = nullptr;
    G* last = nullptr;
    uint32_t count = 0;
};

class FreshQueue {
public:
    bool empty() const { return size() == 0; }
    uint32_t size() const { return size_.load(std::memory_order_relaxed); }
    uint32_t popped() const {
        return popped_.load(std::memory_order_relaxed);
    }  // ever, from the newest group
    // `maker` is the same as long as one goroutine runs on: rt/sched/sched.h, picks.
    void push(G* gp, uint64_t maker) {
        size_.store(size() + 1, std::memory_order_relaxed);
        gp->next = nullptr;
        if (maker == maker_ && top_ != bottom()) {
            Group& group = at(top_ - 1);
            group.tail->next = gp;
            group.tail = gp;
            return;
        }
        maker_ = maker;
        if (top_ - bottom() > mask_) [[unlikely]]
            grow();
        at(top_++) = {gp, gp};
    }

    // The first of the newest group, or null.
    [[gnu::always_inline]] G* pop() {
        if (empty()) return nullptr;
        popped_.store(popped() + 1, std::memory_order_relaxed);
        Group& group = at(top_ - 1);
        G* gp = take_first(group);
        if (!group.head) --top_;
        return gp;
    }

    // What pop would take.
    const G* next() const { return empty() ? nullptr : at(top_ - 1).head; }

    // The first of the oldest group, or null.
    G* pop_oldest() {
        if (empty()) return nullptr;
        const uint32_t oldest = bottom();
        G* gp = take_first(at(oldest));
        if (!at(oldest).head) bottom_.store(oldest + 1, std::memory_order_relaxed);
        return gp;
    }

    uint32_t oldest_group() const { return bottom(); }  // changes with it

    // The first `most` of the oldest group, or all of it.
    FreshChain cut_oldest(uint32_t most) {
        FreshChain chain;
        if (empty() || !most) return chain;
        const uint32_t oldest = bottom();
        Group& group = at(oldest);
        chain.first = chain.last = group.head;
        for (chain.count = 1; chain.count < most && chain.last != group.tail; ++chain.count) {
            chain.last = chain.last->next;
            // Most were spawned into places that lie in a row.
            __builtin_prefetch(chain.last + kAhead, 1);
        }
        size_.store(size() - chain.count, std::memory_order_relaxed);
        group.head = chain.last->next;
        if (!group.head) bottom_.store(oldest + 1, std::memory_order_relaxed);
        chain.last->next = nullptr;
        return chain;
    }
    // A group of its own.
    void push_chain(const FreshChain& chain) {
        if (top_ - bottom() > mask_) [[unlikely]]
            grow();
        maker_ = ~uint64_t{0};
        at(top_++) = {chain.first, chain.last};
        size_.store(size() + chain.count, std::memory_order_relaxed);
    }

    struct Group {
        G* head;
        G* tail;
    };
    static constexpr uint32_t kFirst = 32;
    void init(Group* first);  // kFirst places, which stay the caller's
    void destroy();

private:
    static constexpr int kAhead = 4;
    uint32_t bottom() const { return bottom_.load(std::memory_order_relaxed); }
    Group& at(uint32_t i) const { return groups_[i & mask_]; }
    G* take_first(Group& group) {
        size_.store(size() - 1, std::memory_order_relaxed);
        G* gp = group.head;
        G* next = gp->next;
        group.head = next;
        if (next) prefetch_whole(next);  // in time for its first run
        return gp;
    }
    [[gnu::noinline]] void grow();

    // Atomic for those who only look.
    std::atomic<uint32_t> size_{0};
    std::atomic<uint32_t> popped_{0};
    Group* groups_ = nullptr;
    uint32_t mask_ = kFirst - 1;
    std::atomic<uint32_t> bottom_{0};  // the oldest group; for those who only look, too
    uint32_t top_ = 0;                 // one above the newest
    uint64_t maker_ = 0;               // of the newest group
};

}  // namespace gort::rt
