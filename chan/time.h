// PUBLIC
// chan/time.h - what of time hands out channels or starts goroutines: after, timer, ticker, tick, after_func.
// SPDX-License-Identifier: BSD-2-Clause
//
// The clock is std::chrono::steady_clock: what is received is the instant of firing, in that clock's time_point. Any
// chrono duration is accepted; a fraction of a nanosecond is rounded up, and one whose end cannot be counted never
// ends. timer and ticker are counted handles: copies denote the same timer. The last handle of a timer or ticker,
// its channel's included, stops it; what after_func started runs without a handle, too.
// Go 1.23's rules: a timer's channel looks unbuffered (len and cap are 0); once stop or reset has returned nothing is
// received that belongs to the setting before; a value that has not been received yet counts as pending.
// The end of a run forgets timers that are pending then, as it abandons goroutines.
// Where all goroutines are blocked, a pending timer or ticker on whose channel none of them waits does not keep that
// from being a deadlock; one that a goroutine waits for, a sleep, after_func and a context's deadline do.
//
// Panics: "non-positive interval for NewTicker", "non-positive interval for Ticker.Reset", and "time: … called on
//         uninitialized …" for a handle that is default-constructed or was moved from; where no runtime is up.
// Context: any goroutine and any other thread while the runtime is up; nothing here blocks. Not in a signal handler.
// Memory order: starting or resetting a timer happens before what it sends is received, or its function runs.
// Source: Go's package time (1.23): After, AfterFunc, NewTimer, NewTicker, Tick.
#pragma once

#include "../rt/config.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "../rt/go.h"
#include "../rt/time.h"
#include "chan.h"

namespace gort {

namespace detail {

// ns > 0: a timer's channel; every `period` again if that is not 0.
Hchan* time_chan(int64_t ns, int64_t period);
bool time_chan_stop(Hchan* c);
bool time_chan_reset(Hchan* c, int64_t ns, int64_t period);

// A function that a timer calls in a goroutine of its own. One reference for the handles, one for each setting.
struct FuncTimer {
    alignas(8) unsigned char timer[64];  // chan/time.cc's
    std::atomic<uint32_t> refs{1};
    std::atomic<uint64_t> epoch{0};  // the run that the setting that is pending belongs to
    Site site;
    Invoke invoke = nullptr;  // a goroutine's: its storage holds the FuncTimer
    void (*destroy)(FuncTimer* t) noexcept = nullptr;
};
void func_timer_start(FuncTimer* t, int64_t ns);
bool func_timer_stop(FuncTimer* t);
bool func_timer_reset(FuncTimer* t, int64_t ns);
inline void func_timer_retain(FuncTimer* t) { t->refs.fetch_add(1, std::memory_order_relaxed); }
inline void func_timer_release(FuncTimer* t) {
    if (t->refs.load(std::memory_order_acquire) == 1 || t->refs.fetch_sub(1, std::memory_order_acq_rel) == 1)
        t->destroy(t);
}

template <class F>
struct FuncTimerOf : FuncTimer {
    explicit FuncTimerOf(F&& g) : f(std::move(g)) {}
    explicit FuncTimerOf(const F& g) : f(g) {}
    F f;
};

class FuncTimerHandle {
public:
    constexpr FuncTimerHandle() noexcept = default;
    explicit FuncTimerHandle(FuncTimer* owned) noexcept : t_(owned) {}
    FuncTimerHandle(const FuncTimerHandle& o) noexcept : t_(o.t_) {
        if (t_) func_timer_retain(t_);
    }
    FuncTimerHandle(FuncTimerHandle&& o) noexcept : t_(std::exchange(o.t_, nullptr)) {}
    FuncTimerHandle& operator=(FuncTimerHandle o) noexcept {
        std::swap(t_, o.t_);
        return *this;
    }
    ~FuncTimerHandle() {
        if (t_) func_timer_release(t_);
    }
    FuncTimer* get() const noexcept { return t_; }

private:
    FuncTimer* t_ = nullptr;
};

struct FuncTimerAccess;

[[noreturn]] void time_panic(const char* text);

inline int64_t ns_until(int64_t deadline) {
    const int64_t now = clock_ns();
    return deadline <= now ? 0 : deadline == INT64_MAX ? deadline : deadline - now;
}

inline recv_chan<time_point> time_chan_handle(int64_t ns, int64_t period) {
    return Access::wrap<recv_chan<time_point>>(time_chan(ns, period));
}

}  // namespace detail

// One event: a value on a channel (timer t{d}), or a call of a function (after_func).
class timer {
public:
    timer() = default;  // Go's zero Timer: stop and reset panic
    // Sends the time on c() once d has passed. d <= 0: at once.
    template <class Rep, class Period>
    explicit timer(std::chrono::duration<Rep, Period> d)
        : c_(detail::time_chan_handle(detail::to_ns(d), 0)) {}

    // The channel that the time comes on; nil for a timer of after_func. stop and reset do not close it.
    const recv_chan<time_point>& c() const& noexcept { return c_; }
    recv_chan<time_point> c() && noexcept { return std::move(c_); }

