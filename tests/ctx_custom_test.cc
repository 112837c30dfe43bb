// tests/ctx_custom_test.cc - contexts of an own kind, causes: CX-34 to CX-47. after_func: ctx_after_test.cc.
// SPDX-License-Identifier: BSD-2-Clause
#include <array>
#include <atomic>
#include <memory>

#include "tests/ctx_test.h"

using namespace ctx_tools;

namespace {

inline constexpr key<int> kNumber{"number"};

// As a Go struct that embeds a Context: everything is the parent's.
class wrapper : public context_base {
public:
    explicit wrapper(context c) : context_base(std::move(c)) {}
};

// With a done channel of its own.
class own_done : public context_base {
public:
    explicit own_done(context c = {}) : context_base(std::move(c)) {}
    recv_chan<unit> done() const override { return done_; }
    std::error_code err() const override { return ended_ ? error(7) : std::error_code(); }
    void end() const {
        ended_ = true;
        done_.close();
    }

private:
    gort::chan<unit> done_ = gort::make_chan<unit>();
    mutable std::atomic<bool> ended_{false};
};

// And one that can call back (Go: an AfterFunc method).
class calls_back : public own_done {
public:
    stop_func after_func(cancel_func f) const override {
        ++registered;
        waiting.push_back(f);
        return stop_func([this] {
            ++stopped;
            return true;
        });
    }
    void end_and_call() const {
        end();
        for (auto& f : waiting) gort::go(f);
    }
    mutable std::vector<cancel_func> waiting;
    mutable std::atomic<int> registered{0}, stopped{0};
};

class only_deadline : public context_base {
public:
    explicit only_deadline(gort::time_point when) : when_(when) {}
    std::optional<gort::time_point> deadline() const override { return when_; }

private:
    gort::time_point when_;
};

template <class T, class... A>
std::pair<context, T*> make(A&&... args) {
    auto own = std::make_unique<T>(std::forward<A>(args)...);
    T* p = own.get();
    return {context(std::move(own)), p};
}

// Goroutines besides those that were there before.
int more_than(int before) { return gort::num_goroutine() - before; }

}  // namespace

// CX-01, CX-33: what is not overridden is the parent's, or background's.
TEST(cx01_own_kinds) {
    run(1, [] {
        auto [parent, cancel] = with_timeout(with_value(background(), kNumber, 4), 1h);
        const context c = make_context<wrapper>(parent);
        CHECK(c.done() == parent.done());
        CHECK(c.deadline() == parent.deadline());
        CHECK_EQ(*c.value(kNumber), 4);
        CHECK(!c.err());
        cancel();
        CHECK(ended(c, errc::canceled));
        const context alone = make_context<wrapper>(context());
        CHECK(!alone.done());
        CHECK(!alone.err());
        CHECK(!cause(alone));
        CHECK(!alone.deadline());
        CHECK(!alone.value(kNumber));
        CHECK(to_string(alone).find("wrapper") != std::string::npos);
        auto [below, c2] = with_cancel(alone);
        CHECK(to_string(below).ends_with("wrapper.WithCancel"));
        // CX-25: a deadline of an own kind counts.
        const auto soon = std::chrono::steady_clock::now() + 1ms;
        auto [timed, c3] = with_timeout(with_value(make_context<only_deadline>(soon), kNumber, 1), 1h);
        CHECK(timed.deadline() == soon);
        CHECK(to_string(timed).ends_with(".WithCancel"));
        CHECK_EQ(live_timers(), 0);
    });
}

TEST(own_kinds_are_destroyed_once) {
    run(1, [] {
        static int alive = 0;
        struct counted : context_base {
            explicit counted(context c) : context_base(std::move(c)) { ++alive; }
            ~counted() override { --alive; }
        };
        context c = background();
        for (int i = 0; i < 10; ++i) c = make_context<counted>(i % 2 ? c : with_cancel(c).first);
        CHECK_EQ(alive, 10);
        context below = with_cancel(c).first;
        c = nullptr;
        CHECK_EQ(alive, 10);
        below = nullptr;
        CHECK_EQ(alive, 0);
        // One that is thrown away before it became a context gives its parent back.
        auto [parent, cancel] = with_cancel(background());
        { auto unused = std::make_unique<counted>(parent); }
        CHECK_EQ(detail::Tree::refs(detail::Tree::get(parent)).load(), 2);
    });
}

