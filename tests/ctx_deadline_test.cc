// tests/ctx_deadline_test.cc - contexts: deadlines and values: CX-19 to CX-33.
// SPDX-License-Identifier: BSD-2-Clause
//
// Names begin with the ids of the behaviours they show.
#include <memory>

#include "tests/ctx_test.h"

using namespace ctx_tools;

namespace {

inline constexpr key<int> kNumber{"number"};
inline constexpr key<int> kOther{"number"};
inline constexpr key<std::string> kName{"name"};

}  // namespace

// ---- deadlines ----

// CX-19, CX-24
TEST_P(cx19_a_deadline_ends_it, 1, 2) {
    run(procs, [] {
        const auto start = std::chrono::steady_clock::now();
        auto [c, cancel] = with_deadline(background(), start + 5ms);
        CHECK(c.deadline() == start + 5ms);
        c.done().recv();
        CHECK(std::chrono::steady_clock::now() >= start + 5ms);
        CHECK(ended(c, errc::deadline_exceeded));
        cancel();
        CHECK(ended(c, errc::deadline_exceeded));
        auto [d, cancel_d] = with_timeout(background(), std::chrono::duration<double>(0.002));
        auto [e, cancel_e] = with_cancel(with_value(d, kNumber, 1));
        CHECK(*d.deadline() >= start + 7ms);
        CHECK(e.deadline() == d.deadline());
        e.done().recv();
        CHECK(ended(e, errc::deadline_exceeded));
        CHECK(ended(d, errc::deadline_exceeded));
    });
}

// CX-20, CX-25
TEST_P(cx20_the_earlier_deadline_counts, 1, 2) {
    run(procs, [] {
        auto [outer, c1] = with_timeout(background(), 1h);
        auto [inner, c2] = with_timeout(with_value(outer, kNumber, 1), 2h);
        CHECK(inner.deadline() == outer.deadline());
        CHECK_EQ(live_timers(), 1);
        CHECK(to_string(inner).ends_with(".WithCancel"));
        auto [sooner, c3] = with_timeout(inner, 1ms);
        CHECK(sooner.deadline() < outer.deadline());
        sooner.done().recv();
        CHECK(ended(sooner, errc::deadline_exceeded));
        CHECK(is_open(inner));
        auto [forever, c4] = with_timeout(background(), gort::duration::max());
        CHECK(is_open(forever));
        c4();
        c1();
        CHECK(ended(inner, errc::canceled));
        CHECK_EQ(live_timers(), 0);
    });
}

TEST(cx21_what_is_past_is_done_at_once) {
    run(1, [] {
        const auto now = std::chrono::steady_clock::now();
        for (auto t : {now - 1h, now, gort::time_point(), gort::time_point::min()}) {
            auto [c, cancel] = with_deadline(background(), t);
            CHECK(ended(c, errc::deadline_exceeded));
            CHECK(c.deadline() == t);
            cancel();
            CHECK(ended(c, errc::deadline_exceeded));
        }
        for (auto d : {gort::duration(0), gort::duration(-1), gort::duration::min()}) {
            auto [c, cancel] = with_timeout(background(), d);
            CHECK(ended(c, errc::deadline_exceeded));
            auto [e, cancel_e] = with_timeout_cause(background(), d, error(3));
            CHECK(ended(e, errc::deadline_exceeded, error(3)));
        }
        CHECK_EQ(live_timers(), 0);
    });
}

TEST(cx22_a_cancelled_parent_wins_over_a_past_deadline) {
    run(1, [] {
        auto [parent, cancel] = with_cancel(background());
        cancel();
        auto [c, cancel_c] = with_timeout(parent, 0s);
        CHECK(ended(c, errc::canceled));
        auto [d, cancel_d] = with_timeout_cause(parent, -1s, error(1));
        CHECK(ended(d, errc::canceled));
    });
}

