// PUBLIC
// rt/net/conn.h - streams: conn and listener, for TCP and Unix sockets. How to get one: tcp.h, unix.h.
// SPDX-License-Identifier: BSD-2-Clause
//
// See handle.h for copying, blocking, deadlines and threads.
#pragma once

#include "../config.h"

#include <initializer_list>
#include <span>

#include "handle.h"

namespace gort::net {

// A connection.
class conn : public socket {
public:
    using socket::socket;

    // Reads up to b.size bytes, as soon as there are any; how many. Into an empty buffer it reads 0 at once. At the
    // end of the stream the error is errc::eof, and value() is 0.
    result<size_t> read(mutable_buffer b) const { return detail::count_of(detail::read(d_, b.data, b.size)); }

    // Reads exactly b.size bytes. errc::eof if the end came before the first byte, errc::unexpected_eof if it came
    // later; partial() says how many were read.
    result<size_t> read_full(mutable_buffer b) const {
        size_t moved = 0;
        const long r = detail::read_full(d_, b.data, b.size, &moved);
        if (r == detail::net_error(errc::eof)) return detail::count_of(r);
        return detail::count_of(r, moved);
    }

    // Writes all of it, unless there is an error; partial() then says how much the kernel took. Another write on
    // the same connection comes before it or after it, never between.
    result<size_t> write(const_buffer b) const {
        size_t moved = 0;
        const long r = detail::write(d_, b.data, b.size, &moved);
        return detail::count_of(r, moved);
    }

    // Writes the parts one after the other, as one write.
    result<size_t> writev(std::span<const const_buffer> parts) const {
        size_t moved = 0;
        const long r = detail::writev(d_, reinterpret_cast<const detail::io_vector*>(parts.data()),
                                      parts.size(), &moved);
        return detail::count_of(r, moved);
    }
    result<size_t> writev(std::initializer_list<const_buffer> parts) const {
        return writev(std::span(parts.begin(), parts.size()));
    }

    // close_write ends the sending half: the peer reads what is under way and then the end, and reading goes on here.
    // close_read ends the receiving half.
    result<void> close_write() const { return detail::done(detail::shut_down(d_, 1)); }
    result<void> close_read() const { return detail::done(detail::shut_down(d_, 0)); }

    // Blocks until reading (writing) would not block: until there is data (room), the end, or an error. Returns at
    // once if that is so already. For programs that read and write the descriptor themselves, or through a library.
    result<void> wait_readable() const { return detail::done(detail::wait(d_, false)); }
    result<void> wait_writable() const { return detail::done(detail::wait(d_, true)); }

    // Takes a connected socket over (of any family; it becomes non-blocking): close, or the end of the last copy,
    // closes it. On an error it stays the caller's, as it was: std::errc::not_a_socket, not_connected,
    // bad_file_descriptor; file_exists: gort has it already.
    static result<conn> adopt(int fd) {
        detail::Desc* d = nullptr;
        if (const int r = detail::adopt_connected(fd, &d)) return detail::error_of(r);
        return conn(d);
    }
    // Gives the socket up: as close, for all copies, but it stays open, non-blocking, and is the caller's. -1 if it has
    // been closed or given up before.
    int release() const {
        const int fd = detail::release(d_);
        return fd < 0 ? -1 : fd;
    }

    // TCP: on by default, as in Go: small writes leave at once.
    result<void> set_no_delay(bool on) const { return detail::done(detail::set_option(d_, 6, 1, on)); }
};
static_assert(sizeof(const_buffer) == sizeof(detail::io_vector));

// A socket that waits for connections.
class listener : public socket {
public:
    using socket::socket;

    // Waits for the next connection. Connections that were aborted while they waited are skipped. Too many open
    // descriptors is an error like others (std::errc::too_many_files_open): the connection waits; close something,
    // or pause, and try again.
    [[nodiscard]] result<conn> accept() const {
        detail::Desc* d = nullptr;
        if (const int r = detail::accept(d_, &d)) return detail::error_of(r);
        return conn(d);
    }
    // The address that it listens on.
    result<endpoint> endpoint_of() const { return local_endpoint(); }
    // The port that it listens on, which the system has chosen if the address said 0.
    uint16_t port() const {
        const result<endpoint> e = local_endpoint();
        return e ? e->port() : uint16_t{0};
    }
};

}  // namespace gort::net
