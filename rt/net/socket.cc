// rt/net/socket.cc - sockets: opening, binding, connecting, accepting, options; system calls over rt/net/netpoll.h.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/net/socket.h"

#include <fcntl.h>
#include <poll.h>

#include "kernel/mem.h"
#include "kernel/sys.h"
#include "rt/time/clock.h"
#include "rt/go.h"
#include "rt/net/calls.h"

namespace gort::net::detail {

using namespace rt;

namespace {

constexpr int kKeepAlive = 15;                          // seconds; Go's figure
constexpr int kBacklog = 65535;                         // the kernel takes its own limit if that is less
constexpr int64_t kLeastShare = 2 * kernel::kNsPerSec;  // of a dial's time for one of several addresses

int set_int(int fd, int level, int name, int value) {
    return sys_setsockopt(fd, level, name, &value, sizeof value);
}

// Inherited by what is accepted, so an accepted connection costs none of these calls.
void set_defaults(int fd, int family, int type) {
    if (type == SOCK_STREAM && family != AF_UNIX) {
        set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
        set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
        set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, kKeepAlive);
        set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, kKeepAlive);
    }
    if (type == SOCK_DGRAM && family != AF_UNIX) set_int(fd, SOL_SOCKET, SO_BROADCAST, 1);
}

uint16_t flags_of(int family, int type) {
    uint16_t flags = kDescSocket;
    if (type == SOCK_STREAM) flags |= kDescStream;
    if (type == SOCK_STREAM && family != AF_UNIX) flags |= kDescTcp;
    if (type == SOCK_SEQPACKET) flags |= kDescStream;  // an empty packet looks like the end there
    return flags;
}

}  // namespace

void retain(Desc* d) { poll_retain(d); }
void drop(Desc* d) { poll_drop(d); }
int close(Desc* d) { return d ? poll_close(d) : net_error(errc::closed); }
int release(Desc* d) { return d ? poll_release(d) : net_error(errc::closed); }
int set_deadline(Desc* d, unsigned sides, int64_t when) {
    return d ? poll_set_deadline(d, sides, when) : net_error(errc::closed);
}
int64_t deadline_in(int64_t ns) { return ns <= 0 ? 1 : deadline_after(now(), ns); }

int shut_down(Desc* d, int how) {
    if (!d) return kErrClosed;
    return poll_with(
        d, [](int fd, void* arg) { return sys_shutdown(fd, *static_cast<int*>(arg)); }, &how);
}

int set_option(Desc* d, int level, int name, int value) {
    if (!d) return kErrClosed;
    int args[] = {level, name, value};
    return poll_with(
        d,
        [](int fd, void* a) {
            return set_int(fd, static_cast<int*>(a)[0], static_cast<int*>(a)[1], static_cast<int*>(a)[2]);
        },
        args);
}

int endpoint_of(Desc* d, bool peer, endpoint* out) {
    if (!d) return kErrClosed;
    struct Args {
        bool peer;
        endpoint* out;
    } args{peer, out};
    return poll_with(
        d,
        [](int fd, void* p) {
            const auto* a = static_cast<Args*>(p);
            uint32_t n = sizeof(sockaddr_un);
            const int r = a->peer ? sys_getpeername(fd, sockaddr_of(*a->out), &n)
                                  : sys_getsockname(fd, sockaddr_of(*a->out), &n);
            if (r == 0) a->out->set_raw_size(n);
            return r;
        },
        &args);
}

int number_of(Desc* d) {
    if (!d) return -1;
    const int r = poll_with(
        d, [](int fd, void*) { return fd; }, nullptr);
    return r < 0 ? -1 : r;
}

namespace {
int wrap(int fd, uint16_t flags, bool at_once, Desc** out) {
    const int r = poll_open(fd, flags, at_once, out);
    if (r && !(flags & kDescBorrowed)) sys_close(fd);
    return r;
}
}  // namespace

int accept(Desc* d, Desc** out) {
    if (!d) return kErrClosed;
    if (const int r = poll_begin(d, kRead)) return r;
    long fd;
    do {
        fd = until_done(d, kRead,
                        [](int l) { return sys_accept4(l, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC); });
    } while (fd == -ECONNABORTED);
    const uint16_t flags = d->flags & (kDescSocket | kDescStream | kDescTcp);
    poll_end(d, kRead);
    if (fd < 0) return static_cast<int>(fd);
    return wrap(static_cast<int>(fd), flags, false, out);
}

