// tests/cc_test.cc - what only C++ programs can ask for: unwinding, fork, tools, concepts, large frames.
// SPDX-License-Identifier: BSD-2-Clause
//
// The ids (CC-…, SG-…) are those of the list of behaviours. Most of area CC is tested where it belongs.
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unwind.h>

#include <climits>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <thread>

#include "gort.h"
#include "tests/sched_test.h"

#if defined(__SANITIZE_ADDRESS__) || GORT_TEST_FEATURE(address_sanitizer)
#define CC_ASAN 1
extern "C" int __lsan_do_recoverable_leak_check();
#else
#define CC_ASAN 0
#endif
extern "C" [[gnu::weak]] void __ubsan_handle_add_overflow_abort(void*, void*, void*);
extern char** environ;

using namespace gort;
using namespace gort::sched_test;
using namespace std::chrono_literals;

namespace {

// ---- shapes

// CC-39
template <class T>
concept basic_lockable = requires(T& t) {
    t.lock();
    t.unlock();
};
template <class T>
concept lockable = basic_lockable<T> && requires(T& t) {
    { t.try_lock() } -> std::same_as<bool>;
};
template <class T>
concept shared_lockable = requires(T& t) {
    t.lock_shared();
    t.unlock_shared();
    { t.try_lock_shared() } -> std::same_as<bool>;
};
static_assert(lockable<mutex> && lockable<rw_mutex> && shared_lockable<rw_mutex> && !shared_lockable<mutex>);
// CO-13: a cond has no wait with a time; a select with a timer has.
template <class T>
concept waits_for = requires(T& t) {
    t.wait_for(1s);
}
|| requires(T& t) { t.wait_until(time_point{}); };
static_assert(!waits_for<cond>);

TEST_P(CC_39_the_locks_of_the_library_take_ours, 1, 2, 8) {
    with_procs(procs, [] {
        mutex a, b;
        rw_mutex rw;
        int plain = 0;
        wait_group wg;
        for (int g = 0; g < 4; ++g)
            wg.go([&, g] {
                for (int i = 0; i < 200; ++i) {
                    if (g % 2) {
                        std::scoped_lock both(a, b);  // takes them in any order
                        ++plain;
                        if (i % 10 == 0) yield();
                    } else {
                        std::unique_lock second(b, std::defer_lock), first(a, std::defer_lock);
                        std::lock(second, first);
                        ++plain;
                    }
                    if (std::unique_lock mine(rw, std::try_to_lock); mine) yield();
                    std::shared_lock with_others(rw);
                    CHECK(!rw.try_lock());
                }
            });
        wg.wait();
        CHECK_EQ(plain, 800);
    });
}

// CC-06: what stands for Go's chan bool and chan struct{}.
TEST(CC_06_channels_of_bool_and_of_nothing) {
    with_procs(1, [] {
        auto yes = make_chan<bool>(2);
        yes << true;
        yes << false;
        CHECK(yes.recv());
        CHECK(!yes.recv());
        auto done = make_chan<unit>(1);
        done << unit{};
        CHECK_EQ(done.len(), 1);
        bool ok = false;
        CHECK_EQ(select(on_recv(yes), on_recv(done, [&](unit, bool is) { ok = is; })), 1);
        CHECK(ok);
    });
}

// ---- unwinding

// CC-12: who walks a goroutine's stack comes to an end, and to a clean one.
TEST_P(CC_12_a_walk_ends_at_the_bottom, 1, 2) {
    with_procs(procs, [] {
        const auto walk = [] {
            int frames = 0;
            const auto code = _Unwind_Backtrace(
                [](_Unwind_Context*, void* n) {
                    return ++*static_cast<int*>(n) < 1000 ? _URC_NO_REASON : _URC_NORMAL_STOP;
                },
                &frames);
            CHECK_EQ(int(code), int(_URC_END_OF_STACK));
            CHECK_LT(1, frames);
            CHECK_LT(frames, 60);
        };
        walk();
        Join join;
        join.add(2);
        for (int i = 0; i < 2; ++i)
            go([&, walk] {
                walk();
                yield();
                nap(1ms);  // it may be on another thread now
                walk();
                join.done();
            });
        join.wait();
    });
}

// ---- processes and signals

int status_of(pid_t pid) {
    int status = -1;
    blocking([&] {
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
    });
    return status;
}
constexpr const char* kShell = "/bin/sh";
char* const* words(const char* script) {
    static char sh[] = "sh", c[] = "-c";
    static char text[100];
    static char* argv[] = {sh, c, text, nullptr};
    std::snprintf(text, sizeof text, "%s", script);
    return argv;
}

// CC-18: a program started from a goroutine begins as from any program: no signal is blocked or ignored. And we go on.
TEST_P(CC_18_fork_and_exec, 1, 2, 8) {
    with_procs(procs, [] {
        std::atomic<bool> stop{false};
        Join join;
        join.add(2);
        for (int i = 0; i < 2; ++i)
            go([&] {
                while (!stop) nap(100us);
                join.done();
            });
        const struct {
            const char* script;
            int exits, dies;
        } cases[] = {{"exit 7", 7, 0},
                     {"kill -TERM $$; exit 7", 0, SIGTERM},
                     {"kill -PIPE $$; exit 7", 0, SIGPIPE},
                     {"kill -USR1 $$; exit 7", 0, SIGUSR1},
                     {"kill -SEGV $$; exit 7", 0, SIGSEGV}};
        for (const auto& c : cases)
            for (bool spawn : {false, true}) {
                pid_t pid = -1;
                char* const* argv = words(c.script);
                if (spawn) {
                    CHECK_EQ(posix_spawn(&pid, kShell, nullptr, nullptr, argv, environ), 0);
                } else {
                    pid = fork();
                    if (pid == 0) {
                        execv(kShell, argv);
                        _exit(99);
                    }
                }
                const int status = status_of(pid);
                if (c.dies) CHECK(WIFSIGNALED(status) && WTERMSIG(status) == c.dies);
                else CHECK(WIFEXITED(status) && WEXITSTATUS(status) == c.exits);
                yield();
            }
        stop = true;
        join.wait();
    });
}

// Without exec the child has this one thread and a runtime that still counts the others: to start another is refused.
TEST(CC_18_a_fork_without_exec_is_refused_a_second_runtime) {
    with_procs(2, [] {
        const pid_t pid = fork();
        if (pid == 0) {
            close(2);
            gort::run([] {});
            _exit(0);
        }
        const int status = status_of(pid);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 2);
    });
}

