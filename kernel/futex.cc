// kernel/futex.cc - the futex calls that kernel/futex.h promises.
// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/futex.h"

#include <linux/futex.h>

#include "kernel/counts.h"
#include "kernel/fatal.h"
#include "kernel/sys.h"

namespace gort::kernel {

static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t));

static int wait(uint32_t* a, int op, uint32_t expected, int64_t timeout_ns) {
    count(Count::kFutexWaits);
    const Timespec timeout = to_timespec(timeout_ns < 0 ? 0 : timeout_ns);
    const long r = sys_futex(a, op, expected, timeout_ns < 0 ? nullptr : &timeout, nullptr, 0);
    if (r == 0 || r == -EAGAIN || r == -EINTR || r == -ETIMEDOUT) [[likely]]
        return static_cast<int>(r);
    fatal_errno("futex wait", r);
}

int futex_wait(std::atomic<uint32_t>* a, uint32_t expected, int64_t timeout_ns) {
    return wait(reinterpret_cast<uint32_t*>(a), FUTEX_WAIT_PRIVATE, expected, timeout_ns);
}

int futex_wait_shared(std::atomic<uint32_t>* a, uint32_t expected, int64_t timeout_ns) {
    return wait(reinterpret_cast<uint32_t*>(a), FUTEX_WAIT, expected, timeout_ns);
}

int futex_wake(std::atomic<uint32_t>* a, int n) {
    auto* word = reinterpret_cast<uint32_t*>(a);
    long r;
    count(Count::kFutexWakes);
    do {  // the kernel never interrupts a wake; a test that injects EINTR into futex calls means the waits
        r = sys_futex(word, FUTEX_WAKE_PRIVATE, static_cast<uint32_t>(n), nullptr, nullptr, 0);
    } while (r == -EINTR);
    // EFAULT: the sleeper is awake, has freed the word and unmapped it. There is no sleeper left to wake.
    if (r >= 0) [[likely]]
        return static_cast<int>(r);
    if (r == -EFAULT) return 0;
    fatal_errno("futex wake", r);
}

}  // namespace gort::kernel
