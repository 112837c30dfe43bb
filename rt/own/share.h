// rt/own/share.h - how goroutines get from one P to another: the public part of a P's queues, and what is known about
// sharing with it.
// SPDX-License-Identifier: BSD-2-Clause
//
// A P's queues are private: its owner uses them by plain loads and stores. An M without work, a LOOKER
// (rt/sched/look.cc), says to a P that it is hungry, by a word that spawn and ready read anyway (P::wanted) or, when
// that brings nothing, by a bit that every scheduling decision reads anyway (kAskShare). The owner then moves some of
// what waits into the P's PublicQueue, from where anybody takes it by one exchange. Only an owner that computes in user
// code, and so does not answer, has its queue taken through the gate.
//
// Rule: nothing becomes public before it is at rest. The owner shares inside spawn, inside ready and on g0 after the
//       commit; what is queued then is no running goroutine, and its stack is not in use.
//
// WHEN SHARING PAYS is judged afterwards. A looker that runs out of what it took, or that finds itself mostly waiting
// for cache lines of the other P, compares: if each goroutine that it took gave it less than kLeastGain, or the lines
// took too much of the time, then sharing with that P has cost more than it gave. The P is then left alone for a while
// that doubles with each bad experience (Sharing::pause), and less is taken at once (Sharing::batch).
#pragma once

#include <atomic>
#include <cstdint>

#include "rt/own/g.h"

namespace gort::rt {

// P::wanted
inline constexpr uint32_t kHungry = 1;   // a looker takes what this P makes public
inline constexpr uint32_t kWakeOne = 2;  // nobody looks: who leaves work behind here wakes an M that does

// A chain of goroutines, linked through G::next. Anybody takes all of it by one exchange; the P's owner, and who gives
// goroutines back to it, put a chain on top by CAS.
// Ordering: Q1 the release of a push -> the acquire of the take: the goroutines' stacks are as they were left.
class PublicQueue {
public:
    bool empty() const { return head_.load(std::memory_order_relaxed) == 0; }
    // The one that lies here alone because it was readied last, and that its waker may want back at once; else null.
    const G* offer() const {
        const uintptr_t h = head_.load(std::memory_order_relaxed);
        return h & 1 ? reinterpret_cast<const G*>(h - 1) : nullptr;
    }
    void push(G* first, G* last) {
        uintptr_t h = head_.load(std::memory_order_relaxed);
        do last->next = reinterpret_cast<G*>(h & ~uintptr_t{1});
        while (!head_.compare_exchange_weak(h, reinterpret_cast<uintptr_t>(first),  // Q1
                                            std::memory_order_acq_rel, std::memory_order_relaxed));
    }
    // False if something lies here already.
    bool push_offer(G* gp) {
        gp->next = nullptr;
        uintptr_t h = 0;
        return head_.compare_exchange_strong(h, reinterpret_cast<uintptr_t>(gp) | 1,  // Q1
                                             std::memory_order_release, std::memory_order_relaxed);
    }
    // It is an offer no more, but stays.
    bool keep_offer() {
        uintptr_t h = head_.load(std::memory_order_relaxed);
        return (h & 1) &&
               head_.compare_exchange_strong(h, h - 1, std::memory_order_release, std::memory_order_relaxed);
    }
    G* take_all() {
        if (empty()) return nullptr;
        return reinterpret_cast<G*>(head_.exchange(0, std::memory_order_acquire) & ~uintptr_t{1});  // Q1
    }

private:
    std::atomic<uintptr_t> head_{0};  // bit 0: an offer
};

// Writes only what is new, for a line that is not written stays in the caches of those who read it.
template <class T>
inline void write_new(std::atomic<T>& to, T value) {
    if (to.load(std::memory_order_relaxed) != value) to.store(value, std::memory_order_relaxed);
}
// The same for a value that need not be exact: writes where it differs by more than an eighth.
inline void write_about(std::atomic<int64_t>& to, int64_t value) {
    const int64_t off = to.load(std::memory_order_relaxed) - value;
    if ((off < 0 ? -off : off) > value / 8) to.store(value, std::memory_order_relaxed);
}

// What is known about a P as one to take from. Written by those who look, seldom; a guess to all.
struct Sharing {
    static constexpr uint32_t kFirstBatch = 8, kMostBatch = 256;
    std::atomic<int64_t> grain{0};             // ns from one decision to the next, lately; 0: unknown
    std::atomic<uint32_t> batch{kFirstBatch};  // so many at once
    std::atomic<int32_t> trust{0};             // from good experiences, less what bad ones cost
    std::atomic<int64_t> trust_grain{0};       // the grain that the last good one was made with
    std::atomic<int64_t> pause{0};             // how long it is left alone after the next bad experience
    std::atomic<int64_t> pause_until{0};
    std::atomic<int64_t> pause_grain{0};  // the grain that the bad experience was made with
};

struct P;

// What a P took from another one.
struct Loot {
    P* from = nullptr;
    uint32_t count = 0;  // goroutines
    int64_t since = 0;
    // how often this P has used an object that another P used last, on the ways that see it
    uint32_t remote = 0;
    int64_t lost = 0;       // ns spent on other things that it would not have had to do: note_lost
    uint32_t stacks = 0;    // how many its goroutines have needed; every eighth is timed
    int64_t checked = 0;    // when `lost` was looked at last,
    int64_t lost_then = 0;  // and what it was
    int64_t from_idle = 0;  // how long `from` had been idle in all
};

}  // namespace gort::rt
