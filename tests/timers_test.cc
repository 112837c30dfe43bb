// tests/timers_test.cc - rt/timers and its wheel from inside: order, stop and reset, periods, memory. Time is an
// argument.
// SPDX-License-Identifier: BSD-2-Clause
//
// The ids in the names (tm03: TM-03) are of the list of Go's behaviours; what needs goroutines or channels is tested
// there. timers_fuzz_test.cc compares with a model and runs threads against each other; timers_mem_test.cc counts
// bytes.
#include "tests/timers_test.h"

#include <algorithm>
#include <memory>
#include <random>

TEST(tm01_not_before_when) {
    Heap ts;
    Log log;
    Timer t;
    CHECK(rt::timer_start(&ts, set(&t, kBase + 100 * kMs, &log)));
    CHECK_EQ(ts.next_when, kBase + 100 * kMs);
    CHECK_EQ(ts.count, 1);
    CHECK_EQ(rt::timers_run(&ts, kBase + 100 * kMs - 1), kBase + 100 * kMs);
    CHECK_EQ(log.fired.size(), 0);
    CHECK_EQ(rt::timers_run(&ts, kBase + 100 * kMs), rt::kForever);
    CHECK_EQ(log.fired.size(), 1);
    CHECK_EQ(log.at[0], kBase + 100 * kMs);
    CHECK_EQ(ts.count, 0);
    CHECK_EQ(ts.next_when, rt::kForever);
}

TEST(tm03_what_never_comes_does_not_disturb) {
    CHECK_EQ(rt::deadline_after(kBase, INT64_MAX), rt::kForever);
    CHECK_EQ(rt::deadline_after(kBase, INT64_MAX - kBase), rt::kForever);
    CHECK_EQ(rt::deadline_after(kBase, INT64_MAX - kBase - 1), rt::kForever - 1);
    CHECK_EQ(rt::deadline_after(kBase, 5), kBase + 5);
    Heap ts;
    Log log;
    Timer never, soon, last;
    CHECK(rt::timer_start(&ts, set(&last, rt::kForever - 1, &log)));
    CHECK(!rt::timer_start(&ts, set(&never, rt::kForever, &log)));
    CHECK(rt::timer_start(&ts, set(&soon, kBase + 25 * kMs, &log)));
    rt::timers_run(&ts, kBase + 25 * kMs);
    CHECK_EQ(log.fired.size(), 1);
    CHECK_EQ(ts.next_when, rt::kForever - 1);
    rt::timers_run(&ts, rt::kForever);
    CHECK_EQ(log.fired.size(), 2);
    CHECK_EQ(ts.count, 1);
    CHECK(rt::timer_stop(&never));
}

TEST(tm05_past_and_present_fire_at_once) {
    Heap ts;
    Log log;
    Timer now, past, ancient;
    wind(&ts, kBase);
    rt::timer_start(&ts, set(&now, kBase, &log));
    rt::timer_start(&ts, set(&past, kBase - kSec, &log));
    rt::timer_start(&ts, set(&ancient, INT64_MIN, &log));
    CHECK_EQ(ts.next_when, 0);
    rt::timers_run(&ts, kBase);
    CHECK(log.fired == (std::vector<Timer*>{&ancient, &past, &now}));
}

TEST(tm06_stop_says_whether_it_was_pending) {
    Heap ts;
    Log log;
    Timer t;
    CHECK(!rt::timer_stop(&t));
    rt::timer_start(&ts, set(&t, kBase, &log));
    CHECK(rt::timer_stop(&t));
    CHECK(!rt::timer_stop(&t));
    rt::timers_run(&ts, kBase);
    CHECK_EQ(log.fired.size(), 0);
    rt::timer_start(&ts, set(&t, kBase, &log));
    rt::timers_run(&ts, kBase);
    CHECK(!rt::timer_stop(&t));
    CHECK_EQ(log.fired.size(), 1);
}

