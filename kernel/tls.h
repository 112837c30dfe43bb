// kernel/tls.h - the one thread-local object of the library, behind accessors that survive a stack switch.
// SPDX-License-Identifier: BSD-2-Clause
//
// Invariants: (1) no address of a thread-local lives across a call that may park: every access starts from
//             the thread register (arch/*/tls.h). (2) A new thread's area is all zero.
// Context:    any thread, any stack; tls_get also in signal handlers. On a thread of thread.h it works as
//             well.
// Owns:       nothing; what tls_set stored belongs to rt/ (the M, or a foreign thread's stand-in).
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__x86_64__)
#include "arch/x86_64/tls.h"
#elif defined(__aarch64__)
#include "arch/aarch64/tls.h"
#endif

namespace gort::kernel {

inline constexpr int kMaxHeldLocks = 12;

struct ThreadArea {
    void* self;   // for rt/, see tls_get
    int32_t tid;  // 0: not asked yet (kernel/thread.h)
#ifdef GORT_DEBUG
    // kernel/lock_rank.h's
    int32_t held;      // entries of ranks
    int32_t unlisted;  // locks held beyond that
    struct {
        const void* lock;
        uint32_t rank;
    } ranks[kMaxHeldLocks];
#endif
};
static_assert(offsetof(ThreadArea, self) == 0, "arch/*/tls.h loads self at offset 0");

[[gnu::always_inline]] inline void* tls_get() { return arch::tls_load(); }
[[gnu::always_inline]] inline void tls_set(void* self) { arch::tls_store(self); }

// The area itself. Use the pointer at once: after a park it is another thread's.
[[gnu::always_inline]] inline ThreadArea* thread_area() {
    return static_cast<ThreadArea*>(arch::tls_address());
}

}  // namespace gort::kernel
