// kernel/fatal.h - last words: a writer without malloc, fatal errors, and the checks that end the process.
// SPDX-License-Identifier: BSD-2-Clause
//
// Context:  any thread, any stack with 1 KiB left, signal handlers.
// Ordering: none; two threads that write at once may interleave at buffer boundaries (512 bytes).
#pragma once

#include <cstddef>
#include <cstdint>

namespace gort::kernel {

// Text to a descriptor:  Out(2).str("goroutine ").dec(7).str(" at ").hex(pc).ch('\n');
//
// Buffered; the destructor flushes. Errors are dropped: there is nowhere left to report them. A full non-blocking
// descriptor is tried again for about a second and then given up.
class Out {
public:
    explicit Out(int fd = 2) : fd_(fd) {}
    ~Out() { flush(); }
    Out(const Out&) = delete;
    Out& operator=(const Out&) = delete;

    Out& str(const char* s);  // null prints "(null)"
    Out& str(const char* s, size_t size);
    Out& ch(char c);
    Out& dec(int64_t v);
    Out& udec(uint64_t v);
    Out& hex(uint64_t v);  // 0x7f12
    Out& hex(const void* p) { return hex(reinterpret_cast<uintptr_t>(p)); }
    Out& pad(size_t column);  // spaces up to this column of the line
    void flush();

private:
    int fd_;
    uint32_t used_ = 0;
    size_t column_ = 0;
    char buf_[512];
};

// "fatal error: <text>" and a newline on stderr, then exit_group(2): Go's way out. No destructor, no atexit.
[[noreturn]] void fatal(const char* text);
// The same with what a failed system call returned: "fatal error: <text>: errno 12 (ENOMEM)".
[[noreturn]] void fatal_errno(const char* text, long result);
// Dies by SIGABRT whatever the program did to that signal.
[[noreturn]] void abort_process();
[[noreturn]] void check_failed(const char* file, int line, const char* expression);
const char* errno_name(long err);  // "ENOMEM" for 12 or -12; "E?" when unknown

}  // namespace gort::kernel

// GORT_CHECK is for what must hold in every build; GORT_DCHECK costs nothing in release, where its condition
// is not even evaluated.
#define GORT_CHECK(condition)                                  \
    (__builtin_expect(!!(condition), 1) ? static_cast<void>(0) \
                                        : ::gort::kernel::check_failed(__FILE__, __LINE__, #condition))
#if defined(GORT_DEBUG)
#define GORT_DCHECK(condition) GORT_CHECK(condition)
#else
#define GORT_DCHECK(condition) static_cast<void>(sizeof((condition) ? 1 : 0))
#endif