TEST(tm07_reset_says_whether_it_was_pending) {
    Heap ts, other;
    Log log;
    Timer t;
    rt::timer_start(&ts, set(&t, kBase + 5, &log));
    bool earliest = false;
    CHECK(rt::timer_reset(&other, &t, kBase + 3, 0, &earliest));
    CHECK(earliest);
    CHECK_EQ(other.count, 0);  // pending: it stays where it is
    rt::timers_run(&ts, kBase + 3);
    CHECK_EQ(log.fired.size(), 1);
    CHECK(!rt::timer_reset(&other, &t, kBase + 9, 0, &earliest));
    CHECK(earliest);
    CHECK_EQ(other.count, 1);
    CHECK(rt::timer_stop(&t));
    CHECK(!rt::timer_reset(&ts, &t, kBase + 9, 0));
    rt::timers_run(&ts, kBase + 9);
    CHECK_EQ(log.fired.size(), 2);
}

// Whatever fires after a stop or reset was told an older seq.
TEST(tm08_a_stale_firing_can_be_told) {
    static Timer a, b, c, d;
    static std::vector<Timer*> fresh, stale;
    static Heap ts;
    const auto fn = [](Timer* t, int64_t now, uint64_t seq) {
        (seq == t->seq ? fresh : stale).push_back(t);
        if (t != &a) return;
        // All four were due: they are on their way and cannot be called back.
        CHECK(!rt::timer_stop(&b));
        CHECK(!rt::timer_reset(&ts, &c, now + 7, 0));
        rt::timer_stop(&d);  // a periodic one: its next tick is pending
    };
    for (Timer* t : {&a, &b, &c, &d}) {
        set(t, kBase, nullptr, t == &d ? 10 : 0)->fn = fn;
        rt::timer_start(&ts, t);
    }
    rt::timers_run(&ts, kBase);
    CHECK(fresh == (std::vector<Timer*>{&a}));
    CHECK(stale == (std::vector<Timer*>{&b, &c, &d}));
    run_until(&ts, kBase + kSec);
    CHECK(fresh == (std::vector<Timer*>{&a, &c}));
    CHECK_EQ(stale.size(), 3);
}

TEST(tm15_order_of_deadlines_at_every_distance) {
    Heap ts;
    Log log;
    std::vector<Timer> timers(20000);
    for (Timer& t : timers) {
        const int64_t range = int64_t{1} << (rnd() % 60);
        rt::timer_start(&ts, set(&t, kBase + int64_t(rnd() % uint64_t(range)), &log));
    }
    CHECK_EQ(ts.count, timers.size());
    run_until(&ts, rt::kForever - 1);
    CHECK_EQ(log.fired.size(), timers.size());
    for (size_t i = 0; i < log.fired.size(); ++i) {
        CHECK_EQ(log.at[i], log.fired[i]->when);  // so it was woken in time, too
        if (i > 0) CHECK_LE(log.fired[i - 1]->when, log.fired[i]->when);
    }
}

// Ours is FIFO, which Go does not promise. 30,000 of one instant: their bucket is opened in several steps.
TEST(tm16_equal_whens_are_fifo) {
    for (int64_t ahead : {int64_t{0}, 3 * kUs, kMs, kSec, 3600 * kSec}) {
        Heap ts;
        Log log;
        std::vector<Timer> timers(30000);
        wind(&ts, kBase);
        for (Timer& t : timers) {
            // Two instants of one quantum, the later one first; between them others that are stopped.
            const bool late = &t < &timers[10000];
            Timer gone;
            rt::timer_start(&ts, set(&gone, kBase + ahead + 1, &log));
            rt::timer_start(&ts, set(&t, kBase + ahead + (late ? 1 : 0), &log));
            CHECK(rt::timer_stop(&gone));
        }
        run_until(&ts, kBase + ahead + 1);
        CHECK_EQ(log.fired.size(), timers.size());
        for (size_t i = 0; i < timers.size(); ++i)
            CHECK_EQ(log.fired[i], &timers[i < 20000 ? i + 10000 : i - 20000]);
    }
}

