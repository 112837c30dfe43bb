// tests/select_cases_test.cc - select: kinds of cases, elements and handlers; cases made at run time.
// SPDX-License-Identifier: BSD-2-Clause
#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "chan/select.h"
#include "tests/chan_tools.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // of an empty std::optional's inside, with sanitizers
#endif

using namespace chan_tools;

namespace {

template <class C>
concept CanRecv = requires(C c) {
    on_recv(c);
};
template <class C, class V = int>
concept CanSend = requires(C c, V v) {
    on_send(c, std::move(v));
};
template <class C, class Out>
concept CanRecvInto = requires(C c, Out& out) {
    on_recv(c, out);
};

struct Fixed {  // no default constructor
    explicit Fixed(int n) : v(n) {}
    int v;
    std::string s = "fixed";
};
struct alignas(128) Wide {
    int v = 0;
};
struct Big {
    std::array<int, 6000> data{};
};
struct Constant {
    const int v;
    std::unique_ptr<int> p;
};

}  // namespace

// CC-40, CH-11
static_assert(CanRecv<chan<int>> && CanRecv<recv_chan<int>> && !CanRecv<send_chan<int>> && !CanRecv<int>);
static_assert(CanSend<chan<int>> && CanSend<send_chan<int>> && !CanSend<recv_chan<int>>);
static_assert(!CanSend<chan<std::string>, int*> && CanSend<chan<std::string>, const char*> &&
              !CanSend<chan<int>, std::string>);
static_assert(CanRecvInto<chan<int>, int> && CanRecvInto<chan<int>, std::optional<int>> &&
              !CanRecvInto<chan<int>, std::unique_ptr<int>>);

TEST_P(cc01_kinds_of_elements, 1, 2) {
    run(procs, [] {
        auto check = [](auto make, auto same) {
            using T = decltype(make());
            chan<int> never = make_chan<int>();
            for (int cap : {0, 1}) {
                auto c = make_chan<T>(cap);
                Join join;
                for (int form = 0; form < 3; ++form) {
                    go_join(join, [&, form] {
                        if (form == 0) select(on_send(c, make()));
                        else if (form == 1) CHECK_EQ(select(on_recv(never), on_send(c, make())), 1);
                        else select_any({on_recv(never), on_send(c, make())});
                    });
                    int got = 0;
                    auto take = [&](std::optional<T> v) { got += v && same(*v); };
                    if (form == 0) select(on_recv(c, take));
                    else if (form == 1) CHECK_EQ(select(on_recv(c, take), on_recv(never)), 0);
                    else CHECK_EQ(select_any({on_recv(c, take), on_recv(never)}), 0);
                    CHECK_EQ(got, 1);
                    join.wait(1);
                }
            }
        };
        check([] { return 5; }, [](int v) { return v == 5; });
        check([] { return true; }, [](bool v) { return v; });
        check([] { return unit{}; }, [](unit) { return true; });
        check([] { return std::string(100, 'x'); },
              [](const std::string& s) { return s == std::string(100, 'x'); });
        check([] { return std::make_unique<int>(3); }, [](const std::unique_ptr<int>& p) { return *p == 3; });
        check([] { return std::make_shared<int>(3); },
              [](const std::shared_ptr<int>& p) { return p.use_count() == 1; });
        check([] { return Fixed(4); }, [](const Fixed& f) { return f.v == 4 && f.s == "fixed"; });
        check([] { return Wide{6}; },
              [](const Wide& w) { return w.v == 6 && reinterpret_cast<uintptr_t>(&w) % 128 == 0; });
        check(
            [] {
                Big b;
                b.data[5999] = 7;
                return b;
            },
            [](const Big& b) { return b.data[5999] == 7; });
        check(
            [] {
                return Constant{8, std::make_unique<int>(9)};
            },
            [](const Constant& c) { return c.v == 8 && *c.p == 9; });
        static int x = 1;
        check([] { return std::ref(x); }, [](std::reference_wrapper<int> r) { return &r.get() == &x; });
    });
}

