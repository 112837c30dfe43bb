// rt/net/calls.h - the system calls of sockets, which a simulation's descriptors answer themselves
// (rt/base/sim_seam.h).
// SPDX-License-Identifier: BSD-2-Clause
//
// Names, arguments and results are those of kernel/sys.h. What a simulation's sockets need not know (most options) is
// taken without a word.
#pragma once

#include <linux/errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "kernel/sys.h"
#include "rt/base/sim_seam.h"

namespace gort::net::detail {

// The run has ended: no thread answers its calls.
inline const rt::SimNet* sim_net() {
    const rt::SimHooks* sim = rt::simulation();
    return sim ? sim->net : nullptr;
}
template <class F, class G>
auto call(int fd, F simulated, G real) -> decltype(real()) {
    if (!rt::is_simulated(fd)) [[likely]]
        return real();
    const rt::SimNet* net = sim_net();
    return net ? static_cast<decltype(real())>(simulated(net)) : -EBADF;
}

inline int sys_socket(int family, int type, int protocol) {
    if (const rt::SimNet* net = sim_net()) return net->socket(family, type);
    return kernel::sys_socket(family, type, protocol);
}
inline int sys_setsockopt(int fd, int level, int name, const void* value, uint32_t n) {
    return call(
        fd, [](auto) { return 0; }, [=] { return kernel::sys_setsockopt(fd, level, name, value, n); });
}
inline int sys_getsockopt(int fd, int level, int name, void* value, uint32_t* n) {
    return call(
        fd,
        [=](auto net) {
            *static_cast<int*>(value) = level == SOL_SOCKET && name == SO_ERROR ? net->error(fd) : 0;
            return 0;
        },
        [=] { return kernel::sys_getsockopt(fd, level, name, value, n); });
}
inline int sys_bind(int fd, const sockaddr* address, uint32_t n) {
    return call(
        fd, [=](auto net) { return net->bind(fd, address, n); },
        [=] { return kernel::sys_bind(fd, address, n); });
}
inline int sys_listen(int fd, int backlog) {
    return call(
        fd, [=](auto net) { return net->listen(fd, backlog); },
        [=] { return kernel::sys_listen(fd, backlog); });
}
inline int sys_connect(int fd, const sockaddr* address, uint32_t n) {
    return call(
        fd, [=](auto net) { return net->connect(fd, address, n); },
        [=] { return kernel::sys_connect(fd, address, n); });
}
inline int sys_accept4(int fd, sockaddr* address, uint32_t* n, int flags) {
    return call(
        fd, [=](auto net) { return net->accept(fd); },
        [=] { return kernel::sys_accept4(fd, address, n, flags); });
}
inline int sys_shutdown(int fd, int how) {
    return call(
        fd, [=](auto net) { return net->shutdown(fd, how); }, [=] { return kernel::sys_shutdown(fd, how); });
}
inline int sys_getsockname(int fd, sockaddr* address, uint32_t* n) {
    return call(
        fd, [=](auto net) { return net->name(fd, false, address, n); },
        [=] { return kernel::sys_getsockname(fd, address, n); });
}
inline int sys_getpeername(int fd, sockaddr* address, uint32_t* n) {
    return call(
        fd, [=](auto net) { return net->name(fd, true, address, n); },
        [=] { return kernel::sys_getpeername(fd, address, n); });
}
inline int sys_close(int fd) {
    return call(
        fd, [=](auto net) { return net->close(fd), 0; }, [=] { return kernel::sys_close(fd); });
}
inline int sim_ready(int fd, bool to_write) {
    const rt::SimNet* net = sim_net();
    return net ? net->ready(fd, to_write) : -EBADF;
}
inline long recv_bytes(int fd, void* to, size_t n) {
    return call(
        fd, [=](auto net) { return net->receive(fd, to, n, nullptr, nullptr, nullptr); },
        [=] { return long{kernel::sys_recvfrom(fd, to, n, 0, nullptr, nullptr)}; });
}
inline long sys_sendto(int fd, const void* from, size_t n, int flags, const sockaddr* to, uint32_t to_size) {
    return call(
        fd, [=](auto net) { return net->send(fd, from, n, to, to_size); },
        [=] { return long{kernel::sys_sendto(fd, from, n, flags, to, to_size)}; });
}
// The first part that is not empty, which is as good as all.
inline long sys_sendmsg(int fd, const msghdr* m, int flags) {
    return call(
        fd,
        [=](auto net) {
            size_t i = 0;
            while (i + 1 < m->msg_iovlen && m->msg_iov[i].iov_len == 0) ++i;
            return net->send(fd, m->msg_iov[i].iov_base, m->msg_iov[i].iov_len, nullptr, 0);
        },
        [=] { return long{kernel::sys_sendmsg(fd, m, flags)}; });
}
inline long sys_recvmsg(int fd, msghdr* m, int flags) {
    return call(
        fd,
        [=](auto net) {
            bool truncated = false;
            const long r = net->receive(fd, m->msg_iov->iov_base, m->msg_iov->iov_len, m->msg_name,
                                        &m->msg_namelen, &truncated);
            m->msg_flags = truncated ? MSG_TRUNC : 0;
            return r;
        },
        [=] { return long{kernel::sys_recvmsg(fd, m, flags)}; });
}

}  // namespace gort::net::detail
