// rt/base/check_seam.h - what GORT_CHECK asks for, in programs that libgort_check.a is linked into.
// SPDX-License-Identifier: BSD-2-Clause
//
// That archive sets these when the program is loaded; libgort.a has no code for it but the question in delays_sample,
// on a way that goes over g0 anyway.
#pragma once

#include <atomic>

namespace gort::rt {

struct G;

inline constinit std::atomic<bool> g_check_linked{false};
// [inside the gate, on gp's own stack] A goroutine with kGHolds is about to park. Null: it is not wanted.
inline constinit std::atomic<void (*)(G* gp)> g_check_park{nullptr};

}  // namespace gort::rt
