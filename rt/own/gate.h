// rt/own/gate.h - the P gate: how an M enters and leaves the runtime with plain stores, and how others take its P.
// SPDX-License-Identifier: BSD-2-Clause
//
// A P is a biased lock. Its M enters the runtime by  in_rt = 1, (compiler fence), read open  and leaves by  in_rt = 0.
// Between the two everything of the P is its own: no other thread touches the queue, the caches, runnext.
// Somebody else who wants the P (a thief, sysmon, a change of gomaxprocs) does, under m.gate_lock:
//
//      the M (common side)                     the taker (rare side)
//      1  in_rt = 1                            1  m.open = 0
//      2  light_barrier                        2  heavy_barrier (membarrier: a full fence in every running thread)
//      3  read open                            3  read in_rt
//
// If 3 reads in_rt == 0, the M is in user code and will find the gate shut when it enters: the P is the taker's, to
// keep or to put back. If it reads 1, the M may be using the P: the taker may leave a request in p.attention. The gate
// then stays shut, so that the M answers at its next scheduling decision or, if its goroutine makes none (one that
// sends, receives and locks without ever having to wait), at its next entry. An M that is inside does not look at open.
// An M that finds the gate shut goes to enter_slow, which first takes gate_lock: a thief opens before it unlocks.
//
// Invariant: open != 0 is the index of m.p plus 1; with a P and open == 0 there is a request to answer, or a taker at
//            work under gate_lock.
// Cost: 0 locked instructions on the common side. Explored in tests/explore/gate.cc.
// Ordering: G1 leave's release of in_rt -> the taker's acquire of 0: it sees all that was done to the P.
//           G2 the release that opens the gate -> enter's acquire: the M sees what the taker did to the P.
#pragma once

#include "kernel/membarrier.h"
#include "kernel/tls.h"
#include "rt/own/m.h"
#include "rt/own/p.h"

namespace gort::rt {

[[gnu::noinline]] M* attach_foreign();   // this thread's first call into gort
[[gnu::noinline]] M* enter_slow(M* mp);  // no P: wait for one; may return on another thread's M

[[gnu::always_inline]] inline M* self() { return static_cast<M*>(kernel::tls_get()); }

// Into the runtime. The result is good until the next switch. Afterwards mp->p is this M's P, or null on a foreign
// thread; only leave() may be skipped, by a switch that never comes back.
[[gnu::always_inline]] inline M* enter() {
    M* mp = self();
    if (!mp) [[unlikely]]
        mp = attach_foreign();
    if (!detail::gate_step_in(mp)) [[unlikely]]
        return enter_slow(mp);
    if (!mp->p) __builtin_unreachable();
    return mp;
}

// The same where the gate stands open to a P: there is no call in it, so the caller saves no registers. Else null, and
// the thread is outside.
[[gnu::always_inline]] inline M* try_enter() {
    uint32_t place;
    return static_cast<M*>(detail::gate_enter(&place));
}

[[gnu::always_inline]] inline void leave(M* mp) { mp->in_rt.store(0, std::memory_order_release); }  // G1

// The P of an M that is inside. Null on a foreign thread.
[[gnu::always_inline]] inline P* p_of(M* mp) { return mp->p; }

enum class Taken { kYes, kInside, kGone };

// Takes pp from the M that holds it. kYes: the P is ours, the gate is shut, and m's gate_lock is HELD (finish with
// give_back or keep). kInside: the M is in the runtime, and asked (kAsk...) for what `ask` says if that is not 0.
// kGone: no M holds it, or another thread is at its gate.
Taken take(P* pp, M** holder, uint32_t ask);
void give_back(M* holder);    // the thief's end: the M has its P again; unlocks
void keep(P* pp, M* holder);  // sysmon's end: the M is without P when it comes back; unlocks

// [outside the gate, after a heavy_barrier] Returns when the M that was inside with pp has been outside, or has
// given it up.
void wait_for_outside(const P* pp);

// [outside the gate] The same without the barrier, where it can be had: returns when pp's holder has made a scheduling
// decision since the call, or has been outside. What the caller wrote before, everybody sees who is inside with pp
// later; what was done inside with pp, the caller sees.
//
//      who asks                                 pp's holder, on g0 after the commit (answer)
//      1  answers_wanted + 1 is our number      1  takes kAskAnswer off (acquire)
//      2  attention |= kAskAnswer (release)     2  answered = answers_wanted (release)
//      3  waits until answered has reached it
//
// On g0 the holder is in the middle of nothing, so that is as good as outside. One that computes in user code does not
// answer: after twice the time that a barrier has taken lately the caller pays for one.
void handshake(P* pp, kernel::Count why);
void answer(P* pp);  // [pp's holder, on g0]
// [any thread that waits for another one] The answer for its own P, if it is outside and has one: two that wait for
// each other would both wait in vain.
void answer_from_outside();

// [outside the gate] Returns when everybody who was inside with a P has been outside, or has given the P up: so who
// has seen what was written before the call is the only one inside.
void wait_for_all_outside();

// The M's own changes of p, on g0 or in enter_slow.
void acquire_p(M* mp, P* pp);
P* release_p(M* mp);

}  // namespace gort::rt
