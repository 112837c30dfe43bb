// rt/trace/traceback.h - stacks as people read them: walking one, and printing goroutines in the form of Go's dumps.
// SPDX-License-Identifier: BSD-2-Clause
//
// Form of one goroutine; blocks are separated by one empty line:
//      goroutine 7 [chan receive, 3 minutes, locked to thread, "set_label's text"]:
//      worker(int)
//              /home/me/worker.cc:42 +0x1a
//      created by main at /home/me/main.cc:12
// A parked goroutine's stack is walked from outside and may be resumed meanwhile: every read stays inside its
// bounds, and what has changed during the walk counts as running.
// Context: any thread, any stack with 8 KiB left. Memory comes from mmap; but see PrintHow::demangle. [signal]
//          too, with how.in_handler, but for Goroutines and all that prints more than one: they take the scheduler's
//          locks.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel/fatal.h"
#include "rt/own/g.h"
#include "rt/symbols/image.h"

namespace gort::rt {

// The innermost and the outermost frames of one stack.
inline constexpr uint32_t kTraceHead = 64, kTraceTail = 64;
struct StackBounds;

struct Trace {
    uint64_t total;                         // frames; more than are stored: those between were left out
    uintptr_t pc[kTraceHead + kTraceTail];  // the innermost, then the outermost
    uint32_t stored() const {
        return total < kTraceHead + kTraceTail ? static_cast<uint32_t>(total) : kTraceHead + kTraceTail;
    }
};

void trace_here(Trace* out);                  // of the caller, on whatever stack
void trace_here(Images* images, Trace* out);  // the same again and again: without a look at what is mapped
// Of what a signal interrupted; `stack`, if given, is where it should be, although its pointer may have left it.
void trace_context(const void* ucontext, Trace* out, const StackBounds* stack = nullptr);
bool trace_parked(Images* images, const G* gp, Trace* out);  // false: it runs, or it has no stack

struct PrintHow {
    bool system = false;   // with the runtime's own frames and goroutines
    bool inlined = false;  // with what of gort's and of the standard library's is inlined in a frame
    bool demangle = true;  // the host's demangler, too, which knows more; off where malloc may not be called
    // Asks the thread that runs gp for gp's stack; false: no answer. Null: no thread is asked.
    bool (*ask)(const G* gp, int tid, Trace* out) = nullptr;
};

// What stands between the brackets, apart from the frames.
struct Status {
    uint64_t id = 0;
    const char* state = "";  // "running", or why it waits
    int64_t waited_ns = 0;
    bool locked = false;
    const char* label = "";  // set_label's
};
void print_header(kernel::Out& out, const Status& status);

void print_trace(kernel::Out& out, Images* images, const Trace& trace, const PrintHow& how);
// trace: of one that runs here. Else its stack is walked if it has one at rest, and `running` says why not.
void print_goroutine(kernel::Out& out, Images* images, const G* gp, const Trace* trace, bool running,
                     const PrintHow& how);

// All goroutines as they are at one moment, by id.
class Goroutines {
public:
    Goroutines();
    ~Goroutines();
    Goroutines(const Goroutines&) = delete;
    Goroutines& operator=(const Goroutines&) = delete;
    // `except` was printed already. Each after an empty line if there was something before it.
    void print(kernel::Out& out, Images* images, const G* except, bool first, const PrintHow& how) const;
    size_t size() const { return n_; }  // without the runtime's own
    // Those that are parked, into groups made for size(); members are numbered by id. by_label: those with different
    // labels differ; else those that were created in different places.
    void group_parked(Images* images, class StackGroups* groups, bool by_label) const;

private:
    struct Item {
        G* gp;
        uint64_t id;
    };
    struct Running {
        const G* gp;
        int tid;
    };
    int thread_of(const G* gp, GStatus state) const;  // 0: does not run
    void print_others(kernel::Out& out, const class StackGroups& groups, uint32_t group) const;
    Item* items_ = nullptr;
    size_t n_ = 0, room_ = 0;
    Running* running_ = nullptr;  // what the Ms have in hand
    size_t running_n_ = 0, running_room_ = 0;
};

// Once for the process: why the stacks that follow have neither names nor more than a frame or two.
void say_if_nameless(const Images* images);

// Runs fn(arg) on a stack of 512 KiB of its own: demanglers are hungry. Where there is none, right here.
void on_big_stack(void (*fn)(void*), void* arg);

}  // namespace gort::rt
