// tests/go_chan_more_test.cc - the rest of Go's test/chan programs and of the runtime's chan_test, and closedchan.
// SPDX-License-Identifier: BSD-2-Clause
#include <any>
#include <array>
#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "chan/select.h"
#include "tests/chan_tools.h"

using namespace chan_tools;

// test/chan/select6: a select leaves the end of a queue; who comes later is linked behind the one before it.
TEST_P(chan_select6, 1, 2) {
    run(procs, [] {
        auto c1 = make_chan<bool>(), c2 = make_chan<bool>(), c3 = make_chan<bool>(), c4 = make_chan<bool>();
        go([=] { c1.recv(); });
        wait_for(c1, Side::kReceivers, 1);
        go([=] {
            CHECK_EQ(select(on_recv(c1), on_recv(c2)), 1);
            c3 << true;
        });
        wait_for(c1, Side::kReceivers, 2);
        c2 << true;
        c3.recv();
        go([=] {
            c1.recv();
            c4 << true;
        });
        wait_for(c1, Side::kReceivers, 2);
        c1 << true;
        c1 << true;
        c4.recv();
    });
}

// test/chan/select7: every kind of sender meets every kind of receiver that waits already. Also select_test.cc se25.
TEST_P(chan_select7, 1, 2, 8) {
    run(procs, [] {
        auto dummy = make_chan<int>();
        const std::function<void(const chan<int>&)> recvs[] = {
            [](const chan<int>& c) { CHECK_EQ(c.recv(), 1); },
            [](const chan<int>& c) { select(on_recv(c, [](int v) { CHECK_EQ(v, 1); })); },
            [=](const chan<int>& c) { select(on_recv(dummy), on_recv(c, [](int v) { CHECK_EQ(v, 1); })); },
        };
        const std::function<void(const chan<int>&)> sends[] = {
            [](const chan<int>& c) { c << 1; },
            [](const chan<int>& c) { select(on_send(c, 1)); },
            [=](const chan<int>& c) { select(on_recv(dummy), on_send(c, 1)); },
        };
        for (const auto& recv : recvs)
            for (const auto& send : sends) {
                auto c = make_chan<int>();
                Join join;
                go_join(join, [=] { recv(c); });
                wait_for(c, Side::kReceivers, 1);
                send(c);
                join.wait(1);
            }
    });
}

// test/chan/select8: leaving a case leaves the select, and the loop around it goes on.
TEST(chan_select8) {
    run(1, [] {
        auto c = make_chan<int>(1), dummy = make_chan<int>();
        int loops = 0, wrong = 0;
        for (; loops < 10; ++loops) {
            c << 1;
            switch (loops % 5) {
            case 0:
                select(on_recv(c, [&](int) {
                    if (loops >= 0) return;
                    ++wrong;
                }));
                break;
            case 1:
                select(on_recv(c,
                               [&](int) {
                                   if (loops >= 0) return;
                                   ++wrong;
                               }),
                       otherwise([&] { ++wrong; }));
                break;
            case 2:
                select(on_recv(c,
                               [&](int) {
                                   if (loops >= 0) return;
                                   ++wrong;
                               }),
                       on_recv(dummy));
                break;
            case 3:
                select(on_recv(dummy),
                       on_recv(c,
                               [&](int) {
                                   if (loops >= 0) return;
                                   ++wrong;
                               }),
                       on_send(dummy, 1));
                break;
            case 4:
                CHECK_EQ(select(otherwise([&] {
                                    if (loops >= 0) return;
                                    ++wrong;
                                }),
                                on_recv(dummy)),
                         0);
                c.recv();
                break;
            }
        }
        CHECK_EQ(wrong, 0);
        CHECK_EQ(c.len(), 0);
    });
}

// test/chan/sendstmt
TEST(chan_sendstmt) {
    run(1, [] {
        auto cc = make_chan<chan<int>>(1);
        auto c = make_chan<int>(1);
        cc << c;
        cc.recv() << 2;
        CHECK_EQ(c.recv(), 2);
        auto b = make_chan<bool>(1);
        const int x = 1;
        b << (x == 1 && c.len() == 0);
        CHECK(b.recv());
    });
}

namespace {

constexpr std::array<int, 25> kPrimes{2,  3,  5,  7,  11, 13, 17, 19, 23, 29, 31, 37, 41,
                                      43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97};

}  // namespace

// test/chan/sieve1
TEST_P(chan_sieve1, 1, 2, 8) {
    run(procs, [] {
        auto in = make_chan<int>();
        go([in] {
            for (int i = 2;; ++i) in << i;
        });
        for (const int want : kPrimes) {
            const int prime = in.recv();
            CHECK_EQ(prime, want);
            auto out = make_chan<int>();
            go([in, out, prime] {
                for (;;)
                    if (const int i = in.recv(); i % prime) out << i;
            });
            in = out;
        }
    });
}

