// tests/net_names_test.cc - names that hold a NUL, or are too long, are refused, never cut short.
// SPDX-License-Identifier: BSD-2-Clause
#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>

#include "tests/net_test.h"

using namespace gort;
using namespace gort::net_test;

namespace {

template <size_t N>
std::string bytes(const char (&literal)[N]) {  // with the NULs in it
    return std::string(literal, N - 1);
}

// What every call says that takes an address.
void refused(const std::string& address, net::errc why) {
    const std::error_code e = make_error_code(why);
    CHECK_EQ(net::resolve("tcp", address).error(), e);
    CHECK_EQ(net::resolve("udp", address).error(), e);
    CHECK_EQ(net::dial(address).error(), e);
    CHECK_EQ(net::dial(address, 1s).error(), e);
    CHECK_EQ(net::dial("udp", address).error(), e);
    CHECK_EQ(net::listen(address).error(), e);
    CHECK_EQ(net::listen_packet("udp", address).error(), e);
    CHECK(!net::endpoint::parse(address));
    CHECK(e == std::errc::invalid_argument);
}

}  // namespace

TEST_P(a_nul_does_not_end_a_host_or_a_port, 1, 2) {
    with_procs(procs, [] {
        auto l = net::listen("127.0.0.1:0").value();
        const std::string port = std::to_string(l.port());
        refused(bytes("127.0.0.1\0.evil.com:") + port, net::errc::bad_address);
        refused(bytes("localhost\0.evil.com:") + port, net::errc::bad_address);
        refused(bytes("localhost\0:") + port, net::errc::bad_address);
        refused(bytes("\0localhost:") + port, net::errc::bad_address);
        refused(bytes("[::1\0]:") + port, net::errc::bad_address);
        refused(bytes("[fe80::1%lo\0x]:") + port, net::errc::bad_address);
        refused("127.0.0.1:" + port + bytes("\0x"), net::errc::bad_port);
        refused("127.0.0.1:" + port + bytes("\0"), net::errc::bad_port);
        refused(bytes("127.0.0.1:http\0x"), net::errc::bad_port);
        refused(bytes("localhost:\0"), net::errc::bad_port);
        refused(bytes(":http\0x"), net::errc::bad_port);
        CHECK_EQ(net::dial(bytes("tcp\0x"), "127.0.0.1:" + port).error(),
                 make_error_code(net::errc::unknown_network));
    });
}

TEST_P(names_that_no_resolver_should_see, 1, 2) {
    with_procs(procs, [] {
        auto l = net::listen("127.0.0.1:0").value();
        const std::string port = std::to_string(l.port());
        refused(" 127.0.0.1:" + port, net::errc::bad_address);
        refused("127.0.0.1 evil.com:" + port, net::errc::bad_address);
        refused("127.0.0.1\n:" + port, net::errc::bad_address);
        refused("127.0.0.1\x7f:" + port, net::errc::bad_address);
        for (const size_t n : {size_t{256}, size_t{300}, size_t{70000}})
            refused(std::string(n, 'a') + ":" + port, net::errc::bad_address);
        refused("127.0.0.1:" + std::string(256, 'a'), net::errc::bad_port);
        refused("[fe80::1%]:" + port, net::errc::bad_address);
        refused("[fe80::1%sixteen-or-more-]:" + port, net::errc::bad_address);
        // The resolver reads these as numbers.
        refused("127.0.0.1:+" + port, net::errc::bad_port);
        refused("127.0.0.1:-1", net::errc::bad_port);
        refused("127.0.0.1: " + port, net::errc::bad_port);
        // The system's resolver was asked about those, and had the last word.
        CHECK(net::resolve("tcp", "localhost:" + port).value().size() > 0);
        const auto unknown = net::resolve("tcp", std::string(255, 'a') + ":" + port).error();
        CHECK(unknown && unknown != make_error_code(net::errc::bad_address));
    });
}

TEST_P(a_service_without_a_host_listens_everywhere, 1, 2) {
    with_procs(procs, [] {
        const auto named = net::resolve("tcp", ":http");
        if (!named) TEST_SKIP("no /etc/services");
        CHECK_EQ(named.value()[0].to_string(), "127.0.0.1:80");
        if (auto l = net::listen(":http"))
            CHECK(l->local_endpoint()->to_string() == "[::]:80" ||
                  l->local_endpoint()->to_string() == "0.0.0.0:80");
    });
}

TEST_P(a_nul_does_not_end_a_unix_path, 1, 2) {
    with_procs(procs, [] {
        const std::string path = "/tmp/gort-nul-" + std::to_string(getpid());
        const std::string longer = path + bytes("\0tail");
        const std::error_code bad = make_error_code(net::errc::bad_address);
        CHECK_EQ(net::listen_unix(longer).error(), bad);
        CHECK_EQ(access(path.c_str(), F_OK), -1);
        auto l = net::listen_unix(path).value();
        CHECK_EQ(net::dial_unix(longer).error(), bad);
        CHECK_EQ(net::dial_unix(path + bytes("\0")).error(), bad);
        CHECK_EQ(net::listen_unixgram(longer).error(), bad);
        CHECK_EQ(net::endpoint::unix_path(longer).error(), bad);
        CHECK_EQ(net::resolve("unix", longer).error(), bad);
        l.close().value();
        unlink(path.c_str());
    });
}

// In the abstract namespace all bytes count. The other side here is the system's own, with the exact bytes.
TEST_P(an_abstract_name_may_hold_a_nul, 1, 2) {
    with_procs(procs, [] {
        const std::string name = "gort-" + std::to_string(getpid()) + bytes("\0a");
        auto reached = [](const std::string& raw) {
            sockaddr_un a{};
            a.sun_family = AF_UNIX;
            std::memcpy(a.sun_path, raw.data(), raw.size());
            const int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
            const auto n = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + raw.size());
            const bool yes = connect(s, reinterpret_cast<sockaddr*>(&a), n) == 0;
            close(s);
            return yes;
        };
        for (const std::string& spelled : {"@" + name, bytes("\0") + name}) {
            auto l = net::listen_unix(spelled).value();
            CHECK_EQ(l.local_endpoint()->to_string(), "@" + name);
            CHECK(reached(bytes("\0") + name));
            CHECK(!reached(bytes("\0") + name.substr(0, name.size() - 2)));
            CHECK(bool(net::dial_unix("@" + name)));
            CHECK(bool(net::dial_unix(bytes("\0") + name)));
            l.close().value();
        }
    });
}
