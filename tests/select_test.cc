// tests/select_test.cc - select: what it evaluates, what blocks, nil and closed channels, single cases.
// SPDX-License-Identifier: BSD-2-Clause
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "chan/select.h"
#include "tests/chan_tools.h"

using namespace chan_tools;

namespace {

constexpr const char* kClosed = "send on closed channel";

}  // namespace

TEST_P(se05_default_or_wait, 1, 2) {
    run(procs, [] {
        auto a = make_chan<int>(), b = make_chan<int>(1);
        int v = 7;
        CHECK_EQ(select(on_recv(a, v), otherwise()), 1);
        CHECK_EQ(select(otherwise(), on_recv(a, v)), 0);
        CHECK_EQ(select(on_recv(a, v), otherwise(), on_recv(b, v)), 1);
        CHECK_EQ(v, 7);
        bool ran = false;
        CHECK_EQ(select(on_recv(a), on_recv(b), on_send(a, 1), otherwise([&] { ran = true; })), 3);
        CHECK(ran);
        b << 5;
        CHECK_EQ(select(on_recv(a, v), otherwise(), on_recv(b, v)), 2);
        CHECK_EQ(v, 5);
        go([=] { a << 9; });
        CHECK_EQ(select(on_recv(b, v), on_recv(a, v)), 1);
        CHECK_EQ(v, 9);
        go([=] {
            CHECK_EQ(a.recv(), 3);
            b << 4;
        });
        CHECK_EQ(select(on_recv(b, v), on_send(a, 3)), 1);
        CHECK_EQ(select(on_recv(b, v), on_send(nullptr == a ? a : chan<int>(), 3)), 0);
        CHECK_EQ(v, 4);
    });
}

TEST_DIES(se06_select_without_cases, "[select (no cases)]") {
    run(1, [] { select(); });
}
TEST_DIES(se31_empty_list, "[select (no cases)]") {
    run(1, [] { select_any({}); });
}
TEST_DIES(se20_only_nil_blocks_for_ever, "[select]") {
    run(1, [] { select(on_recv(chan<int>()), on_send(chan<int>(), 1)); });
}

// ---- evaluation ----

namespace {

struct Log {
    std::string text;
    template <class T>
    T& operator()(char what, T& value) {
        text += what;
        return value;
    }
};

}  // namespace

TEST(se09_each_argument_once_and_in_order_between_braces) {
    run(1, [] {
        Log log;
        auto a = make_chan<int>(1), b = make_chan<int>(1);
        chan<int> nil;
        int v = 1;
        // A call's arguments: once each, whatever is chosen.
        select(on_recv(log('a', a)), on_send(log('n', nil), log('v', v)), otherwise());
        CHECK_EQ(log.text.size(), 3);
        log.text.clear();
        select_any({on_recv(log('a', a)), on_send(log('n', nil), 1), on_send(log('b', b), 2),
                    on_recv(log('n', nil))});
        CHECK_EQ(log.text, "anbn");
        log.text.clear();
        select_any({on_recv(log('a', a)), otherwise(), on_recv(log('n', nil))});
        CHECK_EQ(log.text, "an");
    });
}

TEST_P(se10_an_exception_while_cases_are_made_leaves_nothing, 1, 2) {
    run(procs, [] {
        auto a = make_chan<int>();
        bool second = false;
        auto bad = []() -> chan<int> { throw std::string("bad"); };
        auto late = [&] { return second = true, make_chan<int>(); };
        try {
            select_any({on_recv(a), on_recv(bad()), on_recv(late())});
            CHECK(false);
        } catch (const std::string& s) {
            CHECK_EQ(s, "bad");
        }
        CHECK(!second);
        CHECK_EQ(waiting(a, Side::kReceivers), 0);
    });
}

TEST(se11_what_is_sent_is_captured) {
    run(1, [] {
        auto c = make_chan<int>(1);
        auto words = make_chan<std::string>(1);
        int x = 1;
        std::string s = "one";
        auto send = on_send(c, x);
        auto say = on_send(words, s);
        x = 2;
        s = "two";
        CHECK_EQ(select(std::move(send), otherwise()), 0);
        CHECK_EQ(select(std::move(say), on_recv(chan<int>())), 0);
        CHECK_EQ(c.recv(), 1);
        CHECK_EQ(words.recv(), "one");
        // Later arguments may drop the channel that an earlier one moved in.
        chan<int> dropped = make_chan<int>(1), kept = dropped;
        std::vector<select_case> cases;
        cases.push_back(on_send(dropped, 5));
        dropped = nullptr;
        CHECK_EQ(select_any(cases), 0);
        CHECK_EQ(kept.recv(), 5);
    });
}

TEST(se12_targets_of_other_cases_are_untouched) {
    run(1, [] {
        auto a = make_chan<int>(1);
        auto b = make_chan<std::string>(1);
        int x = 1;
        bool ok = false;
        std::string s = "as it was";
        a << 5;
        int calls = 0;
        CHECK_EQ(select(on_recv(b, s, ok), on_recv(a, [&](int v) { x = v, ++calls; }),
                        on_recv(b, [&](std::string) { ++calls; })),
                 1);
        CHECK_EQ(x, 5);
        CHECK_EQ(calls, 1);
        CHECK_EQ(s, "as it was");
        CHECK(!ok);
    });
}

