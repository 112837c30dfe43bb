// tests/net_many_test.cc - ten thousand connections at once: what they carry, and what they cost.
// SPDX-License-Identifier: BSD-2-Clause
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>

#include "kernel/vm.h"
#include "tests/net_test.h"

using namespace gort;
using namespace gort::net_test;

namespace {

// So many connections as the limit on descriptors allows, which is raised first: two ends each, and some to spare.
int most_connections(int want) {
    rlimit r{};
    getrlimit(RLIMIT_NOFILE, &r);
    const rlim_t need = rlim_t(want) * 2 + 100;
    if (r.rlim_cur < need) {
        rlimit more{std::max(need, r.rlim_cur), std::max(need, r.rlim_max)};
        if (setrlimit(RLIMIT_NOFILE, &more) != 0) {
            r.rlim_cur = r.rlim_max;
            setrlimit(RLIMIT_NOFILE, &r);
        }
        getrlimit(RLIMIT_NOFILE, &r);
    }
    if (r.rlim_cur >= need) return want;
    const int fewer = (int(r.rlim_cur) - 100) / 2;
    std::printf("only %d connections: the limit on descriptors is %d\n", fewer, int(r.rlim_cur));
    return fewer;
}

// Resident memory and the page tables under it, which are ours as well; in KiB.
long memory() {
    const std::string s = test::read_file("/proc/self/status");
    long sum = 0;
    for (const char* key : {"\nVmRSS:", "\nVmPTE:"})
        if (size_t at = s.find(key); at != std::string::npos)
            sum += std::strtol(s.c_str() + at + std::strlen(key), nullptr, 10);
    return sum;
}

}  // namespace

TEST_P(ten_thousand_connections, 1, 2, 8) {
    TEST_TIMEOUT(60);
    with_procs(procs, [] {
        const int n = most_connections(GORT_TSAN ? 2000 : 10000);  // TSan has room for 8128 stacks
        auto l = net::listen("127.0.0.1:0").value();
        std::atomic<int> served{0};
        std::vector<net::conn> clients(static_cast<size_t>(n));
        const long before = memory();
        serve(l, [&](const net::conn& c) {
            char buf[64];
            while (auto r = c.read(buf)) c.write(std::span(buf, *r)).value();
            ++served;
        });
        for (auto& c : clients) c = net::dial(address_of(l)).value();
        until_waiting(n + 1);
        const double each = double(memory() - before) * 1024 / n;
        std::printf("%.0f bytes for each idle connection, both ends\n", each);
#if !GORT_ASAN && !GORT_TSAN && !defined(GORT_DEBUG)
        if (!kernel::emulated()) CHECK_LE(each, 6 * 1024 + 128);  // else the emulator's memory is with ours
#endif
        Join join;
        constexpr int kDrivers = 50;
        for (int d = 0; d < kDrivers; ++d) {
            join.add();
            go([&, d] {
                for (int round = 0; round < 2; ++round)
                    for (size_t i = size_t(d); i < clients.size(); i += kDrivers) {
                        const std::string say = std::to_string(i);
                        clients[i].write(say).value();
                        std::string got(say.size(), ' ');
                        clients[i].read_full(got).value();
                        CHECK_EQ(got, say);
                    }
                join.done();
            });
        }
        join.wait();
        // All vanish at once.
        for (auto& c : clients) c.close().value();
        EVENTUALLY(served.load() == n);
        l.close().value();
    });
}

// A crowd that comes, says something and goes, some of it rudely.
TEST_P(comings_and_goings, 1, 2, 8) {
    TEST_TIMEOUT(60);
    with_procs(procs, [] {
        auto l = net::listen("127.0.0.1:0").value();
        serve(l, [](const net::conn& c) {
            char buf[100];
            (void)c.set_deadline(10s);
            while (auto r = c.read(buf))
                if (!c.write(std::span(buf, *r))) break;
        });
        Join join;
        for (int w = 0; w < 20; ++w) {
            join.add();
            go([&, w] {
                for (int i = 0; i < 50; ++i) {
                    auto c = net::dial(address_of(l)).value();
                    if ((i + w) % 5 == 0) continue;  // says nothing and goes
                    c.write("hello").value();
                    if ((i + w) % 5 == 1) {  // a reset
                        const linger hard{1, 0};
                        setsockopt(c.native_handle(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
                        continue;
                    }
                    char buf[5];
                    if ((i + w) % 5 == 2) {  // half-open: it does not wait for the answer to all it said
                        c.close_write().value();
                        CHECK_EQ(read_all(c), "hello");
                        continue;
                    }
                    if ((i + w) % 5 == 3) {  // slow
                        for (char& b : buf) {
                            CHECK_EQ(c.read(std::span(&b, 1)).value(), 1);
                            gort::yield();
                        }
                    } else {
                        CHECK_EQ(c.read_full(buf).value(), 5);
                    }
                    CHECK_EQ(text(buf, 5), "hello");
                }
                join.done();
            });
        }
        join.wait();
        l.close().value();
    });
}
