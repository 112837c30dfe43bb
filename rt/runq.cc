// rt/runq.cc - growing a run queue's ring.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/runq.h"

#include "kernel/fatal.h"
#include "kernel/vm.h"

namespace gort::rt {

namespace {
constexpr uint32_t kFirst = 512;  // one page

G** ring_alloc(uint32_t slots) {
    void* ring = kernel::reserve(slots * sizeof(G*));
    if (!ring) kernel::fatal("out of memory for a longer run queue");
    return static_cast<G**>(ring);
}
}  // namespace

void RunQueue::init() {
    ring_ = ring_alloc(kFirst);
    mask_ = kFirst - 1;
    head_.store(0, std::memory_order_relaxed);
    tail_.store(0, std::memory_order_relaxed);
}

void RunQueue::destroy() {
    if (ring_) kernel::release(ring_, (mask_ + size_t{1}) * sizeof(G*));
    ring_ = nullptr;
}

void RunQueue::grow() {
    const uint32_t room = mask_ + 1;
    G** ring = ring_alloc(room * 2);
    const uint32_t h = head_.load(std::memory_order_relaxed);
    for (uint32_t i = 0; i < room; ++i) ring[(h + i) & (room * 2 - 1)] = ring_[(h + i) & mask_];
    kernel::release(ring_, room * sizeof(G*));
    ring_ = ring;
    mask_ = room * 2 - 1;
}

}  // namespace gort::rt
