// PUBLIC
// rt/result.h - result<T>: a value, or the std::error_code that says why there is none.
// SPDX-License-Identifier: BSD-2-Clause
//
// Context: a value like any other; not shared between threads without a lock.
#pragma once

#include "config.h"

#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>

namespace gort {

namespace detail {
[[noreturn]] void throw_error(std::error_code error);  // std::system_error
}

// What an operation gives that may fail: a value, or an error. Like std::expected<T, std::error_code> of C++23.
//
//      auto n = conn.read(buffer);
//      if (!n) return n.error();
//      use(*n);
template <class T>
class result {
public:
    result(T value) : value_(std::move(value)) {}     // NOLINT(google-explicit-constructor)
    result(std::error_code error) : error_(error) {}  // NOLINT(google-explicit-constructor)
    template <class E>
    // NOLINTNEXTLINE(google-explicit-constructor)
    requires std::is_error_code_enum_v<E> result(E error) : error_(make_error_code(error)) {}
    // An error, and what was done before it: see partial().
    result(T value, std::error_code error, bool is_end = false)
        : value_(std::move(value)), error_(error), is_end_(is_end) {}

    // True if there is a value and no error.
    bool has_value() const noexcept { return !error_; }
    explicit operator bool() const noexcept { return !error_; }
    // The error. If there is a value it is the empty std::error_code, which converts to false.
    std::error_code error() const noexcept { return error_; }

    // The value; throws std::system_error if there is an error. One error is not thrown, because it is how every stream
    // ends: for net::errc::eof the value is 0.
    T& value() & { return check(), *value_; }
    const T& value() const& { return check(), *value_; }
    T value() && { return check(), std::move(*value_); }  // by value: `for (x : f().value())` must not dangle
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T operator*() && { return std::move(*this).value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }

    // The value, or `other` if there is an error. Never throws because of the error.
    template <class U>
    T value_or(U&& other) const& {
        return has_value() ? *value_ : static_cast<T>(std::forward<U>(other));
    }
    template <class U>
    T value_or(U&& other) && {
        return has_value() ? std::move(*value_) : static_cast<T>(std::forward<U>(other));
    }

    // How much was done, with or without an error: the bytes that a failed write or read_full has moved.
    T partial() const requires std::is_arithmetic_v<T> { return value_ ? *value_ : T{}; }

private:
    void check() const {
        if (error_ && !is_end_) detail::throw_error(error_);
    }
    std::optional<T> value_;
    std::error_code error_;
    bool is_end_ = false;
};

template <>
class result<void> {
public:
    result() = default;
    result(std::error_code error) : error_(error) {}  // NOLINT(google-explicit-constructor)
    template <class E>
    // NOLINTNEXTLINE(google-explicit-constructor)
    requires std::is_error_code_enum_v<E> result(E error) : error_(make_error_code(error)) {}

    bool has_value() const noexcept { return !error_; }
    explicit operator bool() const noexcept { return !error_; }
    std::error_code error() const noexcept { return error_; }
    void value() const {
        if (error_) detail::throw_error(error_);
    }

private:
    std::error_code error_;
};

}  // namespace gort
