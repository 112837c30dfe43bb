// tests/ctx_after_test.cc - contexts: after_func and without_cancel, and the examples: CX-48 to CX-52.
// SPDX-License-Identifier: BSD-2-Clause
#include <array>
#include <atomic>
#include <memory>

#include "tests/ctx_test.h"

using namespace ctx_tools;

namespace {

inline constexpr key<int> kNumber{"number"};

// Goroutines besides those that were there before.
int more_than(int before) { return gort::num_goroutine() - before; }

}  // namespace

TEST_P(cx48_after_func, 1, 2) {
    run(procs, [] {
        auto ran = gort::make_chan<int>(10);
        auto [c, cancel] = with_cancel(background());
        after_func(c, [ran] { ran << 1; });
        auto stop = after_func(with_value(c, kNumber, 1), [ran] { ran << 1; });  // CX-51
        gort::yield();
        CHECK_EQ(ran.len(), 0);
        cancel();
        CHECK_EQ(ran.recv() + ran.recv(), 2);
        CHECK(!stop());
        after_func(c, [ran] { ran << 3; });  // at once
        CHECK_EQ(ran.recv(), 3);
        auto [timed, c2] = with_timeout(background(), 1ms);
        after_func(timed, [ran] { ran << 4; });
        CHECK_EQ(ran.recv(), 4);
    });
}

TEST_P(cx49_stop_of_after_func, 1, 2) {
    run(procs, [] {
        auto ran = gort::make_chan<int>(10);
        auto [c, cancel] = with_cancel(background());
        auto stop = after_func(c, [ran] { ran << 1; });
        auto other = after_func(c, [ran] { ran << 2; });
        CHECK_EQ(children(c), 2);
        CHECK(stop());
        CHECK(!stop());
        CHECK_EQ(children(c), 1);
        auto copy = stop;
        CHECK(!copy());
        CHECK(!stop_func()());
        cancel();
        CHECK_EQ(ran.recv(), 2);
        CHECK(!other());
        CHECK_EQ(ran.len(), 0);
        CHECK(after_func(background(), [] {})());  // never done
    });
}

TEST_P(cx50_cancel_does_not_wait_for_functions, 1, 2) {
    run(procs, [] {
        auto block = gort::make_chan<int>(), through = gort::make_chan<int>();
        auto [c, cancel] = with_cancel(background());
        after_func(c, [=] {
            block.recv();
            through << 1;
        });
        cancel();
        CHECK(ended(c, errc::canceled));
        block << 1;
        through.recv();
    });
}

// What the function holds goes when it has run, when it was stopped, and when nobody can end the context any more.
// As long as somebody can, it waits, though nobody holds anything.
TEST_P(after_func_keeps_its_function_as_long_as_it_must, 1, 2) {
    run(procs, [] {
        auto held = std::make_shared<int>(1);
        {
            auto [c, cancel] = with_cancel(background());
            auto stop = after_func(c, [held] {});
            CHECK_EQ(held.use_count(), 2);
            stop();
            stop = stop_func();
            CHECK_EQ(held.use_count(), 1);
            after_func(c, [held] {});
            CHECK_EQ(held.use_count(), 2);
            auto kept = after_func(c, [held] {});
            CHECK_EQ(held.use_count(), 3);
        }
        CHECK_EQ(held.use_count(), 1);
        auto [parent, cancel] = with_cancel(background());
        auto ran = gort::make_chan<int>(2);
        after_func(with_cancel(parent).first, [held, ran] { ran << 1; });
        after_func(with_timeout(background(), 2ms).first, [held, ran] { ran << 2; });
        CHECK_EQ(ran.recv(), 2);
        CHECK_EQ(children(parent), 1);
        cancel();
        CHECK_EQ(ran.recv(), 1);
        EVENTUALLY(held.use_count() == 1);
        CHECK_EQ(panic_text([] { after_func(background(), std::function<void()>()); }),
                 "context: AfterFunc of a nil function");
    });
}

TEST_P(stop_against_cancel, 2, 8) {
    run(procs, [] {
        for (int i = 0; i < 300; ++i) {
            std::atomic<int> ran{0}, stopped{0};
            auto [c, cancel] = with_cancel(background());
            std::vector<stop_func> stops;
            for (int k = 0; k < 4; ++k) stops.push_back(after_func(c, [&] { ++ran; }));
            Join join;
            go_join(join, [cancel = cancel] { cancel(); });
            go_join(join, [&] {
                for (auto& stop : stops) stopped += stop() ? 1 : 0;
            });
            join.wait(2);
            EVENTUALLY(ran + stopped == 4);
        }
    });
}

TEST_DIES(a_panic_in_after_func_names_who_set_it, "created by", 2) {
    run(1, [] {
        auto [c, cancel] = with_cancel(background());
        after_func(c, [] { gort::panic("boom"); });
        cancel();
        gort::sleep(1h);
    });
}

// ---- without_cancel ----

TEST_P(cx52_without_cancel, 1, 2) {
    run(procs, [] {
        auto [parent, cancel] = with_timeout(with_value(background(), kNumber, 5), 1h);
        const context c = without_cancel(parent);
        auto [child, c2] = with_cancel(c);
        const auto never = [](const context& x) {
            return !x.done() && !x.err() && !cause(x) && !x.deadline();
        };
        CHECK(never(c));
        CHECK_EQ(*c.value(kNumber), 5);
        cancel();
        CHECK(never(c));
        CHECK(never(without_cancel(parent)));
        CHECK(is_open(child));
        CHECK_EQ(*child.value(kNumber), 5);
        CHECK(to_string(c).ends_with(".WithoutCancel"));
        CHECK(!child.deadline());
        auto [timed, c3] = with_timeout(c, 1ms);
        timed.done().recv();
        CHECK(ended(timed, errc::deadline_exceeded));
        CHECK(after_func(c, [] {})());
    });
}

// ---- the examples of Go's documentation ----

// A generator that ends with its context: nobody is left behind.
TEST_P(a_generator_ends_with_its_context, 1, 2) {
    run(procs, [] {
        const int before = gort::num_goroutine();
        {
            auto [c, cancel] = with_cancel(background());
            auto numbers = gort::make_chan<int>();
            gort::go([=, c = c] {
                for (int n = 1;; ++n)
                    if (gort::select(gort::on_recv(c.done()), gort::on_send(numbers, n)) == 0) return;
            });
            for (int n : numbers)
                if (n == 5) break;
            cancel();
        }
        EVENTUALLY(more_than(before) == 0);
    });
}

// Two contexts into one: done when either is.
TEST_P(contexts_are_merged_by_after_func, 1, 2) {
    run(procs, [] {
        auto [a, cancel_a] = with_cancel_cause(background());
        auto [b, cancel_b] = with_cancel_cause(background());
        auto [merged, cancel] = with_cancel_cause(a);
        auto stop = after_func(b, [b = b, cancel = cancel] { cancel(cause(b)); });
        cancel_b(error(51));
        merged.done().recv();
        CHECK(ended(merged, errc::canceled, error(51)));
        CHECK(is_open(a));
        stop();
    });
}
