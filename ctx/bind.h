// PUBLIC
// ctx/bind.h - bind: the end of a context ends a connection's reads and writes.
// SPDX-License-Identifier: BSD-2-Clause
//
//      auto bound = gort::ctx::bind(request, conn);
//      auto line = in.read_line();              // net::errc::canceled if request is cancelled meanwhile
//
// As long as the binding lives, every operation that is under way on the connection (fd, listener, packet_conn)
// when the context ends, and every one that begins afterwards, fails: with std::errc::timed_out if that was its
// deadline, else with net::errc::canceled. Once the binding is gone the connection works as before, with the
// deadlines that it had or was given meanwhile; after its end nothing more happens because of the context, also if
// that ends just then. Several bindings of one connection do not know of each other. The binding holds a copy of
// the handle, which so stays open. (Go has no such thing: there one writes context.AfterFunc with SetDeadline, and
// loses the connection's deadlines.)
//
// Context: any goroutine and any other thread while the runtime is up; blocks for no more than a lock.
// Memory order: what happened before the context ended happens before the failed operation returns.
// Panics:  "cannot create context from nil parent" for a nil context.
#pragma once

#include "../rt/config.h"

#include <utility>

#include "../rt/net/handle.h"
#include "context.h"

namespace gort::ctx {

namespace detail {
struct Bound;
}

class [[nodiscard]] binding {
public:
    binding() = default;  // of nothing
    binding(binding&& o) noexcept : bound_(std::exchange(o.bound_, nullptr)) {}
    binding& operator=(binding&& o) noexcept {
        if (this == &o) return *this;
        release();
        bound_ = std::exchange(o.bound_, nullptr);
        return *this;
    }
    ~binding() { release(); }

    // What the destructor does, now.
    void release() {
        if (bound_) unbind();
    }

private:
    friend binding bind(const context& c, const net::handle& conn);
    void unbind();
    detail::Bound* bound_ = nullptr;
};

// Binds conn to c until the result is destroyed or released.
binding bind(const context& c, const net::handle& conn);

}  // namespace gort::ctx
