// kernel/signal.cc - signal actions in the kernel's own layout.
// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/signal.h"

#include "kernel/sys.h"
#if defined(__x86_64__)
#include "arch/x86_64/syscall.h"
#endif

namespace gort::kernel {

namespace {

constexpr uintptr_t kDefault = 0, kIgnore = 1;  // SIG_DFL, SIG_IGN
constexpr unsigned long kSiginfo = 4, kNoDefer = 0x40000000, kResetHand = 0x80000000;
#if defined(__x86_64__)
constexpr unsigned long kRestorer = 0x04000000;
#endif

// Raised by the kernel for what this thread just did, so that returning from the handler does it again.
bool is_fault(int sig, const siginfo_t* info) {
    switch (sig) {
    case SIGSEGV:
    case SIGBUS:
    case SIGILL:
    case SIGFPE:
    case SIGTRAP: return info && info->si_code > 0;  // > 0: the kernel, not kill or sigqueue
    default: return false;
    }
}

void take_default(int sig, bool fault) {
    SignalAction ours;
    get_signal(sig, &ours);
    restore_signal(sig, SignalAction{});
    // A fault happens again when we return: then the core file shows the place itself and not this function.
    if (fault) return;
    SignalSet before = 0;
    signal_thread(sys_gettid(), sig);
    unblock_signals(signal_bit(sig), &before);  // delivered here, at the latest
    // Still there: the default was to do nothing, or to stop, and somebody let us go on. The next one is ours again.
    restore_signal(sig, ours);
    set_signal_mask(before, nullptr);
}

}  // namespace

int set_signal(int sig, SignalHandler handler, unsigned long flags, SignalSet mask, SignalAction* previous) {
    SignalAction a{reinterpret_cast<uintptr_t>(handler), flags | kSiginfo, 0, mask};
#if defined(__x86_64__)
    // The kernel has no way back of its own here; elsewhere the vDSO has one.
    a.flags |= kRestorer;
    a.restorer = reinterpret_cast<uintptr_t>(&gort_sigreturn);
#endif
    return sys_rt_sigaction(sig, &a, previous);
}

int get_signal(int sig, SignalAction* out) { return sys_rt_sigaction(sig, nullptr, out); }
int restore_signal(int sig, const SignalAction& action) { return sys_rt_sigaction(sig, &action, nullptr); }

int block_signals(SignalSet set, SignalSet* previous) {
    return sys_rt_sigprocmask(SIG_BLOCK, &set, previous);
}
int unblock_signals(SignalSet set, SignalSet* previous) {
    return sys_rt_sigprocmask(SIG_UNBLOCK, &set, previous);
}
int set_signal_mask(SignalSet set, SignalSet* previous) {
    return sys_rt_sigprocmask(SIG_SETMASK, &set, previous);
}

int signal_thread(int tid, int sig) { return sys_tgkill(sys_getpid(), tid, sig); }

void forward_signal(SignalAction* previous, int sig, siginfo_t* info, void* context) {
    const SignalAction p = *previous;
    const bool fault = is_fault(sig, info);
    if (p.handler == kIgnore && !fault) return;
    if (p.handler == kIgnore || p.handler == kDefault) {
        take_default(sig, fault);
        return;
    }
    if (p.flags & kResetHand) *previous = SignalAction{};
    SignalSet before = 0;
    block_signals(p.mask, &before);
    if (p.flags & kNoDefer) unblock_signals(signal_bit(sig) & ~p.mask, nullptr);
    if (p.flags & kSiginfo) reinterpret_cast<SignalHandler>(p.handler)(sig, info, context);
    else reinterpret_cast<void (*)(int)>(p.handler)(sig);
    set_signal_mask(before, nullptr);
}

}  // namespace gort::kernel
