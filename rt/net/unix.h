// PUBLIC
// rt/net/unix.h - Unix sockets by their paths: streams and datagrams.
// SPDX-License-Identifier: BSD-2-Clause
//
// "@name" is in the abstract namespace, which needs no file. A listener leaves its file behind, and a file that is
// there already is std::errc::address_in_use: unlink it first.
#pragma once

#include "tcp.h"
#include "udp.h"

namespace gort::net {

// listen("unix", path): a listener for streams.
inline result<listener> listen_unix(std::string_view path) { return listen("unix", path); }
// dial("unix", path): a connection to such a listener.
inline result<conn> dial_unix(std::string_view path) { return dial("unix", path); }
// listen_packet("unixgram", path): a socket for datagrams.
inline result<packet_conn> listen_unixgram(std::string_view path) { return listen_packet("unixgram", path); }

}  // namespace gort::net
