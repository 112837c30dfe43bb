// arch/x86_64/frame.h - what a suspended stack holds, as C++ structs and as the offsets that switch.S uses.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#define FRAME_FP 0
#define FRAME_PC 8
#define FRAME_SIZE 16
#define ENTRY_FN 0
#define ENTRY_ARG 8
#define ENTRY_SIZE 16
#define ENTRY_NOP 1  // bytes of the nop that gort_entry begins with: a new stack starts behind it

#ifndef __ASSEMBLER__
#include <cstddef>
namespace gort::arch {

// The handle of a suspended stack is a pointer to this, its lowest bytes.
struct Frame {
    void* fp;  // rbp of the suspended code
    void* pc;  // where it goes on
};
// A stack that never ran has one of these above its Frame; the entry stub reads it.
struct EntryFrame {
    void (*fn)(void* arg, void* transfer);
    void* arg;
};
static_assert(offsetof(Frame, fp) == FRAME_FP && offsetof(Frame, pc) == FRAME_PC &&
              sizeof(Frame) == FRAME_SIZE);
static_assert(offsetof(EntryFrame, fn) == ENTRY_FN && offsetof(EntryFrame, arg) == ENTRY_ARG);
static_assert(sizeof(EntryFrame) == ENTRY_SIZE);

}  // namespace gort::arch
#endif
