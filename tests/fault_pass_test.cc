// tests/fault_pass_test.cc - faults that are no overflow go where they went before us, and we leave no trace.
// SPDX-License-Identifier: BSD-2-Clause

#include <pthread.h>

#include "tests/fault_test.h"

using namespace gort::fault_test;
namespace kernel = gort::kernel;
namespace test = gort::test;

static void dies_by(int sig, void (*what)()) {
    Ended e = child([=] {
        set_action(SIGSEGV, SIG_DFL);
        set_action(SIGBUS, SIG_DFL);
        Machine m;
        what();
    });
    CHECK(WIFSIGNALED(e.status));
    CHECK_EQ(WTERMSIG(e.status), sig);
    CHECK(!e.has("overflow"));
}
TEST(default_action_of_a_fault) { dies_by(SIGSEGV, touch_nothing); }
TEST(default_action_of_a_sent_signal) {
    dies_by(SIGSEGV, [] { raise(SIGSEGV); });
    dies_by(SIGSEGV, [] { kill(getpid(), SIGSEGV); });
    dies_by(SIGBUS, [] { kill(getpid(), SIGBUS); });
}

TEST(a_wild_pointer_into_somebody_elses_guard_is_no_overflow) {
    // Which slot runs is known: this thread's own stack, or another slot.
    for (bool in_slot : {false, true}) {
        Ended e = child([=] {
            set_action(SIGSEGV, SIG_DFL);
            CHECK(force(GuardKind::kMprotect));
            Machine m, other;
            g_running = in_slot ? m.header : nullptr;
            fault_set_running_slot(running);
            char* guard = stack_bounds(other.header).lo - 64;
            if (in_slot) m.run([](void* p) { poke(static_cast<char*>(p)); }, guard);
            else poke(guard);
        });
        CHECK(e.by(SIGSEGV));
        CHECK(!e.has("overflow"));
    }
    // It is not known: the stack pointer is nowhere near.
    Ended e = child([] {
        set_action(SIGSEGV, SIG_DFL);
        CHECK(force(GuardKind::kMprotect));
        Machine m;
        poke(stack_bounds(m.header).lo - 64);
    });
    CHECK(e.by(SIGSEGV));
    CHECK(!e.has("overflow"));
}

TEST(ignored_faults_kill_and_ignored_signals_do_not) {
    Ended e = child([] {
        set_action(SIGSEGV, SIG_IGN);
        Machine m;
        raise(SIGSEGV);
        kernel::Out(2).str("alive\n");
        touch_nothing();
    });
    CHECK(WIFSIGNALED(e.status));
    CHECK_EQ(WTERMSIG(e.status), SIGSEGV);
    CHECK_EQ(e.said.find("alive\n"), 0u);  // an emulator may add a word of its own
}

TEST(handler_with_siginfo) {
    set_action(
        SIGSEGV,
        [](int sig, siginfo_t* info, void* context) {
            g_info = *info;
            bool mask = blocked(SIGSEGV) && blocked(SIGUSR1) && !blocked(SIGUSR2);
            bool ok = sig == SIGSEGV && context &&
                      (mask || GORT_TEST_SANITIZER);  // TSan's own handler blocks everything
            siglongjmp(g_back, ok ? 1 : 2);
        },
        0, SIGUSR1);
    Machine m;
    for (int i = 0; i < 3; i++) {  // and it is still installed after it was used
        int how = sigsetjmp(g_back, 1);
        if (how == 0) touch_nothing();
        CHECK_EQ(how, 1);
        CHECK_EQ(at(g_info.si_addr), 0u);
        CHECK_LT(0, g_info.si_code);
        CHECK(!blocked(SIGSEGV) && !blocked(SIGUSR1));
    }
}

