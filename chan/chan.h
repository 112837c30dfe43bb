// PUBLIC
// chan/chan.h - channels: chan<T>, and its halves send_chan<T> and recv_chan<T>.
// SPDX-License-Identifier: BSD-2-Clause
//
// A channel is a reference-counted handle: copies denote the same channel, == compares identity, a
// default-constructed or nullptr one is Go's nil channel. The last handle destroys what is still buffered. All
// operations are const members.
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

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <iterator>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "ops.h"

namespace gort {

template <class T>
class chan;
template <class T>
class send_chan;
template <class T>
class recv_chan;

// What a channel that only signals carries.
struct unit {
    friend constexpr bool operator==(unit, unit) { return true; }
};

enum class recv_result { ok, empty, closed };

namespace detail {

template <class T>
constexpr bool is_word = std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(uint64_t);

template <class T>
struct Raw {
    unsigned char bytes[sizeof(T)];
};
template <class T>
uint64_t to_word(const T& value) {
    uint64_t word = 0;
    if constexpr (!std::is_empty_v<T>) std::memcpy(&word, std::addressof(value), sizeof(T));
    return word;
}
template <class T>
T from_word(uint64_t word) {
    Raw<T> raw;
    std::memcpy(&raw, &word, sizeof(T));
    return std::bit_cast<T>(raw);
}

template <class T>
inline constexpr size_t kStride = !is_word<T>          ? sizeof(T)
                                  : std::is_empty_v<T> ? 0
                                                       : sizeof(uint64_t);
template <class T>
inline constexpr size_t kRingAlign = is_word<T> ? alignof(uint64_t) : alignof(T);

template <class T>
void* new_ring(size_t cap) {
    const size_t bytes = cap * kStride<T>;
    if constexpr (__STDCPP_DEFAULT_NEW_ALIGNMENT__ < kRingAlign<T>)
        return ::operator new (bytes, std::align_val_t{kRingAlign<T>});
    else return ::operator new(bytes);
}

template <class T>
struct Ops {
    static_assert(!std::is_reference_v<T>,
                  "gort::chan<T>: no references; use a pointer or std::reference_wrapper");
    static_assert(std::is_object_v<T> && !std::is_array_v<T>,
                  "gort::chan<T>: T must be an object type; arrays go into std::array");
    static_assert(!std::is_const_v<T> && !std::is_volatile_v<T>,
                  "gort::chan<T>: T must not be const or volatile itself");
    static_assert(
        std::is_nothrow_move_constructible_v<T> || std::is_trivially_copyable_v<T>,
        "gort::chan<T>: T's move constructor must be noexcept, because a value that is on its way from one "
        "goroutine to another has nobody to throw to; wrap T in std::unique_ptr if it cannot be");
    static_assert(std::is_nothrow_destructible_v<T>, "gort::chan<T>: T's destructor must be noexcept");

