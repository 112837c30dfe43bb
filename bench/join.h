// bench/join.h - waiting for goroutines to end: a counter and one park.
// SPDX-License-Identifier: BSD-2-Clause
//
// One locked instruction for each done, none more. The waiter counts as one: it lets go of its count when its stack is
// at rest, so that whoever brings the count to zero finds it parked.
#pragma once

#include <atomic>
#include <cstdint>

#include "rt/park.h"

namespace bench {

class Join {
public:
    void add(uint64_t n) { left_.fetch_add(n, std::memory_order_relaxed); }
    void done() {
        if (left_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
        gort::rt::M* mp = gort::rt::enter();
        gort::rt::ready(mp, waiter_);
        gort::rt::leave(mp);
    }
    // By one goroutine, once for each round of adds; all adds come before it.
    void wait() {
        using namespace gort::rt;
        M* mp = enter();
        leave(park(
            mp,
            [](void* arg, G* gp) {
                auto* j = static_cast<Join*>(arg);
                j->waiter_ = gp;
                if (j->left_.fetch_sub(1, std::memory_order_acq_rel) == 1) ready(self(), gp);
            },
            this, WaitReason::kWaitGroupWait));
        left_.store(1, std::memory_order_relaxed);
    }

private:
    std::atomic<uint64_t> left_{1};
    gort::rt::G* waiter_ = nullptr;
};

}  // namespace bench
