// chan/select.cc - select: a look at every channel in random order, and if nothing is ready, a wait on all of them.
// SPDX-License-Identifier: BSD-2-Clause
//
//   1  glance   in random order at each channel, without its lock. The first one that looks ready is locked alone and
//               tried: one that can proceed at that instant is as good as any. If all channels belong to this P, nobody
//               else can be at them, and what was seen is true of all of them at once.
//   2  lock     otherwise all are locked, in the order of their addresses and each once, and looked at again. The
//               P's own need no lock. At the first one that is another P's all are let go; it is made shared, outside
//               the gate, and everything begins anew.
//   3  wait     a Sudog for each case, in the items on the caller's stack; the locks are released by the commit.
//   4  resume   whoever claimed us (chan/hchan.h) took out one Sudog. The others come out one by one, each under its
//               channel's lock alone: select_done is set, so they can do no more than be taken out by somebody else.
//               If it was the deadline's timer (rt/sched/timed.h) that claimed us, all of them come out that way.
//
// Invariants: (1) select_done is 0 only from the lock of 2 until a claim: no Sudog of an earlier select is linked then.
//             (2) the commit reads the next item before it releases a lock. Its last release may let the goroutine
//             go on and the items vanish; not earlier, as step 4 needs every lock but the winner's.
//             (3) what is this P's own stays so until we leave the gate: it can only become kRevoking meanwhile,
//             and no thread takes that channel's lock before we left.
// Cost:      locked instructions when a case is ready: one, none if its channel is the P's own. When it blocks: one for
//            each shared channel, twice; and one for the claim, unless solo.
// Context:   [G or foreign thread, outside the gate].
//
// No TSA: select locks as many channels as it has cases, in a loop.
#include "chan/select_ops.h"

#include "chan/hchan.h"
#include "rt/base/choice.h"
#include "rt/host.h"
#include "rt/sched/timed.h"
#include "rt/time/clock.h"

