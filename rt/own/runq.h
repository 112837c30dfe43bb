// rt/own/runq.h - a P's run queue: a growing ring of G pointers, plain memory; and an intrusive list for the global
// queue.
// SPDX-License-Identifier: BSD-2-Clause
//
// Invariants: (1) tail - head is the length, at most mask + 1. (2) a queued G is kRunnable and on no other queue.
// Context:    [owner P inside the gate], or whoever took the P through the gate: no atomics are needed, see
//             rt/own/gate.h. size() alone may be asked by any thread and is then a guess.
// Why a ring: pushing touches only the ring, not the G before (an intrusive list writes to its cold line), and the next
//             Gs are known early enough to prefetch. Go's ring has 256 places and spills to the global queue; ours
//             grows, so a spawn storm never takes a lock.
#pragma once

#include <atomic>
#include <cstdint>

#include "rt/own/g.h"

namespace gort::rt {

class RunQueue {
public:
    uint32_t size() const {
        return tail_.load(std::memory_order_relaxed) - head_.load(std::memory_order_relaxed);
    }
    bool empty() const { return size() == 0; }
    uint32_t head() const { return head_.load(std::memory_order_relaxed); }  // a guess, as size
    uint32_t tail() const { return tail_.load(std::memory_order_relaxed); }

    void push(G* gp) {
        uint32_t t = tail_.load(std::memory_order_relaxed);
        if (t - head_.load(std::memory_order_relaxed) > mask_) [[unlikely]]
            grow();
        ring_[t & mask_] = gp;
        tail_.store(t + 1, std::memory_order_relaxed);
    }

    G* pop() {
        uint32_t h = head_.load(std::memory_order_relaxed);
        if (h == tail_.load(std::memory_order_relaxed)) return nullptr;
        G* gp = ring_[h & mask_];
        head_.store(h + 1, std::memory_order_relaxed);
        if (const uint32_t n = tail_.load(std::memory_order_relaxed) - h; n > kFar) {
            __builtin_prefetch(ring_[(h + kFar) & mask_], 1);
            const auto* sp = static_cast<const char*>(ring_[(h + kNear) & mask_]->ctx.sp);
            __builtin_prefetch(sp);
            if (n > kMany) {  // more than the caches hold: its frames too
                __builtin_prefetch(sp + 64);
                __builtin_prefetch(sp + 128);
            }
        } else {
            __builtin_prefetch(
                ring_[(h + 1) & mask_]);  // the next one's first line, in time for the next switch
        }
        return gp;
    }

    // Pushes gp and pops the head in one; null, and nothing done, when there is no other.
    G* rotate(G* gp) {
        const uint32_t h = head_.load(std::memory_order_relaxed), t = tail_.load(std::memory_order_relaxed);
        if (h == t) return nullptr;
        G* next = ring_[h & mask_];
        ring_[t & mask_] = gp;  // in a full ring that is the place just read
        head_.store(h + 1, std::memory_order_relaxed);
        tail_.store(t + 1, std::memory_order_relaxed);
        if (!next) __builtin_unreachable();
        if (t - h > kFar) {
            __builtin_prefetch(ring_[(h + kFar) & mask_]);
            __builtin_prefetch(ring_[(h + kNear) & mask_]->ctx.sp);
        }
        return next;
    }

    static constexpr uint32_t kFirst = 64;
    void init(G** first);  // kFirst places, which stay the caller's

    void destroy();

private:
    static constexpr uint32_t kNear = 2, kFar = 5, kMany = 4096;
    [[gnu::noinline]] void grow();

    G** ring_ = nullptr;
    uint32_t mask_ = kFirst - 1;
    std::atomic<uint32_t> head_{0};  // atomic only so that size() may be a guess from outside
    std::atomic<uint32_t> tail_{0};
};

// FIFO of Gs linked through G::next; guarded by whatever its owner says.
struct GList {
    G* head = nullptr;
    G* tail = nullptr;
    uint32_t count = 0;

    void push(G* gp) {
        gp->next = nullptr;
        (tail ? tail->next : head) = gp;
        tail = gp;
        ++count;
    }
    G* pop() {
        G* gp = head;
        if (!gp) return nullptr;
        head = gp->next;
        if (!head) tail = nullptr;
        gp->next = nullptr;
        --count;
        return gp;
    }
};

}  // namespace gort::rt
