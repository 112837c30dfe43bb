// tests/watch.h - whether a goroutine waits, asked by another one: what a test would else guess from time that passes.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <atomic>

#include "rt/sched/sched.h"

class Watch {
public:
    void me() { gp_ = gort::rt::self()->curg; }
    // Ask only as long as that goroutine lives, or has said by other means that it has ended.
    bool waits() const {
        const gort::rt::G* gp = gp_;
        return gp && gp->status.load(std::memory_order_acquire) == gort::rt::GStatus::kWaiting;
    }

private:
    std::atomic<gort::rt::G*> gp_{nullptr};
};
