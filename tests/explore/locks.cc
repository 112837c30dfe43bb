// tests/explore/locks.cc - how OS threads wait for each other: kernel/lock.h, rt/base/inside_lock.h.
// SPDX-License-Identifier: BSD-2-Clause
#include "arch/arch.h"
#include "kernel/lock.h"
#include "kernel/membarrier.h"
#include "rt/base/inside_lock.h"
#include "tests/explore/explore.h"

using namespace gort;
using namespace gort::explore;

namespace {

int counter;

// --- kernel Mutex

kernel::Mutex mutex;

template <int kThreadsOf, int kTimes>
void use_mutex(int spins) {
    kernel::set_lock_spins(spins);
    name(&mutex, sizeof mutex, "mutex");
    name(&counter, sizeof counter, "counter");
    for (int i = 0; i < kThreadsOf; ++i)
        spawn([] {
            for (int j = 0; j < kTimes; ++j) {
                kernel::LockGuard guard(mutex);
                ++counter;
            }
        });
    start();
    join();
    check(counter == kThreadsOf * kTimes, "somebody was not alone under the mutex");
}
EXPLORE(mutex_two, kUnbounded, kUnbounded, kUnbounded, 0) { use_mutex<2, 1>(0); }
EXPLORE(mutex_two_twice, kUnbounded, kUnbounded, 0, 0) { use_mutex<2, 2>(0); }
EXPLORE(mutex_spins, 3, 2, 0, 1) { use_mutex<2, 2>(2); }
EXPLORE(mutex_three, kUnbounded, 2, 0, 0) { use_mutex<3, 1>(0); }

EXPLORE(mutex_try, kUnbounded, kUnbounded, 0, 0) {
    const auto attempt = [] {
        if (!mutex.try_lock()) return;
        ++counter;
        mutex.unlock();
    };
    spawn(attempt);
    spawn(attempt);
    start();
    join();
    check(counter >= 1, "both found it held");
}

kernel::CountedMutex counted;
EXPLORE(mutex_counts, kUnbounded, kUnbounded, 0, 0) {
    kernel::set_lock_spins(0);
    for (int i = 0; i < 2; ++i)
        spawn([] {
            counted.lock();
            ++counter;
            counted.unlock();
        });
    start();
    join();
    check(counted.counts().acquired == 2, "a count was lost");
}

// --- Note

kernel::Note note;
int message;
std::atomic<bool> over{false};

void read_message() { check(message == 1, "woken without the message"); }

EXPLORE(note_wakes, kUnbounded, kUnbounded, kUnbounded, 0) {
    name(&note, sizeof note, "note");
    name(&message, sizeof message, "message");
    note.clear();
    spawn([] {
        note.sleep();
        read_message();
    });
    spawn([] {
        message = 1;
        note.wake();
    });
    start();
    join();
}
// The time may be over before, in the middle of and after the wake.
EXPLORE(note_timed, kUnbounded, kUnbounded, 0, 3) {
    note.clear();
    spawn([] {
        if (note.timed_sleep(5000)) return read_message();
        while (!note.woken()) arch::pause();
        read_message();
    });
    spawn([] {
        message = 1;
        note.wake();
    });
    start();
    join();
}
// Once more after it: the next sleep is another one.
EXPLORE(note_twice, kUnbounded, kUnbounded, 0, 0) {
    static std::atomic<int> turn{0};
    note.clear();
    spawn([] {
        note.sleep();
        note.clear();
        turn.store(1, std::memory_order_release);
        note.sleep();
        read_message();
    });
    spawn([] {
        note.wake();
        while (turn.load(std::memory_order_acquire) != 1) arch::pause();
        message = 1;
        note.wake();
    });
    start();
    join();
}
// Ended from outside, by a word that the sleeper looks at: the fence of rt/sched/park.cc's end_foreign_waits.
EXPLORE(note_nudged, kUnbounded, kUnbounded, 0, 0) {
    note.clear();
    spawn([] {
        check(!note.sleep_unless([] { return over.load(std::memory_order_relaxed); }), "nobody woke it");
    });
    spawn([] {
        over.store(true, std::memory_order_relaxed);
        kernel::full_barrier();
        note.nudge();
    });
    start();
    join();
}
EXPLORE_FINDS(note_nudged_without_the_fence, "deadlock", kUnbounded, kUnbounded, 0, 0) {
    note.clear();
    spawn([] { note.sleep_unless([] { return over.load(std::memory_order_relaxed); }); });
    spawn([] {
        over.store(true, std::memory_order_relaxed);
        note.nudge();
    });
    start();
    join();
}
// A wake and a nudge at once: who is woken has the message.
EXPLORE(note_woken_and_nudged, kUnbounded, kUnbounded, 0, 0) {
    note.clear();
    spawn([] {
        if (note.sleep_unless([] { return over.load(std::memory_order_relaxed); })) return read_message();
        note.sleep();
        read_message();
    });
    spawn([] {
        message = 1;
        note.wake();
    });
    spawn([] {
        over.store(true, std::memory_order_relaxed);
        kernel::full_barrier();
        note.nudge();
    });
    start();
    join();
}

// --- InsideLock

rt::InsideLock inside_lock{kernel::LockRank::kUnranked};

template <int kThreadsOf, int kTimes>
void use_inside_lock() {
    name(&inside_lock, sizeof inside_lock, "inside_lock");
    name(&counter, sizeof counter, "counter");
    for (int i = 0; i < kThreadsOf; ++i)
        spawn([] {
            for (int j = 0; j < kTimes; ++j) {
                rt::InsideLockGuard guard(inside_lock);
                ++counter;
            }
        });
    start();
    join();
    check(counter == kThreadsOf * kTimes, "somebody was not alone under the lock");
}
EXPLORE(inside_lock_two, kUnbounded, kUnbounded, kUnbounded, 0) { use_inside_lock<2, 1>(); }
EXPLORE(inside_lock_two_twice, kUnbounded, 2, 0, 0) { use_inside_lock<2, 2>(); }
EXPLORE(inside_lock_three, 3, 2, 0, 0) { use_inside_lock<3, 1>(); }
// Without membarrier, and where it is refused while others are at it.
EXPLORE(inside_lock_full_fences, kUnbounded, 2, 0, 0) {
    kernel::g_expedited = false;
    use_inside_lock<2, 1>();
}

}  // namespace
