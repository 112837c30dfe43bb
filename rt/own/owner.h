// rt/own/owner.h - whose an object is: the one protocol behind channels, mutexes, wait_groups and the slots of waiters.
// SPDX-License-Identifier: BSD-2-Clause
//
// Why: a locked instruction costs 6 to 9 ns, more than all the rest of an uncontended operation, and most objects live
// and die among goroutines of one P. So an object has an owner, a P: the thread that is inside the gate with that P
// is alone with it, by plain loads and stores, because everybody else, who finds another owner than his own P,
// takes the object away before he touches it. Taking it away costs 1 to 8 us.
//
//      whose          who may use it                       what comes next
//      kNobody        nobody yet                           its first user's P (settle), or kShared if that P is
//                                                          reluctant. Channels begin as their maker's, wait_groups
//                                                          too, slots of waiters as shared
//      a P's place    who is inside with that P            kRevoking, by CAS of whoever else wants it
//      kRevoking      who is inside with the P that it     kShared, by the same one, when he has seen that nobody
//                     was, and found it its own before     is inside any more
//      kShared        who gets the object's own lock       a P's place: of one that has used it alone for a streak
//                                                          (Owner::used_by) and has that lock, inside the gate
//      a simulation's whoever runs in it, alone anyway     another one of its places; kRevoking by who comes after it
//      (rt/base/sim_seam.h)
//
// TAKING AWAY                                     (inlined in rt/own/gate_fast.h; chan/hchan.h)
//      who is inside with P                       who wants it, outside the gate
//      1  in_rt = 1                               1  whose: P -> kRevoking, by CAS
//      2  light_barrier                           2  handshake (rt/own/gate.h), or heavy_barrier
//      3  read whose: P? then go ahead            3  wait until the M with P is outside the gate, or P is nobody's
//      4  in_rt = 0                               4  whose = kShared
// If the fence of the right side falls after 3 of the left, the M is seen inside; if before, it finds kRevoking. Who
// finds kRevoking, or another P, waits outside the gate, and answers for his own P meanwhile: so two Ms that want each
// other's objects do not wait for each other. A lock that is taken inside the gate (rt/own/owned_lock.h) is taken away
// there, too: its users raise a flag of their own in place of in_rt, for the short time that they hold it.
//
// THE LOCK OF A SHARED OBJECT. The thread that gets it must know that the object is shared still. An InsideLock is
// another word: he looks at whose once more and lets go if that has changed. A mutex and a wait_group are one word
// with whose, so that their compare and swap fails then.
//
// COMING BACK. After kStreak uses in a row by one P, twice as many for each loss, the object is that P's again. Whoever
// sees the new owner sees him inside, if he still is: in_rt was set before whose.
// RELUCTANCE. A P that loses more than one of 128 of the objects that it was the first to own makes the next ones
// shared from the start (rt/own/p.h).
//
// Ordering: B1 the release that makes it shared -> the acquire of who finds it so: what was done inside is seen.
//           B2 the release that makes it a P's -> the acquire of who takes it away, and of the P itself: what was done
//              under the lock, and that the new owner is inside.
// Modelled in tests/model/owner.pml, the answers in tests/model/handshake.pml.
#pragma once

#include "rt/own/gate.h"
#include "rt/own/gate_fast.h"

namespace gort::rt {

using detail::kNobody;
using detail::kRevoking;
using detail::kShared;
using detail::Owner;

// The place of the P of an M that is inside; 0: none.
[[gnu::always_inline]] inline uint32_t place_of(const M* mp) { return mp->place; }

// [inside the gate] Settles whose o is: this P's (*mine), or shared. Where it is another P's, leaves the gate
// meanwhile; returns the M to go on with. *mine holds until the gate is left, also by a park.
M* settle_slow(M* mp, Owner& o, bool* mine);
[[gnu::always_inline]] inline M* settle(M* mp, Owner& o, bool* mine) {
    const uint16_t whose = o.whose.load(std::memory_order_acquire);  // B1
    *mine = whose != kNobody && whose == place_of(mp);
    if (*mine || whose == kShared) [[likely]]
        return mp;
    return settle_slow(mp, o, mine);
}

// [outside the gate, any thread, also one that never called in] Returns when o was shared, if only for a moment.
// which: the P's reluctance that a first loss counts for.
void revoke(Owner& o, Reluctance P::*which, kernel::Count why);
inline void revoke_sync(Owner& o) { revoke(o, &P::sync_reluctance, kernel::Count::kBarrierSync); }

// [inside the gate] The same; leaves the gate meanwhile. Returns the M to go on with, maybe with another P.
M* revoke_from_inside(M* mp, Owner& o, Reluctance P::*which, kernel::Count why);

// The two ends of it. begin: o is kRevoking now, and the result the owner to wait for; 0: o is shared.
uint32_t revoke_begin(Owner& o);
void revoke_end(Owner& o);

// [inside the gate, with the lock of a shared object that this P has earned; the caller still has to unlock it]
inline void make_own(const M* mp, Owner& o) {
    o.whose.store(static_cast<uint16_t>(place_of(mp)), std::memory_order_release);  // B2
}

}  // namespace gort::rt