TEST(tm22_a_period_keeps_its_schedule) {
    Heap ts;
    Log log;
    Timer t;
    rt::timer_start(&ts, set(&t, kBase + 10, &log, 10));
    rt::timers_run(&ts, kBase + 10);
    CHECK_EQ(t.when, kBase + 20);
    rt::timers_run(&ts, kBase + 57);  // late: what was missed is lost, the phase stays
    CHECK_EQ(t.when, kBase + 60);
    rt::timers_run(&ts, kBase + 60);
    CHECK_EQ(t.when, kBase + 70);
    CHECK_EQ(log.fired.size(), 3);
    CHECK_EQ(ts.count, 1);
    CHECK_EQ(ts.next_when, kBase + 70);
    // TM-24: another period counts from now.
    CHECK(rt::timer_reset(&ts, &t, kBase + 65 + 100, 100));
    run_until(&ts, kBase + 65 + 250);
    CHECK_EQ(log.fired.size(), 5);
    CHECK_EQ(log.at[4], kBase + 65 + 200);
    // TM-23
    CHECK(rt::timer_stop(&t));
    run_until(&ts, kBase + kSec);
    CHECK_EQ(log.fired.size(), 5);
}

TEST(tm34_a_huge_period_clamps) {
    Heap ts;
    Log log;
    Timer t, u;
    rt::timer_start(&ts, set(&t, kBase, &log, INT64_MAX));
    rt::timer_start(&ts, set(&u, 5, &log, INT64_MAX / 2 + 1));
    rt::timers_run(&ts, kBase);
    CHECK_EQ(log.fired.size(), 2);
    CHECK_EQ(t.when, rt::kForever);
    CHECK_EQ(u.when, INT64_MAX / 2 + 6);
    rt::timers_run(&ts, INT64_MAX - 1);
    CHECK_EQ(log.fired.size(), 3);
    CHECK_EQ(u.when, rt::kForever);
    rt::timers_run(&ts, rt::kForever);
    CHECK_EQ(log.fired.size(), 3);
    CHECK_EQ(ts.count, 2);
}

TEST(tm30_moving_earlier_is_never_lost) {
    Heap ts;
    Log log;
    std::vector<Timer> timers(1000);
    for (Timer& t : timers) rt::timer_start(&ts, set(&t, kBase + kSec, &log));
    int64_t now = kBase;
    for (Timer& t : timers) {
        for (int i = 0; i < 10; ++i) {
            rt::timer_reset(&ts, &t, now + kSec, 0);
            if (i % 3 == 0) rt::timer_stop(&t);
            bool earliest = false;
            rt::timer_reset(&ts, &t, now - 1, 0, &earliest);
            CHECK(earliest || ts.next_when <= now - 1);
        }
        rt::timers_run(&ts, now += 100);
        CHECK_EQ(log.fired.back(), &t);
    }
    CHECK_EQ(log.fired.size(), timers.size());
    CHECK_EQ(ts.count, 0);
}

TEST(start_stop_and_reset_inside_fn) {
    static Heap ts;
    static Timer again, victim, next;
    static int runs = 0, victims = 0, nexts = 0;
    set(&again, kBase)->fn = [](Timer* t, int64_t now, uint64_t) {
        if (++runs < 100) {
            t->when = now + (runs % 2 ? 0 : 1000);
            rt::timer_start(&ts, t);
        }
        rt::timer_stop(&victim);
        rt::timer_reset(&ts, &next, now + 2000, 0);
    };
    set(&victim, kBase + 1)->fn = [](Timer*, int64_t, uint64_t) { ++victims; };
    set(&next, kBase + 1)->fn = [](Timer*, int64_t, uint64_t) { ++nexts; };
    for (Timer* t : {&victim, &next, &again}) rt::timer_start(&ts, t);
    CHECK_EQ(rt::timers_run(&ts, kBase), kBase + 1000);
    CHECK_EQ(runs, 2);  // the second one became due by the first
    run_until(&ts, kBase + kSec);
    CHECK_EQ(runs, 100);
    CHECK_EQ(victims, 0);
    CHECK_EQ(nexts, 1);
    CHECK_EQ(ts.count, 0);
}

