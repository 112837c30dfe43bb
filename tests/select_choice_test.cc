// tests/select_choice_test.cc - select: that chance is fair, and follows the seed.
// SPDX-License-Identifier: BSD-2-Clause
#include <string>
#include <vector>

#include "chan/select.h"
#include "tests/chan_tools.h"

using namespace chan_tools;

namespace {

// Of `trials` draws with probability p: is n within 4.9 standard deviations (one in a million)?
bool fair(int n, int trials, double p) {
    const double off = n - trials * p;
    return off * off <= 4.9 * 4.9 * trials * p * (1 - p);
}

}  // namespace

TEST_P(se01_uniform_among_the_ready, 1, 2) {
    run(procs, [] {
        constexpr int kTrials = 10000;
        auto a = make_chan<int>(kTrials), b = make_chan<int>(kTrials), never = make_chan<int>(),
             nor = make_chan<int>();
        for (int i = 0; i < kTrials; ++i) a << i, b << i;
        int chosen[4] = {};
        for (int i = 0; i < kTrials; ++i)
            ++chosen[select(on_recv(a), on_recv(never), on_recv(b), on_recv(nor))];
        CHECK_EQ(chosen[0] + chosen[2], kTrials);
        CHECK(fair(chosen[0], kTrials, 0.5));
        for (int& n : chosen) n = 0;
        auto full = make_chan<int>(kTrials), more = make_chan<int>(kTrials);
        for (int i = 0; i < kTrials; ++i) ++chosen[select(on_send(full, 1), on_send(more, 2))];
        CHECK(fair(chosen[0], kTrials, 0.5));
    });
}

TEST_P(se02_uniform_for_one_channel_twice, 1, 2) {
    run(procs, [] {
        for (int cap : {0, 100}) {
            constexpr int kSends = 1000;
            auto c = make_chan<int>(cap);
            go([=] {
                for (int i = 0; i < kSends; ++i) select(on_send(c, 0), on_send(c, 1));
                c.close();
            });
            int got[2] = {};
            for (int v : c) ++got[v];
            CHECK_EQ(got[0] + got[1], kSends);
            CHECK(fair(got[0], kSends, 0.5));
        }
    });
}

TEST(se03_uniform_for_k_of_n_mixed) {
    run(1, [] {
        constexpr int kTrials = 4000;
        auto closed = make_chan<int>(), room = make_chan<int>(kTrials * 8),
             some = make_chan<int>(kTrials * 8);
        closed.close();
        for (int i = 0; i < kTrials * 8; ++i) some << i;
        for (size_t ready = 2; ready <= 8; ++ready) {
            std::vector<select_case> cases;
            const size_t n = 8;
            for (size_t i = 0; i < n; ++i) {
                const bool is_ready = i < ready;
                if (i % 3 == 0) cases.push_back(on_recv(is_ready ? closed : make_chan<int>()));
                else if (i % 3 == 1) cases.push_back(on_send(is_ready ? room : chan<int>(), 1));
                else cases.push_back(on_recv(is_ready ? some : make_chan<int>()));
            }
            std::vector<int> chosen(n);
            const int trials = kTrials / 2;
            for (int i = 0; i < trials; ++i) ++chosen[size_t(select_any(cases))];
            for (size_t i = 0; i < n; ++i)
                CHECK(i < ready ? fair(chosen[i], trials, 1.0 / double(ready)) : chosen[i] == 0);
            room = make_chan<int>(kTrials * 8);
        }
    });
}

// SE-04: the choices follow the run's seed, and another one's differ.
TEST(se04_choices_are_the_seeds) {
    auto draw = [](uint64_t seed) {
        std::string s;
        gort::options o;
        o.max_procs = 1;
        o.seed = seed;
        gort::run(
            [&] {
                auto a = make_chan<int>(100), b = make_chan<int>(100);
                for (int i = 0; i < 64; ++i) s += char('0' + select(on_send(a, 1), on_send(b, 1)));
            },
            o);
        return s;
    };
    CHECK(draw(11) == draw(11));
    CHECK(draw(11) != draw(12));
}

// SE-19: also the order in which a waiting select stands in one channel's queue twice.
TEST_P(se19_waits_twice_in_random_order, 1, 2) {
    run(procs, [] {
        constexpr int kRounds = 1000;
        auto c = make_chan<int>();
        auto other = make_chan<int>();
        int got[3] = {};
        for (int i = 0; i < kRounds; ++i) {
            go([=] {
                wait_for(c, Side::kReceivers, 2);
                c << i;
            });
            ++got[select(on_recv(c), on_recv(other), on_recv(c))];
        }
        CHECK_EQ(got[0] + got[2], kRounds);
        CHECK(fair(got[0], kRounds, 0.5));
        CHECK_EQ(waiting(other, Side::kReceivers), 0);
    });
}

TEST(se24_a_ready_case_before_the_closed_send) {
    run(1, [] {
        auto closed = make_chan<int>(), ready = make_chan<int>();
        closed.close();
        int panics = 0;
        for (int i = 0; i < 1000; ++i)
            panics += panic_of([&] {
                          select(on_send(closed, 1), on_recv(ready), on_send(closed, 2), otherwise());
                      }) != "";
        CHECK_EQ(panics, 1000);
        panics = 0;
        ready.close();
        for (int i = 0; i < 1000; ++i)
            panics += panic_of([&] { select(on_send(closed, 1), on_recv(ready)); }) != "";
        CHECK(fair(panics, 1000, 0.5));
    });
}
