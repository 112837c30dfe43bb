// ctx/bind.cc - what a context's end does to a connection that is bound to it.
// SPDX-License-Identifier: BSD-2-Clause
//
// The context calls `end` in a goroutine of its own, which may be late: whether the binding is over by then is said
// under the lock. Two references: the binding's and the function's.
#include "ctx/bind.h"

#include <memory>
#include <mutex>
#include <utility>

#include "rt/sync/mutex.h"

namespace gort::ctx {

namespace detail {

struct Bound {
    Bound(const context& c, const net::handle& h) : of(c), conn(h) {}

    void end() {
        const std::lock_guard guard(lock);
        if (over || barred) return;
        barred = true;
        const bool late = of.err() == errc::deadline_exceeded;
        net::detail::bar(net::detail::Access::get(conn), late ? -static_cast<int>(std::errc::timed_out)
                                                              : net::detail::net_error(net::errc::canceled));
    }
    void unbind() {
        std::exchange(stop, {})();  // what it refers to refers to us
        const std::lock_guard guard(lock);
        over = true;
        if (barred) net::detail::unbar(net::detail::Access::get(conn));
    }

    const context of;
    const net::handle conn;
    stop_func stop;
    mutex lock;
    bool barred = false;             // lock
    bool over = false;               // lock
    std::shared_ptr<Bound> binding;  // the binding's reference
};

}  // namespace detail

binding bind(const context& c, const net::handle& conn) {
    auto bound = std::make_shared<detail::Bound>(c, conn);
    bound->stop = after_func(c, [bound] { bound->end(); });
    if (c.err()) bound->end();
    binding b;
    b.bound_ = bound.get();
    bound->binding = bound;
    return b;
}

void binding::unbind() {
    const std::shared_ptr<detail::Bound> bound = std::move(bound_->binding);
    bound_ = nullptr;
    bound->unbind();
}

}  // namespace gort::ctx
