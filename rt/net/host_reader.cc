// rt/net/host_reader.cc - reader: what is in the buffer, and how more gets into it.
// SPDX-License-Identifier: BSD-2-Clause
//
// It keeps its bytes in a std::string, which may throw: so it belongs to the seam, not to the core.
#include <cstring>

#include "rt/net/reader.h"

namespace gort::net {

result<std::string> reader::read_line() {
    result<std::string> line = read_until('\n');
    if (line && ended_ && !line->empty() && line->back() == '\r') line->pop_back();
    return line;
}

result<std::string> reader::read_until(char end) {
    ended_ = false;
    for (size_t looked = at_;;) {
        if (const size_t i = buffer_.find(end, looked); i != buffer_.npos) {
            ended_ = true;
            return take(i - at_, 1);
        }
        if (buffered() > limit_) return std::make_error_code(std::errc::message_size);
        looked = buffer_.size() - at_;  // of what will then begin at 0
        if (const std::error_code error = fill()) {
            if (error == errc::eof && buffered() != 0) return take(buffered(), 0);
            return error;
        }
    }
}

result<size_t> reader::read_full(mutable_buffer b) {
    size_t n = 0;
    while (n < b.size) {
        const result<size_t> r = read({static_cast<char*>(b.data) + n, b.size - n});
        if (r) {
            n += r.value();
            continue;
        }
        if (r.error() == errc::eof && n == 0) return {0, r.error(), true};
        return {n, r.error() == errc::eof ? make_error_code(errc::unexpected_eof) : r.error()};
    }
    return n;
}

result<size_t> reader::read(mutable_buffer b) {
    if (buffered() == 0 || b.size == 0)
        return detail::count_of(detail::read(detail::Access::get(from_), b.data, b.size));
    const size_t n = b.size < buffered() ? b.size : buffered();
    std::memcpy(b.data, buffer_.data() + at_, n);
    drop(n);
    return n;
}

std::string reader::take(size_t n, size_t and_drop) {
    std::string part = buffer_.substr(at_, n);
    drop(n + and_drop);
    return part;
}

void reader::drop(size_t n) {
    at_ += n;
    if (at_ != buffer_.size()) return;
    buffer_.clear();
    at_ = 0;
}

std::error_code reader::fill() {
    buffer_.erase(0, at_);
    at_ = 0;
    const size_t have = buffer_.size();
    const size_t most = limit_ + 1 - have;  // one more than the limit: the end of a part that has as many
    const size_t room = have < kStep ? kStep : have;
    buffer_.resize(have + (room < most ? room : most));
    const long r = detail::read(detail::Access::get(from_), buffer_.data() + have, buffer_.size() - have);
    buffer_.resize(have + (r > 0 ? static_cast<size_t>(r) : 0));
    return r < 0 ? detail::error_of(r) : std::error_code();
}

}  // namespace gort::net
