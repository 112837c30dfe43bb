// tests/go_chan_test.cc - the ground of Go's test/chan programs and of its runtime's chan_test, in our own words.
// SPDX-License-Identifier: BSD-2-Clause
//
// Each test names its original. What others cover already:
//   chan_test    TestNonblockRecvRace        chan_test.cc ch36      TestNonblockSelectRace(2)  select_stress se14, 15
//                TestSelfSelect              select_stress se18     TestSelectStress           select_stress se29
//                TestSelectFairness          select_test.cc se01    TestPseudoRandomSend       select_test.cc se02
//                TestSelectDuplicateChannel  select_stress se17
//   Not ours: what asks Go's garbage collector or moving stacks (TestShrinkStackDuringBlockedSend,
//   TestNoShrinkStackWhileParking, TestChanSend(Select)Barrier); the rest of powser is arithmetic on the same streams.
#include <any>
#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "chan/select.h"
#include "tests/chan_tools.h"
#include "tests/watch.h"

using namespace chan_tools;

// test/chan/doubleselect
TEST_P(chan_doubleselect, 2, 8) {
    const int count = scaled(100000);
    run(procs, [=] {
        const chan<int> c[4] = {make_chan<int>(), make_chan<int>(), make_chan<int>(), make_chan<int>()};
        auto merged = make_chan<int>();
        go([=] {
            for (int i = 0; i < count; ++i)
                select(on_send(c[0], i), on_send(c[1], i), on_send(c[2], i), on_send(c[3], i));
            for (const auto& ch : c) ch.close();
        });
        Join join;
        for (const auto& ch : c)
            go_join(join, [=] {
                for (int v : ch) merged << v;
            });
        go([=] {
            join.wait(4);
            merged.close();
        });
        std::vector<char> seen(static_cast<size_t>(count));
        for (int v : merged) CHECK(!seen[static_cast<size_t>(v)]++);
        CHECK_EQ(std::accumulate(seen.begin(), seen.end(), 0), count);
    });
}

// test/chan/fifo: a buffer keeps order; receivers in a daisy chain are served as they came.
TEST_P(chan_fifo, 1, 2, 8) {
    run(procs, [] {
        constexpr int kN = 10;
        auto buffered = make_chan<int>(kN), plain = make_chan<int>();
        for (int i = 0; i < kN; ++i) buffered << i;
        for (int i = 0; i < kN; ++i) CHECK_EQ(buffered.recv(), i);
        auto in = make_chan<int>();
        auto first = in;
        for (int i = 0; i < kN; ++i) {
            auto out = make_chan<int>();
            go([=] {
                in.recv();
                CHECK_EQ(plain.recv(), i);
                out << 1;
            });
            in = out;
        }
        first << 0;
        for (int i = 0; i < kN; ++i) plain << i;
        in.recv();
    });
}

// test/chan/goroutines
TEST_P(chan_goroutines, 1, 2) {
    run(procs, [] {
        auto leftmost = make_chan<int>(), right = leftmost, left = leftmost;
        const int n = GORT_TSAN ? 2000 : 10000;  // TSan has room for 8128 stacks
        for (int i = 0; i < n; ++i) {
            right = make_chan<int>();
            go([left, right] { left << right.recv(); });
            left = right;
        }
        go([right] { right << 1; });
        CHECK_EQ(leftmost.recv(), 1);
    });
}

namespace {

template <class T>
void nonblock(T value) {
    for (int cap : {0, 1}) {
        auto c = make_chan<T>(cap);
        T got{};
        bool ok = true;
        CHECK_EQ(select(on_recv(c, got), otherwise()), 1);
        CHECK_EQ(select(on_recv(c, got, ok), otherwise()), 1);
        CHECK(ok);
        CHECK(c.try_recv(got) == recv_result::empty);
        if (cap) c << value;
        CHECK_EQ(select(on_send(c, value), otherwise()), 1);
        CHECK(!c.try_send(value));
        if (cap) c.recv();
        // A peer that waits makes it ready.
        Join join;
        go_join(join, [=] { CHECK(c.recv() == value); });
        wait_for(c, Side::kReceivers, 1);
        CHECK_EQ(select(on_send(c, value), otherwise()), 0);
        join.wait(1);
        go_join(join, [=] {
            if (cap) c << T{};
            c << value;
        });
        wait_for(c, Side::kSenders, 1);
        if (cap) c.recv();
        CHECK_EQ(select(on_recv(c, got), otherwise()), 0);
        CHECK(got == value);
        join.wait(1);
    }
}

}  // namespace

