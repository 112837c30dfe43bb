// tests/explore/litmus.cc - the model's own tests: outcomes that C++ allows are found, those it forbids are not.
// SPDX-License-Identifier: BSD-2-Clause
#include <atomic>

#include "arch/arch.h"
#include "kernel/futex.h"
#include "kernel/membarrier.h"
#include "tests/explore/explore.h"

using namespace gort;
using namespace gort::explore;

namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kAcquire = std::memory_order_acquire;
constexpr auto kRelease = std::memory_order_release;
constexpr auto kAcqRel = std::memory_order_acq_rel;
constexpr auto kSeqCst = std::memory_order_seq_cst;
constexpr Bounds kAll{kUnbounded, kUnbounded, 0, 0};
constexpr Bounds kAllEarly{kUnbounded, kUnbounded, kUnbounded, 0};

std::atomic<uint32_t> x, y, z;
int plain;
uint32_t r[4];

template <class... F>
void threads(F... fn) {
    name(&x, sizeof x, "x");
    name(&y, sizeof y, "y");
    name(&z, sizeof z, "z");
    name(&plain, sizeof plain, "plain");
    (spawn(fn), ...);
    start();
    join();
}

// Store buffering: each stores its own and does not see the other's.
template <std::memory_order kStore, std::memory_order kLoad>
void sb() {
    threads([] { x.store(1, kStore), r[0] = y.load(kLoad); },
            [] { y.store(1, kStore), r[1] = x.load(kLoad); });
    check(r[0] || r[1], "neither saw the other");
}
EXPLORE_FINDS(sb_relaxed, "neither", kAll) { sb<kRelaxed, kRelaxed>(); }
EXPLORE_FINDS(sb_release_acquire, "neither", kAll) { sb<kRelease, kAcquire>(); }
EXPLORE_FINDS(sb_half_seq_cst, "neither", kAll) { sb<kSeqCst, kAcquire>(); }
EXPLORE(sb_seq_cst, kAll) { sb<kSeqCst, kSeqCst>(); }

template <std::memory_order kFence>
void sb_fences() {
    threads([] { x.store(1, kRelaxed), std::atomic_thread_fence(kFence), r[0] = y.load(kRelaxed); },
            [] { y.store(1, kRelaxed), std::atomic_thread_fence(kFence), r[1] = x.load(kRelaxed); });
    check(r[0] || r[1], "neither saw the other");
}
EXPLORE(sb_seq_cst_fences, kAll) { sb_fences<kSeqCst>(); }
EXPLORE_FINDS(sb_acq_rel_fences, "neither", kAll) { sb_fences<kAcqRel>(); }
EXPLORE_FINDS(sb_one_fence, "neither", kAll) {
    threads([] { x.store(1, kRelaxed), std::atomic_thread_fence(kSeqCst), r[0] = y.load(kRelaxed); },
            [] { y.store(1, kRelaxed), r[1] = x.load(kRelaxed); });
    check(r[0] || r[1], "neither saw the other");
}
EXPLORE(sb_fence_and_seq_cst, kAll) {
    threads([] { x.store(1, kRelaxed), std::atomic_thread_fence(kSeqCst), r[0] = y.load(kRelaxed); },
            [] { y.store(1, kSeqCst), r[1] = x.load(kSeqCst); });
    check(r[0] || r[1], "neither saw the other");
}

// Dekker with one side's fence forced by a membarrier: kernel/membarrier.h.
EXPLORE(sb_membarrier, kAll) {
    threads([] { x.store(1, kRelaxed), kernel::light_barrier(), r[0] = y.load(kRelaxed); },
            [] { y.store(1, kRelaxed), kernel::heavy_barrier(), r[1] = x.load(kRelaxed); });
    check(r[0] || r[1], "neither saw the other");
}
EXPLORE_FINDS(sb_membarrier_without_compiler_fence, "neither", kAll) {
    threads([] { x.store(1, kRelaxed), r[0] = y.load(kRelaxed); },
            [] { y.store(1, kRelaxed), kernel::heavy_barrier(), r[1] = x.load(kRelaxed); });
    check(r[0] || r[1], "neither saw the other");
}
EXPLORE_FINDS(sb_light_barriers_only, "neither", kAll) {
    threads([] { x.store(1, kRelaxed), kernel::light_barrier(), r[0] = y.load(kRelaxed); },
            [] { y.store(1, kRelaxed), kernel::light_barrier(), r[1] = x.load(kRelaxed); });
    check(r[0] || r[1], "neither saw the other");
}
// Two that only have light barriers are not ordered by a third one's heavy one either.
EXPLORE_FINDS(sb_membarrier_of_a_third, "neither", kAll) {
    threads([] { x.store(1, kRelaxed), kernel::light_barrier(), r[0] = y.load(kRelaxed); },
            [] { y.store(1, kRelaxed), kernel::light_barrier(), r[1] = x.load(kRelaxed); },
            [] { kernel::heavy_barrier(); });
    check(r[0] || r[1], "neither saw the other");
}
// DENIED LATER (kernel/membarrier.h): without the command both sides are full fences.
EXPLORE(sb_membarrier_refused, kAll) {
    kernel::g_expedited = false;
    threads([] { x.store(1, kRelaxed), kernel::light_barrier(), r[0] = y.load(kRelaxed); },
            [] { y.store(1, kRelaxed), kernel::heavy_barrier(), r[1] = x.load(kRelaxed); });
    check(r[0] || r[1], "neither saw the other");
}

