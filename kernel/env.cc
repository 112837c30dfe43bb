// kernel/env.cc - environment look-up and number parsing.
// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/env.h"

#include <linux/auxvec.h>

#include "kernel/mem.h"
#include "kernel/vdso.h"

namespace gort::kernel {

static char** g_envp;

void env_init(char** envp) { g_envp = envp; }

const char* env_get(const char* name) {
    if (!g_envp) return nullptr;
    const size_t n = str_len(name);
    for (char** e = g_envp; *e; ++e)
        if (str_starts_with(*e, name) && (*e)[n] == '=') return *e + n + 1;
    return nullptr;
}

const char* env_get_to_show(const char* name) { return auxv_value(AT_SECURE) ? nullptr : env_get(name); }

static const char* in_range(uint64_t value, uint64_t min, uint64_t max, uint64_t* out) {
    if (value < min) return "too small";
    if (value > max) return "too large";
    *out = value;
    return nullptr;
}

// Reads the leading digits; null, or why not.
static const char* digits(const char** text, uint64_t* value) {
    const char* p = *text;
    if (*p < '0' || *p > '9') return *p ? "not a decimal number" : "empty";
    uint64_t v = 0;
    for (; *p >= '0' && *p <= '9'; ++p)
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, static_cast<uint64_t>(*p - '0'), &v))
            return "too large";
    *text = p;
    *value = v;
    return nullptr;
}

const char* parse_uint(const char* text, uint64_t min, uint64_t max, uint64_t* out) {
    uint64_t v;
    if (const char* why = digits(&text, &v)) return why;
    if (*text) return "not a decimal number";
    return in_range(v, min, max, out);
}

const char* parse_size(const char* text, uint64_t min, uint64_t max, uint64_t* out) {
    uint64_t v;
    if (const char* why = digits(&text, &v)) return why;
    uint64_t unit = 1;
    switch (*text) {
    case 'K': unit = uint64_t{1} << 10; break;
    case 'M': unit = uint64_t{1} << 20; break;
    case 'G': unit = uint64_t{1} << 30; break;
    }
    if (unit != 1) ++text;
    if (*text) return "not a number with K, M, G or nothing after it";
    if (__builtin_mul_overflow(v, unit, &v)) return "too large";
    return in_range(v, min, max, out);
}

}  // namespace gort::kernel
