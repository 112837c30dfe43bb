// kernel/futex.h - sleep until a word changes.
// SPDX-License-Identifier: BSD-2-Clause
//
// Contract: futex_wait sleeps only if *a == expected at the moment it goes to sleep, which the kernel checks
// under the lock that futex_wake takes. So: change the word, then wake; and whoever returns from a wait looks
// at the word again, because a wake can be stray (memory reused, a signal). Private futexes: one process, any
// number of mappings of it.
// Context:  any thread (blocks the thread, so never a goroutine's own wait); futex_wake also in signal
//           handlers.
// Ordering: a wait and a wake order nothing by themselves; the word's atomic accesses do.
#pragma once

#include <atomic>
#include <cstdint>

namespace gort::kernel {

// timeout_ns < 0: for ever; 0: only look. Returns 0 (woken, perhaps stray), -EAGAIN (the word was different),
// -EINTR (a signal), -ETIMEDOUT; dies on anything else.
int futex_wait(std::atomic<uint32_t>* a, uint32_t expected, int64_t timeout_ns = -1);
// Wakes up to n sleepers; returns how many. The memory may already be gone: that is 0.
int futex_wake(std::atomic<uint32_t>* a, int n);

// For words that the kernel or another process writes (CLONE_CHILD_CLEARTID wakes the shared kind).
int futex_wait_shared(std::atomic<uint32_t>* a, uint32_t expected, int64_t timeout_ns = -1);

}  // namespace gort::kernel
