// rt/own/gate.cc - the gate's rare side: taking another M's P, and entering without one.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/own/gate.h"

#include "arch/arch.h"
#include "kernel/clock.h"
#include "kernel/fatal.h"
#include "kernel/sys.h"
#include "rt/base/solo.h"
#include "rt/sched/sched.h"

namespace gort::rt {

namespace {

// [gate_lock]
void open_gate(M* mp) { mp->open.store(static_cast<uint16_t>(mp->place), std::memory_order_release); }  // G2

}  // namespace

// GORT_NO_TSA, three times: clang's analysis has no way to say "locks if it returns kYes".
GORT_NO_TSA Taken take(P* pp, M** holder, uint32_t ask) {
    M* mp = pp->m.load(std::memory_order_acquire);
    if (!mp || !mp->gate_lock.try_lock()) return Taken::kGone;
    if (mp->p != pp) {
        mp->gate_lock.unlock();
        return Taken::kGone;
    }
    mp->open.store(0, std::memory_order_relaxed);          // 1
    kernel::heavy_barrier(kernel::Count::kBarrierTake);    // 2
    if (mp->in_rt.load(std::memory_order_acquire) == 0) {  // 3, G1
        *holder = mp;
        return Taken::kYes;
    }
    // Under gate_lock, so that the P is still its own: what is asked of the P's next holder would be somebody else's.
    if (ask) pp->attention.fetch_or(ask, std::memory_order_release);
    else open_gate(mp);
    mp->gate_lock.unlock();
    return Taken::kInside;
}

std::atomic<bool> g_solo{false};
std::atomic<bool> g_solo_over{true};

// Two threads that come at once both make the round: to wait for the other one could be to wait for oneself, inside.
void end_solo() {
    if (g_solo_over.load(std::memory_order_acquire)) return;  // O1
    g_solo.store(false, std::memory_order_relaxed);
    kernel::heavy_barrier(kernel::Count::kBarrierSolo);
    M* me = self();
    for (int i = 0, n = sched.nallp.load(std::memory_order_acquire); i < n; ++i) {
        P* pp = sched.allp[i];
        if (me && pp == p_of(me)) continue;  // we are inside, and not in the middle of anything
        wait_for_outside(pp);                // no M's: the next one gets it under a lock
    }
    g_solo_over.store(true, std::memory_order_release);  // O1
}

void begin_solo() {
    g_solo_over.store(false, std::memory_order_relaxed);
    g_solo.store(true, std::memory_order_relaxed);
}

GORT_NO_TSA void give_back(M* holder) {
    open_gate(holder);
    holder->gate_lock.unlock();
}

GORT_NO_TSA void keep(P* pp, M* holder) {
    holder->p = nullptr;
    holder->place = 0;
    pp->m.store(nullptr, std::memory_order_release);
    holder->lost_p.store(true, std::memory_order_relaxed);
    detail::g_strays.fetch_add(detail::kStray, std::memory_order_relaxed);
    holder->gate_lock.unlock();
}

// The same, or until `enough` says so.
template <class F>
static void wait_for_outside_or(const P* pp, F enough) {
    constexpr int kPauses = 100;  // of 10 to 60 ns, before the CPU is given to other threads
    const M* mp = pp->m.load(std::memory_order_acquire);
    for (int i = 0; mp && mp->in_rt.load(std::memory_order_acquire) && !enough(); ++i) {  // G1
        if (i < kPauses) arch::pause();
        else kernel::sys_sched_yield();
        if (pp->m.load(std::memory_order_acquire) != mp) return;  // it gave the P up, so it was outside
    }
}

void wait_for_outside(const P* pp) {
    wait_for_outside_or(pp, [] { return false; });
}

void answer(P* pp) {
    pp->answered.store(pp->answers_wanted.load(std::memory_order_acquire), std::memory_order_release);
}

// Who waits outside of the gate is inside for a moment only, and has nothing half done.
void answer_from_outside() {
    M* mp = self();
    if (!mp || mp->in_rt.load(std::memory_order_relaxed) || !try_enter()) return;
    P* pp = mp->p;
    if (pp->attention.load(std::memory_order_relaxed) & kAskAnswer) {
        pp->attention.fetch_and(~kAskAnswer, std::memory_order_acquire);
        answer(pp);
    }
    leave(mp);
}

void handshake(P* pp, kernel::Count why) {
    constexpr int64_t kLeast = 1'000, kMost = 5'000;
    static std::atomic<int64_t> barrier_ns{kMost / 2};
    kernel::count(kernel::Count::kHandshakes);
    const uint32_t number = pp->answers_wanted.fetch_add(1, std::memory_order_release) + 1;
    auto answered = [&] {
        return static_cast<int32_t>(pp->answered.load(std::memory_order_acquire) - number) >= 0;
    };
    pp->attention.fetch_or(kAskAnswer, std::memory_order_release);
    if (pp->m.load(std::memory_order_relaxed)) {  // else nobody will answer
        int64_t patience = 2 * barrier_ns.load(std::memory_order_relaxed);
        if (patience < kLeast) patience = kLeast;
        if (patience > kMost) patience = kMost;
        const int64_t end = kernel::nanotime() + patience;
        do {
            for (int i = 0; i < 4; ++i) {
                if (answered()) return;
                arch::pause();
            }
            answer_from_outside();
        } while (kernel::nanotime() < end);
    }
    const int64_t start = kernel::nanotime();
    kernel::heavy_barrier(why);
    const int64_t took = kernel::nanotime() - start;
    barrier_ns.store((barrier_ns.load(std::memory_order_relaxed) * 7 + took) / 8, std::memory_order_relaxed);
    wait_for_outside_or(pp, answered);
}

void wait_for_all_outside() {
    kernel::heavy_barrier();
    for (int i = 0, n = sched.nallp.load(std::memory_order_acquire); i < n; ++i)
        wait_for_outside(sched.allp[i]);
}

void acquire_p(M* mp, P* pp) {
    {
        kernel::LockGuard guard(mp->gate_lock);
        GORT_DCHECK(!mp->p);
        pp->blocking.store(false, std::memory_order_relaxed);
        pp->m.store(mp, std::memory_order_release);
        mp->p = pp;
        mp->place = pp->index + 1;
        mp->born.store(static_cast<uint16_t>(pp->sync_reluctance.high() ? 0 : mp->place),
                       std::memory_order_relaxed);
        open_gate(mp);
    }
    // We are inside and look at objects next. Who takes one away reads pp->m after his barrier: we find it gone, or he
    // finds us.
    kernel::light_barrier();
}

P* release_p(M* mp) {
    kernel::LockGuard guard(mp->gate_lock);
    P* pp = mp->p;
    GORT_DCHECK(pp);
    mp->open.store(0, std::memory_order_relaxed);
    mp->p = nullptr;
    mp->place = 0;
    mp->born.store(0, std::memory_order_relaxed);
    pp->m.store(nullptr, std::memory_order_release);
    return pp;
}

}  // namespace gort::rt

namespace gort::detail {

constinit std::atomic<uint32_t> g_strays{0};

void check_in() { rt::leave(rt::enter()); }
#if defined(GORT_FENCES_UNKNOWN)
void full_fence() { kernel::full_barrier(); }
#endif

}  // namespace gort::detail
