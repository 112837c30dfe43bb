// tests/net_fd_test.cc - net::fd, datagrams, Unix sockets, addresses: NP-26, NP-27, NP-32, NP-33, NP-35, NP-38 and
// others.
// SPDX-License-Identifier: BSD-2-Clause
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <thread>

#include "tests/net_test.h"

using namespace gort;
using namespace gort::net_test;

namespace {

std::string temp_name(const char* what) { return "/tmp/gort_" + std::to_string(getpid()) + "_" + what; }

}  // namespace

TEST_P(np26_what_can_be_polled, 1, 2) {
    with_procs(procs, [] {
        CHECK_EQ(net::fd::adopt(-1).error(), std::make_error_code(std::errc::bad_file_descriptor));
        std::string said;
        try {
            net::fd bad(-1);
        } catch (const std::system_error& e) {
            said = e.what();
        }
        CHECK_EQ(said, "Bad file descriptor");
        Ends p = pipe_ends();
        CHECK_EQ(net::fd::borrow(p.r.native_handle()).error(), std::make_error_code(std::errc::file_exists));
    });
}

TEST_P(pipe_carries_bytes, 1, 2, 8) {
    with_procs(procs, [] {
        Ends p = pipe_ends();
        constexpr size_t kSize = 1 << 20;
        go([=, w = p.w] {
            std::string big(kSize, 'p');
            CHECK_EQ(w.write(big).value(), kSize);
            w.close().value();
        });
        size_t got = 0;
        char buf[5000];
        while (auto n = p.r.read(buf)) got += *n;
        CHECK_EQ(got, kSize);
        CHECK_EQ(p.r.read(buf).error(), make_error_code(net::errc::eof));
    });
}

TEST(np27_pipe_without_a_reader) {
    with_procs(1, [] {
        Ends p = pipe_ends();
        p.r.close().value();
        CHECK_EQ(p.w.write("x").error(), std::make_error_code(std::errc::broken_pipe));
        sigset_t pending;
        sigpending(&pending);
        CHECK(!sigismember(&pending, SIGPIPE));
        sigset_t mask;
        pthread_sigmask(SIG_BLOCK, nullptr, &mask);
        CHECK(!sigismember(&mask, SIGPIPE));
    });
}
// On standard output it is the system's death, so that pipelines end.
TEST_DIES(np27_standard_output_is_different, "", -SIGPIPE) {
    int fds[2];
    CHECK_EQ(pipe(fds), 0);
    dup2(fds[1], 1);
    close(fds[0]);
    close(fds[1]);
    with_procs(1, [] {
        auto out = net::fd::borrow(1).value();
        (void)out.write("x");
    });
}

TEST_P(eventfd_and_timerfd, 1, 2) {
    with_procs(procs, [] {
        const int e = eventfd(0, EFD_CLOEXEC);
        net::fd ev(e);
        Join join;
        join.add();
        go([&] {
            for (int i = 0; i < 100; ++i) {
                ev.wait_readable().value();
                uint64_t v = 0;
                if (read(e, &v, sizeof v) < 0) CHECK_EQ(errno, EAGAIN);
                else if (v >= 1000) break;
            }
            join.done();
        });
        until_waiting(1);
        uint64_t one = 1;
        CHECK_EQ(write(e, &one, sizeof one), 8);
        gort::yield();
        one = 1000;
        CHECK_EQ(write(e, &one, sizeof one), 8);
        join.wait();
        const int t = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
        net::fd timer(t);
        itimerspec spec{{}, {0, 1000000}};
        CHECK_EQ(timerfd_settime(t, 0, &spec, nullptr), 0);
        timer.wait_readable().value();
    });
}

// Waiting is by level: who leaves bytes unread finds the descriptor readable again.
TEST_P(wait_readable_needs_no_new_edge, 1, 2) {
    with_procs(procs, [] {
        Ends p = pipe_ends();
        p.w.write("abc").value();
        for (int i = 0; i < 3; ++i) {
            p.r.wait_readable().value();
            p.r.wait_readable().value();
            char c;
            CHECK_EQ(read(p.r.native_handle(), &c, 1), 1);
        }
        p.r.set_read_deadline(1ms).value();
        CHECK(timed_out(p.r.wait_readable().error()));
        p.w.wait_writable().value();
        p.w.close().value();
        p.r.set_read_deadline(time_point{}).value();
        p.r.wait_readable().value();  // the end can be read
    });
}

