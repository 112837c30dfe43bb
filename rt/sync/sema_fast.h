// PUBLIC
// rt/sync/sema_fast.h - what the inlined fast paths of rt/sync look at; no part of the interface.
// SPDX-License-Identifier: BSD-2-Clause
//
// A lock is taken with one locked instruction and given back by a plain store. Between that store and the look at who
// waits belongs a full fence, for which the one who goes to sleep pays (kernel/membarrier.h):
//
//      unlock                                who goes to sleep, under its slot's lock (rt/sync/sema.h)
//      1  state = 0                          1  ++g_sema_wanted[slot]
//      2  light_fence                        2  heavy_barrier
//      3  read g_sema_wanted[slot]           3  take the lock if state is 0, else sleep
//
// Either 3 of the right finds 0, or 3 of the left finds a sleeper. Slots are found by address and live for ever, so
// after step 1 nothing of the object is touched: whoever takes the lock next may destroy it.
#pragma once

#include "../config.h"

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "../own/gate_fast.h"

namespace gort::detail {

inline constexpr size_t kSemaSlots = 4096;

// Queues of this slot whose head wants to be woken by the next unlock.
GORT_HIDDEN extern std::atomic<uint32_t> g_sema_wanted[kSemaSlots];

inline size_t sema_slot(const void* object) {
    return static_cast<size_t>((reinterpret_cast<uintptr_t>(object) >> 2) * 0x9e3779b97f4a7c15u >> 52);
}
[[gnu::always_inline]] inline bool sema_wanted(const void* object) {
    return g_sema_wanted[sema_slot(object)].load(std::memory_order_relaxed) != 0;
}

}  // namespace gort::detail
