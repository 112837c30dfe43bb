// tests/lend_test.cc - who waits for children runs those that have not begun on its own stack: rt/sched/lend.h.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/sched/lend.h"

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "chan/chan.h"
#include "rt/panic.h"
#include "rt/sched/trim.h"
#include "rt/sync/wait_group.h"
#include "rt/time.h"
#include "tests/sched_test.h"

namespace {

using namespace gort;
using namespace gort::sched_test;
using namespace std::chrono_literals;

// In a goroutine of its own: the first M lends nothing, for it runs nobody but main.
template <class F>
void in_goroutine(int procs, F f) {
    with_procs(procs, [f] {
        auto over = make_chan<int>(1);
        go([f, over] {
            f();
            over << 1;
        });
        over.recv();
    });
}

// Does a child of this goroutine run on its stack? A look around may be due just then, so: once in a while.
[[gnu::noinline]] bool lent_once() {
    char mine = 0;
    bool near = false;
    wait_group wg;
    wg.go([&mine, &near] {
        char yours = 0;
        const auto a = reinterpret_cast<uintptr_t>(&mine), b = reinterpret_cast<uintptr_t>(&yours);
        near = a > b && a - b < 8192;
        asm volatile("" : : "r"(&yours) : "memory");
    });
    wg.wait();
    asm volatile("" : : "r"(&mine) : "memory");
    return near;
}

bool lends() {
    for (int i = 0; i < 200; ++i)
        if (lent_once()) return true;
    return false;
}

// No room: where stacks come in no tiers a waiter's has no more than any goroutine is promised.
bool has_room() {
    return !arch::kToolWatches && rt::stack_bounds(rt::self()->curg->stack).size() > size_t{2} << 20;
}

TEST_P(a_child_runs_on_the_waiters_stack, 1, 2) {
    in_goroutine(procs, [] { CHECK_EQ(lends(), has_room()); });
}

TEST_P(a_borrower_has_an_id_of_its_own, 1, 2) {
    in_goroutine(procs, [] {
        for (int i = 0; i < 100; ++i) {
            const uint64_t mine = goid();
            uint64_t first = 0, second = 0;
            wait_group wg;
            wg.go([&first] { first = goid(); });
            wg.go([&second] { second = goid(); });
            wg.wait();
            CHECK(first && second && first != second && first != mine && second != mine);
            CHECK_EQ(goid(), mine);
        }
    });
}

// It parks, others run, it goes on, perhaps elsewhere; what its lender has on the stack stays.
TEST_P(a_borrower_parks, 1, 2, 8) {
    in_goroutine(procs, [] {
        auto to = make_chan<int>(), back = make_chan<int>();
        go([to, back] {
            for (int x; to.recv(x);) back << x + 1;
            back.close();
        });
        for (int round = 0; round < 500; ++round) {
            std::array<int, 64> mine;
            mine.fill(round);
            asm volatile("" : : "r"(mine.data()) : "memory");
            std::atomic<int> sum{0};
            wait_group wg;
            for (int i = 0; i < 3; ++i)
                wg.go([&sum, to, back, i] {
                    for (int k = 0; k < 3; ++k) {
                        to << i;
                        yield();
                        sum += back.recv();
                    }
                });
            wg.wait();
            CHECK(sum.load() >= 9);
            for (const int x : mine) CHECK_EQ(x, round);
        }
        to.close();
    });
}

TEST_P(goexit_and_what_its_frames_hold, 1, 2) {
    in_goroutine(procs, [] {
        for (int i = 0; i < 50; ++i) {
            std::string log;
            wait_group wg;
            wg.go([&log] {
                struct Say {
                    std::string* to;
                    ~Say() { *to += "frame "; }
                } say{&log};
                goexit();
            });
            wg.wait();
            CHECK_EQ(log, "frame ");
        }
    });
}

// wait says that all is over: what the callable holds is, too.
TEST_P(the_callable_ends_before_wait_returns, 1, 2) {
    in_goroutine(procs, [] {
        for (int i = 0; i < 100; ++i) {
            auto held = std::make_shared<int>(1);
            wait_group wg;
            wg.go([held] {});
            wg.wait();
            CHECK_EQ(held.use_count(), 1);
        }
    });
}

// Deeper than there is room for; then children get stacks of their own.
int depth(int n) {
    if (n == 0) return 0;
    volatile char room[2048];
    room[0] = 1;
    int below = 0;
    wait_group wg;
    wg.go([&below, n] { below = depth(n - 1); });
    wg.wait();
    return below + room[0];
}
TEST_P(as_deep_as_it_takes, 1, 2) {
    in_goroutine(procs, [] { CHECK_EQ(depth(2000), 2000); });
}

int fib(int n) {
    if (n < 2) return n;
    int a = 0;
    wait_group wg;
    wg.go([&a, n] { a = fib(n - 1); });
    const int b = fib(n - 2);
    wg.wait();
    return a + b;
}
TEST_P(a_tree, 1, 2, 8) {
    with_procs(procs, [] {
        for (int i = 0; i < 5; ++i) CHECK_EQ(fib(18), 2584);
    });
}

// A child that is locked when it ends takes its thread along; its waiter goes on at another.
TEST_P(a_locked_borrower_ends, 1, 2) {
    in_goroutine(procs, [] {
        for (int i = 0; i < 20; ++i) {
            wait_group wg;
            int n = 0;
            for (int k = 0; k < 2; ++k)
                wg.go([&n] {
                    lock_os_thread();
                    ++n;
                });
            wg.wait();
            CHECK_EQ(n, 2);
        }
    });
}

// A goroutine that knows the group but is not its child may wait for what comes after wait.
TEST_P(no_child_no_loan, 1, 2) {
    in_goroutine(procs, [] {
        for (int i = 0; i < 100; ++i) {
            auto after = make_chan<int>();
            wait_group wg;
            wg.add(1);
            go([&wg, after] {
                wg.done();
                after.recv();
            });
            wg.wait();
            after << 1;
        }
    });
}

// Every so many decisions a P has the oldest of its queue run next: that one is no child, whoever was next before.
TEST_P(who_has_run_before_begins_once, 1, 2) {
    in_goroutine(procs, [] {
        std::atomic<int> begun{0};
        std::atomic<bool> over{false};
        wait_group others;
        for (int i = 0; i < 3; ++i)
            others.go([&] {
                ++begun;
                while (!over) yield();
            });
        EVENTUALLY(begun == 3);
        for (int i = 0; i < 1000; ++i) {
            wait_group wg;
            wg.go([] {});
            rt::M* mp = rt::enter();
            if (rt::P* pp = rt::p_of(mp)) pp->set_until_look(0);
            rt::leave(mp);
            wg.wait();
        }
        over = true;
        others.wait();
        CHECK_EQ(begun.load(), 3);
    });
}

// The run ends while a borrower waits on a stack that is not its own: the ledger of stacks counts.
TEST_P(the_run_ends_meanwhile, 1, 2) {
    for (int i = 0; i < 20; ++i)
        with_procs(procs, [] {
            auto begun = make_chan<int>(), never = make_chan<int>();
            go([begun, never] {
                wait_group wg;
                wg.go([begun, never] {
                    wait_group inner;
                    inner.go([begun, never] {
                        begun << 1;
                        never.recv();
                    });
                    inner.wait();
                });
                wg.wait();
            });
            begun.recv();
        });
}

#if !GORT_TSAN
// Both stand deep and are parked for long: what lies between and above stays, what is below the borrower goes.
[[gnu::noinline]] void deep_then(size_t bytes, unsigned char mark, const std::function<void()>& f) {
    volatile unsigned char mine[1024];
    for (size_t i = 0; i < sizeof mine; ++i) mine[i] = static_cast<unsigned char>(mark + i);
    if (bytes > sizeof mine) deep_then(bytes - sizeof mine, static_cast<unsigned char>(mark + 7), f);
    else f();
    for (size_t i = 0; i < sizeof mine; ++i) CHECK_EQ(mine[i], static_cast<unsigned char>(mark + i));
}
TEST_P(trimmed_while_lent, 1, 2) {
    struct Pace {
        Pace() { rt::trim_set_pace(1'000'000, 1'000'000); }
        ~Pace() { rt::trim_set_pace(0, 0); }
    } pace;
    in_goroutine(procs, [] {
        auto wake = make_chan<int>();
        go([wake] {
            for (int i = 0; i < 10; ++i) {
                sleep(20ms);
                wake << i;
            }
        });
        for (int i = 0; i < 10; ++i)
            deep_then(60'000, 1, [wake] {
                wait_group wg;
                wg.go([wake] {
                    deep_then(60'000, 2, [] {});
                    deep_then(20'000, 3, [wake] { wake.recv(); });
                });
                wg.wait();
            });
    });
}
#endif

TEST(a_panic_names_the_borrower_and_ends_the_process) {
    const Died died = run_child([] {
        in_goroutine(1, [] {
            for (;;) {
                wait_group wg;
                wg.go([] { throw std::string("out of a child"); });
                wg.wait();
                std::puts("went on");
            }
        });
    });
    CHECK(died.err.find("panic:") != std::string::npos);
    CHECK(died.err.find("created by") != std::string::npos);
    CHECK(died.out.find("went on") == std::string::npos);
}

TEST(a_deadlock_of_both_is_reported) {
    const Died died = run_child([] {
        with_procs(2, [] {
            wait_group all;
            all.go([] {
                wait_group wg;
                wg.go([] { make_chan<int>().recv(); });
                wg.wait();
            });
            all.wait();
        });
    });
    CHECK(died.err.find("all goroutines are asleep - deadlock!") != std::string::npos);
    size_t waits = 0;
    for (size_t at = 0; (at = died.err.find("[sync.WaitGroup.Wait", at)) != std::string::npos; ++at) ++waits;
    CHECK_EQ(waits, size_t{2});
    CHECK(died.err.find("[chan receive") != std::string::npos);
}

}  // namespace
