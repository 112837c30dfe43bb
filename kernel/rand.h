// kernel/rand.h - a seed from the kernel and a fast generator for scheduling decisions. Not for secrets.
// SPDX-License-Identifier: BSD-2-Clause
//
// Context: a Rand belongs to one thread (or to the holder of its lock); random_seed: any thread.
#pragma once

#include <cstdint>

namespace gort::kernel {

// 64 bits from getrandom; where that is refused or not ready yet, clock, process and an address, mixed.
uint64_t random_seed();

// One multiplication per number: the counter steps by an odd constant, so the period is 2^64, and the product
// of the counter with itself, scrambled, is folded to 64 bits.
struct Rand {
    uint64_t s = 0;

    uint64_t next() {
        __extension__ using Wide = unsigned __int128;
        s += 0x9e3779b97f4a7c15;  // 2^64 over the golden ratio
        const Wide product = Wide{s} * (s ^ 0xd1b54a32d192ed03);
        return static_cast<uint64_t>(product >> 64) ^ static_cast<uint64_t>(product);
    }
    // 0 <= result < n; 0 for n == 0. Uneven by less than n / 2^32.
    uint32_t below(uint32_t n) { return static_cast<uint32_t>(((next() >> 32) * n) >> 32); }
};

}  // namespace gort::kernel