TEST_P(cx34_what_lets_a_context_through_is_linked_to_it, 1, 2) {
    run(procs, [] {
        const int before = gort::num_goroutine();
        auto [parent, cancel] = with_cancel(background());
        const context c = make_context<wrapper>(with_value(parent, kNumber, 1));
        const context d = make_context<wrapper>(c);
        auto [child, c2] = with_cancel(c);
        auto [grandchild, c3] = with_timeout(with_value(d, kNumber, 2), 1h);
        CHECK_EQ(more_than(before), 0);
        CHECK_EQ(children(parent), 2);
        cancel();
        CHECK(ended(child, errc::canceled));
        CHECK(ended(grandchild, errc::canceled));
        auto [late, c4] = with_cancel(d);
        CHECK(ended(late, errc::canceled));
        CHECK_EQ(more_than(before), 0);
    });
}

TEST_P(cx35_an_own_done_costs_a_goroutine, 1, 2) {
    run(procs, [] {
        const int before = gort::num_goroutine();
        auto [outer, cancel_outer] = with_cancel(background());
        for (int round = 0; round < 3; ++round) {
            auto [c, own] = make<own_done>(outer);
            auto [child, cancel] = with_cancel(with_value(c, kNumber, 1));
            CHECK_EQ(more_than(before), 1);
            CHECK(is_open(child));
            if (round == 0) cancel();  // the child ends
            else own->end();
            EVENTUALLY(more_than(before) == 0);
            // CX-38, CX-40: the parent's own error, which is the cause as well
            CHECK(round == 0 ? ended(child, errc::canceled) : ended(child, error(7)));
            if (round == 0) own->end();
            auto [late, c2] = with_timeout(c, 1h);
            CHECK(ended(late, error(7)));
            CHECK_EQ(more_than(before), 0);
        }
        CHECK_EQ(children(outer), 0);
        CHECK(is_open(outer));
    });
}

TEST(cx36_no_goroutine_where_nothing_can_happen) {
    run(1, [] {
        const int before = gort::num_goroutine();
        auto [a, c1] = with_cancel(make_context<wrapper>(background()));
        auto [b, c2] = with_cancel(make_context<wrapper>(context()));
        auto [c, own] = make<own_done>();
        own->end();
        auto [d, c3] = with_cancel(c);
        auto [e, c4] = with_cancel(make_context<wrapper>(without_cancel(c)));
        CHECK_EQ(more_than(before), 0);
        CHECK(ended(d, error(7)));
        CHECK(is_open(a) && is_open(b) && is_open(e));
    });
}

TEST_P(cx37_after_func_of_an_own_kind_is_used, 1, 2) {
    run(procs, [] {
        const int before = gort::num_goroutine();
        auto [c, own] = make<calls_back>();
        auto [child, cancel] = with_cancel(c);
        auto [other, cancel_other] = with_timeout(with_value(c, kNumber, 1), 1h);
        CHECK_EQ(more_than(before), 0);
        CHECK_EQ(own->registered, 2);
        cancel();
        CHECK_EQ(own->stopped, 1);
        CHECK(ended(child, errc::canceled));
        own->end_and_call();
        other.done().recv();
        CHECK(ended(other, error(7)));
        EVENTUALLY(more_than(before) == 0);
        CHECK_EQ(own->stopped, 1);
        own->waiting.clear();
        CHECK_EQ(live_timers(), 0);
    });
}