// Message passing: who sees the flag sees the message.
template <std::memory_order kStore, std::memory_order kLoad>
void mp() {
    threads([] { x.store(1, kRelaxed), y.store(1, kStore); },
            [] { r[0] = y.load(kLoad), r[1] = x.load(kRelaxed); });
    check(!r[0] || r[1], "the flag came without its message");
}
EXPLORE(mp_release_acquire, kAll) { mp<kRelease, kAcquire>(); }
EXPLORE_FINDS(mp_relaxed_store, "the flag", kAll) { mp<kRelaxed, kAcquire>(); }
EXPLORE_FINDS(mp_relaxed_load, "the flag", kAll) { mp<kRelease, kRelaxed>(); }
EXPLORE(mp_fences, kAll) {
    threads([] { x.store(1, kRelaxed), std::atomic_thread_fence(kRelease), y.store(1, kRelaxed); },
            [] { r[0] = y.load(kRelaxed), std::atomic_thread_fence(kAcquire), r[1] = x.load(kRelaxed); });
    check(!r[0] || r[1], "the flag came without its message");
}
EXPLORE_FINDS(mp_fence_too_late, "the flag", kAll) {
    threads([] { x.store(1, kRelaxed), y.store(1, kRelaxed), std::atomic_thread_fence(kRelease); },
            [] { r[0] = y.load(kRelaxed), std::atomic_thread_fence(kAcquire), r[1] = x.load(kRelaxed); });
    check(!r[0] || r[1], "the flag came without its message");
}
// A read-modify-write in the middle hands the message on, whoever makes it; a plain store of the same does not.
EXPLORE(mp_release_sequence, kAll) {
    threads([] { x.store(1, kRelaxed), y.store(1, kRelease); }, [] { y.fetch_add(1, kRelaxed); },
            [] { r[0] = y.load(kAcquire), r[1] = x.load(kRelaxed); });
    check(r[0] != 2 || r[1], "the flag came without its message");
}
EXPLORE_FINDS(mp_no_release_sequence, "the flag", kAll) {
    threads([] { x.store(1, kRelaxed), y.store(1, kRelease); },
            [] {
                if (y.load(kRelaxed) == 1) y.store(2, kRelaxed);
            },
            [] { r[0] = y.load(kAcquire), r[1] = x.load(kRelaxed); });
    check(r[0] != 2 || r[1], "the flag came without its message");
}
EXPLORE(mp_plain, kAll) {
    threads([] { plain = 1, y.store(1, kRelease); },
            [] {
                if (y.load(kAcquire)) r[1] = static_cast<uint32_t>(plain);
            });
}
EXPLORE_FINDS(mp_plain_races, "race", kAll) {
    threads([] { plain = 1, y.store(1, kRelaxed); },
            [] {
                if (y.load(kAcquire)) r[1] = static_cast<uint32_t>(plain);
            });
}
EXPLORE_FINDS(plain_write_after_release_races, "race", kAll) {
    threads([] { y.store(1, kRelease), plain = 1; },
            [] {
                if (y.load(kAcquire)) r[1] = static_cast<uint32_t>(plain);
            });
}
// A full fence forced from outside orders what is read, but makes no plain access safe.
EXPLORE_FINDS(membarrier_is_no_release, "race", kAll) {
    threads([] { plain = 1, kernel::light_barrier(), y.store(1, kRelaxed); },
            [] {
                kernel::heavy_barrier();
                if (y.load(kRelaxed)) r[1] = static_cast<uint32_t>(plain);
            });
}

// Load buffering is left out of the model: README.md says what that means.
EXPLORE(lb, kAllEarly) {
    threads([] { r[0] = x.load(kRelaxed), y.store(1, kRelaxed); },
            [] { r[1] = y.load(kRelaxed), x.store(1, kRelaxed); });
    check(!r[0] || !r[1], "each read what the other stored afterwards");
}

