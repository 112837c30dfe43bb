// kernel/membarrier.h - fences for handshakes of which one side is common and the other one rare.
// SPDX-License-Identifier: BSD-2-Clause
//
// THE PATTERN (Dekker). Each side writes its own word and then reads the other's; at least one must see the
// other's write. Between the two the CPU needs a full fence on both sides:
//
//      common side (6 ns saved each time)        rare side (0.3 to 0.8 us)
//      1  mine = 1                               1  yours = 1
//      2  light_barrier()                        2  heavy_barrier()
//      3  read yours                             3  read mine
//
// heavy_barrier makes every running thread of the process execute a full fence (membarrier PRIVATE_EXPEDITED;
// one that is not running passed through one when it was switched out). Wherever that fence falls in the
// common side, either its write is out before it, and the rare side reads it; or its read comes after it, and
// sees the rare side's write. So light_barrier only has to keep the compiler from swapping 1 and 3. Words are
// atomics, accessed relaxed or stronger.
//
// Without that command (old kernels, seccomp) both are full fences: slower and equally right.
//
// DENIED LATER. A program may install a seccomp filter that refuses the command when the runtime is up. (One that kills
// cannot be survived: such a filter must come before the start, or let membarrier pass.) The heavy_barrier that is
// refused then clears g_expedited: from now on both sides are full fences. Some thread may still be in a light_barrier
// for which it has read g_expedited before that. It reads it after 1, so its write is at worst in the store buffer of
// the CPU that it runs on, or the thread was switched out since, which is a full fence. A CPU that runs has written its
// store buffer out, and was interrupted by the timer, long before kSettle has passed: after that time the rare side
// reads what all those threads have written. Every heavy_barrier waits while that time runs.
// D1: who finds g_expedited cleared also finds g_settling raised.
// Context: light_barrier anywhere; heavy_barrier any thread. membarrier_init: [init], before the first use of
//          either.
#pragma once

#include <atomic>

#include "arch/sanitize.h"
#include "kernel/counts.h"

namespace gort::kernel {

// Set by membarrier_init; cleared for ever when the command is refused later. Not std::atomic, whose load would cost
// the common side an instruction more: it stands between two compiler fences there, and either value will do.
extern bool g_expedited;

void membarrier_init();
void heavy_barrier(Count asker = Count::kBarrierOther);  // asker: which kBarrier... counts it
void membarrier_in_child();  // [a forked child] there are no other threads any more
inline bool has_membarrier() { return g_expedited; }

inline void full_barrier() {
#if GORT_TSAN
    // TSan does not know fences; a read-modify-write orders the same and it sees it.
    extern std::atomic<unsigned> g_tsan_fence;
    g_tsan_fence.fetch_add(1, std::memory_order_seq_cst);
#else
    std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

[[gnu::always_inline]] inline void light_barrier() {
    std::atomic_signal_fence(std::memory_order_seq_cst);  // g_expedited is read after the write
    if (has_membarrier()) [[likely]]
        std::atomic_signal_fence(std::memory_order_seq_cst);
    else full_barrier();
}

// For locks whose unlock looks once more at what it gave away: that memory stays readable, but may be another object by
// then, whose making would be a race to TSan.
#if GORT_TSAN
[[gnu::noinline, gnu::no_sanitize("thread")]] inline uint32_t glance(const std::atomic<uint32_t>& word) {
    return *reinterpret_cast<const volatile uint32_t*>(&word);
}
#else
inline uint32_t glance(const std::atomic<uint32_t>& word) { return word.load(std::memory_order_relaxed); }
#endif

}  // namespace gort::kernel
