// tests/chan_order_test.cc - what channels order: plain variables written on one side and read on the other (MM-…).
// SPDX-License-Identifier: BSD-2-Clause
//
// Values that come out wrong show some failures on any build; TSan shows the missing edge itself. Every test runs with
// yields in between, so that the two sides are stolen and resumed on other threads (MM-23).
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "chan/select.h"
#include "tests/chan_tools.h"

using namespace chan_tools;

namespace {

const int kRounds = GORT_TEST_SANITIZER ? 300 : 2000;

void migrate(int i) {
    for (int k = i % 3; k > 0; --k) gort::yield();
}

}  // namespace

TEST_P(mm02_go_happens_before_its_body, 1, 2, 8) {
    run(procs, [] {
        Join join;
        for (int i = 0; i < kRounds; ++i) {
            int plain = 0;
            plain = i;
            go_join(join, [&] {
                CHECK_EQ(plain, i);
                plain = -i;
            });
            join.wait(1);  // MM-03: only this orders its end
            CHECK_EQ(plain, -i);
        }
    });
}

namespace {

// MM-04 for one way to send and one to receive.
template <class T, class Send, class Recv>
void send_before_recv(int cap, Send send, Recv recv) {
    auto data = make_chan<T>(cap);
    auto back = make_chan<unit>();
    int plain = 0;
    go([&, data, back] {
        for (int i = 1; i <= kRounds; ++i) {
            migrate(i);
            plain = i;
            send(data);
            back.recv();
        }
    });
    for (int i = 1; i <= kRounds; ++i) {
        migrate(i / 3);
        recv(data);
        CHECK_EQ(plain, i);
        plain = 0;
        back << unit{};
    }
}

template <class T>
void all_ways(T value) {
    auto never = make_chan<unit>();
    for (int cap : {0, 1, 10}) {
        auto plain_send = [&](const chan<T>& c) { c << value; };
        auto select_send = [&](const chan<T>& c) { select(on_send(c, value), on_recv(never)); };
        auto try_send = [&](const chan<T>& c) {
            while (!c.try_send(value)) gort::yield();
        };
        auto plain_recv = [](const chan<T>& c) { c.recv(); };
        auto select_recv = [&](const chan<T>& c) { select(on_recv(never), on_recv(c)); };
        auto try_recv = [](const chan<T>& c) {
            T out;
            while (c.try_recv(out) == recv_result::empty) gort::yield();
        };
        send_before_recv<T>(cap, plain_send, plain_recv);
        send_before_recv<T>(cap, plain_send, select_recv);
        send_before_recv<T>(cap, select_send, plain_recv);
        send_before_recv<T>(cap, select_send, select_recv);
        send_before_recv<T>(cap, try_send, plain_recv);
        send_before_recv<T>(cap, plain_send, try_recv);
        send_before_recv<T>(cap, try_send, select_recv);
    }
}

}  // namespace

TEST_P(mm04_send_before_receive, 1, 2, 8) {
    run(procs, [] { all_ways<int>(1); });
}
TEST_P(mm04_send_before_receive_of_large, 2, 8) {
    run(procs, [] { all_ways<std::string>("longer than what a string holds in itself"); });
}
TEST_P(mm22_empty_elements_order_the_same, 1, 2, 8) {
    run(procs, [] { all_ways<unit>({}); });
}

TEST_P(mm05_close_before_what_it_wakes, 1, 2, 8) {
    run(procs, [] {
        for (int i = 1; i <= kRounds; ++i) {
            auto c = make_chan<int>(i % 2);
            int plain = 0;
            Join join;
            for (int form = 0; form < 4; ++form)
                go_join(join, [&, form] {
                    migrate(i);
                    int v = 0;
                    bool ok = true;
                    if (form == 0) ok = c.recv(v);
                    else if (form == 1)
                        select(on_recv(c, v, ok), on_recv(chan<unit>()), on_recv(make_chan<int>()));
                    else if (form == 2)
                        while (c.try_recv(v) != recv_result::closed) gort::yield();
                    else
                        for (int x : c) CHECK(x < 0);
                    CHECK(form >= 2 || !ok);
                    CHECK_EQ(plain, i);
                });
            migrate(i / 3);
            plain = i;
            c.close();
            join.wait(4);
        }
    });
}

