// rt/trace/schedtrace.cc - GORT_SCHEDTRACE=ms: a line about the scheduler every so many ms; GORT_SCHEDDETAIL=1: all Ps,
// Ms, Gs.
// SPDX-License-Identifier: BSD-2-Clause
//
// The lines have Go's form, so that what reads those reads these. Left out: what we have not (collector, stop of the
// world, system calls that are announced). A goroutine that runs without a P has status 3, as one in a system call.
// Context: sysmon, and whoever reports the end of the process. Takes no lock of the scheduler's, so that it changes
//          nothing and cannot hang (the list of Gs has its own); values may not fit together. The memory of Gs, Ms
//          and Ps stays what it is, so old pointers may be followed.
//
// No TSA: as it says above, nothing is locked; what is read is a guess.
#include "kernel/fatal.h"
#include "rt/sched/sched.h"
#include "rt/time/clock.h"

namespace gort::rt {

namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr int kMostMs = 20'000;  // of a list that changes while it is walked

using kernel::Count;
using kernel::Out;

const char* truth(bool b) { return b ? "true" : "false"; }

void print_id(Out& out, const char* name, bool there, uint64_t id) {
    out.str(name);
    if (there) out.udec(id);
    else out.str("nil");
}

template <class F>
[[gnu::no_sanitize_thread]] void for_each_m(F f) GORT_NO_TSA {
    int most = kMostMs;
    for (const M* mp = sched.allm; mp && most-- > 0; mp = mp->next_all) f(mp);
}

[[gnu::no_sanitize_thread]] void print_p(Out& out, const P* pp) {
    const M* mp = pp->m.load(std::memory_order_acquire);
    const int status = pp->retired ? 4 : !mp ? 0 : pp->blocking.load(kRelaxed) ? 2 : 1;
    out.str("  P").udec(pp->index).str(": status=").dec(status).str(" schedtick=").udec(pp->picks());
    print_id(out, " m=", mp, mp ? mp->id : 0);
    out.str(" runqsize=").udec(pp->queued()).str(" gfreecnt=").udec(pp->gfree_count);
    out.str(" timerslen=").udec(pp->timers.count.load(kRelaxed)).ch('\n');
}

[[gnu::no_sanitize_thread]] void print_m(Out& out, const M* mp) {
    const P* pp = mp->p;
    const G* gp = mp->curg;
    out.str("  M").udec(mp->id).ch(':');
    print_id(out, " p=", pp, pp ? pp->index : 0);
    print_id(out, " curg=", gp && !mp->foreign, gp ? gp->id : 0);
    out.str(" dying=").dec(mp->dying).str(" blocked=").str(truth(mp->in_midle));
    print_id(out, " lockedg=", mp->locked_g, mp->locked_g ? mp->locked_g->id : 0);
    if (mp->foreign) out.str(" foreign=true");
    out.ch('\n');
}

// No for_each_m: the attribute does not reach a lambda's body.
[[gnu::no_sanitize_thread]] const M* runs_on(const G* gp) GORT_NO_TSA {
    const M* on = nullptr;
    int most = kMostMs;
    for (const M* mp = sched.allm; mp && most-- > 0; mp = mp->next_all)
        if (mp->curg == gp) on = mp;
    return on;
}

[[gnu::no_sanitize_thread]] void print_g(G* gp, void* arg) {
    Out& out = *static_cast<Out*>(arg);
    const M* on = runs_on(gp);
    const GStatus status = gp->status.load(std::memory_order_acquire);
    const bool waits = status == GStatus::kWaiting;
    out.str("  G").udec(gp->id).str(": status=").dec(waits ? 4 : !on ? 1 : on->p ? 2 : 3).ch('(');
    if (waits) out.str(wait_reason_text(gp->wait_reason));
    out.ch(')');
    print_id(out, " m=", on, on ? on->id : 0);
    const M* locked = gp->locked_m;
    print_id(out, " lockedm=", locked, locked ? locked->id : 0);
    out.ch('\n');
}

// Ours, at the end, where readers of Go's lines expect no more: what was dear, in all since the process began.
void print_counts(Out& out) {
    uint64_t barriers = 0;
    for (auto i = static_cast<uint32_t>(Count::kBarrierTake);
         i <= static_cast<uint32_t>(Count::kBarrierOther); ++i)
        barriers += kernel::counted(static_cast<Count>(i));
    out.str(" barriers=").udec(barriers).str(" handshakes=").udec(kernel::counted(Count::kHandshakes));
    out.str(" futexwaits=").udec(kernel::counted(Count::kFutexWaits));
    out.str(" futexwakes=").udec(kernel::counted(Count::kFutexWakes));
}

[[gnu::no_sanitize_thread]] void print(int64_t now, bool detail) GORT_NO_TSA {
    const int n = sched.nallp.load(std::memory_order_acquire);
    Out out(2);
    out.str("SCHED ").dec((now - sched.started) / 1'000'000);
    out.str("ms: gomaxprocs=").dec(sched.nprocs.load(kRelaxed));
    out.str(" idleprocs=").dec(sched.npidle.load(kRelaxed));
    out.str(" threads=").dec(sched.nm.load(kRelaxed) + sysmon_has_thread());  // as in Go
    out.str(" spinningthreads=").dec(sched.looking.load(kRelaxed)).str(" needspinning=0");
    out.str(" idlethreads=").dec(sched.midle_count);
    out.str(" runqueue=").udec(sched.runq_size.load(kRelaxed));
    if (!detail) {
        out.str(" [ ");
        for (int i = 0; i < n; ++i)
            if (!sched.allp[i]->retired) out.udec(sched.allp[i]->queued()).ch(' ');
        out.str("] schedticks=[ ");
        for (int i = 0; i < n; ++i)
            if (!sched.allp[i]->retired) out.udec(sched.allp[i]->picks()).ch(' ');
        out.ch(']');
        print_counts(out);
        out.ch('\n');
        return;
    }
    out.str(" sysmonwait=").str(truth(sched.sysmon_rests));
    print_counts(out);
    out.ch('\n');
    for (int i = 0; i < n; ++i) print_p(out, sched.allp[i]);
    for_each_m([&](const M* mp) { print_m(out, mp); });
    for_each_g(print_g, &out);
}

}  // namespace

int64_t schedtrace_tick(int64_t now) {
    static int64_t run, next;
    if (!sched.config.schedtrace_ms) return INT64_MAX;
    if (run != sched.started) run = next = sched.started;  // the first line is of 0 ms
    if (now < next) return next;
    print(now, sched.config.schedtrace_detail);
    const int64_t every = sched.config.schedtrace_ms * 1'000'000;
    next = now - (now - run) % every + every;  // what was missed is left out
    return next;
}

void schedtrace_last() {
    if (sched.config.schedtrace_ms && sched.state.load(kRelaxed) != RunState::kStopped) print(now(), true);
}

}  // namespace gort::rt
