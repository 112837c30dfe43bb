// PUBLIC
// rt/sync/once.h - once, once_func, once_value: what runs a single time.
// SPDX-License-Identifier: BSD-2-Clause
//
// As Go's sync.Once, OnceFunc and OnceValue. The first call runs f, and no call returns before f has ended. An f
// that ends by an exception or goexit counts as having run (unlike with std::call_once): the exception goes to the
// caller that ran it, and later calls return at once. An f that calls the same once deadlocks.
//
//      static gort::once init;
//      init.call([] { load_tables(); });
//
// Context:  any goroutine and any other thread of the process (that one sleeps on a futex). Not in a signal handler.
// Memory order: the end of f happens before the return of every call.
// Cost:     once it is done, one load.
// Source:   Go's package sync.
#pragma once

#include "../config.h"

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "mutex.h"

namespace gort {

// Runs one function, once.
class once {
public:
    constexpr once() noexcept = default;
    once(const once&) = delete;
    once& operator=(const once&) = delete;

    // Calls f(), unless an earlier call has called a function, the same or another one. Blocks while that one runs.
    template <class F>
    void call(F&& f) {
        if (!done_.load(std::memory_order_acquire)) [[unlikely]]
            call_slow(std::forward<F>(f));
    }

private:
    template <class F>
    [[gnu::noinline]] void call_slow(F&& f) {
        mu_.lock();
        struct Unlock {
            once* o;
            ~Unlock() { o->mu_.unlock(); }
        } unlock{this};
        if (done_.load(std::memory_order_relaxed)) return;
        struct Done {
            once* o;
            ~Done() { o->done_.store(true, std::memory_order_release); }
        } done{this};
        std::invoke(std::forward<F>(f));
    }

    std::atomic<bool> done_{false};
    mutex mu_;
};

namespace detail {

[[noreturn]] void once_without_value();

// What all copies of one once_func or once_value share.
template <class F, class R>
struct OnceState {
    explicit OnceState(F&& from) : f(std::move(from)) {}

    void run() {
        o.call([this] {
            struct Release {  // however the call ends
                std::optional<F>* f;
                ~Release() { f->reset(); }
            } release{&f};
#if defined(__cpp_exceptions)
            try {
                call();
            } catch (...) {
                failed = std::current_exception();
                if (!failed) throw;  // goexit is not an exception, and goes on
            }
#else
            call();  // with -fno-exceptions f throws nothing
#endif
        });
        if (failed) std::rethrow_exception(failed);
    }

    void call() {
        if constexpr (std::is_void_v<R>) std::invoke(*f);
        else value.emplace(std::invoke(*f));
    }

    struct Nothing {};
    once o;
    std::optional<F> f;
    std::exception_ptr failed;
    [[no_unique_address]] std::conditional_t<std::is_void_v<R>, Nothing, std::optional<R>> value;
};

template <class F>
class OnceFunc {
public:
    explicit OnceFunc(F f) : state_(std::make_shared<OnceState<F, void>>(std::move(f))) {}
    void operator()() const { state_->run(); }

private:
    std::shared_ptr<OnceState<F, void>> state_;
};

template <class F, class R>
class OnceValue {
public:
    explicit OnceValue(F f) : state_(std::make_shared<OnceState<F, R>>(std::move(f))) {}
    const R& operator()() const {
        state_->run();
        if (!state_->value) once_without_value();
        return *state_->value;
    }

private:
    std::shared_ptr<OnceState<F, R>> state_;
};

}  // namespace detail

// A function that calls f the first time and nothing afterwards. If f throws, every call throws the same. f is
// destroyed after the first call. Copies share one state. The result of f is ignored.
template <class F>
auto once_func(F&& f) {
    return detail::OnceFunc<std::decay_t<F>>(std::forward<F>(f));
}

// The same for a function with a result: every call returns a reference to it, which lives as long as the last copy.
// For Go's OnceValues let f return a tuple. If f ended by goexit there is no value: a panic.
template <class F>
auto once_value(F&& f) {
    using R = std::decay_t<std::invoke_result_t<std::decay_t<F>&>>;
    static_assert(!std::is_void_v<R>, "gort::once_value: f has no result; use once_func");
    return detail::OnceValue<std::decay_t<F>, R>(std::forward<F>(f));
}

}  // namespace gort
