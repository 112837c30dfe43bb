// tests/fault_test.cc - stack overflows found and told apart from every other fault, which goes where it went before.
// SPDX-License-Identifier: BSD-2-Clause

#include "rt/fault.h"

#include <pthread.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <atomic>
#include <cstring>
#include <string>

#include "arch/arch.h"
#include "kernel/sys.h"
#include "kernel/vm.h"
#include "rt/stack.h"
#include "tests/test.h"

using namespace gort::rt;
namespace kernel = gort::kernel;
namespace test = gort::test;

// Functions with a frame of N bytes of which only the lowest word is touched, and which call themselves for ever: what
// a compiler without stack-clash probes makes of a large array.
#if defined(__x86_64__)
#define HUGE_FRAME(name, bytes)                                                                            \
    asm(".text\n.globl " #name "\n.type " #name ", %function\n" #name ":\n.cfi_startproc\nendbr64\n"        \
        "pushq %rbp\n.cfi_def_cfa_offset 16\n.cfi_offset rbp, -16\nmovq %rsp, %rbp\n.cfi_def_cfa_register rbp\n" \
        "subq $" #bytes ", %rsp\nmovq $1, (%rsp)\ncall " #name "\nleave\n.cfi_def_cfa rsp, 8\nret\n"        \
        ".cfi_endproc\n.size " #name ", . - " #name "\n");                                                 \
    extern "C" void name(void*)
#else
#define HUGE_FRAME(name, bytes)                                                                            \
    asm(".text\n.globl " #name "\n.type " #name ", %function\n" #name ":\n.cfi_startproc\nhint #34\n"       \
        "stp x29, x30, [sp, #-16]!\n.cfi_def_cfa_offset 16\n.cfi_offset x29, -16\n.cfi_offset x30, -8\n"   \
        "mov x29, sp\n.cfi_def_cfa_register x29\nmov x9, #(" #bytes " & 0xffff)\n"                          \
        "movk x9, #(" #bytes " >> 16), lsl #16\nsub sp, sp, x9\nstr xzr, [sp]\nbl " #name "\n"             \
        "mov sp, x29\nldp x29, x30, [sp], #16\n.cfi_def_cfa sp, 0\nret\n.cfi_endproc\n"                     \
        ".size " #name ", . - " #name "\n");                                                               \
    extern "C" void name(void*)
#endif
HUGE_FRAME(frame_20k, 20480);
HUGE_FRAME(frame_60k, 61440);
HUGE_FRAME(frame_450k, 460800);

namespace {

constexpr int kCls = stack_class_for(kDefaultStackSize);
uintptr_t at(const void* p) { return reinterpret_cast<uintptr_t>(p); }

[[gnu::noinline]] int recurse(int depth) {
    volatile char frame[200];
    frame[depth % 200] = 1;
    if (depth == 0) return frame[0];
    int r = recurse(depth - 1);
    return r + frame[depth % 200];
}
void recurse_for_ever(void*) { recurse(INT32_MAX); }

// An M in small: handlers, a signal stack for this thread, and a slot.
struct Machine {
    FaultThread thread;
    void* header;
    explicit Machine(int cls = kCls) {
        CHECK_EQ(fault_init(), 0);
        CHECK_EQ(fault_thread_init(&thread), 0);
        header = stack_alloc(cls);
        CHECK(header != nullptr);
    }
    ~Machine() {
        stack_free(stack_class(header), header);
        fault_thread_exit(&thread);
        fault_exit();
    }
    void run(void (*fn)(void*), void* arg = nullptr) { gort_call_on_stack(header, fn, arg); }
};
void* g_running;
void* running() { return g_running; }

bool force(GuardKind kind) { return stack_force_guard(kind); }

struct Ended {
    int status = 0;
    std::string said;
    bool by(int sig) const {
        // A sanitizer reports a deadly signal and exits with a status of its own.
        return WIFSIGNALED(status) ? WTERMSIG(status) == sig
                                   : GORT_TEST_SANITIZER && WEXITSTATUS(status) && said.find("Sanitizer") != std::string::npos;
    }
    bool exited(int code) const { return WIFEXITED(status) && WEXITSTATUS(status) == code; }
    bool has(const char* text) const { return said.find(text) != std::string::npos; }
};
// Runs fn in a child process; how that ended and what it wrote to stderr.
template <typename F>
Ended child(F fn) {
    Ended e;
    int fds[2];
    CHECK_EQ(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], 2);
        close(fds[0]);
        close(fds[1]);
        fn();
        _exit(99);
    }
    close(fds[1]);
    char buf[512];
    for (ssize_t n; (n = read(fds[0], buf, sizeof buf)) > 0;) e.said.append(buf, size_t(n));
    close(fds[0]);
    CHECK_EQ(waitpid(pid, &e.status, 0), pid);
    return e;
}

// In assembly, so that no compiler reasons about it and no sanitizer looks at the address first.
#if defined(__x86_64__)
[[gnu::noinline]] void poke(char* p) { asm volatile("movb $1, (%0)" : : "r"(p) : "memory"); }
#else
[[gnu::noinline]] void poke(char* p) { asm volatile("strb %w1, [%0]" : : "r"(p), "r"(1) : "memory"); }
#endif
void touch_nothing() { poke(nullptr); }

void set_action(int sig, void (*fn)(int), int flags = 0) {
    struct sigaction a {};
    a.sa_handler = fn;
    a.sa_flags = flags;
    CHECK_EQ(sigaction(sig, &a, nullptr), 0);
}
void set_action(int sig, void (*fn)(int, siginfo_t*, void*), int flags = 0, int also_blocked = 0) {
    struct sigaction a {};
    a.sa_sigaction = fn;
    a.sa_flags = flags | SA_SIGINFO;
    if (also_blocked) sigaddset(&a.sa_mask, also_blocked);
    CHECK_EQ(sigaction(sig, &a, nullptr), 0);
}
bool blocked(int sig) {
    sigset_t now;
    sigprocmask(SIG_BLOCK, nullptr, &now);
    return sigismember(&now, sig) == 1;
}

sigjmp_buf g_back;
std::atomic<int> g_calls{0};
siginfo_t g_info;

}  // namespace

