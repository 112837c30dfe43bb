// PUBLIC
// chan/typed.h - between the typed handles of chan.h and the untyped channel: words, places, references, operations.
// SPDX-License-Identifier: BSD-2-Clause
//
// For the library's own headers; programs use chan.h, which says what T may be.
#pragma once

#include "../rt/config.h"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
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
struct GORT_HIDDEN Ops {
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

    static void move(void* to, void* from, const ElemOps*) noexcept {
        ::new (to) T(std::move(*static_cast<T*>(from)));
    }
    static void relocate(void* to, void* from, const ElemOps* ops) noexcept {
        move(to, from, ops);
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

}  // namespace gort
