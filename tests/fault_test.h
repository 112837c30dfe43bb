// tests/fault_test.h - what the tests of faults share: a thread that can run goroutines, child processes.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

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
#include "rt/stack/fault.h"
#include "rt/stack/stack.h"
#include "tests/test.h"

namespace gort::fault_test {

using namespace gort::rt;

inline constexpr int kCls = stack_class_for(kDefaultStackSize);
inline uintptr_t at(const void* p) { return reinterpret_cast<uintptr_t>(p); }

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
inline void* g_running;
inline void* running() { return g_running; }

inline bool force(GuardKind kind) { return stack_force_guard(kind); }

struct Ended {
    int status = 0;
    std::string said;
    bool by(int sig) const {
        // A sanitizer reports a deadly signal and exits with a status of its own.
        return WIFSIGNALED(status) ? WTERMSIG(status) == sig
                                   : GORT_TEST_SANITIZER && WEXITSTATUS(status) &&
                                         said.find("Sanitizer") != std::string::npos;
    }
    bool exited(int code) const { return WIFEXITED(status) && WEXITSTATUS(status) == code; }
    bool has(const char* text) const { return said.find(text) != std::string::npos; }
};
// Runs fn in a child process; how that ended and what it wrote to stderr.
template <typename F>
inline Ended child(F fn) {
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
[[gnu::noinline]] inline void poke(char* p) { asm volatile("movb $1, (%0)" : : "r"(p) : "memory"); }
#else
[[gnu::noinline]] inline void poke(char* p) { asm volatile("strb %w1, [%0]" : : "r"(p), "r"(1) : "memory"); }
#endif
inline void touch_nothing() { poke(nullptr); }

inline void set_action(int sig, void (*fn)(int), int flags = 0) {
    struct sigaction a {};
    a.sa_handler = fn;
    a.sa_flags = flags;
    CHECK_EQ(sigaction(sig, &a, nullptr), 0);
}
inline void set_action(int sig, void (*fn)(int, siginfo_t*, void*), int flags = 0, int also_blocked = 0) {
    struct sigaction a {};
    a.sa_sigaction = fn;
    a.sa_flags = flags | SA_SIGINFO;
    if (also_blocked) sigaddset(&a.sa_mask, also_blocked);
    CHECK_EQ(sigaction(sig, &a, nullptr), 0);
}
inline bool blocked(int sig) {
    sigset_t now;
    sigprocmask(SIG_BLOCK, nullptr, &now);
    return sigismember(&now, sig) == 1;
}

inline sigjmp_buf g_back;
inline std::atomic<int> g_calls{0};
inline siginfo_t g_info;

}  // namespace gort::fault_test