// ---- overflow ----

static void overflow(GuardKind kind, void (*fn)(void*)) {
    if (!force(kind)) TEST_SKIP("this kernel has no such guards");
    Ended e = child([=] {
        Machine m;
        m.run(fn);
    });
    CHECK(e.exited(2));
    StackBounds b{};
    {
        Machine m;
        b = stack_bounds(m.header);
    }
    std::string limit = "runtime: goroutine stack exceeds " + std::to_string(b.size()) + "-byte limit\n";
    CHECK_EQ(e.said.compare(0, limit.size(), limit), 0);
    CHECK(e.has("gort::stack_size(512 << 10)"));
    CHECK(e.has("GORT_STACK=512K"));
    CHECK(e.has("\nfatal error: stack overflow\n"));
}
TEST(recursion_meets_madvise) { overflow(GuardKind::kMadvise, recurse_for_ever); }
TEST(recursion_meets_mprotect) { overflow(GuardKind::kMprotect, recurse_for_ever); }
TEST(frames_of_20k_meet_madvise) { overflow(GuardKind::kMadvise, frame_20k); }
TEST(frames_of_20k_meet_mprotect) { overflow(GuardKind::kMprotect, frame_20k); }
TEST(frames_of_60k_meet_madvise) { overflow(GuardKind::kMadvise, frame_60k); }
TEST(frames_of_60k_meet_mprotect) { overflow(GuardKind::kMprotect, frame_60k); }

static void every_offset(void (*frame)(void*), size_t bytes) {
    // Wherever in the slot they start, such frames cannot step over the guard.
    for (size_t start = 0; start < bytes; start += bytes / 13 / 16 * 16) {
        Ended e = child([=] {
            Machine m;
            gort_call_on_stack(static_cast<char*>(m.header) - start, frame, nullptr);
        });
        CHECK(e.exited(2));
        CHECK(e.has("stack overflow"));
    }
}
TEST(no_start_steps_over_the_guard) {
    TEST_TIMEOUT(60);
    every_offset(frame_20k, 20480);
    every_offset(frame_60k, 61440);
}

TEST(smallest_and_large_class_overflow) {
    for (int cls : {0, stack_class_for(8 << 20)}) {
        Ended e = child([=] {
            Machine m(cls);
            m.run(frame_20k);
        });
        CHECK(e.exited(2));
        CHECK(e.has(cls ? "GORT_STACK=16384K" : "GORT_STACK=256K"));
    }
}

TEST(the_handler_learns_where) {
    Ended e = child([] {
        Machine m;
        g_running = m.header;
        fault_set_running_slot(running);
        fault_set_overflow_handler([](const OverflowInfo& o) {
            bool ok = o.header == g_running && o.cls == kCls && o.bounds.hi == g_running && o.context != nullptr &&
                      o.address < at(o.bounds.lo) && o.address >= at(o.bounds.lo) - kGuardSize && o.pc >= at(reinterpret_cast<void*>(&frame_20k)) &&
                      o.pc < at(reinterpret_cast<void*>(&frame_20k)) + 64 && o.sp <= o.address + 8 && o.fp > o.sp;
            _exit(ok ? 55 : 56);
        });
        m.run(frame_20k);
    });
    CHECK(e.exited(55));
    CHECK_EQ(e.said, "");
}

TEST(a_handler_that_returns_ends_the_process_too) {
    Ended e = child([] {
        Machine m;
        fault_set_overflow_handler([](const OverflowInfo&) { kernel::Out(2).str("mine\n"); });
        m.run(recurse_for_ever);
    });
    CHECK(e.exited(2));
    CHECK_EQ(e.said, "mine\n");
}

TEST(a_frame_beyond_the_guard_is_ours_when_the_running_slot_is_known) {
    Ended e = child([] {
        Machine first, second;
        g_running = second.header;
        CHECK_EQ(at(second.header) >> 18, (at(first.header) >> 18) + 1);
        fault_set_running_slot(running);
        // 450 KiB below the second slot's top: in the guard of the first.
        fault_set_overflow_handler([](const OverflowInfo& o) { _exit(o.header == g_running ? 55 : 56); });
        second.run(frame_450k);
    });
    CHECK(e.exited(55));
}

