// tests/goexit_test.cc - goexit: what runs on its way, what it passes, and what it cannot.
// SPDX-License-Identifier: BSD-2-Clause
//
// The ids (PN-…, CC-…) are those of the list of Go's behaviours; RT-09 is all of them.
#include <pthread.h>

#include <exception>

#include "tests/panic_test.h"

using namespace gort;
using namespace gort::panic_test;

namespace {

// What a goroutine writes down until it has ended. Nothing of its exceptions stays behind.
template <class F>
std::string log_of_one(F f) {
    std::string log;
    with_procs(1, [&] {
        std::atomic<bool> done{false};
        go([&] {
            defer last{[&] { done = true; }};
            f(log);
        });
        EVENTUALLY(done.load());
        CHECK_EQ(std::uncaught_exceptions(), 0);
        CHECK(!std::current_exception());
    });
    return log;
}

// ---- goexit ----

TEST_P(PN_29_goexit_runs_the_guards_and_ends_only_its_goroutine) {
    std::string log;
    bool unreachable = false;
    with_procs(procs, [&] {
        std::atomic<bool> done{false};
        int before = num_goroutine();
        go([&] {
            defer last{[&] { done = true; }};
            Says a{&log, "a"};
            defer b{[&] { log += "b"; }};
            try {
                Says c{&log, "c"};
                goexit();
            } catch (const std::exception&) {
                unreachable = true;
            }
            unreachable = true;
        });
        EVENTUALLY(done.load());
        EVENTUALLY(num_goroutine() == before);
    });
    CHECK_EQ(log, "cba");
    CHECK(!unreachable);
}

// DL-11
TEST(PN_30_goexit_from_main_lets_the_others_finish_then_deadlocks) {
    Died d = run_child([] {
        with_procs(2, [] {
            Prints guard{"main's guard\n"};
            go([] {
                for (int i = 0; i < 100; i++) yield();
                std::puts("the other one");
            });
            goexit();
        });
    });
    CHECK_DIED(d, d.exit_code() == 2);
    CHECK_DIED(d, d.out == "main's guard\nthe other one\n" || d.out == "the other one\nmain's guard\n");
    CHECK_DIED(d, d.first_line() == "fatal error: no goroutines (main called runtime.Goexit) - deadlock!");
}

TEST(PN_31_goexit_from_main_with_others_blocked_is_the_ordinary_deadlock) {
    Died d = run_child([] {
        with_procs(2, [] {
            go([] { park_for_ever(rt::WaitReason::kChanReceive); });
            goexit();
        });
    });
    CHECK_DIED(d, d.exit_code() == 2);
    CHECK_DIED(
        d,
        d.matches(
            "^fatal error: all goroutines are asleep - deadlock!\n\ngoroutine [0-9]+ \\[chan receive\\]:\n"));
}

// PN-06: a handler of exceptions sees nothing of it, either.
TEST(PN_32_CC_11_catch_all_cannot_keep_a_goroutine_alive) {
    const std::string log = log_of_one([](std::string& to) {
        try {
            try {
                goexit();
            } catch (const std::exception&) {
                to += "exception ";
            } catch (...) {
                to += "swallowed ";
            }
            to += "alive ";
        } catch (...) {
            to += "passed on ";
            throw;
        }
        to += "alive ";
    });
    CHECK_EQ(log, "swallowed passed on ");
}

TEST(PN_32_a_panic_recovered_in_a_deferred_function_does_not_cancel_goexit) {
    const std::string log = log_of_one([](std::string& to) {
        defer inside{[&] {
            try {
                panic("x");
            } catch (const panic_error&) {
                to += "recovered ";
            }
        }};
        goexit();
    });
    CHECK_EQ(log, "recovered ");
}

TEST(PN_33_a_panic_in_a_deferred_function_during_goexit_crashes) {
    Died d = die_in_child([] {
        Prints guard{"guard\n"};
        defer hello{[] { panic("hello"); }};
        goexit();
    });
    CHECK_DIED(d, d.exit_code() == 2);
    CHECK_DIED(d, d.matches("^panic: hello\n\ngoroutine [0-9]+ \\[running\\]:\n"));
    CHECK_DIED(d, d.out == "guard\n");
}

TEST(PN_34_goexit_in_a_deferred_function_ends_a_panic) {
    const std::string log = log_of_one([](std::string& to) {
        Says guard{&to, "guard "};
        defer d{[&] {
            Says inner{&to, "inner "};
            goexit();
        }};
        panic("aborted");
    });
    CHECK_EQ(log, "inner guard ");
}

TEST(PN_34_goexit_from_a_catch_block_and_from_nested_calls) {
    struct Deep {
        [[gnu::noinline]] static void exits(int n, std::string* log) {
            Says guard{log, "."};
            if (n == 0) {
                try {
                    panic("caught");
                } catch (...) {
                    goexit();
                }
            }
            if (n >= 0) exits(n - 1, log);
            asm volatile("");
        }
    };
    const std::string log = log_of_one([](std::string& to) {
        try {
            throw 1;
        } catch (int) {
            Deep::exits(4, &to);
        }
    });
    CHECK_EQ(log, ".....");
}

TEST(goexit_again_on_its_own_way_out) {
    const std::string log = log_of_one([](std::string& to) {
        defer d{[&] {
            Says inner{&to, "inner "};
            goexit();
        }};
        try {
            goexit();
        } catch (...) {
            to += "handler ";
            goexit();
        }
    });
    CHECK_EQ(log, "handler inner ");
}

TEST(a_handler_that_throws_instead_replaces_goexit) {
    Died d = die_in_child([] {
        try {
            goexit();
        } catch (...) {
            panic("instead");
        }
    });
    CHECK_DIED(d, d.exit_code() == 2 && d.first_line() == "panic: instead");
}

TEST(goexit_through_noexcept_says_what_it_is) {
    Died d = die_in_child([]() noexcept { goexit(); });
    CHECK_DIED(d, d.exit_code() == 2);
    CHECK_DIED(d, d.first_line() == "fatal error: goexit met a noexcept function or a destructor");
}

TEST(goexit_on_a_thread_that_is_no_goroutine_panics) {
    bool caught = false;
    try {
        goexit();
    } catch (const panic_error&) {
        caught = true;
    }
    CHECK(caught);
}

TEST(PN_36_only_guards_release_what_is_held) {
    struct Lock {
        bool held = false;
    } guarded, raw;
    with_procs(1, [&] {
        std::atomic<bool> done{false};
        go([&] {
            defer last{[&] { done = true; }};
            guarded.held = raw.held = true;
            defer release{[&] { guarded.held = false; }};
            goexit();
        });
        EVENTUALLY(done.load());
    });
    CHECK(!guarded.held && raw.held);
}

TEST(pthread_exit_on_a_goroutine_is_refused) {
#if GORT_TSAN
    TEST_SKIP("ThreadSanitizer itself dies of it");
#endif
    Died d = die_in_child([] { pthread_exit(nullptr); });
    CHECK_DIED(
        d, d.exit_code() == 2 && d.said("fatal error: pthread_exit or thread cancellation on a goroutine"));
}

TEST(many_goexits_leave_nothing_behind) {
    with_procs(2, [] {
        std::atomic<int> left{1000};
        for (int i = 0; i < 1000; i++)
            go([&] {
                defer last{[&] { left--; }};
                if (num_goroutine() > 0) goexit();
            });
        EVENTUALLY(left.load() == 0);
    });
}

}  // namespace
