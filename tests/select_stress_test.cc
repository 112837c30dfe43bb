// tests/select_stress_test.cc - select against itself: one winner, no lost wake-up, one instant, many threads.
// SPDX-License-Identifier: BSD-2-Clause
#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "chan/select.h"
#include "tests/chan_tools.h"
#include "tests/count_new.h"

using namespace chan_tools;

namespace {

int many(int n) { return gort::test::stress() ? n * 10 : scaled(n); }

}  // namespace

// SE-07, SE-29: a counter sent to one of four channels arrives once.
TEST_P(se07_exactly_one_case, 1, 2, 8) {
    const int count = many(100000);
    run(procs, [=] {
        std::vector<chan<int>> c(4);
        for (auto& ch : c) ch = make_chan<int>();
        auto got = make_chan<int>();
        Join join;
        for (auto& ch : c)
            go_join(join, [=] {
                for (int v : ch) got << v;
            });
        go([=] {
            for (int i = 0; i < count; ++i)
                select(on_send(c[0], i), on_send(c[1], i), on_send(c[2], i), on_send(c[3], i));
            for (auto& ch : c) ch.close();
            join.wait(4);
            got.close();
        });
        std::vector<bool> seen(static_cast<size_t>(count));
        int n = 0;
        for (int v : got) {
            CHECK(!seen[static_cast<size_t>(v)]);
            seen[static_cast<size_t>(v)] = true;
            ++n;
        }
        CHECK_EQ(n, count);
    });
}

TEST_P(se08_the_losers_are_withdrawn, 1, 2, 8) {
    run(procs, [] {
        for (int round = 0; round < 100; ++round) {
            auto a = make_chan<int>(), b = make_chan<int>();
            Join join;
            // b's queue: a receiver, the select, a receiver; the select goes by a.
            std::atomic<int> sum{0};
            go_join(join, [&] { sum += b.recv(); });
            wait_for(b, Side::kReceivers, 1);
            go_join(join, [&] { CHECK_EQ(select(on_recv(b), on_recv(a)), 1); });
            wait_for(b, Side::kReceivers, 2);
            go_join(join, [&] { sum += b.recv(); });
            wait_for(b, Side::kReceivers, 3);
            a << 1;
            b << 2;
            b << 3;
            join.wait(3);
            CHECK_EQ(sum, 5);
            CHECK_EQ(waiting(b, Side::kReceivers), 0);
        }
    });
}

namespace {

template <class Ready>
void never_otherwise(int procs, Ready ready) {
    const int rounds = many(procs == 1 ? 20000 : 100000);
    run(procs, [=] {
        for (int i = 0; i < rounds; ++i) {
            auto c1 = make_chan<int>(1), c2 = make_chan<int>(1);
            Join join;
            c1 << 1;
            bool found = true;
            go_join(join, [&] { found = select(on_recv(c1), on_recv(c2), otherwise()) != 2; });
            ready(c1, c2);
            join.wait(1);
            CHECK(found);
        }
    });
}

}  // namespace

// At every moment one of the two is ready.
TEST_P(se14_one_instant, 1, 2, 8) {
    never_otherwise(procs, [](auto& c1, auto& c2) {
        c2 << 1;
        select(on_recv(c1), otherwise());
    });
}
TEST_P(se15_one_instant_with_close, 1, 2, 8) {
    never_otherwise(procs, [](auto& c1, auto& c2) {
        c2.close();
        select(on_recv(c1), otherwise());
    });
}

TEST_P(se16_any_order_of_cases, 1, 2, 8) {
    const int rounds = many(2000);
    run(procs, [=] {
        std::vector<chan<int>> c(8);
        for (auto& ch : c) ch = make_chan<int>(1);
        auto work = [=](unsigned seed) {
            std::minstd_rand random(seed);
            std::vector<size_t> order{0, 1, 2, 3, 4, 5, 6, 7};
            for (int i = 0; i < rounds; ++i) {
                std::shuffle(order.begin(), order.end(), random);
                auto& o = order;
                select(on_send(c[o[0]], i), on_recv(c[o[1]]), on_send(c[o[2]], i), on_recv(c[o[3]]),
                       on_send(c[o[4]], i), on_recv(c[o[5]]), on_send(c[o[6]], i), on_recv(c[o[7]]),
                       otherwise());
                select(on_send(c[o[0]], i), on_recv(c[o[0]]));  // never both full and empty
            }
        };
        Join join;
        for (unsigned g = 1; g <= 8; ++g) go_join(join, [=] { work(g); });
        join.wait(8);
    });
}

TEST_P(se17_the_same_channel_twice, 1, 2) {
    run(procs, [] {
        auto c = make_chan<int>(), d = make_chan<int>();
        Join join;
        go_join(join, [&] { CHECK_EQ(select(on_recv(c), on_recv(c), on_recv(d)), 2); });
        wait_for(d, Side::kReceivers, 1);
        go_join(join, [&] { CHECK_EQ(c.recv(), 7); });
        wait_for(c, Side::kReceivers, 3);
        d << 1;
        c << 7;
        join.wait(2);
        CHECK_EQ(waiting(c, Side::kReceivers), 0);
    });
}

