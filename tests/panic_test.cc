// tests/panic_test.cc - panic, recover and defer: what runs, what is printed, how the process ends.
// SPDX-License-Identifier: BSD-2-Clause
//
// The ids (PN-…, CC-…) are those of the list of Go's behaviours. Exceptions on the move:
// panic_travel_test.cc.
#include "tests/panic_test.h"

#include <functional>
#include <regex>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "rt/base/report.h"
#include "rt/host.h"

using namespace gort;
using namespace gort::panic_test;

namespace {

[[gnu::noinline]] void throw_boom() { throw std::runtime_error("boom"); }

// ---- an exception that leaves its goroutine ----

TEST(PN_01_a_panic_in_main_ends_the_process) {
    Died d = die_in_main([] { panic("boom"); });
    CHECK_DIED(d, d.exit_code() == 2);
    CHECK_DIED(d, d.err.rfind("panic: boom\n\ngoroutine 1 [running]:\n", 0) == 0);
}

TEST(PN_01_CC_08_a_panic_in_any_goroutine_ends_the_process) {
    Died d = die_in_child([] { panic("boom"); });
    CHECK_DIED(d, d.exit_code() == 2);
    CHECK_DIED(d, d.matches("^panic: boom\n\ngoroutine [0-9]+ \\[running\\]:\n"));
    CHECK_DIED(d, !d.said("goroutine 1 "));
}

TEST(PN_02_its_own_guards_run_before_the_message_and_main_s_never) {
    Died d = run_child([] {
        dup2(2, 1);  // one stream, so that the order shows
        std::setvbuf(stdout, nullptr, _IONBF, 0);
        with_procs(2, [] {
            Prints main_guard{"main's guard\n"};
            go([] {
                Prints guard{"own guard\n"};
                defer also{[] { std::fputs("own defer\n", stdout); }};
                panic("boom");
            });
            for (;;) yield();
        });
    });
    CHECK_DIED(d, d.exit_code() == 2);
    CHECK_DIED(d, d.err.rfind("own defer\nown guard\npanic: boom\n", 0) == 0);
    CHECK_DIED(d, !d.said("main's guard"));
}

TEST(what_was_printed_before_a_panic_is_not_lost_in_a_buffer) {
    Died d = die_in_main([] {
        std::printf("still in stdio's buffer");
        panic("boom");
    });
    CHECK_DIED(d, d.out == "still in stdio's buffer");
}

TEST(the_stack_is_that_of_the_throw_point) {
    struct Deep {
        [[gnu::noinline]] static void throws(int n) {
            if (n == 0) throw std::runtime_error("deep");
            throws(n - 1);
            asm volatile("");
        }
    };
    Died d = die_in_child([] {
        Prints guard{"guard\n"};
        Deep::throws(3);
    });
    CHECK_DIED(d, d.count("Deep::throws(int)") == 4);
    CHECK_DIED(d, d.matches("^panic: deep\n.*\n\ngoroutine [0-9]+ \\[running\\]:\n.*Deep::throws"));
    CHECK_DIED(d, d.matches("panic_test.cc:[0-9]+ \\+0x[0-9a-f]+$"));
    CHECK_DIED(d, d.matches("^created by .* at .*panic_test.h:[0-9]+$"));
    CHECK_DIED(d, !d.said("_Unwind_") && !d.said("__cxa_throw") && !d.said("gort_"));
}

// ---- recover and defer ----

TEST(PN_03_deferred_functions_run_last_in_first_out) {
    std::string log;
    auto f = [&] {
        defer a{[&] { log += "a"; }};
        defer b{[&] { log += "b"; }};
        Says c{&log, "c"};
        log += "x";
        return log.size();  // set before they run
    };
    CHECK_EQ(f(), 1);
    CHECK_EQ(log, "xcba");
}

TEST(PN_04_after_recover_the_function_returns_and_earlier_guards_run) {
    std::string log;
    int result = with_procs(1, [&]() -> int {
        auto f = [&] {
            Says earlier{&log, "earlier "};
            try {
                Says inner{&log, "inner "};
                panic("boom");
            } catch (const panic_error& e) {
                log += e.what();
                log += ' ';
                return 5;
            }
        };
        return f();
    });
    CHECK_EQ(result, 5);
    CHECK_EQ(log, "inner boom earlier ");
}

TEST(PN_07_an_inner_panic_can_be_recovered_while_an_outer_one_unwinds) {
    std::string log;
    with_procs(1, [&] {
        try {
            defer d{[&] {
                try {
                    panic("inner");
                } catch (const panic_error& e) {
                    log += e.what();
                }
            }};
            panic("outer");
        } catch (const panic_error& e) {
            log += e.what();
        }
    });
    CHECK_EQ(log, "innerouter");
}

TEST(PN_07_a_throwing_defer_does_not_stop_the_unwinding_and_is_reported) {
    Died d = die_in_main([] {
        Prints guard{"outer guard\n"};
        defer later{[] { panic("third"); }};
        defer first{[] { panic("second"); }};
        panic("first");
    });
    CHECK_DIED(d, d.exit_code() == 2);
    CHECK_DIED(d, d.err.rfind("panic: first\n\tpanic: second\n\tpanic: third\n\n", 0) == 0);
    CHECK_DIED(d, d.out == "outer guard\n");
}

TEST(PN_07_a_throwing_defer_is_dropped_when_the_panic_is_recovered) {
    Died d = die_in_main([] {
        try {
            defer first{[] { panic("dropped"); }};
            panic("first");
        } catch (const panic_error&) {
        }
        panic("later");
    });
    CHECK_DIED(d, d.first_line() == "panic: later");
    CHECK_DIED(d, !d.said("panic: dropped"));
}

TEST(a_throwing_defer_at_a_normal_exit_throws) {
    int caught = 0;
    with_procs(1, [&] {
        try {
            defer d{[] { panic("x"); }};
        } catch (const panic_error&) {
            ++caught;
        }
    });
    try {
        defer d{[] { panic("x"); }};  // and on a thread that is not the runtime's
    } catch (const panic_error&) {
        ++caught;
    }
    CHECK_EQ(caught, 2);
}

TEST(a_defer_inside_a_destructor_that_unwinding_runs_is_an_ordinary_one) {
    struct Cleanup {
        int* caught;
        ~Cleanup() {
            try {
                defer d{[] { panic("inner"); }};
            } catch (const panic_error&) {
                ++*caught;
            }
        }
    };
    int caught = 0;
    with_procs(1, [&] {
        try {
            Cleanup c{&caught};
            panic("outer");
        } catch (const panic_error&) {
        }
    });
    CHECK_EQ(caught, 1);
}

TEST(PN_08_panics_thrown_again_to_any_depth) {
    Died d = die_in_main([] {
        try {
            try {
                panic("first");
            } catch (...) {
                std::throw_with_nested(panic_error("second"));
            }
        } catch (...) {
            std::throw_with_nested(panic_error("third"));
        }
    });
    CHECK_DIED(
        d, d.err.rfind("panic: first [recovered]\n\tpanic: second [recovered]\n\tpanic: third\n\n", 0) == 0);
}

TEST(PN_11_an_empty_deferred_function_fails_when_it_is_called) {
    std::string log;
    try {
        std::function<void()> none;
        defer d{none};
        log += "before";
    } catch (const std::bad_function_call&) {
        log += " failed";
    }
    CHECK_EQ(log, "before failed");
}

TEST(PN_12_PN_13_runtime_errors_are_a_class_of_their_own) {
    auto kind = [](void (*thrower)(const char*)) {
        try {
            thrower("x");
        } catch (const runtime_error&) {
            return 1;
        } catch (const panic_error&) {
            return 2;
        }
        return 0;
    };
    CHECK_EQ(kind(rt::host_throw_runtime_error), 1);
    CHECK_EQ(kind(rt::host_throw_panic), 2);
    CHECK_EQ(kind([](const char* text) { panic(text); }), 2);
    CHECK_EQ(kind([](const char* text) { panic(std::string_view(text)); }), 2);
}

// ---- the texts ----

struct Custom {
    int x = 1;
};
enum class Colour { kRed };

TEST(PN_09_PN_14_PN_15_values_of_any_type) {
    struct Case {
        void (*thrower)();
        const char* line;
    };
    const Case cases[] = {
        {[] { throw std::runtime_error("what"); }, "panic: what"},
        {[] { throw std::system_error(std::make_error_code(std::errc::timed_out)); },
         "panic: Connection timed out"},
        {[] { throw "text"; }, "panic: text"},
        {[] { throw std::string("string"); }, "panic: string"},
        {[] { throw std::string_view("view"); }, "panic: view"},
        {[] { throw 42; }, "panic: 42"},
        {[] { throw -7L; }, "panic: -7"},
        {[] { throw 18446744073709551615ul; }, "panic: 18446744073709551615"},
        {[] { throw 1.5; }, "panic: +1.500000e+00"},
        {[] { throw true; }, "panic: true"},
    };
    for (const Case& c : cases) {
        Died d = die_in_child(c.thrower);
        CHECK_DIED(d, d.exit_code() == 2);
        CHECK_DIED(d, d.first_line() == c.line);
    }
    Died d = die_in_main([] { throw Custom{}; });
    CHECK_DIED(d, d.matches("^panic: \\(.*Custom\\) 0x[0-9a-f]+$"));
    d = die_in_main([] { throw Colour::kRed; });
    CHECK_DIED(d, d.matches("^panic: \\(.*Colour\\) 0x[0-9a-f]+$"));
}

namespace bank {
struct no_money : std::out_of_range {
    using std::out_of_range::out_of_range;
};
}  // namespace bank

// Below the line of what(), as Go's "[signal ...]".
TEST(the_type_of_an_exception_that_leaves_a_goroutine) {
    Died d = die_in_child([] { throw bank::no_money("stoi"); });
    CHECK_DIED(
        d, d.matches("^panic: stoi\n\\[exception .*bank::no_money\\]\n\ngoroutine [0-9]+ \\[running\\]:\n"));
    d = die_in_child([] {
        defer later{[] { throw std::out_of_range("two\nlines"); }};
        panic("first");
    });
    CHECK_DIED(
        d, d.err.rfind("panic: first\n\tpanic: two\n\tlines\n\t[exception std::out_of_range]\n\n", 0) == 0);
    // What says its type by itself.
    d = die_in_child([] { throw std::bad_alloc(); });
    CHECK_DIED(d, d.matches("^panic: std::bad_alloc\n\ngoroutine "));
}

TEST(PN_17_channel_texts_have_no_prefix) {
    Died d = die_in_main([] { rt::host_throw_runtime_error("close of closed channel"); });
    CHECK_DIED(d, d.first_line() == "panic: close of closed channel");
}

TEST(PN_18_nested_exceptions_print_the_oldest_first) {
    Died d = die_in_main([] {
        try {
            throw std::runtime_error("first");
        } catch (...) {
            std::throw_with_nested(std::logic_error("second"));
        }
    });
    CHECK_DIED(d, d.err.rfind("panic: first [recovered]\n[exception std::runtime_error]\n\tpanic: second\n"
                              "\t[exception std::logic_error]\n\n",
                              0) == 0);
}

TEST(PN_20_further_lines_are_indented) {
    Died d = die_in_main([] { panic("one\ntwo\nthree"); });
    CHECK_DIED(d, d.err.rfind("panic: one\n\ttwo\n\tthree\n\n", 0) == 0);
}

TEST(PN_21_what_may_yield) {
    struct Yields : std::exception {
        const char* what() const noexcept override {
            for (int i = 0; i < 10; i++) yield();
            return "yielded";
        }
    };
    Died d = die_in_child([] { throw Yields{}; });
    CHECK_DIED(d, d.first_line() == "panic: yielded");
    CHECK_DIED(d, d.exit_code() == 2);
}

// ---- the way out ----

// Go's PanicRace: main learns of the panic from a deferred function, so the panic is under way when main returns.
TEST_P(PN_23_main_waits_for_a_goroutine_that_is_dying, 1, 2) {
    Died d = run_child([procs] {
        with_procs(procs, [] {
            std::atomic<bool> unwinds{false};
            go([&] {
                defer slow{[&] {
                    unwinds = true;
                    for (int i = 0; i < 100; i++) yield();
                }};
                panic("late");
            });
            while (!unwinds) yield();
        });
    });
    CHECK_DIED(d, d.exit_code() == 2);
    CHECK_DIED(d, d.err.rfind("panic: late\n\ngoroutine ", 0) == 0 && d.said("\ncreated by "));
}

TEST(PN_24_two_panics_at_once_do_not_interleave) {
    // Each has unwound and waits for the other one before it says what it is.
    static std::atomic<int> unwound{0};
    struct Waits : std::exception {
        const char* text;
        explicit Waits(const char* t) : text(t) {}
        const char* what() const noexcept override {
            unwound++;
            while (unwound < 2) yield();
            return text;
        }
    };
    const std::regex blocks(
        "(panic: (left|right)\n.*Waits\\]\n\ngoroutine [0-9]+ \\[running\\]:\n[^:]*::.*\n\t.*\ncreated by "
        ".*\n){1,2}");
    for (int round = 0; round < 10; round++) {
        Died d = run_child([] {
            with_procs(4, [] {
                for (const char* text : {"left", "right"}) go([text] { throw Waits(text); });
                for (;;) yield();
            });
        });
        CHECK_DIED(d, d.exit_code() == 2);
        CHECK_DIED(d, std::regex_match(d.err, blocks));
    }
}

TEST(PN_26_PN_27_fatal_errors_cannot_be_recovered_and_run_no_guards) {
    Died d = die_in_main([] {
        Prints guard{"guard\n"};
        try {
            rt::fatal_error("sync: unlock of unlocked mutex");
        } catch (...) {
            std::puts("caught");
        }
    });
    CHECK_DIED(d, d.exit_code() == 2);
    CHECK_DIED(
        d, d.err.rfind("fatal error: sync: unlock of unlocked mutex\n\ngoroutine 1 [running]:\n", 0) == 0);
    CHECK_DIED(d, d.out.empty());
    CHECK_DIED(d, !d.said("fatal_error(") && !d.said("gort_"));
}

TEST(PN_28_exit_codes) {
    CHECK_EQ(run_child([] { _exit(with_procs(1, [] { return 7; })); }).exit_code(), 7);
#if !GORT_ASAN  // its leak check does not see the stack that main() waits on
    CHECK_EQ(run_child([] { with_procs(1, [] { std::exit(300 & 255); }); }).exit_code(), 300 & 255);
#endif
    CHECK_EQ(die_in_main([] { panic("x"); }).exit_code(), 2);
    CHECK_EQ(die_in_main([] { rt::fatal_error("x"); }).exit_code(), 2);
    CHECK_EQ(die_in_main([] { park_for_ever(rt::WaitReason::kPark); }).exit_code(), 2);
    Died d = run_child([] {
        setenv("GORT_TRACEBACK", "crash", 1);
        with_procs(1, [] { panic("x"); });
    });
    CHECK_DIED(d, d.signal() == SIGABRT && d.first_line() == "panic: x");
}

TEST(CC_09_noexcept_violation_and_terminate_name_the_goroutine) {
    Died d = die_in_child([]() noexcept { throw_boom(); });
    CHECK_DIED(d, d.exit_code() == 2);
    CHECK_DIED(
        d, d.matches(
               "^fatal error: terminate called after throwing an instance of 'std::runtime_error': boom\n\n"
               "goroutine [0-9]+ \\[running\\]:\n"));
    CHECK_DIED(d, d.block("goroutine ").find("CC_09") != std::string::npos);
    d = die_in_child([] { std::terminate(); });
    CHECK_DIED(
        d,
        d.matches(
            "^fatal error: terminate called without an active exception\n\ngoroutine [0-9]+ \\[running\\]"));
    d = die_in_child([] {
        struct Bad {
            ~Bad() noexcept(false) { throw 1; }
        } bad;
        panic("first");
    });
    CHECK_DIED(d, d.exit_code() == 2 && d.said("fatal error: terminate called"));
}

TEST(a_thread_that_is_no_goroutine_terminates_as_before) {
    Died d = run_child([] {
        std::set_terminate([] {
            std::fputs("the program's own\n", stderr);
            _exit(9);
        });
        with_procs(1, [] {
            std::thread([] { throw 1; }).detach();
            for (;;) yield();
        });
    });
    CHECK_DIED(d, d.exit_code() == 9 && d.said("the program's own"));
}

}  // namespace
