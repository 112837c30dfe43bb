// tests/procs.h - what every test of the runtime begins with: so many Ps, yields for waits, the text of a panic.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>
#include <utility>

#include "rt/go.h"
#include "rt/panic.h"
#include "tests/test.h"

namespace gort::test {

inline const bool polls_with_yields = yield_with(gort::yield);

inline options procs_of(int n) {
    options o;
    o.max_procs = n;
    return o;
}
// Runs main with n Ps.
template <class F>
int with_procs(int n, F main) {
    return gort::run(main, procs_of(n));
}

// What f panics with; "" if it does not.
template <class F>
std::string panic_of(F&& f) {
    try {
        std::forward<F>(f)();
    } catch (const panic_error& e) {
        return e.what();
    }
    return "";
}

}  // namespace gort::test
