// tests/timers_test.h - what the white-box tests of rt/timers share. Time is an argument, never the clock.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <vector>

#include "rt/time/timers.h"
#include "rt/time/wheel.h"
#include "tests/test.h"

namespace rt = gort::rt;
namespace kernel = gort::kernel;
using gort::test::rnd;
using rt::Timer;
using rt::Timers;

namespace {  // one test binary, one copy

constexpr int64_t kUs = 1000, kMs = 1000 * kUs, kSec = 1000 * kMs;
constexpr int64_t kBase = 5000 * kSec + 12345;  // some uptime

struct Heap : Timers {
    ~Heap() { rt::timers_clear(this); }
    size_t mapped() const { return wheel ? wheel->mapped : 0; }
    uint32_t entries() const { return wheel ? wheel->entries : 0; }
};

struct Log {
    std::vector<Timer*> fired;
    std::vector<int64_t> at;
};
inline void note(Timer* t, int64_t now, uint64_t) {
    auto* log = static_cast<Log*>(t->arg);
    log->fired.push_back(t);
    log->at.push_back(now);
}

inline Timer* set(Timer* t, int64_t when, Log* log = nullptr, int64_t period = 0) {
    t->when = when;
    t->period = period;
    t->fn = log ? note : [](Timer*, int64_t, uint64_t) {};
    t->arg = log;
    return t;
}

// Lets a timer fire at `now`, so that the wheel stands there.
inline void wind(Timers* ts, int64_t now) {
    Timer t;
    rt::timer_start(ts, set(&t, now));
    rt::timers_run(ts, now);
}

// Runs it at every moment it asks for, up to `end`.
inline void run_until(Timers* ts, int64_t end) {
    for (;;) {
        const int64_t next = ts->next_when.load();
        if (next > end) break;
        rt::timers_run(ts, next);
    }
    rt::timers_run(ts, end);
}

}  // namespace
