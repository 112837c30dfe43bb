// rt/report.cc - last words of the scheduler.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/report.h"

#include "kernel/fatal.h"
#include "kernel/sys.h"
#include "rt/fault.h"
#include "rt/sched.h"

namespace gort::rt {

void fatal_deadlock() {
    if (!sched.main_g) kernel::fatal("no goroutines (main called runtime.Goexit) - deadlock!");
    kernel::fatal("all goroutines are asleep - deadlock!");
}

void fatal_thread_exhaustion(int limit) {
    kernel::Out(2).str("runtime: program exceeds ").dec(limit).str("-thread limit\n");
    kernel::fatal("thread exhaustion");
}

void fatal_newosproc(int have, int error) {
    {
        kernel::Out out(2);
        out.str("runtime: failed to create new OS thread (have ").dec(have).str(" already; errno=").dec(error).str(")\n");
        if (error == 11) out.str("runtime: may need to increase max user processes (ulimit -u)\n");
    }
    kernel::fatal("newosproc");
}

void fatal_no_stack(const char* why) {
    kernel::Out(2).str("runtime: cannot allocate a goroutine's stack: ").str(why).ch('\n');
    kernel::fatal("out of memory");
}

void fatal_stack_overflow(G* gp) {
    fault_canary_overwritten(gp->stack, reinterpret_cast<uintptr_t>(gp->ctx.sp));
}

}  // namespace gort::rt

namespace gort::rt {
void report_init() {}
void fatal_error(const char* text) { kernel::fatal(text); }
void report_panic(const char* text, const Trace*) {
    kernel::Out(2).str(text).str("\n\n");
    kernel::sys_exit_group(2);
}
void wait_for_dying(void (*)()) {}
void dying_begin() {}
void dying_end() {}
}  // namespace gort::rt
