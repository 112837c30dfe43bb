// tests/fork_test.cc - children that fork without exec: what they may do, and one clear line for what they may not.
// SPDX-License-Identifier: BSD-2-Clause
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <string>
#include <thread>

#include "chan/chan.h"
#include "chan/select.h"
#include "chan/time.h"
#include "ctx/context.h"
#include "rt/stats.h"
#include "rt/sync/mutex.h"
#include "rt/sync/once.h"
#include "rt/sync/wait_group.h"
#include "tests/child.h"
#include "tests/net_test.h"

using namespace gort;
using namespace gort::net_test;
using test::Died;

namespace {

// As test::Child, but from any thread, and from inside a run. The parent blocks its thread meanwhile.
Died fork_here(const std::function<void()>& body) {
    const int err = memfd_create("stderr", 0);
    const pid_t pid = fork();
    if (pid == 0) {
        dup2(err, 2);
        body();
        _exit(0);
    }
    Died d;
    waitpid(pid, &d.status, 0);
    d.err = test::read_output(err);
    close(err);
    return d;
}

const std::string kLine =
    "fatal error: gort does not survive a fork while it runs: in the child call exec or _exit, and nothing "
    "of gort\n";

void refused(const std::function<void()>& body) {
    const Died d = fork_here(body);
    CHECK_DIED(d, d.exit_code() == 2);
    CHECK_DIED(d, d.err == kLine);
}

// Other Ps and threads are at work and hold all sorts of things when the fork comes.
class Traffic {
public:
    Traffic() {
        for (int i = 0; i < 4; ++i)
            all_.go([this] {
                while (!stop_) {
                    std::lock_guard guard(m_);
                    auto c = make_chan<std::string>(1);
                    go([c] { c << "some text"; });
                    CHECK_EQ(c.recv(), "some text");
                    (void)stats();
                }
            });
    }
    ~Traffic() {
        stop_ = true;
        all_.wait();
    }

private:
    std::atomic<bool> stop_{false};
    mutex m_;
    wait_group all_;
};

}  // namespace

TEST_P(a_child_that_calls_gort_gets_one_clear_line, 1, 2, 8) {
    with_procs(procs, [] {
        Traffic traffic;
        mutex held;
        held.lock();
        auto c = make_chan<int>(), full = make_chan<int>(1);
        full << 1;
        auto [cancelable, cancel] = ctx::with_cancel(ctx::background());
        wait_group one;
        one.add(1);
        auto l = net::listen("127.0.0.1:0").value();
        const std::function<void()> calls[] = {
            [] { go([] {}); },
            [] { yield(); },
            [] { gomaxprocs(2); },
            [] { gort::run([] {}); },
            [] { gort::start(); },
            [] { gort::stop(); },
            [] { (void)make_chan<int>(); },
            [&] { c.recv(); },
            [&] { c << 1; },
            [&] { full << 2; },
            [&] { full.recv(); },
            [&] { c.close(); },
            [&] { select(on_recv(c), on_send(full, 3)); },
            [&] { held.lock(); },
            [&] { one.wait(); },
            [&] { one.done(); },
            [] { (void)stats(); },
            [] { lock_os_thread(); },
            [] { (void)after(1ms); },
            [] { after_func(1ms, [] {}); },
            [&, stop = cancel] { stop(); },
            [] { (void)net::listen("127.0.0.1:0"); },
            [&] { (void)l.accept(); },
            [&] { (void)l.close(); },
        };
        for (const auto& call : calls) refused(call);
        // Once more, with pauses of all lengths: the fork comes at any place of the others' work.
        for (int i = 0; i < 200 / test::slow(); ++i) {
            for (uint64_t n = test::rnd() % 3000; n > 0; --n) __asm__ volatile("");
            refused(calls[static_cast<size_t>(i) % std::size(calls)]);
        }
        held.unlock();
        one.done();
        cancel();
    });
}

