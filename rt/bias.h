// rt/bias.h - whose an object is: settling it at its first use, and taking it away. The protocol: rt/gate_fast.h.
// SPDX-License-Identifier: BSD-2-Clause
//
// Why: a locked instruction costs 6 to 9 ns, more than all the rest of an uncontended operation, and most objects live
// and die among goroutines of one P. Taking one away costs 1 to 8 us, once in its life; a P that loses more
// than one in 128 makes its next ones shared from the start (P::sync_reluctance).
#pragma once

#include "rt/gate.h"
#include "rt/gate_fast.h"

namespace gort::rt {

// The place of the P of an M that is inside; 0: none.
[[gnu::always_inline]] inline uint32_t place_of(const M* mp) {
    const P* pp = p_of(const_cast<M*>(mp));
    return pp ? pp->index + 1 : 0;
}

// [inside the gate] Makes the object this P's or shared. Where it is another P's, leaves the gate meanwhile; returns
// the
// M to go on with. *mine holds until the gate is left, also by a park.
M* bias_settle_slow(M* mp, detail::Bias& bias, bool* mine);
[[gnu::always_inline]] inline M* bias_settle(M* mp, detail::Bias& bias, bool* mine) {
    const uint16_t b = bias.load(std::memory_order_acquire);  // B1
    *mine = b != detail::kBiasNew && b == place_of(mp);
    if (*mine || b == detail::kBiasShared) [[likely]]
        return mp;
    return bias_settle_slow(mp, bias, mine);
}

// [outside the gate, any thread, also one that never called in] Returns when it is shared.
void bias_revoke(detail::Bias& bias);

}  // namespace gort::rt
