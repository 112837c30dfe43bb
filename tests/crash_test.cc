// tests/crash_test.cc - fatal signals of goroutines: who crashed and where is said, then the signal ends the process.
// SPDX-License-Identifier: BSD-2-Clause
#include <signal.h>
#include <sys/mman.h>

#include <cstring>
#include <thread>

#include "tests/panic_test.h"

using namespace gort;
using namespace gort::panic_test;

namespace {

#if GORT_TEST_SANITIZER
#define NEEDS_NO_TOOL() TEST_SKIP("a sanitizer has handlers of its own for these signals")
#else
#define NEEDS_NO_TOOL() static_cast<void>(0)
#endif

[[gnu::noinline]] void crash_store() {
    char* where = reinterpret_cast<char*>(0x18);
#if defined(__x86_64__)
    asm volatile("movb $1, (%0)" : : "r"(where) : "memory");
#else
    asm volatile("strb wzr, [%0]" : : "r"(where) : "memory");
#endif
}
[[gnu::noinline]] void crash_bus() {  // a page behind the end of its file
    const int fd = memfd_create("empty", 0);
    void* page = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd, 0);
    static_cast<void>(*static_cast<volatile char*>(page));
    asm volatile("");
}
[[gnu::noinline]] void crash_instruction() {
#if defined(__x86_64__)
    asm volatile("ud2");
#else
    asm volatile("udf #0");
#endif
}
[[gnu::noinline]] void crash_abort() { abort(); }
[[gnu::noinline]] void crash_raise() {
    raise(SIGFPE);
    asm volatile("");
}
[[gnu::noinline]] void crash_call() {
    void (*volatile nowhere)() = nullptr;
    nowhere();
    asm volatile("");
}
#if defined(__x86_64__)
[[gnu::noinline]] void crash_division() {
    asm volatile("xorl %%ecx, %%ecx\n\tmovl $1, %%eax\n\tcltd\n\tidivl %%ecx" : : : "eax", "ecx", "edx");
}
#endif

struct Case {
    void (*fn)();
    int sig;
    const char* first;     // lines that are said
    const char* function;  // in the stack
};
constexpr Case kCases[] = {
    {crash_store, SIGSEGV, "^SIGSEGV: segmentation violation\nPC=0x[0-9a-f]+ m=[0-9]+ sigcode=1 addr=0x18\n",
     "crash_store"},
    {crash_call, SIGSEGV, "^SIGSEGV: segmentation violation\nPC=0x0 m=[0-9]+ sigcode=1 addr=0x0\n",
     "crash_call"},
    {crash_bus, SIGBUS, "^SIGBUS: bus error\nPC=0x[0-9a-f]+ m=[0-9]+ sigcode=2 addr=0x[0-9a-f]+000\n",
     "crash_bus"},
    {crash_instruction, SIGILL,
     "^SIGILL: illegal instruction\nPC=0x[0-9a-f]+ m=[0-9]+ sigcode=[0-9]+ addr=0x", "crash_instruction"},
    {crash_abort, SIGABRT, "^SIGABRT: abort\nPC=0x[0-9a-f]+ m=[0-9]+ sigcode=-6\n", "crash_abort"},
    {crash_raise, SIGFPE, "^SIGFPE: floating-point exception\nPC=0x[0-9a-f]+ m=[0-9]+ sigcode=-6\n",
     "crash_raise"},
#if defined(__x86_64__)
    {crash_division, SIGFPE, "^SIGFPE: floating-point exception\nPC=0x[0-9a-f]+ m=[0-9]+ sigcode=1 addr=0x",
     "crash_division"},
#endif
};

void by_default() {
    for (int sig : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) signal(sig, SIG_DFL);
}

TEST(fatal_signals_name_the_goroutine_and_its_stack) {
    NEEDS_NO_TOOL();
    for (const Case& c : kCases) {
        for (bool in_main : {false, true}) {
            const auto body = [&] { c.fn(); };
            by_default();
            const Died d = in_main ? die_in_main(body) : die_in_child(body);
            CHECK_DIED(d, d.signal() == c.sig);
            CHECK_DIED(d, d.matches(c.first));
            CHECK_DIED(d, d.count("\ngoroutine ") == 1);
            const std::string stack = d.block(in_main ? "goroutine 1 [running]:" : "goroutine ");
            CHECK_DIED(d, stack.find(c.function) != std::string::npos);
            if (!in_main) CHECK_DIED(d, stack.find("\ncreated by ") != std::string::npos);
        }
    }
}

TEST(the_level_says_how_much_is_printed) {
    NEEDS_NO_TOOL();
    by_default();
    for (const char* level : {"none", "all"}) {
        const Died d = run_child([&] {
            setenv("GORT_TRACEBACK", level, 1);
            with_procs(1, [] {
                go([] { park_for_ever(rt::WaitReason::kSelect); });
                yield();
                crash_store();
            });
        });
        CHECK_DIED(d, d.signal() == SIGSEGV && d.said("SIGSEGV: segmentation violation\n"));
        CHECK_DIED(d, d.count("\ngoroutine ") == (std::strcmp(level, "all") ? 0 : 2));
    }
}

TEST(a_handler_of_the_programs_goes_first_and_nothing_is_said) {
    for (int sig : {SIGSEGV, SIGABRT}) {
        const Died d = run_child([&] {
            signal(sig, [](int) { _exit(7); });
            with_procs(1, [&] { sig == SIGSEGV ? crash_store() : crash_abort(); });
        });
        CHECK_DIED(d, d.exit_code() == 7 && d.err.empty());
    }
}

TEST(other_threads_and_signals_from_outside_end_it_without_a_word) {
    NEEDS_NO_TOOL();
    by_default();
    Died d = run_child([] { with_procs(1, [] { std::thread(crash_store).join(); }); });
    CHECK_DIED(d, d.signal() == SIGSEGV && d.err.empty());
    d = run_child([] {
        with_procs(1, [] {});
        crash_store();  // no goroutine is left
    });
    CHECK_DIED(d, d.signal() == SIGSEGV && d.err.empty());
    test::Child c([] {
        with_procs(1, [] {
            std::fputs("ready\n", stderr);
            for (;;) yield();
        });
    });
    EVENTUALLY(c.err_so_far() == "ready\n");
    kill(c.pid(), SIGABRT);
    d = c.wait();
    CHECK_DIED(d, d.signal() == SIGABRT && d.err == "ready\n");
}

TEST(an_ignored_abort_is_ignored_until_libc_insists) {
    NEEDS_NO_TOOL();
    const Died d = run_child([] {
        signal(SIGABRT, SIG_IGN);
        with_procs(1, [] {
            raise(SIGABRT);
            std::fputs("alive\n", stderr);
        });
    });
    CHECK_DIED(d, d.exit_code() == 0 && d.err == "alive\n");
}

TEST(two_crashes_at_once_are_two_reports_or_one_but_never_mixed) {
    NEEDS_NO_TOOL();
    by_default();
    for (int i = 0; i < 20; ++i) {
        const Died d = run_child([] {
            with_procs(2, [] {
                static std::atomic<int> here{0};
                for (int k = 0; k < 2; ++k)
                    go([] {
                        ++here;
                        while (here < 2) yield();
                        crash_store();
                    });
                for (;;) yield();
            });
        });
        CHECK_DIED(d, d.signal() == SIGSEGV);
        CHECK_DIED(d, d.err.find("SIGSEGV") == 0 && d.count("SIGSEGV") <= 2);
        CHECK_DIED(d, d.block("goroutine ").find("crash_store") != std::string::npos);
    }
}

}  // namespace
