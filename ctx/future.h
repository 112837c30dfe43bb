// PUBLIC
// ctx/future.h - async, future and promise: the result of a goroutine, or one that has been promised.
// SPDX-License-Identifier: BSD-2-Clause
//
//      gort::future<int> sum = gort::async([](int a, int b) { return a + b; }, 1, 2);
//      std::printf("%d\n", sum.get());
//
// async is go with a handle: f(args…) runs in a goroutine of its own, never on the caller's stack. What it returns,
// or throws (a panic as well), is what get() returns or throws. If it ends by goexit there is no result: get() throws
// std::future_error, broken_promise. The future is ready when the goroutine has ended: f and its arguments have been
// destroyed, and its goroutine_locals (rt/local.h), too.
// promise<T> is the other way to make a future: its holder gives the value, or the exception, once. A promise that is
// destroyed without either gives std::future_error, broken_promise.
// T: any type that can be moved or copied, void, or a reference. Both are moved, not copied; a moved-from one, and a
// future after get(), has no state: valid() is false, and everything else throws std::future_error, no_state.
// Destroying a future does not wait for the goroutine (with std::async it does); an exception that was never asked
// for is dropped.
//
// Errors: std::future_error with std::future_errc's codes: no_state, broken_promise, promise_already_satisfied,
//         future_already_retrieved.
// Context: any goroutine and any other thread; get and wait park the goroutine, any other thread sleeps on a futex, and
//          panics if it would have to wait after gort::stop. Several may wait at once; get is for one. async needs a
//          runtime that is up. A goroutine that is abandoned at the end of a run makes nothing ready.
// Memory order: all that the goroutine did, and what came before set_value, happens before the return of the wait.
// Cost:    async one allocation on top of go; a wait for what is ready none but a load.
// Source:  std::future, std::promise, std::async; Go has none (there it is a channel).
#pragma once

#include "../rt/config.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "../chan/chan.h"
#include "../rt/go.h"
#include "../rt/local.h"
#include "../rt/sync/word_wait.h"
#include "../rt/time.h"

namespace gort {

template <class T>
class future;
template <class T>
class promise;

namespace detail {

[[noreturn]] void throw_future_error(std::future_errc code);
std::exception_ptr broken_promise();

// What both sides share, but for the value. One reference for the future, one for who makes it ready.
struct FutureState {
    std::atomic<uint32_t> ready{0};
    std::atomic<uint32_t> refs{1};
    std::atomic<bool> satisfied{false};  // somebody gives, or has given, the result
    std::atomic<bool> closed{false};     // somebody closes `done`, or has closed it
    std::atomic<Hchan*> done{nullptr};   // made when it is first asked for; one reference
    std::exception_ptr failed;
    void (*destroy)(FutureState* s) noexcept = nullptr;

    ~FutureState();
    bool is_ready() const noexcept { return ready.load(std::memory_order_acquire) != 0; }
    void publish() noexcept;  // the result is there
    recv_chan<unit> done_chan();
    void satisfy();  // throws if somebody was first
    void break_promise() noexcept;
};
void release(FutureState* s) noexcept;

template <class T>
using Stored = std::conditional_t<std::is_void_v<T>, unit,
                                  std::conditional_t<std::is_reference_v<T>, std::remove_reference_t<T>*, T>>;

template <class T>
struct FutureStateOf : FutureState {
    std::optional<Stored<T>> value;
};

struct FutureAccess {
    template <class T>
    static future<T> wrap(FutureStateOf<T>* owned) {
        return future<T>(owned);
    }
};

// async's: the callable beside the result.
template <class T, class C>
struct AsyncState : FutureStateOf<T>, GLocal {
    union {
        C call;
    };

    template <class... A>
    explicit AsyncState(A&&... a) : call{std::forward<A>(a)...} {
        this->refs.store(2, std::memory_order_relaxed);
        this->destroy = [](FutureState* s) noexcept { delete static_cast<AsyncState*>(s); };
    }
    ~AsyncState() {}

