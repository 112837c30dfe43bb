// rt/net/socket.h - what the files of rt/net share: networks by name, addresses by text, and the seam to the resolver.
// SPDX-License-Identifier: BSD-2-Clause
//
// The core (all of rt/net but host_net.cc) calls no libc; the headers of libc lend it types and constants only.
// Context: as rt/net/handle.h.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <string_view>

#include "rt/net/handle.h"
#include "rt/net/netpoll.h"

namespace gort::net::detail {

struct Network {
    int family = 0;  // AF_UNSPEC: both
    int type = 0;
};
int network_named(std::string_view name, Network* out);

// --- text, without what std::string_view takes from libc (find, ==) or throws (substr)
inline constexpr size_t kNone = SIZE_MAX;
inline size_t find_char(std::string_view s, char c) {
    for (size_t i = 0; i < s.size(); ++i)
        if (s.data()[i] == c) return i;
    return kNone;
}
inline bool same(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i)
        if (a.data()[i] != b.data()[i]) return false;
    return true;
}
inline std::string_view part(std::string_view s, size_t from, size_t n) { return {s.data() + from, n}; }

// --- endpoint.cc
bool numeric_endpoint(std::string_view host, uint16_t port, endpoint* out);
int split_host_port(std::string_view text, std::string_view* host, std::string_view* port);
int port_number(std::string_view text);

// --- resolve.cc
int endpoints_of(const Network& network, std::string_view address, bool passive, endpoint* out, int room);

// --- host_net.cc: the system's resolver. Blocks the thread. How many, or an error. port: a number or a service's name.
int host_resolve(std::string_view host, std::string_view port, int family, int type, endpoint* out, int room);

// --- socket.cc
int open_socket(int family, int type, int* fd);

// Tries until the call does not say "would block", waiting in between. The operation has begun.
template <class F>
long until_done(rt::PollDesc* d, unsigned side, F attempt) {
    for (;;) {
        const long r = attempt(d->fd);
        if (r == -EINTR) continue;
        if (r != -EAGAIN) return r;
        if (const int w = rt::poll_wait(d, side)) return w;
    }
}

inline const sockaddr* sockaddr_of(const endpoint& e) { return static_cast<const sockaddr*>(e.raw()); }
inline sockaddr* sockaddr_of(endpoint& e) { return static_cast<sockaddr*>(e.raw()); }

static_assert(rt::kErrClosed == net_error(errc::closed) &&
              rt::kErrNotPollable == net_error(errc::not_pollable));

}  // namespace gort::net::detail
