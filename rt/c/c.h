// rt/c/c.h - what the files of the C interface share.
// SPDX-License-Identifier: BSD-2-Clause
//
// Compiled as the core is, and without tail calls and split functions (C_API in the Makefile): a function's frame and
// its unwind table entry are there as long as it runs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "gort_c.h"
#include "rt/host.h"
#include "rt/site.h"

// First in every function of gort_c.h that may panic: gives its unwind table entry a personality, by which an exception
// that the unwinder takes through its frame ends the process there (rt/host_c.cc). No instruction.
#define GORT_C_FENCE() \
    asm volatile(".hidden gort_fence_personality\n\t.cfi_personality 0x1b, gort_fence_personality")

namespace gort::c {

// As the place in the source where a goroutine was created: the C code that has called this function of gort_c.h
// (rt/site.h).
#define GORT_C_CALLER() \
    gort::Site { nullptr, static_cast<const char*>(__builtin_return_address(0)), 0 }

// Ends the process: `text` names function and argument.
[[noreturn]] void misused(const char* text);

// Calls fn(arg), then after(after_arg), also if goexit ends fn.
inline void call_then(void (*fn)(void*), void* arg, void (*after)(void*), void* after_arg) {
    void* exit = gort_fence(arg, fn);
    after(after_arg);
    if (exit) rt::host_unwind_on(exit);
}

}  // namespace gort::c