namespace gort::detail {

using namespace rt;

// The same eight bytes; from a Selected itself GCC makes no tail call.
[[gnu::const, gnu::visibility("hidden")]] Selected return_by_jump(uint64_t value) GORT_RETURN_BY_JUMP;

namespace {

static_assert(sizeof(Sudog) <= sizeof(SelectItem::waiter) && alignof(Sudog) <= 8);

Sudog* waiter_of(SelectItem& it) { return std::launder(reinterpret_cast<Sudog*>(it.waiter)); }

// kN items in an array; 0: as many as it says, a stride apart.
template <uint32_t kN>
class Items {
public:
    Items(SelectItem* base, uint32_t n, size_t stride) : base_(base), n_(n), stride_(stride) {}
    uint32_t size() const { return kN ? kN : n_; }
    SelectItem& operator[](uint32_t i) const {
        if constexpr (kN) return base_[i];
        else return *reinterpret_cast<SelectItem*>(reinterpret_cast<char*>(base_) + i * stride_);
    }
    // The i-th in the random order.
    SelectItem& nth(uint32_t i) const { return (*this)[(*this)[i].poll]; }

private:
    SelectItem* base_;
    uint32_t n_;
    size_t stride_;
};

// A foreign thread has no P and so no generator of its own.
[[gnu::noinline]] kernel::Rand foreign_rand() {
    static constinit std::atomic<uint64_t> draws{0};
    const uint64_t draw = draws.fetch_add(1, std::memory_order_relaxed);
    return {sched.config.seed + draw * 0xd1342543de82ef95};
}

template <uint32_t kN>
[[gnu::always_inline]] inline void draw_order(M* mp, Items<kN> items) {
    kernel::Rand foreign;
    kernel::Rand* rand = &foreign;
    if (P* pp = p_of(mp)) [[likely]]
        rand = &pp->rand;
    else foreign = foreign_rand();
    if constexpr (kN == 1) {
        items[0].poll = 0;
    } else if constexpr (kN == 2) {
        const uint32_t first = choose(*rand, 2);
        items[0].poll = first;
        items[1].poll = first ^ 1;
    } else {
        for (uint32_t i = 0; i < items.size(); ++i) {  // inside out
            const uint32_t j = choose(*rand, i + 1);
            items[i].poll = items[j].poll;
            items[j].poll = i;
        }
    }
}

[[gnu::always_inline]] inline bool looks_ready(const SelectItem& it) {
    const Hchan* c = it.c;
    return !(it.sends ? looks_full(c) : looks_empty(c)) || is_closed(c);
}

enum class Tried : uint8_t { kNot, kDone, kClosed };

// Under the lock.
template <bool kWord>
[[gnu::always_inline]] inline Tried try_locked(SelectItem& it, G** woken) {
    Hchan* c = it.c;
    const size_t fill = c->fill.load(std::memory_order_relaxed);
    Payload payload{.word = it.word};
    if (it.sends) {
        if (Sudog* sg = take_waiter(c->recvq)) {
            elem_across<kWord>(c, &sg->payload, payload);
            sg->state = SudogState::kDone;
            *woken = sg->g;
            return Tried::kDone;
        }
        if (fill >= c->cap) return fill & kClosed ? Tried::kClosed : Tried::kNot;
        ring_put<kWord>(c, fill, payload);
        return Tried::kDone;
    }
    if (Sudog* sg = take_waiter(c->sendq)) {
        take_from_sender<kWord>(c, sg, &payload);
        *woken = sg->g;
    } else if (fill & ~kClosed) {
        ring_take<kWord>(c, fill, &payload);
    } else if (fill & kClosed) {
        if constexpr (kWord) it.word = 0;
        return Tried::kClosed;
    } else {
        return Tried::kNot;
    }
    if constexpr (kWord) it.word = payload.word;
    return Tried::kDone;
}
[[gnu::always_inline]] inline Tried try_locked(SelectItem& it, G** woken) {
    return it.is_word ? try_locked<true>(it, woken) : try_locked<false>(it, woken);
}

enum class How : uint8_t {
    kTry,
    kWait,
    kUntil
};  // kUntil: with a deadline, and a closed channel is no panic

// The end of a select that found a case ready. The locks are released.
template <How kHow>
[[gnu::always_inline]] inline Selected finish(M* mp, const SelectItem& it, uint32_t index, Tried tried,
                                              G* woken) {
    if (woken) ready(mp, woken);
    leave(mp);
    if (kHow != How::kUntil && tried == Tried::kClosed && it.sends) [[unlikely]]
        panic_closed();
    return {static_cast<int32_t>(index), tried == Tried::kDone};
}

// ---- all of them at once ----

SelectItem* merge(SelectItem* a, SelectItem* b) {
    SelectItem* first;
    SelectItem** link = &first;
    while (a && b) {
        SelectItem*& lower = b->c < a->c ? b : a;
        *link = lower;
        link = &lower->locked;
        lower = lower->locked;
    }
    *link = a ? a : b;
    return first;
}

// Links those that have a channel in the order of its address.
template <uint32_t kN>
SelectItem* sort_by_address(Items<kN> items) {
    SelectItem* runs[32] = {};  // the i-th is empty or has 2^i items
    for (uint32_t i = 0; i < items.size(); ++i) {
        SelectItem* run = &items[i];
        if (!run->c) continue;
        run->locked = nullptr;
        uint32_t k = 0;
        for (; runs[k]; ++k) {
            run = merge(runs[k], run);
            runs[k] = nullptr;
        }
        runs[k] = run;
    }
    SelectItem* all = nullptr;
    for (SelectItem* run : runs) all = merge(run, all);
    return all;
}
template <>
[[gnu::always_inline]] inline SelectItem* sort_by_address<2>(Items<2> items) {
    SelectItem *a = &items[0], *b = &items[1];
    if (!a->c || (b->c && b->c < a->c)) {
        SelectItem* other = a;
        a = b;
        b = other;
    }
    a->locked = b->c ? b : nullptr;
    b->locked = nullptr;
    return a->c ? a : nullptr;
}

struct Locked {
    M* mp;
    SelectItem* first;  // of the items whose channels' locks were taken, each channel once
};

void unlock_all(SelectItem* it) GORT_NO_TSA {
    while (it) {
        SelectItem* next = it->locked;  // before the unlock: invariant (2)
        it->c->lock.mutex.unlock();
        it = next;
    }
}

void unlock_all_commit(void* first, G*) { unlock_all(static_cast<SelectItem*>(first)); }

template <uint32_t kN>
[[gnu::always_inline]] inline Locked lock_all(M* mp, Items<kN> items) {
    Locked result{mp, nullptr};
    SelectItem** link = &result.first;
    const Hchan* last = nullptr;
    for (SelectItem *it = sort_by_address(items), *next; it; it = next) {
        next = it->locked;
        if (it->c == last) continue;
        last = it->c;
        const LockGot held = chan_lock_try(result.mp, it->c);
        if (held == LockGot::kMutex) [[likely]] {
            *link = it;
            link = &it->locked;
        } else if (held == LockGot::kNothing) [[unlikely]] {
            *link = nullptr;
            unlock_all(result.first);
            result = {chan_revoke_from_inside(result.mp, it->c, ChanUse::kSelect),
                      nullptr};  // so all over again
            link = &result.first;
            last = nullptr;
            next = sort_by_address(items);
        }
    }
    *link = nullptr;
    return result;
}

// ---- waiting ----

// The locks are taken, and nothing is ready: links a Sudog for each case. False if there is no channel.
template <uint32_t kN>
[[gnu::always_inline]] inline bool link_all(G* gp, Items<kN> items) {
    Sudog* head = nullptr;
    for (uint32_t i = 0; i < items.size(); ++i) {
        SelectItem& it = items.nth(i);  // by chance too, for a channel that is in several cases
        Hchan* c = it.c;
        if (!c) continue;
        head = new (it.waiter)
            Sudog{nullptr, nullptr, gp, {.word = it.word}, c, head, SudogState::kWaiting, true, it.sends};
        (it.sends ? c->sendq : c->recvq).push(head);
    }
    if (!head) [[unlikely]]
        return false;
    gp->waiting = head;
    gp->wake = nullptr;
    gp->select_done.store(0, std::memory_order_relaxed);
    return true;
}

template <uint32_t kN>
[[gnu::always_inline]] inline M* wait_on_all(M* mp, Items<kN> items, SelectItem* locked) {
    G* gp = mp->curg;
    if (!link_all(gp, items)) [[unlikely]] {
        leave(mp);
        block_for_ever(WaitReason::kSelect);
    }
    if (mp->foreign) [[unlikely]]
        return park(mp, unlock_all_commit, locked, WaitReason::kSelect);
    return park_goroutine(mp, gp, locked ? unlock_all_commit : nullptr, locked, WaitReason::kSelect);
}

template <uint32_t kN>
WaitReason reason_of(Items<kN> items) {
    if (items.size() == 0) return WaitReason::kSelectNoCases;
    if (items.size() > 1) return WaitReason::kSelect;
    const bool nil = !items[0].c;
    if (items[0].sends) return nil ? WaitReason::kChanSendNil : WaitReason::kChanSend;
    return nil ? WaitReason::kChanReceiveNil : WaitReason::kChanReceive;
}

// Without a deadline this is wait_on_all, with another reason.
template <uint32_t kN>
M* wait_on_all_until(M* mp, Items<kN> items, SelectItem* locked, int64_t deadline) {
    const WaitReason why = reason_of(items);
    G* gp = mp->curg;
    const bool any = link_all(gp, items);
    if (deadline == kForever) {
        if (!any) {
            leave(mp);
            block_for_ever(why);
        }
        return park(mp, locked ? unlock_all_commit : nullptr, locked, why);
    }
    if (!any) {
        gp->waiting = nullptr;
        gp->wake = nullptr;
        gp->select_done.store(0, std::memory_order_relaxed);
    }
    TimedWait w{.deadline = deadline,
                .give_up = [](M*, TimedWait* t) { return claim(t->gp); },
                .object = nullptr,
                .commit = locked ? unlock_all_commit : nullptr,
                .commit_arg = locked};
    return park_until(mp, w, why);
}

// Somebody claimed us; if it was the deadline, there is no winner.
template <uint32_t kN, How kHow>
[[gnu::always_inline]] inline Selected resume(M* mp, Items<kN> items) {
    G* gp = mp->curg;
    const auto* winner = static_cast<const Sudog*>(gp->wake);
    uint32_t index = 0;
    for (uint32_t i = 0; i < items.size(); ++i) {
        SelectItem& it = items[i];
        Hchan* c = it.c;
        if (!c) continue;
        Sudog* sg = waiter_of(it);
        if (sg == winner) {
            index = i;
            continue;
        }
        mp = chan_lock(mp, c, ChanUse::kSelect);
        if (sg->state == SudogState::kWaiting) {
            sg->state = SudogState::kLost;
            (it.sends ? c->sendq : c->recvq).remove(sg);
        }
        chan_unlock(c);
    }
    gp->waiting = nullptr;
    leave(mp);
    if (kHow == How::kUntil && !winner) return {-1, false};
    SelectItem& it = items[index];
    const bool ok = winner->state == SudogState::kDone;
    if (kHow != How::kUntil && !ok && it.sends) [[unlikely]]
        panic_closed();
    if (it.is_word) it.word = winner->payload.word;
    return {static_cast<int32_t>(index), ok};
}

// ---- select ----

uint64_t as_word(Selected r) { return static_cast<uint32_t>(r.index) | uint64_t{r.ok} << 32; }

// *in_step becomes false when an ordinary return would be predicted wrong: returns_in_step.
template <uint32_t kN, How kHow>
[[gnu::always_inline]] inline Selected run(Items<kN> items, bool* in_step, int64_t deadline = kForever) {
    const bool blocks = kHow == How::kWait || (kHow == How::kUntil && deadline != kPassed);
    M* mp = enter();
    draw_order(mp, items);
    bool mine = true;  // all of them
    uint32_t live = 0;
    for (uint32_t i = 0; i < items.size(); ++i) {
        SelectItem& it = items.nth(i);
        Hchan* c = it.c;
        if (!c) continue;
        ++live;
        mine &= c->lock.owner.whose.load(std::memory_order_relaxed) == place_of(mp);
        if (!looks_ready(it)) continue;
        mp = chan_lock(mp, c, ChanUse::kSelect);
        G* woken = nullptr;
        const Tried tried = try_locked(it, &woken);
        chan_unlock(c);
        if (tried != Tried::kNot) return finish<kHow>(mp, it, items[i].poll, tried, woken);
    }
    SelectItem* locked = nullptr;
    if (!mine) {
        if (!blocks && live < 2) {  // one look is one instant
            leave(mp);
            return {-1, false};
        }
        const Locked all = lock_all(mp, items);
        mp = all.mp;
        locked = all.first;
        for (uint32_t i = 0; i < items.size(); ++i) {
            SelectItem& it = items.nth(i);
            if (!it.c) continue;
            G* woken = nullptr;
            const Tried tried = try_locked(it, &woken);
            if (tried == Tried::kNot) continue;
            const uint32_t index = items[i].poll;
            unlock_all(locked);
            return finish<kHow>(mp, it, index, tried, woken);
        }
    }
    if (!blocks || (kHow == How::kUntil && deadline != kForever && deadline <= now())) {
        unlock_all(locked);
        leave(mp);
        return {-1, false};
    }
    mark_return(mp);
    if constexpr (kHow == How::kUntil) mp = wait_on_all_until(mp, items, locked, deadline);
    else mp = wait_on_all(mp, items, locked);
    *in_step = returns_in_step(mp);
    return resume<kN, kHow>(mp, items);
}

}  // namespace

Selected select_wait(SelectItem* items, uint32_t n, size_t stride) {
    bool in_step = true;
    const Selected r = run<0, How::kWait>({items, n, stride}, &in_step);
    return in_step ? r : return_by_jump(as_word(r));
}
Selected select_wait2(SelectItem* items) {
    bool in_step = true;
    const Selected r = run<2, How::kWait>({items, 2, sizeof(SelectItem)}, &in_step);
    return in_step ? r : return_by_jump(as_word(r));
}
Selected select_try(SelectItem* items, uint32_t n, size_t stride) {
    bool in_step = true;
    return run<0, How::kTry>({items, n, stride}, &in_step);
}
Selected select_try2(SelectItem* items) {
    bool in_step = true;
    return run<2, How::kTry>({items, 2, sizeof(SelectItem)}, &in_step);
}
Selected select_until(SelectItem* items, uint32_t n, size_t stride, int64_t deadline) {
    bool in_step = true;
    const Selected r = run<0, How::kUntil>({items, n, stride}, &in_step, deadline);
    return in_step ? r : return_by_jump(as_word(r));
}
Selected select_until1(SelectItem* item, int64_t deadline) {
    bool in_step = true;
    const Selected r = run<1, How::kUntil>({item, 1, sizeof(SelectItem)}, &in_step, deadline);
    return in_step ? r : return_by_jump(as_word(r));
}

void select_for_ever() { block_for_ever(WaitReason::kSelectNoCases); }
void select_two_otherwise() { host_throw_runtime_error("select: more than one otherwise"); }

}  // namespace gort::detail
