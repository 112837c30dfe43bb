// rt/base/report.h - how the process dies: fatal errors, uncaught panics, deadlock; one report at a time, then exit 2.
// SPDX-License-Identifier: BSD-2-Clause
//
// Every report reads as Go's: a line that says what, an empty line, the stacks that GORT_TRACEBACK asks for.
//   none, 0   the line alone                          all, 1     every goroutine
//   single    the goroutine that failed (default)     system, 2  and the runtime's own frames     crash  and SIGABRT
//
// Invariants: (1) reports never interleave: the second thread waits and then prints its own; the last one ends the
//             process.
//             (2) a fault inside a report ends the process at once: exit 4, and 5 if even that goes wrong.
// Context:    any thread, any stack with 1 KiB left: the report runs on a stack of its own. What is marked [signal]
//             also in handlers. No lock that another thread needs may be held, as Ms go on running meanwhile.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gort::rt {

struct G;
struct Trace;

// host_init calls it, once for the process and after env_init: GORT_TRACEBACK, the report of stack overflows, and
// SIGQUIT unless GORT_SIGQUIT=0 or the program has a handler of its own.
void report_init();
void report_exit();  // SIGQUIT is as before again

// A mistake of the program's that cannot be caught: "fatal error: <text>" and its stack.
[[noreturn]] void fatal_error(const char* text);
// "fatal error: all goroutines are asleep - deadlock!", every goroutine, main first. If there is none left: main has
// called goexit.
[[noreturn]] void fatal_deadlock();
[[noreturn]] void fatal_thread_exhaustion(int limit);
[[noreturn]] void fatal_newosproc(int have, int err);  // err: a positive errno
[[noreturn]] void fatal_no_stack(const char* why);     // no address space for another goroutine
[[noreturn]] void fatal_stack_overflow(G* gp);         // its canary is gone; [g0 or any other stack]

// An exception that left its goroutine: `text` is everything up to the empty line, trace the stack of the throw point.
[[noreturn]] void report_panic(const char* text, const Trace* trace);

// [sysmon] Asks the thread that runs gp for gp's stack, by SIGQUIT. False: no answer within a tenth of a second, it
// runs something else, or that signal is not ours.
bool ask_for_stack(const G* gp, int tid, Trace* out);

// Main has returned: a goroutine that is dying of an exception gets about a second to run its destructors, and the
// time it takes to report. Returns if the process is not about to die. Called by the main goroutine, outside the
// gate, before its run ends.
void wait_for_dying(void (*yield)());
void dying_begin();  // the exception has passed all handlers; its destructors run now
void dying_end();    // goexit in a deferred function has stopped it

}  // namespace gort::rt
