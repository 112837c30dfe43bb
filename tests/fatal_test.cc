// tests/fatal_test.cc - how a run ends badly: deadlock, stack overflow, no more threads, SIGQUIT, and what is said
// then.
// SPDX-License-Identifier: BSD-2-Clause
//
// The ids (TB-…, DL-…, RT-…, PN-…) are those of the list of Go's behaviours.
#include <signal.h>

#include <atomic>

#include "arch/sanitize.h"
#include "kernel/vm.h"
#include "rt/base/report.h"
#include "rt/stack/stack.h"
#include "tests/panic_test.h"

using namespace gort;
using namespace gort::panic_test;
using rt::WaitReason;

namespace {

// ---- deadlock ----

// A function of the program's: those in namespace gort are left out of dumps.
[[gnu::noinline]] void waits_for_ever(WaitReason why) {
    park_for_ever(why);
    asm volatile("");  // not a tail call
}

TEST(DL_01_DL_02_DL_03_deadlock_lists_all_main_first) {
    Died d = run_child([] {
        with_procs(2, [] {
            go([] { waits_for_ever(WaitReason::kChanSend); });
            go([] { waits_for_ever(WaitReason::kMutexLock); });
            waits_for_ever(WaitReason::kWaitGroupWait);
        });
    });
    CHECK_DIED(d, d.exit_code() == 2);
    CHECK_DIED(
        d, d.err.rfind(
               "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [sync.WaitGroup.Wait]:\n",
               0) == 0);
    CHECK_DIED(d, d.matches("^goroutine [0-9]+ \\[chan send\\]:$") &&
                      d.matches("^goroutine [0-9]+ \\[sync.Mutex.Lock\\]:$"));
    CHECK_DIED(d, d.count("\n\ngoroutine ") == 3);
    CHECK_DIED(d, d.count("waits_for_ever") == 3);
}

TEST(DL_02_deadlock_with_the_level_none_is_the_line_alone) {
    Died d = run_child([] {
        setenv("GORT_TRACEBACK", "none", 1);
        with_procs(2, [] { park_for_ever(WaitReason::kSelect); });
    });
    CHECK_DIED(d, d.err == "fatal error: all goroutines are asleep - deadlock!\n" && d.exit_code() == 2);
}

TEST(DL_09_deadlock_with_goroutines_locked_to_threads) {
    Died d = run_child([] {
        with_procs(2, [] {
            go([] {
                lock_os_thread();
                park_for_ever(WaitReason::kChanSend);
            });
            lock_os_thread();
            park_for_ever(WaitReason::kChanReceive);
        });
    });
    CHECK_DIED(d, d.exit_code() == 2 && d.said("all goroutines are asleep - deadlock!"));
    CHECK_DIED(d, d.matches("^goroutine 1 \\[chan receive, locked to thread\\]:$"));
}

// ---- other ends ----

[[gnu::noinline]] int overflowing(int n) {
    volatile char frame[512];
    frame[0] = char(n);
    return n < 0 ? 0 : overflowing(n + 1) + frame[0];
}

TEST(RT_24_PN_41_stack_overflow_in_a_goroutine_and_in_main) {
    auto overflow = [] {
        try {
            std::printf("%d\n", overflowing(0));
        } catch (...) {
            std::puts("caught");
        }
    };
    for (bool in_main : {false, true}) {
        Died d = in_main ? die_in_main(overflow) : die_in_child(overflow);
        CHECK_DIED(d, d.exit_code() == 2);
        CHECK_DIED(d, d.matches("^runtime: goroutine stack exceeds [0-9]+-byte limit\nruntime: "
                                "sp=0x[0-9a-f]+ stack=\\[0x[0-9a-f]+, 0x[0-9a-f]+"));
        CHECK_DIED(
            d, d.matches("^fatal error: stack overflow\n\ngoroutine [0-9]+ \\[running\\]:\n.*overflowing"));
        CHECK_DIED(d, d.matches("^\\.\\.\\.[0-9]+ frames elided\\.\\.\\.$"));
        CHECK_DIED(d, d.out.empty());
        if (!in_main) CHECK_DIED(d, d.matches("^created by "));
    }
}

// There the stack pointer lies in memory that nobody may read, in a mapping of its own.
TEST(PN_41_the_stack_is_shown_whatever_the_guard) {
    for (auto kind : {rt::GuardKind::kMadvise, rt::GuardKind::kMprotect}) {
        const Died d = run_child([kind] {
            rt::stack_force_guard(kind);
            with_procs(2, [] { std::printf("%d\n", overflowing(0)); });
        });
        CHECK_DIED(d, d.exit_code() == 2 && d.matches("^\\.\\.\\.[0-9]+ frames elided\\.\\.\\.$"));
        CHECK_DIED(d, d.count("overflowing") > 50);
    }
}

TEST(the_hint_for_main_is_its_own) {
    auto overflow = [] { std::printf("%d\n", overflowing(0)); };
    Died d;
    if (!arch::tool_watches_now() && !kernel::emulated()) {  // else there are no tiers
        d = die_in_main(overflow);
        CHECK_DIED(d, d.matches("^runtime: goroutine stack exceeds 10[0-9]{8}-byte limit$"));
        CHECK_DIED(
            d,
            d.matches("^runtime: [0-9]+ bytes or more were needed, and no stack is larger than 1024 MiB$"));
    }
    setenv("GORT_STACK_TIERS", "0", 1);
    d = die_in_main(overflow);
    CHECK_DIED(d,
               d.matches("^runtime: [0-9]+ bytes or more were needed; gort::run\\(main, \\{\\.stack_size = "
                         "512 << 10\\}\\) or GORT_STACK=512K raises it$"));
    d = die_in_child(overflow);
    unsetenv("GORT_STACK_TIERS");
    CHECK_DIED(
        d, d.matches(
               "^runtime: [0-9]+ bytes or more were needed; gort::go\\(gort::stack_size\\(512 << 10\\), f\\) "
               "raises it for one goroutine, GORT_STACK=512K for all$"));
}

TEST(RT_21_RT_22_threads_run_out) {
    Died d = die_in_main([] { rt::fatal_thread_exhaustion(10); });
    CHECK_DIED(d, d.exit_code() == 2);
    CHECK_DIED(d, d.err.rfind("runtime: program exceeds 10-thread limit\nfatal error: thread "
                              "exhaustion\n\ngoroutine 1 [running]:\n",
                              0) == 0);
    d = die_in_main([] { rt::fatal_newosproc(3, ENOMEM); });
    CHECK_DIED(
        d,
        d.err.rfind(
            "runtime: failed to create new OS thread (have 3 already; errno=12)\nfatal error: newosproc\n\n",
            0) == 0);
    d = die_in_main([] { rt::fatal_newosproc(3, EAGAIN); });
    CHECK_DIED(d, d.said("errno=11)\nruntime: may need to increase max user processes (ulimit -u)\nfatal "
                         "error: newosproc\n"));
    d = run_child([] {
        options o = procs_of(2);
        o.max_threads = 5;
        gort::run(
            [] {
                for (int i = 0; i < 10; i++)
                    go([] {
                        lock_os_thread();
                        park_for_ever(WaitReason::kSelect);
                    });
                for (;;) yield();
            },
            o);
    });
    CHECK_DIED(d, d.exit_code() == 2 &&
                      d.said("runtime: program exceeds 5-thread limit\nfatal error: thread exhaustion\n"));
}

TEST(RT_35_GORT_TRACEBACK) {
    auto headers = [](const char* level) {
        Died d = run_child([&] {
            if (level) setenv("GORT_TRACEBACK", level, 1);
            with_procs(1, [] {
                static Parked p;
                go([] { p.park(WaitReason::kSelect); });
                EVENTUALLY(p.g.load() != nullptr);
                panic("x");
            });
        });
        CHECK_DIED(d, d.first_line() == "panic: x");
        bool system = d.said("\ngort_entry\n");
        return int(d.count("\ngoroutine ")) + (system ? 10 : 0) +
               (d.signal() == SIGABRT ? 100
                : d.exit_code() == 2  ? 0
                                      : 1000);
    };
    CHECK_EQ(headers(nullptr), 1);
    CHECK_EQ(headers("none"), 0);
    CHECK_EQ(headers("0"), 0);
    CHECK_EQ(headers("single"), 1);
    CHECK_EQ(headers("all"), 2);
    CHECK_EQ(headers("1"), 2);
    CHECK_EQ(headers("system"), 12);
    CHECK_EQ(headers("2"), 12);
    CHECK_EQ(headers("crash"), 112);
    Died d = run_child([] {
        setenv("GORT_TRACEBACK", "loud", 1);
        with_procs(1, [] {});
    });
    CHECK_DIED(d, d.exit_code() == 2 && d.said("GORT_TRACEBACK=loud: ") && d.count("\n") == 1);
}

TEST(TB_12_SIGQUIT_dumps_and_ends) {
    auto quit = [](const char* setting, bool spins) {
        test::Child c([&] {
            if (setting) setenv("GORT_SIGQUIT", setting, 1);
            with_procs(2, [&] {
                static Parked p;
                static std::atomic<bool> ready{false};
                go([] { p.park(WaitReason::kChanReceive); });
                EVENTUALLY(p.g.load() != nullptr);
                ready = true;
                std::fputs("ready\n", stderr);
                while (spins) asm volatile("");
                while (!spins) yield();
            });
        });
        EVENTUALLY(c.err_so_far() == "ready\n");
        kill(c.pid(), SIGQUIT);
        return c.wait();
    };
    Died d = quit(nullptr, true);
    CHECK_DIED(d, d.exit_code() == 2);
    CHECK_DIED(d, d.matches("^SIGQUIT: quit\nPC=0x[0-9a-f]+ m=[0-9]+ sigcode=0\n\ngoroutine [0-9]+ "));
    CHECK_DIED(d, d.block("goroutine 1 [running]:").find("TB_12") != std::string::npos);
    CHECK_DIED(d, d.matches("^goroutine [0-9]+ \\[chan receive\\]:$"));
    d = quit(nullptr, false);
    CHECK_DIED(d, d.exit_code() == 2);
    CHECK_DIED(d, d.matches("^goroutine 1 \\[(running|runnable)\\]:$") &&
                      d.matches("^goroutine [0-9]+ \\[chan receive\\]:$"));
    d = quit("0", true);
    CHECK_DIED(d, d.signal() == SIGQUIT && d.err == "ready\n");
}

TEST(TB_12_a_second_SIGQUIT_does_not_cut_the_dump_short) {
    constexpr int kMany = 900;  // from 1,000 on, equal stacks are shown once
    test::Child c([&] {
        with_procs(2, [&] {
            for (int i = 0; i < kMany; ++i) go([] { park_for_ever(WaitReason::kChanReceive); });
            int parked = 0;
            while (parked < kMany) {
                yield();
                parked = 0;
                auto count = [](rt::G* gp, void* n) {
                    *static_cast<int*>(n) += rt::observed_status(gp) == rt::GStatus::kWaiting;
                };
                rt::for_each_g(count, &parked);
            }
            std::fputs("ready\n", stderr);
            for (;;) yield();
        });
    });
    EVENTUALLY(c.err_so_far() == "ready\n");
    kill(c.pid(), SIGQUIT);
    EVENTUALLY(c.err_so_far().find("SIGQUIT: quit") != std::string::npos);
    kill(c.pid(), SIGQUIT);
    Died d = c.wait();
    CHECK_DIED(d, d.exit_code() == 2 && d.count(" [chan receive]:\n") == kMany);
}

// As if it had no CPU: it could run, and does not come to the signal for much longer than an idle machine needs.
TEST(TB_12_a_thread_that_answers_late_is_waited_for) {
    test::Child c([&] {
        with_procs(2, [&] {
            static std::atomic<bool> blocked{false};
            go([] {
                sigset_t quit;
                sigemptyset(&quit);
                sigaddset(&quit, SIGQUIT);
                pthread_sigmask(SIG_BLOCK, &quit, nullptr);
                blocked = true;
                const std::string file = "/proc/self/task/" + std::to_string(gettid()) + "/status";
                while (test::read_file(file).find("SigPnd:\t0000000000000000") != std::string::npos) {
                }
                for (const auto until = rt::now() + 500'000'000; rt::now() < until;) {
                }
                pthread_sigmask(SIG_UNBLOCK, &quit, nullptr);
                for (;;) asm volatile("");
            });
            EVENTUALLY(blocked);
            std::fputs("ready\n", stderr);
            for (;;) asm volatile("");
        });
    });
    EVENTUALLY(c.err_so_far() == "ready\n");
    kill(c.pid(), SIGQUIT);
    Died d = c.wait();
    CHECK_DIED(d, d.exit_code() == 2 && !d.said("stack unavailable"));
    CHECK_DIED(d, d.count(" [running]:\n") == 2 && d.count("created by") == 1);
    const size_t late = d.err.find("created by");
    const std::string stack = d.err.substr(d.err.rfind("\n\n", late), late);
    CHECK_DIED(d, stack.find("[running]") != std::string::npos &&
                      stack.find("TB_12_a_thread_that_answers_late") != std::string::npos);
}

TEST(SIGQUIT_of_a_program_with_its_own_handler_is_left_alone) {
    Died d = run_child([] {
        signal(SIGQUIT, [](int) { _exit(5); });
        with_procs(1, [] { raise(SIGQUIT); });
    });
    CHECK_DIED(d, d.exit_code() == 5 && d.err.empty());
    d = run_child([] {
        with_procs(1, [] {});
        raise(SIGQUIT);  // the runtime is not up any more
    });
    CHECK_DIED(d, d.signal() == SIGQUIT && d.err.empty());
}

TEST(a_second_fault_inside_a_report_still_ends) {
    Died d = run_child([] {
        with_procs(1, [] {
            struct Twice : std::exception {
                const char* what() const noexcept override { rt::fatal_error("inside what"); }
            };
            throw Twice{};
        });
    });
    CHECK_DIED(d, d.exit_code() == 2 && d.said("fatal error: inside what"));
}

}  // namespace
