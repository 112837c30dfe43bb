// rt/bias.cc - settling whose an object is, and taking it away.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/bias.h"

#include "kernel/sys.h"
#include "rt/fork.h"
#include "rt/sched.h"

namespace gort::rt {

using namespace detail;

void bias_revoke(Bias& bias) {
    check_not_forked();
    for (;;) {
        uint16_t b = bias.load(std::memory_order_acquire);  // B1
        if (b == kBiasShared) return;
        if (b == kBiasRevoking) {
            kernel::sys_sched_yield();
            continue;
        }
        const bool is_new = b == kBiasNew;
        if (!bias.compare_exchange_strong(b, is_new ? kBiasShared : kBiasRevoking, std::memory_order_acq_rel))
            continue;
        if (is_new) return;
        P* pp = sched.allp[b - 1];
        handshake(pp, kernel::Count::kBarrierSync);
        bias.store(kBiasShared, std::memory_order_release);  // B1
        return pp->sync_reluctance.lost();
    }
}

M* bias_settle_slow(M* mp, Bias& bias, bool* mine) {
    for (;;) {
        uint16_t b = bias.load(std::memory_order_acquire);  // B1
        const uint32_t place = place_of(mp);
        *mine = b != kBiasNew && b == place;
        if (*mine || b == kBiasShared) return mp;
        if (b == kBiasNew) {
            const bool ours = place && p_of(mp)->sync_reluctance.overcome();
            *mine = ours;
            const uint16_t after = ours ? static_cast<uint16_t>(place) : kBiasShared;
            if (bias.compare_exchange_strong(b, after, std::memory_order_acq_rel)) return mp;  // B1
            continue;
        }
        leave(mp);
        bias_revoke(bias);
        mp = enter();
    }
}

}  // namespace gort::rt
