// kernel/fatal.cc - the writer and the ways to end the process.
// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/fatal.h"

#include <signal.h>

#include "kernel/mem.h"
#include "kernel/signal.h"
#include "kernel/sys.h"

namespace gort::kernel {

namespace {
constexpr int kFullTries = 1000;
constexpr Timespec kFullPause = {0, 1'000'000};
}  // namespace

Out& Out::ch(char c) {
    if (used_ == sizeof buf_) flush();
    buf_[used_++] = c;
    column_ = c == '\n' ? 0 : column_ + 1;
    return *this;
}

Out& Out::str(const char* s, size_t size) {
    for (size_t i = 0; i < size; ++i) ch(s[i]);
    return *this;
}

Out& Out::str(const char* s) {
    if (!s) s = "(null)";
    return str(s, str_len(s));
}

Out& Out::udec(uint64_t v) {
    char digits[20];
    size_t n = sizeof digits;
    do {
        digits[--n] = static_cast<char>('0' + v % 10);
        v /= 10;
    } while (v);
    return str(digits + n, sizeof digits - n);
}

Out& Out::dec(int64_t v) {
    if (v >= 0) return udec(static_cast<uint64_t>(v));
    return ch('-').udec(uint64_t{0} - static_cast<uint64_t>(v));
}

Out& Out::hex(uint64_t v) {
    char digits[16];
    size_t n = sizeof digits;
    do {
        digits[--n] = "0123456789abcdef"[v & 15];
        v >>= 4;
    } while (v);
    return str("0x").str(digits + n, sizeof digits - n);
}

Out& Out::pad(size_t column) {
    while (column_ < column) ch(' ');
    return *this;
}

void Out::flush() {
    const char* p = buf_;
    int tries = 0;
    while (used_ > 0) {
        const long n = sys_write(fd_, p, used_);
        if (n == -EINTR) continue;
        if (n == -EAGAIN && ++tries < kFullTries) {
            sys_nanosleep(&kFullPause, nullptr);
            continue;
        }
        if (n <= 0) break;
        p += n;
        used_ -= static_cast<uint32_t>(n);
    }
    used_ = 0;
}

void fatal(const char* text) {
    Out().str("fatal error: ").str(text).ch('\n').flush();
    sys_exit_group(2);
}

void fatal_errno(const char* text, long result) {
    const long err = result < 0 ? -result : result;
    Out out;
    out.str("fatal error: ")
        .str(text)
        .str(": errno ")
        .dec(err)
        .str(" (")
        .str(errno_name(err))
        .str(")\n")
        .flush();
    sys_exit_group(2);
}

void abort_process() {
    // As libc's abort: a handler for SIGABRT runs first (a crash reporter's), and if it returns, the default
    // follows.
    unblock_signals(signal_bit(SIGABRT), nullptr);
    sys_tgkill(sys_getpid(), sys_gettid(), SIGABRT);
    restore_signal(SIGABRT, SignalAction{});
    unblock_signals(signal_bit(SIGABRT), nullptr);
    sys_tgkill(sys_getpid(), sys_gettid(), SIGABRT);
    sys_exit_group(128 + SIGABRT);
}

void check_failed(const char* file, int line, const char* expression) {
    Out().str(file).ch(':').dec(line).str(": check failed: ").str(expression).ch('\n').flush();
    abort_process();
}

const char* errno_name(long err) {
    switch (err < 0 ? -err : err) {
#define E(name) \
    case name: return #name;
        // clang-format off
        E(EPERM) E(ENOENT) E(ESRCH) E(EINTR) E(EIO) E(ENXIO) E(E2BIG) E(EBADF) E(ECHILD) E(EAGAIN)
        E(ENOMEM) E(EACCES) E(EFAULT) E(EBUSY) E(EEXIST) E(ENODEV) E(ENOTDIR) E(EISDIR) E(EINVAL) E(ENFILE)
        E(EMFILE) E(ENOSPC) E(ESPIPE) E(EROFS) E(EPIPE) E(ERANGE) E(EDEADLK) E(ENAMETOOLONG) E(ENOSYS)
        E(EOVERFLOW) E(ENOTSOCK) E(EPROTONOSUPPORT) E(EOPNOTSUPP) E(EAFNOSUPPORT) E(EADDRINUSE)
        E(EADDRNOTAVAIL) E(ENETUNREACH) E(ECONNABORTED) E(ECONNRESET) E(ENOBUFS) E(EISCONN) E(ENOTCONN)
        E(ETIMEDOUT) E(ECONNREFUSED) E(EHOSTUNREACH) E(EALREADY) E(EINPROGRESS) E(ECANCELED)
        // clang-format on
#undef E
    }
    return "E?";
}

}  // namespace gort::kernel
