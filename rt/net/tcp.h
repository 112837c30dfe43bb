// PUBLIC
// rt/net/tcp.h - listening and dialing: TCP over IPv4 and IPv6, and all other networks that have connections.
// SPDX-License-Identifier: BSD-2-Clause
//
// Networks: "tcp" (both families), "tcp4", "tcp6", "unix", "unixpacket"; for dial also "udp", "udp4", "udp6",
//           "unixgram", whose conn reads and writes whole datagrams. Without a network: tcp.
// Addresses: "host:port". host: a name, 1.2.3.4, [::1], or nothing, which is every address of this machine (listen) or
//           the loopback (dial). port: 0 to 65535 or a service's name; 0: listen takes a free one. For Unix sockets a
//           path; "@name" is in the abstract namespace.
// Defaults: as in Go: no delay, keep-alive after 15 s, SO_REUSEADDR for listeners, the longest backlog there is.
// Context:  any goroutine and any other thread. listen does not block but for the search for a name; dial blocks.
// Source:   Go's net.Listen, net.Dial, net.DialTimeout.
#pragma once

#include "../config.h"

#include <memory>

#include "conn.h"

namespace gort::net {

// Listens on an address. Errors: errc::bad_address and its neighbours for a malformed one,
// std::errc::address_in_use, and what else the system says.
//
//      auto l = gort::net::listen(":8080").value();
//      for (;;) gort::go(serve, l.accept().value());
[[nodiscard]] inline result<listener> listen(std::string_view network, std::string_view address) {
    detail::Desc* d = nullptr;
    if (const int r = detail::listen(network, address, 0, &d)) return detail::error_of(r);
    return listener(d);
}
[[nodiscard]] inline result<listener> listen(std::string_view address) { return listen("tcp", address); }

namespace detail {
inline result<conn> dial_until(std::string_view network, std::string_view address, int64_t deadline) {
    Desc* d = nullptr;
    if (const int r = dial(network, address, nullptr, deadline, nullptr, &d)) return error_of(r);
    return conn(d);
}

template <class C>
concept contextual = requires(const C& c) {
    c.done();
    c.err();
    c.deadline();
};
}  // namespace detail

// Connects to an address; of a host with several it tries one after the other. A deadline, or a duration from now,
// covers the search for the name and all addresses, each of which gets its share of the time, as in Go.
//
//      auto c = gort::net::dial("example.org:80", 5s);
//      if (!c) return c.error();
[[nodiscard]] inline result<conn> dial(std::string_view network, std::string_view address) {
    return detail::dial_until(network, address, 0);
}
[[nodiscard]] inline result<conn> dial(std::string_view address) { return dial("tcp", address); }
[[nodiscard]] inline result<conn> dial(std::string_view network, std::string_view address,
                                       time_point deadline) {
    return detail::dial_until(network, address, detail::when_of(deadline));
}
[[nodiscard]] inline result<conn> dial(std::string_view address, time_point deadline) {
    return dial("tcp", address, deadline);
}
template <class Rep, class Period>
result<conn> dial(std::string_view network, std::string_view address,
                  std::chrono::duration<Rep, Period> timeout) {
    return detail::dial_until(network, address, detail::when_of(timeout));
}
template <class Rep, class Period>
result<conn> dial(std::string_view address, std::chrono::duration<Rep, Period> timeout) {
    return dial("tcp", address, timeout);
}

// With a context (ctx/context.h): errc::canceled once it is canceled, std::errc::timed_out at its deadline.
template <detail::contextual C>
result<conn> dial(const C& c, std::string_view network, std::string_view address) {
    const auto deadline = c.deadline();
    // the context may still be at it when we are done
    auto control = std::make_shared<detail::dial_control>();
    detail::Desc* d = nullptr;
    int r = detail::net_error(errc::canceled);
    if (!c.err()) {
        auto stop = after_func(c, [control] { detail::cancel_dial(control.get()); });
        r = detail::dial(network, address, nullptr, deadline ? detail::when_of(*deadline) : 0, control.get(),
                         &d);
        stop();
    }
    if (!r) return conn(d);
    // At its deadline the context cancels as well; either may be first.
    if (r == detail::net_error(errc::canceled) && deadline && *deadline <= std::chrono::steady_clock::now())
        return std::make_error_code(std::errc::timed_out);
    return detail::error_of(r);
}
template <detail::contextual C>
result<conn> dial(const C& c, std::string_view address) {
    return dial(c, "tcp", address);
}

}  // namespace gort::net
