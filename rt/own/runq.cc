// rt/own/runq.cc - memory for a P's queues beyond what lies in the P: the ring of its run queue and the groups of its
// fresh goroutines.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/own/runq.h"

#include "kernel/fatal.h"
#include "kernel/vm.h"
#include "rt/own/fresh.h"

namespace gort::rt {

namespace {
constexpr uint32_t kLeast = 512;  // of a ring of its own: a page or two

template <class T>
T* ring_alloc(uint32_t slots) {
    void* ring = kernel::reserve(slots * sizeof(T));
    if (!ring) kernel::fatal("out of memory for a longer run queue");
    return static_cast<T*>(ring);
}
uint32_t grown(uint32_t room) { return room < kLeast ? kLeast : room * 2; }
}  // namespace

void RunQueue::init(G** first) {
    ring_ = first;
    mask_ = kFirst - 1;
    head_.store(0, std::memory_order_relaxed);
    tail_.store(0, std::memory_order_relaxed);
}

void RunQueue::destroy() {
    if (mask_ != kFirst - 1) kernel::release(ring_, (mask_ + size_t{1}) * sizeof(G*));
    ring_ = nullptr;
}

void RunQueue::grow() {
    const uint32_t room = mask_ + 1, next = grown(room);
    G** ring = ring_alloc<G*>(next);
    const uint32_t h = head_.load(std::memory_order_relaxed);
    for (uint32_t i = 0; i < room; ++i) ring[(h + i) & (next - 1)] = ring_[(h + i) & mask_];
    destroy();
    ring_ = ring;
    mask_ = next - 1;
}

void FreshQueue::init(Group* first) {
    groups_ = first;
    mask_ = kFirst - 1;
    bottom_.store(0, std::memory_order_relaxed);
    top_ = 0;
    size_.store(0, std::memory_order_relaxed);
}

void FreshQueue::destroy() {
    if (mask_ != kFirst - 1) kernel::release(groups_, (mask_ + size_t{1}) * sizeof(Group));
    groups_ = nullptr;
}

void FreshQueue::grow() {
    const uint32_t room = mask_ + 1, next = grown(room);
    Group* groups = ring_alloc<Group>(next);
    for (uint32_t i = bottom(); i != top_; ++i) groups[i & (next - 1)] = at(i);
    destroy();
    groups_ = groups;
    mask_ = next - 1;
}

}  // namespace gort::rt
