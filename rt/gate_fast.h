// PUBLIC
// rt/gate_fast.h - the part of the P gate that inlined fast paths need; no part of the interface.
// SPDX-License-Identifier: BSD-2-Clause
//
// rt/gate.h tells how it works. In short: a thread that has set in_rt and then finds the gate open is alone with
// everything that belongs to its P until it clears in_rt again. Between the two nothing may block, throw, or call
// anything that could.
//
// BIAS. An object that is biased to a P needs no locked instruction inside that P's gate. Whoever else wants it takes
// the bias away, for good, before he touches it:
//
//      the holder of the P                       the one who wants in (outside the gate)
//      1  in_rt = 1                              1  bias: P -> kBiasRevoking, by CAS
//      2  light_fence                            2  handshake (rt/gate.h), or heavy_barrier
//      3  read bias: mine? then go ahead         3  wait until the M that holds P is outside the gate, or P is nobody's
//      4  in_rt = 0                              4  bias = kBiasShared: from now on locked instructions decide
//
// If the fence of the right side falls after 3 of the left, the M is seen inside; if before, it finds the bias gone.
// New objects belong to nobody: the first who uses one settles it (rt/bias.h). Modelled in tests/model/bias.pml.
// Ordering: B1 kBiasShared's release -> the acquire of who reads it: what the P's holders did is visible.
#pragma once

#include "config.h"

#include <atomic>
#include <cstdint>

#if defined(__x86_64__)
#include "../arch/x86_64/tls.h"
#elif defined(__aarch64__)
#include "../arch/aarch64/tls.h"
#endif

namespace gort::kernel {
GORT_HIDDEN extern bool g_expedited;
}

namespace gort::detail {

void full_fence();
[[gnu::always_inline]] inline void light_fence() {  // kernel/membarrier.h's light_barrier
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (kernel::g_expedited) [[likely]]
        std::atomic_signal_fence(std::memory_order_seq_cst);
    else full_fence();
}

// What an M begins with.
struct Gate {
    std::atomic<uint32_t> in_rt{0};  // 1: the thread is inside
    std::atomic<uint32_t> open{0};   // 0: shut; else the place of the thread's P, its index + 1
};

// Into the runtime, if this thread has a P; its place is then *place. Else null, and the thread is outside.
[[gnu::always_inline]] inline Gate* gate_enter(uint32_t* place) {
    auto* g = static_cast<Gate*>(arch::tls_load());
    if (!g) [[unlikely]]
        return nullptr;
    g->in_rt.store(1, std::memory_order_relaxed);
    light_fence();
    *place = g->open.load(std::memory_order_acquire);  // G2 of rt/gate.h
    if (*place == 0) [[unlikely]] {
        g->in_rt.store(0, std::memory_order_release);
        return nullptr;
    }
    return g;
}
[[gnu::always_inline]] inline void gate_leave(Gate* g) {
    g->in_rt.store(0, std::memory_order_release);
}  // G1

// 0: new; a P's place; or one of these.
using Bias = std::atomic<uint16_t>;
inline constexpr uint16_t kBiasNew = 0, kBiasRevoking = 0xfffe, kBiasShared = 0xffff;

// A glance from outside the gate: is it worth entering?
[[gnu::always_inline]] inline bool bias_of_some_p(const Bias& bias) {
    return static_cast<int16_t>(bias.load(std::memory_order_relaxed)) > 0;
}
// After the glance. Inside, and the object is this P's own; else null, and the thread is outside.
[[gnu::always_inline]] inline Gate* bias_enter(const Bias& bias) {
    auto* g = static_cast<Gate*>(arch::tls_load());
    if (!g) [[unlikely]]
        return nullptr;
    g->in_rt.store(1, std::memory_order_relaxed);
    light_fence();
    if (g->open.load(std::memory_order_acquire) == bias.load(std::memory_order_relaxed)) [[likely]]
        return g;
    g->in_rt.store(0, std::memory_order_release);
    return nullptr;
}

}  // namespace gort::detail