TEST_P(cx23_cancel_stops_the_timer, 1, 2) {
    run(procs, [] {
        auto [c, cancel] = with_timeout(background(), 1h);
        CHECK_EQ(live_timers(), 1);
        cancel();
        CHECK_EQ(live_timers(), 0);
        CHECK(ended(c, errc::canceled));
        // Whoever is first decides.
        for (int i = 0; i < 500; ++i) {
            auto [d, cancel_d] = with_timeout(background(), gort::duration(i * 100));
            cancel_d();
            const std::error_code err = d.err();
            CHECK(err == errc::canceled || err == errc::deadline_exceeded);
            CHECK(ended(d, err));
        }
        CHECK_EQ(live_timers(), 0);
    });
}

// ---- values ----

TEST(cx28_values) {
    run(1, [] {
        const context a = with_value(background(), kNumber, 1);
        const context b = with_value(a, kName, "one");
        const context c = with_value(b, kNumber, 2);
        CHECK_EQ(*a.value(kNumber), 1);
        CHECK(!a.value(kName));
        CHECK_EQ(*b.value(kName), "one");
        CHECK_EQ(*c.value(kNumber), 2);
        CHECK_EQ(*b.value(kNumber), 1);
        CHECK(!c.value(kOther));  // the same name and type, another key
        const context d = without_value(c, kNumber);
        CHECK(!d.value(kNumber));
        CHECK_EQ(*d.value(kName), "one");
        const context again = with_value(d, kNumber, 3);
        CHECK_EQ(*again.value(kNumber), 3);
        static constexpr key<std::unique_ptr<int>> owned;
        const context e = with_value(d, owned, std::make_unique<int>(9));  // move-only
        CHECK_EQ(**e.value(owned), 9);
        std::string text = "copied";
        const context f = with_value(e, kName, text);
        CHECK_EQ(text, "copied");
        CHECK_EQ(*f.value(kName), "copied");
    });
}

// CX-30
static_assert(!std::is_copy_constructible_v<key<int>>);
template <class K>
concept can_look_up = requires(context c, K&& k) {
    c.value(std::forward<K>(k));
};
static_assert(can_look_up<const key<int>&>);
static_assert(!can_look_up<key<int>>);

// A value goes with the last context that has it; one at a time however deep.
TEST(values_are_destroyed) {
    run(1, [] {
        static constexpr key<std::shared_ptr<int>> shared;
        auto held = std::make_shared<int>(1);
        context c = with_value(background(), shared, held);
        context d = with_cancel(c).first;
        CHECK_EQ(held.use_count(), 2);
        c = nullptr;
        CHECK_EQ(held.use_count(), 2);
        CHECK_EQ(d.value(shared)->get(), held.get());
        d = nullptr;
        CHECK_EQ(held.use_count(), 1);
    });
}

// CX-32: 100,000 layers are walked and destroyed in a loop.
TEST(cx32_deep_chains) {
    run(1, [] {
        context c = with_value(background(), kName, "bottom");
        context root = with_cancel(c).first;
        c = root;
        for (int i = 0; i < 100000; ++i) c = i % 3 ? with_value(c, kNumber, i) : with_cancel(c).first;
        CHECK_EQ(*c.value(kName), "bottom");
        CHECK_EQ(*c.value(kNumber), 99998);
        CHECK(!c.deadline());
        CHECK(!c.err());
        CHECK(is_open(c));
        CHECK(to_string(c).size() > 1000000);
    });
}

// CX-29, CX-33
TEST(cx29_values_pass_through_layers) {
    run(1, [] {
        for (int round = 0; round < 20; ++round) {
            context c = with_value(background(), kNumber, round);
            Tree t;
            for (int i = 0; i < 40; ++i) {
                switch (gort::test::rnd() % 4) {
                case 0: c = with_value(c, kOther, i); break;
                case 1: t.add(with_cancel(c)), c = t.all.back(); break;
                case 2: t.add(with_timeout(c, 1h)), c = t.all.back(); break;
                default: c = without_value(c, kName);
                }
            }
            t.add(with_cancel(c)), c = t.all.back();
            CHECK_EQ(*c.value(kNumber), round);
            CHECK(is_open(c));
            t.cancels[gort::test::rnd() % t.cancels.size()]();
            CHECK(ended(c, errc::canceled));
            CHECK_EQ(*c.value(kNumber), round);
        }
        CHECK_EQ(live_timers(), 0);
    });
}