    static void move(void* to, void* from) noexcept { ::new (to) T(std::move(*static_cast<T*>(from))); }
    static void relocate(void* to, void* from) noexcept {
        move(to, from);
        destroy(from);
    }
    static void destroy(void* at) noexcept { static_cast<T*>(at)->~T(); }
    static void free_ring(void* ring) noexcept {
        if constexpr (__STDCPP_DEFAULT_NEW_ALIGNMENT__ < kRingAlign<T>)
            ::operator delete(ring, static_cast<std::align_val_t>(kRingAlign<T>));
        else ::operator delete(ring);
    }
    static constexpr ElemOps table{kStride<T>, kRingAlign<T>, is_word<T>, false,
                                   move,       relocate,      destroy,    free_ring};
};

// Raw storage for one received element.
template <class T>
class Place {
public:
    Place() = default;
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() {
        if (full_) get().~T();
    }
    void* address() { return bytes_; }
    void filled() { full_ = true; }
    void emptied() { full_ = false; }  // by a move away and a destruction
    bool full() const { return full_; }
    T& get() { return *std::launder(reinterpret_cast<T*>(bytes_)); }
    void clear() {
        if (full_) get().~T();
        full_ = false;
    }

private:
    alignas(T) unsigned char bytes_[sizeof(T)];
    bool full_ = false;
};

// A counted reference.
class Handle {
public:
    constexpr Handle() noexcept = default;
    explicit Handle(Hchan* owned) noexcept : c_(owned) {}
    Handle(const Handle& o) noexcept : c_(o.c_) {
        if (c_) chan_retain(c_);
    }
    Handle(Handle&& o) noexcept : c_(std::exchange(o.c_, nullptr)) {}
    Handle& operator=(const Handle& o) noexcept {
        Handle copy(o);
        std::swap(c_, copy.c_);
        return *this;
    }
    Handle& operator=(Handle&& o) noexcept {
        Handle other(std::move(o));
        std::swap(c_, other.c_);
        return *this;
    }
    ~Handle() {
        if (c_) chan_release(c_);
    }
    Hchan* get() const noexcept { return c_; }

private:
    Hchan* c_ = nullptr;
};

struct Access {  // the way from a handle to its Hchan, for the library's own headers
    template <class C>
    static Hchan* get(const C& c) {
        return c.h_.get();
    }
    template <class C>
    static Handle take(C&& c) {
        return std::forward<C>(c).h_;
    }
    template <class C>
    static C wrap(Hchan* owned) {
        return C(Handle(owned));
    }
};

// ---- the typed operations, shared by the handles ----

template <class T>
void send_copy(Hchan* c, const T& value) {
    static_assert(sizeof(Ops<T>::table) > 0);
    if constexpr (is_word<T>) {
        chan_send_word(c, to_word(value));
    } else {
        T copy(value);
        chan_send(c, std::addressof(copy));
    }
}
template <class T>
void send_move(Hchan* c, T& value) {
    static_assert(sizeof(Ops<T>::table) > 0);
    if constexpr (is_word<T>) chan_send_word(c, to_word(value));
    else chan_send(c, std::addressof(value));
}
template <class T>
bool try_send_copy(Hchan* c, const T& value) {
    if constexpr (is_word<T>) {
        return chan_try_send_word(c, to_word(value));
    } else {
        T copy(value);
        return chan_try_send(c, std::addressof(copy));
    }
}
template <class T>
bool try_send_move(Hchan* c, T& value) {
    if constexpr (is_word<T>) return chan_try_send_word(c, to_word(value));
    else return chan_try_send(c, std::addressof(value));
}

// What is received when the channel is closed. A word of zeros is that for most.
template <class T>
constexpr bool zero_is_default = std::is_scalar_v<T> && !std::is_member_pointer_v<T>;

template <class T>
T recv_value(Hchan* c) {
    if constexpr (is_word<T>) {
        const WordResult r = chan_recv_word(c);
        if constexpr (!zero_is_default<T>)
            if (!r.ok) return T{};
        return from_word<T>(r.word);
    } else {
        Place<T> place;
        if (!chan_recv(c, place.address())) return T{};
        place.filled();
        return T(std::move(place.get()));
    }
}

template <class T>
void set_default(T& out) {
    if constexpr (std::is_default_constructible_v<T>) out = T{};
}

template <class T>
bool recv_into(Hchan* c, T& out) {
    if constexpr (is_word<T>) {
        const WordResult r = chan_recv_word(c);
        if (zero_is_default<T> || r.ok) out = from_word<T>(r.word);
        else set_default(out);
        return r.ok;
    } else {
        Place<T> place;
        if (!chan_recv(c, place.address())) {
            set_default(out);
            return false;
        }
        place.filled();
        out = std::move(place.get());
        return true;
    }
}

template <class T>
recv_result try_recv_into(Hchan* c, T& out) {
    if constexpr (is_word<T>) {
        const WordTry r = chan_try_recv_word(c);
        if (r.result == TryResult::kOk) out = from_word<T>(r.word);
        else if (r.result == TryResult::kClosed) set_default(out);
        return static_cast<recv_result>(r.result);
    } else {
        Place<T> place;
        const TryResult result = chan_try_recv(c, place.address());
        if (result == TryResult::kOk) {
            place.filled();
            out = std::move(place.get());
        } else if (result == TryResult::kClosed) {
            set_default(out);
        }
        return static_cast<recv_result>(result);
    }
}
static_assert(static_cast<recv_result>(TryResult::kOk) == recv_result::ok &&
              static_cast<recv_result>(TryResult::kEmpty) == recv_result::empty &&
              static_cast<recv_result>(TryResult::kClosed) == recv_result::closed);

}  // namespace detail

// What `for (T v : ch)` walks over: each step receives, the end is the channel's close. Input iteration: an element is
// gone once it was received, whoever received it. Breaking out leaves the rest in the channel. The channel must outlive
// the iterator, as range-for sees to.
template <class T>
class recv_iterator {
public:
    using iterator_concept = std::input_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;

    recv_iterator() = default;
    explicit recv_iterator(detail::Hchan* c) : c_(c) { next(); }
    recv_iterator(recv_iterator&& o) noexcept : c_(std::exchange(o.c_, nullptr)) { take(o); }
    recv_iterator& operator=(recv_iterator&& o) noexcept {
        if (this == &o) return *this;
        place_.clear();
        c_ = std::exchange(o.c_, nullptr);
        take(o);
        return *this;
    }

