// tests/sched_fault_test.cc - system calls that fail under the scheduler: a retry or one clear error, never a hang.
// SPDX-License-Identifier: BSD-2-Clause
//
// The failures come from kernel/sys.h's table, which only debug builds have. A child that hangs is the test's hang.
#include <csignal>

#include "kernel/sys.h"
#include "rt/base/report.h"
#include "rt/time.h"
#include "tests/sched_test.h"

using namespace gort;
using namespace gort::sched_test;
using namespace std::chrono_literals;
using kernel::inject;
using kernel::inject_clear;
using kernel::inject_failures;
using kernel::kInjectForever;
using kernel::Sys;

namespace {

bool debug_build() {
    const bool yes = inject(Sys::kGetpid, 1, EPERM);
    inject_clear();
    return yes;
}
#define NEEDS_DEBUG() \
    if (!debug_build()) TEST_SKIP("only in debug builds")

// Something of everything: new goroutines, stacks, threads, waits, wakes, timers.
void work(int goroutines) {
    Sema gate;
    Join join;
    join.add(goroutines);
    for (int i = 0; i < goroutines; ++i)
        go([&] {
            gate.acquire();
            yield();
            join.done();
        });
    sleep(1ms);
    blocking([] { usleep(1000); });
    std::thread other([&] {  // a foreign thread that sleeps and wakes
        for (int i = 0; i < goroutines; ++i) gate.release();
    });
    join.wait();
    other.join();
}

// goroutines that ask for memory again and again; for TSan they are dear
constexpr int kMuch = GORT_TSAN ? 300 : 2000;

// It has worked in spite of all, or has said in one line what it lacks.
void check_clear(const Died& d, std::initializer_list<const char*> texts) {
    if (d.exit_code() == 0) return;
    CHECK_DIED(d, d.exit_code() == 2);
    bool known = false;
    for (const char* text : texts) known |= d.said(text);
    CHECK_DIED(d, known);
}

TEST_P(a_thread_that_cannot_be_made_at_once_is_made_later, 1, 2) {
    NEEDS_DEBUG();
    inject(Sys::kClone, 1, EAGAIN, 3);  // sysmon's and the first Ms'
    with_procs(procs, [] { work(100); });
    CHECK_EQ(inject_failures(Sys::kClone), 3);
}

TEST_P(no_more_threads_is_fatal_and_says_how_many_there_are, 1, 2) {
    NEEDS_DEBUG();
    const Died d = run_child([procs] {
        with_procs(procs, [] {
            inject(Sys::kClone, 1, EAGAIN, kInjectForever);
            go([] {
                for (;;) yield();
            });
            blocking([] { sleep(1000); });  // somebody must go on with the P
        });
    });
    CHECK_DIED(d, d.exit_code() == 2);
    CHECK_DIED(d, d.matches("^runtime: failed to create new OS thread \\(have [0-9]+ already; errno=11\\)\n"
                            "runtime: may need to increase max user processes \\(ulimit -u\\)\n"
                            "fatal error: newosproc\n"));
}

// Whoever blocks keeps his P, whoever waits gets it later.
TEST_P(no_more_threads_stops_nobody_who_can_go_on, 1, 2) {
    NEEDS_DEBUG();
    for (uint32_t times : {1u, 5u, kInjectForever})
        with_procs(procs, [times] {
            nap(1us);  // the first M is there
            inject(Sys::kClone, 1, EAGAIN, times);
            Join join;
            join.add(20);
            for (int i = 0; i < 20; ++i)
                go([&, i] {
                    if (i % 4 == 0) lock_os_thread();
                    if (i % 4 == 0) unlock_os_thread();
                    for (int k = 0; k < 3; ++k) {
                        blocking([] { usleep(1000); });
                        if (i % 2) nap(100us);
                        else yield();
                    }
                    join.done();
                });
            std::thread other([&] {
                join.add();
                go([&] { join.done(); });
            });
            blocking([&] { other.join(); });
            join.wait();
            CHECK_LT(0u, inject_failures(Sys::kClone));
            inject_clear();
        });
}

TEST(no_thread_for_the_monitor_is_fatal_too) {
    NEEDS_DEBUG();
    const Died d = run_child([] {
        inject(Sys::kClone, 1, ENOMEM, kInjectForever);
        with_procs(1, [] { go([] {}); });
    });
    CHECK_DIED(d, d.exit_code() == 2 && d.said("errno=12)\n") && d.said("fatal error: newosproc\n"));
}

TEST_P(memory_that_ends_at_any_point_is_one_clear_error, 1, 2) {
    NEEDS_DEBUG();
    TEST_TIMEOUT(60);
    for (uint32_t nth = 1; nth <= 24; ++nth) {
        const Died d = run_child([procs, nth] {
            inject(Sys::kMmap, nth, ENOMEM, kInjectForever);
            with_procs(procs, [] { work(kMuch); });
        });
        check_clear(d, {"fatal error: out of memory", "fatal error: no memory",
                        "runtime: cannot allocate a goroutine's stack", "fatal error: newosproc"});
    }
}

TEST_P(memory_that_fails_once_is_the_same, 1, 2) {
    NEEDS_DEBUG();
    TEST_TIMEOUT(60);
    for (uint32_t nth = 1; nth <= 24; ++nth) {
        const Died d = run_child([procs, nth] {
            inject(Sys::kMmap, nth, ENOMEM);
            with_procs(procs, [] { work(kMuch); });
        });
        check_clear(d, {"fatal error: out of memory", "fatal error: no memory",
                        "runtime: cannot allocate a goroutine's stack", "fatal error: newosproc"});
    }
}

TEST_P(more_ps_without_memory_or_threads, 1, 2) {
    NEEDS_DEBUG();
    auto grow = [procs](Sys which, uint32_t nth, int err, uint32_t times) {
        return run_child([=] {
            with_procs(procs, [=] {
                inject(which, nth, err, times);
                gomaxprocs(16);
                work(100);
                gomaxprocs(1);
                work(100);
            });
        });
    };
    for (uint32_t nth = 1; nth <= 8; ++nth)
        for (uint32_t times : {1u, kInjectForever})
            check_clear(grow(Sys::kMmap, nth, ENOMEM, times),
                        {"fatal error: out of memory", "fatal error: no memory",
                         "runtime: cannot allocate a goroutine's stack", "fatal error: newosproc"});
    const Died d = grow(Sys::kClone, 1, EAGAIN, 5);
    CHECK_DIED(d, d.exit_code() == 0);
    check_clear(grow(Sys::kClone, 2, EAGAIN, kInjectForever), {"fatal error: newosproc"});
}

TEST_P(advice_and_guards_that_are_refused_change_nothing, 1, 2) {
    NEEDS_DEBUG();
    for (int err : {EINVAL, ENOMEM, EAGAIN}) {
        inject(Sys::kMadvise, 1, err, kInjectForever);
        inject(Sys::kProcessMadvise, 1, err, kInjectForever);
        const Died d = run_child([procs] { with_procs(procs, [] { work(500); }); });
        CHECK_DIED(d, d.exit_code() == 0);
        inject(Sys::kMprotect, 1, err, kInjectForever);
        const Died e = run_child([procs] { with_procs(procs, [] { work(500); }); });
        CHECK_DIED(e, e.exit_code() == 0);
        inject_clear();
    }
}

TEST_P(interrupted_waits_go_on, 1, 2, 8) {
    NEEDS_DEBUG();
    with_procs(procs, [] {
        inject(Sys::kFutex, 1, EINTR, 20'000);
        for (int i = 0; i < 20; ++i) work(20);
        CHECK_LT(0, inject_failures(Sys::kFutex));
        // And those that come from the kernel: a handler without SA_RESTART runs in every thread now and then.
        inject_clear();
        struct sigaction act {};
        act.sa_handler = [](int) {};
        CHECK(sigaction(SIGUSR1, &act, nullptr) == 0);
        std::atomic<bool> stop{false};
        std::thread shooter([&] {
            const std::string me = std::to_string(gettid());
            while (!stop)
                for (const std::string& tid : test::names_in("/proc/self/task"))
                    if (tid != me) kernel::sys_tgkill(getpid(), std::atoi(tid.c_str()), SIGUSR1);
        });
        for (int i = 0; i < 20; ++i) work(20);
        stop = true;
        shooter.join();
    });
}

TEST_P(without_membarrier_everything_works, 1, 2, 8) {
    NEEDS_DEBUG();
    for (int err : {ENOSYS, EPERM}) {
        const Died d = run_child([procs, err] {
            inject(Sys::kMembarrier, 1, err, kInjectForever);
            with_procs(procs, [] {
                for (int i = 0; i < 10; ++i) work(200);
                std::atomic<bool> stop{false};
                Join join;
                join.add(4);
                for (int i = 0; i < 4; ++i)
                    go([&] {
                        while (!stop) {
                        }  // loses its P through the gate
                        join.done();
                    });
                sleep(20ms);
                stop = true;
                join.wait();
                for (int i = 0; i < 50; ++i) gomaxprocs(i % 4 + 1);
            });
        });
        CHECK_DIED(d, d.exit_code() == 0);
    }
}

// A few times it is tried again; one that is refused for ever is done without (kernel/membarrier.h).
TEST(a_membarrier_that_fails_later_is_tried_again_then_done_without) {
    NEEDS_DEBUG();
    if (GORT_TSAN) TEST_SKIP("TSan's build does without it");
    for (const uint32_t times : {uint32_t{100}, kInjectForever}) {
        with_procs(2, [times] {
            inject(Sys::kMembarrier, 1, ENOMEM, times);
            std::atomic<bool> stop{false};
            Join join;
            join.add(3);
            for (int i = 0; i < 3; ++i)
                go([&] {
                    while (!stop) {
                    }
                    join.done();
                });
            sleep(20ms);
            stop = true;
            join.wait();
            inject_clear();
        });
    }
}

TEST_P(what_proc_does_not_tell_is_done_without, 1, 2) {
    NEEDS_DEBUG();
    for (int err : {ENOENT, EACCES, EMFILE}) {
        const Died d = run_child([procs, err] {
            inject(Sys::kOpenat, 1, err, kInjectForever);
            with_procs(procs, [] {
                work(100);
                std::atomic<bool> stop{false};
                Join join;
                join.add(20);
                for (int i = 0; i < 20; ++i)
                    go([&] {
                        while (!stop) {
                        }
                        join.done();
                    });
                sleep(100ms);  // more than may spin: who does, is asked of /proc
                stop = true;
                join.wait();
            });
        });
        CHECK_DIED(d, d.exit_code() == 0);
        const Died e = run_child([procs, err] {
            // a deadlock is suspected until /proc says how many threads there are
            inject(Sys::kOpenat, 1, err, 4);
            with_procs(procs, [] {
                Sema never;
                never.acquire();
            });
        });
        CHECK_DIED(e, e.exit_code() == 2 && e.said("fatal error: all goroutines are asleep - deadlock!\n"));
        CHECK_DIED(e,
                   e.count("gort: all goroutines are asleep, but whether this is a deadlock cannot be told: "
                           "/proc/self/status: errno ") == 1);
        const Died f = run_child([procs, err] {
            inject(Sys::kOpenat, 1, err, kInjectForever);
            with_procs(procs, [] { rt::fatal_error("without names"); });
        });
        CHECK_DIED(f, f.exit_code() == 2 && f.said("fatal error: without names\n"));
        CHECK_DIED(f, f.count("gort: stacks without names: /proc/self/maps: errno ") == 1);
    }
}

TEST_P(a_clock_and_a_generator_that_fail_do_no_harm, 1, 2) {
    NEEDS_DEBUG();
    const Died d = run_child([procs] {
        inject(Sys::kGetrandom, 1, ENOSYS, kInjectForever);
        inject(Sys::kSchedGetaffinity, 1, ENOSYS, kInjectForever);
        inject(Sys::kPrctl, 1, EINVAL, kInjectForever);
        with_procs(procs, [] { work(100); });
    });
    CHECK_DIED(d, d.exit_code() == 0);
}

}  // namespace
