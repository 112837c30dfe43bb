// rt/trace/stall.h - GORT_STALL=ms or ms,stack: says which goroutines keep their P for longer than that.
// SPDX-License-Identifier: BSD-2-Clause
//
// sysmon looks at each M some four times in that time; nobody else pays anything. A goroutine that computes or sits in
// a blocking call is named once for each of its turns, also when its P has been taken from it meanwhile. The form:
//      gort: stall: goroutine 7 ["label", created by main at server.cc:31] has kept its P for 12 ms
// With `stack` its stack follows, which its thread is asked for by SIGQUIT (not where GORT_SIGQUIT=0, or the program
// handles that signal itself).
#pragma once

#include <cstdint>

namespace gort::rt {

// A run begins: reads the environment; a bad value ends the process. True if somebody wants to know.
bool stall_begin();
int64_t stall_tick(int64_t now);  // [sysmon] when to come again; INT64_MAX: nobody wants to know

}  // namespace gort::rt
