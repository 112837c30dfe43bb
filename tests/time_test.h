// tests/time_test.h - what the tests of timers and contexts share: how many are pending, and when one has fired.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <string>

#include "chan/chan.h"
#include "chan/hchan.h"
#include "chan/time.h"
#include "rt/sched/sched.h"
#include "tests/procs.h"

namespace time_tools {

using namespace std::chrono_literals;
using gort::after;
using gort::after_func;
using gort::ticker;
using gort::time_point;
using gort::timer;
using std::chrono::steady_clock;

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

// chan_tools has another panic_of, for runtime errors only.
template <class F>
std::string panic_text(F&& f) {
    return gort::test::panic_of(std::forward<F>(f));
}

}  // namespace time_tools