    // On the goroutine. The first of its locals is the last to end: then the result is made ready.
    void run() {
        this->end = [](GLocal* l, bool ended) {
            auto* s = static_cast<AsyncState*>(l);
            if (ended) s->publish();
            else if (s->refs.load(std::memory_order_acquire) != 1 || s->done.load(std::memory_order_relaxed))
                return;  // abandoned, and somebody may still ask
            release(s);
        };
        GLocal** list = local_list();
        this->next = *list;
        *list = this;
        struct Guard {
            AsyncState* s;
            ~Guard() {
                s->call.~C();
                if (!s->value && !s->failed) s->failed = broken_promise();
            }
        } guard{this};
#if defined(__cpp_exceptions)
        try {
            fill();
        } catch (...) {
            this->failed = std::current_exception();
            if (!this->failed) throw;  // goexit
        }
#else
        fill();
#endif
    }

private:
    void fill() {
        if constexpr (std::is_void_v<T>) call(), this->value.emplace();
        else if constexpr (std::is_reference_v<T>) this->value.emplace(std::addressof(call()));
        else this->value.emplace(call());
    }
};

// As Call of rt/go.h, with its result.
template <class F, class... A>
struct AsyncCall {
    F f;
    [[no_unique_address]] std::tuple<A...> args;
    decltype(auto) operator()() {
        return std::apply(
            [this](A&... a) -> decltype(auto) { return std::invoke(std::move(f), std::move(a)...); }, args);
    }
};

template <class F, class... A>
using AsyncResult = std::invoke_result_t<std::decay_t<F>, std::decay_t<A>...>;

template <class F, class... A>
future<AsyncResult<F, A...>> start_async(const Site& site, F&& f, A&&... args) {
    using T = AsyncResult<F, A...>;
    using State = AsyncState<T, AsyncCall<std::decay_t<F>, std::decay_t<A>...>>;
    if constexpr (is_nullable<std::decay_t<F>> && !std::is_function_v<std::remove_reference_t<F>>)
        if (f == nullptr) [[unlikely]]
            go_of_nil();
    auto* s = new State(std::forward<F>(f), std::tuple<std::decay_t<A>...>(std::forward<A>(args)...));
    future<T> result = FutureAccess::wrap<T>(s);
    gort::go([s] { s->run(); }, site);
    return result;
}

}  // namespace detail

// The waiting side: a result that will be there.
template <class T>
class future {
public:
    future() noexcept = default;
    future(future&& o) noexcept : s_(std::exchange(o.s_, nullptr)) {}
    future& operator=(future&& o) noexcept {
        if (this != &o) {
            if (s_) detail::release(s_);
            s_ = std::exchange(o.s_, nullptr);
        }
        return *this;
    }
    ~future() {
        if (s_) detail::release(s_);
    }

    // False for one that was moved from, default-constructed, or asked by get.
    bool valid() const noexcept { return s_ != nullptr; }

    // Blocks until it is ready, and gives the value, moved out, or throws the exception. Afterwards the future is
    // not valid any more.
    T get() {
        wait();
        struct Taken {
            detail::FutureStateOf<T>* s;
            ~Taken() { detail::release(s); }
        } taken{std::exchange(s_, nullptr)};
        if (taken.s->failed) std::rethrow_exception(taken.s->failed);
        if constexpr (std::is_reference_v<T>) return static_cast<T>(**taken.s->value);
        else if constexpr (!std::is_void_v<T>) return std::move(*taken.s->value);
    }

    // Blocks until it is ready.
    void wait() const {
        if (!state()->is_ready()) detail::word_wait(&s_->ready, 0, detail::WordOf::kFuture);
    }
    // Block until it is ready or the time is over: ready or timeout, never deferred. Deadlines are described in
    // rt/time.h.
    template <class Rep, class Period>
    std::future_status wait_for(std::chrono::duration<Rep, Period> d) const {
        return wait_to(state()->is_ready() ? 0 : detail::deadline_in(d));
    }
    template <class Clock, class D>
    std::future_status wait_until(const std::chrono::time_point<Clock, D>& t) const {
        return detail::wait_for_instant(t, std::future_status::timeout,
                                        [this](int64_t deadline) { return wait_to(deadline); });
    }

