// tests/net_desc_test.cc - a descriptor's two locks (NP-34), what errors say (NP-36), very large writes (NP-37).
// SPDX-License-Identifier: BSD-2-Clause
//
// NP-28, net.Pipe, has no counterpart: two channels are a pipe in memory, and a Unix socket pair or a pipe in a net::fd
// has deadlines (NP-39).
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <regex>
#include <thread>

#include "tests/net_test.h"

using namespace gort;
using namespace gort::net_test;

namespace {

// A descriptor on which nothing can be read.
rt::PollDesc* silent() {
    rt::PollDesc* d = nullptr;
    CHECK_EQ(rt::poll_open(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), 0, true, &d), 0);
    return d;
}

uint32_t queued(rt::PollDesc* d, unsigned side) GORT_NO_TSA {
    rt::M* mp = rt::enter();
    d->lock.lock();
    const uint32_t n = d->side[side].queue.count;
    d->lock.unlock();
    rt::leave(mp);
    return n;
}

}  // namespace

TEST_P(np34_one_owner_for_each_direction, 1, 2, 8) {
    with_procs(procs, [] {
        rt::PollDesc* d = silent();
        std::atomic<int> inside[2] = {0, 0}, most[2] = {0, 0};
        std::atomic<bool> both{false};
        Join join;
        for (int i = 0; i < 16; ++i) {
            join.add();
            go([&, side = unsigned(i) % 2] {
                for (int k = 0; k < 200; ++k) {
                    CHECK_EQ(rt::poll_begin(d, side), 0);
                    if (++inside[side] > 1) ++most[side];
                    if (inside[1 - side].load() > 0) both = true;
                    gort::yield();
                    --inside[side];
                    rt::poll_end(d, side);
                }
                join.done();
            });
        }
        join.wait();
        CHECK_EQ(most[0].load() + most[1].load(), 0);
        CHECK(both.load());  // a reader does not keep writers out
        rt::poll_drop(d);
    });
}

TEST_P(np34_close_sends_the_queue_away_and_waits_for_the_owner, 1, 2, 8) {
    with_procs(procs, [] {
        for (unsigned side : {rt::kRead, rt::kWrite}) {
            rt::PollDesc* d = silent();
            CHECK_EQ(rt::poll_begin(d, side), 0);
            Join sent_away, closed;
            for (int i = 0; i < 4; ++i) {
                sent_away.add();
                go([&] {
                    CHECK_EQ(rt::poll_begin(d, side), rt::kErrClosed);
                    sent_away.done();
                });
            }
            EVENTUALLY(queued(d, side) == 4);
            std::atomic<bool> is_closed{false};
            closed.add();
            go([&] {
                CHECK_EQ(rt::poll_close(d), 0);
                is_closed = true;
                closed.done();
            });
            sent_away.wait();
            CHECK(!is_closed.load());  // the owner may still use the descriptor
            CHECK_EQ(rt::poll_begin(d, side), rt::kErrClosed);
            CHECK_EQ(rt::poll_begin(d, 1 - side), rt::kErrClosed);
            CHECK_EQ(rt::poll_close(d), rt::kErrClosed);
            CHECK_EQ(rt::poll_wait(d, side), rt::kErrClosed);
            rt::poll_end(d, side);
            closed.wait();
            rt::poll_drop(d);
        }
    });
}

TEST(np34_an_end_without_a_beginning_panics) {
    with_procs(1, [] {
        rt::PollDesc* d = silent();
        const auto end = [d] { rt::poll_end(d, rt::kRead); };
        CHECK_EQ(sched_test::panic_of(end), "inconsistent poll.fdMutex");
        CHECK_EQ(rt::poll_begin(d, rt::kWrite), 0);  // the other direction's
        CHECK_EQ(sched_test::panic_of(end), "inconsistent poll.fdMutex");
        rt::poll_end(d, rt::kWrite);
        CHECK_EQ(rt::poll_begin(d, rt::kRead), 0);
        rt::poll_end(d, rt::kRead);
        CHECK_EQ(sched_test::panic_of(end), "inconsistent poll.fdMutex");
        rt::poll_drop(d);
    });
}

// NP-36: Go's net.OpError is a struct of operation, network, both ends and cause. Here the caller knows the operation,
// the connection its ends, and the error is the cause.
TEST(np36_operation_ends_and_cause) {
    with_procs(1, [] {
        Pair p = tcp_pair();
        const std::string ends =
            p.a.local_endpoint()->to_string() + "->" + p.a.remote_endpoint()->to_string();
        const auto of = [&ends](const char* operation, const std::error_code& cause) {
            return std::string(operation) + " tcp " + ends + ": " + cause.message();
        };
        const auto says = [](const std::string& s, const std::string& cause) {
            return std::regex_match(
                s, std::regex("(read|write) tcp 127\\.0\\.0\\.1:\\d+->127\\.0\\.0\\.1:\\d+: " + cause));
        };
        char c[1];
        p.a.set_read_deadline(0s).value();
        CHECK(says(of("read", p.a.read(c).error()), ".*timed out"));
        p.a.close().value();
        CHECK(says(of("read", p.a.read(c).error()), "use of closed network connection"));
        CHECK(says(of("write", p.a.write("x").error()), "use of closed network connection"));
        const auto none = net::dial("127.0.0.1:1");
        CHECK_EQ(none.error(), std::errc::connection_refused);
        try {
            (void)none.value();
            CHECK(false);
        } catch (const std::system_error& e) {
            CHECK_EQ(e.code(), none.error());
            CHECK(std::string(e.what()).find(none.error().message()) != std::string::npos);
        }
    });
}

// NP-37: more than any one system call takes. The bytes are zeros that take no memory, and the kernel throws them away.
TEST(np37_more_than_two_gib_in_one_write) {
    TEST_TIMEOUT(120);
    if (sizeof(size_t) < 8) TEST_SKIP("needs 64-bit sizes");
    constexpr size_t kSize = (size_t{2} << 30) + 12345;
    void* zeros = mmap(nullptr, kSize, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(zeros != MAP_FAILED);
    with_procs(1, [&] {
        Pair p = tcp_pair();
        const int fd = dup(p.b.native_handle());
        size_t got = 0;
        std::thread reader([&] {
            pollfd ready{fd, POLLIN, 0};
            for (;;) {
                const ssize_t n = recv(fd, nullptr, size_t{1} << 30, MSG_TRUNC);
                if (n > 0) got += size_t(n);
                else if (n == 0) break;
                else poll(&ready, 1, -1);
            }
        });
        CHECK_EQ(p.a.write(net::const_buffer(zeros, kSize)).value(), kSize);
        p.a.close_write().value();
        gort::blocking([&] { reader.join(); });
        CHECK_EQ(got, kSize);
        close(fd);
    });
    munmap(zeros, kSize);
}
