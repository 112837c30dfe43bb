// tests/explore/first.h - included before everything else in the code under test.
// SPDX-License-Identifier: BSD-2-Clause
//
// arch::pause() is one instruction, which no instrumentation sees; here it is a call.
#pragma once

extern "C" void gort_explore_pause();
#define __builtin_ia32_pause gort_explore_pause