TEST(se13_a_fresh_variable_each_time) {
    run(1, [] {
        auto c = make_chan<std::string>(3);
        for (const char* s : {"a", "b", "c"}) c << s;
        std::vector<std::function<std::string()>> kept;
        for (int i = 0; i < 3; ++i)
            select(on_recv(c, [&](std::string s) { kept.push_back([s = std::move(s)] { return s; }); }),
                   on_recv(chan<int>()));
        CHECK_EQ(kept[0]() + kept[1]() + kept[2](), "abc");
    });
}

// ---- nil, closed, single ----

// CH-08
TEST(se20_nil_cases) {
    run(1, [] {
        chan<int> nil;
        auto c = make_chan<int>(1);
        CHECK_EQ(select(on_recv(nil), otherwise()), 1);
        CHECK_EQ(select(on_send(nil, 1), otherwise()), 1);
        CHECK_EQ(select(on_recv(nil), on_send(nil, 1), otherwise()), 2);
        CHECK_EQ(select(on_recv(nil), on_send(c, 1), on_recv(nil)), 1);
        CHECK_EQ(select(on_recv(nil), on_recv(c)), 1);
        CHECK_EQ(select(on_send(c, 1), on_recv(nil)), 0);
        CHECK_EQ(select(on_recv(nil), on_send(nil, 3), on_recv(nil), otherwise()), 3);
    });
}

TEST_P(se21_a_case_is_switched_off_by_nil, 1, 2) {
    run(procs, [] {
        auto a = make_chan<int>(1), b = make_chan<int>(1);
        chan<int> ca = a, cb = b;
        int evaluated = 0, sent = 0, others = 0;
        auto value = [&] { return ++evaluated; };
        for (int i = 0; i < 5; ++i) switch (select(on_send(ca, value()), on_send(cb, value()), otherwise())) {
            case 0: ca = nullptr, ++sent; break;
            case 1: cb = nullptr, ++sent; break;
            default: ++others;
            }
        CHECK_EQ(evaluated, 10);
        CHECK_EQ(sent, 2);
        CHECK_EQ(others, 3);
    });
}

TEST_P(se22_closed_is_ready, 1, 2) {
    run(procs, [] {
        auto c = make_chan<int>(1), never = make_chan<int>();
        c << 3;
        c.close();
        int v = 0;
        bool ok = false;
        CHECK_EQ(select(on_recv(never), on_recv(c, v, ok)), 1);
        CHECK(ok && v == 3);
        for (int i = 0; i < 100; ++i) {
            v = 9;
            ok = true;
            CHECK_EQ(select(on_recv(never), on_recv(c, v, ok)), 1);
            CHECK(!ok && v == 0);
            CHECK_EQ(select(on_recv(c, v), otherwise()), 0);
        }
        std::string s = "x";
        auto strings = make_chan<std::string>();
        strings.close();
        CHECK_EQ(select(on_recv(strings, s, ok), on_recv(never), otherwise()), 0);
        CHECK(s.empty() && !ok);
    });
}

TEST_P(se23_send_on_closed_panics, 1, 2) {
    run(procs, [] {
        auto c = make_chan<int>(), never = make_chan<int>();
        auto s = make_chan<std::string>(1);
        c.close();
        s.close();
        CHECK_EQ(panic_of([&] { select(on_send(c, 1)); }), kClosed);
        CHECK_EQ(panic_of([&] { select(on_send(c, 1), otherwise()); }), kClosed);
        CHECK_EQ(panic_of([&] { select(on_send(c, 1), on_recv(never)); }), kClosed);
        CHECK_EQ(panic_of([&] { select(on_recv(never), on_send(s, "x"), otherwise()); }), kClosed);
        CHECK_EQ(panic_of([&] { select(on_recv(never), on_send(s, "x"), on_recv(never)); }), kClosed);
        // Closed while it waits; what the panicking select waited for besides is withdrawn.
        auto late = make_chan<std::string>();
        Join join;
        go_join(join,
                [&] { CHECK_EQ(panic_of([&] { select(on_recv(never), on_send(late, "y")); }), kClosed); });
        wait_for(late, Side::kSenders, 1);
        late.close();
        join.wait(1);
        CHECK_EQ(waiting(never, Side::kReceivers), 0);
    });
}

