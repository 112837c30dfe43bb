// rt/sim/host_address.cc - which host and port an address means, and what an address of a host looks like.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/sim/net.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace gort::sim {

// Where an address leads for a socket of that host; host -1: nowhere.
Net::Where Net::where(const Socket& s, const void* address, uint32_t n) const {
    Where w;
    if (s.family == AF_UNIX) {
        const auto* path = static_cast<const char*>(address) + offsetof(sockaddr_un, sun_path);
        const size_t room = n > offsetof(sockaddr_un, sun_path) ? n - offsetof(sockaddr_un, sun_path) : 0;
        w.host = s.host;
        w.key = std::to_string(s.host) + "/" + std::to_string(s.type) + "/" +
                std::string(path, path[0] ? strnlen(path, room) : room);
        return w;
    }
    unsigned char ip[4] = {};
    uint16_t family = 0;
    std::memcpy(&family, address, sizeof family);
    if (family == AF_INET) {
        sockaddr_in a{};
        std::memcpy(&a, address, sizeof a);
        w.port = ntohs(a.sin_port);
        std::memcpy(ip, &a.sin_addr, 4);
    } else {
        sockaddr_in6 a{};
        std::memcpy(&a, address, sizeof a);
        w.port = ntohs(a.sin6_port);
        const unsigned char* b = a.sin6_addr.s6_addr;
        const bool zeros = std::all_of(b, b + 10, [](unsigned char c) { return c == 0; });
        if (zeros && b[10] == 0xff && b[11] == 0xff) std::memcpy(ip, b + 12, 4);
        else if (zeros && b[15] == 1) ip[0] = 127;
        else if (!zeros) return w;
    }
    if (ip[0] == 0) {
        w.host = s.host;
    } else if (ip[0] == 127) {
        w.host = s.host;
        w.loopback = true;
    } else if (ip[0] == 10 && ip[3] >= 1 && ip[3] <= hosts_.size()) {
        w.host = ip[3] - 1;
    } else {
        return w;
    }
    w.key = std::to_string(w.host) + ":" + std::to_string(w.port) + "/" + std::to_string(s.type);
    return w;
}

// Of a socket that is bound to w.
net::endpoint Net::address_of(const Socket& s, const Where& w) const {
    net::endpoint e;
    if (s.family == AF_INET6) {
        sockaddr_in6 a{};
        a.sin6_family = AF_INET6;
        a.sin6_port = htons(w.port);
        if (w.loopback) {
            a.sin6_addr.s6_addr[15] = 1;
        } else {
            a.sin6_addr.s6_addr[10] = a.sin6_addr.s6_addr[11] = 0xff;
            a.sin6_addr.s6_addr[12] = 10;
            a.sin6_addr.s6_addr[15] = static_cast<unsigned char>(w.host + 1);
        }
        std::memcpy(e.raw(), &a, sizeof a);
        e.set_raw_size(sizeof a);
        return e;
    }
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(w.port);
    a.sin_addr.s_addr = htonl(w.loopback ? 0x7f000001u : 0x0a000000u + static_cast<uint32_t>(w.host) + 1);
    std::memcpy(e.raw(), &a, sizeof a);
    e.set_raw_size(sizeof a);
    return e;
}

int Net::resolve(std::string_view host, uint16_t port, int family, net::endpoint* out) {
    if (family == AF_INET6) return net::detail::net_error(net::errc::no_suitable);
    Socket s;
    s.family = AF_INET;
    Where w;
    w.port = port;
    w.loopback = host.empty() || host == "localhost";
    w.host = w.loopback ? 0 : host_named(host);
    *out = address_of(s, w);
    return 1;
}

}  // namespace gort::sim