// test/chan/nonblock
TEST_P(chan_nonblock, 1, 2, 8) {
    run(procs, [] {
        nonblock<int32_t>(123);
        nonblock<int64_t>(int64_t{1} << 40);
        nonblock<bool>(true);
        nonblock<std::string>("hello");
    });
}

// test/chan/perm: what may be done with which half is checked when it is compiled.
namespace {

template <class C>
concept Sends = requires(const C& c) {
    c.send(1);
};
template <class C>
concept Receives = requires(const C& c, int& v) {
    c.recv(), c.recv(v);
};
template <class C>
concept Closes = requires(const C& c) {
    c.close();
};
template <class C>
concept Ranges = requires(const C& c) {
    *c.begin();
};
template <class C>
concept SelectsRecv = requires(const C& c) {
    on_recv(c);
};
template <class C>
concept SelectsSend = requires(const C& c) {
    on_send(c, 1);
};
using B = chan<int>;
using R = recv_chan<int>;
using S = send_chan<int>;
static_assert(Sends<B> && Receives<B> && Closes<B> && Ranges<B> && SelectsRecv<B> && SelectsSend<B>);
static_assert(!Sends<R> && Receives<R> && !Closes<R> && Ranges<R> && SelectsRecv<R> && !SelectsSend<R>);
static_assert(Sends<S> && !Receives<S> && Closes<S> && !Ranges<S> && !SelectsRecv<S> && SelectsSend<S>);
static_assert(std::is_convertible_v<B, R> && std::is_convertible_v<B, S>);
static_assert(!std::is_convertible_v<R, B> && !std::is_convertible_v<S, B> && !std::is_convertible_v<R, S> &&
              !std::is_convertible_v<S, R> && !std::is_constructible_v<B, R> &&
              !std::is_constructible_v<B, S>);

}  // namespace
TEST(chan_perm) {
    run(1, [] {
        B both = make_chan<int>(1);
        R in = both;
        S out = both;
        out << 1;
        CHECK_EQ(in.recv(), 1);
        out.close();
        CHECK_EQ(select(on_recv(in), otherwise()), 0);
    });
}

// test/chan/powser1, powser2: streams of coefficients, each made by goroutines that ask each other.
namespace {

struct Series {  // dat answers each request with the next coefficient
    chan<unit> req = make_chan<unit>();
    chan<std::unique_ptr<double>> dat = make_chan<std::unique_ptr<double>>();
    double next() const {
        req << unit{};
        return *dat.recv();
    }
    void put(double v) const {
        req.recv();
        dat << std::make_unique<double>(v);
    }
};

Series ones() {
    Series s;
    go([=] {
        for (;;) s.put(1);
    });
    return s;
}
// One stream to two readers, each at its own pace: the one that is ahead feeds a goroutine that keeps what the other
// lacks.
void split(const Series& in, const Series& a, const Series& b) {
    go([=] {
        std::vector<double> ahead[2];
        for (;;) {
            const auto at = static_cast<size_t>(select(on_recv(a.req), on_recv(b.req)));
            if (ahead[at].empty()) {
                const double v = in.next();
                ahead[0].push_back(v);
                ahead[1].push_back(v);
            }
            (at ? b : a).dat << std::make_unique<double>(ahead[at].front());
            ahead[at].erase(ahead[at].begin());
        }
    });
}
Series integrate(const Series& in) {
    Series s;
    go([=] {
        s.put(0);
        for (int n = 1;; ++n) s.put(in.next() / n);
    });
    return s;
}
Series multiply(const Series& a, const Series& b) {
    Series s;
    go([=] {
        std::vector<double> x, y;
        for (;;) {
            x.push_back(a.next());
            y.push_back(b.next());
            double sum = 0;
            for (size_t i = 0; i < x.size(); ++i) sum += x[i] * y[x.size() - 1 - i];
            s.put(sum);
        }
    });
    return s;
}

}  // namespace
TEST_P(chan_powser, 1, 2, 8) {
    run(procs, [] {
        Series a, b;
        split(ones(), a, b);
        auto square = multiply(a, b);  // 1 / (1-x)^2: 1 2 3 …
        for (int i = 1; i <= 40; ++i) CHECK_EQ(square.next(), i);
        auto log = integrate(ones());  // 0 1 1/2 1/3 …
        CHECK_EQ(log.next(), 0);
        for (int i = 1; i <= 40; ++i) CHECK_EQ(log.next(), 1.0 / i);
    });
}