// SE-18: a select never pairs with itself.
TEST_P(se18_self_select, 1, 2, 8) {
    for (int cap : {0, 10}) {
        const int rounds = many(1000);
        run(procs, [=] {
            auto c = make_chan<int>(cap);
            Join join;
            for (int p = 0; p < 2; ++p)
                go_join(join, [=] {
                    for (int i = 0; i < rounds; ++i) {
                        int v = -1;
                        if (p == 0 || i % 2 == 0) {
                            if (select(on_send(c, p), on_recv(c, v)) == 1 && cap == 0) CHECK_NE(v, p);
                        } else {
                            if (select(on_recv(c, v), on_send(c, p)) == 0 && cap == 0) CHECK_NE(v, p);
                        }
                    }
                });
            join.wait(1);
            go([=] {  // somebody for the other one
                for (;;) select(on_send(c, 2), on_recv(c));
            });
            join.wait(1);
        });
    }
}
TEST_DIES(se18_alone_it_blocks, "[select]") {
    run(1, [] {
        auto c = make_chan<int>();
        select(on_send(c, 1), on_recv(c));
    });
}

TEST_P(se28_a_select_keeps_its_place_in_the_queue, 1, 2) {
    run(procs, [] {
        auto c = make_chan<int>(), other = make_chan<int>();
        Join join;
        int first = 0, second = 0;
        go_join(join, [&] { select(on_recv(other), on_recv(c, first)); });
        wait_for(c, Side::kReceivers, 1);
        go_join(join, [&] { second = c.recv(); });
        wait_for(c, Side::kReceivers, 2);
        c << 1;
        c << 2;
        join.wait(2);
        CHECK_EQ(first, 1);
        CHECK_EQ(second, 2);
    });
}

namespace {

// Go's shape: four channels of capacity 0, 0, 2 and 3; plain senders and receivers on each, one selecting sender and
// one selecting receiver over all of them that drop a channel after its share.
void stress(int procs, int each) {
    run(procs, [=] {
        const chan<int> c[4] = {make_chan<int>(), make_chan<int>(), make_chan<int>(2), make_chan<int>(3)};
        Join join;
        for (const auto& ch : c) {
            go_join(join, [=] {
                for (int i = 0; i < each; ++i) ch << 0;
            });
            go_join(join, [=] {
                for (int i = 0; i < each; ++i) ch.recv();
            });
        }
        go_join(join, [=, a = std::vector<chan<int>>(c, c + 4)]() mutable {
            int n[4] = {};
            for (int i = 0; i < 4 * each; ++i) {
                const auto k = static_cast<size_t>(
                    select(on_send(a[3], 0), on_send(a[2], 0), on_send(a[0], 0), on_send(a[1], 0)));
                const size_t at[] = {3, 2, 0, 1};
                if (++n[at[k]] == each) a[at[k]] = nullptr;
            }
        });
        go_join(join, [=, a = std::vector<chan<int>>(c, c + 4)]() mutable {
            int n[4] = {}, v = 0;
            bool ok = false;
            for (int i = 0; i < 4 * each; ++i) {
                const auto k = static_cast<size_t>(select(on_recv(a[0], v, ok), on_recv(a[1], v, ok),
                                                          on_recv(a[2], v, ok), on_recv(a[3], v, ok)));
                CHECK(ok);
                if (++n[k] == each) a[k] = nullptr;
            }
        });
        join.wait(10);
        for (const auto& ch : c)
            CHECK_EQ(ch.len() + waiting(ch, Side::kReceivers) + waiting(ch, Side::kSenders), 0);
    });
}

}  // namespace

TEST_P(se29_one_winner_stress, 1, 2, 8) { stress(procs, many(20000)); }

// SE-29 with close as one of the two sides.
TEST_P(se29_send_against_close, 2, 8) {
    const int rounds = many(20000);
    run(procs, [=] {
        for (int i = 0; i < rounds; ++i) {
            auto a = make_chan<int>(), b = make_chan<int>();
            Join join;
            int index = -1, v = -1;
            bool ok = false;
            go_join(join, [&] { index = select(on_recv(a, v, ok), on_recv(b, v, ok)); });
            bool sent = false;
            go_join(join, [&] { sent = a.try_send(5); });
            go_join(join, [&] { b.close(); });
            join.wait(3);
            CHECK_EQ(index, sent ? 0 : 1);
            CHECK_EQ(v, sent ? 5 : 0);
            CHECK_EQ(ok, sent);
        }
    });
}

