// rt/sync/readers.cc - when is it certain that no reader sees what was removed? For sync_map.
// SPDX-License-Identifier: BSD-2-Clause
//
// A short visit is a stay inside the gate with a P: who removes something and then waits until everybody has been
// outside (rt/own/gate.h) has seen the end of all of them. A long one may block and end on another P: it counts itself,
// at its begin and its end, in the place of the P where it is then. Phases tell old ones from new ones:
//      phase n ends when the visits begun in phase n-1 are all over (their number, summed over all places, is 0);
//      what was removed during phase n cannot be seen any more when phase n+2 has begun.
// Only two phases have visits at any time, so two counters do. The sum is exact enough: after everybody has been
// outside, no begin of an older phase is on its way, and ends only make it smaller; a sum that is read as 0 is 0.
//
// Context:  [any goroutine or thread], outside the gate.
// Ordering: V1 the end's release -> the sum's acquire: what was read is read before it is destroyed.
#include "rt/sync/readers.h"

#include "kernel/lock.h"
#include "rt/own/gate.h"
#include "rt/sched/sched.h"

namespace gort::detail {

using namespace rt;

namespace {

struct alignas(64) Count {
    // by the phase's last bit; the P's holder's, or common to threads without one
    std::atomic<int64_t> visits[2];
};
constinit Count g_counts[kMaxProcs + 1];
constinit std::atomic<uint64_t> g_phase{2};
kernel::Mutex g_lock;  // of who ends a phase

void count(const M* mp, unsigned phase, int64_t n) {
    if (const P* pp = p_of(const_cast<M*>(mp))) {
        std::atomic<int64_t>& visits = g_counts[pp->index].visits[phase];
        visits.store(visits.load(std::memory_order_relaxed) + n, std::memory_order_release);  // V1
    } else {
        g_counts[kMaxProcs].visits[phase].fetch_add(n, std::memory_order_acq_rel);  // V1
    }
}

int64_t sum(unsigned phase) {
    int64_t n = g_counts[kMaxProcs].visits[phase].load(std::memory_order_acquire);  // V1
    for (int i = 0, all = sched.nallp.load(std::memory_order_acquire); i < all; ++i)
        n += g_counts[i].visits[phase].load(std::memory_order_acquire);  // V1
    return n;
}

}  // namespace

// A thread without a P may be late with its count, and looks again.
unsigned readers_begin() {
    M* mp = enter();
    uint64_t phase = readers_phase();
    count(mp, phase & 1, 1);
    if (!p_of(mp)) {
        for (uint64_t now; (now = readers_phase()) != phase; phase = now) {
            count(mp, phase & 1, -1);
            count(mp, now & 1, 1);
        }
    }
    leave(mp);
    return phase & 1;
}

void readers_end(unsigned phase) {
    M* mp = enter();
    count(mp, phase, -1);
    leave(mp);
}

uint64_t readers_phase() { return g_phase.load(std::memory_order_seq_cst); }

uint64_t readers_advance(uint64_t phase) {
    bool waited = false;
    while (readers_phase() < phase + 2 && g_lock.try_lock()) {
        const uint64_t now = readers_phase();
        wait_for_all_outside();
        waited = true;
        const bool over = sum((now - 1) & 1) == 0;
        if (over) g_phase.store(now + 1, std::memory_order_seq_cst);
        g_lock.unlock();
        if (!over) break;
    }
    if (!waited) wait_for_all_outside();  // short visits
    return readers_phase() - 1;
}

Retired* RetiredList::take_passed() {
    const uint64_t now = readers_phase();
    for (Retired* r = head_; r; r = r->next)
        if (!r->phase) r->phase = now;
    const uint64_t passed = readers_advance(now);
    Retired* list = nullptr;
    Retired** end = &list;
    while (head_ && head_->phase < passed) {
        *end = head_;
        end = &head_->next;
        head_ = head_->next;
        --count_;
    }
    *end = nullptr;
    if (!head_) tail_ = &head_;
    return list;
}

}  // namespace gort::detail