// test/chan/select
TEST(chan_select) {
    run(1, [] {
        int counter = 0, shift = 0;
        auto value = [&] { return counter++, 1 << shift; };
        chan<int> a = make_chan<int>(1), b = make_chan<int>(1);
        const auto kept_a = a, kept_b = b;
        bool more = true;
        while (more) {
            switch (select(on_send(a, value()), on_send(b, value()), otherwise())) {
            case 0: a = nullptr; break;
            case 1: b = nullptr; break;
            case 2: more = false; break;
            }
            ++shift;
        }
        shift = 1;
        a = kept_a;  // the other round: both full
        CHECK_EQ(select(on_send(a, value()), on_send(kept_b, value()), otherwise()), 2);
        CHECK_EQ(select(on_send(a, value()), on_send(kept_b, value()), otherwise()), 2);
        CHECK_EQ(counter, 10);
        CHECK_EQ(kept_a.recv() + kept_b.recv(), 3);
    });
}

// test/chan/select2: 100,000 selects of two cases leave no waiters behind (se32 counts the memory).
TEST_P(chan_select2, 1, 2) {
    run(procs, [] {
        const int count = scaled(100000);
        auto c = make_chan<int>(), idle = make_chan<int>();
        go([=] {
            for (int i = 0; i < count; ++i) select(on_send(c, 0), on_recv(idle));
        });
        for (int i = 0; i < count; ++i) select(on_recv(c), on_recv(idle));
        wait_for(idle, Side::kReceivers, 0);
    });
}

namespace {

enum class Does { kBlock, kProceed, kPanic };

// On one P: whoever waits, with main running, waits for good.
void check_does(Does what, std::function<void()> f) {
    auto ended = make_chan<std::string>(1);
    Watch it;
    go([=, &it] {
        it.me();
        auto text = panic_of(f);
        ended << (text.empty() ? "proceeds" : "panics");
    });
    EVENTUALLY(it.waits() || ended.len() == 1);
    std::string got = "blocks";
    ended.try_recv(got);
    CHECK_EQ(got, what == Does::kBlock ? "blocks" : what == Does::kProceed ? "proceeds" : "panics");
}

}  // namespace

// test/chan/select3
TEST(chan_select3) {
    run(1, [] {
        const chan<int> nil, closed = make_chan<int>();
        closed.close();
        auto fresh = [](int cap, int fill = 0) {
            auto c = make_chan<int>(cap);
            for (int i = 0; i < fill; ++i) c << i;
            return c;
        };
        using enum Does;
        check_does(kBlock, [=] { nil << 7; });
        check_does(kBlock, [=] { nil.recv(); });
        check_does(kBlock, [=] { select(on_send(nil, 7)); });
        check_does(kBlock, [=] { select(on_recv(nil)); });
        check_does(kProceed, [=] { fresh(10) << 7; });
        check_does(kBlock, [=] { fresh(10).recv(); });
        check_does(kBlock, [=] { fresh(10, 10) << 7; });
        check_does(kProceed, [=] { fresh(10, 10).recv(); });
        check_does(kProceed, [=] { CHECK_EQ(closed.recv(), 0); });
        check_does(kPanic, [=] { closed << 7; });
        check_does(kBlock, [=] { fresh(0) << 7; });
        check_does(kBlock, [=] { fresh(0).recv(); });
        check_does(kBlock, [] { select(); });
        check_does(kBlock, [=] { select(on_recv(nil), on_send(nil, 7)); });
        check_does(kProceed, [=] { select(on_recv(nil), on_send(nil, 7), otherwise()); });
        check_does(kProceed, [=] { select(otherwise()); });
        check_does(kProceed, [=] { select(on_send(nil, 7), on_send(fresh(10), 7)); });
        check_does(kBlock, [=] { select(on_recv(fresh(0)), on_send(fresh(0), 7)); });
        check_does(kProceed, [=] { select(on_recv(fresh(0)), on_send(fresh(0), 7), otherwise()); });
        check_does(kProceed, [=] { select(on_recv(fresh(10, 1)), on_recv(nil)); });
        check_does(kProceed, [=] {
            int v = 9;
            bool ok = true;
            select(on_recv(closed, v, ok));
            CHECK(v == 0 && !ok);
        });
        check_does(kProceed, [=] { select(on_recv(closed), on_send(nil, 7)); });
        check_does(kPanic, [=] { select(on_send(closed, 7)); });
        check_does(kPanic, [=] { select(on_send(closed, 7), on_recv(nil)); });
        auto one = make_chan<int>();
        check_does(kBlock, [=] { select(on_send(one, 7), on_recv(one)); });
    });
}

