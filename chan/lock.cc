// chan/lock.cc - taking a channel away from its owner, and giving it back.
// SPDX-License-Identifier: BSD-2-Clause
//
// No TSA: chan_make_own is called with the mutex held and returns with it held or not, as a value says.
#include "chan/hchan.h"
#include "rt/base/report.h"
#include "rt/base/sim_seam.h"

namespace gort::detail {

using namespace rt;

void chan_revoke(Hchan* c) { revoke(c->lock.owner, &P::chan_reluctance, kernel::Count::kBarrierChannel); }

bool chan_of_another_run(const Hchan* c) {
    if (c->lock.owner.losses.load(std::memory_order_relaxed) != ChanLock::kSimulated) return false;
    const SimHooks* sim = simulation();
    return !sim || !sim->of_this_run(c->lock.owner.whose.load(std::memory_order_relaxed));
}

M* chan_revoke_from_inside(M* mp, Hchan* c, ChanUse use) {
    if (chan_of_another_run(c)) [[unlikely]] {
        static constexpr const char* kTexts[] = {"send on synctest channel from outside bubble",
                                                 "receive on synctest channel from outside bubble",
                                                 "close of synctest channel from outside bubble",
                                                 "select on synctest channel from outside bubble"};
        leave(mp);
        fatal_error(kTexts[static_cast<int>(use)]);
    }
    return revoke_from_inside(mp, c->lock.owner, &P::chan_reluctance, kernel::Count::kBarrierChannel);
}

void chan_revoke_at_end(Hchan* c) {
    Owner& o = c->lock.owner;
    uint16_t whose = o.whose.load(std::memory_order_acquire);  // B1
    if (whose == kRevoking) return chan_revoke(c);             // a foreign thread is at it
    if (whose == kShared || is_sim_place(whose)) return;
    if (!o.whose.compare_exchange_strong(whose, kRevoking, std::memory_order_acq_rel)) return chan_revoke(c);
    revoke_end(o);
}

M* chan_lock_slow(M* mp, Hchan* c, ChanUse use) {
    do mp = chan_revoke_from_inside(mp, c, use);
    while (chan_lock_try(mp, c) == LockGot::kNothing);
    return mp;
}

void chan_make_own(M* mp, Hchan* c) GORT_NO_TSA {
    if (c->lock.owner.losses.load(std::memory_order_relaxed) == ChanLock::kForEver) return;
    make_own(mp, c->lock.owner);
    c->lock.mutex.unlock();
}

}  // namespace gort::detail
