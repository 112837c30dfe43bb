// PUBLIC
// rt/net/fd.h - fd: any descriptor: what epoll takes (pipes, eventfd, timerfd, inotify, a library's socket) on gort's
// poller, and files.
// SPDX-License-Identifier: BSD-2-Clause
//
// See handle.h for copying, blocking, deadlines and threads. The descriptor is made non-blocking. It must be given
// to one fd at a time only: a second one is std::errc::file_exists.
// Descriptors that epoll refuses (regular files, /dev/null, directories; standard input may be redirected to one)
// stay as they are, and are always ready. A read or write of such a descriptor blocks its thread, as in
// gort::blocking, and other goroutines go on. It cannot be interrupted: a deadline is looked at before it begins,
// and close waits for its end.
//
//      gort::net::fd events(eventfd(0, EFD_CLOEXEC));
//      uint64_t n;
//      events.read({&n, sizeof n});                     // parks until something was written
#pragma once

#include "handle.h"

namespace gort::net {

class fd : public handle {
public:
    using handle::handle;

    // Takes the descriptor over: close, or the end of the last copy, closes it. Throws std::system_error; adopt does
    // not, and on an error leaves it to the caller.
    explicit fd(int number) {
        if (const int r = detail::adopt(number, true, &d_)) gort::detail::throw_error(detail::error_of(r));
    }
    // The same as the constructor, with a result instead of an exception.
    static result<fd> adopt(int number) { return wrap(number, true); }

    // Uses a descriptor that stays the caller's, who must keep it open until close has returned. close, and the end
    // of the last copy, only end the waiting for it.
    static result<fd> borrow(int number) { return wrap(number, false); }

    // As close, but hands the descriptor back, still non-blocking.
    result<int> release() const {
        const int r = detail::release(d_);
        if (r < 0) return detail::error_of(r);
        return r;
    }

    // Blocks until reading (writing) would not block: until there is data (room), the end, or an error. Returns at
    // once if that is so already. The deadlines count.
    result<void> wait_readable() const { return detail::done(detail::wait(d_, false)); }
    result<void> wait_writable() const { return detail::done(detail::wait(d_, true)); }

    // As conn::read and conn::write. A write to a pipe without a reader is std::errc::broken_pipe and no signal,
    // but for descriptors 1 and 2.
    result<size_t> read(mutable_buffer b) const { return detail::count_of(detail::read(d_, b.data, b.size)); }
    result<size_t> write(const_buffer b) const {
        size_t moved = 0;
        const long r = detail::write(d_, b.data, b.size, &moved);
        return detail::count_of(r, moved);
    }

private:
    static result<fd> wrap(int number, bool owned) {
        detail::Desc* d = nullptr;
        if (const int r = detail::adopt(number, owned, &d)) return detail::error_of(r);
        return fd(d);
    }
};

}  // namespace gort::net