    // An rvalue, so that `T v` moves; the element stays in the iterator until the next step.
    T&& operator*() const { return std::move(place_.get()); }
    recv_iterator& operator++() {
        place_.clear();
        next();
        return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const recv_iterator& it, std::default_sentinel_t) { return !it.place_.full(); }

private:
    void next() {
        if constexpr (detail::is_word<T>) {
            const detail::WordResult r = detail::chan_recv_word(c_);
            if (!r.ok) return;
            ::new (place_.address()) T(detail::from_word<T>(r.word));
        } else {
            if (!detail::chan_recv(c_, place_.address())) return;
        }
        place_.filled();
    }
    void take(recv_iterator& o) {
        if (!o.place_.full()) return;
        detail::Ops<T>::relocate(place_.address(), std::addressof(o.place_.get()));
        o.place_.emptied();
        place_.filled();
    }

    detail::Hchan* c_ = nullptr;
    mutable detail::Place<T> place_;
};

// The receiving half.
template <class T>
class recv_chan {
public:
    using value_type = T;
    constexpr recv_chan() noexcept = default;
    constexpr recv_chan(std::nullptr_t) noexcept {}  // NOLINT(google-explicit-constructor): as Go's nil
    recv_chan(const chan<T>& c) noexcept : h_(c.h_) {}  // NOLINT(google-explicit-constructor): as in Go
    recv_chan(chan<T>&& c) noexcept : h_(std::move(c.h_)) {}  // NOLINT(google-explicit-constructor)

    // Blocks; T{} when closed and drained.
    T recv() const requires std::is_default_constructible_v<T> { return detail::recv_value<T>(h_.get()); }
    // The comma-ok form: false, and out = T{} (unless T has no default constructor), when closed and drained.
    bool recv(T& out) const requires std::is_move_assignable_v<T> { return detail::recv_into(h_.get(), out); }
    // Never blocks; out is touched by ok and closed only.
    recv_result try_recv(T& out) const requires std::is_move_assignable_v<T> {
        return detail::try_recv_into(h_.get(), out);
    }
    recv_iterator<T> begin() const { return recv_iterator<T>(h_.get()); }
    std::default_sentinel_t end() const noexcept { return {}; }

    // What Go's compiler refuses too.
    void send(const T&) const = delete;
    void try_send(const T&) const = delete;
    void close() const = delete;

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

// The sending half.
template <class T>
class send_chan {
public:
    using value_type = T;
    constexpr send_chan() noexcept = default;
    constexpr send_chan(std::nullptr_t) noexcept {}  // NOLINT(google-explicit-constructor): as Go's nil
    send_chan(const chan<T>& c) noexcept : h_(c.h_) {}  // NOLINT(google-explicit-constructor): as in Go
    send_chan(chan<T>&& c) noexcept : h_(std::move(c.h_)) {}  // NOLINT(google-explicit-constructor)

    // Block.
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
    // Never blocks; false leaves an rvalue as it was.
    bool try_send(const T& value) const requires std::is_copy_constructible_v<T> {
        return detail::try_send_copy(h_.get(), value);
    }
    bool try_send(T&& value) const { return detail::try_send_move(h_.get(), value); }
    void close() const { detail::chan_close(h_.get()); }

    void recv() const = delete;
    void recv(T&) const = delete;
    void try_recv(T&) const = delete;
    void begin() const = delete;

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

// Both halves.
template <class T>
class chan {
public:
    using value_type = T;
    constexpr chan() noexcept = default;
    constexpr chan(std::nullptr_t) noexcept {}  // NOLINT(google-explicit-constructor): as Go's nil

    // Block. Sending an lvalue copies it, an rvalue moves it.
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
    // Never blocks; false leaves an rvalue as it was. Panics on a closed channel, as send does.
    bool try_send(const T& value) const requires std::is_copy_constructible_v<T> {
        return detail::try_send_copy(h_.get(), value);
    }
    bool try_send(T&& value) const { return detail::try_send_move(h_.get(), value); }
    // Everything sent before is still received; then receivers get T{} and false for ever.
    void close() const { detail::chan_close(h_.get()); }

    // As recv_chan's.
    T recv() const requires std::is_default_constructible_v<T> { return detail::recv_value<T>(h_.get()); }
    bool recv(T& out) const requires std::is_move_assignable_v<T> { return detail::recv_into(h_.get(), out); }
    recv_result try_recv(T& out) const requires std::is_move_assignable_v<T> {
        return detail::try_recv_into(h_.get(), out);
    }
    recv_iterator<T> begin() const { return recv_iterator<T>(h_.get()); }
    std::default_sentinel_t end() const noexcept { return {}; }

    // How many elements are buffered now, and how many can be; 0 for nil. Never races with anything.
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

// Go's make(chan T, cap). Negative or too large: panics.
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
