// PUBLIC
// rt/config.h - what every public header includes before all others: the language is new enough, errno is safe.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#ifndef __cplusplus
#error "gort: this header is for C++; programs in C include <gort_c.h>"
#elif __cplusplus < 202002L
#error "gort: this header needs C++20 or later: compile with -std=c++20"
#endif

#include "safe_errno.h"  // before any header of the standard library, many of which include <errno.h>

#if __STDC_HOSTED__
// Links rt/host_cxx.cc, by which panics are exceptions; a program whose files are all in C does without. An undefined
// symbol costs the object nothing.
asm(".globl gort_host_cxx");
#endif

// What each shared object with a gort inside has for itself. (g++ makes variables of templates that are not hidden
// one for the whole process, and then never unloads who has one.)
#define GORT_HIDDEN [[gnu::visibility("hidden")]]
