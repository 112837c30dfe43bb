// tests/net_deadline_test.cc - deadlines: NP-07 to NP-18, NP-22, NP-39.
// SPDX-License-Identifier: BSD-2-Clause
//
// Nothing here asks that something ends early enough, only that it ends, and not before its deadline.
#include <unistd.h>

#include "tests/net_test.h"

using namespace gort;
using namespace gort::net_test;

namespace {

time_point in(std::chrono::nanoseconds d) { return std::chrono::steady_clock::now() + d; }

}  // namespace

TEST_P(np07_deadline_ends_a_pending_read, 1, 2, 8) {
    with_procs(procs, [] {
        Pair p = tcp_pair();
        chan<std::error_code> got = make_chan<std::error_code>();
        go([a = p.a, got] {
            char c[1];
            got << a.read(c).error();
        });
        until_waiting(1);
        const time_point when = in(20ms);
        p.a.set_read_deadline(when).value();
        CHECK(timed_out(got.recv()));
        CHECK(when <= std::chrono::steady_clock::now());
        // NP-08: and it stays.
        char c[1];
        auto r = p.a.read(c);
        CHECK_EQ(r.error(), std::make_error_code(std::errc::timed_out));
        // NP-10
        p.a.set_read_deadline(time_point{}).value();
        p.b.write("x").value();
        CHECK_EQ(read_text(p.a), "x");
        p.a.set_read_deadline(1h).value();
        p.b.write("y").value();
        CHECK_EQ(read_text(p.a), "y");
    });
}

TEST_P(np07_deadline_ends_a_pending_write, 1, 2) {
    with_procs(procs, [] {
        Pair p = tcp_pair();
        std::string big(64 << 20, 'x');
        go([a = p.a] {
            until_waiting(1);
            a.set_write_deadline(5ms).value();
        });
        auto r = p.a.write(big);
        CHECK(timed_out(r.error()));
        CHECK_LT(0, r.partial());
        CHECK_LT(r.partial(), big.size());
        until_alone();
        // What was sent before is not lost.
        size_t got = 0;
        p.a.close_write().value();
        got = read_all(p.b).size();
        CHECK_EQ(got, r.partial());
    });
}

// NP-09: with data and room there.  NP-12: now is late.
TEST_P(np09_past_deadline_fails_at_once, 1, 2) {
    with_procs(procs, [] {
        Pair p = tcp_pair();
        p.b.write("data").value();
        CHECK_EQ(read_text(p.a, 1), "d");
        for (auto when : {in(-5s), in(0s), time_point(1ns)}) {
            p.a.set_deadline(when).value();
            char c[1];
            auto r = p.a.read(c);
            CHECK(timed_out(r.error()));
            CHECK_EQ(r.partial(), 0);
            CHECK(timed_out(p.a.write("x").error()));
        }
        p.a.set_deadline(0ms).value();  // a duration of nothing has passed
        char c[1];
        CHECK(timed_out(p.a.read(c).error()));
        p.a.set_deadline(time_point{}).value();
        CHECK_EQ(read_text(p.a), "ata");
    });
}

TEST_P(np11_read_and_write_deadlines_are_independent, 1, 2) {
    with_procs(procs, [] {
        Pair p = tcp_pair();
        p.a.set_deadline(in(-1s)).value();
        p.a.set_write_deadline(in(-1s)).value();
        p.a.read_deadline(time_point{}).value();
        std::atomic<bool> back{false};
        go([&] {
            CHECK_EQ(read_text(p.a), "x");
            back = true;
        });
        until_waiting(1);
        CHECK(timed_out(p.a.write("y").error()));
        gort::sleep(50ms);
        CHECK(!back.load());
        p.b.write("x").value();
        EVENTUALLY(back.load());
        p.a.write_deadline(1h).value();
        p.a.write("y").value();
    });
}

TEST_P(np13_deadlines_of_all_lengths, 1, 4) {
    with_procs(procs, [] {
        Pair p = tcp_pair();
        for (auto d : std::initializer_list<std::chrono::nanoseconds>{1ns, 2ns, 5ns, 50ns, 100ns, 200ns,
                                                                      500ns, 750ns, 1us, 5us, 25us, 250us,
                                                                      500us, 1ms, 5ms, 100ms, 250ms}) {
            for (int run = 0; run < 3; ++run) {
                const int64_t start = rt::now();
                p.a.set_read_deadline(d).value();
                char c[1];
                CHECK(timed_out(p.a.read(c).error()));
                CHECK_LE(d.count(), rt::now() - start);
            }
        }
    });
}