namespace {

// A goroutine between two channels that keeps what its reader does not want yet: its send case is nil while it has
// nothing.
chan<int> keeper(const chan<int>& in) {
    auto out = make_chan<int>(1);
    go([=] {
        std::vector<int> kept;
        for (size_t first = 0;;) {
            const bool any = first < kept.size();
            select(on_recv(in, [&](int v) { kept.push_back(v); }),
                   on_send(any ? out : chan<int>(), any ? kept[first] : 0, [&] { ++first; }));
        }
    });
    return out;
}

chan<int> multiples(int of, const chan<unit>& stop) {
    auto c = make_chan<int>(50);
    go([=] {
        for (int i = of * of; select(on_send(c, i), on_recv(stop)) == 0; i += of) {
        }
    });
    return c;
}

}  // namespace

// test/chan/sieve2: numbers that no stream of multiples has, the streams merged by their heads.
TEST_P(chan_sieve2, 1, 2) {
    run(procs, [] {
        auto primes = make_chan<int>(10);
        auto stop = make_chan<unit>();
        auto kept = keeper(primes);
        go([=] {
            std::vector<std::pair<int, chan<int>>> heads;
            for (int i = 2; i < 100; ++i) {
                bool composite = false;
                for (auto& [head, c] : heads)
                    while (head <= i) {
                        composite |= head == i;
                        head = c.recv();
                    }
                if (composite) continue;
                primes << i;
                auto c = multiples(i, stop);
                heads.emplace_back(c.recv(), c);
            }
            stop.close();
        });
        for (const int want : kPrimes) CHECK_EQ(kept.recv(), want);
    });
}

// test/chan/zerosize
TEST(chan_zerosize) {
    run(1, [] {
        struct Empty {};
        for (int cap : {0, 2}) {
            auto a = make_chan<Empty>(cap);
            auto b = make_chan<std::array<int, 0>>(cap);
            go([=] {
                a << Empty{};
                b << std::array<int, 0>{};
            });
            Empty e;
            CHECK(a.recv(e));
            CHECK_EQ(select(on_recv(b), on_recv(chan<int>())), 0);
        }
    });
}

// test/closedchan: every way to receive and to send, alone and in company.
TEST(closedchan) {
    run(1, [] {
        for (int cap : {0, 1}) {
            auto c = make_chan<int>(cap), never = make_chan<int>();
            if (cap) c << 7;
            c.close();
            using Recv = std::function<bool(int&)>;
            const Recv recvs[] = {
                [=](int& v) { return c.recv(v); },
                [=](int& v) { return c.try_recv(v) == recv_result::ok; },
                [=](int& v) {
                    bool ok = false;
                    CHECK_EQ(select(on_recv(c, v, ok)), 0);
                    return ok;
                },
                [=](int& v) {
                    bool ok = false;
                    CHECK_EQ(select(on_recv(c, v, ok), otherwise()), 0);
                    return ok;
                },
                [=](int& v) {
                    bool ok = false;
                    CHECK_EQ(select(on_recv(never), on_recv(c, v, ok)), 1);
                    return ok;
                },
                [=](int& v) {
                    bool ok = false;
                    CHECK_EQ(select(on_recv(c, v, ok), on_recv(never), otherwise(), on_recv(never)), 0);
                    return ok;
                },
            };
            if (cap) {
                int v = 0;
                CHECK(recvs[4](v) && v == 7);
            }
            for (int round = 0; round < 10; ++round)
                for (const Recv& recv : recvs) {
                    int v = 5;
                    CHECK(!recv(v));
                    CHECK_EQ(v, 0);
                }
            const std::function<void()> sends[] = {
                [=] { c << 1; },
                [=] { c.try_send(1); },
                [=] { select(on_send(c, 1)); },
                [=] { select(on_send(c, 1), otherwise()); },
                [=] { select(on_send(c, 1), on_recv(never)); },
                [=] { select(on_recv(never), on_send(c, 1), otherwise()); },
            };
            for (const auto& send : sends) {
                CHECK_EQ(panic_of(send), "send on closed channel");
                int v = 5;
                CHECK(!c.recv(v));
                CHECK_EQ(c.len(), 0);
            }
            CHECK_EQ(panic_of([=] { c.close(); }), "close of closed channel");
        }
        CHECK_EQ(panic_of([] { chan<int>().close(); }), "close of nil channel");
    });
}

