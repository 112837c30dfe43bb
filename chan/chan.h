// PUBLIC
// chan/chan.h - channels: chan<T>, and its halves send_chan<T> and recv_chan<T>.
// SPDX-License-Identifier: BSD-2-Clause
//
// A channel is a reference-counted handle: copies denote the same channel, == compares identity, a
// default-constructed or nullptr one is Go's nil channel. The last handle destroys what is still buffered. All
// operations are const members. push and pop, which tell with a status and take deadlines, are in status.h.
//
// T is any object type whose move constructor and destructor are noexcept (const members, move-only types, empty, large
// and over-aligned ones included). What T's operations may do:
//   - a copy is made by the sender before anything else, so it may throw: then nothing was sent. Assigning what was
//     received to a variable may throw as well: then the value is lost with the exception, as with any function's
//     result.
//   - the move constructor, and the destructor of what was moved from, run inside the runtime with the channel locked:
//     they must neither block nor call gort, but may copy handles. The destructor of a value may do what it likes.
// A value is moved once from sender to waiting receiver and twice through a buffer, and once more by forms that
// return it.
//
// Panics (gort::runtime_error): "send on closed channel", "close of closed channel", "close of nil channel",
// "makechan: size out of range". Send and receive on a nil channel block for ever.
// Context: any goroutine and any other thread; a thread that blocks sleeps on a futex.
// Memory order: a send happens before the receive of its value returns, a close before a receive that says closed; on a
//          channel of capacity C the k-th receive happens before the (k+C)-th send returns.
// Source: Go's language specification ("Channel types", "Send statements", "Receive operator", "Close").
#pragma once

#include "../rt/config.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "status.h"
#include "typed.h"

namespace gort {

// What `for (T v : ch)` walks over; the end is the channel's close. Input iteration: an element is gone once it was
// received, also if another iterator or recv received it. An iterator receives when it is looked at, by * or by a
// comparison with the end, and not before: elements that a loop has not looked at stay in the channel, so `ch |
// std::views::take(3)` receives three. A step without a look receives the element and drops it. The channel must
// outlive the iterator, as range-for sees to.
template <class T>
class recv_iterator {
public:
    using iterator_concept = std::input_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;

    recv_iterator() = default;  // at the end
    explicit recv_iterator(detail::Hchan* c) : c_(c), at_(kUnseen) {}
    recv_iterator(recv_iterator&& o) noexcept { take(o); }
    recv_iterator& operator=(recv_iterator&& o) noexcept {
        if (this == &o) return *this;
        clear();
        take(o);
        return *this;
    }
    ~recv_iterator() { clear(); }

    // An rvalue, so that `T v` moves; the element stays in the iterator until the next step.
    T&& operator*() const {
        if (at_ == kUnseen) [[unlikely]]
            look();
        return std::move(*place());
    }
    recv_iterator& operator++() {
        if (at_ == kUnseen) [[unlikely]]
            look();
        if (at_ == kSeen) [[likely]] {
            place()->~T();
            at_ = kUnseen;
        }
        return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const recv_iterator& it, std::default_sentinel_t) {
        if (it.at_ == kUnseen) [[likely]]
            it.look();
        return it.at_ == kEnd;
    }

private:
    // kUnseen: the element is in the channel, or still to come
    enum At : unsigned char { kEnd, kUnseen, kSeen };

    [[gnu::always_inline]] void look() const {
        if constexpr (detail::is_word<T>) {
            const detail::WordResult r = detail::chan_recv_word(c_);
            at_ = kEnd;
            if (__builtin_expect(!r.ok, false)) return;
            ::new (static_cast<void*>(bytes_)) T(detail::from_word<T>(r.word));
        } else {
            at_ = kEnd;
            if (__builtin_expect(!detail::chan_recv(c_, bytes_), false)) return;
        }
        at_ = kSeen;
    }
    T* place() const { return std::launder(reinterpret_cast<T*>(bytes_)); }
    void clear() {
        if (at_ == kSeen) place()->~T();
    }
    void take(recv_iterator& o) {
        c_ = std::exchange(o.c_, nullptr);
        at_ = std::exchange(o.at_, kEnd);
        if (at_ == kSeen) detail::Ops<T>::relocate(bytes_, std::addressof(*o.place()), nullptr);
    }

