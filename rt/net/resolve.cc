// rt/net/resolve.cc - from a network's name and an address's text to endpoints.
// SPDX-License-Identifier: BSD-2-Clause
//
// Numbers are read here. Names go to the system's resolver, which blocks the thread: that is done as gort::blocking
// does.
#include "rt/go.h"
#include "rt/net/socket.h"

namespace gort::net::detail {

namespace {

void put(endpoint* out, std::string_view host, int port) {
    numeric_endpoint(host, static_cast<uint16_t>(port), out);
}

// v4 first, as nearly everything that is reached by both is reached faster so; the order within a family is kept.
void v4_first(endpoint* all, int n) {
    int at = 0;
    for (int i = 0; i < n; ++i) {
        if (all[i].family() != AF_INET) continue;
        const endpoint e = all[i];
        for (int k = i; k > at; --k) all[k] = all[k - 1];
        all[at++] = e;
    }
}

// What the resolver reads as C strings: a NUL would end one early, and what it then finds is another host than the one
// that was asked for. No name has spaces or control characters either; to some resolvers they are separators.
constexpr size_t kLongestName = 255;
constexpr size_t kLongestInterface = 15;
bool is_name(std::string_view s) {
    if (s.size() > kLongestName) return false;
    for (const char c : s)
        if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f) return false;
    return true;
}
// A longer interface's name is cut short by some resolvers.
bool is_host_name(std::string_view host) {
    const size_t at = find_char(host, '%');
    return is_name(host) &&
           (at == kNone || (at + 1 < host.size() && host.size() - at - 1 <= kLongestInterface));
}
// The resolver takes "+80" and "-1" for numbers, the latter for port 65535.
bool is_service_name(std::string_view port) {
    return is_name(port) && port.data()[0] != '+' && port.data()[0] != '-';
}

int ask_resolver(std::string_view host, std::string_view port, const Network& network, endpoint* out,
                 int room) {
    const bool on = gort::detail::blocking_begin();
    const int found = host_resolve(host, port, network.family, network.type, out, room);
    if (on) gort::detail::blocking_end();
    return found == 0 ? net_error(errc::no_suitable) : found;
}

}  // namespace

int network_named(std::string_view name, Network* out) {
    constexpr struct {
        std::string_view name;
        Network network;
    } kAll[] = {{"tcp", {AF_UNSPEC, SOCK_STREAM}},        {"tcp4", {AF_INET, SOCK_STREAM}},
                {"tcp6", {AF_INET6, SOCK_STREAM}},        {"udp", {AF_UNSPEC, SOCK_DGRAM}},
                {"udp4", {AF_INET, SOCK_DGRAM}},          {"udp6", {AF_INET6, SOCK_DGRAM}},
                {"unix", {AF_UNIX, SOCK_STREAM}},         {"unixgram", {AF_UNIX, SOCK_DGRAM}},
                {"unixpacket", {AF_UNIX, SOCK_SEQPACKET}}};
    for (const auto& n : kAll)
        if (same(n.name, name)) {
            *out = n.network;
            return 0;
        }
    return net_error(errc::unknown_network);
}

int endpoints_of(const Network& network, std::string_view address, bool passive, endpoint* out, int room) {
    if (network.family == AF_UNIX) {
        const int r = unix_endpoint(address, out);
        return r ? r : 1;
    }
    std::string_view host, port;
    if (const int r = split_host_port(address, &host, &port)) return r;
    int n = port_number(port);
    if (n == -2) return net_error(errc::bad_port);
    if (n < 0 && !is_service_name(port)) return net_error(errc::bad_port);
    if (n < 0 && host.empty()) {  // every address, or the loopback: the resolver knows the service only
        const int found = ask_resolver(host, port, network, out, room);
        if (found < 0) return found;
        n = out->port();
    }
    if (n >= 0) {
        if (host.empty()) {
            if (passive) {
                put(out, network.family == AF_INET ? "0.0.0.0" : "::", n);
                return 1;
            }
            if (network.family != AF_UNSPEC || room < 2) {
                put(out, network.family == AF_INET6 ? "::1" : "127.0.0.1", n);
                return 1;
            }
            put(out, "127.0.0.1", n);
            put(out + 1, "::1", n);
            return 2;
        }
        if (numeric_endpoint(host, static_cast<uint16_t>(n), out)) {
            if (network.family != AF_UNSPEC && network.family != out->family())
                return net_error(errc::no_suitable);
            return 1;
        }
    }
    if (!is_host_name(host)) return net_error(errc::bad_address);
    const int found = ask_resolver(host, port, network, out, room);
    if (found > 0) v4_first(out, found);
    return found;
}

int resolve(std::string_view network, std::string_view address, bool passive, endpoint* out, int room,
            int* type) {
    Network net;
    if (const int r = network_named(network, &net)) return r;
    *type = net.type;
    return endpoints_of(net, address, passive, out, room);
}

}  // namespace gort::net::detail