// A library's socket: ours to wait for, theirs to close.
TEST_P(borrowed_and_released, 1, 2) {
    with_procs(procs, [] {
        int s[2];
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
        {
            auto f = net::fd::borrow(s[0]).value();
            go([fd = s[1]] { CHECK_EQ(write(fd, "x", 1), 1); });
            f.wait_readable().value();
            f.close().value();
        }
        CHECK(fcntl(s[0], F_GETFD) >= 0);
        for (int i = 0; i < 3; ++i) {
            auto f = net::fd::adopt(s[0]).value();
            CHECK_EQ(f.release().value(), s[0]);
            CHECK_EQ(f.wait_readable().error(), make_error_code(net::errc::closed));
        }
        close(s[0]);
        close(s[1]);
    });
}

TEST_P(np19_close_wakes_the_readers_of_pipes, 1, 2) {
    with_procs(procs, [] {
        Ends p = pipe_ends();
        Join join;
        for (int i = 0; i < 2; ++i) {
            join.add();
            go([&, i] {
                char c[1];
                CHECK_EQ(i ? p.r.read(c).error() : p.r.wait_readable().error(),
                         make_error_code(net::errc::closed));
                join.done();
            });
        }
        until_waiting(1);
        p.r.close().value();
        join.wait();
    });
}

// NP-38
TEST_P(np38_close_races_with_read_and_write, 1, 2, 8) {
    with_procs(procs, [] {
        for (int i = 0; i < 200; ++i) {
            Ends p = pipe_ends();
            // With one P each yield lets the others fill or empty the pipe: not for a whole time slice.
            CHECK(fcntl(p.w.native_handle(), F_SETPIPE_SZ, 4096) > 0);
            Join join;
            join.add(3);
            go([&] {
                char c[1];
                while (p.r.read(c)) {
                }
                join.done();
            });
            go([&] {
                while (p.w.write("xyz")) {
                }
                join.done();
            });
            go([&, i] {
                for (int k = 0; k < i % 5; ++k) gort::yield();
                (void)p.r.close();
                (void)p.r.close();
                join.done();
            });
            join.wait();
        }
    });
}

// NP-33: the queue of one direction is bounded. The million waiters are counted, not made.
TEST(np33_too_many_operations) {
    with_procs(1, [] {
        rt::PollDesc* d = nullptr;
        const int e = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        CHECK_EQ(rt::poll_open(e, 0, true, &d), 0);
        CHECK_EQ(rt::poll_begin(d, rt::kRead), 0);
        d->side[rt::kRead].queue.count = 1048575;
        CHECK_EQ(sched_test::panic_of([&] { (void)rt::poll_begin(d, rt::kRead); }),
                 "too many concurrent operations on a single file or socket (max 1048575)");
        d->side[rt::kRead].queue.count = 0;
        rt::poll_end(d, rt::kRead);
        rt::poll_drop(d);
    });
}

// NP-35: a storm of signals during I/O.
TEST_P(np35_interrupted_calls_go_on, 1, 2) {
    struct sigaction sa {};
    sa.sa_handler = [](int) {};
    sigaction(SIGALRM, &sa, nullptr);  // no SA_RESTART
    const itimerval fast{{0, 200}, {0, 200}}, off{};
    with_procs(procs, [&] {
        Pair p = tcp_pair();
        setitimer(ITIMER_REAL, &fast, nullptr);
        Join join;
        join.add();
        go([&] {
            std::string big(8 << 20, 'x');
            CHECK_EQ(p.a.write(big).value(), big.size());
            p.a.close_write().value();
            join.done();
        });
        CHECK_EQ(read_all(p.b).size(), size_t{8} << 20);
        join.wait();
        setitimer(ITIMER_REAL, &off, nullptr);
    });
}

