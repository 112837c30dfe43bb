// PUBLIC
// rt/net/reader.h - reader: buffered reading from a conn or an fd, by lines, up to a character, or by bytes.
// SPDX-License-Identifier: BSD-2-Clause
//
//      gort::net::reader in(conn);
//      for (;;) {
//          auto line = in.read_line();
//          if (line.error() == gort::net::errc::eof) break;
//          handle(line.value());
//      }
//
// It holds a copy of the handle, and up to `limit` bytes that it has read but not given out yet. So all of that
// connection must be read through the reader. Every error is the connection's (errc::eof at the end, a passed
// deadline is std::errc::timed_out); what has come before it stays in the reader, so a call that failed because of
// a deadline can be made again. A line or part that is longer than the limit is std::errc::message_size, and stays:
// read takes it out.
//
// Context: one goroutine or thread at a time; blocks as conn's and fd's read do.
// Source:  Go's bufio.Reader, with std::getline's rule for what ends a part.
#pragma once

#include "../config.h"

#include <cstddef>
#include <string>
#include <utility>

#include "conn.h"
#include "fd.h"

namespace gort::net {

class reader {
public:
    static constexpr size_t kLimit = 64 << 10;

    explicit reader(conn c, size_t limit = kLimit)
        : from_(std::move(c)), limit_(limit < kMost ? limit : kMost) {}
    explicit reader(fd f, size_t limit = kLimit)
        : from_(std::move(f)), limit_(limit < kMost ? limit : kMost) {}
    reader(reader&&) = default;
    reader& operator=(reader&&) = default;

    // The next line, without its "\n" or "\r\n". What follows the last of them is a line as well, unless it is empty;
    // then errc::eof.
    result<std::string> read_line();

    // What comes before the next `end`, which is taken off and dropped. What follows the last one is had as well,
    // unless it is empty; then errc::eof.
    result<std::string> read_until(char end);

    // Exactly b.size bytes. errc::eof if the end came before the first, errc::unexpected_eof if it came later;
    // partial() says how many are in b then, as with any error.
    result<size_t> read_full(mutable_buffer b);

    // Up to b.size bytes, as soon as there are any; into an empty buffer 0 at once. errc::eof at the end (value() is
    // 0). What is in the reader comes first.
    result<size_t> read(mutable_buffer b);

    // How many bytes it holds: a read of so many does not block.
    size_t buffered() const { return buffer_.size() - at_; }

private:
    static constexpr size_t kStep = 4096, kMost = size_t{1} << 60;

    std::string take(size_t n, size_t and_drop);
    void drop(size_t n);
    // More of it, behind what there is.
    std::error_code fill();

    handle from_;
    size_t limit_;
    std::string buffer_;
    size_t at_ = 0;       // what comes before it has been taken
    bool ended_ = false;  // the last part had its end
};

}  // namespace gort::net
