// kernel/env.h - the environment as it was at start, and strict readers for numbers in it.
// SPDX-License-Identifier: BSD-2-Clause
//
// Context: env_init [init]; the rest any thread. What env_get returns belongs to the environment block.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gort::kernel {

void env_init(char** envp);             // the host's; null-terminated, kept
const char* env_get(const char* name);  // null when unset, or before env_init

// Of a variable that makes the program write a file, or print what is in its memory: the user who starts a program
// that has more rights than he has (set-user-ID, file capabilities: the kernel's AT_SECURE) may not ask for that.
// Null there.
const char* env_get_to_show(const char* name);

// Each returns null and stores the value, or says why the text was refused, as the end of a sentence
// ("not a decimal number") and leaves *out alone. No sign, no blank, no other base, no trailing byte.
const char* parse_uint(const char* text, uint64_t min, uint64_t max, uint64_t* out);
// The same with an optional K, M or G (2^10, 2^20, 2^30) at the end: 256K.
const char* parse_size(const char* text, uint64_t min, uint64_t max, uint64_t* out);

}  // namespace gort::kernel