// SE-32, CH-33: no allocation, and no memory of waiters that are gone.
TEST(se32_no_allocation) {
    run(1, [] {
        auto a = make_chan<int>(), b = make_chan<int>(), quit = make_chan<int>();
        auto words = make_chan<std::string>(1);
        go([=] {
            while (select(on_send(a, 1), on_send(b, 2), on_recv(quit)) != 2) {
            }
        });
        std::string s = "short";
        std::vector<select_case> cases{on_recv(a), on_recv(b)};
        long before = 0;
        for (int i = 0; i < 100000; ++i) {
            if (i == 100) before = g_allocations.load();  // all that is kept is there
            select(on_recv(a), on_recv(b));
            select(on_recv(quit), otherwise());
            select(on_recv(quit), on_recv(words), otherwise());
            select(on_send(words, s), on_recv(quit));
            select(on_recv(words, s), on_recv(quit), on_recv(a));
            select(on_recv(words, s), on_recv(quit), on_recv(a), otherwise());
            select_any(cases);
        }
        CHECK_LT(g_allocations.load() - before, 10);  // a thread that is started allocates too
        quit << 1;
    });
}

// CH-31: waiters leave the middle of a long queue in constant time: counted as work, not as time, by the queue's order.
TEST_P(ch31_thousands_leave_one_queue, 1, 2) {
    run(procs, [] {
        constexpr int kMany = 5000;
        auto common = make_chan<int>();
        std::vector<chan<int>> own;
        Join join;
        for (int i = 0; i < kMany; ++i) {
            own.push_back(make_chan<int>());
            go_join(join, [=, mine = own.back()] { CHECK_EQ(select(on_recv(common), on_recv(mine)), 1); });
        }
        for (int i = 0; i < kMany; ++i) own[static_cast<size_t>(i) * 7919 % kMany] << 1;
        join.wait(kMany);
        CHECK_EQ(waiting(common, Side::kReceivers), 0);
    });
}

// ---- other threads: CC-16 ----

TEST_P(cc16_threads_select, 1, 2, 8) {
    const int count = many(5000);
    run(procs, [=] {
        auto a = make_chan<int>(), b = make_chan<int>(), back = make_chan<int>(), quit = make_chan<int>();
        std::thread t([=] {
            for (;;) {
                int v = 0;
                const int i = select(on_recv(a, v), on_recv(b, v), on_recv(quit));
                if (i == 2) return;
                back << v;
            }
        });
        go([=] {
            for (int i = 0; i < count; ++i) select(on_send(a, i), on_send(b, i));
            quit.close();
        });
        for (int i = 0; i < count; ++i) CHECK_EQ(back.recv(), i);
        t.join();
    });
}

TEST_P(cc16_threads_against_threads, 1, 8) {
    const int count = many(3000);
    run(procs, [=] {
        auto a = make_chan<std::string>(), b = make_chan<std::string>(2);
        auto done = make_chan<int>();
        std::vector<std::thread> threads;
        for (int k = 0; k < 2; ++k) {
            threads.emplace_back([=] {
                for (int i = 0; i < count; ++i)
                    select(on_send(a, "from a thread, long enough"), on_send(b, "x"));
            });
            threads.emplace_back([=] {
                int n = 0;
                for (; n < count; ++n) {
                    std::string s;
                    bool ok = false;
                    select(on_recv(a, s, ok), on_recv(b, s, ok));
                    CHECK(ok && !s.empty());
                }
                done << n;
            });
        }
        CHECK_EQ(done.recv() + done.recv(), 2 * count);
        for (auto& t : threads) t.join();
        CHECK_EQ(b.len(), 0);
    });
}

TEST(cc16_threads_close_and_try) {
    run(2, [] {
        auto c = make_chan<int>(), never = make_chan<int>();
        std::thread waiter([=] {
            int v = 1;
            bool ok = true;
            CHECK_EQ(select(on_recv(never), on_recv(c, v, ok)), 1);
            CHECK(!ok && v == 0);
            CHECK_EQ(select(on_recv(never), on_send(never, 1), otherwise()), 2);
            CHECK_EQ(panic_of([&] { select(on_send(c, 1), on_recv(never)); }), "send on closed channel");
        });
        wait_for(c, Side::kReceivers, 1);
        std::thread closer([=] { c.close(); });
        closer.join();
        waiter.join();
        CHECK_EQ(waiting(never, Side::kReceivers), 0);
    });
}

// What is abandoned at the end of a run leaves the queues of channels that live on.
TEST_P(abandoned_selects_leave_their_channels, 1, 2, 8) {
    auto a = make_chan<int>(), b = make_chan<int>(1);
    if (gort::detail::live_chans()) g_abandoned += 2;  // the goroutines have handles; counted in debug builds
    for (int i = 0; i < 10; ++i) {
        run(procs, [&] {
            for (int g = 0; g < 5; ++g) go([=] { select(on_recv(a), on_recv(b), on_recv(b)); });
            wait_for(b, Side::kReceivers, 10);
        });
        CHECK_EQ(waiting(a, Side::kReceivers) + waiting(b, Side::kReceivers), 0);
        run(procs, [&] {
            CHECK_EQ(select(on_send(a, 1), on_send(b, 2)), 1);
            CHECK_EQ(select(on_recv(a), on_recv(b)), 1);
        });
    }
}
