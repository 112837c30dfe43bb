// chan/lock.cc - taking a channel's bias away, and giving it back.
// SPDX-License-Identifier: BSD-2-Clause
#include "chan/hchan.h"

#include "kernel/sys.h"
#include "rt/fork.h"

namespace gort::detail {

using namespace rt;

void chan_revoke(Hchan* c) {
    check_not_forked();
    std::atomic<uintptr_t>& bias = c->lock.bias;
    for (;;) {
        uintptr_t owner = bias.load(std::memory_order_acquire);  // B1
        if (is_shared(owner)) return;
        if (owner == kRevoking) {
            kernel::sys_sched_yield();
            continue;
        }
        if (!bias.compare_exchange_strong(owner, kRevoking, std::memory_order_acq_rel)) continue;
        auto* pp = reinterpret_cast<P*>(owner);
        handshake(pp, kernel::Count::kBarrierChannel);
        ChanPast& past = c->past;
        if (!past.was_shared.load(std::memory_order_relaxed)) {
            past.was_shared.store(true, std::memory_order_release);
            pp->chan_reluctance.lost();
        } else if (past.losses < ChanPast::kMostLosses) {
            ++past.losses;
        }
        bias.store(kShared | uintptr_t{past.losses} << 17, std::memory_order_release);  // B1
        return;
    }
}

void chan_revoke_at_end(Hchan* c) {
    uintptr_t owner = c->lock.bias.load(std::memory_order_acquire);
    if (is_a_p(owner) &&
        c->lock.bias.compare_exchange_strong(owner, kShared, std::memory_order_acq_rel))  // B1
        return c->past.was_shared.store(true, std::memory_order_release);
    chan_revoke(c);  // a foreign thread is at it
}

M* chan_lock_slow(M* mp, Hchan* c) {
    do {
        leave(mp);
        chan_revoke(c);
        mp = enter();  // maybe with another P
    } while (chan_lock_try(mp, c) == LockGot::kNothing);
    return mp;
}

void chan_make_own(M* mp, Hchan* c) GORT_NO_TSA {
    if (!p_of(mp) || c->past.for_ever) return;
    c->lock.bias.store(bias_to(p_of(mp)), std::memory_order_release);
    c->lock.gate.unlock();
}

}  // namespace gort::detail