TEST(handler_that_repairs_and_returns) {
    static void* page;
    page = mmap(nullptr, kernel::page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    set_action(SIGSEGV, [](int, siginfo_t* info, void*) {
        g_calls++;
        if (info->si_addr == page) mprotect(page, kernel::page_size(), PROT_READ | PROT_WRITE);
    });
    Machine m;
    m.run([](void* p) { poke(static_cast<char*>(p)); }, page);  // on a goroutine's stack
    CHECK_EQ(g_calls.load(), 1);
    CHECK_EQ(*static_cast<char*>(page), 1);
}

TEST(plain_handler) {
    set_action(SIGSEGV, [](int sig) { siglongjmp(g_back, sig); });
    Machine m;
    int how = sigsetjmp(g_back, 1);
    if (how == 0) touch_nothing();
    CHECK_EQ(how, SIGSEGV);
}

TEST(handler_that_asked_for_nodefer_and_gets_signals_sent) {
    set_action(
        SIGSEGV,
        [](int, siginfo_t* info, void*) {
            g_calls += info->si_code <= 0 && (GORT_TEST_SANITIZER || !blocked(SIGSEGV)) ? 1 : 100;
        },
        SA_NODEFER);
    Machine m;
    raise(SIGSEGV);
    CHECK_EQ(g_calls.load(), 1);
}

TEST(a_sent_signal_that_names_a_guard_is_no_overflow) {
    set_action(SIGSEGV, [](int, siginfo_t* info, void*) { g_calls += info->si_code == SI_QUEUE ? 1 : 100; });
    Machine m;
    m.run(
        [](void* header) {
            siginfo_t info{};
            info.si_signo = SIGSEGV;
            info.si_code = SI_QUEUE;
            info.si_addr = stack_bounds(header).lo - 64;
            CHECK_EQ(syscall(SYS_rt_tgsigqueueinfo, getpid(), kernel::sys_gettid(), SIGSEGV, &info), 0);
        },
        m.header);
    CHECK_EQ(g_calls.load(), 1);
}

TEST(one_shot_handler) {
    Ended e = child([] {
        set_action(
            SIGSEGV, [](int) { kernel::Out(2).str("once\n"); }, int(SA_RESETHAND));
        Machine m;
        raise(SIGSEGV);
        raise(SIGSEGV);
    });
    CHECK(WIFSIGNALED(e.status));
    CHECK_EQ(WTERMSIG(e.status), SIGSEGV);
    CHECK_EQ(e.said.find("once\n"), 0u);
    CHECK_EQ(e.said.rfind("once\n"), 0u);
}

TEST(sigbus_goes_to_its_own_handler) {
    set_action(SIGSEGV, [](int) { _exit(98); });
    set_action(SIGBUS, [](int sig, siginfo_t*, void*) { siglongjmp(g_back, sig); });
    Machine m;
    int fd = memfd_create("empty", 0);
    void* p = mmap(nullptr, kernel::page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    int how = sigsetjmp(g_back, 1);
    if (how == 0) poke(static_cast<char*>(p));
    CHECK_EQ(how, SIGBUS);
}

TEST(foreign_thread_without_a_signal_stack) {
    set_action(SIGSEGV, [](int) { siglongjmp(g_back, 7); });
    Machine m;
    auto body = [](void*) -> void* {
        if (sigsetjmp(g_back, 1) == 7) return &g_info;
        touch_nothing();
        return nullptr;
    };
    pthread_t t;
    void* result = nullptr;
    CHECK_EQ(pthread_create(&t, nullptr, body, nullptr), 0);
    pthread_join(t, &result);
    CHECK(result == &g_info);
}

TEST(a_core_is_dumped_as_without_us) {
    if (GORT_TEST_SANITIZER) TEST_SKIP("a sanitizer's core would be its whole shadow");
    std::string pattern = test::read_file("/proc/sys/kernel/core_pattern");
    if (pattern.empty() || pattern[0] == '|' || pattern[0] == '/')
        TEST_SKIP("cores do not go to the working directory");
    char dir[] = "/tmp/fault_test.XXXXXX";
    CHECK(mkdtemp(dir) != nullptr);
    CHECK_EQ(chdir(dir), 0);
    bool dumped[2];
    for (int ours = 0; ours < 2; ours++) {
        Ended e = child([=] {
            rlimit limit{};
            getrlimit(RLIMIT_CORE, &limit);
            limit.rlim_cur = limit.rlim_max;
            setrlimit(RLIMIT_CORE, &limit);
            set_action(SIGSEGV, SIG_DFL);
            if (ours) {
                Machine m;
                touch_nothing();
            }
            touch_nothing();
        });
        CHECK(WIFSIGNALED(e.status));
        dumped[ours] = WCOREDUMP(e.status);
    }
    for (const std::string& f : test::names_in(dir)) unlink(f.c_str());
    CHECK_EQ(rmdir(dir), 0);
    CHECK_EQ(dumped[0], dumped[1]);
}

// ---- coming and going ----

TEST(handlers_are_put_back) {
    struct sigaction before {
    }, now{};
    set_action(SIGSEGV, [](int) { g_calls++; });
    sigaction(SIGSEGV, nullptr, &before);
    CHECK_EQ(fault_init(), 0);
    CHECK_EQ(fault_init(), 0);
    fault_exit();
    fault_exit();
    sigaction(SIGSEGV, nullptr, &now);
    CHECK(now.sa_handler == before.sa_handler);
    CHECK_EQ(fault_init(), 0);
    set_action(SIGSEGV, [](int) { g_calls += 2; });  // somebody else comes after us: his stays
    fault_exit();
    raise(SIGSEGV);
    CHECK_EQ(g_calls.load(), 2);
}

TEST(the_threads_signal_stack_is_put_back) {
    auto mapped = [] { return std::strtol(test::read_file("/proc/self/statm").c_str(), nullptr, 10); };
    stack_t before{}, now{};
    long mapped_before = mapped();
    static char small[20 << 10], large[256 << 10];
    for (stack_t mine : {stack_t{nullptr, SS_DISABLE, 0}, stack_t{small, 0, sizeof small}}) {
        CHECK_EQ(sigaltstack(&mine, nullptr), 0);
        CHECK_EQ(sigaltstack(nullptr, &before), 0);
        for (int i = 0; i < 50; i++) {
            FaultThread t;
            CHECK_EQ(fault_thread_init(&t), 0);
            CHECK_EQ(sigaltstack(nullptr, &now), 0);
            CHECK(now.ss_sp != before.ss_sp && now.ss_size >= size_t{64 << 10});
            fault_thread_exit(&t);
            fault_thread_exit(&t);
            CHECK_EQ(sigaltstack(nullptr, &now), 0);
            CHECK_EQ(now.ss_flags, before.ss_flags);
            if (!(now.ss_flags & SS_DISABLE)) CHECK(now.ss_sp == small && now.ss_size == sizeof small);
        }
    }
    CHECK_LT(mapped() - mapped_before, 300);  // pages
    stack_t good{large, 0, sizeof large};
    CHECK_EQ(sigaltstack(&good, nullptr), 0);
    FaultThread t;
    CHECK_EQ(fault_thread_init(&t), 0);
    CHECK_EQ(sigaltstack(nullptr, &now), 0);
    CHECK(now.ss_sp == large);  // large enough: no reason to take it away
    fault_thread_exit(&t);
    CHECK_EQ(sigaltstack(nullptr, &now), 0);
    CHECK(now.ss_sp == large);
    stack_t none{nullptr, SS_DISABLE, 0};
    sigaltstack(&none, nullptr);
}

TEST(no_signal_stack_no_crash) {
    if (!kernel::inject(kernel::Sys::kMmap, 1, ENOMEM)) TEST_SKIP("only in debug builds");
    // a sanitizer's is large enough for us, where AVX-512 makes it so
    const stack_t none{nullptr, SS_DISABLE, 0};
    CHECK_EQ(sigaltstack(&none, nullptr), 0);
    FaultThread t;
    CHECK_EQ(fault_thread_init(&t), -ENOMEM);
    fault_thread_exit(&t);
    kernel::inject(kernel::Sys::kSigaltstack, 1, EPERM);
    CHECK_EQ(fault_thread_init(&t), -EPERM);
    fault_thread_exit(&t);
    kernel::inject(kernel::Sys::kMadvise, 1, EINVAL, kernel::kInjectForever);
    kernel::inject(kernel::Sys::kMprotect, 1, ENOMEM);
    CHECK_EQ(fault_thread_init(&t), -ENOMEM);
    kernel::inject(kernel::Sys::kRtSigaction, 2, EINVAL);
    struct sigaction before {
    }, now{};
    sigaction(SIGSEGV, nullptr, &before);
    CHECK_EQ(fault_init(), -EINVAL);
    sigaction(SIGSEGV, nullptr, &now);
    CHECK(now.sa_handler == before.sa_handler);
    kernel::inject_clear();
    CHECK_EQ(fault_init(), 0);
    fault_exit();
}