TEST(two_overflows_one_report) {
    Ended e = child([] {
        static pthread_barrier_t both;
        pthread_barrier_init(&both, nullptr, 2);
        fault_set_overflow_handler([](const OverflowInfo&) {
            g_calls++;
            for (int i = 0; i < 1000 && g_calls < 2; i++) sched_yield();  // the other one has every chance
            _exit(g_calls == 1 ? 55 : 56);
        });
        auto body = [](void*) -> void* {
            Machine m;
            pthread_barrier_wait(&both);
            m.run(recurse_for_ever);
            return nullptr;
        };
        pthread_t t[2];
        for (pthread_t& x : t) pthread_create(&x, nullptr, body, nullptr);
        pthread_join(t[0], nullptr);
    });
    CHECK(e.exited(55));
}

TEST(a_fault_inside_the_report_ends_it) {
    Ended e = child([] {
        Machine m;
        fault_set_overflow_handler([](const OverflowInfo&) {
            kernel::Out(2).str("so far");
            touch_nothing();
        });
        m.run(recurse_for_ever);
    });
    CHECK(e.exited(2));
    CHECK_EQ(e.said, "so far\n[another fault while reporting this one]\n");
}

TEST(the_canary_finds_it_at_the_switch) {
    CHECK(force(GuardKind::kCanary));
    Ended e = child([] {
        Machine m;
        m.run([](void* header) {
            StackBounds b = stack_bounds(header);
            for (char* p = b.hi - 4096; p > b.lo - 5000; p -= 64) p[-1] = 1;  // as deeper frames would
        }, m.header);
        CHECK(!stack_canary_ok(m.header));
        fault_canary_overwritten(m.header, 0x1000);
    });
    CHECK(e.exited(2));
    CHECK(e.has("canary overwritten\n"));
    CHECK(e.has("fatal error: stack overflow\n"));
    CHECK(e.has("GORT_STACK=512K"));
}

// ---- everybody else's faults ----

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
            if (in_slot)
                m.run([](void* p) { poke(static_cast<char*>(p)); }, guard);
            else
                poke(guard);
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
    set_action(SIGSEGV, [](int sig, siginfo_t* info, void* context) {
        g_info = *info;
        bool mask = blocked(SIGSEGV) && blocked(SIGUSR1) && !blocked(SIGUSR2);
        bool ok = sig == SIGSEGV && context && (mask || GORT_TEST_SANITIZER);  // TSan's own handler blocks everything
        siglongjmp(g_back, ok ? 1 : 2);
    }, 0, SIGUSR1);
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
    set_action(SIGSEGV, [](int, siginfo_t* info, void*) {
        g_calls += info->si_code <= 0 && (GORT_TEST_SANITIZER || !blocked(SIGSEGV)) ? 1 : 100;
    }, SA_NODEFER);
    Machine m;
    raise(SIGSEGV);
    CHECK_EQ(g_calls.load(), 1);
}

TEST(a_sent_signal_that_names_a_guard_is_no_overflow) {
    set_action(SIGSEGV, [](int, siginfo_t* info, void*) { g_calls += info->si_code == SI_QUEUE ? 1 : 100; });
    Machine m;
    m.run([](void* header) {
        siginfo_t info{};
        info.si_signo = SIGSEGV;
        info.si_code = SI_QUEUE;
        info.si_addr = stack_bounds(header).lo - 64;
        CHECK_EQ(syscall(SYS_rt_tgsigqueueinfo, getpid(), kernel::sys_gettid(), SIGSEGV, &info), 0);
    }, m.header);
    CHECK_EQ(g_calls.load(), 1);
}

TEST(one_shot_handler) {
    Ended e = child([] {
        set_action(SIGSEGV, [](int) { kernel::Out(2).str("once\n"); }, int(SA_RESETHAND));
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
    if (pattern.empty() || pattern[0] == '|' || pattern[0] == '/') TEST_SKIP("cores do not go to the working directory");
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
    struct sigaction before {}, now {};
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
    FaultThread t;
    CHECK_EQ(fault_thread_init(&t), -ENOMEM);
    fault_thread_exit(&t);
    kernel::inject(kernel::Sys::kSigaltstack, 2, EPERM);
    CHECK_EQ(fault_thread_init(&t), -EPERM);
    fault_thread_exit(&t);
    kernel::inject(kernel::Sys::kMadvise, 1, EINVAL, kernel::kInjectForever);
    kernel::inject(kernel::Sys::kMprotect, 1, ENOMEM);
    CHECK_EQ(fault_thread_init(&t), -ENOMEM);
    kernel::inject(kernel::Sys::kRtSigaction, 2, EINVAL);
    struct sigaction before {}, now {};
    sigaction(SIGSEGV, nullptr, &before);
    CHECK_EQ(fault_init(), -EINVAL);
    sigaction(SIGSEGV, nullptr, &now);
    CHECK(now.sa_handler == before.sa_handler);
    kernel::inject_clear();
    CHECK_EQ(fault_init(), 0);
    fault_exit();
}