    // True if this call stopped it: nothing will be received, the function will not run. False if it has been stopped
    // before, its value has been received, or the function has been started; that one is not waited for.
    bool stop() const {
        if (auto* t = f_.get()) return detail::func_timer_stop(t);
        auto* c = detail::Access::get(c_);
        if (!c) [[unlikely]]
            detail::time_panic("time: Stop called on uninitialized Timer");
        return detail::time_chan_stop(c);
    }

    // Fires d from now, instead of or after what was set before. The result is stop's. Runs of a function may overlap.
    template <class Rep, class Period>
    bool reset(std::chrono::duration<Rep, Period> d) const {
        if (auto* t = f_.get()) return detail::func_timer_reset(t, detail::to_ns(d));
        auto* c = detail::Access::get(c_);
        if (!c) [[unlikely]]
            detail::time_panic("time: Reset called on uninitialized Timer");
        return detail::time_chan_reset(c, detail::to_ns(d), 0);
    }

private:
    friend struct detail::FuncTimerAccess;
    recv_chan<time_point> c_;
    detail::FuncTimerHandle f_;
};

namespace detail {
struct FuncTimerAccess {
    static timer wrap(FuncTimer* owned) {
        timer t;
        t.f_ = FuncTimerHandle(owned);
        return t;
    }
};
}  // namespace detail

// Sends the time every d. A receiver that is slow finds one tick waiting and has lost the others; ticks keep to the
// schedule of the first.
//
//      gort::ticker every(1s);
//      for (auto t : every.c()) report(t);
class ticker {
public:
    ticker() = default;  // Go's zero Ticker: reset panics, stop does nothing
    template <class Rep, class Period>
    explicit ticker(std::chrono::duration<Rep, Period> d) {
        const int64_t ns = detail::to_ns(d);
        if (ns == 0) detail::time_panic("non-positive interval for NewTicker");
        c_ = detail::time_chan_handle(ns, ns);
    }

    // The channel that the ticks come on.
    const recv_chan<time_point>& c() const& noexcept { return c_; }
    recv_chan<time_point> c() && noexcept { return std::move(c_); }

    // Ends the ticks. c() is not closed, so a receiver blocks.
    void stop() const {
        if (auto* c = detail::Access::get(c_)) detail::time_chan_stop(c);
    }

    // Makes it tick every d from now on, the first time d from now; also after stop.
    template <class Rep, class Period>
    void reset(std::chrono::duration<Rep, Period> d) const {
        const int64_t ns = detail::to_ns(d);
        if (ns == 0) detail::time_panic("non-positive interval for Ticker.Reset");
        auto* c = detail::Access::get(c_);
        if (!c) [[unlikely]]
            detail::time_panic("time: Reset called on uninitialized Ticker");
        detail::time_chan_reset(c, ns, ns);
    }

private:
    recv_chan<time_point> c_;
};

// A channel on which the time comes once d has passed, for select. There is no handle to stop it; it goes with its
// channel.
//
//      gort::select(gort::on_recv(reply, r), gort::on_recv(gort::after(2s)));
template <class Rep, class Period>
recv_chan<time_point> after(std::chrono::duration<Rep, Period> d) {
    return detail::time_chan_handle(detail::to_ns(d), 0);
}
// The same at an instant (rt/time.h, DEADLINES): at once if that has come.
template <class Clock, class D>
recv_chan<time_point> after(const std::chrono::time_point<Clock, D>& t) {
    return detail::time_chan_handle(detail::ns_until(detail::deadline_at(t)), 0);
}

// A channel on which the time comes every d, until its last handle goes; nil if d <= 0.
template <class Rep, class Period>
recv_chan<time_point> tick(std::chrono::duration<Rep, Period> d) {
    const int64_t ns = detail::to_ns(d);
    return ns ? detail::time_chan_handle(ns, ns) : recv_chan<time_point>();
}

// Calls f() in a goroutine of its own once d has passed; the result can stop it. f is kept by value and called as
// an lvalue, once for each setting that fires; it is destroyed when it will not run (again) and no handle is left.
// A null function: panic.
template <class Rep, class Period, class F>
timer after_func(std::chrono::duration<Rep, Period> d, F&& f, Site site = Site::here()) {
    using D = std::decay_t<F>;
    static_assert(std::is_invocable_v<D&>,
                  "gort::after_func: the function must be callable without arguments");
    if constexpr (detail::is_nullable<D> && !std::is_function_v<std::remove_reference_t<F>>)
        if (f == nullptr) [[unlikely]]
            detail::time_panic("time: AfterFunc of a nil function");
    auto* t = new detail::FuncTimerOf<D>(std::forward<F>(f));
    t->site = site;
    t->invoke = [](void* storage) {
        struct Guard {
            detail::FuncTimer* t;
            ~Guard() { detail::func_timer_release(t); }
        } guard{*static_cast<detail::FuncTimer**>(storage)};
        static_cast<void>(static_cast<detail::FuncTimerOf<D>*>(guard.t)->f());
    };
    t->destroy = [](detail::FuncTimer* p) noexcept { delete static_cast<detail::FuncTimerOf<D>*>(p); };
    timer handle = detail::FuncTimerAccess::wrap(t);
    detail::func_timer_start(t, detail::to_ns(d));
    return handle;
}

}  // namespace gort
