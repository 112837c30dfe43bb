// tests/sync_wait_group_test.cc - gort::wait_group.
// SPDX-License-Identifier: BSD-2-Clause
//
// The ids (WG-…, MM-…) are those of the list of Go's behaviours.
#include "tests/sync_test.h"

using namespace gort;
using namespace gort::sync_test;

namespace {

// WG-10
constinit wait_group global_group;
static_assert(!std::is_copy_constructible_v<wait_group> && !std::is_move_constructible_v<wait_group>);

TEST_P(WG_01_wait_on_zero_returns_at_once, 1, 2) {
    with_procs(procs, [] {
        wait_group wg;
        wg.wait();
        wg.add(1);
        wg.done();
        wg.wait();
    });
}

// WG-02, WG-03, WG-07: two groups as a barrier.
TEST_P(WG_02_03_07_a_barrier_of_two_groups, 1, 2, 8) {
    with_procs(procs, [] {
        wait_group one, two;
        for (int round = 0; round < 8; ++round) {
            constexpr int n = 16;
            one.add(n);
            two.add(n);
            auto exited = make_chan<bool>(n);
            for (int i = 0; i < n; ++i)
                go([&, exited] {
                    one.done();
                    two.wait();
                    exited << true;
                });
            one.wait();
            for (int i = 0; i < n; ++i) {
                bool b;
                CHECK(exited.try_recv(b) == recv_result::empty);
                two.done();
            }
            for (int i = 0; i < n; ++i) exited.recv();
        }
    });
}

TEST_P(WG_04_the_counter_does_not_go_below_zero, 1, 2) {
    with_procs(procs, [] {
        wait_group wg;
        CHECK_EQ(panic_of([&] { wg.done(); }), "sync: negative WaitGroup counter");
        wait_group other;
        other.add(1);
        other.done();
        CHECK_EQ(panic_of([&] { other.done(); }), "sync: negative WaitGroup counter");
    });
}

// WG-08, MM-12
TEST_P(WG_08_MM_12_nobody_is_released_early, 1, 2, 8) {
    with_procs(procs, [] {
        for (int i = 0; i < 1000; ++i) {
            wait_group wg;
            int slots[2] = {0, 0};
            wg.add(1);
            go([&] {
                slots[0] = 1;
                wg.done();
            });
            wg.add(1);
            go([&] {
                slots[1] = 1;
                wg.done();
            });
            wg.wait();
            CHECK_EQ(slots[0] + slots[1], 2);
        }
    });
}

TEST_P(WG_11_go_adds_runs_and_is_done, 1, 2, 8) {
    with_procs(procs, [] {
        wait_group wg;
        std::atomic<int> n{0};
        for (int i = 0; i < 100; ++i) wg.go([&] { ++n; });
        wg.wait();
        CHECK_EQ(n, 100);
    });
}

}  // namespace