// CX-39: the cause of a context inside reaches those below, whether or not the wrapper has a done channel of its own.
TEST_P(cx39_a_cause_passes_a_wrapper, 1, 2) {
    run(procs, [] {
        for (bool with_own : {false, true}) {
            auto [inner, cancel] = with_cancel_cause(background());
            own_done* own = nullptr;
            context c;
            if (with_own) std::tie(c, own) = make<own_done>(inner);
            else c = make_context<wrapper>(inner);
            auto [child, c2] = with_cancel(c);
            cancel(error(11));
            if (own) own->end();
            child.done().recv();
            CHECK(ended(child, with_own ? error(7) : std::error_code(errc::canceled), error(11)));
            CHECK(cause(c) == error(11));
        }
        // CX-40
        auto [c, own] = make<own_done>();
        CHECK(!cause(c));
        auto [child, cancel] = with_cancel_cause(c);
        cancel(error(12));
        CHECK(ended(child, errc::canceled, error(12)));
        own->end();
        CHECK(cause(c) == error(7));
        CHECK(cause(child) == error(12));
    });
}

// ---- causes ----

TEST(cx41_cancel_with_a_cause) {
    run(1, [] {
        auto [c, cancel] = with_cancel_cause(background());
        CHECK(!cause(c));
        cancel(error(1));
        cancel(error(2));
        CHECK(ended(c, errc::canceled, error(1)));
        auto [d, cancel_d] = with_cancel_cause(background());
        cancel_d();
        CHECK(ended(d, errc::canceled));
        auto [e, cancel_e] = with_cancel_cause(background());
        cancel_e(std::errc::io_error);
        CHECK(cause(e) == std::errc::io_error);
        CHECK(e.err() == errc::canceled);
        cancel_cause_func none;
        none(error(1));
        // CX-42
        CHECK(!cause(background()));
        CHECK(!cause(todo()));
        auto [f, cancel_f] = with_cancel(with_value(background(), kNumber, 1));
        CHECK(!cause(f));
        cancel_f();
        CHECK(cause(f) == errc::canceled);
    });
}

// CX-43: all orders of two cancellations, with and without causes.
TEST(cx43_the_first_cancellation_decides) {
    run(1, [] {
        for (int mask = 0; mask < 8; ++mask) {
            const bool parent_first = mask & 1;
            const std::error_code canceled = errc::canceled;
            const std::error_code of_parent = mask & 2 ? error(21) : canceled,
                                  of_child = mask & 4 ? error(22) : canceled;
            auto [parent, cancel_parent] = with_cancel_cause(background());
            auto [child, cancel_child] = with_cancel_cause(with_value(parent, kNumber, 1));
            const auto say = [](const std::error_code& why) {
                return why == errc::canceled ? std::error_code() : why;
            };
            if (parent_first) cancel_parent(say(of_parent));
            cancel_child(say(of_child));
            CHECK(ended(child, canceled, parent_first ? of_parent : of_child));
            CHECK(parent_first || is_open(parent));
            cancel_parent(say(of_parent));
            CHECK(ended(parent, canceled, of_parent));
            CHECK(ended(child, canceled, parent_first ? of_parent : of_child));
        }
    });
}

TEST_P(cx44_causes_of_deadlines, 1, 2) {
    run(procs, [] {
        auto [c, cancel] = with_timeout_cause(background(), 1ms, error(31));
        c.done().recv();
        CHECK(ended(c, errc::deadline_exceeded, error(31)));
        auto [d, cancel_d] = with_timeout_cause(background(), 1h, error(31));
        cancel_d();
        CHECK(ended(d, errc::canceled));
        const auto soon = std::chrono::steady_clock::now() + 2ms;
        auto [e, cancel_e] = with_deadline_cause(background(), soon, error(32));
        auto [below, c2] = with_cancel_cause(e);
        below.done().recv();
        CHECK(ended(e, errc::deadline_exceeded, error(32)));
        CHECK(ended(below, errc::deadline_exceeded, error(32)));
        // CX-45: one above the other, whichever comes first
        auto [outer, cancel_outer] = with_cancel_cause(background());
        auto [inner, c3] = with_timeout_cause(outer, 1ms, error(33));
        inner.done().recv();
        cancel_outer(error(34));
        CHECK(ended(inner, errc::deadline_exceeded, error(33)));
        auto [outer2, cancel_outer2] = with_cancel_cause(background());
        auto [inner2, c4] = with_timeout_cause(outer2, 1h, error(33));
        cancel_outer2(error(34));
        CHECK(ended(inner2, errc::canceled, error(34)));
        auto [long_one, c5] = with_timeout_cause(background(), 1h, error(35));
        auto [short_one, c6] = with_timeout_cause(long_one, 1ms, error(36));
        short_one.done().recv();
        CHECK(ended(short_one, errc::deadline_exceeded, error(36)));
        CHECK(is_open(long_one));
        c5();
        CHECK_EQ(live_timers(), 0);
    });
}

