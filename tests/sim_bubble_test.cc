// tests/sim_bubble_test.cc - what belongs to a run and is used by somebody else: Go's fatal errors (ST-07, ST-08).
// SPDX-License-Identifier: BSD-2-Clause
#include <functional>

#include "gort.h"
#include "rt/sim.h"
#include "tests/test.h"

using namespace gort;
using namespace std::chrono_literals;

namespace {

// What a run leaves behind.
chan<int> left_channel;
timer left_timer, left_func;
ticker left_ticker;
wait_group* left_group;

void leave_behind() {
    left_channel = make_chan<int>(1);
    left_timer = timer(1h);
    left_ticker = ticker(1h);
    left_func = after_func(1h, [] {});
    left_group = new wait_group;
}

struct Misuse {
    const char* text;
    void (*does)();
};
constexpr Misuse kMisuses[] = {
    {"receive on synctest channel from outside bubble", [] { left_channel.recv(); }},
    {"send on synctest channel from outside bubble", [] { left_channel << 1; }},
    {"close of synctest channel from outside bubble", [] { left_channel.close(); }},
    {"select on synctest channel from outside bubble",
     [] { select(on_recv(left_channel), on_recv(make_chan<int>())); }},
    {"stop of synctest timer from outside bubble", [] { left_timer.stop(); }},
    {"reset of synctest timer from outside bubble", [] { left_timer.reset(1s); }},
    {"receive on synctest channel from outside bubble", [] { left_timer.c().recv(); }},
    {"stop of synctest timer from outside bubble", [] { left_func.stop(); }},
    {"reset of synctest timer from outside bubble", [] { left_func.reset(1s); }},
    {"stop of synctest timer from outside bubble", [] { left_ticker.stop(); }},
    {"reset of synctest timer from outside bubble", [] { left_ticker.reset(1s); }},
};

std::string panic_of(const std::function<void()>& f) {
    try {
        sim::test(f);
    } catch (const panic_error& e) {
        return e.what();
    }
    return "";
}

TEST(ST_07_from_another_bubble) {
    for (const Misuse& m : kMisuses) {
        sim::test(leave_behind);
        CHECK_EQ(panic_of(m.does), std::string("fatal error: ") + m.text);
    }
}

// The same by a program that is in no bubble: it ends. `which`: of kMisuses.
#define FROM_NO_BUBBLE(name, which, text)                                                      \
    TEST_DIES(ST_07_##name##_from_no_bubble, "fatal error: " text " from outside bubble", 2) { \
        sim::test(leave_behind);                                                               \
        run(kMisuses[which].does);                                                             \
    }
FROM_NO_BUBBLE(receive, 0, "receive on synctest channel")
FROM_NO_BUBBLE(send, 1, "send on synctest channel")
FROM_NO_BUBBLE(close, 2, "close of synctest channel")
FROM_NO_BUBBLE(select, 3, "select on synctest channel")
FROM_NO_BUBBLE(stop, 4, "stop of synctest timer")
FROM_NO_BUBBLE(reset_of_a_function, 8, "reset of synctest timer")

// What was made outside may be used inside, run after run, and outside again; and so may locks from anywhere.
TEST(ST_07_what_is_no_bubbles_may_be_used_by_all) {
    chan<int> c = make_chan<int>(1);
    mutex* made_inside = nullptr;
    mutex mu;
    auto use = [&] {
        c << 1;
        c.recv();
        mu.lock();
        mu.unlock();
        if (!made_inside) made_inside = new mutex;
        made_inside->lock();
        made_inside->unlock();
    };
    for (int i = 0; i < 3; ++i) {
        run(use);
        sim::test(use);
        CHECK(sim::explore({.seed = 1, .runs = 3}, use));
    }
    delete made_inside;
    // and what a run has left may be dropped
    sim::test(leave_behind);
    left_channel = nullptr;
    left_timer = left_func = timer();
    left_ticker = ticker();
}

TEST(ST_08_wait_group_of_another_bubble) {
    sim::test(leave_behind);
    CHECK_EQ(panic_of([] {
                 left_group->add(1);
                 left_group->done();  // at zero it is nobody's
             }),
             "");
    CHECK_EQ(panic_of([] {
                 left_group->add(1);
                 goexit();
             }),
             "deadlock: no goroutines (main called runtime.Goexit)");
    CHECK_EQ(panic_of([] { left_group->done(); }),
             "fatal error: sync: WaitGroup.Add called from multiple synctest bubbles");
    wait_group outside;
    outside.add(1);
    CHECK_EQ(panic_of([&] { outside.add(1); }),
             "fatal error: sync: WaitGroup.Add called from inside and outside synctest bubble");
    outside.done();
    sim::test([&] {
        outside.go([] {});
        outside.wait();
    });
    run([&] {
        outside.go([] {});
        outside.wait();
    });
}

TEST_DIES(ST_08_wait_group_inside_and_outside,
          "fatal error: sync: WaitGroup.Add called from inside and outside synctest bubble", 2) {
    static wait_group wg;
    sim::test([] { wg.add(1); });
    run([] { wg.add(1); });
}

// Go's synctest.Sleep is a sleep and a wait: everybody else is idle afterwards.
TEST(ST_12_sleep_and_wait) {
    sim::test([] {
        int events = 0;
        for (int i = 0; i < 3; ++i)
            go([&] {
                sleep(1s);
                for (int k = 0; k < 5; ++k) {
                    yield();
                    ++events;
                }
            });
        sleep(1s);
        sim::wait();
        CHECK_EQ(events, 15);
    });
}

}  // namespace

// Asked by ASan's runtime: what a simulated run abandons is never destroyed, as in Go.
extern "C" const char* __lsan_default_options();
extern "C" const char* __lsan_default_options() { return "detect_leaks=0"; }
