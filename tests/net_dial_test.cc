// tests/net_dial_test.cc - how connections begin, and do not: NP-24 and the limit of descriptors.
// SPDX-License-Identifier: BSD-2-Clause
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "tests/net_test.h"

using namespace gort;
using namespace gort::net_test;

TEST_P(np24_dial_errors, 1, 2) {
    with_procs(procs, [] {
        auto l = net::listen("127.0.0.1:0").value();
        const std::string address = address_of(l);
        l.close().value();
        CHECK_EQ(net::dial(address).error(), std::make_error_code(std::errc::connection_refused));
        CHECK(timed_out(net::dial(address, std::chrono::nanoseconds(1)).error()));
        CHECK(timed_out(net::dial(address, -1s).error()));
        CHECK(timed_out(net::dial(address, std::chrono::steady_clock::now()).error()));
        CHECK_EQ(net::dial("127.0.0.1").error(), make_error_code(net::errc::missing_port));
        CHECK_EQ(net::dial("127.0.0.1:99999").error(), make_error_code(net::errc::bad_port));
        CHECK_EQ(net::dial("::1:80").error(), make_error_code(net::errc::bad_address));
        CHECK_EQ(net::dial("ipx", "x:1").error(), make_error_code(net::errc::unknown_network));
        CHECK_EQ(net::listen("udp", "127.0.0.1:0").error(), make_error_code(net::errc::unknown_network));
        CHECK_EQ(net::dial("tcp6", "127.0.0.1:80").error(), make_error_code(net::errc::no_suitable));
        std::string said;
        try {
            net::dial(address).value();
        } catch (const std::system_error& e) {
            said = e.what();
        }
        CHECK_EQ(said, "Connection refused");
    });
}

// NP-24: nobody accepts and the backlog is full: the handshake hangs.
TEST_P(np24_dial_into_a_black_hole_ends_at_the_deadline, 1, 2) {
    with_procs(procs, [] {
        const int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in a{};
        a.sin_family = AF_INET;
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t n = sizeof a;
        CHECK_EQ(bind(s, reinterpret_cast<sockaddr*>(&a), n), 0);
        CHECK_EQ(listen(s, 0), 0);
        CHECK_EQ(getsockname(s, reinterpret_cast<sockaddr*>(&a), &n), 0);
        const std::string address = "127.0.0.1:" + std::to_string(ntohs(a.sin_port));
        std::vector<net::conn> filled;
        for (;;) {
            const int64_t start = rt::now();
            auto c = net::dial(address, 100ms);
            if (c) {
                filled.push_back(*c);
                CHECK_LT(filled.size(), 20);
                continue;
            }
            CHECK(timed_out(c.error()));
            CHECK_LE(100000000, rt::now() - start);
            break;
        }
        close(s);
    });
}

TEST_P(np24_names_are_resolved, 1, 2) {
    with_procs(procs, [] {
        auto l = net::listen("localhost:0").value();
        auto c = net::dial("localhost:" + std::to_string(l.port()));
        CHECK(bool(c));
        auto all = net::resolve("tcp4", "localhost:http").value();
        CHECK_EQ(all[0].to_string(), "127.0.0.1:80");
        CHECK(!net::dial("no-such-host.invalid:80"));
    });
}

TEST(accept_at_the_limit_of_descriptors_is_an_error_to_act_on) {
    with_procs(1, [] {
        auto l = net::listen("127.0.0.1:0").value();
        auto c = net::dial(address_of(l)).value();
        const std::string address = address_of(l);
        const int top = open("/dev/null", O_RDONLY | O_CLOEXEC);
        close(top);
        rlimit old{}, low{};
        getrlimit(RLIMIT_NOFILE, &old);
        low = old;
        low.rlim_cur = rlim_t(top);
        setrlimit(RLIMIT_NOFILE, &low);
        std::error_code got[4];  // looked at later: a sanitizer needs a descriptor to look
        for (int i = 0; i < 3; ++i) got[i] = l.accept().error();
        got[3] = net::dial(address).error();
        setrlimit(RLIMIT_NOFILE, &old);
        for (const auto& e : got) CHECK_EQ(e, std::make_error_code(std::errc::too_many_files_open));
        l.accept().value();  // the connection was not lost
    });
}