int open_socket(int family, int type, int* fd) {
    *fd = sys_socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0) return *fd;
    set_defaults(*fd, family, type);
    return 0;
}

namespace {

// Binds, and listens if there is something to accept. "::" takes IPv4 as well unless the network says 6.
int bind_one(const Network& net, const endpoint& e, int backlog, bool both, Desc** out) {
    int fd;
    if (const int r = open_socket(e.family(), net.type, &fd)) return r;
    int r = 0;
    if (e.family() == AF_INET6) set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, !both);
    if (e.family() != AF_UNIX && net.type == SOCK_STREAM) set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    r = sys_bind(fd, sockaddr_of(e), e.raw_size());
    if (r == 0 && net.type != SOCK_DGRAM) r = sys_listen(fd, backlog > 0 ? backlog : kBacklog);
    if (r) {
        sys_close(fd);
        return r;
    }
    return wrap(fd, flags_of(e.family(), net.type), true, out);
}

int bind_named(const Network& net, std::string_view address, int backlog, Desc** out) {
    endpoint all[kMostAddresses];
    const int n = endpoints_of(net, address, true, all, kMostAddresses);
    if (n < 0) return n;
    int r = 0;
    for (int i = 0; i < n; ++i) {
        const bool any = net.family == AF_UNSPEC && !address.empty() && address.front() == ':';
        r = bind_one(net, all[i], backlog, any, out);
        if (any && r == -EAFNOSUPPORT) {  // a machine without IPv6
            endpoint v4;
            numeric_endpoint("0.0.0.0", all[i].port(), &v4);
            r = bind_one(net, v4, backlog, false, out);
        }
        if (r == 0) return 0;
    }
    return r;
}

// With one port in the system's range for both ends, TCP may connect a socket to itself.
bool connected_to_itself(int fd) {
    endpoint a, b;
    uint32_t n = sizeof(sockaddr_un), m = n;
    if (sys_getsockname(fd, sockaddr_of(a), &n) || sys_getpeername(fd, sockaddr_of(b), &m)) return false;
    a.set_raw_size(n);
    b.set_raw_size(m);
    return n == m && same({static_cast<char*>(a.raw()), n}, {static_cast<char*>(b.raw()), m});
}

int wait_connected(Desc* d) {
    for (;;) {
        if (const int r = poll_wait(d, kWrite)) return r;
        int error = 0;
        uint32_t n = sizeof error;
        if (const int r = sys_getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &error, &n)) return r;
        if (error == EISCONN) return 0;
        if (error && error != EINPROGRESS && error != EALREADY && error != EINTR) return -error;
        if (error) continue;
        endpoint peer;
        n = sizeof(sockaddr_un);
        if (const int r = sys_getpeername(d->fd, sockaddr_of(peer), &n); r != -ENOTCONN) return r;
    }
}

bool canceled(const dial_control* c) { return c && __atomic_load_n(&c->canceled, __ATOMIC_SEQ_CST); }

int connect_one(const Network& net, const endpoint& to, const endpoint* local, int64_t deadline,
                dial_control* control, Desc** out) {
    int fd;
    if (const int r = open_socket(to.family(), net.type, &fd)) return r;
    int r = 0;
    if (local && local->family()) r = sys_bind(fd, sockaddr_of(*local), local->raw_size());
    if (r == 0) do {
            r = sys_connect(fd, sockaddr_of(to), to.raw_size());
        } while (r == -EINTR);
    if (r == -EALREADY) r = -EINPROGRESS;
    if (r == -EISCONN) r = 0;
    if (r && r != -EINPROGRESS) {
        sys_close(fd);
        return r;
    }
    Desc* d;
    if (const int w = wrap(fd, flags_of(to.family(), net.type), false, &d)) return w;
    if (r == -EINPROGRESS) {
        poll_set_deadline(d, 2, deadline);
        if (control) {
            poll_retain(d);
            // 1, then look: cancel_dial does it the other way round
            __atomic_store_n(&control->desc, d, __ATOMIC_SEQ_CST);
        }
        r = canceled(control) ? -ECANCELED : poll_begin(d, kWrite);
        if (r == 0) {
            r = wait_connected(d);
            poll_end(d, kWrite);
        }
        if (control && __atomic_exchange_n(&control->desc, nullptr, __ATOMIC_SEQ_CST)) poll_drop(d);
        if (r == 0) r = poll_set_deadline(d, 2, 0);
    }
    if (r == 0 && net.type == SOCK_STREAM && to.family() != AF_UNIX && connected_to_itself(d->fd))
        r = -ECONNREFUSED;
    if (r) poll_drop(d);
    else *out = d;
    return r;
}

}  // namespace

