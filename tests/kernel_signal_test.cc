// tests/kernel_signal_test.cc - handlers in the kernel's own layout, and signals handed on to who had them before.
// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/signal.h"

#include <execinfo.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "arch/arch.h"
#include "kernel/thread.h"
#include "kernel/vm.h"
#include "tests/kernel_test.h"

using namespace gort::kernel;
using namespace kernel_test;

static std::atomic<int> g_hits;
static std::atomic<int> g_sig;
static SignalAction g_previous;

static SignalSet mask_now() {
    SignalSet now = 0;
    CHECK_EQ(block_signals(0, &now), 0);
    return now;
}
// The handler under which most tests run: ours, which hands everything on.
static void hand_on(int sig, siginfo_t* info, void* context) {
    const SignalSet before = mask_now();
    forward_signal(&g_previous, sig, info, context);
    CHECK_EQ(mask_now(), before);
}
static void install(int sig, unsigned long flags = 0) {
    CHECK_EQ(set_signal(sig, hand_on, flags, 0, &g_previous), 0);
}

TEST(handler_gets_the_signal_and_returns) {
    static siginfo_t seen;
    static uintptr_t pc;
    SignalAction before{1, 2, 3, 4};
    CHECK_EQ(set_signal(
                 SIGUSR1,
                 [](int sig, siginfo_t* info, void* context) {
                     g_sig = sig;
                     seen = *info;
                     pc = gort::arch::context_pc(static_cast<ucontext_t*>(context));
                 },
                 0, signal_bit(SIGUSR2), &before),
             0);
    CHECK_EQ(before.handler, 0);
    for (int i = 0; i < 3; ++i) {
        g_sig = 0;
        CHECK_EQ(signal_thread(k::gettid(), SIGUSR1), 0);
        CHECK_EQ(g_sig, SIGUSR1);
        CHECK_EQ(seen.si_pid, ::getpid());
        CHECK_NE(pc, 0);
    }
    SignalAction now;
    CHECK_EQ(get_signal(SIGUSR1, &now), 0);
    CHECK_NE(now.handler, 0);
    CHECK_EQ(now.mask & signal_bit(SIGUSR2), signal_bit(SIGUSR2));
    struct sigaction libc {};
    CHECK_EQ(sigaction(SIGUSR1, nullptr, &libc), 0);
    CHECK_EQ(reinterpret_cast<uintptr_t>(libc.sa_sigaction), now.handler);
    CHECK_EQ(restore_signal(SIGUSR1, SignalAction{}), 0);
    CHECK_EQ(get_signal(SIGUSR1, &now), 0);
    CHECK_EQ(now.handler, 0);
    CHECK_EQ(set_signal(SIGKILL, hand_on, 0, 0, nullptr), -EINVAL);
    CHECK_EQ(signal_thread(1 << 30, SIGUSR1), -ESRCH);
}

TEST(handler_keeps_the_interrupted_registers) {
    set_signal(
        SIGUSR1, [](int, siginfo_t*, void*) { g_hits = g_hits + 1; }, 0, 0, nullptr);
    std::atomic<bool> stop{false};
    const int target = k::gettid();
    std::thread sender([&] {
        for (int i = 0; i < 300; ++i) {
            signal_thread(target, SIGUSR1);
            sys_sched_yield();
        }
        stop = true;
    });
    double sum = 0, sum2 = 0;
    uint64_t n = 0;
    while (!stop) {
        sum += 0.5;
        sum2 += 1.5;
        ++n;
        if (sum * 3 != sum2 || sum != static_cast<double>(n) / 2)
            gort::test::fail(__FILE__, __LINE__, "registers");
    }
    sender.join();
    CHECK_LT(0, g_hits);
}

// gort_sigreturn has no CFI; unwinders must know it by its bytes, and go on in the code that was interrupted.
static void* g_trace[64];
static int g_depth;
static void* g_caller;
[[gnu::noinline]] static void interrupted() {
    g_caller = __builtin_return_address(0);
    raise(SIGUSR1);
    asm volatile("" ::: "memory");
}
TEST(backtrace_crosses_a_handler) {
    backtrace(g_trace, 4);  // loads the unwinder outside of the handler
    set_signal(
        SIGUSR1, [](int, siginfo_t*, void*) { g_depth = backtrace(g_trace, 64); }, 0, 0, nullptr);
    interrupted();
    bool found = false;
    for (int i = 0; i < g_depth; ++i) found |= g_trace[i] == g_caller;
    CHECK(found);
}

TEST(masks) {
    const SignalSet base = mask_now(), bit = signal_bit(SIGUSR1) | signal_bit(SIGRTMIN + 5);
    SignalSet was = 1;
    CHECK_EQ(block_signals(bit, &was), 0);
    CHECK_EQ(was, base);
    CHECK_EQ(mask_now(), base | bit);
    CHECK_EQ(unblock_signals(signal_bit(SIGUSR1), &was), 0);
    CHECK_EQ(was, base | bit);
    CHECK_EQ(mask_now(), base | signal_bit(SIGRTMIN + 5));
    CHECK_EQ(set_signal_mask(base, nullptr), 0);
    CHECK_EQ(mask_now(), base);
    // Blocked, it waits.
    set_signal(
        SIGUSR1, [](int, siginfo_t*, void*) { ++g_hits; }, 0, 0, nullptr);
    block_signals(signal_bit(SIGUSR1), &was);
    signal_thread(k::gettid(), SIGUSR1);
    CHECK_EQ(g_hits, 0);
    set_signal_mask(was, nullptr);
    CHECK_EQ(g_hits, 1);
}

