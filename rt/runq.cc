// rt/runq.cc - memory for a P's queues: the ring of its run queue and the groups of its fresh goroutines.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/runq.h"

#include "kernel/fatal.h"
#include "kernel/vm.h"
#include "rt/fresh.h"

namespace gort::rt {

namespace {
constexpr uint32_t kFirst = 512;  // one page

template <class T>
T* ring_alloc(uint32_t slots) {
    void* ring = kernel::reserve(slots * sizeof(T));
    if (!ring) kernel::fatal("out of memory for a longer run queue");
    return static_cast<T*>(ring);
}
}  // namespace

void RunQueue::init() {
    ring_ = ring_alloc<G*>(kFirst);
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
    G** ring = ring_alloc<G*>(room * 2);
    const uint32_t h = head_.load(std::memory_order_relaxed);
    for (uint32_t i = 0; i < room; ++i) ring[(h + i) & (room * 2 - 1)] = ring_[(h + i) & mask_];
    kernel::release(ring_, room * sizeof(G*));
    ring_ = ring;
    mask_ = room * 2 - 1;
}

void FreshQueue::init() {
    groups_ = ring_alloc<Group>(kFirst / 2);
    mask_ = kFirst / 2 - 1;
    bottom_ = top_ = 0;
    size_.store(0, std::memory_order_relaxed);
}

void FreshQueue::destroy() {
    if (groups_) kernel::release(groups_, (mask_ + size_t{1}) * sizeof(Group));
    groups_ = nullptr;
}

void FreshQueue::grow() {
    const uint32_t room = mask_ + 1;
    Group* groups = ring_alloc<Group>(room * 2);
    for (uint32_t i = bottom_; i != top_; ++i) groups[i & (room * 2 - 1)] = at(i);
    kernel::release(groups_, room * sizeof(Group));
    groups_ = groups;
    mask_ = room * 2 - 1;
}

}  // namespace gort::rt
