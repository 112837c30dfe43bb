// kernel/file.cc - see file.h.
// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/file.h"

#include <fcntl.h>

#include "kernel/sys.h"

namespace gort::kernel {

namespace {

constexpr size_t kBuffer = 512;

// The number that begins with `c`, the byte that was read last.
int number_from(ByteReader* in, int c, uint64_t* out) {
    if (c < '0' || c > '9') return in->error() ? in->error() : -EINVAL;
    uint64_t v = 0;
    for (; c >= '0' && c <= '9'; c = in->get()) {
        const auto digit = static_cast<uint64_t>(c - '0');
        if (__builtin_mul_overflow(v, uint64_t{10}, &v) || __builtin_add_overflow(v, digit, &v)) {
            *out = UINT64_MAX;
            return 0;
        }
    }
    if (in->error()) return in->error();
    *out = v;
    return 0;
}

}  // namespace

ByteReader::ByteReader(const char* path, char* buffer, size_t size)
    : buffer_(buffer), size_(size), fd_(sys_open(path, O_RDONLY | O_CLOEXEC)) {
    if (fd_ < 0) error_ = fd_;
}

ByteReader::~ByteReader() {
    if (fd_ >= 0) sys_close(fd_);
}

bool ByteReader::fill() {
    if (error_) return false;
    long n;
    do {
        n = sys_read(fd_, buffer_, size_);
    } while (n == -EINTR);
    if (n < 0) error_ = static_cast<int>(n);
    if (n <= 0) return false;
    at_ = 0;
    have_ = static_cast<size_t>(n);
    return true;
}

int read_number(const char* path, uint64_t* out) {
    char buffer[kBuffer];
    ByteReader in(path, buffer, sizeof buffer);
    return number_from(&in, in.get(), out);
}

int find_number(const char* path, const char* key, uint64_t* out) {
    char buffer[kBuffer];
    ByteReader in(path, buffer, sizeof buffer);
    for (int c = in.get(); c >= 0; c = in.get()) {
        const char* k = key;
        for (; *k && c == *k; ++k) c = in.get();
        if (!*k) return number_from(&in, c, out);
        while (c >= 0 && c != '\n') c = in.get();
    }
    return in.error() ? in.error() : -EINVAL;
}

}  // namespace gort::kernel