    // A channel that is closed once the future is ready, for select. The same one each time.
    recv_chan<unit> done() const { return state()->done_chan(); }

private:
    friend struct detail::FutureAccess;
    explicit future(detail::FutureStateOf<T>* owned) noexcept : s_(owned) {}
    detail::FutureStateOf<T>* state() const {
        if (!s_) [[unlikely]]
            detail::throw_future_error(std::future_errc::no_state);
        return s_;
    }
    std::future_status wait_to(int64_t deadline) const {
        return state()->is_ready() ||
                       detail::word_wait_until(&s_->ready, 0, detail::WordOf::kFuture, deadline)
                   ? std::future_status::ready
                   : std::future_status::timeout;
    }
    detail::FutureStateOf<T>* s_ = nullptr;
};

namespace detail {

template <class T>
class PromiseBase {
public:
    PromiseBase() : s_(new FutureStateOf<T>) {
        s_->destroy = [](FutureState* s) noexcept { delete static_cast<FutureStateOf<T>*>(s); };
    }
    PromiseBase(PromiseBase&& o) noexcept
        : s_(std::exchange(o.s_, nullptr)), retrieved_(std::exchange(o.retrieved_, false)) {}
    PromiseBase& operator=(PromiseBase&& o) noexcept {
        PromiseBase other(std::move(o));
        swap(other);
        return *this;
    }
    ~PromiseBase() {
        if (!s_) return;
        s_->break_promise();
        release(s_);
    }
    void swap(PromiseBase& o) noexcept {
        std::swap(s_, o.s_);
        std::swap(retrieved_, o.retrieved_);
    }

    // The future of this promise; it can be had once.
    future<T> get_future() {
        if (std::exchange(retrieved_, static_cast<bool>(state())))
            throw_future_error(std::future_errc::future_already_retrieved);
        s_->refs.fetch_add(1, std::memory_order_relaxed);
        return FutureAccess::wrap<T>(s_);
    }
    // Makes the future ready with this exception, which get throws.
    void set_exception(const std::exception_ptr& e) {
        state()->satisfy();
        s_->failed = e;
        s_->publish();
    }

protected:
    template <class... A>
    void give(A&&... a) {
        state()->satisfy();
        struct Undo {  // what T's constructor throws leaves the promise as it was
            FutureState* s;
            ~Undo() {
                if (s) s->satisfied.store(false, std::memory_order_release);
            }
        } undo{s_};
        s_->value.emplace(std::forward<A>(a)...);
        undo.s = nullptr;
        s_->publish();
    }
    FutureStateOf<T>* state() const {
        if (!s_) [[unlikely]]
            throw_future_error(std::future_errc::no_state);
        return s_;
    }

private:
    FutureStateOf<T>* s_;
    bool retrieved_ = false;
};

}  // namespace detail

// The giving side of a future.
//
//      gort::promise<int> p;
//      auto f = p.get_future();
//      gort::go([p = std::move(p)]() mutable { p.set_value(42); });
template <class T>
class promise : public detail::PromiseBase<T> {
public:
    // Makes the future ready with this value. A second time throws promise_already_satisfied.
    void set_value(const T& value) requires std::is_copy_constructible_v<T> { this->give(value); }
    void set_value(T&& value) { this->give(std::move(value)); }
};
template <class T>
class promise<T&> : public detail::PromiseBase<T&> {
public:
    void set_value(T& value) { this->give(std::addressof(value)); }
};
template <>
class promise<void> : public detail::PromiseBase<void> {
public:
    void set_value() { this->give(); }
};

// Starts a goroutine that calls f(args…), which are moved or copied in before async returns, as by go.
template <detail::not_option F>
future<detail::AsyncResult<F>> async(F&& f, Site site = Site::here()) {
    return detail::start_async(site, std::forward<F>(f));
}
template <detail::not_option F, detail::not_option A>
future<detail::AsyncResult<F, A>> async(F&& f, A&& a, Site site = Site::here()) {
    return detail::start_async(site, std::forward<F>(f), std::forward<A>(a));
}
template <detail::not_option F, detail::not_option A, detail::not_option B>
future<detail::AsyncResult<F, A, B>> async(F&& f, A&& a, B&& b, Site site = Site::here()) {
    return detail::start_async(site, std::forward<F>(f), std::forward<A>(a), std::forward<B>(b));
}
// More arguments: no line is kept.
template <detail::not_option F, detail::not_option A, detail::not_option B, detail::not_option C,
          detail::not_option... D>
future<detail::AsyncResult<F, A, B, C, D...>> async(F&& f, A&& a, B&& b, C&& c, D&&... d) {
    return detail::start_async(Site{}, std::forward<F>(f), std::forward<A>(a), std::forward<B>(b),
                               std::forward<C>(c), std::forward<D>(d)...);
}

}  // namespace gort
