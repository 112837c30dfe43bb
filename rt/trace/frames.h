// rt/trace/frames.h - frames as people read them: which of a stack's are shown, and how one is named.
// SPDX-License-Identifier: BSD-2-Clause
//
// Context: as rt/trace/traceback.h.
#pragma once

#include "rt/site.h"
#include "rt/symbols/symbols.h"
#include "rt/trace/traceback.h"

namespace gort::rt {

inline constexpr size_t kFrameName = 1024;

// The frames that are shown, as indexes into trace.pc, innermost first; how many. system: all of them. Else without the
// runtime's own, and without what lies between a throw and the program's frame; if that leaves nothing, all as well.
uint32_t visible_frames(Images* images, const Trace& trace, bool system, uint8_t* index);

// A function at one place: a frame's own, or one that the compiler put into it.
struct ShownFrame {
    const char* name;  // null: unknown
    bool mangled;
    const LineInfo* line;
    bool whole;  // the frame's own function
};
// What is shown of one frame, the innermost first, into out[kMostInlined + 1]; how many, at least 1. What is gort's or
// the standard library's is left out if something of the program's own is there, unless all.
unsigned shown_frames(const Symbol& s, bool all, ShownFrame* out);

// Into out[kFrameName]. Of the template that calls what the user gave to `go` or `run` that callable's name.
void frame_name(const Symbol& s, const ShownFrame& f, bool may_allocate, char* out);
uint32_t shown_count(const Symbol& s, const PrintHow& how);
// `before`, then "created by main at /home/me/main.cc:12" without the end of a line; false, and nothing, if that is not
// known.
bool print_created_by(kernel::Out& out, Images* images, const Site& site, const PrintHow& how,
                      const char* before = "");
// The nth of those that are shown.
void print_frame(kernel::Out& out, const Symbol& s, uint32_t nth, uintptr_t pc, const PrintHow& how);

}  // namespace gort::rt