TEST(on_recv_handlers) {
    run(1, [] {
        auto c = make_chan<int>(10), nothing = make_chan<int>();
        for (int i = 1; i <= 9; ++i) c << i;
        std::string log;
        auto note = [&](int v) { log += std::to_string(v); };
        select(on_recv(c, note), on_recv(nothing));
        select(on_recv(c, [&](int v, bool ok) { log += std::to_string(v) + (ok ? "+" : "-"); }));
        select(on_recv(c, [&] { log += "!"; }), otherwise());
        const auto constant = [&](auto v) { log += std::to_string(v); };
        select(on_recv(c, constant), on_recv(nothing, constant));
        std::function<void(int)> f = note;
        select(on_recv(c, f), on_recv(nothing, f));
        struct Counter {
            int n = 0;
            void operator()(int) { ++n; }
        } counter;  // an lvalue is called, not a copy of it
        select(on_recv(c, counter), on_recv(nothing));
        select(on_recv(c, counter));
        CHECK_EQ(counter.n, 2);
        c.close();
        CHECK_EQ(log, "12+!45");
        while (select(on_recv(c, note), on_recv(nothing)) == 0 && c.len()) {
        }
        log.clear();
        select(on_recv(c, [&](int v, bool ok) { log += std::to_string(v) + (ok ? "+" : "-"); }),
               on_recv(nothing));
        select(on_recv(c, note), on_recv(nothing));
        CHECK_EQ(log, "0-0");
        // A channel of callables: a variable is a target, a lambda a handler.
        auto tasks = make_chan<std::function<int()>>(2);
        tasks << [] { return 1; };
        tasks << [] { return 2; };
        std::function<int()> task;
        select(on_recv(tasks, task), on_recv(nothing));
        CHECK_EQ(task(), 1);
        int got = 0;
        select(on_recv(tasks, [&](std::function<int()> t) { got = t(); }), on_recv(nothing));
        CHECK_EQ(got, 2);
        // Other kinds of targets that a T can be assigned to.
        auto more = make_chan<int>(3);
        more << 1 << 2 << 3;
        long wide = 0;
        std::optional<int> maybe;
        select(on_recv(more, wide), on_recv(nothing));
        select(on_recv(more, maybe), on_recv(nothing));
        select(on_recv(more, std::ignore), on_recv(nothing));
        CHECK_EQ(wide, 1);
        CHECK_EQ(*maybe, 2);
        CHECK_EQ(more.len(), 0);
    });
}

TEST(on_send_handlers_and_conversions) {
    run(1, [] {
        auto c = make_chan<std::string>(10), full = make_chan<std::string>();
        int sent = 0;
        auto count = [&] { ++sent; };
        select(on_send(c, "literal", count), on_recv(full));
        select(on_send(full, "no", count), on_send(c, std::string("rvalue"), count), otherwise());
        select(on_send(c, {}, count));
        std::string s = "lvalue";
        select(on_send(c, s, count), otherwise(count));
        CHECK_EQ(s, "lvalue");
        CHECK_EQ(sent, 4);
        select(on_send(full, s, count), otherwise([&] { sent = 100; }));
        CHECK_EQ(sent, 100);
        for (const char* want : {"literal", "rvalue", "", "lvalue"}) CHECK_EQ(c.recv(), want);
        struct Base {
            virtual ~Base() = default;
        };
        struct Derived : Base {};
        auto p = make_chan<std::unique_ptr<Base>>(1);  // CH-27
        CHECK_EQ(select(on_send(p, std::make_unique<Derived>()), on_recv(full)), 0);
        CHECK(dynamic_cast<Derived*>(p.recv().get()) != nullptr);
        auto small = make_chan<char>(1);
        const int code = 65;
        select(on_send(small, code), otherwise());
        CHECK_EQ(small.recv(), 'A');
    });
}

