// tests/sim_net_test.cc - the network in memory: the same interface, virtual time, faults on request.
// SPDX-License-Identifier: BSD-2-Clause
#define main kv_server_main
#include "examples/kv_server.cc"
#undef main

#include "rt/net/netpoll.h"
#include "rt/sim.h"
#include "tests/test.h"

using namespace gort;
using namespace std::chrono_literals;

namespace {

static const bool fds = test::ledger_fds([] { return static_cast<long>(rt::poll_own_fds()); });

std::string text_of(const net::conn& c, size_t n) {
    std::string s(n, ' ');
    return c.read_full(std::span(s)) ? s : "";
}

void passes(const char* name, const sim::result& r) {
    if (r.failed) std::fprintf(stderr, "%s: %s\n%s", name, r.what.c_str(), r.trace.c_str());
    CHECK(!r.failed);
}
#define PASSES(...) passes(#__VA_ARGS__, sim::explore({.seed = 1, .runs = 200}, __VA_ARGS__))

TEST(SIM_net_a_round_trip_takes_what_the_link_takes) {
    PASSES([] {
        sim::network::all({.latency = 5ms});
        auto l = net::listen("127.0.0.1:8080").value();
        go([l] {
            auto c = l.accept().value();
            c.write(text_of(c, 5) + "!").value();
            (void)c.close();
            (void)l.close();
        });
        const auto start = sim::now();
        auto c = net::dial("127.0.0.1:8080").value();
        sim::check(sim::now() - start == 10ms, "a connection is a round trip");
        sim::check(c.remote_endpoint().value().to_string() == "127.0.0.1:8080", "peer");
        c.write(std::string("hello")).value();
        sim::check(text_of(c, 6) == "hello!", "answer");
        const auto took = sim::now() - start;
        sim::check(took >= 20ms && took < 21ms, "and so is a question");
        char end;
        const auto r = c.read({&end, 1});
        sim::check(!r && r.error() == net::errc::eof, "the end");
    });
}

TEST(SIM_net_refused_in_use_half_closed) {
    PASSES([] {
        sim::check(net::dial("127.0.0.1:1").error() == std::errc::connection_refused, "refused");
        auto l = net::listen("127.0.0.1:0").value();
        sim::check(net::listen(l.local_endpoint().value().to_string()).error() == std::errc::address_in_use,
                   "in use");
        go([l] {
            auto c = l.accept().value();
            std::string all;
            char buf[3];
            while (auto n = c.read({buf, sizeof buf})) all.append(buf, *n);
            c.write(all).value();
            (void)c.close();
            (void)l.close();
        });
        auto c = net::dial(l.local_endpoint().value().to_string()).value();
        c.write(std::string("half of it ")).value();
        c.write(std::string("is closed")).value();
        (void)c.close_write();
        sim::check(text_of(c, 20) == "half of it is closed", "all of it");
    });
}

TEST(SIM_net_deadlines_are_virtual) {
    PASSES([] {
        auto l = net::listen("127.0.0.1:80").value();
        const auto start = std::chrono::steady_clock::now();
        auto c = net::dial("127.0.0.1:80").value();
        (void)c.set_read_deadline(start + 1h);
        char b;
        sim::check(c.read({&b, 1}).error() == std::errc::timed_out, "timed out");
        sim::check(std::chrono::steady_clock::now() - start == 1h, "an hour");
    });
}

TEST(SIM_net_hosts_names_and_partitions) {
    PASSES([] {
        sim::network::between("client", "server", {.latency = 1ms});
        auto up = make_chan<unit>();
        go([up] {
            sim::network::host("server");
            auto l = net::listen(":7").value();
            up.close();
            for (int i = 0; i < 2; ++i) {
                auto c = l.accept().value();
                c.write(text_of(c, 1)).value();
                (void)c.close();
            }
        });
        up.recv();
        sim::network::host("client");
        sim::check(net::dial("127.0.0.1:7").error() == std::errc::connection_refused,
                   "another host's loopback");
        {
            auto c = net::dial("server:7").value();
            c.write(std::string("x")).value();
            sim::check(text_of(c, 1) == "x", "echo");
        }
        sim::network::partition({"client"}, {"server"});
        const auto start = sim::now();
        sim::check(net::dial("server:7", 3s).error() == std::errc::timed_out, "cut off");
        sim::check(sim::now() - start == 3s, "three seconds");
        after_func(10s, [] { sim::network::heal(); });
        auto c = net::dial("server:7").value();
        c.write(std::string("y")).value();
        sim::check(text_of(c, 1) == "y", "healed");
    });
}

TEST(SIM_net_resets_and_partial_writes) {
    int broken = 0, whole = 0;
    PASSES([&] {
        sim::network::all({.reset = 0.1, .partial = true});
        auto l = net::listen("127.0.0.1:80").value();
        go([l] {
            auto c = l.accept();
            std::string s(1000, 'a');
            if (!c) return;
            (void)c->write(s);
            (void)c->close();
        });
        auto dialed = net::dial("127.0.0.1:80");
        if (!dialed) {
            sim::check(dialed.error() == std::errc::connection_reset, "how a dial fails");
            (void)l.close();
            ++broken;
            return;
        }
        auto c = *dialed;
        std::string got;
        char buf[256];
        for (;;) {
            auto n = c.read({buf, sizeof buf});
            if (!n) {
                const bool end = n.error() == net::errc::eof;
                sim::check(end || n.error() == std::errc::connection_reset, "how it ends");
                sim::check(!end || got.size() == 1000, "nothing is lost without a word");
                ++(end ? whole : broken);
                break;
            }
            got.append(buf, *n);
        }
    });
    CHECK(broken > 0);
    CHECK(whole > 0);
}

TEST(SIM_net_datagrams_are_lost_and_doubled) {
    int seen[3] = {0, 0, 0};
    PASSES([&] {
        sim::network::all({.latency = 1ms, .loss = 0.3, .duplicate = 0.3});
        auto a = net::listen_udp("127.0.0.1:1000").value(), b = net::listen_udp("127.0.0.1:0").value();
        b.write_to(std::string("hi"), a.local_endpoint().value()).value();
        (void)a.set_read_deadline(1s);
        int n = 0;
        char buf[8];
        while (auto p = a.read_from({buf, sizeof buf})) {
            sim::check(p->size == 2 && p->from == b.local_endpoint().value(), "what came");
            ++n;
        }
        ++seen[n];
    });
    CHECK(seen[0] > 0);
    CHECK(seen[1] > 0);
    CHECK(seen[2] > 0);
}

// examples/kv_server.cc, unchanged but for main, and clients that use one counter.
TEST(SIM_net_kv_server_and_clients) {
    PASSES([] {
        store.clear();
        sim::network::all({.latency = 100us, .jitter = 50us, .partial = true});
        auto l = net::listen("127.0.0.1:6379").value();
        auto [c, cancel] = ctx::with_cancel(ctx::background());
        wait_group server, clients;
        server.go([&, c = c] { serve_until_done(c, l, converse); });
        for (int i = 0; i < 3; ++i)
            clients.go([] {
                auto conn = net::dial("127.0.0.1:6379").value();
                conn.write(std::string("INCR n\r\nSET k v EX 1\r\nQUIT\r\n")).value();
                std::string all;
                char buf[64];
                while (auto n = conn.read({buf, sizeof buf})) all.append(buf, *n);
                sim::check(all.size() == 14 && all[0] == ':' && all.substr(4) == "+OK\r\n+OK\r\n", all);
            });
        clients.wait();
        auto conn = net::dial("127.0.0.1:6379").value();
        sleep(2s);
        conn.write(std::string("GET n\r\nGET k\r\n")).value();
        sim::check(text_of(conn, 12) == "$1\r\n3\r\n$-1\r\n", "three, and k has expired");
        (void)conn.close();
        cancel();
        server.wait();
    });
}

}  // namespace

// Asked by ASan's runtime: what a simulated run abandons is never destroyed, as in Go.
extern "C" const char* __lsan_default_options();
extern "C" const char* __lsan_default_options() { return "detect_leaks=0"; }
