// PUBLIC
// rt/net/buffer.h - what read and write take: any contiguous memory of plain bytes or plain values.
// SPDX-License-Identifier: BSD-2-Clause
//
// Arrays, std::span, std::vector, std::array, std::string, std::string_view. All of it: a char[4096] is 4096 bytes.
// Text constants are the exception: of a `const char` array that ends in a NUL, that NUL is left out.
#pragma once

#include "../config.h"

#include <cstddef>
#include <cstring>
#include <ranges>
#include <type_traits>

namespace gort::net {

namespace detail {
template <class R>
concept plain_range = std::ranges::contiguous_range<R> && std::ranges::sized_range<R> &&
    std::is_trivially_copyable_v<std::ranges::range_value_t<R>>;
template <class R>
concept text_constant = std::is_array_v<std::remove_reference_t<R>> &&
                        std::is_same_v < std::remove_extent_t<std::remove_reference_t<R>>,
const char > ;
template <class P>
concept c_string = std::is_same_v < std::decay_t<P>,
const char* > &&!std::is_array_v<std::remove_reference_t<P>>;
}  // namespace detail

// Memory to read into.
struct mutable_buffer {
    void* data = nullptr;
    size_t size = 0;  // bytes

    mutable_buffer(void* p, size_t n) : data(p), size(n) {}
    template <detail::plain_range R>
    requires(!std::is_const_v<std::remove_reference_t<std::ranges::range_reference_t<R>>>)
        mutable_buffer(R&& r)  // NOLINT(google-explicit-constructor)
        : data(std::ranges::data(r)), size(std::ranges::size(r) * sizeof(std::ranges::range_value_t<R>)) {}
};

// Memory to write from.
struct const_buffer {
    const void* data = nullptr;
    size_t size = 0;  // bytes

    const_buffer() = default;
    const_buffer(const void* p, size_t n) : data(p), size(n) {}
    // NOLINT(google-explicit-constructor)
    const_buffer(const mutable_buffer& b) : data(b.data), size(b.size) {}
    template <detail::plain_range R>
    requires(!detail::text_constant<R>) const_buffer(R&& r)  // NOLINT(google-explicit-constructor)
        : data(std::ranges::data(r)), size(std::ranges::size(r) * sizeof(std::ranges::range_value_t<R>)) {}
    template <size_t N>
    const_buffer(const char (&text)[N])  // NOLINT(google-explicit-constructor)
        : data(text), size(text[N - 1] == '\0' ? N - 1 : N) {}
    template <detail::c_string P>
    const_buffer(P text) : data(text), size(std::strlen(text)) {}  // NOLINT(google-explicit-constructor)
};

}  // namespace gort::net