// A run takes its timers off in batches and calls fn between them: meanwhile the P may retire, and its heap have no
// wheel. The rest fires from where it has gone.
TEST(a_run_whose_wheel_is_moved_away) {
    static Heap from, to;
    static Log log;
    std::vector<Timer> timers(100);
    Timer mover;
    set(&mover, kBase)->fn = [](Timer*, int64_t, uint64_t) {
        rt::timers_move(&from, &to);
        from.next_when = 0;  // what another run may have read just before
    };
    rt::timer_start(&from, &mover);
    for (Timer& t : timers) rt::timer_start(&from, set(&t, kBase, &log));
    rt::timers_run(&from, kBase);
    CHECK_EQ(from.count, 0);
    const size_t first = log.fired.size();
    CHECK_LT(first, timers.size());
    CHECK_EQ(to.count, timers.size() - first);
    rt::timers_run(&to, kBase);
    CHECK_EQ(log.fired.size(), timers.size());
    // A heap that never had one.
    Heap empty;
    empty.next_when = 0;
    CHECK_EQ(rt::timers_run(&empty, kBase), rt::kForever);
}

// The end of a run: what was pending is idle, and may be started, stopped and reset again.
TEST(an_abandoned_timer_is_idle) {
    Heap ts;
    Log log;
    std::vector<Timer> timers(5000);
    for (Timer& t : timers)
        rt::timer_start(&ts, set(&t, kBase + int64_t(rnd() % uint64_t(3600 * kSec)), &log));
    Timer never;
    rt::timer_start(&ts, set(&never, rt::kForever, &log));
    rt::timers_abandon(&ts);
    rt::timers_abandon(&ts);
    CHECK_EQ(ts.count, 0);
    CHECK_EQ(ts.next_when, rt::kForever);
    CHECK(!rt::timer_stop(&never));
    for (Timer& t : timers) CHECK(!rt::timer_stop(&t));
    CHECK(!rt::timer_reset(&ts, &timers[0], kBase + 1, 0));
    rt::timer_start(&ts, set(&timers[1], kBase + 2, &log));
    run_until(&ts, kBase + kSec);
    CHECK_EQ(log.fired.size(), 2);
}

// The caller may do what it likes with a stopped timer's memory.
TEST(a_stopped_timer_is_not_touched_again) {
    Heap ts;
    Log log;
    std::vector<std::unique_ptr<Timer>> kept;
    int64_t now = kBase;
    for (int round = 0; round < 50; ++round) {
        std::vector<std::unique_ptr<Timer>> batch;
        for (int i = 0; i < 500; ++i) {
            batch.push_back(std::make_unique<Timer>());
            rt::timer_start(&ts, set(batch.back().get(), now + int64_t(rnd() % uint64_t(3 * kSec)), &log));
        }
        std::shuffle(batch.begin(), batch.end(), std::minstd_rand(unsigned(rnd())));
        for (size_t i = 0; i < batch.size(); ++i) {
            if (i % 50 == 0) {
                kept.push_back(std::move(batch[i]));
                continue;
            }
            CHECK(rt::timer_stop(batch[i].get()));
            std::memset(static_cast<void*>(batch[i].get()), 0xdb, sizeof(Timer));
            if (i % 2) batch[i].reset();
        }
        rt::timers_run(&ts, now += 20 * kMs);
        if (round == 25) ts.wheel = rt::wheel_trim_slow(ts.wheel);
    }
    run_until(&ts, now + 4 * kSec);
    CHECK_EQ(log.fired.size(), kept.size());
    CHECK_EQ(ts.entries(), 0);
}

