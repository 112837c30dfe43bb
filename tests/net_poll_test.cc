// tests/net_poll_test.cc - what the poller costs and whom it serves: NP-02, NP-29, NP-30.
// SPDX-License-Identifier: BSD-2-Clause
#include <sys/eventfd.h>

#include <thread>

#include "rt/time.h"
#include "tests/net_test.h"

using namespace gort;
using namespace gort::net_test;

// Events without a waiter are taken all the same: while some are left, no M may sleep.
TEST(events_without_waiters_keep_nobody_awake) {
    gort::start(sched_test::procs_of(1));
    {
        Ends a = pipe_ends();
        const int e = eventfd(0, EFD_CLOEXEC);
        net::fd b(e);
        std::thread waiter([&] {
            char c[1];
            CHECK_EQ(a.r.read(c).error(), make_error_code(net::errc::closed));
        });
        EVENTUALLY(waiters() == 1 && [] {
            kernel::LockGuard guard(rt::sched.lock);
            return rt::sched.poller != nullptr;
        }());
        a.r.close().value();
        waiter.join();
        const uint64_t one = 1;
        CHECK_EQ(write(e, &one, sizeof one), 8);
        timespec before{}, after{};
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
        usleep(400000);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
        const int64_t used = (after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec;
        CHECK_LT(used, 60000000);
    }
    gort::stop();
}

// NP-02, and what a round trip costs: counted in debug builds, where every system call is.
TEST_P(np02_one_registration_and_no_call_in_vain, 1, 2) {
    INJECTS(kernel::Sys::kGetpid, 1000000, EPERM, 1);
    with_procs(procs, [] {
        kernel::inject_clear();
        Pair p = tcp_pair();
        constexpr uint32_t kTrips = 300;
        go([b = p.b] {
            char buf[512];
            while (auto n = b.read(buf)) b.write(std::span(buf, *n)).value();
        });
        for (uint32_t i = 0; i < kTrips; ++i) {
            p.a.write("0123456789").value();
            char buf[512];
            CHECK_EQ(p.a.read(buf).value(), 10);
        }
        CHECK_LE(kernel::inject_count(kernel::Sys::kEpollCtl), 4);  // eventfd, listener, both ends
        CHECK_EQ(kernel::inject_count(kernel::Sys::kSendto), 2 * kTrips);
        CHECK_LE(kernel::inject_count(kernel::Sys::kRecvfrom), 2 * kTrips + 4);
        p.a.close().value();
    });
}

// NP-29: a run without work sleeps in one call, and a deadline from outside ends it.
TEST(np29_idle_means_one_poll) {
    gort::start(sched_test::procs_of(2));
    {
        Ends p = pipe_ends();
        std::atomic<bool> back{false};
        go([r = p.r, &back] {
            char c[1];
            CHECK(timed_out(r.read(c).error()));
            back = true;
        });
        EVENTUALLY(waiters() == 1 && [] {
            kernel::LockGuard guard(rt::sched.lock);
            return rt::sched.poller != nullptr;
        }());
        EVENTUALLY(rt::sched.npidle == rt::sched.nprocs);  // all others are asleep, too
        const uint64_t before = rt::sched.polls.load();
        usleep(300000);
        CHECK_LE(rt::sched.polls.load() - before, 1);
        p.r.set_read_deadline(1ms).value();
        EVENTUALLY(back.load());
        EVENTUALLY(num_goroutine() == 0);
    }
    gort::stop();
}

// NP-30: descriptors are served while every P is busy: with goroutines that yield, and with some that never call.
TEST_P(np30_served_while_all_ps_are_busy, 1, 2) {
    for (bool yields : {true, false})
        with_procs(procs, [&] {
            Ends p = pipe_ends();
            std::atomic<int> left{5};
            for (int i = 0; i < procs + 1; ++i)
                go([&left, yields] {
                    while (left.load() > 0)
                        if (yields) gort::yield();
                });
            std::thread writer([&] {
                for (int i = 0; i < 5; ++i) {
                    EVENTUALLY(left.load() == 5 - i && waiters() == 1);  // it waits for this byte
                    CHECK_EQ(write(p.w.native_handle(), "x", 1), 1);
                }
            });
            char c[1];
            while (left.load() > 0) {
                CHECK_EQ(p.r.read(c).value(), 1);
                --left;
            }
            writer.join();
            until_alone();
        });
}

// NP-30 again, with Ps to spare: the M that looked after the descriptors begins to compute, and another one wakes up to
// do so.
TEST_P(np30_served_while_the_one_who_polled_computes, 2, 8) {
    with_procs(procs, [] {
        Pair talk = tcp_pair();
        go([b = talk.b] {
            char c[1];
            while (auto n = b.read(c)) b.write(std::span(c, *n)).value();
        });
        Ends p = pipe_ends();
        std::atomic<int> served{0};
        go([r = p.r, &served] {
            char c[1];
            while (auto n = r.read(c)) served += int(*n);
        });
        for (int i = 1; i <= 30; ++i) {
            for (int k = 0; k < 20; ++k) {
                char c[1];
                talk.a.write("x").value();
                talk.a.read(c).value();
            }
            CHECK_EQ(write(p.w.native_handle(), "x", 1), 1);
            while (served.load() < i) {
            }
        }
        talk.a.close().value();
        p.w.close().value();
        until_alone();
    });
}

// GR-37: the number of Ps changes while connections are busy and deadlines pass.
TEST_P(gr37_the_number_of_ps_changes_under_connections, 1, 2, 8) {
    with_procs(procs, [] {
        auto l = net::listen("127.0.0.1:0").value();
        serve(l, [](const net::conn& c) {
            char buf[64];
            while (auto n = c.read(buf)) c.write(std::span(buf, *n)).value();
        });
        std::atomic<bool> stop{false};
        Join join;
        join.add(8);
        for (int i = 0; i < 8; ++i)
            go([&, i] {
                auto c = net::dial(address_of(l)).value();
                char buf[1];
                for (int k = 0; k < 20 || !stop; ++k) {
                    if (k % 8 == i) {  // nothing is under way: it passes
                        c.set_read_deadline(50us).value();
                        CHECK(timed_out(c.read(buf).error()));
                        c.set_read_deadline(std::chrono::steady_clock::time_point{}).value();
                    }
                    c.write("x").value();
                    CHECK_EQ(c.read(buf).value(), 1);
                }
                c.close().value();
                join.done();
            });
        for (int i = 0; i < 300 / test::slow(); ++i) {
            gomaxprocs(int(test::rnd() % 8) + 1);
            sleep(20us);
        }
        stop = true;
        join.wait();
        l.close().value();
    });
}
