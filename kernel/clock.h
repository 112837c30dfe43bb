// kernel/clock.h - what time it is, by the vDSO: about 20 ns and no entry into the kernel.
// SPDX-License-Identifier: BSD-2-Clause
//
// The first reading looks the vDSO up and wants 2 KiB of stack, so a runtime calls clock_uses_vdso() at
// start; the rest are one indirect call. Without a vDSO (qemu-user) it is a system call.
// Context: any thread, signal handlers, any stack with 512 bytes left. rt/, ctx/ and chan/ read time through
//          rt/time/clock.h.
#pragma once

#include <atomic>
#include <cstdint>

#include "kernel/sys.h"

namespace gort::kernel {

inline constexpr int kClockRealtime = 0;
inline constexpr int kClockMonotonic = 1;

using ClockFn = int (*)(int clock, Timespec* out);
// The vDSO's function, the system call, or at first the one that finds out. Relaxed is enough: whichever a
// reader sees is right, and none depends on data written before.
extern std::atomic<ClockFn> g_clock;
[[noreturn]] void clock_failed(int clock, int result);

inline int64_t read_clock(int clock) {
    Timespec t;
    const int r = g_clock.load(std::memory_order_relaxed)(clock, &t);
    if (r != 0) [[unlikely]]
        clock_failed(clock, r);
    return to_ns(t);
}
// Nanoseconds since an arbitrary start; never goes back.
inline int64_t nanotime() { return read_clock(kClockMonotonic); }
// Nanoseconds since 1970, UTC; jumps when the clock is set.
inline int64_t walltime() { return read_clock(kClockRealtime); }

// True if readings do not enter the kernel; asks the vDSO if that has not been done yet.
bool clock_uses_vdso();

}  // namespace gort::kernel
