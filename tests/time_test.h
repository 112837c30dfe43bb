// tests/time_test.h - what the tests of timers and contexts share: how many are pending, and when one has fired.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <string>

#include "chan/chan.h"
#include "chan/hchan.h"
#include "chan/time.h"
#include "rt/panic.h"
#include "rt/sched.h"
#include "tests/test.h"

namespace time_tools {

using namespace std::chrono_literals;

// Pending in all heaps.
inline long live_timers() {
    using namespace gort::rt;
    long n = 0;
    for (int i = 0; i < sched.nallp.load(); ++i) n += sched.allp[i]->timers.count.load();
    return n;
}

inline bool has_value(const gort::recv_chan<gort::time_point>& c) {
    return gort::detail::Access::get(c)->fill.load() != 0;
}
inline void fired(const gort::recv_chan<gort::time_point>& c) { EVENTUALLY(has_value(c)); }
template <class T>
void fired(const T& t) {
    fired(t.c());
}

template <class F>
std::string panic_text(F&& f) {
    try {
        std::forward<F>(f)();
    } catch (const gort::panic_error& e) {
        return e.what();
    }
    return "";
}

}  // namespace time_tools
