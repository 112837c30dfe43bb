// tests/net_tcp_test.cc - connections: NP-01 to NP-06, NP-19 to NP-25, NP-31 and what belongs to them.
// SPDX-License-Identifier: BSD-2-Clause
#include <fcntl.h>
#include <sys/socket.h>

#include <thread>

#include "tests/net_test.h"

using namespace gort;
using namespace gort::net_test;

TEST_P(np06_echo_and_end, 1, 2, 8) {
    with_procs(procs, [] {
        auto l = net::listen("127.0.0.1:0").value();
        serve(l, [](const net::conn& c) {
            char buf[100];
            while (auto n = c.read(buf)) c.write(std::span(buf, *n)).value();
            c.close().value();
        });
        for (int i = 0; i < 20; ++i) {
            auto c = net::dial(address_of(l)).value();
            for (int k = 0; k < 10; ++k) {
                const std::string say = "hello " + std::to_string(k);
                CHECK_EQ(c.write(say).value(), say.size());
                std::string got(say.size(), ' ');
                CHECK_EQ(c.read_full(got).value(), say.size());
                CHECK_EQ(got, say);
            }
            c.close_write().value();
            char byte[1];
            auto end = c.read(byte);
            CHECK_EQ(end.error(), make_error_code(net::errc::eof));
            CHECK_EQ(end.error().message(), "EOF");
            CHECK_EQ(end.value(), 0);
            CHECK(!end);
        }
        l.close().value();
    });
}

TEST_P(np06_empty_read_returns_at_once, 1, 2) {
    with_procs(procs, [] {
        Pair p = tcp_pair();
        CHECK_EQ(p.a.read(std::span<char>{}).value(), 0);
        CHECK_EQ(p.a.write("").value(), 0);
        p.a.close().value();
        CHECK_EQ(p.a.read(std::span<char>{}).error(), make_error_code(net::errc::closed));
    });
}

TEST(np06_read_full_says_how_much_came) {
    with_procs(1, [] {
        Pair p = tcp_pair();
        p.a.write("abc").value();
        p.a.close_write().value();
        char buf[10];
        auto r = p.b.read_full(buf);
        CHECK_EQ(r.error(), make_error_code(net::errc::unexpected_eof));
        CHECK_EQ(r.partial(), 3);
        CHECK_EQ(text(buf, 3), "abc");
        r = p.b.read_full(buf);
        CHECK_EQ(r.error(), make_error_code(net::errc::eof));
    });
}

// NP-01: a blocked read costs a goroutine and no thread.
TEST_P(np01_blocked_reads_take_no_threads, 1, 2) {
    with_procs(procs, [procs] {
        constexpr int kConns = 300;
        std::vector<Pair> pairs;
        Join join;
        for (int i = 0; i < kConns; ++i) pairs.push_back(tcp_pair());
        const int before = waiters();
        for (auto& p : pairs) {
            join.add();
            go([c = p.b, &join] {
                char buf[4];
                CHECK_EQ(c.read_full(buf).value(), 4);
                CHECK_EQ(text(buf, 4), "ping");
                join.done();
            });
        }
        until_waiting(before + kConns);
        CHECK_LE(sched_test::count_threads(), procs + 6);
        for (auto& p : pairs) p.a.write("ping").value();
        join.wait();
    });
}

// NP-03: writes and reads meet in every order; nothing is lost or waited for in vain.
TEST_P(np03_readiness_before_the_wait_is_not_lost, 1, 2, 8) {
    with_procs(procs, [] {
        Pair p = tcp_pair();
        Join join;
        join.add();
        go([&] {
            for (int i = 0; i < 3000; ++i) {
                char c[1];
                CHECK_EQ(p.b.read_full(c).value(), 1);
                if (i % 3 == 0) gort::yield();
                CHECK_EQ(p.b.write(c).value(), 1);
            }
            join.done();
        });
        for (int i = 0; i < 3000; ++i) {
            const char out[] = {char('a' + i % 26)};
            p.a.write(std::span(out, 1)).value();
            if (i % 2 == 0) gort::yield();
            char in[1];
            CHECK_EQ(p.a.read_full(in).value(), 1);
            CHECK_EQ(in[0], out[0]);
        }
        join.wait();
    });
}