// The child goes on with the code of a goroutine, or of main, and reaches its end.
TEST_P(a_child_that_returns_from_its_goroutine, 1, 2) {
    Died d = test::run_child([procs] {
        with_procs(procs, [] {
            auto done = make_chan<int>();
            go([done] {
                const pid_t pid = fork();
                if (pid == 0) return;
                int status = 0;
                waitpid(pid, &status, 0);
                done << WEXITSTATUS(status);
            });
            CHECK_EQ(done.recv(), 2);
        });
    });
    CHECK_DIED(d, d.status == 0 && d.err == kLine);
    d = test::run_child([procs] {
        pid_t pid = -1;
        with_procs(procs, [&] { pid = fork(); });
        if (pid == 0) _exit(9);  // not reached
        int status = 0;
        waitpid(pid, &status, 0);
        CHECK_EQ(WEXITSTATUS(status), 2);
    });
    CHECK_DIED(d, d.status == 0 && d.err == kLine);
}

TEST_P(a_child_that_leaves_gort_alone_is_fine, 1, 2, 8) {
    with_procs(procs, [] {
        Traffic traffic;
        for (int i = 0; i < 20; ++i) {
            Died d = fork_here([] { execl("/bin/sh", "sh", "-c", "echo said >&2; exit 3", nullptr); });
            CHECK_DIED(d, d.exit_code() == 3 && d.err == "said\n");
            d = fork_here([] {
                std::string text = std::to_string(getpid()) + " lives";
                try {
                    throw std::runtime_error(text);
                } catch (const std::exception& e) {
                    _exit(e.what() == text ? 5 : 6);
                }
            });
            CHECK_DIED(d, d.exit_code() == 5);
        }
        CHECK_EQ(std::system("exit 4"), 4 << 8);
    });
}

TEST_P(an_exception_that_nobody_catches_in_a_child, 1, 2) {
    with_procs(procs, [] {
        Died d = fork_here([] { throw std::runtime_error("nobody catches it"); });
        CHECK_DIED(d, d.exit_code() == 2 && d.first_line() == "panic: nobody catches it");
        d = fork_here([] { goexit(); });
        CHECK_DIED(d, d.exit_code() == 2 && d.first_line() == "panic: goexit: called outside of a goroutine");
    });
}

TEST_P(foreign_threads_fork_while_the_runtime_is_up, 1, 2, 8) {
    gort::start(sched_test::procs_of(procs));
    {
        Traffic traffic;
        refused([] { go([] {}); });  // this thread has called in
        std::thread other([] {
            refused([] { go([] {}); });  // this one has not
            CHECK_EQ(fork_here([] { _exit(3); }).exit_code(), 3);
            yield();
            refused([] { (void)make_chan<int>(); });
            if (!GORT_TSAN && !GORT_ASAN)  // their reports
                CHECK_EQ(fork_here([] { pthread_exit(nullptr); }).status, 0);
        });
        other.join();
    }
    gort::stop();
}

TEST(a_childs_child_is_refused_as_well) {
    with_procs(2, [] {
        const Died d = fork_here([] {
            const pid_t pid = fork();
            if (pid == 0) yield();
            int status = 0;
            waitpid(pid, &status, 0);
            _exit(WEXITSTATUS(status) + 10);
        });
        CHECK_DIED(d, d.exit_code() == 12 && d.err == kLine);
    });
}

TEST(sigquit_ends_a_forked_child_as_it_would_without_gort) {
    with_procs(2, [] {
        const Died d = fork_here([] {
            raise(SIGQUIT);
            _exit(0);
        });
        CHECK_DIED(d, d.signal() == SIGQUIT && d.err.empty());
    });
}

// ---- without a run: a daemon ----

