// rt/net/transfer.cc - moving bytes: reading, writing, datagrams, of whatever a descriptor is.
// SPDX-License-Identifier: BSD-2-Clause
//
// A round trip of a busy TCP connection is one recv and one send that both succeed. The recv that would only say
// "nothing yet" is not made: after a short one the next waits for the poller's edge (PollDesc::drained).
#include <sys/uio.h>

#include "arch/sanitize.h"
#include "kernel/sys.h"
#include "rt/go.h"
#include "rt/net/calls.h"
#include "rt/net/socket.h"

namespace gort::net::detail {

using namespace rt;

namespace {

constexpr uint64_t kSigPipe = 1u << (13 - 1);
constexpr int kSigBlock = 0, kSigSetMask = 2;

// EPIPE without its signal, on what has no MSG_NOSIGNAL. Standard output and error keep the system's behaviour, so that
// a program in a pipeline ends when its reader does.
template <class F>
long without_sigpipe(int fd, F call) {
    if (fd == 1 || fd == 2) return call();
    uint64_t old = 0;
    kernel::sys_rt_sigprocmask(kSigBlock, &kSigPipe, &old);
    const long r = call();
    if (r == -EPIPE && !(old & kSigPipe)) {
        const kernel::Timespec none{0, 0};
        while (kernel::sys_rt_sigtimedwait(&kSigPipe, &none) == -EINTR) {
        }
    }
    kernel::sys_rt_sigprocmask(kSigSetMask, &old, nullptr);
    return r;
}

// Files cannot be waited for: the call itself waits, for the disk, and others go on with the P meanwhile. Afterwards we
// may be on another thread.
template <class F>
long on_file(F call) {
    const bool on = gort::detail::blocking_begin();
    long r;
    do {
        r = call();
    } while (r == -EINTR);
    if (on) gort::detail::blocking_end();
    return r == -EAGAIN ? kErrNotPollable : r;  // somebody made it non-blocking, and it knows that
}

long read_plain(const PollDesc* d, int fd, void* to, size_t n) {
    if (d->flags & kDescFile) return on_file([&] { return kernel::sys_read(fd, to, n); });
    return kernel::sys_read(fd, to, n);
}

long write_plain(const PollDesc* d, int fd, const void* from, size_t n) {
    if (d->flags & kDescFile) return on_file([&] { return kernel::sys_write(fd, from, n); });
    return without_sigpipe(fd, [&] { return kernel::sys_write(fd, from, n); });
}

// For TSan: a read comes after the write whose bytes it gets, as in Go. The kernel orders them; TSan cannot know.
#if GORT_TSAN
std::atomic<uint32_t> io_order{0};
void wrote() { io_order.fetch_add(1, std::memory_order_release); }   // S1
void has_read() { (void)io_order.load(std::memory_order_acquire); }  // S1
#else
void wrote() {}
void has_read() {}
#endif

long recv_once(PollDesc* d, void* to, size_t n) {
    return until_done(d, kRead, [&](int fd) {
        return d->flags & kDescSocket ? recv_bytes(fd, to, n) : read_plain(d, fd, to, n);
    });
}

}  // namespace

long read(Desc* d, void* to, size_t n) {
    if (!d) return kErrClosed;
    if (n == 0)
        return poll_with(
            d, [](int, void*) { return 0; }, nullptr);
    if (const int r = poll_begin(d, kRead)) return r;
    long r = recv_once(d, to, n);
    poll_end(d, kRead, r > 0 && static_cast<size_t>(r) < n && (d->flags & kDescTcp));
    has_read();
    if (r == 0 && (d->flags & kDescStream)) r = net_error(errc::eof);
    return r;
}

long read_full(Desc* d, void* to, size_t n, size_t* done) {
    *done = 0;
    if (!d) return kErrClosed;
    if (n == 0)
        return poll_with(
            d, [](int, void*) { return 0; }, nullptr);
    if (const int b = poll_begin(d, kRead)) return b;
    long r = 0;
    while (*done < n) {
        r = recv_once(d, static_cast<char*>(to) + *done, n - *done);
        if (r <= 0) break;
        *done += static_cast<size_t>(r);
    }
    poll_end(d, kRead);
    has_read();
    if (r == 0) r = net_error(*done ? errc::unexpected_eof : errc::eof);
    return r;
}

long write(Desc* d, const void* from, size_t n, size_t* done) {
    *done = 0;
    if (!d) return kErrClosed;
    wrote();
    if (const int r = poll_begin(d, kWrite)) return r;
    long r = 0;
    do {  // a datagram may be empty
        const char* at = static_cast<const char*>(from) + *done;
        const size_t left = n - *done;
        r = until_done(d, kWrite, [&](int fd) {
            if (d->flags & kDescSocket) return sys_sendto(fd, at, left, MSG_NOSIGNAL, nullptr, 0);
            return write_plain(d, fd, at, left);
        });
        if (r < 0) break;
        *done += static_cast<size_t>(r);
    } while (*done < n);
    poll_end(d, kWrite);
    return r < 0 ? r : 0;
}

long writev(Desc* d, const io_vector* parts, size_t n, size_t* done) {
    *done = 0;
    if (!d) return kErrClosed;
    wrote();
    if (const int r = poll_begin(d, kWrite)) return r;
    constexpr size_t kMost = 16;
    size_t at = 0, skip = 0;  // parts sent whole, bytes of the next one
    long r = 0;
    while (r >= 0 && at < n) {
        iovec v[kMost];
        size_t k = 0;
        for (; k < kMost && at + k < n; ++k) {
            const size_t s = k == 0 ? skip : 0;
            v[k] = {const_cast<char*>(static_cast<const char*>(parts[at + k].data) + s),
                    parts[at + k].size - s};
        }
        r = until_done(d, kWrite, [&](int fd) {
            if (d->flags & kDescSocket) {
                msghdr m{};
                m.msg_iov = v;
                m.msg_iovlen = k;
                return sys_sendmsg(fd, &m, MSG_NOSIGNAL | (at + k < n ? MSG_MORE : 0));
            }
            const auto call = [&] { return kernel::sys_writev(fd, v, static_cast<int>(k)); };
            return d->flags & kDescFile ? on_file(call) : without_sigpipe(fd, call);
        });
        if (r < 0) break;
        *done += static_cast<size_t>(r);
        size_t left = static_cast<size_t>(r) + skip;
        while (at < n && left >= parts[at].size) left -= parts[at++].size;
        skip = left;
    }
    poll_end(d, kWrite);
    return r < 0 ? r : 0;
}

long receive_from(Desc* d, void* to, size_t n, endpoint* from, bool* truncated) {
    if (!d) return kErrClosed;
    if (const int r = poll_begin(d, kRead)) return r;
    msghdr m{};
    iovec v{to, n};
    const long r = until_done(d, kRead, [&](int fd) {
        m.msg_iov = &v;
        m.msg_iovlen = 1;
        m.msg_name = from->raw();
        m.msg_namelen = sizeof(sockaddr_un);
        return sys_recvmsg(fd, &m, 0);
    });
    poll_end(d, kRead);
    has_read();
    if (r >= 0) from->set_raw_size(m.msg_namelen);
    if (truncated) *truncated = r >= 0 && (m.msg_flags & MSG_TRUNC);
    return r;
}

long send_to(Desc* d, const void* from, size_t n, const endpoint& to) {
    if (!d) return kErrClosed;
    wrote();
    if (const int r = poll_begin(d, kWrite)) return r;
    const long r = until_done(d, kWrite, [&](int fd) {
        return sys_sendto(fd, from, n, MSG_NOSIGNAL, sockaddr_of(to), to.raw_size());
    });
    poll_end(d, kWrite);
    return r;
}

}  // namespace gort::net::detail
