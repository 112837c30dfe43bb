// tests/chan_elem_test.cc - element types: what can be sent, how often it is moved, and who destroys it.
// SPDX-License-Identifier: BSD-2-Clause
#include <any>
#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <variant>

#include "tests/chan_tools.h"

namespace {

using namespace chan_tools;

// ---- what compiles and what does not ----

template <class C, class V>
concept sends = requires(C c, V&& v) {
    c.send(std::forward<V>(v));
};
template <class C, class V>
concept streams = requires(C c, V&& v) {
    c << std::forward<V>(v);
};
template <class C>
concept receives = requires(C c) {
    c.recv();
};
template <class C, class V>
concept receives_into = requires(C c, V& v) {
    c.recv(v);
    c.try_recv(v);
};
template <class C>
concept closes = requires(C c) {
    c.close();
};
template <class C>
concept ranges_over = requires(C c) {
    c.begin();
};

using Unique = std::unique_ptr<int>;
struct NoDefault {
    explicit NoDefault(int n) : value(n) {}
    int value;
};
struct Const {
    const int a = 0;
    const std::shared_ptr<int> b;  // its move is a copy, and noexcept
};

// ch11, cc40: direction is a matter of type.
static_assert(std::is_convertible_v<chan<int>, send_chan<int>> &&
              std::is_convertible_v<chan<int>, recv_chan<int>>);
static_assert(!std::is_convertible_v<send_chan<int>, chan<int>> &&
              !std::is_convertible_v<recv_chan<int>, chan<int>>);
static_assert(!std::is_convertible_v<send_chan<int>, recv_chan<int>> &&
              !std::is_convertible_v<recv_chan<int>, send_chan<int>>);
static_assert(!std::is_convertible_v<chan<int>, send_chan<long>> &&
              !std::is_convertible_v<chan<int>, chan<long>>);
static_assert(!std::is_convertible_v<gort::detail::Hchan*, chan<int>>);
static_assert(sends<chan<int>, int> && sends<send_chan<int>, int> && !sends<recv_chan<int>, int>);
static_assert(streams<chan<int>, int> && streams<send_chan<int>, int> && !streams<recv_chan<int>, int>);
static_assert(receives<chan<int>> && receives<recv_chan<int>> && !receives<send_chan<int>>);
static_assert(receives_into<chan<int>, int> && receives_into<recv_chan<int>, int> &&
              !receives_into<send_chan<int>, int>);
static_assert(closes<chan<int>> && closes<send_chan<int>> && !closes<recv_chan<int>>);
static_assert(ranges_over<chan<int>> && ranges_over<recv_chan<int>> && !ranges_over<send_chan<int>>);
// cc40: wrong element types.
static_assert(!sends<chan<int>, std::string> && !sends<chan<std::string>, int*> &&
              !receives_into<chan<int>, long>);
static_assert(!sends<chan<Unique>, Unique&> && sends<chan<Unique>, Unique>);  // move-only: no copy
static_assert(!receives<chan<NoDefault>> && receives_into<chan<NoDefault>, NoDefault>);
static_assert(!receives_into<chan<Const>, Const> && receives<chan<Const>>);
// cc35
static_assert(std::ranges::input_range<chan<int>> && std::ranges::input_range<recv_chan<Unique>>);
static_assert(std::ranges::input_range<const chan<NoDefault>> && !std::ranges::forward_range<chan<int>>);
static_assert(std::input_iterator<gort::recv_iterator<std::string>>);
// Handles are cheap values.
static_assert(std::is_nothrow_copy_constructible_v<chan<int>> &&
              std::is_nothrow_move_assignable_v<chan<int>>);
static_assert(sizeof(chan<std::array<char, 1000>>) == sizeof(void*));

TEST(cc35_views_over_channels) {
    run(1, [] {
        auto c = make_chan<int>();
        go([=] {
            for (int i = 0; i < 10; ++i) c << i;
            c.close();
        });
        int sum = 0;
#if defined(__clang__) && __clang_major__ < 16  // libstdc++'s views need a newer clang
        for (int n : c)
            if (int v = n * n; n % 2 == 1)
#else
        for (int v : c | std::views::filter([](int n) { return n % 2 == 1; }) |
                         std::views::transform([](int n) { return n * n; }))
#endif
                sum += v;
        CHECK_EQ(sum, 1 + 9 + 25 + 49 + 81);

        auto u = make_chan<Unique>(3);
        for (int i = 0; i < 3; ++i) u << std::make_unique<int>(i);
        u.close();
        auto it = u.begin();
        auto moved = std::move(it);
        CHECK_EQ(**moved, 0);
        ++moved;
        Unique one = *moved;
        CHECK_EQ(*one, 1);
        moved++;
        CHECK_EQ(**moved, 2);
        CHECK(moved != u.end());
        ++moved;
        CHECK(moved == u.end());
        for (auto&& v : u) CHECK(!v);
    });
}

// ---- the matrix of types ----

struct alignas(64) Aligned64 {
    int v = 0;
    bool operator==(const Aligned64& o) const { return v == o.v; }
};
struct alignas(128) Aligned128 {
    std::string s;
    bool operator==(const Aligned128& o) const { return s == o.s; }
};
struct Five {
    char c[5];
    bool operator==(const Five& o) const { return !std::memcmp(c, o.c, 5); }
};
struct Sixteen {
    uint64_t a, b;
    bool operator==(const Sixteen&) const = default;
};
struct NotZero {  // a word whose T{} is not all zeros
    int v = 17;
    bool operator==(const NotZero&) const = default;
};
struct Base {
    virtual ~Base() = default;
    virtual int id() const { return 1; }
};
struct Derived : Base {
    int id() const override { return 2; }
};

// Through a waiting receiver, from a waiting sender, through a buffer, through a full buffer, by all forms.
template <class T, class Make>
void matrix(Make make) {
    for (const int cap : {0, 1, 3}) {
        auto c = make_chan<T>(cap);
        Join join;
        for (int i = 0; i < 6; ++i) {
            go_join(join, [=] { c << make(i); });
            EVENTUALLY(c.len() + waiting(c, Side::kSenders) == static_cast<size_t>(i) + 1);
        }
        T a = c.recv();
        CHECK(a == make(0));
        T b = T{};
        CHECK(c.recv(b));
        CHECK(b == make(1));
        CHECK(c.try_recv(b) == recv_result::ok);
        CHECK(b == make(2));
        auto it = c.begin();
        CHECK(*it == make(3));
        c.recv();
        join.wait(cap == 0 ? 5 : 6);
        if (cap == 0) {
            T e = c.recv();
            CHECK(e == make(5));
            join.wait(1);
        } else {
            CHECK(c.recv() == make(5));
        }
        T t = make(7);
        go_join(join, [=] { CHECK(c.recv() == make(7)); });
        wait_for(c, Side::kReceivers, 1);
        CHECK(c.try_send(std::move(t)));
        join.wait(1);
        c.close();
        T last = make(9);
        CHECK(!c.recv(last));
        CHECK(last == T{});
        CHECK(c.recv() == T{});
        last = make(9);
        CHECK(c.try_recv(last) == recv_result::closed);
        CHECK(last == T{});
    }
}

TEST_P(cc01_types, 1, 2) {
    run(procs, [] {
        matrix<int>([](int i) { return i + 1; });
        matrix<bool>([](int i) { return i % 2 == 0; });
        matrix<char>([](int i) { return static_cast<char>(i - 3); });
        matrix<double>([](int i) { return i * -1.5; });
        matrix<const char*>([](int i) { return &"0123456789"[i]; });
        matrix<Five>([](int i) { return Five{{1, 2, 3, 4, static_cast<char>(i)}}; });
        matrix<Sixteen>([](int i) { return Sixteen{static_cast<uint64_t>(i), ~uint64_t{0}}; });
        matrix<NotZero>([](int i) { return NotZero{i}; });
        matrix<unit>([](int) { return unit{}; });
        matrix<std::string>([](int i) { return std::string(static_cast<size_t>(i * 10), 'x'); });
        matrix<std::shared_ptr<int>>([](int) {
            static auto one = std::make_shared<int>(1);
            return one;
        });
        matrix<Aligned64>([](int i) { return Aligned64{i}; });
        matrix<Aligned128>([](int i) { return Aligned128{std::to_string(i)}; });
        matrix<std::array<uint64_t, 1000>>([](int i) {
            std::array<uint64_t, 1000> a{};
            a[999] = static_cast<uint64_t>(i);
            return a;
        });
        matrix<std::optional<std::string>>([](int i) { return std::to_string(i); });
        matrix<std::variant<int, std::string>>(
            [](int i) { return std::variant<int, std::string>(std::to_string(i)); });
    });
}

TEST(cc01_over_aligned_where_it_lies) {
    run(1, [] {
        auto c = make_chan<Aligned128>(5);
        for (int i = 0; i < 5; ++i) c << Aligned128{std::to_string(i)};
        auto* h = gort::detail::Access::get(c);
        for (int i = 0; i < 5; ++i) {
            auto it = c.begin();
            auto&& v = *it;
            CHECK_EQ(reinterpret_cast<uintptr_t>(&v) % 128, 0);
            CHECK_EQ(v.s, std::to_string(i));
        }
        CHECK_EQ(reinterpret_cast<uintptr_t>(h->ring) % 128, 0);
    });
}

TEST_P(ch04_large_elements, 1, 2) {
    struct Large {
        char bytes[1 << 20];
    };
    run(procs, [] {
        for (const int cap : {0, 2}) {
            auto c = make_chan<std::array<char, 65536>>(cap);
            go([=] {
                auto big = std::make_unique<std::array<char, 65536>>();
                for (int i = 0; i < 5; ++i) {
                    big->fill(static_cast<char>(i));
                    c << std::move(*big);
                }
                c.close();
            });
            auto in = std::make_unique<std::array<char, 65536>>();
            for (int i = 0; i < 5; ++i) {
                CHECK(c.recv(*in));
                CHECK((*in)[0] == i && (*in)[65535] == i);
            }
        }
        auto c = make_chan<Large>(1);
        gort::go(gort::stack_size(8 << 20), [=] {
            auto big = std::make_unique<Large>();
            big->bytes[(1 << 20) - 1] = 42;
            c << std::move(*big);
            CHECK(c.recv(*big));
            CHECK_EQ(big->bytes[(1 << 20) - 1], 42);
            c.close();
        });
        wait_for(c, Side::kReceivers, 0);
        EVENTUALLY(gort::detail::is_closed(gort::detail::Access::get(c)));
    });
}

TEST_P(ch28_move_only_and_no_default, 1, 2) {
    run(procs, [] {
        auto u = make_chan<Unique>();
        go([=] {
            u << std::make_unique<int>(1);
            Unique p = std::make_unique<int>(2);
            u << std::move(p);
            CHECK(!p);  // NOLINT(bugprone-use-after-move)
            u.close();
        });
        Unique out = u.recv();
        CHECK_EQ(*out, 1);
        CHECK(u.recv(out));
        CHECK_EQ(*out, 2);
        CHECK(!u.recv(out));
        CHECK(!out);

        auto n = make_chan<NoDefault>(1);
        n << NoDefault(5);
        NoDefault v(0);
        CHECK(n.recv(v));
        CHECK_EQ(v.value, 5);
        n << NoDefault(6);
        n.close();
        for (NoDefault e : n) CHECK_EQ(e.value, 6);
        CHECK(!n.recv(v));
        CHECK_EQ(v.value, 5);  // no T{} to give

        int object = 1;
        auto r = make_chan<std::reference_wrapper<int>>(1);
        r << std::ref(object);
        (*r.begin()).get() = 2;
        CHECK_EQ(object, 2);

        auto k = make_chan<Const>(1);
        k << Const{3, std::make_shared<int>(4)};
        CHECK_EQ(int{*k.recv().b}, 4);
    });
}

TEST(ch27_conversions) {
    run(1, [] {
        auto c = make_chan<std::unique_ptr<Base>>(2);
        c << std::make_unique<Derived>();
        c.send(std::make_unique<Base>());
        CHECK_EQ(c.recv()->id(), 2);
        CHECK_EQ(c.recv()->id(), 1);
        auto a = make_chan<std::any>(2);
        a << 1 << std::string("x");
        CHECK_EQ(std::any_cast<int>(a.recv()), 1);
        CHECK_EQ(std::any_cast<std::string>(a.recv()), "x");
        auto s = make_chan<std::string>(2);
        s << "literal";
        s.send(std::string(3, 'y'));
        CHECK_EQ(s.recv(), "literal");
        CHECK_EQ(s.recv(), "yyy");
        auto d = make_chan<double>(1);
        d << 1;
        CHECK_EQ(d.recv(), 1.0);
    });
}

TEST(ch29_a_failed_try_leaves_the_value) {
    run(1, [] {
        for (const int cap : {0, 1}) {
            auto c = make_chan<Unique>(cap);
            if (cap) c << nullptr;
            Unique p = std::make_unique<int>(1);
            CHECK(!c.try_send(std::move(p)));
            CHECK(p && *p == 1);  // NOLINT(bugprone-use-after-move)
            c.close();
            CHECK_EQ(panic_of([&] { c.try_send(std::move(p)); }), "send on closed channel");
            CHECK(p != nullptr);
            CHECK_EQ(panic_of([&] { c.send(std::move(p)); }), "send on closed channel");
            CHECK(p != nullptr);
        }
    });
}

}  // namespace
