// PUBLIC
// chan/status.h - push and pop: a channel's operations with a status instead of a panic or a bool, and with deadlines.
// SPDX-License-Identifier: BSD-2-Clause
//
//      switch (jobs.push_for(std::move(job), 10ms)) {
//          case gort::channel_status::ok: break;
//          case gort::channel_status::timeout: drop(job); break;    // still there
//          case gort::channel_status::closed: return;
//          default: break;
//      }
//
// Members of chan<T>; push's of send_chan<T>, pop's of recv_chan<T>. They do what send and recv do, in the same queues:
//      push(v)              blocks        ok, closed
//      try_push(v)          never blocks  ok, closed, full
//      push_for(v, d)       at most d     ok, closed, timeout
//      push_until(v, t)     until t       ok, closed, timeout
//      pop(out)             blocks        ok, closed
//      try_pop(out)         never blocks  ok, closed, empty
//      pop_for(out, d)      at most d     ok, closed, timeout
//      pop_until(out, t)    until t       ok, closed, timeout
// What can be done at once is done, also if the deadline has passed. A closed channel that still holds values gives
// them. An lvalue is copied, before anything else; an rvalue is moved from only if the status is ok. out is
// assigned to if the status is ok, and becomes T{} (if there is that) if it is closed, as with recv; else it stays
// as it was. A nil channel is never ready: push and pop block for ever, the others are full, empty or timeout.
// Deadlines: rt/time.h. A push or pop that is one side of an exchange when its deadline passes is ok.
//
// Context: any goroutine and any other thread; a thread that blocks sleeps on a futex. After gort::stop a push or pop
//          of such a thread that must wait is a panic, as send and recv are; one with a deadline waits for that.
// Memory order: as send and recv (chan.h) if the status is ok or closed; else none.
// Source:  Go has no such form; the names and statuses are those of Boost.Fiber's channels.
#pragma once

#include "../rt/config.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include "../rt/time.h"
#include "select_ops.h"
#include "typed.h"

namespace gort {

enum class channel_status { ok, closed, full, empty, timeout };

namespace detail {

inline channel_status status_of(Selected r, channel_status late) {
    return r.index < 0 ? late : r.ok ? channel_status::ok : channel_status::closed;
}

template <class T>
channel_status push_move(Hchan* c, T& value, int64_t deadline, channel_status late) {
    static_assert(sizeof(Ops<T>::table) > 0);
    SelectItem it;
    it.c = c;
    it.sends = true;
    it.is_word = is_word<T>;
    if constexpr (is_word<T>) it.word = to_word(value);
    else it.at = std::addressof(value);
    return status_of(select_until1(&it, deadline), late);
}

template <class T>
channel_status push_copy(Hchan* c, const T& value, int64_t deadline, channel_status late) {
    if constexpr (is_word<T>) {
        return push_move(c, const_cast<T&>(value), deadline, late);  // it is only read
    } else {
        T copy(value);
        return push_move(c, copy, deadline, late);
    }
}

template <class T>
channel_status pop_into(Hchan* c, T& out, int64_t deadline, channel_status late) {
    SelectItem it;
    it.c = c;
    it.sends = false;
    it.is_word = is_word<T>;
    channel_status status;
    if constexpr (is_word<T>) {
        it.word = 0;
        status = status_of(select_until1(&it, deadline), late);
        if (status == channel_status::ok) out = from_word<T>(it.word);
    } else {
        Place<T> place;
        it.at = place.address();
        status = status_of(select_until1(&it, deadline), late);
        if (status == channel_status::ok) {
            place.filled();
            out = std::move(place.get());
        }
    }
    if (status == channel_status::closed) set_default(out);
    return status;
}

// What a handle C of a channel of T inherits.
template <class C, class T>
class Pushes {
    using status = channel_status;
    Hchan* hchan() const { return Access::get(static_cast<const C&>(*this)); }

public:
    status push(const T& value) const requires std::is_copy_constructible_v<T> {
        return push_copy(hchan(), value, kNoDeadline, status::timeout);
    }
    status push(T&& value) const { return push_move(hchan(), value, kNoDeadline, status::timeout); }

    status try_push(const T& value) const requires std::is_copy_constructible_v<T> {
        return push_copy(hchan(), value, kPassed, status::full);
    }
    status try_push(T&& value) const { return push_move(hchan(), value, kPassed, status::full); }

    template <class Rep, class Period>
    status push_for(const T& value,
                    std::chrono::duration<Rep, Period> d) const requires std::is_copy_constructible_v<T> {
        return push_copy(hchan(), value, deadline_in(d), status::timeout);
    }
    template <class Rep, class Period>
    status push_for(T&& value, std::chrono::duration<Rep, Period> d) const {
        return push_move(hchan(), value, deadline_in(d), status::timeout);
    }

    template <class Clock, class D>
    status push_until(const T& value, const std::chrono::time_point<Clock, D>& t)
        const requires std::is_copy_constructible_v<T> {
        T copy(value);
        return push_until(std::move(copy), t);
    }
    template <class Clock, class D>
    status push_until(T&& value, const std::chrono::time_point<Clock, D>& t) const {
        return wait_for_instant(t, status::timeout, [&](int64_t deadline) {
            return push_move(hchan(), value, deadline, status::timeout);
        });
    }
};

template <class C, class T>
class Pops {
    using status = channel_status;
    Hchan* hchan() const { return Access::get(static_cast<const C&>(*this)); }

public:
    status pop(T& out) const requires std::is_move_assignable_v<T> {
        return pop_into(hchan(), out, kNoDeadline, status::timeout);
    }
    status try_pop(T& out) const requires std::is_move_assignable_v<T> {
        return pop_into(hchan(), out, kPassed, status::empty);
    }
    template <class Rep, class Period>
    status pop_for(T& out, std::chrono::duration<Rep, Period> d) const requires std::is_move_assignable_v<T> {
        return pop_into(hchan(), out, deadline_in(d), status::timeout);
    }
    template <class Clock, class D>
    status pop_until(T& out,
                     const std::chrono::time_point<Clock, D>& t) const requires std::is_move_assignable_v<T> {
        return wait_for_instant(t, status::timeout, [&](int64_t deadline) {
            return pop_into(hchan(), out, deadline, status::timeout);
        });
    }
};

}  // namespace detail

}  // namespace gort