// NP-14: extended again and again while a read is parked.
TEST_P(np14_moving_a_pending_deadline, 1, 2) {
    with_procs(procs, [] {
        Pair p = tcp_pair();
        chan<int64_t> ended = make_chan<int64_t>(1);
        int64_t last = 0;
        // on a machine that stalls, a deadline may pass before it is moved
        for (bool in_time = false; !in_time;) {
            in_time = true;
            last = rt::now() + 50000000;
            p.a.set_read_deadline(50ms).value();
            go([a = p.a, ended] {
                char c[1];
                CHECK(timed_out(a.read(c).error()));
                ended << rt::now();
            });
            for (int i = 0; i < 5; ++i) {
                gort::sleep(20ms);
                const int64_t before = last;
                last = rt::now() + 50000000;
                p.a.set_read_deadline(50ms).value();
                in_time &= rt::now() < before;
            }
            const int64_t end = ended.recv();
            if (in_time) CHECK_LE(last, end);
        }
        // Earlier: the timer is moved.
        p.a.set_read_deadline(1h).value();
        go([a = p.a, ended] {
            char c[1];
            CHECK(timed_out(a.read(c).error()));
            ended << 0;
        });
        until_waiting(1);
        p.a.set_read_deadline(1ms).value();
        ended.recv();
    });
}

// NP-14, NP-17: a deadline set anew before every operation never ends one that is not late.
TEST_P(np14_far_deadlines_before_every_operation, 1, 2, 8) {
    with_procs(procs, [] {
        Pair p = tcp_pair();
        go([b = p.b] {
            char c[1];
            for (;;) {
                b.set_deadline(1h).value();
                if (!b.read(c)) return;
                b.write(c).value();
            }
        });
        for (int i = 0; i < 500; ++i) {
            p.a.set_deadline(1h + std::chrono::milliseconds(i)).value();
            p.a.write("x").value();
            char c[1];
            CHECK_EQ(p.a.read(c).value(), 1);
        }
        p.a.close().value();
    });
}

// Each timeout must belong to a deadline that had passed before it was replaced.
TEST_P(np17_a_timeout_that_was_moved_in_time_is_none, 1, 2, 8) {
    with_procs(procs, [] {
        Pair p = tcp_pair();
        struct Set {
            int64_t deadline, replaced;
        };
        std::vector<Set> sets;
        std::vector<int64_t> timeouts;
        Join join;
        join.add();
        go([&] {
            char c[1];
            for (;;) {
                auto r = p.a.read(c);
                if (r.error() == net::errc::closed) break;
                CHECK(timed_out(r.error()));
                timeouts.push_back(rt::now());
                gort::yield();
            }
            join.done();
        });
        for (int i = 0; i < 500; ++i) {
            const int64_t soon = rt::now() + 20000 + i % 50 * 4000;
            p.a.set_read_deadline(time_point(std::chrono::nanoseconds(soon))).value();
            if (!sets.empty()) sets.back().replaced = rt::now();
            sets.push_back({soon, 0});
            for (int k = 0; k < i % 7; ++k) gort::yield();
        }
        p.a.close().value();
        sets.back().replaced = rt::now();
        join.wait();
        for (int64_t t : timeouts) {
            bool just = false;
            for (const Set& s : sets) just |= s.deadline <= t && s.deadline <= s.replaced;
            CHECK(just);
        }
    });
}

TEST_P(np15_deadlines_set_by_many_at_once, 1, 2, 8) {
    with_procs(procs, [] {
        std::vector<Pair> pairs;
        for (int i = 0; i < 10; ++i) pairs.push_back(tcp_pair());
        Join join;
        for (int g = 0; g < 8; ++g) {
            join.add();
            go([&, g] {
                for (int i = 0; i < 100; ++i)
                    for (auto& p : pairs) {
                        if (g % 3 == 0) p.a.set_read_deadline(std::chrono::microseconds(i)).value();
                        if (g % 3 == 1) p.a.set_write_deadline(time_point{}).value();
                        if (g % 3 == 2) p.a.set_deadline(in(std::chrono::milliseconds(i))).value();
                    }
                join.done();
            });
        }
        for (auto& p : pairs) {
            join.add(2);
            go([&p, &join] {
                char c[1];
                for (int i = 0; i < 50; ++i) (void)p.a.read(c);
                join.done();
            });
            go([&p, &join] {
                for (int i = 0; i < 50; ++i) (void)p.a.write("x");
                join.done();
            });
        }
        std::atomic<bool> over{false};
        gort::go([&] {
            while (!over) {
                gort::sleep(1ms);
                for (auto& p : pairs) (void)p.a.set_deadline(1us);
            }
        });
        join.wait();
        over = true;
        until_alone();
    });
}