// TM-29 below goroutines: any thread may run any P's timers, and a P that goes leaves its timers to another.
TEST(tm29_timers_move) {
    Heap from, to;
    Log log;
    std::vector<Timer> timers(3000);
    Timer own, stopped;
    wind(&to, kBase);
    rt::timer_start(&to, set(&own, kBase + 7, &log));
    for (Timer& t : timers) rt::timer_start(&from, set(&t, kBase + int64_t(rnd() % uint64_t(kSec)), &log));
    rt::timer_start(&from, set(&stopped, kBase, &log));
    CHECK(rt::timer_stop(&stopped));
    const uint64_t seq = timers[0].seq;
    CHECK(rt::timers_move(&from, &to) == (to.next_when < kBase + 7));
    CHECK(!rt::timers_move(&from, &to));
    CHECK_EQ(from.count, 0);
    CHECK_EQ(from.next_when, rt::kForever);
    CHECK_EQ(to.count, timers.size() + 1);
    CHECK_EQ(timers[0].seq, seq);
    CHECK(rt::timer_stop(&timers[1]));
    run_until(&to, kBase + 2 * kSec);
    CHECK_EQ(log.fired.size(), timers.size());
    CHECK(std::is_sorted(log.fired.begin(), log.fired.end(),
                         [](Timer* a, Timer* b) { return a->when < b->when; }));
    // The heap that was left can be used again.
    rt::timer_start(&from, set(&timers[0], kBase + 9, &log));
    rt::timers_run(&from, kBase + 9);
    CHECK_EQ(log.fired.size(), timers.size() + 1);
}

// A large bucket is opened in pieces, so that nobody waits long for the lock; meanwhile all operations work.
TEST(half_open_buckets) {
    for (int64_t ahead : {kMs / 2, 3 * kSec}) {
        Heap ts;
        Log log;
        wind(&ts, kBase);
        std::vector<Timer> timers(50000), more_timers(1000);
        const int64_t begin = (kBase + ahead) & -(int64_t{1} << rt::kQuantumBits);
        for (Timer& t : timers)
            rt::timer_start(&ts, set(&t, begin + int64_t(rnd() % (1u << rt::kQuantumBits)), &log));
        const int64_t end = begin + (1 << rt::kQuantumBits);
        bool more = false;
        CHECK(!rt::wheel_take(ts.wheel, end, &more));
        CHECK(more);
        CHECK(ts.wheel->opening);
        CHECK_LE(ts.next_when, end);
        size_t stopped = 0;
        for (size_t i = 0; i < timers.size(); i += 5) stopped += rt::timer_stop(&timers[i]);
        CHECK_EQ(stopped, timers.size() / 5);
        for (Timer& t : more_timers) {
            rt::timer_start(&ts, set(&t, begin + int64_t(rnd() % (3u << rt::kQuantumBits)), &log));
            if (rnd() % 2) rt::timer_reset(&ts, &t, begin + int64_t(rnd() % (3u << rt::kQuantumBits)), 0);
        }
        if (rnd() % 2) ts.wheel = rt::wheel_trim_slow(ts.wheel);
        run_until(&ts, end + 2 * (1 << rt::kQuantumBits));
        CHECK_EQ(log.fired.size(), timers.size() - stopped + more_timers.size());
        for (size_t i = 1; i < log.fired.size(); ++i) CHECK_LE(log.fired[i - 1]->when, log.fired[i]->when);
    }
}

// The earliest of a large bucket were started last: what has been moved so far does not say when to look again.
TEST(half_open_in_falling_order) {
    for (int64_t step : {int64_t{1}, 100 * kUs}) {
        Heap ts;
        Log log;
        std::vector<Timer> timers(12000);
        int64_t when = kBase + kSec;
        for (Timer& t : timers) rt::timer_start(&ts, set(&t, when -= step, &log));
        run_until(&ts, kBase + kSec);
        CHECK_EQ(log.fired.size(), timers.size());
        for (size_t i = 0; i < timers.size(); ++i) {
            CHECK_EQ(log.fired[i], &timers[timers.size() - 1 - i]);
            CHECK_EQ(log.at[i], log.fired[i]->when);
        }
    }
}
