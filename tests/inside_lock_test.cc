// tests/inside_lock_test.cc - rt/base/inside_lock: exclusion, and that nobody sleeps through an unlock.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/base/inside_lock.h"

#include <pthread.h>

#include "kernel/sys.h"
#include "tests/test.h"

namespace rt = gort::rt;
namespace kernel = gort::kernel;

namespace {

rt::InsideLock lock{kernel::LockRank::kTimers};
long plain = 0;  // not atomic: two inside at once lose counts, and TSan sees them
int rounds = 0;
bool long_holds = false;

void* hammer(void*) {
    for (int i = 0; i < rounds; ++i) {
        rt::InsideLockGuard guard(lock);
        const long seen = plain;
        if (long_holds && i % 4 == 0) kernel::sys_sched_yield();  // the others give up spinning
        plain = seen + 1;
    }
    return nullptr;
}

void run(int threads, int each, bool holds) {
    rounds = each;
    long_holds = holds;
    plain = 0;
    pthread_t t[8];
    for (int i = 0; i < threads; ++i) pthread_create(&t[i], nullptr, hammer, nullptr);
    for (int i = 0; i < threads; ++i) pthread_join(t[i], nullptr);
    CHECK_EQ(plain, long{threads} * each);
}

}  // namespace

TEST(short_holds) {
    kernel::membarrier_init();
    run(4, 50000, false);
}
TEST(long_holds_with_sleepers) {
    kernel::membarrier_init();
    run(8, 2000, true);
#if defined(GORT_DEBUG)
    CHECK_LE(1, kernel::inject_count(kernel::Sys::kFutex));
#endif
}
TEST(without_membarrier) { run(8, 2000, true); }  // nobody called membarrier_init: both sides are full fences
TEST_STRESS(for_long) {
    kernel::membarrier_init();
    for (int i = 0; i < 100; ++i) run(2 + i % 7, 20000, i % 2);
}

// Alone there is nothing to exclude and nothing is written; a run that gets company finds the lock free.
TEST(solo_takes_no_lock) {
    rt::g_solo = true;
    lock.lock();
    lock.unlock();
    rt::g_solo = false;
    run(2, 100, true);
}
