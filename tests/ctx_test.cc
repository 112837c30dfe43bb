// tests/ctx_test.cc - contexts: roots, cancelling, trees, texts, handles: CX-01 to CX-18.
// SPDX-License-Identifier: BSD-2-Clause
//
// Names begin with the ids of the behaviours they show. Deadlines and values:
// ctx_deadline_test.cc. Own kinds, causes and after_func: ctx_custom_test.cc.
#include "tests/ctx_test.h"

#include <atomic>
#include <memory>
#include <sstream>
#include <thread>

using namespace ctx_tools;

namespace {

inline constexpr key<int> kNumber{"number"};
inline constexpr key<std::string> kName{"name"};

}  // namespace

TEST(cx02_roots) {
    run(1, [] {
        for (const context& c : {background(), todo()}) {
            CHECK(bool(c));
            CHECK(!c.done());
            CHECK(!c.err());
            CHECK(!cause(c));
            CHECK(!c.deadline());
            CHECK(!c.value(kNumber));
        }
        // CX-04, CX-03
        CHECK(background() == background());
        CHECK(background() != todo());
        CHECK_EQ(to_string(background()), "context.Background");
        CHECK_EQ(to_string(todo()), "context.TODO");
        CHECK_EQ(to_string(context()), "<nil>");
    });
}

TEST(cx02_roots_need_no_runtime) {
    const context c = with_value(background(), kNumber, 5);
    CHECK_EQ(*c.value(kNumber), 5);
    auto [child, cancel] = with_cancel(c);
    CHECK(!child.err());
    cancel();
    CHECK(child.err() == errc::canceled);
    CHECK_EQ(panic_text([] { with_timeout(background(), 1h); }),
             "context: a deadline needs a running runtime (call gort::run or gort::start first)");
}

TEST_P(cx05_answers_are_stable, 1, 2) {
    run(procs, [] {
        auto [c, cancel] = with_timeout(background(), 1h);
        const auto done = c.done();
        const auto deadline = c.deadline();
        CHECK(done == c.done());
        cancel();
        for (int i = 0; i < 3; ++i) {
            CHECK(done == c.done());
            CHECK(c.deadline() == deadline);
            CHECK(c.err() == errc::canceled);
        }
    });
}

TEST(cx06_errors) {
    const std::error_code canceled = errc::canceled, late = errc::deadline_exceeded;
    CHECK_EQ(canceled.message(), "context canceled");
    CHECK_EQ(late.message(), "context deadline exceeded");
    CHECK_EQ(std::string(canceled.category().name()), "context");
    CHECK(canceled != late);
    CHECK(canceled == errc::canceled);
    // CX-07
    CHECK(is_timeout(late));
    CHECK(is_temporary(late));
    CHECK(!is_timeout(canceled));
    CHECK(!is_temporary(canceled));
    CHECK(late == std::errc::timed_out);
    CHECK(late != std::make_error_code(std::errc::timed_out));
    CHECK(canceled == std::errc::operation_canceled);
    CHECK_EQ(std::error_code(7, category()).message(), "unknown error 7");
}

TEST_P(cx08_cancel_is_done_when_it_returns, 1, 2) {
    run(procs, [] {
        auto [c, cancel] = with_cancel(background());
        CHECK(is_open(c));
        cancel();
        CHECK(ended(c, errc::canceled));
        cancel();  // CX-09
        cancel_func copy = cancel, none;
        copy();
        none();
        CHECK(ended(c, errc::canceled));
        // Without anybody having asked for done() before.
        auto [d, cancel_d] = with_cancel(background());
        cancel_d();
        CHECK(d.err() == errc::canceled);
        CHECK(is_done(d));
    });
}

TEST_P(cx08_who_waits_is_woken, 1, 2, 8) {
    run(procs, [] {
        auto [c, cancel] = with_cancel(background());
        Join join;
        for (int i = 0; i < 10; ++i)
            go_join(join, [c = c, i] {
                if (i % 2) {
                    c.done().recv();
                } else {
                    auto never = gort::make_chan<int>();
                    CHECK_EQ(gort::select(gort::on_recv(never), gort::on_recv(c.done())), 1);
                }
                CHECK(c.err() == errc::canceled);
            });
        wait_for(c.done(), Side::kReceivers, 10);
        cancel();
        join.wait(10);
    });
}

