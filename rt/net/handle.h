// PUBLIC
// rt/net/handle.h - what conn, listener, packet_conn and fd share: a counted reference to an open descriptor.
// SPDX-License-Identifier: BSD-2-Clause
//
// Handles are copied freely, as channels are; every operation is a const member, so that one captured by value in a
// lambda just works. The last copy that goes away closes. One reader and one writer may be at work at the same time;
// further ones queue up and are served one at a time.
// Blocking: the goroutine is parked and its thread runs others; a thread of the program's own sleeps. SIGPIPE is never
//          raised.
// Deadlines: an operation that starts at or after its deadline, or is under way when it passes, fails with
//          std::errc::timed_out and has moved nothing (but see write). They stay until they are moved or cleared;
//          then the connection works as before. One for reading (also accept), one for writing (also a dial's connect).
// Memory order: what a goroutine did before it closed or set a deadline is seen by the operations that it ends.
//          Bytes that travel through a socket order nothing in the C++ sense.
// Context: goroutines and any other thread. Source: Go's package net and its internal/poll.
#pragma once

#include "../config.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "../result.h"
#include "../time.h"
#include "buffer.h"
#include "endpoint.h"
#include "error.h"

namespace gort::rt {
struct PollDesc;
}

namespace gort::net {

namespace detail {

using Desc = rt::PollDesc;
inline constexpr unsigned kReads = 1, kWrites = 2;

struct io_vector {  // the kernel's iovec
    const void* data;
    size_t size;
};

// What a canceled context does to a dial that is under way. Both words are the core's.
struct dial_control {
    void* desc = nullptr;
    uint32_t canceled = 0;
};
void cancel_dial(dial_control* control);

void retain(Desc* d);
void drop(Desc* d);
int close(Desc* d);
int set_deadline(Desc* d, unsigned sides, int64_t when);  // 0: none
int64_t deadline_in(int64_t ns);                          // from now
long read(Desc* d, void* to, size_t n);
long read_full(Desc* d, void* to, size_t n, size_t* done);
long write(Desc* d, const void* from, size_t n, size_t* done);
long writev(Desc* d, const io_vector* parts, size_t n, size_t* done);
long receive_from(Desc* d, void* to, size_t n, endpoint* from, bool* truncated);
long send_to(Desc* d, const void* from, size_t n, const endpoint& to);
int shut_down(Desc* d, int how);
int set_option(Desc* d, int level, int name, int value);
int endpoint_of(Desc* d, bool peer, endpoint* out);
int number_of(Desc* d);
int accept(Desc* d, Desc** out);
int listen(std::string_view network, std::string_view address, int backlog, Desc** out);
int dial(std::string_view network, std::string_view address, const endpoint* local, int64_t deadline,
         dial_control* control, Desc** out);
int bind_packets(std::string_view network, std::string_view address, Desc** out);
int adopt(int fd, bool owned, Desc** out);
int adopt_connected(int fd, Desc** out);
void bar(Desc* d, int error);  // until unbar every operation gets it
void unbar(Desc* d);
struct Access;
int release(Desc* d);
int wait(Desc* d, bool to_write);

inline result<void> done(int r) {
    if (r < 0) return error_of(r);
    return {};
}
inline result<size_t> count_of(long r) {
    if (r >= 0) return static_cast<size_t>(r);
    if (r == net_error(errc::eof)) return {0, error_of(r), true};
    return {0, error_of(r)};
}
inline result<size_t> count_of(long r, size_t moved) {
    if (r < 0) return {moved, error_of(r)};
    return moved;
}

// The runtime's clock is steady_clock's. time_point{} means none; what is before the clock's start has passed.
inline int64_t when_of(time_point t) {
    const int64_t ns = t.time_since_epoch().count();
    return t == time_point{} ? 0 : ns < 1 ? 1 : ns;
}
template <class Rep, class Period>
int64_t when_of(std::chrono::duration<Rep, Period> d) {
    return deadline_in(gort::detail::to_ns(d));
}

}  // namespace detail

class handle {
public:
    handle() = default;
    handle(std::nullptr_t) {}  // NOLINT(google-explicit-constructor)
    handle(const handle& o) : d_(o.d_) {
        if (d_) detail::retain(d_);
    }
    handle(handle&& o) noexcept : d_(std::exchange(o.d_, nullptr)) {}
    handle& operator=(handle o) noexcept {
        std::swap(d_, o.d_);
        return *this;
    }
    ~handle() {
        if (d_) detail::drop(d_);
    }

