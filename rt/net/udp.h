// PUBLIC
// rt/net/udp.h - datagrams: packet_conn, over UDP and Unix datagram sockets.
// SPDX-License-Identifier: BSD-2-Clause
//
// See handle.h for copying, blocking, deadlines and threads. A conn that talks to one peer in datagrams: dial("udp",
// …).
#pragma once

#include "handle.h"

namespace gort::net {

class packet_conn : public socket {
public:
    using socket::socket;

    struct packet {
        size_t size = 0;
        endpoint from;           // family() 0: a Unix socket without a name
        bool truncated = false;  // it was larger than the buffer; the rest is gone
    };

    // Waits for the next datagram, which may be empty.
    result<packet> read_from(mutable_buffer b) const {
        packet p;
        const long r = detail::receive_from(d_, b.data, b.size, &p.from, &p.truncated);
        if (r < 0) return detail::error_of(r);
        p.size = static_cast<size_t>(r);
        return p;
    }
    // The same, with the sender's address in `from`; the result is the size.
    result<size_t> read_from(mutable_buffer b, endpoint& from) const {
        return detail::count_of(detail::receive_from(d_, b.data, b.size, &from, nullptr));
    }

    // Sends one datagram: all of it, or there is an error (std::errc::message_size: too large).
    result<size_t> write_to(const_buffer b, const endpoint& to) const {
        return detail::count_of(detail::send_to(d_, b.data, b.size, to));
    }

    // The port that it receives on.
    uint16_t port() const {
        const result<endpoint> e = local_endpoint();
        return e ? e->port() : uint16_t{0};
    }
};

// A socket for datagrams at an address: "udp", "udp4" or "udp6" at host:port (see tcp.h), "unixgram" at a path.
//
//      auto in = gort::net::listen_udp(":5353").value();
//      char buffer[1500];
//      auto p = in.read_from(buffer).value();
inline result<packet_conn> listen_packet(std::string_view network, std::string_view address) {
    detail::Desc* d = nullptr;
    if (const int r = detail::bind_packets(network, address, &d)) return detail::error_of(r);
    return packet_conn(d);
}
inline result<packet_conn> listen_udp(std::string_view address) { return listen_packet("udp", address); }

}  // namespace gort::net
