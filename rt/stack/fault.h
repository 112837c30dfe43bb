// rt/stack/fault.h - SIGSEGV and its like: telling a stack overflow from every other fault, and passing those on.
// SPDX-License-Identifier: BSD-2-Clause
//
// A goroutine that runs into its guard has no stack left to handle that on, so each thread that runs
// goroutines has an alternate signal stack. What we take for ours: a fault raised by the CPU, on a thread
// whose running slot is known (fault_set_running_slot), whose address lies in that slot's guard, or whose
// stack pointer has left the slot altogether. All else goes to the handler that the signal had before fault_init,
// exactly as if we were not there. Where there was none, and the process is about to end, the crash handler
// speaks first: of a fault, and of a signal that the process sent to itself, as abort does.
//
// Invariants: (1) one overflow is reported; a second thread that overflows meanwhile waits for the end of the
//             process. (2) a fault inside the report ends the process at once, exit 2, with what was printed
//             so far. (3) a thread's earlier signal stack is back in place after fault_thread_exit.
// Context:    fault_init, fault_exit: [init]; fault_thread_*: the thread itself; the rest as marked.
// Ordering:   F1 a callback's store-release (fault_set_*) -> load-acquire (handler): what it uses is there.
#pragma once

#include <signal.h>

#include <cstddef>
#include <cstdint>

#include "kernel/fatal.h"
#include "rt/stack/stack.h"

namespace gort::rt {

struct OverflowInfo {
    void* header = nullptr;  // of the slot that is full
    int cls = 0;
    bool main = false;  // of the main goroutine
    StackBounds bounds{};
    uintptr_t address = 0;  // what was touched; 0: found by the canary
    uintptr_t pc = 0, sp = 0, fp = 0;
    void* context = nullptr;  // ucontext_t of the fault; null: found by the canary
};

int fault_init();   // installs the handlers; 0 or -errno. A second call does nothing
void fault_exit();  // puts the earlier handlers back, unless ours have been replaced

// What a thread keeps for fault_thread_exit.
struct FaultThread {
    void* map = nullptr;  // null: the signal stack it had was good enough
    size_t map_size = 0;
    void* earlier_base = nullptr;
    size_t earlier_size = 0;
    int earlier_flags = 0;
};
int fault_thread_init(FaultThread* t);  // 0 or -errno, and then the thread may not run goroutines
void fault_thread_exit(FaultThread* t);

// [signal] Header of the slot that the calling thread runs on, or is about to switch to; null when it stands on another
// stack. Without it, the slot that the stack pointer lies in or near.
void fault_set_running_slot(void* (*fn)());

// [signal, on the alternate stack] Prints the report and ends the process; the default is
// fault_print_overflow on stderr and exit 2, which also follows if the handler returns.
void fault_set_overflow_handler(void (*fn)(const OverflowInfo&));

// [signal, on the alternate stack if the thread has one] Called before the default action of a fatal signal; returns.
void fault_set_crash_handler(void (*fn)(int sig, const siginfo_t* info, void* context));

// Go's words: the limit, where it happened and how to raise it, then "fatal error: stack overflow".
void fault_print_overflow(kernel::Out& out, const OverflowInfo& info);

// For a slot whose stack_canary_ok says no: the same report. sp: where it was left.
[[noreturn]] void fault_canary_overwritten(void* header, uintptr_t sp);

}  // namespace gort::rt