    explicit operator bool() const { return d_ != nullptr; }
    friend bool operator==(const handle& a, const handle& b) { return a.d_ == b.d_; }

    // Ends every operation that is under way with errc::closed, waits until the last has left, and closes the
    // descriptor. Every later operation, and a second close, gets errc::closed.
    result<void> close() const { return detail::done(detail::close(d_)); }

    // Sets when operations fail with std::errc::timed_out: the read deadline counts for read and accept, the write
    // deadline for write and connect, set_deadline sets both. An operation that is under way is bound by the new
    // one at once. time_point{} clears it. A duration counts from now; 0 or less has passed already. The names
    // without set_ do the same.
    result<void> set_deadline(time_point t) const {
        return set(detail::kReads | detail::kWrites, detail::when_of(t));
    }
    result<void> set_read_deadline(time_point t) const { return set(detail::kReads, detail::when_of(t)); }
    result<void> set_write_deadline(time_point t) const { return set(detail::kWrites, detail::when_of(t)); }
    result<void> read_deadline(time_point t) const { return set_read_deadline(t); }
    result<void> write_deadline(time_point t) const { return set_write_deadline(t); }
    template <class Rep, class Period>
    result<void> set_deadline(std::chrono::duration<Rep, Period> d) const {
        return set(detail::kReads | detail::kWrites, detail::when_of(d));
    }
    template <class Rep, class Period>
    result<void> set_read_deadline(std::chrono::duration<Rep, Period> d) const {
        return set(detail::kReads, detail::when_of(d));
    }
    template <class Rep, class Period>
    result<void> set_write_deadline(std::chrono::duration<Rep, Period> d) const {
        return set(detail::kWrites, detail::when_of(d));
    }
    template <class Rep, class Period>
    result<void> read_deadline(std::chrono::duration<Rep, Period> d) const {
        return set_read_deadline(d);
    }
    template <class Rep, class Period>
    result<void> write_deadline(std::chrono::duration<Rep, Period> d) const {
        return set_write_deadline(d);
    }

    // The descriptor's number, -1 once closed. It stays gort's: non-blocking, and closed by close.
    int native_handle() const { return detail::number_of(d_); }

    explicit handle(detail::Desc* d) : d_(d) {}  // takes over one reference

protected:
    friend struct detail::Access;
    result<void> set(unsigned sides, int64_t when) const {
        return detail::done(detail::set_deadline(d_, sides, when));
    }
    detail::Desc* d_ = nullptr;
};

namespace detail {
struct Access {  // the way from a handle to its descriptor, for the library's own headers
    static Desc* get(const handle& h) { return h.d_; }
};
}  // namespace detail

// What all sockets have: the addresses of both ends, and setsockopt for options that have no member of their own.
class socket : public handle {
public:
    using handle::handle;
    // The address of this side, and that of the other one.
    result<endpoint> local_endpoint() const { return end(false); }
    result<endpoint> remote_endpoint() const { return end(true); }
    // setsockopt with an int: set_option(SOL_SOCKET, SO_RCVBUF, 1 << 20).
    result<void> set_option(int level, int name, int value) const {
        return detail::done(detail::set_option(d_, level, name, value));
    }

private:
    result<endpoint> end(bool peer) const {
        endpoint e;
        if (const int r = detail::endpoint_of(d_, peer, &e)) return detail::error_of(r);
        return e;
    }
};

}  // namespace gort::net
