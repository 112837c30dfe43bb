// kernel/lock.cc - the contended half of Mutex, and Note.
// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/lock.h"

#include "arch/arch.h"
#include "kernel/clock.h"
#include "kernel/cpu.h"
#include "kernel/fatal.h"
#include "kernel/futex.h"
#include "kernel/membarrier.h"
#include "kernel/sys.h"

namespace gort::kernel {

namespace {

// A pause is 10 to 60 ns, so this is at most 3 us: a tenth of what sleeping and waking costs, and longer than
// anything that is done under a Mutex.
constexpr int kSpins = 50;
constexpr int kUnknown = -1;
std::atomic<int> g_spins{kUnknown};

int spins() {
    int n = g_spins.load(std::memory_order_relaxed);
    if (n == kUnknown) [[unlikely]]
        set_lock_spins(n = affinity_cpu_count() > 1 ? kSpins : 0);
    return n;
}

}  // namespace

void set_lock_spins(int n) { g_spins.store(n, std::memory_order_relaxed); }

bool Mutex::try_lock() {
    uint32_t free = 0;
    if (!state_.compare_exchange_strong(free, 1, std::memory_order_acquire, std::memory_order_relaxed))  // L1
        return false;
    ranked_tried();
    return true;
}

bool Mutex::lock_slow() {
    for (int i = spins(); i > 0; --i) {
        arch::pause();
        uint32_t state = state_.load(std::memory_order_relaxed);
        if (state == 0 && state_.compare_exchange_weak(state, 1, std::memory_order_acquire,
                                                       std::memory_order_relaxed))  // L1
            return false;
    }
    // From here on we count as a sleeper: take it as 2 whenever we take it.
    bool slept = false;
    while (state_.exchange(2, std::memory_order_acquire) != 0) {  // L1
        futex_wait(&state_, 2);
        slept = true;
    }
    return slept;
}

void CountedMutex::lock_contended() {
    waited_.fetch_add(1, std::memory_order_relaxed);
    if (lock_slow()) slept_.fetch_add(1, std::memory_order_relaxed);
}

bool CountedMutex::try_lock() {
    if (!Mutex::try_lock()) {
        waited_.fetch_add(1, std::memory_order_relaxed);
        return false;
    }
    took();
    return true;
}

void Mutex::unlock_slow() { futex_wake(&state_, 1); }

bool Mutex::held() const {
#if defined(GORT_DEBUG)
    if (rank_ != LockRank::kUnranked) return lock_rank_held(this);
#endif
    return state_.load(std::memory_order_relaxed) != 0;
}

void Mutex::assert_held() const { GORT_DCHECK(held()); }

void Note::clear() { state_.store(0, std::memory_order_relaxed); }

void Note::sleep() { timed_sleep(-1); }

bool Note::timed_sleep(int64_t ns) {
    uint32_t clear = 0;
    if (!state_.compare_exchange_strong(clear, 2, std::memory_order_acquire)) {  // N1
        GORT_CHECK(clear == 1 && "a note has one sleeper");
        return true;
    }
    const int64_t start = ns < 0 ? 0 : nanotime();
    int64_t left = ns < 0 ? -1 : ns;
    for (;;) {
        futex_wait(&state_, 2, left);
        // 0: the nudge for a sleep_unless before this sleep came late. Without the 2 the futex would refuse every
        // sleep.
        clear = 0;
        if (!state_.compare_exchange_strong(clear, 2, std::memory_order_acquire) && clear == 1)
            return true;  // N1
        if (ns < 0) continue;
        left = ns - (nanotime() - start);
        if (left <= 0) break;
    }
    uint32_t asleep = 2;  // withdraw, unless the wake came just now
    return !state_.compare_exchange_strong(asleep, 0, std::memory_order_acquire);  // N1
}

bool Note::sleep_unless(bool (*over)()) {
    for (;;) {
        uint32_t clear = 0;
        if (!state_.compare_exchange_strong(clear, 2, std::memory_order_acquire)) return true;  // N1
        full_barrier();
        if (over()) {
            uint32_t asleep = 2;
            return !state_.compare_exchange_strong(asleep, 0, std::memory_order_acquire) &&
                   asleep == 1;  // N1
        }
        do futex_wait(&state_, 2);
        while (state_.load(std::memory_order_relaxed) == 2);
    }
}

void Note::nudge() {
    uint32_t asleep = 2;
    if (state_.compare_exchange_strong(asleep, 0, std::memory_order_relaxed)) futex_wake(&state_, 1);
}

void Note::wake() {
    const uint32_t was = state_.exchange(1, std::memory_order_release);  // N1
    if (was == 2) futex_wake(&state_, 1);
    GORT_CHECK(was != 1 && "a note is woken once");
}

}  // namespace gort::kernel
