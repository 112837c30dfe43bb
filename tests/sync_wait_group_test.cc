// tests/sync_wait_group_test.cc - gort::wait_group.
// SPDX-License-Identifier: BSD-2-Clause
//
// The ids (WG-…, MM-…) are those of the list of Go's behaviours.
#include <memory>

#include "tests/sync_test.h"

using namespace gort;
using namespace gort::sync_test;

namespace {

// WG-10
[[maybe_unused]] constinit wait_group global_group;
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

// WG-05: an add from zero while somebody waits. That is forced here by the word a waiter leaves.
TEST(WG_05_06_misuse_is_noticed) {
    with_procs(1, [] {
        // counter 1 after an add(1) from zero, and a waiter
        detail::WaitGroupWord word;
        word.count = 1;
        word.owner.mark = 1;
        CHECK_EQ(panic_of([&] { detail::wait_group_slow(&word, 1, 1); }),
                 "sync: WaitGroup misuse: Add called concurrently with Wait");
        // the count was 0 when the last done looked
        CHECK_EQ(panic_of([&] { detail::wait_group_slow(&word, 0, -1); }),
                 "sync: WaitGroup misuse: Add called concurrently with Wait");
        // WG-06: with one P the waiter comes back after the group is in use again.
        wait_group wg;
        wg.add(1);
        std::string text;
        wait_group end;
        end.go([&] { text = panic_of([&] { wg.wait(); }); });
        EVENTUALLY(waiting(&wg) == 1);
        wg.done();
        wg.add(1);
        end.wait();
        CHECK_EQ(text, "sync: WaitGroup is reused before previous Wait has returned");
    });
}

TEST_P(WG_09_workers_add_more_workers, 1, 2, 8) {
    with_procs(procs, [] {
        wait_group wg;
        std::atomic<int> n{0};
        struct Tree {
            wait_group& wg;
            std::atomic<int>& n;
            void grow(int depth) {
                ++n;
                if (depth == 0) return;
                for (int i = 0; i < 2; ++i) wg.go([this, depth] { grow(depth - 1); });
            }
        } tree{wg, n};
        wg.go([&] { tree.grow(9); });
        wg.wait();
        CHECK_EQ(n, 1023);
    });
}

TEST(WG_10_a_member_after_a_char) {
    struct Odd {
        char c = 0;
        wait_group wg;
    };
    with_procs(1, [] {
        auto odd = std::make_unique<Odd>();
        odd->wg.go([&] { ++odd->c; });
        odd->wg.wait();
        CHECK_EQ(odd->c, 1);
    });
}

TEST(WG_12_a_panic_is_not_done) {
    Died d = run_dying(2, [] {
        wait_group wg;
        wg.go([] { panic("in go"); });
        wg.wait();
        std::puts("waited");
        std::fflush(stdout);
    });
    CHECK_DIED(d, d.exit_code() == 2 && d.first_line() == "panic: in go");
    CHECK_DIED(d, d.out.empty());
}
TEST_P(WG_12_goexit_is_done, 1, 2) {
    with_procs(procs, [] {
        wait_group wg;
        wg.go([] { goexit(); });
        wg.go([] {
            try {
                goexit();
            } catch (...) {
                throw;
            }
        });
        wg.wait();
    });
}

TEST(WG_14_DL_01_waiting_for_nobody) {
    Died d = run_dying(1, [] {
        wait_group wg;
        wg.add(1);
        go([&] { wg.wait(); });
        wg.wait();
    });
    CHECK_DIED(d, d.exit_code() == 2 && d.first_line() == kDeadlock);
    CHECK_DIED(d, d.count("[sync.WaitGroup.Wait]:") == 2);
}

TEST(WG_15_the_counter_has_31_bits) {
    with_procs(1, [] {
        wait_group wg;
        wg.add(INT32_MAX);
        wg.done();
        wg.add(1);
        CHECK_EQ(panic_of([&] { wg.add(1); }), "sync: negative WaitGroup counter");
    });
}

TEST_P(foreign_threads_wait_and_are_waited_for, 1, 2) {
    with_procs(procs, [] {
        for (int i = 0; i < 50; ++i) {
            wait_group start, end;
            start.add(1);
            end.add(4);
            std::vector<std::thread> threads;
            int slots[4] = {0, 0, 0, 0};
            for (int j = 0; j < 2; ++j)
                threads.emplace_back([&, j] {
                    start.wait();
                    slots[j] = 1;
                    end.done();
                });
            for (int j = 2; j < 4; ++j)
                go([&, j] {
                    start.wait();
                    slots[j] = 1;
                    end.done();
                });
            start.done();
            end.wait();
            CHECK_EQ(slots[0] + slots[1] + slots[2] + slots[3], 4);
            blocking([&] {
                for (auto& t : threads) t.join();
            });
        }
    });
}

}  // namespace