// Independent reads of independent writes: do two readers agree on the order?
template <std::memory_order kStore, std::memory_order kLoad>
void iriw() {
    threads([] { x.store(1, kStore); }, [] { y.store(1, kStore); },
            [] { r[0] = x.load(kLoad), r[1] = y.load(kLoad); },
            [] { r[2] = y.load(kLoad), r[3] = x.load(kLoad); });
    check(!(r[0] && !r[1] && r[2] && !r[3]), "the readers disagree");
}
EXPLORE_FINDS(iriw_release_acquire, "the readers", kAll) { iriw<kRelease, kAcquire>(); }
EXPLORE(iriw_seq_cst, kAll) { iriw<kSeqCst, kSeqCst>(); }

// Two words written in opposite orders: which store is last in both? Only with stores that go before earlier ones.
template <std::memory_order kStore>
void two_plus_two() {
    threads([] { x.store(1, kStore), y.store(2, kStore); }, [] { y.store(1, kStore), x.store(2, kStore); });
    check(!(x.load(kRelaxed) == 1 && y.load(kRelaxed) == 1), "both first stores are last");
}
EXPLORE_FINDS(two_plus_two_relaxed, "both first", kAllEarly) { two_plus_two<kRelaxed>(); }
EXPLORE_FINDS(two_plus_two_release, "both first", kAllEarly) { two_plus_two<kRelease>(); }
EXPLORE(two_plus_two_seq_cst, kAllEarly) { two_plus_two<kSeqCst>(); }
EXPLORE(two_plus_two_without_early, kAll) { two_plus_two<kRelaxed>(); }

// Coherence: one word's stores are seen in one order, by each and by who hears of it.
EXPLORE(coherence, kAllEarly) {
    threads([] { x.store(1, kRelaxed), x.store(2, kRelaxed); },
            [] { r[0] = x.load(kRelaxed), r[1] = x.load(kRelaxed); });
    check(r[1] >= r[0], "a later load read an earlier store");
}
EXPLORE(coherence_through_others, kAll) {
    threads([] { x.store(1, kRelaxed), x.store(2, kRelaxed); },
            [] { r[0] = x.load(kRelaxed), y.store(1, kRelease); },
            [] {
                r[1] = y.load(kAcquire);
                r[2] = x.load(kRelaxed);
            });
    check(!r[1] || r[2] >= r[0], "who heard of a load read an earlier store");
}

EXPLORE(rmw_is_atomic, kAllEarly) {
    threads([] { x.fetch_add(1, kRelaxed); }, [] { x.fetch_add(1, kRelaxed); },
            [] { x.fetch_add(1, kRelaxed); });
    check(x.load(kRelaxed) == 3, "an addition was lost");
}
EXPLORE(exchange_finds_one, kAllEarly) {
    const auto claim = [] {
        uint32_t free = 0;
        if (x.compare_exchange_strong(free, 1, kRelaxed)) ++plain;
    };
    threads(claim, claim);
    check(plain == 1, "not one of them");
}
#if !defined(__clang__)  // it does not tell the two kinds apart
EXPLORE_FINDS(weak_exchange_may_fail, "it failed", .timeouts = 1) {
    threads([] {
        uint32_t free = 0;
        r[0] = x.compare_exchange_weak(free, 1, kRelaxed);
    });
    check(r[0], "it failed for nothing");
}
#endif
// A store is no read-modify-write: one that comes between is lost or not, and never splits one.
EXPLORE(store_beside_rmw, kAllEarly) {
    threads([] { r[0] = x.fetch_add(1, kRelaxed); }, [] { x.store(10, kRelaxed); });
    const uint32_t last = x.load(kRelaxed);
    check((r[0] == 0 && last == 10) || (r[0] == 10 && last == 11), "something else");
}

