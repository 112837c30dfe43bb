// tests/sync_spin_test.cc - gort::mutex: nobody looks and looks while others wait to run where he is.
// SPDX-License-Identifier: BSD-2-Clause
//
// Only time shows it: how long it takes until another goroutine runs, against what the looking alone takes on this
// machine, each the least of many. (That it is done where it helps, times do not tell: who parks first after a while
// pays for a membarrier, which takes longer.)
#include <algorithm>

#include "arch/arch.h"
#include "tests/sync_test.h"

using namespace gort;
using namespace gort::sync_test;

namespace {

// The shortest time that what the spinning does takes here, in cycles.
uint64_t shortest_spin() {
    uint64_t shortest = UINT64_MAX;
    for (int i = 0; i < 1000; ++i) {
        const uint64_t start = arch::cycles();
        for (int k = 0; k < 4 * 30; ++k) arch::pause();
        shortest = std::min(shortest, arch::cycles() - start);
    }
    return shortest;
}
// Where a pause is next to nothing, or our own code slow, times say nothing.
bool tells_spinning() {
#if defined(__x86_64__) && defined(__OPTIMIZE__) && !GORT_TEST_SANITIZER && !defined(GORT_DEBUG)
    return num_cpu() > 1;
#else
    return false;
#endif
}

// The holder waits in the same P's queue: whoever blocks gives way at once. With two Ps the other one is kept busy.
TEST_P(MX_12_no_spinning_while_others_wait_to_run_here, 1, 2) {
    if (!tells_spinning()) TEST_SKIP("times would say nothing");
    with_procs(procs, [procs] {
        std::atomic<bool> stop{false};
        std::atomic<int> busy{0};
        wait_group wg;
        if (procs == 2)
            wg.go([&] {
                ++busy;
                while (!stop.load(std::memory_order_relaxed)) arch::pause();
            });
        EVENTUALLY(busy == procs - 1);
        mutex mu;
        uint64_t shortest = UINT64_MAX;
        for (int i = 0; i < 2000; ++i) {
            std::atomic<uint64_t> start{0};
            std::atomic<bool> has{false};
            go([&] {
                mu.lock();
                has = true;
                yield();
                if (const uint64_t at = start) shortest = std::min(shortest, arch::cycles() - at);
                mu.unlock();
            });
            while (!has) yield();
            start = arch::cycles();
            mu.lock();
            mu.unlock();
        }
        stop = true;
        wg.wait();
        CHECK_LT(shortest, shortest_spin());
    });
}

}  // namespace