// A short read must not make the next one wait when the end, or more data, is there already.
TEST_P(np03_end_behind_a_short_read, 1, 2) {
    with_procs(procs, [] {
        for (int i = 0; i < 200; ++i) {
            Pair p = tcp_pair();
            go([a = p.a] {
                a.write("x").value();
                a.write("yz").value();
                a.close().value();
            });
            if (i % 2) until_waiting(0);
            CHECK_EQ(read_all(p.b), "xyz");
        }
    });
}

// Reading stops at urgent data with more behind it: after that short read there is no further edge.
TEST_P(np03_urgent_data_does_not_stall_the_reader, 1, 2) {
    with_procs(procs, [] {
        Pair p = tcp_pair();
        const int fd = p.a.native_handle();
        CHECK_EQ(send(fd, "ab", 2, 0), 2);
        CHECK_EQ(send(fd, "!", 1, MSG_OOB), 1);
        CHECK_EQ(send(fd, "cd", 2, 0), 2);
        p.a.close_write().value();
        CHECK_EQ(read_all(p.b), "abcd");
    });
}

// NP-04: several readers, several writers, one connection.
TEST_P(np04_operations_of_one_direction_take_turns, 1, 2, 8) {
    with_procs(procs, [] {
        Pair p = tcp_pair();
        constexpr int kEach = 8, kSize = 100000;
        Join join;
        for (int i = 0; i < kEach; ++i) {
            join.add();
            go([&, i] {
                const std::string mine(kSize, char('a' + i));
                CHECK_EQ(p.a.write(mine).value(), kSize);
                join.done();
            });
        }
        std::string all(size_t{kEach} * kSize, '?');
        CHECK_EQ(p.b.read_full(all).value(), all.size());
        for (int i = 0; i < kEach; ++i)
            CHECK_EQ(all.find_first_not_of(all[size_t(i) * kSize], size_t(i) * kSize),
                     i + 1 < kEach ? size_t(i + 1) * kSize : std::string::npos);
        join.wait();

        std::atomic<int> sum{0};
        Join readers;
        for (int i = 0; i < kEach; ++i) {
            readers.add();
            go([&] {
                char c[1];
                CHECK_EQ(p.b.read_full(c).value(), 1);
                sum += 1 << c[0];
                readers.done();
            });
        }
        until_waiting(1);  // the others queue up behind
        for (char i = 0; i < kEach; ++i) p.a.write(std::span(&i, 1)).value();
        readers.wait();
        CHECK_EQ(sum.load(), (1 << kEach) - 1);
    });
}

TEST_P(np05_write_sends_all_to_a_slow_reader, 1, 2) {
    with_procs(procs, [] {
        Pair p = tcp_pair();
        constexpr size_t kSize = 10 << 20;
        chan<size_t> sent = make_chan<size_t>(1);
        go([a = p.a, sent] {
            std::string big(kSize, 'x');
            for (size_t i = 0; i < kSize; i += 4096) big[i] = char('a' + i / 4096 % 26);
            sent << a.write(big).value();
            a.close_write().value();
        });
        size_t got = 0;
        std::vector<char> buf(70001);
        for (;;) {
            auto n = p.b.read(buf);
            if (!n) break;
            for (size_t i = 0; i < *n; ++i)
                if ((got + i) % 4096 == 0) CHECK_EQ(buf[i], char('a' + (got + i) / 4096 % 26));
            got += *n;
            if (got % 7 == 0) gort::yield();
        }
        CHECK_EQ(got, kSize);
        CHECK_EQ(sent.recv(), kSize);
    });
}

