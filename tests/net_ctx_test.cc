// tests/net_ctx_test.cc - dialing with a context: NP-24.
// SPDX-License-Identifier: BSD-2-Clause
#include <netinet/in.h>
#include <sys/socket.h>

#include "ctx/context.h"
#include "tests/net_test.h"

using namespace gort;
using namespace gort::net_test;

namespace {

// A listener whose backlog is full: the next handshake hangs.
struct BlackHole {
    BlackHole() {
        sockaddr_in a{};
        a.sin_family = AF_INET;
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t n = sizeof a;
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK_EQ(bind(fd, reinterpret_cast<sockaddr*>(&a), n), 0);
        CHECK_EQ(listen(fd, 0), 0);
        CHECK_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&a), &n), 0);
        address = "127.0.0.1:" + std::to_string(ntohs(a.sin_port));
        while (auto c = net::dial(address, 100ms)) {
            filled.push_back(*c);
            CHECK_LT(filled.size(), 20);
        }
    }
    ~BlackHole() { close(fd); }
    int fd;
    std::string address;
    std::vector<net::conn> filled;
};

}  // namespace

TEST_P(np24_dial_with_a_context, 1, 2, 8) {
    with_procs(procs, [] {
        auto l = net::listen("127.0.0.1:0").value();
        const std::string good = address_of(l);
        CHECK(bool(net::dial(ctx::background(), good)));
        BlackHole hole;
        {
            auto [c, cancel] = ctx::with_cancel(ctx::background());
            CHECK(bool(net::dial(c, "tcp4", good)));
            chan<std::error_code> got = make_chan<std::error_code>();
            go([&, c = c] { got << net::dial(c, hole.address).error(); });
            until_waiting(1);
            cancel();
            const std::error_code e = got.recv();
            CHECK_EQ(e, make_error_code(net::errc::canceled));
            CHECK_EQ(e.message(), "operation was canceled");
            CHECK(e == std::errc::operation_canceled);
            CHECK_EQ(net::dial(c, good).error(), make_error_code(net::errc::canceled));
        }
        {
            auto [c, cancel] = ctx::with_timeout(ctx::background(), 20ms);
            const int64_t start = rt::now();
            CHECK(timed_out(net::dial(c, hole.address).error()));
            CHECK_LE(20000000, rt::now() - start);
            CHECK(timed_out(net::dial(c, good).error()));
            cancel();
        }
    });
}

// The cancellation comes at any moment of the dial, and late ones harm nobody.
TEST_P(np24_cancel_races_with_the_connection, 1, 2, 8) {
    with_procs(procs, [] {
        auto l = net::listen("127.0.0.1:0").value();
        for (int i = 0; i < 300; ++i) {
            auto [c, cancel] = ctx::with_cancel(ctx::background());
            go([cancel = cancel, i] {
                for (int k = 0; k < i % 7; ++k) gort::yield();
                cancel();
            });
            auto r = net::dial(c, address_of(l));
            if (r) {
                auto s = l.accept().value();
                s.write("x").value();
                CHECK_EQ(read_text(*r), "x");
            } else {
                CHECK_EQ(r.error(), make_error_code(net::errc::canceled));
                l.set_deadline(1ms).value();
                (void)l.accept();
                l.set_deadline(time_point{}).value();
            }
        }
    });
}
