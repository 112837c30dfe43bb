// kernel/file.h - reads the text files in which the system tells about itself, however long they and their lines are.
// SPDX-License-Identifier: BSD-2-Clause
//
// Context: any thread, any stack with 1 KiB left, signal handlers. Each reader opens the file, reads it once from its
//          start and closes it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gort::kernel {

// A file byte by byte, through a buffer of the caller's.
class ByteReader {
public:
    ByteReader(const char* path, char* buffer, size_t size);
    ~ByteReader();
    ByteReader(const ByteReader&) = delete;
    ByteReader& operator=(const ByteReader&) = delete;

    // The next byte; -1 at the end of the file, and when it cannot be opened or read: error() says which.
    int get() {
        if (at_ == have_ && !fill()) return -1;
        return static_cast<unsigned char>(buffer_[at_++]);
    }
    int error() const { return error_; }  // 0 or -errno

private:
    bool fill();

    char* buffer_;
    size_t size_, at_ = 0, have_ = 0;
    int fd_, error_ = 0;
};

// The decimal number at the start of a file: 0 or -errno, -EINVAL where none stands there. One that does not fit is
// UINT64_MAX.
int read_number(const char* path, uint64_t* out);
// The same for the number behind `key`, at the start of a line: find_number("/proc/self/status", "Threads:\t", &n).
int find_number(const char* path, const char* key, uint64_t* out);

}  // namespace gort::kernel
