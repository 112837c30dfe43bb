// tests/chan_tools.h - what the tests of channels, select and time share: a runtime around a body, a look at who waits.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <algorithm>
#include <string>
#include <utility>

#include "chan/hchan.h"
#include "chan/select.h"
#include "rt/go.h"
#include "rt/panic.h"
#include "rt/sched/sched.h"
#include "tests/test.h"

#if defined(__SANITIZE_ADDRESS__) || GORT_TEST_FEATURE(address_sanitizer)
extern "C" int __lsan_is_turned_off();
#endif

namespace chan_tools {

// what a test of channels says all the time: `using namespace chan_tools` is enough
using gort::chan;
using gort::go;
using gort::make_chan;
using gort::on_recv;
using gort::on_send;
using gort::otherwise;
using gort::recv_chan;
using gort::recv_result;
using gort::select;
using gort::select_any;
using gort::select_case;
using gort::send_chan;
using gort::unit;

inline const bool yields = gort::test::yield_with(gort::yield);

// A goroutine that main leaves behind keeps its handles and whatever else it owns for ever, as in Go: what such a test
// allocates is not counted.
inline long g_abandoned = 0;
inline bool g_left_some = false;
inline const bool chans_in_ledger =
    (gort::test::ledger_add("channels", [] { return gort::detail::live_chans() - g_abandoned; }), true);

// Lets those who can go on come to their end. False if some are left: waiting, or at it for too long.
inline bool settle() {
    struct Count {
        int all, busy;
    };
    const int64_t end = gort::test::now_ms() + 300 * gort::test::slow();
    for (;;) {
        Count n{};
        gort::rt::for_each_g(
            [](gort::rt::G* gp, void* count) {
                ++static_cast<Count*>(count)->all;
                static_cast<Count*>(count)->busy += gp->status.load() != gort::rt::GStatus::kWaiting;
            },
            &n);
        if (n.all <= 1) return true;
        if (n.busy <= 1 || gort::test::now_ms() > end) return false;
        gort::yield();
    }
}

template <class F>
int run(int procs, F&& body) {
    gort::options o;
    o.max_procs = procs;
    o.seed = gort::test::seed() | 1;
#if GORT_ASAN && defined(__clang__)
    o.stack_size = size_t{1} << 20;  // its frames are many times as large
#endif
    const long before = gort::detail::live_chans();
    bool settled = false;
    const int status = gort::run(
        [&] {
            body();
            settled = settle();
        },
        o);
    g_left_some |= !settled;
    if (const long more = gort::detail::live_chans() - before; !settled && more > 0) g_abandoned += more;
    return status;
}

enum class Side { kReceivers, kSenders };

// How many wait there now, claimed ones included.
template <class C>
size_t waiting(const C& ch, Side side) {
    using namespace gort;
    auto* c = detail::Access::get(ch);
    rt::M* mp = detail::chan_lock(rt::enter(), c, detail::ChanUse::kSend);
    size_t n = 0;
    for (auto* sg = (side == Side::kSenders ? c->sendq : c->recvq).first.load(); sg; sg = sg->next) ++n;
    detail::chan_unlock(c);
    rt::leave(mp);
    return n;
}
template <class C>
void wait_for(const C& ch, Side side, size_t n) {
    EVENTUALLY(waiting(ch, side) == n);
}

// What f panics with; "" if it does not.
template <class F>
std::string panic_of(F&& f) {
    try {
        std::forward<F>(f)();
    } catch (const gort::runtime_error& e) {
        return e.what();
    }
    return "";
}

// So many rounds, fewer where each takes long.
inline int scaled(int n) { return std::max(1, n / (GORT_TEST_SANITIZER ? 20 : 1)); }

// Joins goroutines: each says done(), wait(n) returns after n of them.
class Join {
public:
    void done() const { c_ << gort::unit{}; }
    void wait(int n) const {
        while (n-- > 0) c_.recv();
    }

private:
    gort::chan<gort::unit> c_ = gort::make_chan<gort::unit>();
};

// Starts f as a goroutine that says so when it is through.
template <class F>
void go_join(const Join& join, F f) {
    gort::go([join, f = std::move(f)]() mutable {
        f();
        join.done();
    });
}

}  // namespace chan_tools

#if defined(__SANITIZE_ADDRESS__) || GORT_TEST_FEATURE(address_sanitizer)
inline bool lsan_is_off() { return chan_tools::g_abandoned != 0 || chan_tools::g_left_some; }
extern "C" [[gnu::weak, gnu::visibility("default")]] int __lsan_is_turned_off() { return lsan_is_off(); }
#endif