    detail::Hchan* c_ = nullptr;
    mutable At at_ = kEnd;
    alignas(T) mutable unsigned char bytes_[sizeof(T)];
};

// The receiving half of a channel: a chan<T> converts to it.
template <class T>
class recv_chan : public detail::Pops<recv_chan<T>, T> {
public:
    using value_type = T;
    constexpr recv_chan() noexcept = default;
    constexpr recv_chan(std::nullptr_t) noexcept {}     // NOLINT(google-explicit-constructor): as Go's nil
    recv_chan(const chan<T>& c) noexcept : h_(c.h_) {}  // NOLINT(google-explicit-constructor): as in Go
    recv_chan(chan<T>&& c) noexcept : h_(std::move(c.h_)) {}  // NOLINT(google-explicit-constructor)

    // Receives a value; blocks until there is one. T{} when the channel is closed and drained.
    T recv() const requires std::is_default_constructible_v<T> { return detail::recv_value<T>(h_.get()); }
    // Receives a value into out and gives true; blocks until there is one. When the channel is closed and drained:
    // false, and out = T{} if T has a default constructor. Go's `v, ok := <-c`.
    bool recv(T& out) const requires std::is_move_assignable_v<T> { return detail::recv_into(h_.get(), out); }
    // Receives a value if there is one, and says whether: ok, empty or closed. Never blocks. out is not touched if the
    // channel is empty.
    recv_result try_recv(T& out) const requires std::is_move_assignable_v<T> {
        return detail::try_recv_into(h_.get(), out);
    }
    // for (T v : c) receives until the channel is closed and drained.
    recv_iterator<T> begin() const { return recv_iterator<T>(h_.get()); }
    std::default_sentinel_t end() const noexcept { return {}; }

    // Go's compiler refuses these, too.
    void send(const T&) const = delete;
    void try_send(const T&) const = delete;
    void close() const = delete;

    // As chan<T>'s.
    size_t len() const { return detail::chan_len(h_.get()); }
    size_t cap() const { return detail::chan_cap(h_.get()); }
    explicit operator bool() const noexcept { return h_.get() != nullptr; }
    friend bool operator==(const recv_chan& a, const recv_chan& b) noexcept {
        return a.h_.get() == b.h_.get();
    }

private:
    friend class chan<T>;
    friend struct detail::Access;
    explicit recv_chan(detail::Handle h) noexcept : h_(std::move(h)) {}
    detail::Handle h_;
};

// The sending half of a channel: a chan<T> converts to it.
template <class T>
class send_chan : public detail::Pushes<send_chan<T>, T> {
public:
    using value_type = T;
    constexpr send_chan() noexcept = default;
    constexpr send_chan(std::nullptr_t) noexcept {}     // NOLINT(google-explicit-constructor): as Go's nil
    send_chan(const chan<T>& c) noexcept : h_(c.h_) {}  // NOLINT(google-explicit-constructor): as in Go
    send_chan(chan<T>&& c) noexcept : h_(std::move(c.h_)) {}  // NOLINT(google-explicit-constructor)

    // Sends a value; blocks until it is received or buffered. An lvalue is copied, an rvalue moved. Panics if the
    // channel is closed, also while it blocks. << is the same.
    void send(const T& value) const requires std::is_copy_constructible_v<T> {
        detail::send_copy(h_.get(), value);
    }
    void send(T&& value) const { detail::send_move(h_.get(), value); }
    const send_chan& operator<<(const T& value) const requires std::is_copy_constructible_v<T> {
        send(value);
        return *this;
    }
    const send_chan& operator<<(T&& value) const {
        send(std::move(value));
        return *this;
    }
    // Sends a value if that is possible without blocking, and says whether it did; false leaves an rvalue as it
    // was. Panics if the channel is closed.
    bool try_send(const T& value) const requires std::is_copy_constructible_v<T> {
        return detail::try_send_copy(h_.get(), value);
    }
    bool try_send(T&& value) const { return detail::try_send_move(h_.get(), value); }
    // As chan<T>'s.
    void close() const { detail::chan_close(h_.get()); }

    // Go's compiler refuses these, too.
    void recv() const = delete;
    void recv(T&) const = delete;
    void try_recv(T&) const = delete;
    void begin() const = delete;

    // As chan<T>'s.
    size_t len() const { return detail::chan_len(h_.get()); }
    size_t cap() const { return detail::chan_cap(h_.get()); }
    explicit operator bool() const noexcept { return h_.get() != nullptr; }
    friend bool operator==(const send_chan& a, const send_chan& b) noexcept {
        return a.h_.get() == b.h_.get();
    }

private:
    friend class chan<T>;
    friend struct detail::Access;
    detail::Handle h_;
};

// A channel for values of T.
//
//      auto c = gort::make_chan<int>();
//      gort::go([=] { c << 42; });
//      int answer = c.recv();
template <class T>
class chan : public detail::Pushes<chan<T>, T>, public detail::Pops<chan<T>, T> {
public:
    using value_type = T;
    constexpr chan() noexcept = default;
    constexpr chan(std::nullptr_t) noexcept {}  // NOLINT(google-explicit-constructor): as Go's nil

