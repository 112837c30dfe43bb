// rt/base/solo.h - is there anybody else who could be inside the runtime? If not, its locks need no locked instruction.
// SPDX-License-Identifier: BSD-2-Clause
//
// solo() is for the locks themselves, and for exchange_inside below; what uses a lock does not ask.
//
// solo() holds while there is one P and no foreign thread is attached: then the thread that is inside the gate is
// there alone, because entering takes the P (a goroutine that lost its P waits for one before it goes on). A lock
// that is taken and released between enter() and leave(), or released by the commit of a park, may then be no lock
// at all. The answer must be the same at both ends: it only changes to false while no thread is inside (end_solo),
// and only back to true when a run starts.
// Context: [G or foreign thread, inside the gate].
// Ordering: O1 the release at the end of end_solo -> the acquire of those who come later: everybody knows.
#pragma once

#include <atomic>
#include <cstdint>

namespace gort::rt {

extern std::atomic<bool> g_solo;

[[gnu::always_inline]] inline bool solo() { return g_solo.load(std::memory_order_relaxed); }

// An exchange of what only those who are inside the gate use: acquire and release.
[[gnu::always_inline]] inline uint32_t exchange_inside(std::atomic<uint32_t>& word, uint32_t value) {
    if (!solo()) return word.exchange(value, std::memory_order_acq_rel);
    const uint32_t before = word.load(std::memory_order_relaxed);
    word.store(value, std::memory_order_relaxed);
    return before;
}

// Called before a second P or a foreign thread comes in; returns when everybody who is inside knows.
void end_solo();
void begin_solo();  // [a run starts; sched.lock, and no thread is attached]

}  // namespace gort::rt