// CX-09: a tree of more than 100, all cancelled at once in random order.
TEST_P(cx09_simultaneous_cancels, 1, 2, 8) {
    run(procs, [] {
        Tree t;
        t.add(with_cancel(background()));
        for (size_t i = 0; t.all.size() < 130; ++i)
            for (int k = 0; k < 3; ++k) t.add(k == 2 ? with_timeout(t.all[i], 1h) : with_cancel(t.all[i]));
        for (auto& c : t.all) CHECK(is_open(c));
        for (size_t i = t.cancels.size(); i > 1; --i)
            std::swap(t.cancels[i - 1], t.cancels[gort::test::rnd() % i]);
        Join join;
        for (auto& cancel : t.cancels)
            go_join(join, [cancel] {
                cancel();
                cancel();
            });
        join.wait(int(t.cancels.size()));
        for (auto& c : t.all) CHECK(ended(c, errc::canceled));
        CHECK_EQ(live_timers(), 0);
    });
}

// CX-10, and what is derived later (CX-12).
TEST_P(cx10_a_parent_ends_its_descendants, 1, 2) {
    run(procs, [] {
        auto [parent, cancel] = with_cancel(background());
        auto [child, cancel_child] = with_cancel(parent);
        auto value = with_value(parent, kNumber, 1);
        auto [below_value, c2] = with_cancel(value);
        auto [timed, c3] = with_timeout(below_value, 1h);
        const std::vector<context> all{parent, child, value, below_value, timed};
        for (auto& c : all) CHECK(is_open(c));
        CHECK_EQ(children(parent), 2);
        CHECK_EQ(children(below_value), 1);
        cancel();
        for (auto& c : all) CHECK(ended(c, errc::canceled));
        CHECK_EQ(children(parent), 0);
        CHECK_EQ(children(below_value), 0);
        CHECK_EQ(live_timers(), 0);
        auto [late, c4] = with_cancel(parent);
        CHECK(ended(late, errc::canceled));
        auto [later, c5] = with_timeout(with_value(parent, kNumber, 2), 1h);
        CHECK(ended(later, errc::canceled));
        CHECK_EQ(live_timers(), 0);
    });
}

// CX-11
TEST_P(cx11_a_child_leaves_its_parent, 1, 2) {
    run(procs, [] {
        auto [parent, cancel_parent] = with_cancel(background());
        for (int i = 0; i < 3; ++i) {
            auto [child, cancel] = i == 1 ? with_timeout(parent, 1h) : with_cancel(parent);
            auto [grandchild, c2] = with_cancel(child);
            CHECK_EQ(children(parent), 1);
            cancel();
            CHECK_EQ(children(parent), 0);
            CHECK(is_open(parent));
            CHECK(ended(grandchild, errc::canceled));
        }
        // By its own deadline.
        auto [child, cancel] = with_timeout(parent, 1ms);
        child.done().recv();
        EVENTUALLY(children(parent) == 0);
        CHECK(is_open(parent));
        CHECK_EQ(live_timers(), 0);
    });
}

TEST_P(cx13_a_child_cancelled_by_whom_its_parent_woke, 1, 2) {
    run(procs, [] {
        for (int i = 0; i < 200; ++i) {
            auto [parent, cancel_parent] = with_cancel(background());
            auto [child, cancel_child] = with_cancel(parent);
            Join join;
            go_join(join, [parent = parent, cancel_child = cancel_child] {
                parent.done().recv();
                cancel_child();
            });
            if (i % 2) gort::yield();
            cancel_parent();
            child.done().recv();
            join.wait(1);
        }
    });
}

// CX-14, CX-47: whoever derives while the parent is cancelled is never missed, and knows why.
TEST_P(cx14_a_child_made_meanwhile_is_not_missed, 2, 8) {
    run(procs, [] {
        for (int i = 0; i < 300; ++i) {
            auto [parent, cancel] = with_cancel_cause(background());
            Join join;
            for (int k = 0; k < 3; ++k)
                go_join(join, [parent = parent] {
                    auto [child, c] = with_cancel(parent);
                    auto [timed, c2] = with_timeout(child, 1h);
                    child.done().recv();
                    timed.done().recv();
                    CHECK(ended(child, errc::canceled, error(5)));
                    CHECK(ended(timed, errc::canceled, error(5)));
                });
            go_join(join, [cancel = cancel] { cancel(error(5)); });
            join.wait(4);
        }
        CHECK_EQ(live_timers(), 0);
    });
}

// CX-15: done is made when it is asked for; what was cancelled before shares one closed channel.
TEST(cx15_done_is_lazy) {
    run(1, [] {
        auto [a, cancel_a] = with_cancel(background());
        auto [b, cancel_b] = with_cancel(a);
        auto done_of = [](const context& c) {
            return static_cast<detail::CancelNode*>(detail::Tree::get(c))->done_chan.load();
        };
        CHECK(!done_of(a));
        cancel_a();
        CHECK(!done_of(a));
        CHECK(a.done() == b.done());
        CHECK(is_done(a));
    });
}

