// tests/timers_mem_test.cc - what timers cost in memory, that it comes back, and what happens when there is none;
// and the seams for time and chance.
// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/sys.h"
#include "rt/base/choice.h"
#include "tests/timers_test.h"

namespace kernel = gort::kernel;

TEST(tm35_a_million_pending_and_the_memory_comes_back) {
    TEST_TIMEOUT(60);
    Heap ts;
    Log log;
    std::vector<Timer> timers(1000000);
    for (int round = 0; round < 2; ++round) {
        const int64_t start = kBase + round * 10 * kSec;
        for (Timer& t : timers) rt::timer_start(&ts, set(&t, start + int64_t(rnd() % uint64_t(kSec)), &log));
        CHECK_EQ(ts.count, timers.size());
        CHECK_LE(ts.mapped(), 64u << 20);
        if (round == 0) {
            rt::timers_run(&ts, start + kSec / 2);
            CHECK_LE(log.fired.size(), timers.size() * 6 / 10);
            CHECK_LE(timers.size() * 4 / 10, log.fired.size());
            rt::timers_run(&ts, start + kSec);
            CHECK_EQ(log.fired.size(), timers.size());
            for (size_t i = 1; i < log.fired.size(); ++i)
                CHECK_LE(log.fired[i - 1]->when, log.fired[i]->when);
        } else {
            for (size_t i = 0; i < timers.size(); ++i)
                CHECK(rt::timer_stop(&timers[i * 7919 % timers.size()]));
        }
        CHECK_EQ(ts.count, 0);
        CHECK_LE(ts.mapped(), 2 * rt::kKeepMapped);
    }
}

// Contexts with timeouts do this all day: nothing may pile up, in whatever order they are stopped.
TEST(starting_and_stopping_for_ever_needs_little_memory) {
    Heap ts;
    std::vector<Timer> timers(1000);
    for (Timer& t : timers) rt::timer_start(&ts, set(&t, kBase + 30 * kSec));
    int64_t now = kBase;
    for (int i = 0; i < 300000; ++i) {
        Timer* t = &timers[rnd() % timers.size()];
        rt::timer_stop(t);  // one in three has a time so short that it may have fired
        now += kUs;
        rt::timer_start(&ts, set(t, now + (i % 3 ? 30 * kSec : int64_t(rnd() % uint64_t(kMs)))));
        if (i % 64 == 0) rt::timers_run(&ts, now);
    }
    CHECK_LE(ts.entries(), 3 * timers.size() + 2000);
    CHECK_LE(ts.mapped(), 1u << 20);
}

// --- faults

// The same with timers that are nearly due, which are in the heap.
TEST(nearly_due_ones_pile_up_neither) {
    Heap ts;
    wind(&ts, kBase);
    const int64_t quantum = kBase & -(int64_t{1} << rt::kQuantumBits);
    std::vector<Timer> timers(300);
    const auto start = [&](Timer* t) {
        rt::timer_start(&ts, set(t, quantum + int64_t(rnd() % (1u << rt::kQuantumBits))));
    };
    for (Timer& t : timers) start(&t);
    for (int i = 0; i < 100000; ++i) {
        Timer* t = &timers[rnd() % timers.size()];
        CHECK(rt::timer_stop(t));
        start(t);
        CHECK_LE(ts.entries(), 3 * timers.size());
    }
    run_until(&ts, kBase + kSec);
    CHECK_EQ(ts.count, 0);
    CHECK_EQ(ts.entries(), 0);
}

TEST_DIES(no_memory_for_the_first_timer, "fatal error: no memory for timers: errno 12 (ENOMEM)", 2) {
    Heap ts;
    Timer t;
    if (!kernel::inject(kernel::Sys::kMmap, 1, 12)) {
        dprintf(2,
                "fatal error: no memory for timers: errno 12 (ENOMEM)\n");  // release builds inject nothing
        _exit(2);
    }
    rt::timer_start(&ts, set(&t, kBase));
}

TEST_DIES(no_memory_for_more_timers, "fatal error: no memory for timers: errno 12 (ENOMEM)", 2) {
    Heap ts;
    std::vector<Timer> timers(100000);
    Timer first;
    rt::timer_start(&ts, set(&first, kBase));
    if (!kernel::inject(kernel::Sys::kMmap, 1, 12)) {
        dprintf(2, "fatal error: no memory for timers: errno 12 (ENOMEM)\n");
        _exit(2);
    }
    for (Timer& t : timers) rt::timer_start(&ts, set(&t, kBase + int64_t(rnd() % uint64_t(kSec))));
}

TEST_DIES(no_memory_for_the_heap, "fatal error: no memory for timers: errno 12 (ENOMEM)", 2) {
    Heap ts;
    std::vector<Timer> timers(1000);
    Timer first;
    wind(&ts, kBase);
    rt::timer_start(&ts, set(&first, kBase));
    if (!kernel::inject(kernel::Sys::kMmap, 1, 12)) {
        dprintf(2, "fatal error: no memory for timers: errno 12 (ENOMEM)\n");
        _exit(2);
    }
    int64_t when = kBase;
    for (Timer& t : timers) rt::timer_start(&ts, set(&t, --when));
}

// Giving memory back needs some first. Without it the old is kept, and nothing is lost.
TEST(no_memory_to_give_memory_back) {
    Heap ts;
    Log log;
    std::vector<Timer> timers(100000);
    for (Timer& t : timers) rt::timer_start(&ts, set(&t, kBase + int64_t(rnd() % uint64_t(kSec)), &log));
    const size_t mapped = ts.mapped();
    CHECK_LE(rt::kKeepMapped, mapped);
    const bool injected = kernel::inject(kernel::Sys::kMmap, 1, 12, kernel::kInjectForever);
    run_until(&ts, kBase + kSec - kMs);
    if (injected) {
        CHECK_EQ(ts.mapped(), mapped);
        CHECK_LE(1, kernel::inject_failures(kernel::Sys::kMmap));
        kernel::inject_clear();
    }
    run_until(&ts, kBase + kSec);
    CHECK_EQ(log.fired.size(), timers.size());
    CHECK_LE(ts.mapped(), rt::kKeepMapped);
}

TEST(clock_and_choice_hooks) {
    static int64_t fake = 17;
    const int64_t before = rt::now();
    CHECK_LE(before, rt::now());
    rt::g_now_hook = [] { return fake; };
    CHECK_EQ(rt::now(), 17);
    rt::g_now_hook = nullptr;
    CHECK_LE(before, rt::now());

    kernel::Rand rand{gort::test::rnd()};
    int counts[5] = {};
    for (int i = 0; i < 50000; ++i) ++counts[rt::choose(rand, 5)];
    for (int c : counts) CHECK(c > 9000 && c < 11000);
    CHECK_EQ(rt::choose(rand, 0), 0);
    CHECK_EQ(rt::choose(rand, 1), 0);
    int first[4][4] = {};
    for (int i = 0; i < 40000; ++i) {
        int order[4] = {0, 1, 2, 3};
        rt::shuffle(rand, order, 4);
        for (int k = 0; k < 4; ++k) ++first[k][order[k]];
    }
    for (auto& place : first)
        for (int c : place) CHECK(c > 9000 && c < 11000);
    rt::g_choose_hook = [](kernel::Rand&, uint32_t n) { return n - 1; };
    CHECK_EQ(rt::choose(rand, 9), 8);
    CHECK_EQ(rt::choose(rand, 0), 0);
    rt::g_choose_hook = nullptr;
}
