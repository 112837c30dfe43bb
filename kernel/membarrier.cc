// kernel/membarrier.cc - the rare side's fence.
// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/membarrier.h"

#include <linux/membarrier.h>

#include "kernel/fatal.h"
#include "kernel/sys.h"

namespace gort::kernel {

bool g_expedited = false;
#if GORT_TSAN
std::atomic<unsigned> g_tsan_fence{0};
#endif

void membarrier_init() {
#if GORT_TSAN
    // Both sides by read-modify-write: TSan cannot see a membarrier, and would report what it orders.
    g_expedited = false;
#else
    // The registration first; then proof that it works, since an emulator may accept what it does not do.
    const int commands = sys_membarrier(MEMBARRIER_CMD_QUERY, 0);
    g_expedited = commands > 0 && (commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED) &&
                  sys_membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0) == 0 &&
                  sys_membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0) == 0;
#endif
}

void heavy_barrier(Count asker) {
    count(asker);
    if (!g_expedited) return full_barrier();
    // It must happen: the common side has no fence of its own. ENOMEM passes; EPERM is a forked child whose
    // registration was not inherited.
    constexpr int kTries = 1000;
    int r = 0;
    for (int i = 0; i < kTries; ++i) {
        r = sys_membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0);
        if (r == 0) return;
        if (r == -EPERM) sys_membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0);
        else sys_sched_yield();
    }
    fatal_errno("membarrier", r);
}

}  // namespace gort::kernel