// NP-16: descriptors and their memory are reused at once; timers of the last life must not end anything of this one.
TEST_P(np16_stale_timers_end_nothing, 1, 2, 8) {
    with_procs(procs, [] {
        Join join;
        for (int w = 0; w < 4; ++w) {
            join.add();
            go([&, w] {
                auto l = net::listen("127.0.0.1:0").value();
                for (int i = 0; i < 100; ++i) {
                    auto c = net::dial(address_of(l)).value();
                    auto s = l.accept().value();
                    char buf[1];
                    if ((i + w) % 2) {
                        c.set_read_deadline(std::chrono::microseconds(50)).value();
                        CHECK(timed_out(c.read(buf).error()));
                        c.set_read_deadline(std::chrono::microseconds(20)).value();  // pending at the close
                    } else {
                        Join reader;
                        reader.add();
                        go([&] {
                            auto r = c.read(buf);  // without a deadline
                            CHECK(r.error() != std::errc::timed_out);
                            reader.done();
                        });
                        for (int k = 0; k < 5; ++k) gort::yield();
                        c.close().value();
                        reader.wait();
                    }
                }
                join.done();
            });
        }
        join.wait();
    });
}

TEST(np18_deadlines_beyond_counting) {
    with_procs(1, [] {
        Pair p = tcp_pair();
        p.b.write("abc").value();
        p.a.set_deadline(time_point::max()).value();
        CHECK_EQ(read_text(p.a, 1), "a");
        p.a.set_deadline(std::chrono::hours(1 << 30)).value();
        CHECK_EQ(read_text(p.a, 1), "b");
        p.a.set_deadline(time_point::min()).value();
        char c[1];
        CHECK(timed_out(p.a.read(c).error()));
    });
}

TEST_P(np22_accept_has_deadlines, 1, 2) {
    with_procs(procs, [] {
        auto l = net::listen("127.0.0.1:0").value();
        auto c = net::dial(address_of(l)).value();
        l.set_deadline(in(-1s)).value();
        CHECK(timed_out(l.accept().error()));
        l.set_deadline(1h).value();
        l.accept().value();
        l.set_deadline(10ms).value();
        CHECK(timed_out(l.accept().error()));
        l.set_deadline(time_point{}).value();
        std::atomic<bool> back{false};
        go([&] {
            CHECK_EQ(l.accept().error(), make_error_code(net::errc::closed));
            back = true;
        });
        until_waiting(1);
        l.close().value();
        EVENTUALLY(back.load());
    });
}

TEST_P(np39_pipes_have_deadlines_too, 1, 2) {
    with_procs(procs, [] {
        int fds[2];
        CHECK_EQ(pipe(fds), 0);
        net::fd r(fds[0]), w(fds[1]);
        char c[4];
        r.set_read_deadline(5ms).value();
        CHECK(timed_out(r.read(c).error()));
        w.write("ab").value();
        CHECK(timed_out(r.read(c).error()));
        CHECK(timed_out(r.wait_readable().error()));
        r.set_read_deadline(time_point{}).value();
        CHECK_EQ(r.read(c).value(), 2);
        go([w] {
            until_waiting(1);
            w.set_write_deadline(5ms).value();
        });
        std::string big(1 << 20, 'x');
        auto sent = w.write(big);
        CHECK(timed_out(sent.error()));
        CHECK_LT(0, sent.partial());
    });
}

// A waiting deadline may be the only thing that will ever happen.
TEST_P(a_deadline_wakes_an_idle_process, 1, 2, 8) {
    with_procs(procs, [] {
        Pair p = tcp_pair();
        char c[1];
        for (int i = 0; i < 5; ++i) {
            p.a.set_read_deadline(10ms).value();
            CHECK(timed_out(p.a.read(c).error()));
        }
    });
}
