// PUBLIC
// rt/site.h - a place in the source, captured by a default argument: where a goroutine was created.
// SPDX-License-Identifier: BSD-2-Clause
//
// Static strings of the compiler: copying one costs three words. clang 14 has the builtins but not
// std::source_location. What C code creates has no file: `function` is then a return address in that code.
#pragma once

#include "config.h"

#include <cstdint>

namespace gort {

struct Site {
    const char* file = nullptr;
    const char* function = nullptr;
    uint32_t line = 0;

    static constexpr Site here(const char* f = __builtin_FILE(), const char* fn = __builtin_FUNCTION(),
                               uint32_t l = static_cast<uint32_t>(__builtin_LINE())) {
        return {f, fn, l};
    }
};

}  // namespace gort
