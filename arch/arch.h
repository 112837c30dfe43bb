// arch/arch.h - all that the layers above may know of the CPU: the one architecture header they include.
// SPDX-License-Identifier: BSD-2-Clause
//
// Context: switch_to, call_on_stack and call_below may be called on any thread and any stack. Nothing here
// blocks, allocates, or touches thread-local state. A stack handle may be resumed by any thread, once; who
// resumes it must have seen a release that the suspending thread made after its switch: until then its rsp
// and its signals are on that stack.
// Includes: the library's .cc files only (of it rt/go.h's yield takes arch/x86_64/switch.h), because switch_to is
// inlined and asks two things of the function it lands in.
// (1) On x86-64 it is compiled with -mno-red-zone: the switcher pushes 16 bytes, which the compiler does not
// know of.
// (2) It has no alloca and no variable-length array: with over-aligned locals, or under ASan, clang then
// addresses its frame through rbx (x19), which the switch does not keep, and on x86-64 it does so without a
// warning.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__x86_64__)
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/frame.h"
#elif defined(__aarch64__)
#include "arch/aarch64/cpu.h"
#include "arch/aarch64/frame.h"
#else
#error "gort supports x86-64 and ARM64"
#endif

extern "C" {
#pragma GCC visibility push(hidden)  // as in the .S: no GOT or PLT entry, also with -fPIC
// The plain-ABI form of switch_to: an ordinary function that keeps every callee-saved register itself. For
// callers that cannot name clobbers: C, other languages, a debugger. Either form resumes what the other one
// suspended.
void* gort_switch_abi(void** save_sp, void* load_sp, void* transfer);
// Runs fn(arg) on the unused stack that ends at the 16-aligned `top`, then comes back. An exception passes
// through.
void gort_call_on_stack(void* top, void (*fn)(void*), void* arg);
// Runs fn(arg) on a suspended stack, below its Frame: an unwinder started in fn walks that stack. Then comes
// back. fn must not throw, and must not resume that stack.
void gort_call_below(void* handle, void (*fn)(void*), void* arg);
void gort_entry();  // not callable: the function that a stack which never ran is in
#pragma GCC visibility pop
}

namespace gort::arch {

using EntryFn = void (*)(void* arg, void* transfer);

// Prepares an unused stack that ends at the 16-aligned `top` so that the first switch to the returned handle
// calls fn(arg, transfer of that switch). fn must never return.
inline void* init_stack(void* top, EntryFn fn, void* arg) {
    auto* entry = static_cast<EntryFrame*>(top) - 1;
    *entry = {fn, arg};
    auto* frame = reinterpret_cast<Frame*>(entry) - 1;
    *frame = {nullptr, reinterpret_cast<char*>(&gort_entry) + ENTRY_NOP};
    return frame;
}

// `return return_by_jump(x)` at the end of a function that was switched away from in its middle. The CPU predicts a
// `ret` from the calls of the stack that was left, which is wrong unless both were in a call from the same place:
// that costs more than the whole switch. Where the two places are the same, an ordinary return is right and keeps
// the predictor in step for the frames above: the code that knows where the left stack's call came from (M::left_from)
// compares. On ARM64 a return address is no target for an indirect branch (BTI), so there it stays a `ret`.
//
// Const, so that a function whose locals are known elsewhere (a Sudog) may still end in it; it is a tail call in
// optimized builds and an ordinary one, which does no harm, in the others.
// Anything that is returned in two registers at most can be declared so.
#define GORT_RETURN_BY_JUMP __asm__("gort_return_by_jump")
[[gnu::const, gnu::visibility("hidden")]] bool return_by_jump(bool value) GORT_RETURN_BY_JUMP;
[[gnu::visibility("hidden")]] void return_by_jump() GORT_RETURN_BY_JUMP;
[[gnu::always_inline]] inline const void* return_site() { return __builtin_return_address(0); }

inline Frame* frame_of(void* handle) { return static_cast<Frame*>(handle); }

}  // namespace gort::arch
