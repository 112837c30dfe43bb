// bench/switch_variants.h - the stack switches that the library's is compared with, one loop each.
// SPDX-License-Identifier: BSD-2-Clause
//
// Every function makes n one-way switches (n even) between this stack and one of its own, from one site a
// side, and leaves the other stack suspended. Context: one thread at a time.
//
//      floor       sp, fp and pc in a struct, all else clobbered, inlined: the least that a switch of stacks
//      can do raw_call    the library's raw form, entered by call instead of jmp raw_inline  the library's
//      raw form inlined at the switch raw_ret     the library's raw form entered by call and ending in ret
//      abi_ret     all callee-saved registers pushed, ending in ret: what most coroutine libraries do
#pragma once

#include <cstdint>

namespace bench {

void switch_floor(uint64_t n);
void switch_raw_call(uint64_t n);
void switch_raw_inline(uint64_t n);
void switch_raw_ret(uint64_t n);
void switch_abi_ret(uint64_t n);
void switch_swapcontext(uint64_t n);
void switch_pthread_futex(uint64_t n);  // two threads that wake each other through one futex word

inline constexpr unsigned kSwitchStack = 64 * 1024;
// The 16-aligned top of a new touched stack. Never freed: a suspended stack is forgotten with the process.
char* new_switch_stack();

}  // namespace bench
