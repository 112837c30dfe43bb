// PUBLIC
// ctx/errc.h - why a context is done: two std::error_codes.
// SPDX-License-Identifier: BSD-2-Clause
//
// Compare by equality: c.err() == ctx::errc::canceled. As conditions they are std::errc::operation_canceled and
// std::errc::timed_out, so generic code that asks `ec == std::errc::timed_out` means a network deadline as well; the
// codes themselves are distinct from those of any other category.
// Context: any thread.
// Source: Go's package context: Canceled, DeadlineExceeded.
#pragma once

#include "../rt/config.h"

#include <system_error>
#include <type_traits>

namespace gort::ctx {

enum class errc {
    canceled = 1,       // "context canceled"
    deadline_exceeded,  // "context deadline exceeded"
};

const std::error_category& category() noexcept;  // its name is "context"
inline std::error_code make_error_code(errc e) noexcept { return {static_cast<int>(e), category()}; }

// Go's Timeout() and Temporary() of an error. is_timeout is true for every error that says that a deadline has passed.
inline bool is_timeout(const std::error_code& ec) noexcept { return ec == std::errc::timed_out; }
inline bool is_temporary(const std::error_code& ec) noexcept {
    return is_timeout(ec) || ec == std::errc::resource_unavailable_try_again || ec == std::errc::interrupted;
}

}  // namespace gort::ctx

template <>
struct std::is_error_code_enum<gort::ctx::errc> : std::true_type {};
