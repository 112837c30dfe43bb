// kernel/membarrier.cc - the rare side's fence.
// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/membarrier.h"

#include <linux/membarrier.h>

#include "kernel/clock.h"
#include "kernel/sys.h"

namespace gort::kernel {

bool g_expedited = false;
#if GORT_TSAN
std::atomic<unsigned> g_tsan_fence{0};
#endif

void membarrier_init() {
#if GORT_TSAN
    // Both sides by read-modify-write: TSan cannot see a membarrier, and would report what it orders.
#else
    // The registration first; then proof that it works, since an emulator may accept what it does not do.
    const int commands = sys_membarrier(MEMBARRIER_CMD_QUERY, 0);
    const bool works = commands > 0 && (commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED) &&
                       sys_membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0) == 0 &&
                       sys_membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0) == 0;
    __atomic_store_n(&g_expedited, works, __ATOMIC_RELEASE);  // threads that wait for the first run read it
#endif
}

namespace {

constexpr int64_t kSettle = 25'000'000;  // two ticks of a kernel with 100 of them a second, and some more
std::atomic<uint32_t> g_settling{0};     // threads that wait until the last fast light_barrier is over

// ENOMEM passes. EPERM may be a forked child whose registration was not inherited.
bool expedited_barrier() {
    constexpr int kTries = 100;
    for (int i = 0; i < kTries; ++i) {
        const int r = sys_membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0);
        if (r == 0) return true;
        if (r == -EPERM) {
            if (sys_membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0) != 0) return false;
        } else if (r == -ENOMEM) {
            sys_sched_yield();
        } else {
            return false;
        }
    }
    return false;
}

void pause_for(int64_t ns) {
    constexpr Timespec kNap{0, 1'000'000};
    for (const int64_t end = nanotime() + ns; nanotime() < end;) sys_nanosleep(&kNap, nullptr);
}

// The command works no longer. See "DENIED LATER" in membarrier.h.
void fall_back() {
    g_settling.fetch_add(1, std::memory_order_relaxed);
    __atomic_store_n(&g_expedited, false, __ATOMIC_RELEASE);  // D1
    full_barrier();
    pause_for(kSettle);
    g_settling.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace

void heavy_barrier(Count asker) {
    count(asker);
    if (!__atomic_load_n(&g_expedited, __ATOMIC_ACQUIRE)) {  // D1
        full_barrier();
        // The second look: membarrier_init may just have told the others that they need no fence.
        if (!__atomic_load_n(&g_expedited, __ATOMIC_ACQUIRE)) {
            while (g_settling.load(std::memory_order_relaxed)) pause_for(1'000'000);
            return;
        }
    }
    if (!expedited_barrier()) fall_back();
}

void membarrier_in_child() { g_settling.store(0, std::memory_order_relaxed); }

}  // namespace gort::kernel
