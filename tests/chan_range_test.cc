// tests/chan_range_test.cc - a channel as a range: what is received is what somebody looked at, and no more.
// SPDX-License-Identifier: BSD-2-Clause
#include <algorithm>
#include <iterator>
#include <memory>
#include <ranges>
#include <string>
#include <vector>

#include "chan/chan.h"
#include "tests/chan_tools.h"

using namespace chan_tools;

namespace {

chan<int> filled(int n) {
    auto c = make_chan<int>(n);
    for (int i = 0; i < n; ++i) c << i;
    return c;
}

TEST(an_iterator_receives_when_it_is_looked_at) {
    run(1, [] {
        const chan<int> c = filled(6);
        auto it = c.begin();
        CHECK_EQ(c.len(), 6u);
        CHECK(it != c.end());  // the look
        CHECK_EQ(c.len(), 5u);
        CHECK_EQ(*it, 0);
        CHECK_EQ(*it, 0);
        CHECK(it != c.end());
        CHECK_EQ(c.len(), 5u);
        ++it;
        CHECK_EQ(c.len(), 5u);
        CHECK_EQ(*it, 1);  // a look as well
        CHECK_EQ(c.len(), 4u);
        ++it;
        ++it;  // 2 is passed by, unseen
        CHECK_EQ(c.len(), 3u);
        auto moved = std::move(it);
        CHECK_EQ(c.len(), 3u);
        CHECK_EQ(*moved, 3);
        it = std::move(moved);
        CHECK_EQ(*it, 3);
        CHECK_EQ(c.len(), 2u);
        c.close();
        ++it;
        it++;
        CHECK_EQ(*it, 5);
        ++it;
        CHECK(it == c.end());
        ++it;  // past the end nothing is waited for
        CHECK(it == c.end());
        CHECK(gort::recv_iterator<int>() == c.end());
    });
}

TEST(a_loop_that_is_left_takes_no_more_than_it_saw) {
    run(1, [] {
        const chan<int> c = filled(4);
        for (int v : c)
            if (v == 1) break;
        CHECK_EQ(c.len(), 2u);
        // With a count beside it, from a channel that nobody ever closes.
        int sum = 0;
        for (std::counted_iterator it(c.begin(), 2); it != std::default_sentinel; ++it) sum += *it;
        CHECK_EQ(sum, 2 + 3);
    });
}

TEST(elements_are_destroyed_once_wherever_they_are) {
    run(1, [] {
        auto life = std::make_shared<int>(0);
        auto c = make_chan<std::shared_ptr<int>>(5);
        for (int i = 0; i < 5; ++i) c << life;
        {
            auto it = c.begin();
            CHECK(*it == life);
            auto moved = std::move(it);
            ++moved;
            CHECK_EQ(life.use_count(), 5);
            CHECK(moved != c.end());
            auto other = c.begin();
            CHECK(*other == life);
            other = std::move(moved);
            CHECK_EQ(life.use_count(), 4);  // life, other's, two in the channel
            std::shared_ptr<int> out = *other;
            CHECK_EQ(life.use_count(), 4);
        }
        CHECK_EQ(life.use_count(), 3);
    });
}

#if !defined(__clang__) || __clang_major__ >= 16  // libstdc++'s views need a newer clang
template <class R>
std::vector<int> all(R&& range) {
    std::vector<int> v;
    for (int x : range) v.push_back(x);
    return v;
}
using Ints = std::vector<int>;
constexpr auto odd = [](int n) { return n % 2 == 1; };
constexpr auto square = [](int n) { return n * n; };

TEST(take_receives_as_many_as_it_gives) {
    run(1, [] {
        const chan<int> c = filled(20);
        CHECK(all(c | std::views::take(3)) == (Ints{0, 1, 2}));
        CHECK_EQ(c.len(), 17u);
        CHECK(all(c | std::views::take(0)).empty());
        CHECK_EQ(c.len(), 17u);
        CHECK(all(c | std::views::transform(square) | std::views::take(2)) == (Ints{9, 16}));
        CHECK_EQ(c.len(), 15u);
        CHECK(all(c | std::views::take(2) | std::views::transform(square)) == (Ints{25, 36}));
        CHECK_EQ(c.len(), 13u);
        CHECK(all(c | std::views::drop(2) | std::views::take(1)) == (Ints{9}));
        CHECK_EQ(c.len(), 10u);
        // filter's own step looks for the next that fits, here 13.
        CHECK(all(c | std::views::filter(odd) | std::views::take(1)) == (Ints{11}));
        CHECK_EQ(c.len(), 6u);
        CHECK(all(std::views::counted(c.begin(), 2)) == (Ints{14, 15}));
        CHECK_EQ(c.len(), 4u);
        Ints out;
        std::ranges::copy_n(c.begin(), 1, std::back_inserter(out));
        CHECK(out == (Ints{16}));
        CHECK_EQ(c.len(), 3u);
        // What ends it has to be looked at, so it is gone.
        CHECK(all(c | std::views::take_while([](int n) { return n < 18; })) == (Ints{17}));
        CHECK_EQ(c.len(), 1u);
        c.close();
        CHECK(all(c | std::views::take(5)) == (Ints{19}));
        CHECK(all(recv_chan<int>(c) | std::views::take(1)).empty());
    });
}

TEST_P(take_does_not_wait_for_one_more, 1, 2, 8) {
    run(procs, [] {
        auto c = make_chan<int>();  // the fourth is never sent, and nobody closes
        go([=] {
            for (int i = 1; i <= 3; ++i) c << i;
        });
        CHECK(all(c | std::views::take(3)) == (Ints{1, 2, 3}));
    });
}
#endif

}  // namespace
