// tests/net_reader_test.cc - net::reader; conn's wait_readable, adopt and release; ctx::bind.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/net/reader.h"

#include <sys/socket.h>

#include "ctx/bind.h"
#include "tests/net_test.h"

using namespace gort;
using namespace gort::net_test;

namespace {

std::string line_of(net::reader& in) {
    auto line = in.read_line();
    return line ? "[" + line.value() + "]" : line.error().message();
}
const std::string kEof = make_error_code(net::errc::eof).message();

TEST_P(lines_however_they_come, 1, 2) {
    with_procs(procs, [] {
        const std::string text = "one\r\ntwo\n\n\r\nfive\rstill five\n" + std::string(9000, 'x') + "\nlast";
        for (const size_t step : {size_t{1}, size_t{3}, text.size()}) {
            auto [r, w] = pipe_ends();
            go([w = w, text, step] {
                for (size_t i = 0; i < text.size(); i += step) w.write(text.substr(i, step)).value();
                w.close().value();
            });
            net::reader in(r);
            CHECK_EQ(line_of(in), "[one]");
            CHECK_EQ(line_of(in), "[two]");
            CHECK_EQ(line_of(in), "[]");
            CHECK_EQ(line_of(in), "[]");
            CHECK_EQ(line_of(in), "[five\rstill five]");
            CHECK_EQ(line_of(in).size(), 9002);
            CHECK_EQ(line_of(in), "[last]");
            CHECK_EQ(line_of(in), kEof);
            CHECK_EQ(line_of(in), kEof);
        }
    });
}

TEST(parts_bytes_and_the_end) {
    with_procs(1, [] {
        Pair p = tcp_pair();
        net::reader in(p.b);
        p.a.write("key=value;12345678rest").value();
        CHECK_EQ(in.read_until('=').value(), "key");
        CHECK_EQ(in.read_until(';').value(), "value");
        char eight[8], few[3];
        CHECK_EQ(in.read_full(eight).value(), 8);
        CHECK_EQ(text(eight, 8), "12345678");
        CHECK_EQ(in.read(few).value(), 3);
        CHECK_EQ(text(few, 3), "res");
        p.a.close_write().value();
        auto part = in.read_full(eight);
        CHECK(part.error() == net::errc::unexpected_eof);
        CHECK_EQ(part.partial(), 1);
        CHECK(in.read_full(eight).error() == net::errc::eof);
        CHECK_EQ(in.read(eight).value(), 0);
        CHECK(in.read(eight).error() == net::errc::eof);
        CHECK(in.read_until('x').error() == net::errc::eof);
    });
}

TEST(a_limit_and_a_deadline_lose_nothing) {
    with_procs(1, [] {
        Pair p = tcp_pair();
        net::reader in(p.b, 8);
        p.a.write("12345678\n123456789\n").value();
        CHECK_EQ(in.read_line().value(), "12345678");
        CHECK(in.read_line().error() == std::errc::message_size);
        CHECK(in.read_line().error() == std::errc::message_size);
        CHECK_EQ(in.buffered(), 9);
        char nine[9];
        CHECK_EQ(in.read_full(nine).value(), 9);
        CHECK_EQ(in.read_line().value(), "");
        p.a.write("ha").value();
        p.b.set_read_deadline(3ms).value();
        CHECK(timed_out(in.read_line().error()));
        p.b.set_read_deadline(time_point{}).value();
        p.a.write("lf\n").value();
        CHECK_EQ(in.read_line().value(), "half");
    });
}

TEST(conn_waits_for_who_reads_himself) {
    with_procs(2, [] {
        Pair p = tcp_pair();
        p.b.wait_writable().value();
        p.b.set_read_deadline(2ms).value();
        CHECK(timed_out(p.b.wait_readable().error()));
        p.b.set_read_deadline(time_point{}).value();
        go([a = p.a] { a.write("x").value(); });
        p.b.wait_readable().value();
        char c;
        CHECK_EQ(::recv(p.b.native_handle(), &c, 1, MSG_DONTWAIT), 1);
        p.b.close().value();
        CHECK(p.b.wait_readable().error() == net::errc::closed);
    });
}

TEST(conn_adopts_and_gives_up_sockets) {
    with_procs(2, [] {
        int fds[2];
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        net::conn a = net::conn::adopt(fds[0]).value();
        net::conn b = net::conn::adopt(fds[1]).value();
        go([a] { a.write("hello\n").value(); });
        CHECK_EQ(net::reader(b).read_line().value(), "hello");
        CHECK(net::conn::adopt(fds[1]).error() == std::errc::file_exists);
        const int out = b.release();
        CHECK_EQ(out, fds[1]);
        CHECK_EQ(b.release(), -1);
        CHECK(b.read_full(fds).error() == net::errc::closed);
        CHECK_EQ(::write(out, "still open", 10), 10);
        ::close(out);
        const int lonely = ::socket(AF_INET, SOCK_STREAM, 0);
        CHECK(net::conn::adopt(lonely).error() == std::errc::not_connected);
        ::close(lonely);
        int pipes[2];
        CHECK_EQ(pipe(pipes), 0);
        CHECK(net::conn::adopt(pipes[0]).error() == std::errc::not_a_socket);
        ::close(pipes[0]);
        ::close(pipes[1]);
        CHECK(net::conn::adopt(-1).error() == std::errc::bad_file_descriptor);
    });
}

// ---- bind

TEST_P(bind_ends_what_is_under_way_and_what_begins, 1, 2) {
    with_procs(procs, [] {
        Pair p = tcp_pair();
        auto [c, cancel] = ctx::with_cancel(ctx::background());
        char buf[8];
        {
            auto bound = ctx::bind(c, p.a);
            go([cancel = cancel] {
                until_waiting(1);
                cancel();
            });
            CHECK(p.a.read(buf).error() == net::errc::canceled);
            CHECK(p.a.read(buf).error() == net::errc::canceled);
            CHECK(p.a.write("x").error() == net::errc::canceled);
            p.a.set_deadline(1h).value();  // does not bring it back
            CHECK(p.a.write("x").error() == net::errc::canceled);
            auto again = ctx::bind(c, p.a);  // ended already
            auto moved = std::move(again);
            bound.release();
            CHECK(p.a.write("x").error() == net::errc::canceled);
        }
        p.a.write("works").value();
        CHECK_EQ(read_text(p.b), "works");
        p.b.write("back").value();
        CHECK_EQ(read_text(p.a), "back");
    });
}

TEST(bind_to_a_deadline_and_to_nothing_that_happens) {
    with_procs(2, [] {
        Pair p = tcp_pair();
        char buf[8];
        auto [late, cancel] = ctx::with_timeout(ctx::background(), 2ms);
        p.a.set_read_deadline(1h).value();
        {
            auto bound = ctx::bind(late, p.a);
            CHECK(timed_out(p.a.read(buf).error()));
        }
        auto bound = ctx::bind(ctx::background(), p.a);
        p.b.write("ok").value();
        CHECK_EQ(read_text(p.a), "ok");
        p.a.set_read_deadline(1ms).value();
        CHECK(timed_out(p.a.read(buf).error()));
        auto l = net::listen("127.0.0.1:0").value();
        auto [c, stop] = ctx::with_cancel(ctx::background());
        auto accepts = ctx::bind(c, l);
        go([stop = stop] {
            until_waiting(1);
            stop();
        });
        CHECK(l.accept().error() == net::errc::canceled);
        ctx::binding none;
        none.release();
        cancel();
    });
}

// Its end and the binding's race: afterwards the connection works.
TEST_P(bind_and_its_end_race, 2, 4) {
    with_procs(procs, [] {
        Pair p = tcp_pair();
        for (int i = 0; i < 300 / (GORT_TEST_SANITIZER ? 10 : 1); ++i) {
            auto [c, cancel] = ctx::with_cancel(ctx::background());
            go([cancel = cancel] { cancel(); });
            {
                auto bound = ctx::bind(c, p.a);
                if (i % 3) yield();
            }
            p.a.write("y").value();
            char one;
            CHECK_EQ(p.b.read_full({&one, 1}).value(), 1);
        }
    });
}

}  // namespace
