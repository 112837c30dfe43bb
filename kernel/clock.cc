// kernel/clock.cc - finds the vDSO's clock, or settles for the system call.
// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/clock.h"

#include <linux/auxvec.h>

#include "kernel/fatal.h"
#include "kernel/vdso.h"

namespace gort::kernel {

namespace {

#if defined(__x86_64__)
constexpr const char* kSymbol = "__vdso_clock_gettime";
constexpr const char* kVersion = "LINUX_2.6";
#else
constexpr const char* kSymbol = "__kernel_clock_gettime";
constexpr const char* kVersion = "LINUX_2.6.39";
#endif

ClockFn find_clock() {
    const uintptr_t image = auxv_value(AT_SYSINFO_EHDR);
    void* f = image ? elf_symbol(reinterpret_cast<void*>(image), kSymbol, kVersion) : nullptr;
    return f ? reinterpret_cast<ClockFn>(f) : sys_clock_gettime;
}

int first_reading(int clock, Timespec* out) {
    const ClockFn found = find_clock();
    g_clock.store(found, std::memory_order_relaxed);
    return found(clock, out);
}

}  // namespace

constinit std::atomic<ClockFn> g_clock{first_reading};

bool clock_uses_vdso() {
    nanotime();
    return g_clock.load(std::memory_order_relaxed) != sys_clock_gettime;
}

void clock_failed(int clock, int result) {
    fatal_errno(clock == kClockMonotonic ? "monotonic clock" : "clock", result);
}

}  // namespace gort::kernel
