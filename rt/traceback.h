// rt/traceback.h - stacks as people read them: walking one, and printing goroutines in the form of Go's dumps.
// SPDX-License-Identifier: BSD-2-Clause
//
// Form of one goroutine; blocks are separated by one empty line:
//      goroutine 7 [chan receive, 3 minutes, locked to thread]:
//      worker(int)
//              /home/me/worker.cc:42 +0x1a
//      created by main at /home/me/main.cc:12
// A parked goroutine's stack is walked from outside and may be resumed meanwhile: every read stays inside its bounds, and
// what has changed during the walk counts as running.
// Context: any thread, any stack with 8 KiB left, signal handlers. No malloc; memory comes from mmap.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gort::kernel {
class Out;
}

namespace gort::rt {

struct G;

// The innermost and the outermost frames of one stack.
inline constexpr uint32_t kTraceHead = 64, kTraceTail = 64;
struct Trace {
    uint64_t total;  // frames; more than the arrays hold: those between were left out
    uint32_t head, tail;
    uintptr_t pc[kTraceHead + kTraceTail];  // kExactPc set: the next instruction to run; else a return address
};
inline constexpr uintptr_t kExactPc = uintptr_t{1} << 63;

void trace_here(Trace* out);                         // of the caller, on whatever stack
bool trace_parked(const G* gp, Trace* out);          // false: it runs, or has no stack yet
void trace_context(const void* ucontext, Trace* out);  // of what a signal interrupted

// `system`: with the frames of the runtime, and its own goroutines.
void print_trace(kernel::Out& out, const Trace& trace, bool system);
void print_goroutine(kernel::Out& out, G* gp, const Trace* trace, bool system);  // trace null: walked if it is parked
void print_goroutines(kernel::Out& out, G* first, bool with_first, bool system);

}  // namespace gort::rt

namespace gort {
void dump_goroutines(int fd);
}