namespace {

// Everything of a small program, in a child that has no right to it from its parent.
void whole_program(int procs) {
    const int r = gort::run(
        [] {
            auto l = net::listen("127.0.0.1:0").value();
            wait_group all;
            auto c = make_chan<int>();
            int sum = 0;
            for (int i = 1; i <= 100; ++i) all.go([=] { c << i; });
            for (int i = 1; i <= 100; ++i) sum += c.recv();
            all.wait();
            go([l] { l.accept().value().write("hello").value(); });
            CHECK_EQ(read_all(net::dial(address_of(l)).value()), "hello");
            sleep(1ms);
            return sum == 5050 ? 42 : 1;
        },
        sched_test::procs_of(procs));
    _exit(r);
}

void deadlock(int procs) {
    with_procs(procs, [] { make_chan<int>().recv(); });
}

}  // namespace

TEST_P(a_daemon_may_fork_before_and_after_runs, 1, 2, 8) {
    if (GORT_TSAN) TEST_SKIP("TSan lets the child of a process with threads have none");
    for (int i = 0; i < 3; ++i) {
        Died d = fork_here([procs] { whole_program(procs); });
        CHECK_DIED(d, d.exit_code() == 42);
        d = fork_here([procs] {  // twice, as daemons do
            const Died inner = fork_here([procs] { whole_program(procs); });
            _exit(inner.exit_code());
        });
        CHECK_DIED(d, d.exit_code() == 42);
        d = fork_here([procs] { deadlock(procs); });
        CHECK_DIED(d, d.first_line() == "fatal error: all goroutines are asleep - deadlock!");
        with_procs(procs, [] { (void)tcp_pair(); });
    }
}

// Threads of the parent's that have called in are nothing to the child, which sees a deadlock.
TEST_P(what_the_parents_threads_were_is_forgotten, 1, 2) {
    if (GORT_TSAN) TEST_SKIP("TSan lets the child of a process with threads have none");
    gort::start(sched_test::procs_of(procs));
    std::atomic<bool> in{false}, end{false};
    std::thread other([&] {
        yield();
        in = true;
        while (!end) usleep(1000);
    });
    EVENTUALLY(in.load());
    gort::stop();
    Died d = fork_here([procs] { deadlock(procs); });
    CHECK_DIED(d, d.first_line() == "fatal error: all goroutines are asleep - deadlock!");
    d = fork_here([procs] { whole_program(procs); });
    CHECK_DIED(d, d.exit_code() == 42);
    end = true;
    other.join();
}

// A listener from before the fork serves in the child, and the parent's epoll is not touched by that.
TEST_P(a_listener_from_before_the_fork_serves_in_the_child, 1, 2) {
    net::listener l;
    with_procs(procs, [&] {
        l = net::listen("127.0.0.1:0").value();
        go([&] { (void)l.accept().value(); });
        (void)net::dial(address_of(l)).value();
    });
    const std::string address = "127.0.0.1:" + std::to_string(l.port());
    const Died d = fork_here([&] {
        _exit(sched_test::with_procs(procs, [&] {
            go([&] { l.accept().value().write("from the child").value(); });
            return read_all(net::dial(address).value()) == "from the child" ? 7 : 1;
        }));
    });
    CHECK_DIED(d, d.exit_code() == 7);
    with_procs(procs, [&] {
        go([&] { l.accept().value().write("from the parent").value(); });
        CHECK_EQ(read_all(net::dial(address).value()), "from the parent");
        l.close().value();
    });
}

// It never came back to its run, which is over, and forks.
TEST(a_goroutine_that_outlived_its_run_forks) {
    const Died d = test::run_child([] {
        static std::atomic<int> step{0};
        sched_test::with_procs(2, [] {
            go([] {
                step = 1;
                while (step < 2) usleep(100);
                const Died inner = fork_here([] { gort::run([] {}); });
                step = inner.exit_code() == 2 && inner.err == kLine ? 3 : 4;
            });
            while (step < 1) yield();
        });
        step = 2;
        while (step < 3) usleep(100);
        _exit(step);
    });
    CHECK_DIED(d, d.exit_code() == 3);
}