void cancel_dial(dial_control* control) {
    __atomic_store_n(&control->canceled, 1, __ATOMIC_SEQ_CST);
    auto* d = static_cast<Desc*>(__atomic_exchange_n(&control->desc, nullptr, __ATOMIC_SEQ_CST));
    if (!d) return;
    poll_set_deadline(d, 2, 1);
    poll_drop(d);
}

int listen(std::string_view network, std::string_view address, int backlog, Desc** out) {
    Network net;
    if (const int r = network_named(network, &net)) return r;
    if (net.type == SOCK_DGRAM) return net_error(errc::unknown_network);
    return bind_named(net, address, backlog, out);
}

int bind_packets(std::string_view network, std::string_view address, Desc** out) {
    Network net;
    if (const int r = network_named(network, &net)) return r;
    if (net.type != SOCK_DGRAM) return net_error(errc::unknown_network);
    return bind_named(net, address, 0, out);
}

int dial(std::string_view network, std::string_view address, const endpoint* local, int64_t deadline,
         dial_control* control, Desc** out) {
    Network net;
    if (const int r = network_named(network, &net)) return r;
    if (deadline && deadline <= now()) return -ETIMEDOUT;
    endpoint all[kMostAddresses];
    const int n = endpoints_of(net, address, false, all, kMostAddresses);
    if (n < 0) return n;
    int first = 0;
    for (int i = 0; i < n; ++i) {
        int64_t until = deadline;
        if (deadline) {
            const int64_t t = now(), left = deadline - t;
            if (left <= 0) return first ? first : -ETIMEDOUT;
            int64_t share = left / (n - i);
            if (share < kLeastShare) share = left < kLeastShare ? left : kLeastShare;
            until = t + share;
        }
        const int r = connect_one(net, all[i], local, until, control, out);
        if (canceled(control)) {
            if (r == 0) poll_drop(*out);
            return net_error(errc::canceled);
        }
        if (r == 0) return 0;
        if (!first) first = r;
    }
    return first;
}

int adopt(int fd, bool owned, Desc** out) {
    const int mode = kernel::sys_fcntl(fd, F_GETFL, 0);
    if (mode < 0) return mode;
    if (!(mode & O_NONBLOCK))
        if (const int r = kernel::sys_fcntl(fd, F_SETFL, static_cast<unsigned long>(mode | O_NONBLOCK));
            r < 0)
            return r;
    int type = 0;
    uint32_t n = sizeof type;
    uint16_t flags = kDescStream;
    if (sys_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0)
        flags = type == SOCK_DGRAM ? kDescSocket : static_cast<uint16_t>(kDescSocket | kDescStream);
    if (!owned) flags |= kDescBorrowed;
    int r = poll_open(fd, static_cast<uint16_t>(flags | kDescShared), true, out);
    if (r == 0) return 0;
    if (!(mode & O_NONBLOCK)) kernel::sys_fcntl(fd, F_SETFL, static_cast<unsigned long>(mode));
    if (r == -EPERM) r = poll_open(fd, static_cast<uint16_t>(flags | kDescFile), false, out);
    return r;
}

int adopt_connected(int fd, Desc** out) {
    int type = 0;
    uint32_t n = sizeof type;
    if (const int r = sys_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n); r < 0) return r;
    endpoint peer;
    n = sizeof(sockaddr_un);
    if (const int r = sys_getpeername(fd, sockaddr_of(peer), &n); r < 0) return r;
    return adopt(fd, true, out);
}

void bar(Desc* d, int error) {
    if (d) poll_bar(d, error);
}
void unbar(Desc* d) {
    if (d) poll_unbar(d);
}

// The caller need not have read until nothing was left, so an edge may be long past: what holds now is asked first.
int wait(Desc* d, bool to_write) {
    if (!d) return kErrClosed;
    const unsigned side = to_write ? kWrite : kRead;
    if (const int r = poll_begin(d, side)) return r;
    const kernel::Timespec none{0, 0};
    int r;
    do {
        pollfd p{d->fd, static_cast<short>(to_write ? POLLOUT : POLLIN), 0};
        r = is_simulated(d->fd) ? sim_ready(d->fd, to_write) : kernel::sys_ppoll(&p, 1, &none);
    } while (r == -EINTR);
    if (r == 0) r = poll_wait(d, side);
    poll_end(d, side);
    return r < 0 ? r : 0;
}

}  // namespace gort::net::detail
