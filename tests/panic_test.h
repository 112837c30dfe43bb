// tests/panic_test.h - what the tests of panics and goexit share.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdio>
#include <string>

#include "rt/sched/park.h"
#include "tests/child.h"
#include "tests/procs.h"

namespace gort::panic_test {

using test::Died;
using test::procs_of;
using test::run_child;
using test::with_procs;

// Appends to a log when its scope ends.
struct Says {
    std::string* log;
    const char* text;
    ~Says() { *log += text; }
};
// Prints when its scope ends, for children.
struct Prints {
    const char* text;
    ~Prints() { std::fputs(text, stdout); }
};

template <class F>
Died die_in_main(F f) {
    return run_child([&] { with_procs(2, f); });
}
// The goroutine dies while main yields for ever.
template <class F>
Died die_in_child(F f) {
    return run_child([&] {
        with_procs(2, [&] {
            Prints main_guard{"main's guard\n"};
            go([&] { f(); });
            for (;;) yield();
        });
    });
}

[[gnu::noinline]] inline void park_for_ever(rt::WaitReason why) {
    rt::M* mp = rt::enter();
    rt::leave(rt::park(mp, nullptr, nullptr, why));
    asm volatile("");
}

// Goroutines that wait for a reason, and can be told to end.
struct Parked {
    std::atomic<rt::G*> g{nullptr};
    void park(rt::WaitReason why) {
        rt::M* mp = rt::enter();
        mp = rt::park(
            mp, [](void* me, rt::G* gp) { static_cast<Parked*>(me)->g = gp; }, this, why);
        rt::leave(mp);
    }
    void wake() {
        rt::M* mp = rt::enter();
        rt::ready(mp, g.load());
        rt::leave(mp);
    }
};

}  // namespace gort::panic_test
