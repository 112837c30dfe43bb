// rt/sched/unload.cc - see unload.h.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/sched/unload.h"

#include "kernel/fatal.h"
#include "kernel/sys.h"
#include "rt/base/fork.h"
#include "rt/base/report.h"
#include "rt/base/slab.h"
#include "rt/go.h"
#include "rt/host.h"
#include "rt/net/poller.h"
#include "rt/sched/sched.h"
#include "rt/stack/fault.h"
#include "rt/stack/stack.h"

namespace gort::rt {

namespace {

std::atomic<ListedSlab*> g_slabs{nullptr};

bool some_m_left() {
    kernel::LockGuard guard(sched.lock);
    for (M* mp = sched.allm; mp; mp = mp->next_all)
        if (!mp->foreign) return true;
    return sched.starting != 0;
}

void release_memory() {
    for (int i = 0, n = sched.nallp.load(std::memory_order_relaxed); i < n; ++i) {
        P* pp = sched.allp[i];
        pp->runq.destroy();
        pp->fresh.destroy();
    }
    for (const ListedSlab* s = g_slabs.load(std::memory_order_relaxed); s; s = s->next)
        for (SlabChunk* c = *s->chunks; c;) {
            SlabChunk* next = c->next;  // the list itself lies elsewhere
            kernel::release(c, c->size);
            c = next;
        }
    stack_release_all();
}

}  // namespace

void list_slab(ListedSlab* slab) {
    slab->next = g_slabs.load(std::memory_order_relaxed);
    while (!g_slabs.compare_exchange_weak(slab->next, slab, std::memory_order_relaxed)) {
    }
}

// Not in a child of a process that had a run.
bool unloading() { return !g_forked.load(std::memory_order_relaxed) && host_unloading(); }

void unload() {
    if (!unloading()) return;
    if (sched.state.load(std::memory_order_relaxed) != RunState::kStopped) {
        const M* me = self();
        if (sched.has_main || (me && !me->foreign))
            kernel::fatal("a shared object with gort inside is unloaded while its run goes on");
        stop();
    }
    // Only after a stop() of just now: else the object would have stayed.
    for (constexpr kernel::Timespec kNap{0, 100'000}; some_m_left();) kernel::sys_nanosleep(&kNap, nullptr);
    host_wait_for_threads();
    detach_all_foreign();
    kernel::tls_set(nullptr);
    report_exit();
    fault_exit();
    host_exit();
    poller_close();
    release_memory();
}

}  // namespace gort::rt
