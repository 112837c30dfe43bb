// rt/frames.h - frames as people read them: which of a stack's are shown, and how one is named.
// SPDX-License-Identifier: BSD-2-Clause
//
// Context: as rt/traceback.h.
#pragma once

#include "rt/symbols.h"
#include "rt/traceback.h"

namespace gort::rt {

inline constexpr size_t kFrameName = 1024;

// The frames that are shown, as indexes into trace.pc, innermost first; how many. system: all of them. Else without the
// runtime's own, and without what lies between a throw and the program's frame; if that leaves nothing, all as well.
uint32_t visible_frames(Images* images, const Trace& trace, bool system, uint8_t* index);

// Into out[kFrameName]. Of the template that calls what the user gave to `go` or `run` that callable's name.
void frame_name(const Symbol& s, bool may_allocate, char* out);
void print_frame(kernel::Out& out, const Symbol& s, uintptr_t pc, const PrintHow& how);

}  // namespace gort::rt