// SG-05: nothing is caught that the program did not ask for.
TEST(SG_05_signals_end_the_process_as_without_us) {
    for (const int sig : {SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGPIPE, SIGALRM})
        for (const bool by_kill : {false, true}) {
            const Died d = run_child([&] {
                signal(sig, SIG_DFL);  // as a shell in the background may not have left it
                with_procs(2, [&] {
                    go([&] {
                        if (by_kill) kill(getpid(), sig);
                        else raise(sig);
                    });
                    for (;;) nap(1ms);
                });
            });
            CHECK_DIED(d, d.signal() == sig);
            CHECK_DIED(d, d.err.empty());
        }
}

// SG-06
TEST_P(SG_06_signals_that_mean_nothing_disturb_nobody, 1, 2, 8) {
    with_procs(procs, [] {
        std::atomic<bool> stop{false};
        std::thread sender([&] {
            while (!stop) {
                kill(getpid(), SIGCHLD);
                kill(getpid(), SIGURG);
                std::this_thread::yield();
            }
        });
        auto c = make_chan<int>(), back = make_chan<int>();
        go([=] {
            for (int v : c) back << v + 1;
            back.close();
        });
        for (int i = 0; i < 2000; ++i) {
            c << i;
            CHECK_EQ(back.recv(), i + 1);
            if (i % 100 == 0) nap(100us);
        }
        c.close();
        stop = true;
        blocking([&] { sender.join(); });
    });
}

// ---- stacks

template <size_t kBytes>
[[gnu::noinline]] int frame_of(int i) {
    volatile char frame[kBytes];
    asm volatile("" : "+r"(i));  // clang makes two chars of an array whose indices it knows
    frame[i] = 1;
    frame[kBytes - 1] = 2;
    return frame[i];
}