TEST_P(mm06_receive_before_an_unbuffered_send_returns, 1, 2, 8) {
    run(procs, [] {
        auto c = make_chan<int>();
        auto turn = make_chan<unit>();
        int plain = 0;
        go([&, c, turn] {
            for (int i = 1; i <= kRounds; ++i) {
                turn.recv();
                plain = i;
                migrate(i);
                if (i % 2) c.recv();
                else select(on_recv(c), on_recv(chan<int>()), on_recv(make_chan<int>()));
            }
        });
        for (int i = 1; i <= kRounds; ++i) {
            turn << unit{};
            migrate(i / 2);
            if (i % 4 < 2) c << 0;
            else select(on_send(c, 0), on_recv(make_chan<int>()));
            CHECK_EQ(plain, i);
        }
    });
}

// MM-07: a channel of C slots as a semaphore.
TEST_P(mm07_kth_receive_before_send_k_plus_c, 1, 2, 8) {
    run(procs, [] {
        constexpr int kSlots = 3, kWorkers = 8;
        auto slots = make_chan<int>(kSlots);
        int inside = 0;
        std::atomic<int> holders{0}, most{0};
        auto one = make_chan<unit>(1);
        Join join;
        for (int w = 0; w < kWorkers; ++w)
            go_join(join, [&] {
                for (int i = 0; i < kRounds / kWorkers; ++i) {
                    slots << i;
                    const int now = ++holders;
                    for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
                    }
                    migrate(i);
                    one << unit{};  // capacity 1: a mutex
                    ++inside;
                    migrate(i + 1);
                    one.recv();
                    --holders;
                    slots.recv();
                }
            });
        join.wait(kWorkers);
        CHECK_LE(most, kSlots);
        CHECK_EQ(inside, kRounds / kWorkers * kWorkers);
    });
}

TEST_P(mm21_len_and_cap_race_with_nothing, 1, 2, 8) {
    run(procs, [] {
        auto c = make_chan<int>(4);
        std::atomic<bool> stop{false};
        Join join;
        go_join(join, [&] {
            while (!stop) {
                CHECK_LE(c.len(), 4);
                CHECK_EQ(c.cap(), 4);
                gort::yield();
            }
        });
        go([=] {
            for (int i = 0; i < kRounds; ++i) c << i;
            c.close();
        });
        int n = 0;
        for (int v : c) CHECK_EQ(v, n++);
        CHECK_EQ(n, kRounds);
        stop = true;
        join.wait(1);
    });
}

// MM-23, CC-16: threads of the program's own are ordered the same.
TEST_P(mm23_threads, 1, 8) {
    run(procs, [] {
        auto there = make_chan<int>(), back = make_chan<int>(1);
        int plain = 0;
        std::thread t([&, there, back] {
            for (int i = 1; i <= kRounds; ++i) {
                CHECK_EQ(there.recv(), i);
                CHECK_EQ(plain, i);
                plain = -i;
                back << i;
            }
        });
        for (int i = 1; i <= kRounds; ++i) {
            plain = i;
            there << i;
            select(on_recv(back), on_recv(make_chan<int>()));
            CHECK_EQ(plain, -i);
        }
        t.join();
    });
}

// What was handed to a waiting receiver cannot be had by anybody else.
TEST_P(ch22_no_barging_on_a_hand_off, 1, 2, 8) {
    run(procs, [] {
        for (int cap : {0, 1})
            for (int i = 0; i < kRounds; ++i) {
                auto c = make_chan<int>(cap);
                Join join;
                int got = 0;
                go_join(join, [&] { got = c.recv(); });
                wait_for(c, Side::kReceivers, 1);
                c << 7;
                int v = 0;
                CHECK(c.try_recv(v) == recv_result::empty);
                CHECK_EQ(select(on_recv(c), otherwise()), 1);
                join.wait(1);
                CHECK_EQ(got, 7);
            }
    });
}

// Operations that fail without the lock must
// not miss what was there all the time.
TEST_P(ch38_failing_looks_are_linearizable, 1, 2, 8) {
    run(procs, [] {
        auto stays = make_chan<int>(2), full = make_chan<int>(1);
        full << 1;
        stays << 1;  // never fewer than one
        std::atomic<bool> stop{false};
        Join join;
        for (int g = 0; g < 2; ++g)
            go_join(join, [&] {
                while (!stop) {
                    if (stays.try_send(2)) stays.recv();
                    gort::yield();
                }
            });
        for (int i = 0; i < kRounds * 5; ++i) {
            CHECK(stays.len() >= 1);
            CHECK(!full.try_send(2));
            CHECK_EQ(select(on_send(full, 2), otherwise()), 1);
            if (i % 64 == 0) gort::yield();
        }
        stop = true;
        join.wait(2);
        CHECK_EQ(stays.len(), 1);
    });
}
