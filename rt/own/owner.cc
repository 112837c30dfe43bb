// rt/own/owner.cc - settling whose an object is, and taking it away.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/own/owner.h"

#include "kernel/sys.h"
#include "rt/base/fork.h"
#include "rt/base/sim_seam.h"
#include "rt/sched/sched.h"

namespace gort::rt {

uint32_t revoke_begin(Owner& o) {
    for (;;) {
        uint16_t whose = o.whose.load(std::memory_order_acquire);  // B1, B2
        if (whose == kShared) return 0;
        if (whose == kRevoking) {
            answer_from_outside();
            kernel::sys_sched_yield();
            continue;
        }
        const bool new_one = whose == kNobody;
        if (!o.whose.compare_exchange_strong(whose, new_one ? kShared : kRevoking, std::memory_order_acq_rel))
            continue;
        return whose;
    }
}

void revoke_end(Owner& o) {
    const uint8_t losses = o.losses.load(std::memory_order_relaxed);
    // release: who finds it lost once needs no look at whose (chan/store.cc)
    if (losses < Owner::kMostLosses)
        o.losses.store(static_cast<uint8_t>(losses + 1), std::memory_order_release);
    o.last.store(0, std::memory_order_relaxed);
    o.whose.store(kShared, std::memory_order_release);  // B1
}

void revoke(Owner& o, Reluctance P::*which, kernel::Count why) {
    check_not_forked();
    const uint32_t place = revoke_begin(o);
    if (!place) return;
    if (is_sim_place(place)) return revoke_end(o);  // it was a simulation's, which is over
    P* pp = sched.allp[place - 1];
    handshake(pp, why);
    const bool first = o.losses.load(std::memory_order_relaxed) == 0;
    revoke_end(o);
    if (!first) return;
    (pp->*which).lost();
    if (M* holder = pp->m.load(std::memory_order_acquire); holder && pp->sync_reluctance.high())
        holder->born.store(kNobody, std::memory_order_relaxed);
}

M* revoke_from_inside(M* mp, Owner& o, Reluctance P::*which, kernel::Count why) {
    // Every entry is a scheduling point of a simulation, and whose the object was before it must not show. Nobody else
    // is inside there.
    if (const SimHooks* sim = simulation()) {
        sim->takes(mp, o);
        return mp;
    }
    leave(mp);
    revoke(o, which, why);
    return enter();
}

M* settle_slow(M* mp, Owner& o, bool* mine) {
    for (;;) {
        uint16_t whose = o.whose.load(std::memory_order_acquire);  // B1
        const uint32_t place = place_of(mp);
        *mine = whose != kNobody && whose == place;
        if (*mine || whose == kShared) return mp;
        if (const SimHooks* sim = simulation()) {
            sim->takes(mp, o);
            *mine = true;
            return mp;
        }
        if (whose == kNobody) {
            const bool ours = place && p_of(mp)->sync_reluctance.overcome();
            *mine = ours;
            if (ours) mp->born.store(static_cast<uint16_t>(place), std::memory_order_relaxed);
            const uint16_t after = ours ? static_cast<uint16_t>(place) : kShared;
            if (o.whose.compare_exchange_strong(whose, after, std::memory_order_acq_rel)) return mp;
            continue;
        }
        mp = revoke_from_inside(mp, o, &P::sync_reluctance, kernel::Count::kBarrierSync);
    }
}

}  // namespace gort::rt
