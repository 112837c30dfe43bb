// tests/sched_retake_test.cc - goroutines that sleep in system calls unannounced: who loses the P early, what is
// learned from it, and what happens where there are no threads for the others.
// SPDX-License-Identifier: BSD-2-Clause
//
// No clocks: each test ends only if what it is about happens, and hangs otherwise.
#include "rt/sched/retake.h"
#include "tests/sched_test.h"
#include "tests/seccomp.h"

using namespace gort;
using namespace gort::sched_test;
using namespace std::chrono_literals;

namespace {

// While others wait for their turn, so that there is a reason to take a P.
struct Others {
    std::atomic<bool> stop{false};
    Join join;
    explicit Others(int procs) {
        join.add(2 * procs);
        for (int i = 0; i < 2 * procs; ++i)
            go([this] {
                while (!stop) yield();
                join.done();
            });
    }
    ~Others() {
        stop = true;
        join.wait();
    }
};

// Goroutines from one place, one after the other.
void spawn_from(const Site& site, Join& join, std::function<void()> what) {
    join.add();
    go(
        [&join, what = std::move(what)] {
            what();
            join.done();
        },
        site);
}

TEST_P(retakes_that_pay_make_a_kind_lose_its_p_at_once, 1, 2) {
    with_procs(procs, [procs] {
        const Site site = Site::here();
        const uint32_t first = rt::patience_of(site);
        CHECK_LT(0U, first);
        Others others(procs);
        Join join;
        while (rt::patience_of(site) != 0) {
            spawn_from(site, join, [] { usleep(20'000); });
            nap(1ms);
        }
        join.wait();
        CHECK_LT(0U, rt::patience_of(Site::here()));  // of another place
    });
}

TEST_P(retakes_in_vain_make_patient, 1, 2) {
    with_procs(procs, [procs] {
        const Site site = Site::here();
        const uint32_t first = rt::patience_of(site);
        Others others(procs);
        Join join;
        while (rt::patience_of(site) <= first) {
            spawn_from(site, join, [] { usleep(150); });
            yield();
        }
        join.wait();
    });
}

TEST_P(who_sleeps_long_and_never_comes_back_makes_patient, 1, 2) {
    with_procs(procs, [procs] {
        const Site site = Site::here();
        const uint32_t first = rt::patience_of(site);
        std::atomic<bool> stop{false};
        Others others(procs);
        Join join;
        while (rt::patience_of(site) <= first) {
            spawn_from(site, join, [&] {
                while (!stop) usleep(3'000);
            });
            nap(3ms);
        }
        stop = true;
        join.wait();
    });
}

// One goroutine waits for what the others do, which sit behind it in the queue.
TEST_P(any_number_of_blocked_goroutines_keeps_nobody_from_running, 1, 2, 8) {
    with_procs(procs, [procs] {
        Pipe all_are_there;
        std::atomic<int> there{0};
        Join join;
        const int n = 50 * procs;
        join.add(n);
        Pipe go_on;
        for (int i = 0; i < n; ++i)
            go([&, n] {
                if (++there == n) all_are_there.tell();
                go_on.wait();
                join.done();
            });
        all_are_there.wait();
        for (int i = 0; i < n; ++i) go_on.tell();
        join.wait();
    });
}

void block_many() {
    Join join;
    join.add(24);
    for (int i = 0; i < 24; ++i)
        go([&] {
            for (int k = 0; k < 2; ++k) {
                usleep(30'000);
                yield();
            }
            join.done();
        });
    join.wait();
}

TEST_P(at_the_limit_of_threads_blocked_goroutines_wait_for_their_turn, 1, 2) {
    const auto d = run_child([procs] {
        with_procs(procs, [procs] {
            nap(1us);
            set_max_threads(procs + 3);
            block_many();
            CHECK_LE(rt::sched.nm.load(), procs + 3);
            block_many();
        });
    });
    CHECK_EQ(d.exit_code(), 0);
    CHECK_EQ(d.count("gort: no more threads: max_threads is " + std::to_string(procs + 3) +
                     "; goroutines that block their thread wait for each other\n"),
             1U);
}

TEST_P(where_the_system_refuses_threads_blocked_goroutines_wait_for_their_turn, 1, 2) {
    const auto d = run_child([procs] {
        with_procs(procs, [] {
            nap(1us);
            go([] { usleep(1000); });
            nap(1ms);
#if defined(__NR_clone3)
            if (!test::deny(__NR_clone3, EAGAIN)) _exit(test::kNotHere);
#endif
            if (!test::deny(__NR_clone, EAGAIN)) _exit(test::kNotHere);
            block_many();
            block_many();
        });
    });
    if (d.exit_code() == test::kNotHere) TEST_SKIP("no seccomp here");
    CHECK_EQ(d.exit_code(), 0);
    CHECK_EQ(
        d.count("gort: no more threads: the system refuses one: EAGAIN; goroutines that block their thread "
                "wait for each other\n"),
        1U);
}

}  // namespace