// CC-34: handlers run after all locks are dropped, so they may use the same channels.
TEST_P(cc34_handlers_may_use_the_channels, 1, 2) {
    run(procs, [] {
        auto a = make_chan<int>(2), b = make_chan<int>(2);
        a << 1;
        std::string log;
        select(on_recv(a,
                       [&](int v) {
                           a << v + 1;
                           select(on_recv(a, [&](int w) { log += std::to_string(w); }), on_recv(b));
                           b.close();
                       }),
               on_recv(b));
        CHECK_EQ(log, "2");
        CHECK_EQ(select(on_recv(a), on_recv(b)), 1);
        bool ended = false;
        try {
            a << 1;
            select(on_recv(a, [](int) { throw std::string("mine"); }), on_send(a, 2),
                   on_recv(a, [](int) { throw std::string("mine"); }));
            select(on_recv(a, [](int) { throw std::string("mine"); }), otherwise());
        } catch (const std::string&) {
            ended = true;
        }
        CHECK(ended);
        a << 3;  // still usable
    });
}

TEST_P(se36_a_value_is_moved_only_if_it_is_sent, 1, 2) {
    run(procs, [] {
        using Ptr = std::unique_ptr<int>;
        auto a = make_chan<Ptr>(), b = make_chan<Ptr>(1);
        auto p = std::make_unique<int>(1), q = std::make_unique<int>(2);
        CHECK_EQ(select(on_send(a, std::move(p)), on_send(b, std::move(q))), 1);
        CHECK(p && !q);
        CHECK_EQ(select(on_send(a, std::move(p)), otherwise()), 1);
        CHECK(p != nullptr);
        CHECK_EQ(select(on_send(a, std::move(p)), on_send(b, std::move(p)), otherwise()), 2);
        CHECK_EQ(*p, 1);
        // A waiting one.
        auto c = make_chan<Ptr>(), d = make_chan<Ptr>();
        q = std::make_unique<int>(2);
        Join join;
        go_join(join, [&] {
            wait_for(c, Side::kSenders, 1);
            Ptr got = d.recv();
            CHECK_EQ(*got, 2);
        });
        CHECK_EQ(select(on_send(c, std::move(p)), on_send(d, std::move(q))), 1);
        CHECK(p && !q);
        join.wait(1);
        // One that panics keeps it.
        b.recv();
        c.close();
        CHECK_EQ(panic_of([&] { select(on_send(c, std::move(p)), on_recv(a)); }), "send on closed channel");
        CHECK(p != nullptr);
    });
}

namespace {

struct Counted {
    static inline int alive = 0, moves = 0, copies = 0;
    int v;
    explicit Counted(int n = 0) : v(n) { ++alive; }
    Counted(const Counted& o) : v(o.v) { ++alive, ++copies; }
    Counted(Counted&& o) noexcept : v(o.v) { ++alive, ++moves; }
    ~Counted() { --alive; }
};

}  // namespace

// CC-02: each is constructed and destroyed once, moved once across and twice through a buffer.
TEST(cc02_counts_of_elements) {
    run(1, [] {
        chan<Counted> never = make_chan<Counted>();
        for (int cap : {0, 1}) {
            auto c = make_chan<Counted>(cap);
            Join join;
            Counted::moves = Counted::copies = 0;
            {
                Counted value(3);
                go_join(join, [&] { CHECK_EQ(select(on_send(c, std::move(value)), on_recv(never)), 0); });
                int got = 0;
                CHECK_EQ(select(on_recv(never), on_recv(c, [&](Counted&& v) { got = v.v; })), 1);
                CHECK_EQ(got, 3);
                join.wait(1);
            }
            CHECK_EQ(Counted::moves, 1);
            CHECK_EQ(Counted::copies, 0);
            CHECK_EQ(Counted::alive, 0);
        }
        auto c = make_chan<Counted>(1);
        {
            Counted value(4);
            Counted::moves = Counted::copies = 0;
            select(on_send(c, value), on_recv(never));
            CHECK_EQ(Counted::copies, 1);
            CHECK_EQ(Counted::moves, 1);  // into the buffer
            select(on_recv(c), on_recv(never));
            CHECK_EQ(Counted::moves, 2);
        }
        CHECK_EQ(Counted::alive, 0);
        {
            std::vector<select_case> cases;
            cases.push_back(on_send(c, Counted(5)));
            cases.push_back(on_recv(never));
            CHECK_EQ(select_any(cases), 0);
        }
        CHECK_EQ(Counted::alive, 1);
        select(on_recv(c));
        CHECK_EQ(Counted::alive, 0);
    });
}

