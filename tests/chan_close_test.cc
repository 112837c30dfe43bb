// tests/chan_close_test.cc - what closing does to those who send, receive and wait; and ranges.
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

// ---- close ----

TEST_P(ch39_ch49_close_leaves_the_buffered, 1, 2) {
    run(procs, [] {
        for (int cap = 0; cap <= 200; cap += 1 + cap / 3) {
            auto c = make_chan<int>(cap);
            for (int i = 0; i < cap; ++i) c << i + 1;
            c.close();
            CHECK_EQ(c.len(), cap);
            CHECK_EQ(c.cap(), cap);
            int v = 99;
            for (int i = 0; i < cap; ++i) {
                CHECK(c.recv(v));
                CHECK_EQ(v, i + 1);
                CHECK_EQ(c.len(), cap - i - 1);
            }
            for (int i = 0; i < 3; ++i) {
                v = 99;
                CHECK(!c.recv(v));
                CHECK_EQ(v, 0);
                CHECK_EQ(c.recv(), 0);
            }
        }
    });
}

TEST(ch06_ch40_ch41_ch42_ch44_panics) {
    run(1, [] {
        chan<int> nil;
        CHECK_EQ(panic_of([&] { nil.close(); }), "close of nil channel");
        for (const int cap : {0, 1}) {
            auto c = make_chan<int>(cap);
            c.close();
            CHECK_EQ(panic_of([&] { c << 1; }), "send on closed channel");
            CHECK_EQ(c.len(), 0);
            CHECK_EQ(c.recv(), 0);
            CHECK_EQ(panic_of([&] { c.close(); }), "close of closed channel");
        }
        auto s = make_chan<std::string>();
        s.close();
        std::string text = "kept";
        CHECK_EQ(panic_of([&] { s << std::move(text); }), "send on closed channel");
        CHECK_EQ(text, "kept");
        auto other = make_chan<int>(1);
        other << 1;
        CHECK_EQ(other.recv(), 1);
    });
}

TEST_P(ch43_ch47_close_with_senders_waiting, 1, 2) {
    run(procs, [] {
        auto c = make_chan<int>(1);
        c << 7;
        std::atomic<int> panics{0};
        Join join;
        for (int i = 0; i < 3; ++i)
            go_join(join, [&, c] {
                if (panic_of([&] { c << 8; }) == "send on closed channel") ++panics;
            });
        wait_for(c, Side::kSenders, 3);
        c.close();
        join.wait(3);
        CHECK_EQ(panics, 3);
        int v;
        CHECK(c.recv(v));
        CHECK_EQ(v, 7);
        CHECK(!c.recv(v));
    });
}

TEST_P(ch45_ch54_close_wakes_all_receivers, 1, 2, 8) {
    run(procs, [] {
        constexpr int kN = 100;
        auto c = make_chan<int>();
        auto s = make_chan<std::string>(3);
        Join join;
        for (int i = 0; i < kN; ++i) {
            go_join(join, [=] {
                int v = 5;
                CHECK(!c.recv(v));
                CHECK_EQ(v, 0);
            });
            go_join(join, [=] {
                std::string v = "before";
                CHECK(!s.recv(v));
                CHECK_EQ(v, "");
            });
        }
        wait_for(c, Side::kReceivers, kN);
        wait_for(s, Side::kReceivers, kN);
        c.close();
        s.close();
        join.wait(2 * kN);
    });
}

TEST(ch46_wake_order_of_close) {
    run(1, [] {
        auto c = make_chan<int>();
        std::string order;
        Join join;
        for (int i = 0; i < 5; ++i) {
            go_join(join, [&order, c, i] {
                c.recv();
                order += static_cast<char>('0' + i);
            });
            wait_for(c, Side::kReceivers, static_cast<size_t>(i) + 1);
        }
        c.close();
        join.wait(5);
        CHECK_EQ(order, "40123");  // ours: who was woken last runs next, the others as they came
    });
}

TEST(ch50_close_by_the_sending_half) {
    run(1, [] {
        auto c = make_chan<int>();
        gort::send_chan<int>(c).close();
        CHECK_EQ(c.recv(), 0);
    });
}

TEST_P(ch51_range, 1, 2) {
    run(procs, [] {
        for (const int cap : {0, 1, 7}) {
            auto c = make_chan<char>(cap);
            go([=] {
                for (char l = 'a'; l <= 'z'; ++l) c << l;
                c.close();
            });
            std::string all;
            for (char l : c) all += l;
            CHECK_EQ(all, "abcdefghijklmnopqrstuvwxyz");
            for (char l : c) CHECK(l == 0 && "nothing is left");
        }
    });
}

TEST(ch52_leaving_a_range_takes_nothing_along) {
    run(1, [] {
        auto c = make_chan<std::string>(10);
        for (int i = 0; i < 5; ++i) c << std::to_string(i);
        for (std::string v : c)
            if (v == "1") break;
        CHECK_EQ(c.len(), 3);
        CHECK_EQ(c.recv(), "2");
    });
}

TEST_P(ch53_close_racing_with_sends, 2, 8) {
    run(procs, [] {
        for (int round = 0; round < 200; ++round) {
            auto c = make_chan<int>(round % 3);
            std::atomic<int> sent{0}, panics{0};
            Join join;
            for (int i = 0; i < 4; ++i)
                go_join(join, [&, c] {
                    if (panic_of([&] {
                            for (;;) {
                                c << 1;
                                ++sent;
                            }
                        }) == "send on closed channel")
                        ++panics;
                });
            for (int i = 0; i < round; ++i) c.recv();
            c.close();
            join.wait(4);
            CHECK_EQ(panics, 4);
            int left = 0;
            for (int v : c) left += v;
            CHECK_EQ(sent, round + left);
        }
    });
}

}  // namespace