// CX-16, CX-26, CX-31, CX-52, CX-20
TEST(cx16_texts) {
    run(1, [] {
        auto [c, cancel] = with_cancel(background());
        CHECK_EQ(to_string(c), "context.Background.WithCancel");
        auto [d, cancel_d] = with_timeout(c, 1h);
        const std::string text = to_string(d);
        CHECK_EQ(text.substr(0, 43), "context.Background.WithCancel.WithDeadline(");
        CHECK_EQ(text.substr(text.size() - 3), "s])");
        CHECK(text.find("s [59m59.") != std::string::npos);
        auto [e, cancel_e] = with_timeout(d, 2h);
        CHECK(to_string(e).ends_with("].WithCancel") || to_string(e).ends_with(").WithCancel"));
        CHECK_EQ(to_string(without_cancel(todo())), "context.TODO.WithoutCancel");
        static constexpr key<const char*> text_key{"text"};
        static constexpr key<std::shared_ptr<int>> pointer{"pointer"};
        CHECK_EQ(to_string(with_value(background(), kName, "gopher")),
                 "context.Background.WithValue(name, gopher)");
        CHECK_EQ(to_string(with_value(background(), kNumber, 7)),
                 "context.Background.WithValue(number, int)");
        CHECK_EQ(to_string(with_value(background(), text_key, "x")), "context.Background.WithValue(text, x)");
        CHECK_EQ(to_string(with_value(background(), text_key, nullptr)),
                 "context.Background.WithValue(text, <nil>)");
        CHECK_EQ(to_string(with_value(background(), pointer, nullptr)),
                 "context.Background.WithValue(pointer, <nil>)");
        CHECK_EQ(to_string(without_value(background(), kName)), "context.Background.WithValue(name, <nil>)");
        std::ostringstream out;
        out << c;
        CHECK_EQ(out.str(), "context.Background.WithCancel");
    });
}

// CX-17, the rule of C++: who is dropped without cancel is taken out at once.
TEST_P(cx17_a_dropped_child_leaks_nothing, 1, 2) {
    run(procs, [] {
        auto [parent, cancel] = with_cancel(background());
        for (int i = 0; i < 1000; ++i) {
            auto a = with_cancel(parent).first;
            auto b = with_timeout(parent, 1h).second;
            CHECK_EQ(children(parent), 2);
        }
        CHECK_EQ(children(parent), 0);
        CHECK_EQ(live_timers(), 0);
        // While its timer is on its way.
        for (int i = 0; i < 2000; ++i) {
            auto c = with_timeout(parent, gort::duration(1 + i % 5 * 300));
            if (i % 3 == 0) gort::yield();
        }
        EVENTUALLY(children(parent) == 0);
        CHECK_EQ(live_timers(), 0);
    });
}

// But if its channel is still held, what would have closed it does.
TEST_P(cx17_a_done_channel_alone_is_still_closed, 1, 2) {
    run(procs, [] {
        auto [parent, cancel] = with_cancel(background());
        recv_chan<unit> by_parent = with_cancel(parent).first.done();
        recv_chan<unit> by_time = with_timeout(background(), 3ms).first.done();
        recv_chan<unit> by_nobody = with_cancel(background()).first.done();
        recv_chan<unit> by_both = with_timeout(parent, 1h).first.done();
        CHECK_EQ(children(parent), 2);
        unit u;
        CHECK(!by_time.recv(u));
        CHECK(by_parent.try_recv(u) == recv_result::empty);
        cancel();
        CHECK(by_parent.try_recv(u) == recv_result::closed);
        CHECK(by_both.try_recv(u) == recv_result::closed);
        CHECK(by_nobody.try_recv(u) == recv_result::empty);
        CHECK_EQ(live_timers(), 0);
    });
}