// ---- made at run time ----

TEST_P(se30_a_thousand_cases, 1, 2) {
    run(procs, [] {
        constexpr size_t kCases = 1000;
        std::vector<chan<int>> chans;
        std::vector<select_case> cases;
        int value = 0;
        for (size_t i = 0; i < kCases; ++i) chans.push_back(make_chan<int>());
        for (size_t i = 0; i < kCases; ++i) cases.push_back(on_recv(chans[i * 7 % kCases], value));
        for (size_t i = 0; i < 200; ++i) {
            const size_t at = gort::test::rnd() % kCases;
            go([c = chans[at * 7 % kCases], i] { c << int(i); });
            CHECK_EQ(select_any(cases), at);
            CHECK_EQ(value, i);
        }
        for (auto& c : chans) CHECK_EQ(waiting(c, Side::kReceivers), 0);
    });
}

TEST(se30_the_most_that_go_allows) {
    run(1, [] {
        constexpr size_t kCases = 65536;
        auto quiet = make_chan<int>(), last = make_chan<int>();
        std::vector<select_case> cases;
        cases.reserve(kCases);
        for (size_t i = 1; i < kCases; ++i) cases.push_back(on_recv(quiet));
        cases.push_back(on_send(last, 3));
        go([=] { CHECK_EQ(last.recv(), 3); });
        CHECK_EQ(select_any(cases), kCases - 1);
    });
}

TEST(se31_dynamic) {
    run(1, [] {
        auto c = make_chan<int>(1);
        bool ran = false;
        CHECK_EQ(select_any({otherwise([&] { ran = true; })}), 0);
        CHECK(ran);
        CHECK_EQ(select_any({on_recv(c), otherwise()}), 1);
        CHECK_EQ(select_any({otherwise(), on_send(c, 1)}), 1);
        CHECK_EQ(panic_of([&] {
                     select_any({otherwise(), on_recv(c), otherwise()});
                 }),
                 "select: more than one otherwise");
        CHECK_EQ(c.len(), 1);
        std::vector<select_case> cases = {on_recv(chan<int>()), on_recv(c)};
        CHECK_EQ(select_any(cases), 1);
        std::array<select_case, 2> two{on_send(c, 4), on_recv(make_chan<int>())};
        CHECK_EQ(select_any(std::span<select_case>(two)), 0);
        // Again and again; an rvalue that was not sent is still there the next time.
        auto words = make_chan<std::string>(1), blocked = make_chan<std::string>();
        std::string text = "moved in";
        std::vector<select_case> again;
        again.push_back(on_send(blocked, std::move(text)));
        again.push_back(on_send(words, "x"));
        CHECK_EQ(select_any(again), 1);
        std::string got;
        go([&] { got = blocked.recv(); });
        CHECK_EQ(select_any(again), 0);
        EVENTUALLY(got == "moved in");
        // It keeps its channel.
        again.clear();
        again.push_back(on_recv(make_chan<int>()));
        again.push_back(on_recv(
            [] {
                auto d = make_chan<int>(1);
                d << 6;
                return recv_chan<int>(d);
            }(),
            [&](int v) { got = std::to_string(v); }));
        CHECK_EQ(select_any(again), 1);
        CHECK_EQ(got, "6");
    });
}

// A temporary channel lives as long as its case.
TEST_P(rvalue_channels_are_kept, 1, 2) {
    run(procs, [] {
        auto signal = [](bool closed) {
            auto c = make_chan<unit>();
            if (closed) c.close();
            return recv_chan<unit>(c);
        };
        auto sends_later = [] {
            auto c = make_chan<int>();
            go([=] { c << 4; });
            return recv_chan<int>(c);
        };
        int v = 0;
        for (int i = 0; i < 100; ++i) {
            CHECK_EQ(select(on_recv(signal(false)), on_recv(sends_later(), v)), 1);
            CHECK_EQ(v, 4);
            CHECK_EQ(select(on_recv(signal(false)), on_recv(signal(true)), otherwise()), 1);
            CHECK_EQ(select(on_recv(signal(false)), otherwise()), 1);
        }
    });
}