// Bytes of one word: what is known of one says nothing of another one, and who takes them all takes them at once.
alignas(4) std::atomic<uint8_t> bytes[4];
auto* whole() { return reinterpret_cast<uint32_t __attribute__((may_alias))*>(bytes); }
bool exchange_whole(uint32_t from, uint32_t to, int good) {
    return __atomic_compare_exchange_n(whole(), &from, to, false, good, __ATOMIC_RELAXED);
}
EXPLORE_FINDS(bytes_stale, "the second", kAll) {
    threads([] { bytes[0].store(1, kRelaxed), bytes[1].store(1, kRelaxed); },
            [] { r[0] = bytes[1].load(kRelaxed), r[1] = bytes[0].load(kRelaxed); });
    check(!r[0] || r[1], "the second without the first");
}
EXPLORE_FINDS(bytes_stale_after_exchange, "one byte", kAll) {
    threads([] { exchange_whole(0, 0x0101, __ATOMIC_RELEASE); },
            [] { r[0] = bytes[1].load(kRelaxed), r[1] = bytes[0].load(kRelaxed); });
    check(!r[0] || r[1], "one byte without the other");
}
EXPLORE(bytes_acquired, kAll) {
    threads([] { exchange_whole(0, 0x0101, __ATOMIC_RELEASE); },
            [] { r[0] = bytes[1].load(kAcquire), r[1] = bytes[0].load(kRelaxed); });
    check(!r[0] || r[1], "one byte without the other");
}
EXPLORE(bytes_exchange_is_whole, kAllEarly) {
    threads([] { bytes[0].store(1, kRelaxed); }, [] { r[0] = exchange_whole(0, 0x0200, __ATOMIC_RELAXED); });
    const uint32_t last = __atomic_load_n(whole(), __ATOMIC_RELAXED);
    check(last == (r[0] ? 0x0201u : 1u), "a byte is lost");
}
// A lock in one byte, beside one that says whether the lock may be had: as a mutex is (rt/own/owner.h).
EXPLORE(bytes_lock, kAll) {
    threads(
        [] {
            if (!exchange_whole(0, 0x0100, __ATOMIC_ACQUIRE)) return;
            ++plain;
            bytes[1].store(0, kRelease);
        },
        [] {
            if (!exchange_whole(0, 0x0100, __ATOMIC_ACQUIRE)) return;
            ++plain;
            bytes[1].store(0, kRelease);
        },
        [] { bytes[2].store(1, kRelaxed), bytes[2].store(0, kRelaxed); });
}

// Locks from what there is.
template <std::memory_order kTake, std::memory_order kGive>
void spin_lock() {
    const auto use = [] {
        while (x.exchange(1, kTake)) arch::pause();
        ++plain;
        x.store(0, kGive);
    };
    threads(use, use);
    check(plain == 2, "one was lost");
}
EXPLORE(spin_lock_right, kAll) { spin_lock<kAcquire, kRelease>(); }
EXPLORE_FINDS(spin_lock_without_acquire, "race", kAll) { spin_lock<kRelaxed, kRelease>(); }
EXPLORE_FINDS(spin_lock_without_release, "race", kAll) { spin_lock<kAcquire, kRelaxed>(); }

// Futexes: the kernel looks at the word before it lets anybody sleep.
EXPLORE(futex_wake_after_store, kAll) {
    threads(
        [] {
            while (x.load(kAcquire) == 0) kernel::futex_wait(&x, 0);
        },
        [] { x.store(1, kRelease), kernel::futex_wake(&x, 1); });
}
EXPLORE_FINDS(futex_wake_before_store, "deadlock", kAll) {  // the sleeper is never woken
    threads(
        [] {
            while (x.load(kAcquire) == 0) kernel::futex_wait(&x, 0);
        },
        [] { kernel::futex_wake(&x, 1), x.store(1, kRelease); });
}
// What the sleeper's look at the word may miss: a store after which the waker looks elsewhere and sees no sleeper.
template <bool kBarrier>
void futex_behind_a_count() {
    x.store(1, kRelaxed);
    threads(
        [] {
            x.store(0, kRelease), kernel::light_barrier();
            if (y.load(kRelaxed)) kernel::futex_wake(&x, 1);
        },
        [] {
            y.store(1, kRelaxed);
            if (kBarrier) kernel::heavy_barrier();
            while (x.load(kRelaxed) != 0) kernel::futex_wait(&x, 1);
        });
}
EXPLORE(futex_behind_a_count_with_barrier, kAll) { futex_behind_a_count<true>(); }
EXPLORE_FINDS(futex_behind_a_count_without, "deadlock", kAll) { futex_behind_a_count<false>(); }
EXPLORE(futex_time_out, .timeouts = 3) {
    threads([] {
        while (kernel::futex_wait(&x, 0, 1000) == 0) {
        }
    });
}

// Who spins reads the newest store at last; who spins for something that never comes is found.
EXPLORE(spinning_ends, kAll) {
    threads(
        [] {
            while (!x.load(kRelaxed)) arch::pause();
        },
        [] { x.store(1, kRelaxed); });
}
EXPLORE_FINDS(livelock, "livelock", kAll) {
    threads([] {
        while (!x.load(kRelaxed)) arch::pause();
    });
}
EXPLORE_FINDS(deadlock, "deadlock", kAll) {
    threads([] { kernel::futex_wait(&x, 0); });
}

}  // namespace