TEST_P(np05_writev_is_one_write, 1, 2) {
    with_procs(procs, [] {
        Pair p = tcp_pair();
        std::vector<std::string> parts;
        std::string whole;
        for (int i = 0; i < 100; ++i) {
            parts.push_back(std::string(size_t(i * 997 % 5000), char('a' + i % 26)));
            whole += parts.back();
        }
        go([&] {
            std::vector<net::const_buffer> v(parts.begin(), parts.end());
            CHECK_EQ(p.a.writev(v).value(), whole.size());
            p.a.writev({"one", std::string_view(" two"), net::const_buffer()}).value();
            p.a.close_write().value();
        });
        CHECK(read_all(p.b) == whole + "one two");
    });
}

// NP-19, NP-20
TEST_P(np19_close_wakes_whoever_waits, 1, 2, 8) {
    with_procs(procs, [] {
        Pair p = tcp_pair();
        auto l = net::listen("127.0.0.1:0").value();
        std::string big(64 << 20, 'x');
        Join join;
        const auto closed = make_error_code(net::errc::closed);
        for (int i = 0; i < 3; ++i) {
            join.add(3);
            go([&] {
                char c[1];
                CHECK_EQ(p.a.read(c).error(), closed);
                join.done();
            });
            go([&] {
                auto r = p.a.write(big);
                CHECK_EQ(r.error(), closed);
                CHECK_LT(r.partial(), big.size());
                join.done();
            });
            go([&] {
                CHECK_EQ(l.accept().error(), closed);
                join.done();
            });
        }
        until_waiting(3);
        p.a.close().value();
        l.close().value();
        join.wait();
        CHECK_EQ(closed.message(), "use of closed network connection");
        CHECK(closed == std::errc::bad_file_descriptor);
        CHECK(closed != std::errc::timed_out);

        char c[1];
        CHECK_EQ(p.a.read(c).error(), closed);
        CHECK_EQ(p.a.write("x").error(), closed);
        CHECK_EQ(p.a.close().error(), closed);
        CHECK_EQ(p.a.close_write().error(), closed);
        CHECK_EQ(p.a.set_deadline(1s).error(), closed);
        CHECK_EQ(p.a.local_endpoint().error(), closed);
        CHECK_EQ(l.accept().error(), closed);
        CHECK_EQ(p.a.native_handle(), -1);
        net::conn none;
        CHECK_EQ(none.read(c).error(), closed);
    });
}

// The descriptor is closed when close returns: the peer sees the end although a reader was inside.
TEST_P(np21_closed_when_close_returns, 1, 2) {
    with_procs(procs, [] {
        Pair p = tcp_pair();
        go([a = p.a] {
            char c[1];
            CHECK(!a.read(c));
        });
        until_waiting(1);
        const int fd = p.a.native_handle();
        p.a.close().value();
        CHECK_EQ(fcntl(fd, F_GETFD), -1);
        CHECK_EQ(read_all(p.b), "");
    });
}

// NP-21: numbers are reused at once, by others, while goroutines still come back from the old ones.
TEST_P(np21_reused_numbers_wake_nobody_else, 1, 2, 8) {
    with_procs(procs, [] {
        auto l = net::listen("127.0.0.1:0").value();
        serve(l, [](const net::conn& c) {
            char buf[8];
            if (c.read_full(buf)) (void)c.write(buf);
        });
        Join join;
        for (int w = 0; w < 8; ++w) {
            join.add();
            go([&, w] {
                for (int i = 0; i < 100; ++i) {
                    auto c = net::dial(address_of(l)).value();
                    char out[8], in[8];
                    std::snprintf(out, sizeof out, "%d:%d", w, i);
                    Join reader;
                    reader.add();
                    go([&] {
                        auto r = c.read_full(in);
                        if (r) CHECK_EQ(text(in, 8), text(out, 8));
                        else if (i % 2 == 0) CHECK_EQ(r.error(), make_error_code(net::errc::closed));
                        reader.done();
                    });
                    if (i % 2) {
                        c.write(out).value();
                        reader.wait();
                        c.close().value();
                    } else {
                        c.close().value();  // it sent nothing
                        reader.wait();
                    }
                }
                join.done();
            });
        }
        join.wait();
        l.close().value();
    });
}

