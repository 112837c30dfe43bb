// PUBLIC
// ctx/err_group.h - err_group: goroutines that work on parts of one task; the first error ends it.
// SPDX-License-Identifier: BSD-2-Clause
//
// As Go's errgroup.Group:
//
//      err_group g{c};                                  // or err_group g; without a context
//      g.go([&] { return work(g.context()); });         // a std::error_code, or nothing
//      if (auto err = g.wait()) …
//
// wait returns the first error. What leaves a function as an exception (a panic as well) fails the group like an error,
// and wait throws it, once all are done: the first of them, also if there was an error before it. The context ends with
// the first failure, which is then its cause (of an exception: its code() if it is a std::system_error, else
// errc::canceled), or when wait returns. The first go must happen before wait; a group is for one task, and its
// destructor does not wait.
//
// Context:  any goroutine and any other thread of the process; wait blocks, and so does go while the limit is
//           reached. Not in a signal handler.
// Memory order: the end of every f happens before the return of wait.
// Panics:   "errgroup: modify limit while N goroutines in the group are still active".
// Source:   golang.org/x/sync/errgroup.
#pragma once

#include "../rt/config.h"

#include <concepts>
#include <exception>
#include <mutex>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

#include "../chan/chan.h"
#include "../rt/panic.h"
#include "../rt/sync/mutex.h"
#include "../rt/sync/wait_group.h"
#include "context.h"

namespace gort {

class err_group {
public:
    err_group() : context_(ctx::background()) {}
    explicit err_group(const ctx::context& parent) {
        auto [c, cancel] = ctx::with_cancel_cause(parent);
        context_ = std::move(c);
        cancel_ = std::move(cancel);
        cancels_ = true;
    }
    err_group(const err_group&) = delete;
    err_group& operator=(const err_group&) = delete;

    const ctx::context& context() const noexcept { return context_; }

    // Calls f in a new goroutine; blocks while as many as the limit allows are active.
    template <class F>
    void go(F&& f, Site site = Site::here()) {
        if (slots_) slots_.send(unit{});
        start(std::forward<F>(f), site);
    }
    // The same, or false instead of blocking.
    template <class F>
    bool try_go(F&& f, Site site = Site::here()) {
        if (slots_ && !slots_.try_send(unit{})) return false;
        start(std::forward<F>(f), site);
        return true;
    }

    // At most n goroutines at a time; 0: none at all, so that go blocks for ever; n < 0: no limit. Not while any is
    // active.
    void set_limit(int n) {
        if (const size_t active = slots_.len())
            panic("errgroup: modify limit while " + std::to_string(active) +
                  " goroutines in the group are still active");
        slots_ = n < 0 ? chan<unit>() : make_chan<unit>(n);
    }

    // Blocks until all functions are done. Throws what the first that threw has thrown.
    std::error_code wait() {
        active_.wait();
        std::error_code err;
        std::exception_ptr thrown;
        {
            const std::lock_guard guard(mu_);
            err = err_;
            thrown = std::exchange(thrown_, nullptr);
        }
        if (cancels_) cancel_(err);
#if defined(__cpp_exceptions)
        if (thrown) std::rethrow_exception(std::move(thrown));
#endif
        return err;
    }

private:
    template <class F>
    void start(F&& f, const Site& site) {
        active_.go(
            [this, f = std::decay_t<F>(std::forward<F>(f))]() mutable {
                struct Slot {
                    chan<unit> slots;
                    ~Slot() {
                        if (slots) slots.recv();
                    }
                } slot{slots_};
#if defined(__cpp_exceptions)
                try {
                    call(f);
                } catch (...) {
                    std::exception_ptr thrown = std::current_exception();
                    if (!thrown) throw;  // goexit
                    fail(std::move(thrown));
                }
#else
                call(f);
#endif
            },
            site);
    }
    template <class F>
    void call(F& f) {
        if constexpr (std::is_void_v<std::invoke_result_t<F&>>) {
            f();
        } else {
            static_assert(std::convertible_to<std::invoke_result_t<F&>, std::error_code>,
                          "gort::err_group: f returns a std::error_code, or nothing");
            if (const std::error_code err = f()) fail(err);
        }
    }
#if defined(__cpp_exceptions)
    void fail(std::exception_ptr thrown) {
        std::error_code code;
        try {
            std::rethrow_exception(thrown);
        } catch (const std::system_error& e) {
            code = e.code();
        } catch (...) {
        }
        {
            const std::lock_guard guard(mu_);
            if (!thrown_) thrown_ = std::move(thrown);
        }
        if (cancels_) cancel_(code);
    }
#endif
    void fail(std::error_code err) {
        {
            const std::lock_guard guard(mu_);
            if (err_) return;
            err_ = err;
        }
        if (cancels_) cancel_(err);
    }
    wait_group active_;
    chan<unit> slots_;  // full when the limit is reached
    mutex mu_;
    std::error_code err_;        // mu_: the first
    std::exception_ptr thrown_;  // mu_: the first
    ctx::context context_;
    ctx::cancel_cause_func cancel_;
    bool cancels_ = false;
};

}  // namespace gort