// Senders and receivers of all forms meet each other, whoever comes first.
TEST_P(se25_single_cases_are_the_plain_operations, 1, 2) {
    run(procs, [] {
        auto never = make_chan<int>();
        using Send = std::function<void(const chan<int>&, int)>;
        using Recv = std::function<int(const chan<int>&)>;
        const Send sends[] = {
            [](const chan<int>& c, int v) { c << v; },
            [](const chan<int>& c, int v) { CHECK_EQ(select(on_send(c, v)), 0); },
            [=](const chan<int>& c, int v) { CHECK_EQ(select(on_recv(never), on_send(c, v)), 1); },
            [=](const chan<int>& c, int v) {
                CHECK_EQ(select(on_send(c, v), on_recv(never), on_recv(never)), 0);
            },
        };
        const Recv recvs[] = {
            [](const chan<int>& c) { return c.recv(); },
            [](const chan<int>& c) {
                int v = 0;
                CHECK_EQ(select(on_recv(c, v)), 0);
                return v;
            },
            [=](const chan<int>& c) {
                int v = 0;
                CHECK_EQ(select(on_recv(c, v), on_recv(never)), 0);
                return v;
            },
            [=](const chan<int>& c) {
                int v = 0;
                CHECK_EQ(select(on_recv(never), on_recv(never), on_recv(c, v)), 2);
                return v;
            },
        };
        int value = 0;
        for (const Send& send : sends)
            for (const Recv& recv : recvs)
                for (int first = 0; first < 2; ++first) {
                    auto c = make_chan<int>();
                    Join join;
                    const int v = ++value;
                    if (first == 0) {
                        go_join(join, [&, v] { send(c, v); });
                        wait_for(c, Side::kSenders, 1);
                        CHECK_EQ(recv(c), v);
                    } else {
                        go_join(join, [&, v] { CHECK_EQ(recv(c), v); });
                        wait_for(c, Side::kReceivers, 1);
                        send(c, v);
                    }
                    join.wait(1);
                }
        CHECK_EQ(waiting(never, Side::kReceivers), 0);
    });
}

TEST_DIES(se25_wait_reason_of_a_single_receive, "[chan receive]") {
    run(1, [] { select(on_recv(make_chan<int>())); });
}
TEST_DIES(se25_wait_reason_of_a_single_nil, "[chan send (nil chan)]") {
    run(1, [] { select(on_send(chan<int>(), 1)); });
}
TEST_DIES(se05_wait_reason, "[select]") {
    run(1, [] { select(on_recv(make_chan<int>()), on_send(make_chan<int>(), 1)); });
}

// SE-26: what `break` is in Go is the end of a case here, or a return from the handler.
TEST(se26_break_leaves_the_select_only) {
    run(1, [] {
        auto c = make_chan<int>(1);
        int rounds = 0, after = 0;
        for (; rounds < 3; ++rounds) {
            c << rounds;
            switch (select(on_recv(c), on_recv(chan<int>()))) {
            case 0:
                if (rounds >= 0) break;
                ++after;
            }
            c << rounds;
            select(on_recv(c,
                           [&](int v) {
                               if (v == rounds) return;
                               ++after;
                           }),
                   otherwise([&] { ++after; }));
        }
        CHECK_EQ(after, 0);
    });
}

TEST_P(se27_comma_ok, 1, 2) {
    run(procs, [] {
        auto c = make_chan<std::string>(1), never = make_chan<std::string>();
        for (bool open : {true, false}) {
            if (!open) c.close();
            const std::string want = open ? "v" : "";
            auto check = [&](auto&& receive) {
                if (open) c << "v";
                std::string s = "before";
                bool ok = !open;
                receive(s, ok);
                CHECK_EQ(s, want);
                CHECK_EQ(ok, open);
            };
            check([&](std::string& s, bool& ok) { select(on_recv(c, s, ok)); });
            check([&](std::string& s, bool& ok) { CHECK_EQ(select(on_recv(c, s, ok), otherwise()), 0); });
            check([&](std::string& s, bool& ok) { select(on_recv(c, s, ok), on_recv(never)); });
            check([&](std::string& s, bool& ok) {
                select(on_recv(never, s, ok), on_recv(c, s, ok), otherwise());
            });
            check([&](std::string& s, bool& ok) {
                select(on_recv(c, [&](std::string v, bool was_open) { s = std::move(v), ok = was_open; }),
                       on_recv(never));
            });
            check([&](std::string& s, bool& ok) { select_any({on_recv(never), on_recv(c, s, ok)}); });
        }
        // What a waiting one sees of a close.
        auto late = make_chan<std::string>();
        go([=] {
            wait_for(late, Side::kReceivers, 1);
            late.close();
        });
        std::string s = "before";
        bool ok = true;
        CHECK_EQ(select(on_recv(never), on_recv(late, s, ok)), 1);
        CHECK(s.empty() && !ok);
        // Not chosen: untouched.
        ok = true;
        s = "kept";
        CHECK_EQ(select(on_recv(never, s, ok), otherwise()), 1);
        CHECK(ok && s == "kept");
    });
}

// CH-48
TEST(ch48_closed_in_select) {
    run(1, [] {
        auto c = make_chan<int>();
        c.close();
        CHECK_EQ(select(on_recv(c), on_recv(make_chan<int>())), 0);
        CHECK_EQ(panic_of([&] { select(on_send(c, 7), on_recv(chan<int>()), on_recv(make_chan<int>())); }),
                 kClosed);
    });
}
