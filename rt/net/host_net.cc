// rt/net/host_net.cc - what the network needs of libc and the C++ library: the resolver, and errors as std::error_code.
// SPDX-License-Identifier: BSD-2-Clause
#include <netdb.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "rt/base/sim_seam.h"
#include "rt/net/socket.h"

namespace gort::net {

namespace {

class Category final : public std::error_category {
public:
    const char* name() const noexcept override { return "gort.net"; }
    std::string message(int e) const override {
        switch (static_cast<errc>(e)) {
        case errc::closed: return "use of closed network connection";
        case errc::eof: return "EOF";
        case errc::unexpected_eof: return "unexpected EOF";
        case errc::not_pollable: return "not pollable";
        case errc::bad_address:
            return "malformed address (accepted: host:port, [v6]:port, :port; a host of up to 255 bytes, "
                   "a Unix path of up to 107, no NUL)";
        case errc::missing_port: return "missing port in address";
        case errc::bad_port: return "unknown port (accepted: 0 to 65535, a service's name)";
        case errc::unknown_network:
            return "unknown network (accepted: tcp tcp4 tcp6 udp udp4 udp6 unix unixgram unixpacket)";
        case errc::no_such_host: return "no such host";
        case errc::try_again: return "temporary failure in name resolution";
        case errc::no_suitable: return "no suitable address";
        case errc::canceled: return "operation was canceled";
        case errc::count_: break;
        }
        return "unknown error";
    }
    std::error_condition default_error_condition(int e) const noexcept override {
        switch (static_cast<errc>(e)) {
        case errc::closed: return std::errc::bad_file_descriptor;
        case errc::bad_address:
        case errc::missing_port:
        case errc::bad_port: return std::errc::invalid_argument;
        case errc::canceled: return std::errc::operation_canceled;
        case errc::try_again: return std::errc::resource_unavailable_try_again;
        default: return {e, *this};
        }
    }
};

}  // namespace

const std::error_category& category() noexcept {
    static const Category category;
    return category;
}

namespace detail {

std::error_code error_of(long negative) {
    const int e = static_cast<int>(-negative);
    if (e > kNetErrors) return {e - kNetErrors, category()};
    return {e, std::generic_category()};
}

int host_resolve(std::string_view host, std::string_view port, int family, int type, endpoint* out,
                 int room) {
    if (const rt::SimHooks* sim = rt::simulation())
        return sim->net->resolve(host.data(), host.size(),
                                 static_cast<uint16_t>(std::atoi(std::string(port).c_str())), family, out);
    const std::string host_text(host), port_text(port);
    addrinfo want{}, *list = nullptr;
    want.ai_family = family;
    want.ai_socktype = type;
    const int r = getaddrinfo(host.empty() ? nullptr : host_text.c_str(),
                              port.empty() ? nullptr : port_text.c_str(), &want, &list);
    switch (r) {
    case 0: break;
    case EAI_AGAIN: return net_error(errc::try_again);
    case EAI_SERVICE: return net_error(errc::bad_port);
    case EAI_MEMORY: return -ENOMEM;
    case EAI_SYSTEM: return errno ? -errno : -EIO;
#ifdef EAI_ADDRFAMILY
    case EAI_ADDRFAMILY:
#endif
#ifdef EAI_NODATA
    case EAI_NODATA:
#endif
    case EAI_FAMILY: return net_error(errc::no_suitable);
    default: return net_error(errc::no_such_host);
    }
    int n = 0;
    for (const addrinfo* a = list; a && n < room; a = a->ai_next) {
        if (a->ai_family != AF_INET && a->ai_family != AF_INET6) continue;
        std::memcpy(out[n].raw(), a->ai_addr, a->ai_addrlen);
        out[n++].set_raw_size(a->ai_addrlen);
    }
    freeaddrinfo(list);
    return n;
}

}  // namespace detail

}  // namespace gort::net
