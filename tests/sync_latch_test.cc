// tests/sync_latch_test.cc - latch and barrier.
// SPDX-License-Identifier: BSD-2-Clause
#include <memory>

#include "tests/sync_test.h"

using namespace gort;
using namespace gort::sync_test;

namespace {

static_assert(!std::is_copy_constructible_v<latch> && !std::is_copy_constructible_v<barrier<>>);
static_assert(std::is_move_constructible_v<barrier<>::arrival_token>);
static_assert(!std::is_copy_constructible_v<barrier<>::arrival_token>);
[[maybe_unused]] constinit latch global_latch{1};

TEST_P(latch_opens_once, 1, 2, 4) {
    with_procs(procs, [] {
        latch l(3);
        int seen[3] = {};
        wait_group wg;
        std::atomic<int> through{0};
        for (int i = 0; i < 2; ++i)
            wg.go([&] {
                l.wait();
                CHECK_EQ(seen[0] + seen[1] + seen[2], 6);
                ++through;
            });
        CHECK(!l.try_wait());
        for (int i = 0; i < 3; ++i)
            wg.go([&, i] {
                seen[i] = i + 1;
                if (i == 0) l.arrive_and_wait();
                else l.count_down();
                if (i == 0) ++through;
            });
        l.wait();
        wg.wait();
        CHECK(l.try_wait());
        CHECK_EQ(through.load(), 3);
        latch none(0);
        none.wait();
        latch two(2);
        two.count_down(0);
        CHECK(!two.try_wait());
        two.count_down(2);
        two.wait();
    });
}

TEST(latch_misuse) {
    with_procs(1, [] {
        const std::string text = "sync: negative latch counter";
        CHECK_EQ(panic_of([] { latch l(-1); }), text);
        CHECK_EQ(panic_of([] { latch(1).count_down(2); }), text);
        CHECK_EQ(panic_of([] { latch(1).count_down(-1); }), text);
        CHECK_EQ(panic_of([] { barrier b(-1); }), "sync: negative barrier counter");
        for (const int n : {2, 0, -1})
            CHECK_EQ(panic_of([n] { static_cast<void>(barrier(1).arrive(n)); }),
                     "sync: negative barrier counter");
    });
}

// A latch may go as soon as a wait has returned, and another one come to its place.
TEST_P(latch_gone_while_it_opens, 2, 4) {
    with_procs(procs, [] {
        for (int i = 0; i < 2000 / (GORT_TEST_SANITIZER ? 10 : 1); ++i) {
            auto l = std::make_unique<latch>(1);
            go([&l = *l] { l.count_down(); });
            l->wait();
        }
    });
}

TEST(threads_meet_goroutines) {
    start();
    latch l(2);
    barrier b(2);
    std::thread other([&] {
        l.arrive_and_wait();
        for (int i = 0; i < 100; ++i) b.arrive_and_wait();
    });
    latch over(1);
    go([&] {
        l.count_down();
        for (int i = 0; i < 100; ++i) b.arrive_and_wait();
        over.count_down();
    });
    over.wait();
    other.join();
    stop();
    latch never(1);
    CHECK_EQ(panic_of([&] { never.wait(); }), "latch wait: the runtime has been stopped (by gort::stop)");
}

// As many phases as rounds; between two nobody is ahead, and the completion function has run once.
TEST_P(barrier_keeps_all_in_step, 1, 2, 4) {
    with_procs(procs, [] {
        constexpr int kN = 5, kRounds = 200;
        int completed = 0;
        int at[kN] = {};
        barrier b(kN, [&]() noexcept {
            for (const int round : at) CHECK_EQ(round, completed + 1);
            ++completed;
            yield();  // it may block
        });
        wait_group wg;
        for (int i = 0; i < kN; ++i)
            wg.go([&, i] {
                for (int r = 1; r <= kRounds; ++r) {
                    at[i] = r;
                    if (r % 3 == 0) {
                        auto token = b.arrive();
                        yield();
                        b.wait(std::move(token));
                    } else {
                        b.arrive_and_wait();
                    }
                    CHECK_EQ(completed, r);
                }
            });
        wg.wait();
        CHECK_EQ(completed, kRounds);
    });
}

TEST(barrier_with_those_who_drop_out) {
    with_procs(2, [] {
        int phases = 0;
        barrier b(4, [&]() noexcept { ++phases; });
        wait_group wg;
        for (int i = 1; i <= 4; ++i)
            wg.go([&, i] {
                for (int r = 1; r < i; ++r) b.arrive_and_wait();
                b.arrive_and_drop();
            });
        wg.wait();
        CHECK_EQ(phases, 4);
        barrier alone(3);
        auto token = alone.arrive(3);
        alone.wait(std::move(token));
    });
}

TEST_DIES(latch_deadlock_has_its_reason, "[latch wait]", 2) {
    with_procs(1, [] { latch(1).wait(); });
}
TEST_DIES(barrier_deadlock_has_its_reason, "[barrier wait]", 2) {
    with_procs(1, [] { barrier(2).arrive_and_wait(); });
}

}  // namespace