// runtime TestChan, over many capacities.
TEST_P(runtime_TestChan, 1, 4) {
    run(procs, [] {
        for (int cap = 0; cap < 200; cap += cap < 20 ? 1 : 9) {
            auto c = make_chan<int>(cap);
            CHECK_EQ(c.len(), 0);
            CHECK_EQ(c.cap(), cap);
            std::atomic<int> received{0};
            Join join;
            go_join(join, [&] { c.recv(), ++received; });
            go_join(join, [&] {
                int v;
                c.recv(v), ++received;
            });
            wait_for(c, Side::kReceivers, 2);
            CHECK_EQ(received, 0);
            int v = 0;
            CHECK_EQ(select(on_recv(c, v), otherwise()), 1);
            c << 0 << 0;
            join.wait(2);
            for (int i = 0; i < cap; ++i) c << i;
            CHECK_EQ(c.len(), cap);
            CHECK_EQ(select(on_send(c, 0), otherwise()), 1);
            std::atomic<bool> sent{false};
            go_join(join, [&] { c << cap, sent = true; });
            wait_for(c, Side::kSenders, 1);
            CHECK(!sent);
            for (int i = 0; i <= cap; ++i) CHECK_EQ(c.recv(), i);
            join.wait(1);
            // Closed: what is buffered, then zeros for ever.
            auto d = make_chan<int>(cap);
            for (int i = 0; i < cap; ++i) d << i;
            d.close();
            for (int i = 0; i < cap; ++i) CHECK_EQ(d.recv(), i);
            CHECK_EQ(d.recv(), 0);
            bool ok = true;
            CHECK_EQ(select(on_recv(d, v, ok), otherwise()), 0);
            CHECK(!ok);
            // A close wakes.
            auto e = make_chan<int>(cap);
            go_join(join, [&] {
                bool open = true;
                int x = 1;
                open = e.recv(x);
                CHECK(!open && x == 0);
            });
            wait_for(e, Side::kReceivers, 1);
            e.close();
            join.wait(1);
            // In order, both forms.
            auto f = make_chan<int>(cap);
            go([=] {
                for (int i = 0; i < 100; ++i) f << i;
            });
            for (int i = 0; i < 100; ++i) {
                if (i % 2) CHECK_EQ(f.recv(), i);
                else CHECK(f.recv(v) && v == i);
            }
            // Many to many, each value of each sender once.
            auto g = make_chan<int>(cap);
            auto sums = make_chan<std::vector<int>>();
            const int each = scaled(1000);
            for (int p = 0; p < 4; ++p) {
                go([=] {
                    for (int i = 0; i < each; ++i) g << i;
                });
                go([=] {
                    std::vector<int> seen(static_cast<size_t>(each));
                    for (int i = 0; i < each; ++i) ++seen[static_cast<size_t>(g.recv())];
                    sums << seen;
                });
            }
            std::vector<int> all(static_cast<size_t>(each));
            for (int p = 0; p < 4; ++p) {
                auto seen = sums.recv();
                for (size_t i = 0; i < all.size(); ++i) all[i] += seen[i];
            }
            for (int n : all) CHECK_EQ(n, 4);
        }
    });
}

// runtime TestMultiConsumer
TEST_P(runtime_TestMultiConsumer, 2, 8) {
    run(procs, [=] {
        constexpr int kWorkers = 23;
        constexpr std::array<int, 10> kItems{2, 3, 5, 7, 11, 13, 17, 19, 23, 27};
        const int count = scaled(271828);
        auto queue = make_chan<int>(kWorkers * 3), results = make_chan<int>(kWorkers * 3);
        Join join;
        for (int w = 0; w < kWorkers; ++w)
            go_join(join, [=] {
                for (int v : queue) {
                    if (kItems[static_cast<size_t>(w + v) % kItems.size()] == v) gort::yield();
                    results << v;
                }
            });
        long want = 0;
        for (int i = 0; i < count; ++i) want += kItems[static_cast<size_t>(i) % kItems.size()];
        go([=] {
            for (int i = 0; i < count; ++i) queue << kItems[static_cast<size_t>(i) % kItems.size()];
            queue.close();
            join.wait(kWorkers);
            results.close();
        });
        int n = 0;
        long sum = 0;
        for (int v : results) ++n, sum += v;
        CHECK_EQ(n, count);
        CHECK_EQ(sum, want);
    });
}

// runtime TestChanSendInterface
TEST(runtime_TestChanSendInterface) {
    run(1, [] {
        struct Mine {
            int v;
        };
        auto c = make_chan<std::any>(1);
        c << Mine{1};
        CHECK_EQ(select(on_send(c, Mine{2}), otherwise()), 1);
        CHECK_EQ(select(on_send(c, Mine{3}), on_send(c, std::string("x")), otherwise()), 2);
        CHECK_EQ(std::any_cast<Mine>(c.recv()).v, 1);
        CHECK_EQ(select(on_send(c, Mine{4}), on_recv(make_chan<int>())), 0);
        CHECK_EQ(std::any_cast<Mine>(c.recv()).v, 4);
    });
}

// runtime TestSelectStackAdjust: pointers into the waiting frame stay good while it waits, a channel twice among the
// cases.
TEST_P(runtime_TestSelectStackAdjust, 1, 2) {
    run(procs, [] {
        auto c = make_chan<int*>(), d = make_chan<int*>();
        auto ready = make_chan<unit>();
        Join join;
        go_join(join, [=] {
            int x = 0;
            int* new_c = nullptr;
            int* new_d = nullptr;
            ready << unit{};
            for (int i = 0; i < 2; ++i) {
                const int at = select(on_recv(c, new_c), on_recv(c, new_c), on_recv(d, new_d),
                                      on_send(chan<int*>(), &x));
                CHECK(at == 2 ? *new_d == 42 : *new_c == 41);
            }
            CHECK_EQ(x, 0);
        });
        ready.recv();
        int y = 41, z = 42;
        wait_for(d, Side::kReceivers, 1);
        c << &y;
        wait_for(d, Side::kReceivers, 1);
        d << &z;
        join.wait(1);
    });
}