TEST_P(udp_datagrams, 1, 2) {
    with_procs(procs, [] {
        for (const char* any : {"127.0.0.1:0", "[::1]:0"}) {
            auto a = net::listen_packet("udp", any).value();
            auto b = net::listen_udp(any).value();
            go([b] {
                char buf[100];
                net::endpoint from;
                for (int i = 0; i < 20; ++i) {
                    auto n = b.read_from(buf, from).value();
                    b.write_to(std::span(buf, n), from).value();
                }
                b.close().value();
            });
            const net::endpoint to = b.local_endpoint().value();
            for (int i = 0; i < 20; ++i) {
                const std::string say(size_t(i * 3), char('a' + i));
                CHECK_EQ(a.write_to(say, to).value(), say.size());
                char buf[100];
                auto p = a.read_from(buf).value();
                CHECK_EQ(text(buf, p.size), say);
                CHECK_EQ(p.from.to_string(), to.to_string());
                CHECK(!p.truncated);
            }
            a.write_to("too long", a.local_endpoint().value()).value();
            char small[3];
            auto p = a.read_from(small).value();
            CHECK(p.truncated);
            CHECK_EQ(p.size, 3);
            std::vector<char> large(70000);
            CHECK_EQ(a.write_to(large, to).error(), std::make_error_code(std::errc::message_size));
            a.set_read_deadline(1ms).value();
            CHECK(timed_out(a.read_from(small).error()));
            until_alone();
        }
    });
}

TEST_P(udp_connected, 1, 2) {
    with_procs(procs, [] {
        auto s = net::listen_packet("udp4", "127.0.0.1:0").value();
        auto c = net::dial("udp", s.local_endpoint()->to_string()).value();
        c.write("ping").value();
        char buf[10];
        auto p = s.read_from(buf).value();
        s.write_to("", p.from).value();
        auto n = c.read(buf);
        CHECK(bool(n));  // an empty datagram is no end
        CHECK_EQ(n.value(), 0);
        s.close().value();
        std::error_code e;
        for (int i = 0; i < 100 && !e; ++i) {
            e = c.write("x").error();
            if (!e) e = (c.set_read_deadline(20ms).value(), c.read(buf).error());
            if (timed_out(e)) e = {};
        }
        CHECK_EQ(e, std::make_error_code(std::errc::connection_refused));
    });
}

TEST_P(unix_streams_and_datagrams, 1, 2) {
    with_procs(procs, [] {
        const std::string path = temp_name("stream");
        unlink(path.c_str());
        for (const std::string& name : {path, "@gort-test-" + std::to_string(getpid())}) {
            auto l = net::listen_unix(name).value();
            CHECK_EQ(l.local_endpoint()->to_string(), name);
            CHECK_EQ(net::listen_unix(name).error(), std::make_error_code(std::errc::address_in_use));
            go([name] {
                auto c = net::dial_unix(name).value();
                c.write("over unix").value();
                c.close().value();
            });
            auto c = l.accept().value();
            CHECK_EQ(read_all(c), "over unix");
            l.close().value();
        }
        unlink(path.c_str());
        auto seq = net::listen("unixpacket", path).value();
        go([path] {
            auto c = net::dial("unixpacket", path).value();
            c.write("one").value();
            c.write("two").value();
            c.close().value();
        });
        auto c = seq.accept().value();
        CHECK_EQ(read_text(c), "one");
        CHECK_EQ(read_text(c), "two");
        CHECK_EQ(read_all(c), "");
        unlink(path.c_str());
        auto d = net::listen_unixgram(path).value();
        auto from = net::dial("unixgram", path).value();
        from.write("datagram").value();
        char buf[20];
        auto p = d.read_from(buf).value();
        CHECK_EQ(text(buf, p.size), "datagram");
        CHECK_EQ(p.from.to_string(), "");
        unlink(path.c_str());
        CHECK_EQ(net::dial_unix(path).error(), std::make_error_code(std::errc::no_such_file_or_directory));
        CHECK_EQ(net::dial_unix(std::string(108, 'x')).error(), make_error_code(net::errc::bad_address));
    });
}

