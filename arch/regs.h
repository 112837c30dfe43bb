// arch/regs.h - the registers an unwinder follows, and how to take a picture of them.
// SPDX-License-Identifier: BSD-2-Clause
//
// Context: any thread, any stack, signal handlers.
#pragma once

#if defined(__x86_64__)
#include "arch/x86_64/regs.h"
#elif defined(__aarch64__)
#include "arch/aarch64/regs.h"
#else
#error "gort supports x86-64 and ARM64"
#endif

extern "C" {
#pragma GCC visibility push(hidden)
// What the caller's registers are when this call has returned to it: the callee-saved ones, sp and pc; the rest is 0.
void gort_capture(gort::arch::Regs* out);
#pragma GCC visibility pop
}
