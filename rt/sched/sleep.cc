// rt/sched/sleep.cc - a goroutine's sleep: a timer in its own frame that readies it.
// SPDX-License-Identifier: BSD-2-Clause
//
// The timer is started by the commit, when the stack is at rest: it may fire at once, on any M.
#include "kernel/sys.h"
#include "rt/sched/park.h"
#include "rt/time.h"
#include "rt/time/timers.h"

namespace gort::rt {

namespace {

void wake_sleeper(Timer* t, int64_t, uint64_t) { ready(self(), static_cast<G*>(t->arg)); }

void start_sleep(void* arg, G* gp) {
    auto* t = static_cast<Timer*>(arg);
    t->arg = gp;
    M* mp = self();
    if (timer_start(timers_of(mp), t)) timer_hurry(mp);
}

// A thread of the program's own needs nothing of the runtime to sleep; it need not even be up.
void sleep_thread(int64_t deadline) {
    constexpr int kAbsolute = 1;  // TIMER_ABSTIME
    const kernel::Timespec until = kernel::to_timespec(deadline);
    while (kernel::sys_clock_nanosleep(kernel::kClockMonotonic, kAbsolute, &until, nullptr) == -EINTR) {
    }
}

}  // namespace

// A P's own M looks at its timers before it goes idle. Who has no P leaves them to others, who may all be asleep.
void timer_hurry(M* mp) {
    if (p_of(mp)) sysmon_ensure();
    else wake_one();
}

}  // namespace gort::rt

namespace gort::detail {

using namespace rt;

namespace {

[[gnu::always_inline]] inline void sleep_goroutine(int64_t deadline) {
    M* mp = enter();
    Timer t;
    t.when = deadline;
    t.fn = wake_sleeper;
    leave(park(mp, start_sleep, &t, WaitReason::kSleep));
}

}  // namespace

void sleep_ns(int64_t ns) {
    if (ns <= 0) return;
    const M* mp = self();
    if (!mp || mp->foreign) [[unlikely]]
        return sleep_thread(deadline_after(kernel::nanotime(), ns));
    sleep_goroutine(deadline_after(now(), ns));
}

void sleep_to(int64_t deadline) {
    if (deadline <= now()) return;
    const M* mp = self();
    if (!mp || mp->foreign) [[unlikely]]
        return sleep_thread(deadline);
    sleep_goroutine(deadline);
}

int64_t clock_ns() { return now(); }
int64_t deadline_after_now(int64_t ns) { return deadline_after(now(), ns); }

}  // namespace gort::detail
