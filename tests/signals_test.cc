// tests/signals_test.cc - gort::signals. The ids (SG-…, DL-07, CX-54) are those of the list of Go's behaviours.
// SPDX-License-Identifier: BSD-2-Clause
#include <signal.h>
#include <unistd.h>

#include <thread>

#include "gort.h"
#include "tests/child.h"
#include "tests/procs.h"

using namespace gort;
using namespace std::chrono_literals;
using test::Died;
using test::run_child;
using test::with_procs;

namespace {

void send_self(int sig) { CHECK_EQ(kill(getpid(), sig), 0); }

TEST_P(SG_01_notify_never_blocks_and_a_full_channel_drops, 1, 2) {
    with_procs(procs, [] {
        auto c = make_chan<int>(1), all = make_chan<int>(8);
        signals::notify(c, {SIGUSR1, SIGUSR2});
        signals::notify(all, {SIGUSR1, SIGUSR2});
        send_self(SIGUSR1);
        CHECK_EQ(all.recv(), SIGUSR1);
        send_self(SIGUSR2);
        CHECK_EQ(all.recv(), SIGUSR2);
        CHECK_EQ(c.recv(), SIGUSR1);
        CHECK_EQ(c.len(), 0);
        signals::stop(c);
        signals::stop(all);
    });
}

TEST(SG_02_all_signals_several_channels_and_the_same_again) {
    with_procs(2, [] {
        auto a = make_chan<int>(8), b = make_chan<int>(8);
        signals::notify(a);
        signals::notify(b, {SIGUSR1});
        signals::notify(b, {SIGUSR1, SIGHUP});
        for (const int sig : {SIGUSR1, SIGHUP, SIGTERM, SIGINT, SIGWINCH, SIGRTMIN + 3}) {
            send_self(sig);
            CHECK_EQ(a.recv(), sig);
        }
        CHECK_EQ(b.recv(), SIGUSR1);
        CHECK_EQ(b.recv(), SIGHUP);
        CHECK_EQ(b.len(), 0);
        signals::stop(a);
        signals::stop(b);
    });
}

TEST(SG_03_stop_ignore_reset_and_ignored) {
    with_procs(2, [] {
        auto a = make_chan<int>(8), b = make_chan<int>(8);
        signals::notify(a, {SIGUSR1, SIGUSR2});
        signals::notify(b, {SIGUSR1});
        signals::stop(a);
        send_self(SIGUSR1);
        CHECK_EQ(b.recv(), SIGUSR1);
        CHECK_EQ(a.len(), 0);
        CHECK(!signals::ignored(SIGUSR1));
        signals::ignore({SIGUSR1});
        CHECK(signals::ignored(SIGUSR1));
        send_self(SIGUSR1);
        signals::notify(b, {SIGUSR1});
        CHECK(!signals::ignored(SIGUSR1));
        send_self(SIGUSR1);
        CHECK_EQ(b.recv(), SIGUSR1);
        signals::ignore({SIGUSR1, SIGUSR2});
        signals::reset({SIGUSR1});
        CHECK(!signals::ignored(SIGUSR1) && signals::ignored(SIGUSR2));
        signals::reset();
        CHECK(!signals::ignored(SIGUSR2));
        struct sigaction now;
        for (const int sig : {SIGUSR1, SIGUSR2, SIGHUP, SIGINT}) {
            CHECK_EQ(sigaction(sig, nullptr, &now), 0);
            CHECK(now.sa_handler == SIG_DFL);
        }
        CHECK_EQ(b.len(), 0);
        signals::stop(nullptr);
    });
}

TEST(SG_04_bad_arguments) {
    CHECK_EQ(test::panic_of([] { signals::notify(nullptr, {SIGINT}); }),
             "os/signal: Notify using nil channel");
    CHECK_EQ(test::panic_of([] { signals::ignore({65}); }), "signals: 65 is no signal; accepted: 1 to 64");
    CHECK_EQ(test::panic_of([] { signals::reset({0}); }), "signals: 0 is no signal; accepted: 1 to 64");
    signals::ignore({SIGKILL, SIGSTOP});  // nothing
    CHECK(!signals::ignored(SIGKILL));
}

TEST(SG_05_what_is_not_notified_ends_the_process) {
    const Died d = run_child([] {
        with_procs(1, [] {
            auto c = make_chan<int>(1);
            signals::notify(c, {SIGTERM});
            send_self(SIGTERM);
            c.recv();
            signals::stop(c);
            send_self(SIGTERM);
            sleep(1h);
        });
    });
    CHECK_DIED(d, d.signal() == SIGTERM);
}

TEST(DL_07_no_deadlock_while_something_is_notified) {
    const Died waits = run_child([] {
        with_procs(2, [] {
            auto c = make_chan<int>(1);
            signals::notify(c, {SIGUSR1});
            std::thread([] {
                usleep(30'000);
                kill(getpid(), SIGUSR1);
            }).detach();
            usleep(60'000);  // only the handing thread is left
            c.recv();
        });
    });
    CHECK_DIED(waits, waits.exit_code() == 0);
    const Died dead = run_child([] {
        with_procs(2, [] {
            auto c = make_chan<int>(1);
            signals::notify(c, {SIGUSR1});
            signals::stop(c);
            c.recv();
        });
    });
    CHECK_DIED(dead, dead.said("all goroutines are asleep - deadlock!"));
}

TEST(CX_54_SG_08_notify_context) {
    with_procs(2, [] {
        auto [c, stop] = signals::notify_context(ctx::background(), {SIGUSR1});
        CHECK_EQ(ctx::to_string(c), "signal.NotifyContext(context.Background, [user defined signal 1])");
        auto [child, cancel] = ctx::with_cancel(c);
        CHECK(!c.err());
        send_self(SIGUSR1);
        c.done().recv();
        CHECK_EQ(c.err().message(), "context canceled");
        CHECK(c.err() == ctx::errc::canceled);
        CHECK_EQ(ctx::cause(c).message(), "user defined signal 1 signal received");  // SG-09
        child.done().recv();
        CHECK(ctx::cause(child) == std::errc::operation_canceled);
        CHECK(stop() && !stop());
        struct sigaction now;
        sigaction(SIGUSR1, nullptr, &now);
        CHECK(now.sa_handler == SIG_DFL);

        auto [stopped, stop2] = signals::notify_context(ctx::background(), {SIGUSR1, SIGINT});
        stop2();
        CHECK(stopped.err() == ctx::errc::canceled);
        auto [parent, cancel_parent] = ctx::with_cancel(ctx::background());
        auto [under, stop3] = signals::notify_context(parent, {SIGUSR1});
        cancel_parent();
        under.done().recv();
        stop3();
        CHECK_EQ(test::panic_of([] { signals::notify_context(nullptr, {SIGUSR1}); }),
                 "cannot create context from nil parent");
    });
}

// Handlers and threads that the program had before get everything back.
std::atomic<int> handled{0};
TEST(the_programs_own_handler_comes_back) {
    signal(SIGUSR1, [](int) { ++handled; });
    start();
    auto c = make_chan<int>(1);
    signals::notify(c, {SIGUSR1});
    send_self(SIGUSR1);
    CHECK_EQ(c.recv(), SIGUSR1);
    CHECK_EQ(handled.load(), 0);
    signals::stop(c);
    send_self(SIGUSR1);
    EVENTUALLY(handled.load() == 1);
    stop();
    signal(SIGUSR1, SIG_DFL);
}

// None is lost between two receives: at least as many as fit without coalescing.
TEST(SG_10_a_storm_to_all_threads) {
    with_procs(4, [] {
        auto c = make_chan<int>(64);
        signals::notify(c, {SIGUSR1, SIGUSR2});
        std::atomic<bool> over{false};
        std::vector<std::thread> threads;
        for (int i = 0; i < 3; ++i)
            threads.emplace_back([&] {
                while (!over) usleep(100);
            });
        wait_group busy;
        for (int i = 0; i < 3; ++i)
            busy.go([&] {
                while (!over) yield();
            });
        for (int i = 0; i < 300; ++i) {
            const int sig = i % 2 ? SIGUSR1 : SIGUSR2;
            if (i % 3) send_self(sig);
            else pthread_kill(threads[size_t(i) % 3].native_handle(), sig);
            int got;
            CHECK(c.pop_for(got, 10s) == channel_status::ok);
            CHECK_EQ(got, sig);
        }
        over = true;
        busy.wait();
        blocking([&] {
            for (auto& t : threads) t.join();
        });
        signals::stop(c);
    });
}

}  // namespace
