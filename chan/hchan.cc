// chan/hchan.cc - send, receive, close, their non-blocking forms, and what the end of a run does to waiters.
// SPDX-License-Identifier: BSD-2-Clause
//
// Each operation is one call from the user's code: inside the gate, a look at the other side's queue, at the ring,
// and out again. What blocks goes on in a function of its own, so that the others save no registers. Returning from
// that one is the dear part: after a switch the CPU predicts the return address of the goroutine that was left.
#include "chan/hchan.h"

#include <type_traits>

#include "rt/base/sim_seam.h"
#include "rt/host.h"
#include "rt/own/gate_fast.h"

namespace gort::detail {

using namespace rt;

[[gnu::const, gnu::visibility("hidden")]] WordResult return_by_jump(WordResult value) GORT_RETURN_BY_JUMP;

namespace {

// The other side has what it waited for. Touches the channel for the last time.
[[gnu::always_inline]] inline void finish(M* mp, Hchan* c, G* woken) {
    chan_unlock(c);
    ready(mp, woken);
    leave(mp);
}

[[gnu::noinline, gnu::cold, noreturn]] void send_on_closed(M* mp, Hchan* c) {
    chan_unlock(c);
    leave(mp);
    panic_closed();
}

// ---- what blocks ----

// With the lock held, which whoever runs next releases. Returns outside the gate, when somebody has taken sg out.
[[gnu::always_inline]] inline M* wait_in(WaitQueue& queue, M* mp, Sudog& sg, WaitReason why) {
    auto* c = static_cast<Hchan*>(sg.object);
    sg.g->waiting = &sg;
    queue.push(&sg);
    mark_return(mp);
    mp = park_on(mp, c, why);
    sg.g->waiting = nullptr;
    leave(mp);
    return mp;
}

}  // namespace

// Not in the anonymous namespace: there GCC would find that nobody needs its result and drop the return by jump.
bool send_blocks(M* mp, Hchan* c, Payload from);
[[gnu::noinline]] bool send_blocks(M* mp, Hchan* c, Payload from) {
    if (c->fill.load(std::memory_order_relaxed) & kClosed) [[unlikely]]
        send_on_closed(mp, c);
    Sudog sg{nullptr, nullptr, mp->curg, from, c, nullptr, SudogState::kWaiting, false, true};
    mp = wait_in(c->sendq, mp, sg, WaitReason::kChanSend);
    if (sg.state == SudogState::kClosed) [[unlikely]]
        panic_closed();
    return returns_in_step(mp) ? true : arch::return_by_jump(true);
}

namespace {

// `to` says where what comes goes, unless it is a word.
template <bool kWord, class R = std::conditional_t<kWord, WordResult, bool>>
[[gnu::noinline]] R recv_blocks(M* mp, Hchan* c, Payload to) {
    const auto result = [](Payload got, bool ok) -> R {
        if constexpr (kWord) return {got.word, ok};
        else return ok;
    };
    if (c->fill.load(std::memory_order_relaxed) & kClosed) [[unlikely]] {
        chan_unlock(c);
        leave(mp);
        return result({.word = 0}, false);
    }
    Sudog sg{nullptr, nullptr, mp->curg, to, c, nullptr, SudogState::kWaiting, false, false};
    mp = wait_in(c->recvq, mp, sg, WaitReason::kChanReceive);
    using arch::return_by_jump;
    const R got = result(sg.payload, sg.state == SudogState::kDone);
    return returns_in_step(mp) ? got : return_by_jump(got);
}

// ---- what does not, if it can be helped ----

// Inside at once with a channel of this P's own: what most calls are, and it needs neither a frame nor a call. Else
// null, and enter() is still to be called.
[[gnu::always_inline]] inline M* enter_mine(const Hchan* c) {
    M* mp = self();
    if (!mp) [[unlikely]]
        return nullptr;
    const uint32_t place = gate_step_in(mp);  // 0, shut, is no channel's owner
    return c->lock.owner.whose.load(std::memory_order_relaxed) == place ? mp : nullptr;
}

// True if it is done. Else the lock is held and *mpp is where to go on.
template <bool kWord>
[[gnu::always_inline]] inline bool send_locked(M* mp, Hchan* c, Payload from) {
    if (Sudog* sg = take_waiter(c->recvq)) {
        elem_across<kWord>(c, &sg->payload, from);
        sg->state = SudogState::kDone;
        finish(mp, c, sg->g);
        return true;
    }
    const size_t fill = c->fill.load(std::memory_order_relaxed);
    if (fill < c->cap) {
        ring_put<kWord>(c, fill, from);
        chan_unlock(c);
        leave(mp);
        return true;
    }
    return false;
}
template <bool kWord>
[[gnu::always_inline]] inline bool send_now(M** mpp, Hchan* c, Payload from) {
    *mpp = chan_lock(enter(), c, ChanUse::kSend);
    return send_locked<kWord>(*mpp, c, from);
}

template <bool kWord>
[[gnu::always_inline]] inline bool recv_locked(M* mp, Hchan* c, Payload* to) {
    if (Sudog* sg = take_waiter(c->sendq)) {
        take_from_sender<kWord>(c, sg, to);
        finish(mp, c, sg->g);
        return true;
    }
    const size_t fill = c->fill.load(std::memory_order_relaxed);
    if (fill & ~kClosed) {
        ring_take<kWord>(c, fill, to);
        chan_unlock(c);
        leave(mp);
        return true;
    }
    return false;
}
template <bool kWord>
[[gnu::always_inline]] inline bool recv_now(M** mpp, Hchan* c, Payload* to) {
    *mpp = chan_lock(enter(), c, ChanUse::kReceive);
    return recv_locked<kWord>(*mpp, c, to);
}

template <bool kWord>
[[gnu::always_inline]] inline bool try_send(Hchan* c, Payload from) {
    if (!c) return false;
    // Full and open at one instant: without a buffer closed is for ever, so that it is open afterwards says that it
    // was.
    const bool nobody = !c->recvq.first.load(std::memory_order_acquire);                         // W1
    if (nobody && c->fill.load(std::memory_order_acquire) == c->cap && !strays()) return false;  // H1
    M* mp;
    if (send_now<kWord>(&mp, c, from)) return true;
    if (c->fill.load(std::memory_order_relaxed) & kClosed) [[unlikely]]
        send_on_closed(mp, c);
    chan_unlock(c);
    leave(mp);
    return false;
}

template <bool kWord>
[[gnu::always_inline]] inline TryResult try_recv(Hchan* c, Payload* to) {
    if (!c) return TryResult::kEmpty;
    // Empty and open at one instant: the same. Closed and empty it stays so.
    const bool nobody = !c->sendq.first.load(std::memory_order_acquire);  // W1
    const size_t fill = c->fill.load(std::memory_order_acquire);          // H1
    if (fill == 0) {
        if (nobody && !strays()) return TryResult::kEmpty;
    } else if (fill == kClosed) {
        return TryResult::kClosed;
    }
    M* mp;
    if (recv_now<kWord>(&mp, c, to)) return TryResult::kOk;
    const bool closed = c->fill.load(std::memory_order_relaxed) & kClosed;
    chan_unlock(c);
    leave(mp);
    return closed ? TryResult::kClosed : TryResult::kEmpty;
}

}  // namespace

// No TSA: the side that was left has locked it.
void unlock_commit(void* c, G*) GORT_NO_TSA { static_cast<Hchan*>(c)->lock.mutex.unlock(); }

void panic_closed() { host_throw_runtime_error("send on closed channel"); }

void block_for_ever(WaitReason why) {
    M* mp = enter();
    for (;;) mp = park(mp, nullptr, nullptr, why);
}

// The rest of a send of a word, with the lock.
[[gnu::always_inline]] static inline void send_word_rest(M* mp, Hchan* c, uint64_t word) {
    if (send_locked<true>(mp, c, {.word = word})) return;
    send_blocks(mp, c, {.word = word});
}
[[gnu::noinline]] static void send_word_mine(M* mp, Hchan* c, uint64_t word) { send_word_rest(mp, c, word); }
[[gnu::noinline]] static void send_word_shared(Hchan* c, uint64_t word) {
    if (!c) [[unlikely]]
        block_for_ever(WaitReason::kChanSendNil);
    send_word_rest(chan_lock(enter(), c, ChanUse::kSend), c, word);
}

void chan_send_word(Hchan* c, uint64_t word) {
    M* mp = c ? enter_mine(c) : nullptr;
    if (!mp) return send_word_shared(c, word);
    const size_t fill = c->fill.load(std::memory_order_relaxed);
    if (!c->recvq.empty()) return send_word_mine(mp, c, word);
    if (fill < c->cap) {
        ring_put<true>(c, fill, {.word = word});
        return leave(mp);
    }
    send_blocks(mp, c, {.word = word});
}

void chan_send(Hchan* c, void* from) {
    if (!c) [[unlikely]]
        block_for_ever(WaitReason::kChanSendNil);
    M* mp;
    if (!send_now<false>(&mp, c, {.at = from})) send_blocks(mp, c, {.at = from});
}

[[gnu::always_inline]] static inline WordResult recv_word_rest(M* mp, Hchan* c) {
    Payload to{.word = 0};
    if (recv_locked<true>(mp, c, &to)) return {to.word, true};
    return recv_blocks<true>(mp, c, {.word = 0});
}
[[gnu::noinline]] static WordResult recv_word_mine(M* mp, Hchan* c) { return recv_word_rest(mp, c); }
[[gnu::noinline]] static WordResult recv_word_shared(Hchan* c) {
    if (!c) [[unlikely]]
        block_for_ever(WaitReason::kChanReceiveNil);
    return recv_word_rest(chan_lock(enter(), c, ChanUse::kReceive), c);
}

WordResult chan_recv_word(Hchan* c) {
    M* mp = c ? enter_mine(c) : nullptr;
    if (!mp) return recv_word_shared(c);
    const size_t fill = c->fill.load(std::memory_order_relaxed);
    if (!c->sendq.empty()) return recv_word_mine(mp, c);
    if (fill & ~kClosed) {
        Payload to;
        ring_take<true>(c, fill, &to);
        leave(mp);
        return {to.word, true};
    }
    return recv_blocks<true>(mp, c, {.word = 0});
}

bool chan_recv(Hchan* c, void* to) {
    if (!c) [[unlikely]]
        block_for_ever(WaitReason::kChanReceiveNil);
    M* mp;
    Payload place{.at = to};
    return recv_now<false>(&mp, c, &place) || recv_blocks<false>(mp, c, place);
}

template <bool kWord>
[[gnu::always_inline]] static inline bool send_at_once(Hchan* c, Payload from) {
    M* mp = enter_mine(c);
    if (!mp) mp = chan_lock(enter(), c, ChanUse::kSend);
    if (send_locked<kWord>(mp, c, from)) return true;
    chan_unlock(c);
    leave(mp);
    return false;
}
bool chan_send_word_at_once(Hchan* c, uint64_t word) { return send_at_once<true>(c, {.word = word}); }
bool chan_send_at_once(Hchan* c, void* from) { return send_at_once<false>(c, {.at = from}); }

bool chan_try_send_word(Hchan* c, uint64_t word) { return try_send<true>(c, {.word = word}); }
bool chan_try_send(Hchan* c, void* from) { return try_send<false>(c, {.at = from}); }

WordTry chan_try_recv_word(Hchan* c) {
    Payload to{.word = 0};
    const TryResult result = try_recv<true>(c, &to);
    return {to.word, result};
}

TryResult chan_try_recv(Hchan* c, void* to) {
    Payload place{.at = to};
    return try_recv<false>(c, &place);
}

void chan_close(Hchan* c) {
    if (!c) host_throw_runtime_error("close of nil channel");
    if (!chan_try_close(c)) host_throw_runtime_error("close of closed channel");
}

bool chan_try_close(Hchan* c) {
    M* mp = chan_lock(enter(), c, ChanUse::kClose);
    const size_t fill = c->fill.load(std::memory_order_relaxed);
    if (fill & kClosed) {
        chan_unlock(c);
        leave(mp);
        return false;
    }
    c->fill.store(fill | kClosed, std::memory_order_release);  // H1
    // All are taken out before the first of them can run. One queue is empty, unless selects wait in both.
    GList woken;
    WalkAhead ahead;
    for (WaitQueue* q : {&c->recvq, &c->sendq})
        while (Sudog* sg = take_waiter(*q)) {
            ahead.at(sg);
            sg->state = SudogState::kClosed;
            woken.push(sg->g);  // their Gs lie closer together than their stacks
        }
    chan_unlock(c);
    if (is_sim_place(place_of(mp)) && woken.count == 0) [[unlikely]]
        simulation()->after(mp);
    while (G* gp = woken.pop()) ready(mp, gp);
    leave(mp);
    return true;
}

size_t chan_len(const Hchan* c) {
    if (strays()) check_in();
    return c && !c->ops->hidden ? c->fill.load(std::memory_order_acquire) & ~kClosed : 0;  // H1
}
size_t chan_cap(const Hchan* c) { return c && !c->ops->hidden ? c->cap : 0; }

void chan_size_out_of_range() { host_throw_runtime_error("makechan: size out of range"); }

// [the run has ended; nobody holds a P] gp will never run again and its stack goes away: nobody may find it waiting.
void abandon_sudogs(G* gp) {
    for (Sudog* sg = gp->waiting; sg; sg = sg->also) {
        if (sg->state != SudogState::kWaiting) continue;
        auto* c = static_cast<Hchan*>(sg->object);
        chan_revoke_at_end(c);
        c->lock.mutex.lock();
        (sg->sends ? c->sendq : c->recvq).remove(sg);
        c->lock.mutex.unlock();
    }
    gp->waiting = nullptr;
}

// [a foreign thread's own, which still waits] False: somebody was first, and is about to wake it.
bool give_up_sudogs(M* mp, G* gp) {
    Sudog* sg = gp->waiting;
    if (sg->select && !claim(gp)) return false;
    bool out = sg->select;
    for (; sg; sg = sg->also) {
        auto* c = static_cast<Hchan*>(sg->object);
        mp = chan_lock(mp, c, ChanUse::kSelect);
        if (sg->state == SudogState::kWaiting) {
            (sg->sends ? c->sendq : c->recvq).remove(sg);
            sg->state = SudogState::kLost;
            out = true;
        }
        chan_unlock(c);
    }
    return out;
}

}  // namespace gort::detail
