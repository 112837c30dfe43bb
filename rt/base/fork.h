// rt/base/fork.h - what is left of the runtime in a forked child.
// SPDX-License-Identifier: BSD-2-Clause
//
// The child has one thread, the one that forked.
// NO RUN WAS ACTIVE: all works there as in its parent; what other threads were to the runtime is forgotten.
// A RUN WAS ACTIVE (also one by start): its Ps, goroutines, owners of objects and locks belong to threads that the
// child does not have. So the child may exec, _exit and do without gort; whatever it asks of gort ends it with one
// line. Nothing on a hot path looks for that: the thread's M is taken away, so that all ways in become the slow one,
// that of a thread which has never called in. The ways that need no M ask check_not_forked.
// A child by vfork or posix_spawn shares its parent's memory, and one by _Fork or a raw clone is not announced:
// those may exec only.
// Context: any thread.
#pragma once

#include <atomic>

namespace gort::rt {

extern std::atomic<bool> g_forked;  // this is the child of a process that had a run
[[noreturn]] void fatal_forked();
inline void check_not_forked() {
    if (g_forked.load(std::memory_order_relaxed)) [[unlikely]]
        fatal_forked();
}

}  // namespace gort::rt
