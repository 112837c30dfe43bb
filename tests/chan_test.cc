// tests/chan_test.cc - channels: construction, nil, blocking and order, non-blocking forms, close.
// SPDX-License-Identifier: BSD-2-Clause
//
// Names begin with the ids of the behaviours they show. With P=1 a yield lets everybody else run until he waits.
#include <array>
#include <memory>
#include <thread>
#include <unordered_set>
#include <vector>

#include "tests/chan_tools.h"

namespace {

using namespace chan_tools;

// ---- construction, nil, comparison ----

TEST(ch01_capacity) {
    run(1, [] {
        CHECK_EQ(make_chan<int>().cap(), 0);
        CHECK_EQ(make_chan<int>(0).cap(), 0);
        for (const int64_t cap : {1, 2, 3, 100}) {
            auto c = make_chan<int>(cap);
            CHECK_EQ(c.cap(), cap);
            for (int i = 0; i < cap; ++i) CHECK(c.try_send(i));
            CHECK(!c.try_send(-1));
        }
        CHECK(!make_chan<int>().try_send(1));
    });
}

TEST(ch02_size_out_of_range) {
    run(1, [] {
        const std::string text = "makechan: size out of range";
        CHECK_EQ(panic_of([] { make_chan<int>(-1); }), text);
        CHECK_EQ(panic_of([] { make_chan<unit>(-1); }), text);
        CHECK_EQ(panic_of([] { make_chan<int>(int64_t{1} << 62); }), text);
        CHECK_EQ(panic_of([] { make_chan<int>(INT64_MAX); }), text);
        CHECK_EQ(panic_of([] { make_chan<int>(INT64_MIN); }), text);
        CHECK_EQ(panic_of([] { make_chan<std::array<char, 65535>>(int64_t{1} << 33); }), text);
        CHECK_EQ(panic_of([] { make_chan<std::array<char, 65535>>(int64_t{1} << 60); }), text);
    });
}

TEST(ch03_empty_elements_cost_nothing) {
    run(1, [] {
        auto c = make_chan<unit>(int64_t{1} << 62);
        CHECK_EQ(c.cap(), size_t{1} << 62);
        for (int i = 0; i < 1000; ++i) c << unit{};
        CHECK_EQ(c.len(), 1000);
        c.recv();
        CHECK_EQ(c.len(), 999);
        auto two = make_chan<unit>(2);
        CHECK(two.try_send({}) && two.try_send({}) && !two.try_send({}));
        unit u;
        CHECK(two.recv(u) && two.recv(u));
        CHECK(two.try_recv(u) == recv_result::empty);
    });
}

TEST(ch05_nil_blocks_for_ever) {
    run(1, [] {
        chan<int> nil;
        auto here = make_chan<int>(2);
        go([=] {
            here << 1;
            nil << 1;
            here << 3;
        });
        go([=] {
            here << 2;
            nil.recv();
            here << 4;
        });
        CHECK_EQ(here.recv() + here.recv(), 3);
        for (int i = 0; i < 100; ++i) gort::yield();
        CHECK_EQ(here.len(), 0);
        int v = 5;
        CHECK(nil.try_recv(v) == recv_result::empty);
        CHECK_EQ(v, 5);
        CHECK(!nil.try_send(1));
    });
}

TEST_DIES(ch05_nil_send_wait_reason, "chan send (nil chan)") {
    run(1, [] { chan<int>{} << 1; });
}
TEST_DIES(ch05_nil_receive_wait_reason, "chan receive (nil chan)") {
    run(1, [] { chan<int>(nullptr).recv(); });
}
TEST_DIES(ch51_range_over_nil_blocks, "chan receive (nil chan)") {
    run(1, [] {
        for (int v : chan<int>()) (void)v;
    });
}
TEST_DIES(ch14_send_wait_reason, "[chan send]") {
    run(1, [] { make_chan<int>() << 1; });
}
TEST_DIES(ch14_receive_wait_reason, "[chan receive]") {
    run(1, [] { make_chan<std::string>().recv(); });
}
TEST_DIES(uncaught_panic_of_a_channel, "send on closed channel", 2) {
    run(1, [] {
        auto c = make_chan<int>();
        c.close();
        c << 1;
    });
}

TEST(ch07_len_and_cap_of_nil) {
    chan<std::string> nil;
    CHECK_EQ(nil.len(), 0);
    CHECK_EQ(nil.cap(), 0);
    CHECK_EQ(gort::send_chan<int>().len() + gort::recv_chan<int>().cap(), 0);
}

TEST(ch09_handles_denote) {
    run(1, [] {
        chan<int> nil, a = make_chan<int>(1), b = make_chan<int>(1), a2 = a;
        CHECK(a == a2);
        CHECK(a != b);
        CHECK(nil == chan<int>());
        CHECK(nil == nullptr);
        CHECK(a && !nil);
        CHECK(gort::send_chan<int>(a) == a2);
        CHECK(gort::recv_chan<int>(a) == gort::recv_chan<int>(a2));
        a << 7;
        CHECK_EQ(a2.recv(), 7);
        std::unordered_set<chan<int>> set{a, b, a2, nil};
        CHECK_EQ(set.size(), 3);
        chan<int> moved = std::move(a2);
        CHECK(moved == a);
        CHECK(!a2);  // NOLINT(bugprone-use-after-move): what a move leaves is nil
        a2 = moved;
        a2 = *&a2;
        CHECK(a2 == a);
        a = nullptr;
        CHECK(!a && a2);
    });
}

TEST(ch10_channels_of_channels) {
    run(2, [] {
        auto cc = make_chan<chan<int>>(1);
        auto c = make_chan<int>(1);
        cc << c;
        cc.recv() << 2;
        CHECK_EQ(c.recv(), 2);
        auto rc = make_chan<gort::recv_chan<int>>();
        go([=] { rc << gort::recv_chan<int>(c); });
        c << 3;
        CHECK_EQ(rc.recv().recv(), 3);
        struct Request {  // a type that names a channel of itself
            int n = 0;
            chan<Request> reply;
        };
        auto requests = make_chan<Request>();
        go([=] {
            for (Request r : requests) r.reply << Request{r.n + 1, {}};
        });
        Request q{1, make_chan<Request>()};
        requests << q;
        CHECK_EQ(q.reply.recv().n, 2);
        requests.close();
    });
}

TEST(ch13_no_allocation_is_kept) {
    run(1, [] {
        for (int i = 0; i < 1000; ++i) {
            auto a = make_chan<int>();
            auto b = make_chan<int>(10);
            b << 1;
        }
    });
}

// ---- send and receive ----

TEST_P(ch14_unbuffered_send_waits_for_its_receiver, 1, 2, 8) {
    run(procs, [] {
        auto c = make_chan<int>();
        std::atomic<int> sent{0};
        go([&, c] {
            for (int i = 0; i < 3; ++i) {
                c << i;
                ++sent;
            }
        });
        for (int i = 0; i < 3; ++i) {
            wait_for(c, Side::kSenders, 1);
            CHECK_EQ(sent, i);
            CHECK_EQ(c.recv(), i);
        }
        EVENTUALLY(sent == 3);
    });
}

TEST_P(ch15_ch16_buffered_blocks_only_when_full_or_empty, 1, 2) {
    run(procs, [] {
        for (int cap = 0; cap <= 200; cap += cap < 10 ? 1 : 19) {
            auto c = make_chan<int>(cap);
            int v;
            CHECK(c.try_recv(v) == recv_result::empty);
            for (int i = 0; i < cap; ++i) c << i;  // does not block
            CHECK_EQ(c.len(), cap);
            CHECK(!c.try_send(0));
            go([=] { c << cap; });
            wait_for(c, Side::kSenders, 1);
            for (int i = 0; i <= cap; ++i) CHECK_EQ(c.recv(), i);
            CHECK_EQ(c.len(), 0);

            std::atomic<int> got{-1};
            Join join;
            go_join(join, [&, c] { got = c.recv(); });
            wait_for(c, Side::kReceivers, 1);
            CHECK_EQ(got, -1);
            c << 42;
            join.wait(1);
            CHECK_EQ(got, 42);

            go([=] {
                for (int i = 0; i < 100; ++i) c << i;
                c.close();
            });
            for (int i = 0; i < 100; i += 2) {
                CHECK_EQ(c.recv(), i);
                CHECK(c.recv(v));
                CHECK_EQ(v, i + 1);
            }
            CHECK(!c.recv(v));
        }
    });
}

TEST_P(ch17_receivers_are_served_in_order, 1, 2) {
    run(procs, [] {
        constexpr int kN = 10;
        auto c = make_chan<int>();
        std::array<std::atomic<int>, kN> got{};
        Join join;
        for (int i = 0; i < kN; ++i) {
            go_join(join, [&, i] { got[static_cast<size_t>(i)] = c.recv(); });
            wait_for(c, Side::kReceivers, static_cast<size_t>(i) + 1);
        }
        for (int i = 0; i < kN; ++i) c << 100 + i;
        join.wait(kN);
        for (int i = 0; i < kN; ++i) CHECK_EQ(got[static_cast<size_t>(i)], 100 + i);
    });
}

TEST_P(ch18_senders_are_served_in_order_after_the_buffered, 1, 2) {
    run(procs, [] {
        auto c = make_chan<int>(2);
        for (int i = 0; i < 2; ++i) c << i;
        for (int i = 2; i < 8; ++i) {
            go([=] { c << i; });
            wait_for(c, Side::kSenders, static_cast<size_t>(i) - 1);
        }
        for (int i = 0; i < 8; ++i) {
            CHECK_EQ(c.len(), i < 7 ? 2 : 1);  // ch20: the head goes out, the first sender's value in
            CHECK_EQ(c.recv(), i);
        }
    });
}

TEST_P(ch19_a_waiting_receiver_is_given_the_value, 1, 2) {
    run(procs, [] {
        auto c = make_chan<int>(5);
        std::atomic<int> got{0};
        Join join;
        go_join(join, [&, c] { got = c.recv(); });
        wait_for(c, Side::kReceivers, 1);
        c << 9;
        CHECK_EQ(c.len(), 0);
        int v;
        CHECK(c.try_recv(v) == recv_result::empty);  // ch22: nobody overtakes it
        join.wait(1);
        CHECK_EQ(got, 9);
    });
}

TEST_P(ch20_full_buffer_rotates, 1, 2) {
    run(procs, [] {
        auto c = make_chan<std::string>(3);
        for (int i = 0; i < 3; ++i) c << std::to_string(i);
        for (int i = 3; i < 6; ++i) {
            go([=] { c << std::to_string(i); });
            wait_for(c, Side::kSenders, static_cast<size_t>(i) - 2);
        }
        for (int i = 0; i < 3; ++i) {
            CHECK_EQ(c.recv(), std::to_string(i));
            CHECK_EQ(c.len(), 3);
        }
        for (int i = 3; i < 6; ++i) CHECK_EQ(c.recv(), std::to_string(i));
    });
}

TEST_P(ch21_each_value_once, 1, 2, 8) {
    for (const int cap : {0, 1, 10, 100}) {
        run(procs, [cap] {
            constexpr int kSides = 4, kEach = 1000;
            auto c = make_chan<int>(cap);
            std::array<std::atomic<int>, kEach> seen{};
            Join senders, receivers;
            for (int s = 0; s < kSides; ++s) {
                go_join(senders, [=] {
                    for (int i = 0; i < kEach; ++i) {
                        c << i;
                        if (i % 64 == s) gort::yield();
                    }
                });
                go_join(receivers, [&, c] {
                    for (int v : c) ++seen[static_cast<size_t>(v)];
                });
            }
            senders.wait(kSides);
            c.close();
            receivers.wait(kSides);
            for (auto& n : seen) CHECK_EQ(n, kSides);
        });
    }
}

TEST(ch23_len_counts_the_buffered_only) {
    run(1, [] {
        auto c = make_chan<int>(2);
        for (int i = 0; i < 4; ++i) go([=] { c << i; });
        wait_for(c, Side::kSenders, 2);
        CHECK_EQ(c.len(), 2);
        CHECK_EQ(c.cap(), 2);
        auto u = make_chan<int>();
        go([=] { u << 1; });
        wait_for(u, Side::kSenders, 1);
        CHECK_EQ(u.len(), 0);
    });
}

TEST(ch26_channel_then_value_once) {
    run(1, [] {
        auto c = make_chan<int>(1);
        std::string log;
        auto channel = [&] {
            log += 'c';
            return c;
        };
        auto value = [&] {
            log += 'v';
            return 1;
        };
        channel() << value();
        CHECK_EQ(log, "cv");
    });
}

TEST_P(ch31_thousands_wait_on_one_channel, 1, 2) {
    run(procs, [] {
        constexpr int kN = 5000;
        auto c = make_chan<int>();
        std::atomic<int64_t> sum{0};
        Join join;
        for (int i = 0; i < kN; ++i) go_join(join, [&, c] { sum += c.recv(); });
        for (int i = 0; i < kN; ++i) c << i;
        join.wait(kN);
        CHECK_EQ(sum, int64_t{kN} * (kN - 1) / 2);
    });
}

// ---- non-blocking ----

template <class T>
void nonblocking(T value, int cap) {
    auto c = make_chan<T>(cap);
    T v = value;
    CHECK(c.try_recv(v) == recv_result::empty);
    CHECK(v == value);
    if (cap == 0) {
        CHECK(!c.try_send(value));
        Join join;
        go_join(join, [=] { CHECK(c.recv() == value); });
        wait_for(c, Side::kReceivers, 1);
        CHECK(c.try_send(value));
        join.wait(1);
        go_join(join, [=] { c << value; });
        wait_for(c, Side::kSenders, 1);
        v = T{};
        CHECK(c.try_recv(v) == recv_result::ok);
        CHECK(v == value);
        join.wait(1);
    } else {
        CHECK(c.try_send(value));
        CHECK(!c.try_send(T{}));
        v = T{};
        CHECK(c.try_recv(v) == recv_result::ok);
        CHECK(v == value);
    }
    c.close();
    CHECK(c.try_recv(v) == recv_result::closed);  // ch35: ready, not empty
    CHECK(v == T{});
    CHECK(c.try_recv(v) == recv_result::closed);
    CHECK_EQ(panic_of([&] { c.try_send(value); }), "send on closed channel");  // ch37
}

TEST_P(ch34_ch35_ch37_nonblocking, 1, 2) {
    run(procs, [] {
        for (const int cap : {0, 1}) {
            nonblocking<int32_t>(123, cap);
            nonblocking<int64_t>(-1, cap);
            nonblocking<bool>(true, cap);
            nonblocking<std::string>("a text that is too long to be kept in place", cap);
            nonblocking<std::array<int, 5>>({1, 2, 3, 4, 5}, cap);
        }
    });
}

TEST_P(ch36_receive_racing_with_close_is_ready, 2, 8) {
    run(procs, [] {
        const int n = gort::test::stress() ? 10000 : 2000;
        for (int i = 0; i < n; ++i) {
            auto c = make_chan<int>(1);
            c << 1;
            Join join;
            go_join(join, [=] { c.close(); });
            go_join(join, [=] {
                int v;
                CHECK(c.try_recv(v) != recv_result::empty);
            });
            join.wait(2);
        }
    });
}

}  // namespace
