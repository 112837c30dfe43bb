// PUBLIC
// rt/own/gate_fast.h - the part of the P gate that inlined fast paths need; no part of the interface.
// SPDX-License-Identifier: BSD-2-Clause
//
// rt/own/gate.h tells how it works. In short: a thread that has set in_rt and then finds the gate open is alone with
// everything that belongs to its P until it clears in_rt again. Between the two nothing may block, throw, or call
// anything that could.
//
// OWNER. An object that has an owner, a P, needs no locked instruction inside that P's gate. Whoever else wants it
// takes it away first; rt/own/owner.h tells how, and how it comes back. What is inlined here:
//
//      whose is my place, inside the gate    it is this P's alone until the gate is left: plain loads and stores
//      whose is kShared                      compare and swap, of a word with whose in it: fails when that changes
//      anything else                         the slow way
#pragma once

#include "../config.h"

#include <atomic>
#include <cstddef>
#include <cstdint>

#if defined(__x86_64__)
#include "../../arch/x86_64/tls.h"
#elif defined(__aarch64__)
#include "../../arch/aarch64/tls.h"
#endif

namespace gort::kernel {
GORT_HIDDEN extern bool g_expedited;
}

namespace gort::detail {

// kernel/membarrier.h's light_barrier and full_barrier.
#if defined(__SANITIZE_THREAD__)
#define GORT_FENCES_UNKNOWN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define GORT_FENCES_UNKNOWN 1
#endif
#endif
#if defined(GORT_FENCES_UNKNOWN)
void full_fence();
#else
[[gnu::always_inline]] inline void full_fence() { std::atomic_thread_fence(std::memory_order_seq_cst); }
#endif
[[gnu::always_inline]] inline void light_fence() {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (kernel::g_expedited) [[likely]]
        std::atomic_signal_fence(std::memory_order_seq_cst);
    else full_fence();
}

// What an M begins with.
struct Gate {
    std::atomic<uint32_t> in_rt{0};  // 1: the thread is inside
    std::atomic<uint16_t> open{0};   // 0: shut; else the place of the thread's P, its index + 1
    // Whose a new object is at once: the same place; or kNobody, and its first user settles it. A guess to begin with.
    std::atomic<uint16_t> born{0};
};

// Every way in begins with this. The thread is inside afterwards, whatever the result is: the place of its P, or 0, the
// gate is shut. Then the thread leaves again, or waits until it has a P (rt::enter).
[[gnu::always_inline]] inline uint32_t gate_step_in(Gate* g) {
    g->in_rt.store(1, std::memory_order_relaxed);
    light_fence();
    return g->open.load(std::memory_order_acquire);  // G2 of rt/own/gate.h
}
[[gnu::always_inline]] inline void gate_leave(Gate* g) {
    g->in_rt.store(0, std::memory_order_release);
}  // G1

// Into the runtime, if this thread has a P; its place is then *place. Else null, and the thread is outside.
[[gnu::always_inline]] inline Gate* gate_enter(uint32_t* place) {
    auto* g = static_cast<Gate*>(arch::tls_load());
    if (!g) [[unlikely]]
        return nullptr;
    *place = gate_step_in(g);
    if (*place == 0) [[unlikely]] {
        gate_leave(g);
        return nullptr;
    }
    return g;
}

// STRAYS are goroutines that run without a P because theirs was taken away. Each of them must stop at its next call
// into gort; calls that do not enter the gate ask here whether there are any. The low half counts those of this
// run, the high half what is left of earlier runs, and a simulation counts there as well.
GORT_HIDDEN extern std::atomic<uint32_t> g_strays;
inline constexpr uint32_t kStray = 1, kStrayElsewhere = 1u << 16;

[[gnu::always_inline]] inline bool strays() { return g_strays.load(std::memory_order_relaxed) != 0; }
void check_in();  // into the gate and out again: waits for a P, or ends with the run

// Owner::whose is a P's place, or one of these.
inline constexpr uint16_t kNobody = 0, kRevoking = 0xfffe, kShared = 0xffff;

struct alignas(4) Owner {
    // While it is shared: the place of the P that used it last, and how often in a row it still has to.
    std::atomic<uint16_t> last{0}, left{0};
    // The object's word, from here on:
    std::atomic<uint16_t> whose{kNobody};
    std::atomic<uint8_t> losses{0};  // how often it was taken away, up to kMostLosses
    std::atomic<uint8_t> mark{0};    // for the object's own use

    static constexpr uint32_t kStreak = 64, kMostLosses = 8;

    void begin(uint16_t as, uint8_t lost) {
        last.store(0, std::memory_order_relaxed);
        whose.store(as, std::memory_order_relaxed);
        losses.store(lost, std::memory_order_relaxed);
    }
    // Of a shared object that is this P's for the moment, or where it does no harm: a guess. True if it has been used
    // by that P alone so often that the P may have it.
    [[gnu::always_inline]] bool used_by(uint32_t place) {
        if (last.load(std::memory_order_relaxed) != place) [[unlikely]] {
            new_user(place);
            return false;
        }
        const auto less = static_cast<uint16_t>(left.load(std::memory_order_relaxed) - 1);
        left.store(less, std::memory_order_relaxed);
        return less == 0 && place != 0;
    }
    void new_user(uint32_t place) {
        const uint32_t lost = losses.load(std::memory_order_relaxed);
        last.store(static_cast<uint16_t>(place), std::memory_order_relaxed);
        left.store(static_cast<uint16_t>((kStreak << (lost < kMostLosses ? lost : kMostLosses)) - 1),
                   std::memory_order_relaxed);
    }
};

// A glance from outside the gate: is it worth entering?
[[gnu::always_inline]] inline bool owned(const Owner& owner) {
    return static_cast<int16_t>(owner.whose.load(std::memory_order_relaxed)) > 0;
}
// After the glance. Inside, and the object is this P's own; else null, and the thread is outside.
[[gnu::always_inline]] inline Gate* owner_enter(const Owner& owner) {
    auto* g = static_cast<Gate*>(arch::tls_load());
    if (!g) [[unlikely]]
        return nullptr;
    if (gate_step_in(g) == owner.whose.load(std::memory_order_relaxed)) [[likely]]
        return g;
    gate_leave(g);
    return nullptr;
}
// Of an object that nobody else knows yet.
[[gnu::always_inline]] inline void born_here(Owner& owner) {
    if (auto* g = static_cast<Gate*>(arch::tls_load()))
        owner.whose.store(g->born.load(std::memory_order_relaxed), std::memory_order_relaxed);
}
// The place of this thread's P; 0: none. Outside the gate a guess.
[[gnu::always_inline]] inline uint32_t place_here() {
    auto* g = static_cast<Gate*>(arch::tls_load());
    return g ? g->open.load(std::memory_order_relaxed) : 0;
}

// The object's word as one. whose, losses and mark are its lower half, what follows the Owner the upper one.
typedef uint32_t OwnerWord32 __attribute__((may_alias));
typedef uint64_t OwnerWord64 __attribute__((may_alias));
[[gnu::always_inline]] inline uint32_t shared_word(const Owner& owner, uint8_t mark) {
    return kShared | uint32_t{owner.losses.load(std::memory_order_relaxed)} << 16 | uint32_t{mark} << 24;
}
static_assert(offsetof(Owner, whose) == 4 && sizeof(Owner) == 8);
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);

}  // namespace gort::detail
