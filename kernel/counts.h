// kernel/counts.h - how often the process has paid for what is dear: heavy barriers by who asked, futex calls.
// SPDX-License-Identifier: BSD-2-Clause
//
// Everything counted here is a system call or leads to one, so a locked addition beside it costs nothing that could be
// measured. What happens on hot paths is not counted here.
// Context: any thread, any stack, signal handlers.
#pragma once

#include <atomic>
#include <cstdint>

namespace gort::kernel {

enum class Count : uint32_t {
    // heavy barriers (kernel/membarrier.h), by what needed one
    kBarrierTake,     // a P is to be taken from its M: steals, retakes
    kBarrierChannel,  // a channel is taken from the P that owns it
    kBarrierSync,     // a sync object is
    kBarrierLock,     // an owned lock is
    kBarrierSleeper,  // a thread is about to sleep on a lock whose unlock has no fence
    kBarrierWaiter,   // a goroutine is about to wait for a mutex whose unlock has no fence
    kBarrierSolo,     // one P is the only one no longer
    kBarrierArm,      // sysmon, or an M that goes idle, asks whoever leaves work behind to say so
    kBarrierOther,
    kHandshakes,  // a P was asked to answer, instead of a barrier or before one
    kFutexWaits,  // calls, whether they slept or not
    kFutexWakes,
    kCount,
};

inline constexpr uint32_t kCounts = static_cast<uint32_t>(Count::kCount);
extern std::atomic<uint64_t> g_counts[kCounts];  // since the process began

inline void count(Count what) {
    g_counts[static_cast<uint32_t>(what)].fetch_add(1, std::memory_order_relaxed);
}
inline uint64_t counted(Count what) {
    return g_counts[static_cast<uint32_t>(what)].load(std::memory_order_relaxed);
}

}  // namespace gort::kernel
