// arch/context.h - the one C++ wrapper around the stack switch: a handle plus what the sanitizers keep.
// SPDX-License-Identifier: BSD-2-Clause
//
// Life of a stack:   context_init(&c, bottom, size, fn, arg)   switch_context(&me, &c, x)   …   context_destroy(&c)
// A thread's own stack is a default-constructed Context; the first switch away from it fills it in, and only
// stacks that run on that thread may resume it. A function that runs on a new stack calls
// context_started(&its own context) first.
// Context: any thread; a Context belongs to the thread that may resume it. Two threads may not resume one context.
// Includes: only files of the library (arch/arch.h says why).
#pragma once

#include "arch/arch.h"
#include "arch/sanitize.h"

namespace gort::arch {

struct Context {
    void* sp = nullptr;  // handle of the stack while it is suspended
    [[no_unique_address]] SanStack san;
};

// Sets up the unused memory [bottom, bottom + size) as a stack whose first run calls fn(arg, transfer).
// bottom + size must be 16-aligned.
inline void context_init(Context* c, void* bottom, size_t size, EntryFn fn, void* arg) {
    san_stack_created(&c->san, bottom, size);
    c->sp = init_stack(static_cast<char*>(bottom) + size, fn, arg);
}

inline void context_destroy(Context* c) {
    san_stack_destroyed(&c->san);
    c->sp = nullptr;
}

inline void context_started(Context* me) { san_switch_end(&me->san); }

// Leaves `from` suspended and resumes `to`, whose handle is `sp`; returns what the one that resumes `from` hands over.
// The caller must be a function compiled by us: every register but the stack and frame pointer is clobbered.
[[gnu::always_inline]] inline void* switch_context(Context* from, Context* to, void* sp, void* transfer) {
    san_switch_begin(&from->san, &to->san, false);
    void* result = switch_to(&from->sp, sp, transfer);
    san_switch_end(&from->san);
    return result;
}
[[gnu::always_inline]] inline void* switch_context(Context* from, Context* to, void* transfer) {
    return switch_context(from, to, to->sp, transfer);
}

// Leaves `from` for good. Its memory may be reused as soon as the resumed side runs.
[[noreturn, gnu::always_inline]] inline void switch_final(Context* from, Context* to, void* sp,
                                                          void* transfer) {
    san_switch_begin(&from->san, &to->san, true);
    switch_to(&from->sp, sp, transfer);
    __builtin_trap();
}
[[noreturn, gnu::always_inline]] inline void switch_final(Context* from, Context* to, void* transfer) {
    switch_final(from, to, to->sp, transfer);
}

// Runs fn(arg) on the unused stack [bottom, bottom + size), then comes back. The sum must be 16-aligned. An
// exception may pass through, if every file on its way is compiled with exceptions.
inline void call_on_stack(void* bottom, size_t size, void (*fn)(void*), void* arg) {
    SanCall call(bottom, size, fn, arg);
    gort_call_on_stack(static_cast<char*>(bottom) + size, &SanCall::run, &call);
}

}  // namespace gort::arch