TEST_P(np25_half_close, 1, 2) {
    with_procs(procs, [] {
        Pair p = tcp_pair();
        p.a.write("request").value();
        p.a.close_write().value();
        CHECK_EQ(read_all(p.b), "request");
        p.b.write("reply").value();
        p.b.close().value();
        CHECK_EQ(read_all(p.a), "reply");
        CHECK_EQ(p.a.write("more").error(), std::make_error_code(std::errc::broken_pipe));  // and no SIGPIPE
    });
}

TEST_P(reset_by_peer, 1, 2) {
    with_procs(procs, [] {
        Pair p = tcp_pair();
        chan<std::error_code> got = make_chan<std::error_code>();
        go([b = p.b, got] {
            char c[1];
            got << b.read(c).error();
        });
        until_waiting(1);
        const linger hard{1, 0};
        CHECK_EQ(setsockopt(p.a.native_handle(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
        p.a.close().value();
        CHECK_EQ(got.recv(), std::make_error_code(std::errc::connection_reset));
        CHECK_EQ(p.b.write("x").error(), std::make_error_code(std::errc::broken_pipe));
    });
}

TEST(sigpipe_never_kills) {
    with_procs(1, [] {
        Pair p = tcp_pair();
        p.b.close().value();
        for (int i = 0; i < 100; ++i)
            if (!p.a.write("x")) return;
        CHECK(false);
    });
}

// NP-31
TEST_P(np31_waiting_for_the_network_is_no_deadlock, 1, 2) {
    with_procs(procs, [] {
        auto l = net::listen("127.0.0.1:0").value();
        std::thread([address = address_of(l)] {
            usleep(50000);
            (void)net::dial(address);  // a foreign thread
        }).detach();
        l.accept().value();
    });
}

TEST_P(foreign_threads_may_block, 1, 2, 8) {
    with_procs(procs, [] {
        auto l = net::listen("127.0.0.1:0").value();
        std::thread server([l] {
            auto c = l.accept().value();
            char buf[100];
            while (auto n = c.read(buf)) c.write(std::span(buf, *n)).value();
        });
        auto c = net::dial(address_of(l)).value();
        for (int i = 0; i < 200; ++i) {
            c.write("0123456789").value();
            char buf[10];
            CHECK_EQ(c.read_full(buf).value(), 10);
        }
        c.close().value();
        server.join();
    });
}

// Nothing but foreign threads: somebody has to start a poller for them.
TEST(foreign_threads_alone) {
    gort::start();
    auto l = net::listen("127.0.0.1:0").value();
    std::thread server([&] {
        auto c = l.accept().value();
        char buf[100];
        auto n = c.read(buf);
        c.write(std::span(buf, n.value())).value();
        c.set_read_deadline(30ms).value();
        CHECK(timed_out(c.read(buf).error()));
    });
    auto c = net::dial(address_of(l)).value();
    c.write("hi").value();
    char buf[2];
    CHECK_EQ(c.read_full(buf).value(), 2);
    server.join();
    // Whoever still waits when the runtime stops is told.
    std::thread last([&] { CHECK(l.accept().error() == std::errc::operation_canceled); });
    EVENTUALLY(waiters() == 1);
    gort::stop();
    last.join();
}

// A connection that outlives a run on which goroutines were blocked on it.
TEST_P(the_next_run_finds_the_connection_usable, 1, 2) {
    Pair p;
    sched_test::with_procs(procs, [&] {
        p = tcp_pair();
        go([&] {
            char c[1];
            (void)p.a.read(c);
            CHECK(false);
        });
        p.b.set_read_deadline(1h).value();
        go([&] {
            char c[1];
            (void)p.b.read(c);
            CHECK(false);
        });
        until_waiting(2);
    });
    CHECK_EQ(waiters(), 0);
    with_procs(procs, [&] {
        go([b = p.b] { b.write("later").value(); });
        char buf[5];
        CHECK_EQ(p.a.read_full(buf).value(), 5);
        p.b.set_read_deadline(1ms).value();
        CHECK(timed_out(p.b.read(buf).error()));
    });
}
