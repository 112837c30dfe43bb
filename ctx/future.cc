// ctx/future.cc - what futures of every type share: becoming ready, the channel for select, the errors.
// SPDX-License-Identifier: BSD-2-Clause
//
// publish stores `ready` and then looks for a channel to close; done_chan stores its channel and then looks at `ready`.
// Both are sequentially consistent, so one of the two sees the other, or both do: `closed` says who closes.
#include "ctx/future.h"

namespace gort::detail {

namespace {

void close_done(FutureState* s, Hchan* c) {
    if (!s->closed.exchange(true, std::memory_order_acq_rel)) chan_close(c);
}

}  // namespace

FutureState::~FutureState() {
    if (Hchan* c = done.load(std::memory_order_relaxed)) chan_release(c);
}

void FutureState::publish() noexcept {
    ready.store(1, std::memory_order_seq_cst);
    word_wake_all(&ready);
    if (Hchan* c = done.load(std::memory_order_seq_cst)) close_done(this, c);
}

recv_chan<unit> FutureState::done_chan() {
    Hchan* c = done.load(std::memory_order_acquire);
    if (!c) {
        const chan<unit> made = make_chan<unit>();
        Hchan* const mine = Access::get(made);
        if (done.compare_exchange_strong(c, mine, std::memory_order_seq_cst)) {
            c = mine;
            chan_retain(c);
        }
        if (ready.load(std::memory_order_seq_cst)) close_done(this, c);
    }
    chan_retain(c);
    return Access::wrap<recv_chan<unit>>(c);
}

void FutureState::satisfy() {
    if (satisfied.exchange(true, std::memory_order_acq_rel))
        throw_future_error(std::future_errc::promise_already_satisfied);
}

void FutureState::break_promise() noexcept {
    if (satisfied.exchange(true, std::memory_order_acq_rel)) return;
    failed = broken_promise();
    publish();
}

void release(FutureState* s) noexcept {
    if (s->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) s->destroy(s);
}

void throw_future_error(std::future_errc code) { throw std::future_error(code); }

std::exception_ptr broken_promise() {
    return std::make_exception_ptr(std::future_error(std::future_errc::broken_promise));
}

}  // namespace gort::detail
