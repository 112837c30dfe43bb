// rt/base/inside_lock.cc - the contended half of InsideLock.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/base/inside_lock.h"

#include "arch/arch.h"
#include "kernel/cpu.h"
#include "kernel/futex.h"

namespace gort::rt {

namespace {

// A pause is 10 to 60 ns: longer than what is usually done under such a lock, a tenth of a sleep and a wake.
constexpr int kSpins = 50;

}  // namespace

void InsideLock::lock_slow() {
    static std::atomic<int> spins{-1};
    int n = spins.load(std::memory_order_relaxed);
    if (n < 0) spins.store(n = kernel::affinity_cpu_count() > 1 ? kSpins : 0, std::memory_order_relaxed);
    for (; n > 0; --n) {
        arch::pause();
        if (state_.load(std::memory_order_relaxed) == 0 &&
            state_.exchange(1, std::memory_order_acquire) == 0)  // K1
            return;
    }
    sleepers_.fetch_add(1, std::memory_order_relaxed);
    kernel::heavy_barrier(kernel::Count::kBarrierSleeper);
    while (state_.exchange(1, std::memory_order_acquire) != 0) kernel::futex_wait(&state_, 1);  // K1
    sleepers_.fetch_sub(1, std::memory_order_relaxed);
}

void InsideLock::unlock_slow() { kernel::futex_wake(&state_, 1); }

}  // namespace gort::rt