// test/chan/select4: the target of a case that is not chosen is not even found.
TEST(chan_select4) {
    run(1, [] {
        auto c = make_chan<int>(1), c1 = make_chan<int>();
        c << 42;
        struct {
            int x = 0;
        } value;
        int found = 0;
        select(on_recv(c1, [&](int v) { ++found, value.x = v; }), on_recv(c, value.x));
        CHECK_EQ(value.x, 42);
        CHECK_EQ(found, 0);
    });
}

// test/chan/select5: every form of one operation, with and without company and otherwise, is that operation.
TEST(chan_select5) {
    run(1, [] {
        const chan<int> nil;
        auto dummy = make_chan<int>(1);
        int evaluated = 0;
        using Recv = std::function<int(chan<int>&, int&)>;  // what ran: 1 the receive
        auto once = [&](chan<int>& c) -> chan<int>& { return ++evaluated, c; };
        const Recv recvs[] = {
            [&](chan<int>& c, int& v) { return v = once(c).recv(), 1; },
            [&](chan<int>& c, int& v) { return select(on_recv(once(c), v)) + 1; },
            [&](chan<int>& c, int& v) { return select(on_recv(once(c), v), otherwise()) == 0; },
            [&](chan<int>& c, int& v) { return select(otherwise(), on_recv(once(c), v)); },
            [&](chan<int>& c, int& v) { return select(on_recv(once(c), v), on_recv(nil)) == 0; },
            [&](chan<int>& c, int& v) { return select(on_send(nil, 1), on_recv(once(c), v)); },
            [&](chan<int>& c, int& v) {
                return select(on_recv(once(c), v), on_recv(dummy), otherwise()) == 0;
            },
            [&](chan<int>& c, int& v) { return select(on_recv(dummy), on_recv(once(c), v), on_recv(nil)); },
            [&](chan<int>& c, int& v) {
                return select_any({on_recv(dummy), on_recv(once(c), v)});
            },
        };
        for (const Recv& recv : recvs) {
            auto c = make_chan<int>(1);
            c << 5;
            int v = 0;
            evaluated = 0;
            CHECK_EQ(recv(c, v), 1);
            CHECK_EQ(v, 5);
            CHECK_EQ(evaluated, 1);
            CHECK_EQ(c.len(), 0);
        }
        using Send = std::function<int(chan<int>&, int)>;
        const Send sends[] = {
            [&](chan<int>& c, int v) { return once(c) << v, 1; },
            [&](chan<int>& c, int v) { return select(on_send(once(c), v)) + 1; },
            [&](chan<int>& c, int v) { return select(on_send(once(c), v), otherwise()) == 0; },
            [&](chan<int>& c, int v) { return select(on_recv(dummy), on_send(once(c), v)); },
            [&](chan<int>& c, int v) {
                return select(on_send(once(c), v), on_recv(nil), otherwise(), on_recv(dummy)) == 0;
            },
            [&](chan<int>& c, int v) {
                return select_any({on_recv(dummy), on_send(once(c), v), otherwise()});
            },
        };
        for (const Send& send : sends) {
            auto c = make_chan<int>(1);
            evaluated = 0;
            CHECK_EQ(send(c, 6), 1);
            CHECK_EQ(evaluated, 1);
            CHECK_EQ(c.recv(), 6);
        }
        int v = 3, found = 0;
        auto empty = make_chan<int>();
        CHECK_EQ(select(on_recv(empty, v), otherwise()), 1);
        CHECK_EQ(select(on_recv(empty, [&](int x) { ++found, v = x; }), otherwise()), 1);
        CHECK(v == 3 && found == 0);
    });
}
