// tests/explore/ms.h - Ms and Ps without the scheduler: a model thread is an M, which the piece gives a P.
// SPDX-License-Identifier: BSD-2-Clause
//
// For what happens between enter and leave. Nothing can park; what an M does on g0 between two goroutines, as far as
// others wait for it, is `decide`.
#pragma once

#include "rt/own/gate.h"
#include "rt/sched/sched.h"
#include "tests/explore/explore.h"

namespace gort::explore {

inline rt::M* ms[3];
inline rt::P* ps[3];
inline rt::EhGlobals eh[3];
inline int of_p[3];  // plain: whoever has the P may touch it
inline int object;

// The runtime is up, but for its threads.
inline void prepare(int nms, int nps) {
    rt::sched.state.store(rt::RunState::kRunning, std::memory_order_relaxed);
    for (int i = 0; i < nps; ++i) {
        rt::sched.allp[i] = ps[i] = rt::new_p(static_cast<uint32_t>(i));
        const char* const names[] = {"p0", "p1", "p2"};
        name(ps[i], sizeof *ps[i], names[i]);
    }
    rt::sched.nallp.store(nps, std::memory_order_relaxed);
    rt::sched.nprocs.store(nps, std::memory_order_relaxed);
    for (int i = 0; i < nms; ++i) {
        ms[i] = rt::new_m();
        ms[i]->eh = &eh[i];
        const char* const names[] = {"m0", "m1", "m2"};
        name(ms[i], sizeof *ms[i], names[i]);
    }
    name(of_p, sizeof of_p, "of_p");
    name(&object, sizeof object, "object");
    name(&rt::sched, sizeof rt::sched, "sched");
}
inline void be(int m) { kernel::tls_set(ms[m]); }
// A thread of the program's own: it can park, and so wait for all that goroutines wait for.
inline void be_foreign(int m) {
    rt::M* mp = ms[m];
    mp->foreign = true;
    mp->curg = &mp->pseudo;
    mp->pseudo.flags = rt::kGForeign;
    mp->pseudo.locked_m = mp;
    mp->pseudo.status.begin(rt::GStatus::kRunning);
    be(m);
}
inline void be_nobody() { kernel::tls_set(nullptr); }
inline void be_with(int m, int p) {
    be(m);
    rt::acquire_p(ms[m], ps[p]);
}
inline void touch(const rt::P* pp) { ++of_p[pp->index]; }

// Explores these, each on a model thread.
template <class... F>
void run_ms(F... fn) {
    (spawn(fn), ...);
    be_nobody();
    explore::start();
    join();
}

// A scheduling decision, as far as others wait for it: see find_runnable.
inline void decide() {
    rt::M* mp = rt::enter();
    rt::P* pp = rt::p_of(mp);
    if (pp->attention.load(std::memory_order_relaxed) & rt::kAskAnswer) {
        pp->attention.fetch_and(~rt::kAskAnswer, std::memory_order_acquire);
        rt::answer(pp);
    }
    rt::leave(mp);
}

}  // namespace gort::explore
