// bench/counters.h - what a piece of code costs the CPU, from whatever source this machine offers.
// SPDX-License-Identifier: BSD-2-Clause
//
// Cycles: the kernel's hardware counter of this thread in user mode, else the architecture's constant-rate
// counter (which is not the core's clock: the source is named beside each figure). Instructions: the same
// hardware counter, else a child process that is single-stepped by its parent. The latter is exact on any
// machine, and does not work under an emulator.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

namespace bench {

// Counts from construction on. One thread, user mode only.
class CycleCounter {
public:
    CycleCounter();
    ~CycleCounter();
    CycleCounter(const CycleCounter&) = delete;
    CycleCounter& operator=(const CycleCounter&) = delete;
    uint64_t now() const;
    const char* source() const;  // "perf", "tsc" or "cntvct"

private:
    int fd_;
};

struct InsnCount {
    double per_op;
    const char* source;  // "perf" or "singlestep"
};
// Instructions of one of body's operations: body(2n) less body(n), over n. Runs body in a forked child, so
// the process must not have threads yet. Empty when nothing on this machine can count.
std::optional<InsnCount> count_instructions(const std::function<void(uint64_t n)>& body);

}  // namespace bench
