// tests/explore/trim.cc - a stack gives pages back while somebody wakes its goroutine (rt/sched/trim.h).
// SPDX-License-Identifier: BSD-2-Clause
//
// sysmon is the trimmer: that its time is over is a deviation that may come at any moment. To drop pages is to write
// all of them (seam.cc), so a goroutine that runs on them meanwhile races.
#include "rt/sched/trim.h"
#include "rt/stack/pool.h"
#include "tests/explore/rig.h"

using namespace gort;
using namespace gort::explore;

namespace {

rt::G* sleeper;
std::atomic<bool> woke{false};

[[gnu::noinline]] void go_deep() {
    volatile char there[60 << 10];
    for (size_t i = 0; i < sizeof there; i += 512) there[i] = 1;
}

void start_sleeper() {
    go([] {
        volatile uint64_t mine = 0x5ca1ab1e;
        go_deep();
        park_for(&sleeper);
        check(mine == 0x5ca1ab1e, "its stack is not as it was");
        go_deep();
        woke.store(true, std::memory_order_release);
    });
    while (!sleeper) yield();
    // Read plainly by who resumes it, and by compare-exchange by the trimmer: the protocol is about that.
    meant(&sleeper->ctx.sp, sizeof(void*));
    meant(&sleeper->wait_since, sizeof(int64_t));
    dependent(&sleeper->ctx.sp);  // rt/trim.h: T1
    name(sleeper, sizeof *sleeper, "sleeper");
}
void wake_sleeper() {
    rt::M* mp = rt::enter();
    rt::ready(mp, sleeper);
    rt::leave(mp);
    while (!woke.load(std::memory_order_acquire)) yield();
}

EXPLORE(trim_and_wake, 1, 1, 0, 1, 3'000) {
    rt::trim_set_pace(1, 0);
    race_goroutines(start_sleeper, [] {}, {wake_sleeper});
}
// The waker comes when the trimmer has begun, as far as it can tell.
EXPLORE(trim_then_wake, 2, 1, 0, 1, 3'000) {
    rt::trim_set_pace(1, 0);
    race_goroutines(start_sleeper, [] {}, {[] {
                        while (!rt::slot_info(sleeper->stack)->hidden.load(std::memory_order_relaxed))
                            arch::pause();
                        wake_sleeper();
                    }});
}

}  // namespace