// CC-27: one frame beyond the whole stack, an array of a fixed size and one whose size shows late. Without tiers, for
// with them the first stacks have room for such a frame.
TEST(CC_27_frames_larger_than_the_stack_meet_the_guard) {
    for (const bool late : {false, true}) {
        const Died d = run_child([late] {
            setenv("GORT_STACK_TIERS", "0", 1);
            with_procs(2, [late] {
                auto never = make_chan<int>();
                go(stack_size(64 << 10), [late] {
                    size_t n = late ? 4 << 20 : 0;  // more than any slot of the class has
                    asm volatile("" : "+r"(n));
                    auto* p = static_cast<volatile char*>(__builtin_alloca(n + 16));
                    p[n] = 1;
                    p[0] = 2;
                    if (!late) frame_of<(4 << 20)>(7);
                });
                never.recv();
            });
        });
        CHECK_DIED(d, d.exit_code() == 2);
        CHECK_DIED(d, d.said("fatal error: stack overflow"));
    }
}

// ---- tools: what they must find in a goroutine. That they find nothing elsewhere is each suite's run under them.

// CC-29
TEST(CC_29_asan_sees_what_a_goroutine_does_wrong) {
#if CC_ASAN
    const auto read_at = [](int* p, int i) {
        asm volatile("" : "+r"(p)::"memory");
        return p[i];
    };
    Died d = run_child([&] {
        with_procs(2, [&] {
            auto c = make_chan<int>();
            go([&] {
                int a[8] = {};
                c << 1;  // the red zones are kept while it is parked
                c << read_at(a, 8);
            });
            c.recv();
            c.recv();
        });
    });
    CHECK_DIED(d, d.said("stack-buffer-overflow"));
    d = run_child([&] {
        with_procs(2, [&] {
            auto c = make_chan<int*>();
            go([=] {
                int* p = c.recv();
                delete p;
                c << p;
            });
            c << new int(3);
            std::printf("%d\n", read_at(c.recv(), 0));
        });
    });
    CHECK_DIED(d, d.said("heap-use-after-free"));
#else
    TEST_SKIP("needs BUILD=asan");
#endif
}

// CC-30
TEST(CC_30_ubsan_sees_what_a_goroutine_does_wrong) {
    // clang's ASan has the function without the check
    if (!__ubsan_handle_add_overflow_abort || GORT_ASAN) TEST_SKIP("needs BUILD=ubsan");
    const Died d = run_child([] {
        with_procs(2, [] {
            auto c = make_chan<int>();
            go([=] { c << c.recv() + 1; });
            c << INT_MAX;
            std::printf("%d\n", c.recv());
        });
    });
    CHECK_DIED(d, d.said("signed integer overflow"));
}

#if CC_ASAN
int* volatile g_kept = nullptr;
#endif
TEST(CC_30_lsan_sees_what_a_goroutine_has_lost) {
#if CC_ASAN
    const char* options = std::getenv("ASAN_OPTIONS");
    if (options && std::strstr(options, "detect_leaks=0")) TEST_SKIP("no leak detection");
    for (const bool lost : {false, true}) {
        const Died d = run_child([lost] {
            with_procs(2, [lost] {
                auto c = make_chan<int*>();
                go([=] {
                    int* p = new int[25];
                    if (!lost) g_kept = p;
                    c << p;
                });
                *c.recv() = 1;
            });
            // No pointer is left behind in what this thread's stack was before.
            volatile char swept[8192];
            for (volatile char& at : swept) at = 0;
            _exit(__lsan_do_recoverable_leak_check() ? 5 : 0);
        });
        CHECK_DIED(d, d.exit_code() == (lost ? 5 : 0));
    }
#else
    TEST_SKIP("needs BUILD=asan");
#endif
}

// CC-31
TEST(CC_31_tsan_sees_a_race_of_two_goroutines) {
#if GORT_TSAN
    for (const bool guarded : {false, true}) {
        const Died d = run_child([guarded] {
            with_procs(2, [guarded] {
                static long plain;
                mutex mu;
                wait_group wg;
                std::atomic<int> there{0};
                for (int g = 0; g < 2; ++g)
                    wg.go([&] {
                        there.fetch_add(1, std::memory_order_relaxed);
                        while (there.load(std::memory_order_relaxed) < 2) {
                        }
                        for (int i = 0; i < 1000; ++i) {
                            std::unique_lock lock(mu, std::defer_lock);
                            if (guarded) lock.lock();
                            ++plain;
                        }
                    });
                wg.wait();
            });
        });
        CHECK_DIED(d, d.said("data race") == !guarded);
    }
#else
    TEST_SKIP("needs BUILD=tsan");
#endif
}

}  // namespace
