// rt/host.h - the seam to the world outside the library: threads that libc knows, C++ exceptions, the environment.
// SPDX-License-Identifier: BSD-2-Clause
//
// Implemented by rt/host_libc.cc, which needs libc; rt/host_c.cc, which needs an unwinder (libgcc) as well; and
// rt/host_cxx.cc, which needs the C++ runtime and is linked into programs that have files in C++ (rt/host_cxx.h). The
// core calls nothing else outside itself.
// Invariants: (1) the functions that throw are called outside the gate: after leave(), never from a commit.
//             (2) every goroutine's stack, and run's main function, has gort_invoke under the user's code: no exception
//                 and no goexit ever unwinds past it into the core.
// Context:    any thread that libc knows; not signal handlers.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gort::rt {

struct G;
struct EhGlobals;

// What the host needs once for each process, before the first goroutine: reports, the terminate handler.
void host_init();

// malloc and free, for the objects of gort_c.h. Null: no memory.
void* host_alloc(size_t bytes);
void host_free(void* p);

// Runs s.fn(s.arg) on a new thread with about `stack` bytes, which inherits the mask and needs no join. 0, or -errno
// after one try. s belongs to it until it calls fn. (s is not of malloc: the first free on a thread makes it an arena.)
struct HostStart {
    void (*fn)(void*);
    void* arg;
};
int host_start_thread(HostStart* s, size_t stack);

// This thread's exception state (rt/own/m.h). The address stays the thread's for its whole life. `without`: what to use
// in a program that has no exceptions.
EhGlobals* host_eh_globals(EhGlobals* without);

char** host_environ();
uintptr_t host_auxv(uintptr_t type);  // getauxval

// Calls fn(arg) when this thread ends, after its thread_locals are destroyed. Not when the process exits. *node is its
// until then. 0 or -errno (EAGAIN, ENOMEM).
struct HostThreadExit {
    void (*fn)(void*);
    void* arg;
    HostThreadExit* next;
    int rounds;
};
int host_on_thread_exit(HostThreadExit* node, void (*fn)(void*), void* arg);

// Calls fn in every child that this process forks, before fork returns there. Without memory for that: never.
void host_on_fork(void (*fn)());
void host_in_child();  // in the child: the other threads are forgotten

// Calls fn when the shared object that the library is a part of is unloaded (rt/sched/unload.h): after all destructors
// of that object, and not when the process exits. Without memory to tell the two apart: never.
void host_on_unload(void (*fn)());
bool host_unloading();         // asked by a destructor
void host_wait_for_threads();  // until all that host_start_thread started have gone
void host_exit();              // the terminate handler is as before host_init again, and what follows
void host_drop_exit_key();     // nothing of on_thread_exit is called any more
void host_stay_loaded();       // from now on that object is not unloaded any more

// Throw gort::panic_error; gort::runtime_error, for the panics that Go's runtime makes itself (channels: PN-12).
// Without C++ in the program: a fatal error.
[[noreturn]] void host_throw_panic(const char* text);
[[noreturn]] void host_throw_runtime_error(const char* text);

// Ends this goroutine. [G]
[[noreturn]] void host_goexit();
// Goes on with an unwinding that gort_fence has stopped; called by the function that called gort_fence.
[[noreturn]] void host_unwind_on(void* exit);

// Threads of this process that a sanitizer started for itself: TSan's one, and one more in a forked child. 0 without.
int host_tool_threads();

// What the program has printed so far, out of stdio's buffer, unless another thread has it locked.
void host_flush_stdout();

// C++ name -> readable form in buf, truncated to fit; false if it is no mangled name. Allocates: not for handlers.
bool host_demangle(const char* name, char* buf, size_t size);

}  // namespace gort::rt

extern "C" {
#pragma GCC visibility push(hidden)
// Calls fn(arg), the bottom of what the user sees of a goroutine's stack (arch/*/invoke.S). It returns when the
// goroutine has ended: by return or by goexit. An exception that arrives here ends the process. Costs a call: what
// makes it the bottom is its unwind table entry.
void gort_invoke(void* arg, void (*fn)(void*));
// Calls fn(arg), a function that the user gave to one of gort_c.h. Null when it has returned. If a forced unwind
// (goexit) came instead: what stands for it, to be given to host_unwind_on when the caller has tidied up. An
// exception ends the process.
void* gort_fence(void* arg, void (*fn)(void*));
#pragma GCC visibility pop
}
