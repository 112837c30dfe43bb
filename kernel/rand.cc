// kernel/rand.cc - where the first seed comes from.
// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/rand.h"

#include <linux/random.h>

#include "kernel/clock.h"
#include "kernel/sys.h"

namespace gort::kernel {

uint64_t random_seed() {
    uint64_t seed = 0;
    long n;
    do {
        n = sys_getrandom(&seed, sizeof seed, GRND_NONBLOCK);
    } while (n == -EINTR);
    if (n == static_cast<long>(sizeof seed)) return seed;
    // Two readings: even a coarse clock and a process id that repeats from boot to boot then give another
    // seed.
    Rand r{static_cast<uint64_t>(walltime())};
    r.s = r.next() ^ static_cast<uint64_t>(nanotime());
    r.s = r.next() ^ static_cast<uint64_t>(sys_getpid()) ^ reinterpret_cast<uintptr_t>(&seed);
    return r.next();
}

}  // namespace gort::kernel
