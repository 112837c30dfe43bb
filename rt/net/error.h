// PUBLIC
// rt/net/error.h - the errors of gort::net that are not the system's, as std::error_code.
// SPDX-License-Identifier: BSD-2-Clause
//
// All others come in std::generic_category with errno's values: compare with std::errc. A passed deadline is
// std::errc::timed_out; std::errc::operation_canceled: the runtime was stopped while a thread of the program waited.
// Context: any thread.
#pragma once

#include "../config.h"

#include <system_error>
#include <type_traits>

namespace gort::net {

enum class errc {
    // "use of closed network connection": closed on this side. Also std::errc::bad_file_descriptor
    closed = 1,
    eof,              // "EOF": the peer has ended its side. value() is 0 then and does not throw
    unexpected_eof,   // "unexpected EOF": read_full got the end first; partial() is what came before it
    // "not pollable": the poller reported an error that reading does not show, or something that epoll does not take
    // was made non-blocking and would block
    not_pollable,
    // "malformed address"; accepted: host:port, 1.2.3.4:port, [v6]:port, :port. A host of up to 255 bytes, without NUL,
    // spaces and control characters, an interface (fe80::1%eth0) of 1 to 15; a Unix path of up to 107, without NUL.
    // Also std::errc::invalid_argument, as the next two
    bad_address,
    missing_port,     // "missing port in address"
    bad_port,         // "unknown port": neither 0 to 65535 nor a service's name (as a host's, and no sign in front)
    unknown_network,  // "unknown network"; accepted: tcp tcp4 tcp6 udp udp4 udp6 unix unixgram unixpacket
    no_such_host,     // "no such host"
    try_again,        // "temporary failure in name resolution"
    no_suitable,      // "no suitable address": the host has none of the family asked for
    canceled,         // "operation was canceled": the context of a dial. Also std::errc::operation_canceled
    count_,
};

const std::error_category& category() noexcept;  // of errc; its name is "gort.net"

inline std::error_code make_error_code(errc e) noexcept { return {static_cast<int>(e), category()}; }

namespace detail {
inline constexpr int kNetErrors = 10000;  // what the core returns: -errno, or -(kNetErrors + errc)
constexpr int net_error(errc e) { return -(kNetErrors + static_cast<int>(e)); }
std::error_code error_of(long negative);
}  // namespace detail

}  // namespace gort::net

template <>
struct std::is_error_code_enum<gort::net::errc> : std::true_type {};