TEST_P(cx46_no_half_states, 2, 8) {
    run(procs, [] {
        for (int i = 0; i < 200; ++i) {
            auto [c, cancel] = with_cancel_cause(background());
            Join join;
            for (int k = 0; k < 2; ++k)
                go_join(join, [c = c] {
                    for (;;) {
                        const std::error_code why = cause(c), err = c.err();
                        CHECK(!why || why == error(41));
                        CHECK(!err || err == errc::canceled);
                        CHECK(!why || err);  // err was asked later
                        if (why) break;
                        gort::yield();
                    }
                });
            go_join(join, [cancel = cancel] { cancel(error(41)); });
            join.wait(3);
        }
    });
}

TEST_P(after_func_of_an_own_kind, 1, 2) {
    run(procs, [] {
        const int before = gort::num_goroutine();
        auto ran = gort::make_chan<int>(2);
        auto [c, own] = make<own_done>();
        auto stop = after_func(c, [ran] { ran << 1; });
        auto other = after_func(c, [ran] { ran << 2; });
        CHECK_EQ(more_than(before), 2);
        CHECK(stop());
        EVENTUALLY(more_than(before) == 1);
        own->end();
        CHECK_EQ(ran.recv(), 2);
        CHECK(!other());
        EVENTUALLY(more_than(before) == 0);
    });
}

// Many threads of control in one tree: derive, cancel, ask, drop, wait, at random.
TEST_P(cx_hammer, 2, 8) {
    TEST_TIMEOUT(60);
    run(procs, [] {
        const int rounds = gort::test::slow() > 1 ? 300 : 3000;
        auto [root, cancel_root] = with_cancel(background());
        Join join;
        std::atomic<int> functions{0}, stopped{0};
        auto ran = std::make_shared<std::atomic<int>>(0);
        for (int g = 0; g < 8; ++g)
            go_join(join, [&, root = root] {
                std::vector<context> mine{root};
                std::vector<cancel_func> cancels;
                std::vector<stop_func> stops;
                for (int i = 0; i < rounds; ++i) {
                    const context& from = mine[gort::test::rnd() % mine.size()];
                    const uint64_t what = gort::test::rnd() % 10;
                    if (what < 3) {
                        auto [c, cancel] = with_cancel(from);
                        mine.push_back(std::move(c));
                        cancels.push_back(std::move(cancel));
                    } else if (what < 5) {
                        auto [c, cancel] = with_timeout(from, gort::duration(gort::test::rnd() % 200'000));
                        mine.push_back(std::move(c));
                        if (what == 3) cancels.push_back(std::move(cancel));
                    } else if (what == 5) {
                        ++functions;
                        stops.push_back(after_func(from, [ran] { ++*ran; }));
                    } else if (what == 6 && !cancels.empty()) {
                        cancels[gort::test::rnd() % cancels.size()]();
                    } else if (what == 7 && !stops.empty()) {
                        stopped += stops.back()() ? 1 : 0;
                        stops.pop_back();
                    } else if (what == 8) {
                        if (from.err()) CHECK(is_done(from));
                    } else if (mine.size() > 20) {
                        mine.resize(1);
                        mine[0] = root;
                        cancels.clear();
                    }
                }
                stops.clear();
            });
        join.wait(8);
        cancel_root();
        // Those whose context went unseen and could not end any more are gone; all others have run.
        EVENTUALLY(live_timers() == 0 && ran.use_count() == 1);
        CHECK_LE(*ran + stopped, functions);
        CHECK_EQ(children(root), 0);
    });
}
