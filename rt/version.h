// PUBLIC
// rt/version.h - which gort this is. The one place that says so: the Makefile and CMakeLists.txt read it here.
// SPDX-License-Identifier: BSD-2-Clause
//
// Plain C may include it. README.md, "Versions", says what a version promises.
#pragma once

#define GORT_VERSION_MAJOR 0
#define GORT_VERSION_MINOR 1
#define GORT_VERSION_PATCH 0
#define GORT_VERSION "0.1.0"

#ifdef __cplusplus
#include "config.h"

namespace gort {
// Of the headers: what this file was compiled with.
inline constexpr const char* version = GORT_VERSION;
}  // namespace gort
#endif
