// tests/net_test.h - what the network's tests share: the books, pairs of connected sockets, looks at who waits.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <unistd.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "chan/chan.h"
#include "kernel/sys.h"
#include "rt/net/fd.h"
#include "rt/net/netpoll.h"
#include "rt/net/tcp.h"
#include "rt/net/udp.h"
#include "rt/net/unix.h"
#include "tests/sched_test.h"

namespace gort::net_test {

using namespace std::chrono_literals;
using gort::sched_test::Join;

inline const bool descs_in_ledger =
    test::ledger_add("poll descriptors", [] { return long(rt::poll_live()); });
inline const bool fds_in_ledger = (test::ledger_fds([] { return long(rt::poll_own_fds()); }), true);

inline int waiters() { return rt::sched.poll_waiters.load(); }
// Until n goroutines or threads wait for descriptors.
inline void until_waiting(int n) { EVENTUALLY(waiters() == n); }

inline void until_alone() { EVENTUALLY(num_goroutine() == 1); }

// What goroutines hold when main returns is never let go: a test waits for its own, which may have told that they are
// done and still hold a connection. sched_test::with_procs is for tests that leave some behind.
template <class F>
int with_procs(int n, F main) {
    return sched_test::with_procs(n, [&main] {
        main();
        until_alone();
    });
}

struct Pair {
    net::conn a, b;
};
inline Pair tcp_pair() {
    auto l = net::listen("127.0.0.1:0").value();
    chan<net::conn> accepted = make_chan<net::conn>(1);
    go([l, accepted] { accepted << l.accept().value(); });
    Pair p;
    p.a = net::dial("127.0.0.1:" + std::to_string(l.port())).value();
    p.b = accepted.recv();
    l.close().value();
    return p;
}

struct Ends {
    net::fd r, w;
};
inline Ends pipe_ends() {
    int fds[2];
    CHECK_EQ(pipe(fds), 0);
    return {net::fd(fds[0]), net::fd(fds[1])};
}

// Accepts, and serves each connection in a goroutine of its own, until the listener is closed.
template <class F>
void serve(const net::listener& l, F f) {
    go([l, f] {
        while (auto c = l.accept()) go([f, c = *c] { f(c); });
    });
}

inline std::string address_of(const net::listener& l) { return l.local_endpoint()->to_string(); }

inline std::string text(const char* p, size_t n) { return std::string(p, n); }
inline std::string read_text(const net::conn& c, size_t most = 4096) {
    std::string s(most, '\0');
    auto r = c.read(s);
    s.resize(r.value());
    return s;
}

// Reads until the end.
inline std::string read_all(const net::conn& c) {
    std::string all;
    for (;;) {
        char buf[4096];
        auto n = c.read(buf);
        if (!n) {
            CHECK_EQ(n.error(), make_error_code(net::errc::eof));
            return all;
        }
        all.append(buf, *n);
    }
}

// Arms a failure of a system call, or skips the test: only debug builds have it.
#define INJECTS(which, nth, err, times) \
    if (!kernel::inject(which, nth, err, times)) TEST_SKIP("no injection in this build")

inline bool timed_out(const std::error_code& e) { return e == std::errc::timed_out; }

}  // namespace gort::net_test