    // Sends a value; blocks until it is received or buffered. An lvalue is copied, an rvalue moved. Panics if the
    // channel is closed, also while it blocks. << is the same.
    void send(const T& value) const requires std::is_copy_constructible_v<T> {
        detail::send_copy(h_.get(), value);
    }
    void send(T&& value) const { detail::send_move(h_.get(), value); }
    const chan& operator<<(const T& value) const requires std::is_copy_constructible_v<T> {
        send(value);
        return *this;
    }
    const chan& operator<<(T&& value) const {
        send(std::move(value));
        return *this;
    }
    // Sends a value if that is possible without blocking, and says whether it did; false leaves an rvalue as it
    // was. Panics if the channel is closed.
    bool try_send(const T& value) const requires std::is_copy_constructible_v<T> {
        return detail::try_send_copy(h_.get(), value);
    }
    bool try_send(T&& value) const { return detail::try_send_move(h_.get(), value); }
    // Closes the channel: values that were sent before are still received; after that every receive gives T{} and
    // false at once. A second close, or one of a nil channel, panics. Wakes all that are blocked on it.
    void close() const { detail::chan_close(h_.get()); }

    // These four are as recv_chan's.
    T recv() const requires std::is_default_constructible_v<T> { return detail::recv_value<T>(h_.get()); }
    bool recv(T& out) const requires std::is_move_assignable_v<T> { return detail::recv_into(h_.get(), out); }
    recv_result try_recv(T& out) const requires std::is_move_assignable_v<T> {
        return detail::try_recv_into(h_.get(), out);
    }
    recv_iterator<T> begin() const { return recv_iterator<T>(h_.get()); }
    std::default_sentinel_t end() const noexcept { return {}; }

    // How many elements are buffered now, and how many can be; 0 for nil. They never block and never race with
    // anything; what len says may have changed when it returns.
    size_t len() const { return detail::chan_len(h_.get()); }
    size_t cap() const { return detail::chan_cap(h_.get()); }
    explicit operator bool() const noexcept { return h_.get() != nullptr; }
    friend bool operator==(const chan& a, const chan& b) noexcept { return a.h_.get() == b.h_.get(); }

private:
    friend class send_chan<T>;
    friend class recv_chan<T>;
    friend struct detail::Access;
    explicit chan(detail::Handle h) noexcept : h_(std::move(h)) {}
    detail::Handle h_;
};

// Makes a channel that buffers up to cap values, as Go's make(chan T, cap); with 0 a sender waits for its receiver.
// Panics if cap is negative or too large.
template <class T>
chan<T> make_chan(int64_t cap = 0) {
    static_assert(sizeof(detail::Ops<T>::table) > 0);
    constexpr size_t kMost = size_t{1} << 47;  // bytes: more than can be addressed
    void* ring = nullptr;
    if (cap != 0) {
        constexpr size_t stride = detail::kStride<T>;
        if (cap < 0 || (stride != 0 && static_cast<size_t>(cap) > kMost / (stride ? stride : 1)))
            detail::chan_size_out_of_range();
        if constexpr (stride != 0)
            if (cap > 1 || !detail::is_word<T>) ring = detail::new_ring<T>(static_cast<size_t>(cap));
    }
    return detail::Access::wrap<chan<T>>(
        detail::chan_new(&detail::Ops<T>::table, static_cast<size_t>(cap), ring));
}

}  // namespace gort

template <class T>
struct std::hash<gort::chan<T>> {
    size_t operator()(const gort::chan<T>& c) const noexcept {
        return std::hash<const void*>{}(gort::detail::Access::get(c));
    }
};
template <class T>
struct std::hash<gort::send_chan<T>> {
    size_t operator()(const gort::send_chan<T>& c) const noexcept {
        return std::hash<const void*>{}(gort::detail::Access::get(c));
    }
};
template <class T>
struct std::hash<gort::recv_chan<T>> {
    size_t operator()(const gort::recv_chan<T>& c) const noexcept {
        return std::hash<const void*>{}(gort::detail::Access::get(c));
    }
};