// ---- handing on ----

// TSan puts a handler of its own before the program's, with every signal blocked.
constexpr bool kMaskIsOurs = !GORT_TSAN;

static SignalSet g_inside;
TEST(forward_to_a_handler_of_three_arguments) {
    static siginfo_t* info;
    static void* context;
    struct sigaction a {};
    a.sa_flags = SA_SIGINFO;
    a.sa_sigaction = [](int sig, siginfo_t* i, void* c) {
        g_sig = sig;
        info = i;
        context = c;
        g_inside = mask_now();
    };
    sigaddset(&a.sa_mask, SIGUSR2);
    CHECK_EQ(sigaction(SIGUSR1, &a, nullptr), 0);
    install(SIGUSR1);
    const SignalSet outside = mask_now();
    raise(SIGUSR1);
    CHECK_EQ(g_sig, SIGUSR1);
    CHECK(info != nullptr && context != nullptr);
    if (kMaskIsOurs) CHECK_EQ(g_inside, outside | signal_bit(SIGUSR1) | signal_bit(SIGUSR2));
    CHECK_EQ(mask_now(), outside);
}
TEST(forward_to_a_handler_of_one_argument) {
    signal(SIGUSR1, [](int sig) { g_sig = sig; });
    install(SIGUSR1);
    raise(SIGUSR1);
    raise(SIGUSR1);
    CHECK_EQ(g_sig, SIGUSR1);
}
TEST(forward_honours_nodefer_and_one_shot) {
    struct sigaction a {};
    a.sa_flags = static_cast<int>(SA_NODEFER | SA_RESETHAND);
    a.sa_handler = [](int) {
        ++g_hits;
        g_inside = mask_now();
    };
    sigaction(SIGCHLD, &a, nullptr);
    install(SIGCHLD);
    raise(SIGCHLD);
    CHECK_EQ(g_hits, 1);
    if (kMaskIsOurs) CHECK_EQ(g_inside & signal_bit(SIGCHLD), 0);
    CHECK_EQ(g_previous.handler, 0);
    raise(SIGCHLD);  // the default now, which is nothing
    CHECK_EQ(g_hits, 1);
}
TEST(forward_to_ignore) {
    signal(SIGUSR1, SIG_IGN);
    install(SIGUSR1);
    raise(SIGUSR1);
    // Sent by kill it is no fault, and can be ignored.
    signal(SIGSEGV, SIG_IGN);
    install(SIGSEGV);
    raise(SIGSEGV);
    raise(SIGSEGV);  // and the handler is still ours
}
TEST(forward_to_a_default_that_does_nothing) {
    for (int sig : {SIGCHLD, SIGURG, SIGWINCH, SIGCONT}) {
        signal(sig, SIG_DFL);
        install(sig);
        raise(sig);
        raise(sig);
    }
}
TEST_DIES(forward_to_the_default_kills, "", -SIGUSR1) {
    install(SIGUSR1);
    raise(SIGUSR1);
}
TEST_DIES(forward_kills_although_it_is_blocked, "", -SIGTERM) {
    CHECK_EQ(set_signal(SIGTERM, hand_on, 0, ~SignalSet{0}, &g_previous), 0);
    raise(SIGTERM);
}
[[gnu::noinline]] static void fault() {
    void* p = reserve(page_size(), kReserveNoAccess);
    *static_cast<volatile char*>(p) = 1;
}
TEST_DIES(forward_of_a_fault_to_the_default, "", -SIGSEGV) {
    signal(SIGSEGV, SIG_DFL);
    install(SIGSEGV);
    fault();
}
TEST_DIES(forward_of_a_fault_cannot_ignore, "", -SIGSEGV) {
    signal(SIGSEGV, SIG_IGN);
    install(SIGSEGV);
    fault();
}
TEST(forward_of_a_fault_to_a_handler_that_repairs) {
    static void* page = reserve(page_size(), kReserveNoAccess);
    struct sigaction a {};
    a.sa_flags = SA_SIGINFO;
    a.sa_sigaction = [](int, siginfo_t* info, void*) {
        if (info->si_addr != page) _exit(9);
        protect(page, page_size(), Access::kReadWrite);
    };
    sigaction(SIGSEGV, &a, nullptr);
    install(SIGSEGV);
    *static_cast<volatile char*>(page) = 1;
    CHECK_EQ(*static_cast<volatile char*>(page), 1);
    release(page, page_size());
}
TEST(forward_of_a_stop_goes_on_afterwards) {
    const pid_t child = fork();
    if (child == 0) {
        install(SIGTSTP);
        const SignalSet outside = mask_now();
        for (int i = 0; i < 2; ++i) {
            raise(SIGTSTP);
            // Continued: the handler must be ours again, and the mask as it was.
            SignalAction now;
            get_signal(SIGTSTP, &now);
            if (now.handler != reinterpret_cast<uintptr_t>(&hand_on)) _exit(1);
            if (mask_now() != outside) _exit(2);
        }
        _exit(0);
    }
    int status = -1;
    for (int i = 0; i < 2; ++i) {
        CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
        CHECK(WIFSTOPPED(status));
        CHECK_EQ(WSTOPSIG(status), SIGTSTP);
        kill(child, SIGCONT);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}
