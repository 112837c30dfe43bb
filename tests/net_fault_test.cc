// tests/net_fault_test.cc - system calls that fail under the network: an error to its caller, a retry, one clear end.
// SPDX-License-Identifier: BSD-2-Clause
//
// The failures come from kernel/sys.h's table, which only debug builds have.
#include "tests/net_test.h"

using namespace gort;
using namespace gort::net_test;

TEST(injected_poller_cannot_be_opened) {
    INJECTS(kernel::Sys::kEpollCreate1, 1, EMFILE, 1);
    with_procs(1, [] {
        CHECK_EQ(net::listen("127.0.0.1:0").error(), std::make_error_code(std::errc::too_many_files_open));
        kernel::inject(kernel::Sys::kEventfd2, 1, ENOMEM);
        CHECK_EQ(net::listen("127.0.0.1:0").error(), std::make_error_code(std::errc::not_enough_memory));
        net::listen("127.0.0.1:0").value();  // and then it can
    });
}

TEST(injected_registration_fails) {
    INJECTS(kernel::Sys::kEpollCtl, 2, ENOSPC, 1);  // after the poller's own eventfd
    with_procs(1, [] {
        CHECK_EQ(net::listen("127.0.0.1:0").error(), std::make_error_code(std::errc::no_space_on_device));
        Pair p = tcp_pair();
        kernel::inject(kernel::Sys::kEpollCtl, 1, ENOMEM);
        char c[1];
        CHECK_EQ(p.b.read(c).error(), std::make_error_code(std::errc::not_enough_memory));
        go([a = p.a] { a.write("x").value(); });
        CHECK_EQ(p.b.read(c).value(), 1);
    });
}

TEST_DIES(injected_poller_fails, "epoll_wait failed") {
    if (!kernel::inject(kernel::Sys::kEpollPwait2, 1, EBADF)) {
        kernel::fatal("net: epoll_wait failed: not in this build");
    }
    with_procs(1, [] {
        auto l = net::listen("127.0.0.1:0").value();
        (void)l.accept();
    });
}

// An old kernel or a filter: milliseconds have to do.
TEST_P(injected_old_kernel_without_nanoseconds, 1, 2) {
    for (int err : {ENOSYS, EPERM}) {
        INJECTS(kernel::Sys::kEpollPwait2, 1, err, kernel::kInjectForever);
        const auto d = test::run_child([procs] {
            with_procs(procs, [] {
                Pair p = tcp_pair();
                go([b = p.b] {
                    char c[1];
                    while (b.read(c)) b.write(c).value();
                });
                char c[1];
                for (int i = 0; i < 20; ++i) {
                    p.a.set_read_deadline(100us).value();
                    CHECK(timed_out(p.a.read(c).error()));
                    p.a.set_read_deadline(std::chrono::steady_clock::time_point{}).value();
                    p.a.write("x").value();
                    CHECK_EQ(p.a.read(c).value(), 1);
                }
                p.a.close().value();
            });
            CHECK_EQ(kernel::inject_failures(kernel::Sys::kEpollPwait2), 1);
            CHECK_LT(0, kernel::inject_count(kernel::Sys::kEpollPwait));
        });
        CHECK_DIED(d, d.exit_code() == 0);
    }
}

TEST_P(injected_interruptions_are_not_seen, 1, 2) {
    INJECTS(kernel::Sys::kRecvfrom, 3, EINTR, 50);
    kernel::inject(kernel::Sys::kSendto, 3, EINTR, 50);
    kernel::inject(kernel::Sys::kAccept4, 1, EINTR, 5);
    kernel::inject(kernel::Sys::kConnect, 1, EINTR, 1);
    kernel::inject(kernel::Sys::kEpollPwait2, 1, EINTR, 20);
    with_procs(procs, [] {
        Pair p = tcp_pair();
        go([b = p.b] {
            char c[1];
            while (b.read(c)) b.write(c).value();
        });
        for (int i = 0; i < 50; ++i) {
            char c[1];
            p.a.write("x").value();
            CHECK_EQ(p.a.read(c).value(), 1);
        }
        p.a.close().value();
    });
}

// NP-23
TEST(np23_aborted_connections_are_skipped) {
    INJECTS(kernel::Sys::kAccept4, 1, ECONNABORTED, 3);
    with_procs(1, [] {
        auto l = net::listen("127.0.0.1:0").value();
        auto c = net::dial(address_of(l)).value();
        l.accept().value();
        kernel::inject(kernel::Sys::kAccept4, 1, ENFILE);
        CHECK_EQ(l.accept().error(), std::make_error_code(std::errc::too_many_files_open_in_system));
    });
}
