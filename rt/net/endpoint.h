// PUBLIC
// rt/net/endpoint.h - one end of a socket: an IPv4 or IPv6 address with a port, or a Unix socket's path.
// SPDX-License-Identifier: BSD-2-Clause
//
// Context: any thread; nothing here blocks but resolve().
#pragma once

#include "../config.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "../result.h"
#include "error.h"

namespace gort::net {

class endpoint;

namespace detail {
int parse_endpoint(std::string_view text, endpoint* out);
int unix_endpoint(std::string_view path, endpoint* out);
size_t format_endpoint(const endpoint& e, char* to, size_t room, bool with_port);
inline constexpr size_t kEndpointText = 128;
int resolve(std::string_view network, std::string_view address, bool passive, endpoint* out, int room,
            int* type);
inline constexpr int kMostAddresses = 12;
}  // namespace detail

class endpoint {
public:
    endpoint() = default;  // none: family() 0

    // "1.2.3.4:80", "[::1]:80", "[fe80::1%2]:80": numbers only, see resolve.
    static result<endpoint> parse(std::string_view text) {
        endpoint e;
        if (const int r = detail::parse_endpoint(text, &e)) return detail::error_of(r);
        return e;
    }
    // At most 107 bytes, and no NUL among them: errc::bad_address. A leading '@' or NUL: a name in the abstract
    // namespace, which may hold any byte.
    static result<endpoint> unix_path(std::string_view path) {
        endpoint e;
        if (const int r = detail::unix_endpoint(path, &e)) return detail::error_of(r);
        return e;
    }

    int family() const { return size_ >= 2 ? raw_.family : 0; }  // AF_INET, AF_INET6, AF_UNIX
    uint16_t port() const {                                      // 0 for Unix sockets
        return family() == kInet || family() == kInet6
                   ? static_cast<uint16_t>(raw_.rest[0] << 8 | raw_.rest[1])
                   : uint16_t{0};
    }
    std::string host() const { return text(false); }      // "1.2.3.4", "::1", a path
    std::string to_string() const { return text(true); }  // "1.2.3.4:80", "[::1]:80", a path

    const void* raw() const { return &raw_; }  // the kernel's sockaddr
    void* raw() { return &raw_; }
    uint32_t raw_size() const { return size_; }
    void set_raw_size(uint32_t n) { size_ = n <= sizeof raw_ ? n : uint32_t{sizeof raw_}; }

    friend bool operator==(const endpoint& a, const endpoint& b) {
        return a.size_ == b.size_ && std::memcmp(&a.raw_, &b.raw_, a.size_) == 0;
    }

private:
    static constexpr int kInet = 2, kInet6 = 10;
    std::string text(bool with_port) const {
        char buf[detail::kEndpointText];
        return std::string(buf, detail::format_endpoint(*this, buf, sizeof buf, with_port));
    }
    struct {
        alignas(8) uint16_t family;
        unsigned char rest[110];
    } raw_{};
    uint32_t size_ = 0;
};

// The endpoints of "host:port" for a network (tcp, udp, and with 4 or 6), best first. Numbers are read here. For a name
// the system's resolver is asked (getaddrinfo), which may block for seconds; other goroutines go on meanwhile.
inline result<std::vector<endpoint>> resolve(std::string_view network, std::string_view address) {
    std::vector<endpoint> all(detail::kMostAddresses);
    int type = 0;
    const int n = detail::resolve(network, address, false, all.data(), detail::kMostAddresses, &type);
    if (n < 0) return detail::error_of(n);
    all.resize(static_cast<size_t>(n));
    return all;
}

}  // namespace gort::net
