// rt/base/choice.h - the one source of chance in rt, chan and ctx: every decision that is not forced is drawn here.
// SPDX-License-Identifier: BSD-2-Clause
//
// A simulation seeds the Rands and sees the same run again, or installs a hook and decides by itself.
// Context:  the thread that the Rand belongs to (a P's: its holder, inside the gate). The hook as in rt/time/clock.h.
// Cost:     one predicted branch on top of kernel::Rand.
#pragma once

#include <atomic>
#include <cstdint>

#include "kernel/rand.h"

namespace gort::rt {

using ChooseFn = uint32_t (*)(kernel::Rand& rand, uint32_t n);
inline constinit std::atomic<ChooseFn> g_choose_hook{nullptr};  // must answer less than n

// 0 <= result < n; 0 for n == 0.
[[gnu::always_inline]] inline uint32_t choose(kernel::Rand& rand, uint32_t n) {
    const ChooseFn hook = g_choose_hook.load(std::memory_order_relaxed);
    if (hook) [[unlikely]]
        return n < 2 ? 0 : hook(rand, n);
    return rand.below(n);
}

inline bool one_in(kernel::Rand& rand, uint32_t n) { return choose(rand, n) == 0; }

// Puts items[0, n) into random order, each order as likely as any other.
template <class T>
void shuffle(kernel::Rand& rand, T* items, uint32_t n) {
    for (uint32_t i = 1; i < n; ++i) {
        const uint32_t j = choose(rand, i + 1);
        T other = items[j];
        items[j] = items[i];
        items[i] = other;
    }
}

}  // namespace gort::rt