TEST(cx18_nil_parent) {
    run(1, [] {
        const std::string text = "cannot create context from nil parent";
        const context nil;
        const auto soon = std::chrono::steady_clock::now() + 1h;
        CHECK_EQ(panic_text([&] { with_cancel(nil); }), text);
        CHECK_EQ(panic_text([&] { with_cancel_cause(nil); }), text);
        CHECK_EQ(panic_text([&] { with_deadline(nil, soon); }), text);
        CHECK_EQ(panic_text([&] { with_deadline_cause(nil, soon, error(1)); }), text);
        CHECK_EQ(panic_text([&] { with_timeout(nil, 1h); }), text);
        CHECK_EQ(panic_text([&] { with_timeout_cause(nil, 1h, error(1)); }), text);
        CHECK_EQ(panic_text([&] { with_value(nil, kNumber, 1); }), text);
        CHECK_EQ(panic_text([&] { without_value(nil, kNumber); }), text);
        CHECK_EQ(panic_text([&] { without_cancel(nil); }), text);
        CHECK_EQ(panic_text([&] { after_func(nil, [] {}); }), text);
        CHECK_EQ(panic_text([&] { nil.done(); }), "context: done of a nil context");
        CHECK_EQ(panic_text([&] { nil.err(); }), "context: err of a nil context");
        CHECK_EQ(panic_text([&] { nil.deadline(); }), "context: deadline of a nil context");
        CHECK_EQ(panic_text([&] { nil.value(kNumber); }), "context: value of a nil context");
        CHECK_EQ(panic_text([&] { cause(nil); }), "context: cause of a nil context");
        CHECK(!nil);
        CHECK(context(nullptr) == nil);
        CHECK_EQ(live_timers(), 0);
    });
}

// ---- many ----

// A tree of 100,000: each of 100 has 999 below it, or all in one line, or all below one.
TEST_P(trees_of_100000, 1, 2) {
    TEST_TIMEOUT(60);
    run(procs, [] {
        const size_t n = gort::test::slow() > 1 ? 10'000 : 100'000;
        for (size_t fan : {size_t{1}, size_t{10}, n}) {
            Tree t;
            t.add(with_cancel(background()));
            for (size_t i = 1; i < n; ++i) t.add(with_cancel(t.all[(i - 1) / fan]));
            std::vector<recv_chan<unit>> some;
            for (size_t i = 0; i < n; i += 997) some.push_back(t.all[i].done());
            // dropped: those whose channel is held are still told
            if (fan == 10) t.all.resize(1), t.cancels.resize(1);
            t.cancels[0]();
            for (auto& c : t.all) CHECK(c.err() == errc::canceled);
            unit u;
            for (size_t i = 0; i < some.size(); ++i) CHECK(some[i].try_recv(u) == recv_result::closed);
            CHECK_EQ(children(t.all[0]), 0);
        }
    });
}

// CC-16: a thread of the program's own cancels, derives, waits.
TEST_P(cc16_foreign_threads, 1, 2) {
    run(procs, [] {
        auto [parent, cancel] = with_cancel(background());
        std::atomic<bool> through{false};
        std::thread thread([&, parent = parent] {
            auto [c, cancel_c] = with_timeout(parent, 1h);
            parent.done().recv();
            CHECK(ended(c, errc::canceled));
            auto [d, cancel_d] = with_timeout(background(), 2ms);
            d.done().recv();
            CHECK(ended(d, errc::deadline_exceeded));
            auto ran = gort::make_chan<int>(1);
            auto [e, cancel_e] = with_cancel(background());
            after_func(e, [ran] { ran << 1; });
            cancel_e();
            CHECK_EQ(ran.recv(), 1);
            through = true;
        });
        wait_for(parent.done(), Side::kReceivers, 1);
        cancel();
        while (!through) gort::sleep(200us);
        thread.join();
        CHECK_EQ(live_timers(), 0);
    });
}

// Contexts that outlive their run: deadlines are forgotten, cancelling works.
TEST(contexts_outlive_their_run) {
    context pending, parent;
    cancel_func cancel;
    recv_chan<unit> done;
    for (int i = 0; i < 3; ++i) {
        run(1 + i % 2, [&] {
            std::tie(parent, cancel) = with_timeout(background(), 1h);
            pending = with_timeout(parent, 30min).first;
            done = pending.done();
        });
        CHECK(!pending.err());
        if (i == 1) pending = nullptr;
        cancel();
        CHECK(parent.err() == errc::canceled);
        unit u;
        CHECK(done.try_recv(u) == recv_result::closed);
    }
}

TEST(cx_handles) {
    run(1, [] {
        std::hash<context> hash;
        auto [c, cancel] = with_cancel(background());
        context copy = c, moved = std::move(copy);
        CHECK(moved == c);
        CHECK(!copy);  // NOLINT(bugprone-use-after-move)
        CHECK_EQ(hash(moved), hash(c));
        const context& same = moved;
        moved = same;
        CHECK(moved == c);
        context d;
        cancel_func e;
        std::tie(d, e) = with_cancel(c);
        std::function<void()> f = e;
        f();
        CHECK(ended(d, errc::canceled));
        CHECK(bool(e));
        CHECK(!cancel_func{});
    });
}