TEST(addresses_as_text) {
    auto same = [](const char* in, const char* out) {
        auto e = net::endpoint::parse(in);
        CHECK(bool(e));
        CHECK_EQ(e->to_string(), out);
        CHECK_EQ(net::endpoint::parse(e->to_string()).value().to_string(), out);
    };
    same("127.0.0.1:80", "127.0.0.1:80");
    same("0.0.0.0:0", "0.0.0.0:0");
    same("255.255.255.255:65535", "255.255.255.255:65535");
    same("[::]:1", "[::]:1");
    same("[::1]:1", "[::1]:1");
    same("[1::]:1", "[1::]:1");
    same("[2001:DB8:0:0:1:0:0:1]:443", "[2001:db8::1:0:0:1]:443");
    same("[1:2:3:4:5:6:7:8]:9", "[1:2:3:4:5:6:7:8]:9");
    same("[1:0:3:4:5:6:7:8]:9", "[1:0:3:4:5:6:7:8]:9");
    same("[0:0:0:4::]:9", "[0:0:0:4::]:9");
    same("[::ffff:1.2.3.4]:9", "1.2.3.4:9");
    same("[64:ff9b::1.2.3.4]:9", "[64:ff9b::102:304]:9");
    same("[fe80::1%3]:9", "[fe80::1%3]:9");
    for (const char* bad : {"1.2.3:80",
                            "1.2.3.4.5:80",
                            "256.1.1.1:1",
                            "01.2.3.4:1",
                            "1.2.3.4:",
                            "1.2.3.4",
                            "1.2.3.4:65536",
                            "1.2.3.4:-1",
                            "1.2.3.4:x",
                            "::1:80",
                            "[::1]",
                            "[::1:80",
                            "::1]:80",
                            "[:1]:80",
                            "[1:::2]:80",
                            "[1:2:3:4:5:6:7:8:9]:1",
                            "[1:2:3:4:5:6:7]:1",
                            "[::12345]:1",
                            "[::g]:1",
                            "[1:2:]:1",
                            "[::1.2.3]:1",
                            "",
                            ":",
                            "[]:1",
                            "[::1%]:1",
                            "[1:2:3:4:5:6:7::8]:1"})
        if (net::endpoint::parse(bad)) gort::test::fail(__FILE__, __LINE__, "taken: %s", bad);
    CHECK_EQ(net::endpoint::parse("1.2.3.4").error().message(), "missing port in address");
    CHECK_EQ(net::endpoint().to_string(), "");
    CHECK_EQ(net::endpoint::parse("[fe80::1%3]:9")->host(), "fe80::1%3");
}

TEST(listening_on_every_address) {
    with_procs(1, [] {
        auto l = net::listen(":0").value();
        const std::string port = std::to_string(l.port());
        for (const char* host : {"127.0.0.1:", "[::1]:", ":"}) {
            auto c = net::dial(host + port).value();
            l.accept().value();
        }
        auto v4 = net::listen("tcp4", ":0").value();
        CHECK_EQ(v4.local_endpoint()->host(), "0.0.0.0");
        auto c = net::dial("127.0.0.1:" + std::to_string(v4.port())).value();
        CHECK_EQ(c.remote_endpoint()->port(), v4.port());
        CHECK_EQ(net::listen("127.0.0.1:" + port).error(), std::make_error_code(std::errc::address_in_use));
    });
}

// NP-32: an event that is nothing but an error: the full pipe's reader goes.
TEST_P(np32_an_event_that_is_only_an_error_is_reported_by_read, 1, 2) {
    with_procs(procs, [] {
        Ends p = pipe_ends();
        const std::string block(4096, 'x');
        while (write(p.w.native_handle(), block.data(), block.size()) > 0) {
        }
        go([w = p.w] { (void)w.wait_readable(); });
        until_waiting(1);
        p.r.close().value();
        until_alone();
        char c[1];
        CHECK_EQ(p.w.read(c).error(), make_error_code(net::errc::not_pollable));
        CHECK_EQ(p.w.write("x").error(), std::make_error_code(std::errc::broken_pipe));
    });
}
