// chan/store.cc - a channel's memory and its references.
// SPDX-License-Identifier: BSD-2-Clause
//
// Headers come from a list of the P's and go back to it, in chains of kBatch through a depot when one P makes and
// another one drops. They are never unmapped, because a lock is looked at once more after it was released. Rings
// come from the typed layer, which knows the program's allocator.
//
// The number of references is owned + shared. `owned` is written plainly by the thread that is inside the gate with
// the P that the channel belongs to from its start, and stays as it is once it was taken away; `shared` is
// everybody's, by locked instructions, and may be negative. Only who can know the sum may find that he had the last
// one: so a release from elsewhere takes it away from its first owner. A later one (ChanLock::was_shared) is no
// matter of references. Neither retain nor release waits for a P, and both may be called inside the gate: when an
// element's move copies a handle.
#include "chan/hchan.h"
#include "kernel/fatal.h"
#include "rt/base/fork.h"
#include "rt/base/sim_seam.h"
#include "rt/base/slab.h"

namespace gort::detail {

using namespace rt;

namespace {

constexpr uint32_t kBatch = 64;

// A header stays an Hchan while it is free: its lock may still be looked at by the thread that released it last.
Hchan* next_free(const Hchan* c) { return reinterpret_cast<Hchan*>(c->head); }
void set_next_free(Hchan* c, Hchan* next) { c->head = reinterpret_cast<char*>(next); }
Hchan* next_chain(const Hchan* c) { return reinterpret_cast<Hchan*>(c->ring); }
void set_next_chain(Hchan* c, Hchan* next) { c->ring = reinterpret_cast<char*>(next); }

struct alignas(64) Header {
    unsigned char bytes[(sizeof(Hchan) + 63) / 64 * 64];
};
Slab<Header> slab;

struct {
    kernel::Mutex lock{kernel::LockRank::kLeaf};
    Hchan* chains = nullptr;
} depot;

#if defined(GORT_DEBUG)
std::atomic<long> live{0};
void count_live(long n) { live.fetch_add(n, std::memory_order_relaxed); }
#else
void count_live(long) {}
#endif

Hchan* carve(uint32_t n) {
    Header* fresh[kBatch];
    n = slab.alloc_many(fresh, n);
    if (!n) kernel::fatal("out of memory for another channel");
    sched.abandon.store(abandon_sudogs, std::memory_order_relaxed);
    sched.give_up.store(give_up_sudogs, std::memory_order_relaxed);
    Hchan* chain = nullptr;
    while (n) {
        auto* c = new (fresh[--n]) Hchan;
        set_next_free(c, chain);
        chain = c;
    }
    return chain;
}

Hchan* take_chain() {
    kernel::LockGuard guard(depot.lock);
    Hchan* chain = depot.chains;
    if (chain) depot.chains = next_chain(chain);
    return chain;
}

void put_chain(Hchan* chain) {
    kernel::LockGuard guard(depot.lock);
    set_next_chain(chain, depot.chains);
    depot.chains = chain;
}

[[gnu::noinline]] void refill(P* pp) {
    Hchan* chain = take_chain();
    if (!chain) chain = carve(kBatch);
    pp->chan_free = chain;
    pp->chan_free_count = 0;
    for (; chain; chain = next_free(chain)) ++pp->chan_free_count;
}

// Half of a long list to the depot.
[[gnu::noinline]] void spill(P* pp) {
    auto* chain = static_cast<Hchan*>(pp->chan_free);
    Hchan* last = chain;
    for (uint32_t i = 1; i < kBatch; ++i) last = next_free(last);
    pp->chan_free = next_free(last);
    pp->chan_free_count -= kBatch;
    set_next_free(last, nullptr);
    put_chain(chain);
}

// This thread's place inside the gate for a moment, where it has or can have one at once. Without: p() is null.
class Inside {
public:
    [[gnu::always_inline]] Inside() {
        M* mp = self();
        if (!mp) [[unlikely]]
            return;
        nested_ = mp->in_rt.load(std::memory_order_relaxed) != 0;
        if (!nested_) {
            entered_ = try_enter();
            if (!entered_) [[unlikely]]
                return;
        }
        pp_ = p_of(mp);
    }
    [[gnu::always_inline]] ~Inside() {
        if (entered_) leave(entered_);
    }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;
    [[gnu::always_inline]] P* p() const { return pp_; }
    [[gnu::always_inline]] bool nested() const { return nested_; }

private:
    M* entered_ = nullptr;
    P* pp_ = nullptr;
    bool nested_ = false;
};

// All but the lock itself, which is free, is as new.
Hchan* init(Hchan* c, const ElemOps* ops, size_t cap, void* buffer, uint32_t whose, uint8_t losses) {
    c->lock.owner.begin(static_cast<uint16_t>(whose), losses);
    c->recvq.reset();
    c->sendq.reset();
    c->fill.store(0, std::memory_order_relaxed);
    c->cap = cap;
    c->head = c->tail = c->ring = c->end = nullptr;
    c->place = 0;
    c->owned = 1;
    c->shared.store(0, std::memory_order_relaxed);
    c->ops = ops;
    if (cap) {
        c->ring = buffer ? static_cast<char*>(buffer) : reinterpret_cast<char*>(&c->place);
        c->end = c->ring + cap * ops->size;
        c->head = c->tail = c->ring;
    }
    count_live(1);
    return c;
}

void free_header(P* pp, Hchan* c) {
    set_next_free(c, static_cast<Hchan*>(pp->chan_free));
    pp->chan_free = c;
    if (++pp->chan_free_count >= 2 * kBatch) [[unlikely]]
        spill(pp);
}

// No reference is left. Outside the gate: runs the user's destructors.
[[gnu::noinline]] void drop(Hchan* c) {
    if (void* buffer = buffer_of(c)) {
        if (!c->ops->word) {
            char* at = c->head;
            for (size_t n = c->fill.load(std::memory_order_relaxed) & ~kClosed; n; --n, at = ring_next(c, at))
                c->ops->destroy(at);
        }
        c->ops->free_buffer(buffer);
    }
    count_live(-1);
    Inside inside;
    if (P* pp = inside.p()) free_header(pp, c);
    else {
        check_not_forked();
        set_next_free(c, nullptr);
        put_chain(c);
    }
}

}  // namespace

Hchan* chan_new(const ElemOps* ops, size_t cap, void* buffer, bool shared) {
    Inside inside;
    P* pp = inside.p();
    const uint8_t losses = shared ? ChanLock::kForEver : 1;
    if (!pp) [[unlikely]] {
        check_not_forked();
        Hchan* chain = take_chain();
        if (!chain) chain = carve(1);
        if (Hchan* rest = next_free(chain)) put_chain(rest);
        if (simulation()) return init(chain, ops, cap, buffer, place_of(self()), ChanLock::kSimulated);
        return init(chain, ops, cap, buffer, kShared, losses);
    }
    if (!pp->chan_free) [[unlikely]]
        refill(pp);
    auto* header = static_cast<Hchan*>(pp->chan_free);
    pp->chan_free = next_free(header);
    --pp->chan_free_count;
    if (!shared && pp->chan_reluctance.overcome()) return init(header, ops, cap, buffer, pp->index + 1, 0);
    return init(header, ops, cap, buffer, kShared, losses);
}

// Are references counted in `owned` by who is inside with pp?
[[gnu::always_inline]] static inline bool counts_plainly(const Hchan* c, const P* pp) {
    return pp && c->lock.owner.whose.load(std::memory_order_relaxed) == pp->index + 1 &&
           !c->lock.was_shared(std::memory_order_relaxed);
}

void chan_retain(Hchan* c) {
    if (!c->lock.was_shared(std::memory_order_relaxed)) {
        Inside inside;
        if (counts_plainly(c, inside.p())) {
            c->owned += 1;
            return;
        }
    }
    c->shared.fetch_add(1, std::memory_order_relaxed);
}

namespace {

enum class Released { kNot, kDone, kLast };

[[gnu::always_inline]] inline Released release_owned(Hchan* c) {
    Inside inside;
    P* pp = inside.p();
    if (!counts_plainly(c, pp)) {
        if (!inside.nested()) return Released::kNot;
        c->shared.fetch_sub(1, std::memory_order_release);  // R1. An element on its way has another reference
        return Released::kDone;
    }
    c->owned -= 1;
    if (c->owned + c->shared.load(std::memory_order_acquire) != 0) return Released::kDone;  // R1
    if (buffer_of(c)) return Released::kLast;
    count_live(-1);
    free_header(pp, c);
    return Released::kDone;
}

}  // namespace

void chan_release(Hchan* c) {
    if (!c->lock.was_shared(std::memory_order_acquire)) {
        switch (release_owned(c)) {
        case Released::kNot: chan_revoke(c); break;
        case Released::kDone: return;
        case Released::kLast: return drop(c);
        }
    }
    // before our reference goes: after that somebody else may have dropped it
    const int32_t owned = c->owned;
    if (c->shared.fetch_sub(1, std::memory_order_acq_rel) - 1 + owned == 0) drop(c);  // R1
}

#if defined(GORT_DEBUG)
long live_chans() { return live.load(std::memory_order_relaxed); }
#else
long live_chans() { return 0; }
#endif

}  // namespace gort::detail
