// kernel/signal.h - handlers, masks, and handing a signal on to the handler that it had before ours.
// SPDX-License-Identifier: BSD-2-Clause
//
// libc's sigaction keeps no table of its own, so ours and the program's mix freely.
// Results: 0 or -errno. Context: any thread, signal handlers.
#pragma once

#include <signal.h>

#include <cstddef>
#include <cstdint>

namespace gort::kernel {

using SignalHandler = void (*)(int sig, siginfo_t* info, void* context);  // context: a ucontext_t
using SignalSet = uint64_t;                                               // bit sig-1
constexpr SignalSet signal_bit(int sig) { return uint64_t{1} << (sig - 1); }

struct SignalAction {       // the kernel's struct sigaction, not libc's
    uintptr_t handler = 0;  // 0: SIG_DFL, 1: SIG_IGN
    unsigned long flags = 0;
    uintptr_t restorer = 0;
    SignalSet mask = 0;
};

// Installs a handler of three arguments; SA_SIGINFO and, where needed, SA_RESTORER are added to `flags`.
int set_signal(int sig, SignalHandler handler, unsigned long flags, SignalSet mask, SignalAction* previous);
int get_signal(int sig, SignalAction* out);
int restore_signal(int sig, const SignalAction& action);  // SignalAction{} is the default action

int block_signals(SignalSet set, SignalSet* previous);
int unblock_signals(SignalSet set, SignalSet* previous);
int set_signal_mask(SignalSet set, SignalSet* previous);

int signal_thread(int tid, int sig);  // a thread of this process

// From our handler: does what `previous` would have done with this signal, had it still been installed. A
// handler of the program's runs with its mask (SA_NODEFER and SA_RESETHAND as well). The default action
// happens: the process dies of this very signal, or stops and later returns from here. A fault that the
// kernel raised cannot be ignored: SIG_IGN counts as the default there. `previous` is set to the default if
// it was a one-shot.
void forward_signal(SignalAction* previous, int sig, siginfo_t* info, void* context);

}  // namespace gort::kernel
