// kernel/mem.cc - the loops behind mem.h.
// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/mem.h"

#include "arch/sanitize.h"
#if defined(__x86_64__)
#include "arch/x86_64/mem.h"
#elif defined(__aarch64__)
#include "arch/aarch64/mem.h"
#endif

namespace gort::kernel {

namespace {

// Makes p a value that the compiler knows nothing of, so that it cannot see a loop as a memcpy or memset.
template <class T>
[[gnu::always_inline]] inline void hide(T*& p) {
    asm volatile("" : "+r"(p));
}

constexpr size_t kWord = 8;
[[gnu::always_inline]] inline uint64_t load8(const char* p) { return reinterpret_cast<const Bytes8*>(p)->v; }
[[gnu::always_inline]] inline void store8(char* p, uint64_t v) { reinterpret_cast<Bytes8*>(p)->v = v; }

// A vector register, at any alignment: every x86-64 and every ARM64 has these.
typedef uint64_t Bytes16 __attribute__((vector_size(16), aligned(1), may_alias));
constexpr size_t kVector = 16, kBlock = 4 * kVector;
[[gnu::always_inline]] inline Bytes16 load16(const char* p) { return *reinterpret_cast<const Bytes16*>(p); }
[[gnu::always_inline]] inline void store16(char* p, Bytes16 v) { *reinterpret_cast<Bytes16*>(p) = v; }
[[gnu::always_inline]] inline void copy_block(char* d, const char* s) {
    const Bytes16 a = load16(s), b = load16(s + 16), c = load16(s + 32), e = load16(s + 48);
    store16(d, a);
    store16(d + 16, b);
    store16(d + 32, c);
    store16(d + 48, e);
}

// A sanitizer sees loads and stores, not what an instruction does inside of assembly.
constexpr size_t kBulk = GORT_ASAN || GORT_TSAN ? SIZE_MAX : arch::kBulk;

}  // namespace

// Whole blocks, then the last one once more where it overlaps what is done: no tail loop.
void copy_bytes_large(void* to, const void* from, size_t size) {
    auto* d = static_cast<char*>(to);
    auto* s = static_cast<const char*>(from);
    if (size <= kBlock) {
        const Bytes16 head = load16(s), tail = load16(s + size - kVector);
        if (size > 2 * kVector) {
            const Bytes16 second = load16(s + kVector), third = load16(s + size - 2 * kVector);
            store16(d + kVector, second);
            store16(d + size - 2 * kVector, third);
        }
        store16(d, head);
        store16(d + size - kVector, tail);
        return;
    }
    if (size >= kBulk) return arch::bulk_copy(to, from, size);
    char* const last = d + size - kBlock;
    const char* const last_from = s + size - kBlock;
    while (d < last) {
        copy_block(d, s);
        d += kBlock;
        s += kBlock;
        hide(d);
        hide(s);
    }
    copy_block(last, last_from);
}

// Upwards when the target lies below, downwards else; by words that are loaded before they are stored.
void move_bytes(void* to, const void* from, size_t size) {
    auto* d = static_cast<char*>(to);
    auto* s = static_cast<const char*>(from);
    if (d == s || size == 0) return;
    if (reinterpret_cast<uintptr_t>(d) - reinterpret_cast<uintptr_t>(s) >= size) {
        for (; size >= kWord; size -= kWord, d += kWord, s += kWord) {
            store8(d, load8(s));
            hide(d);
            hide(s);
        }
        for (; size; --size, ++d, ++s) {
            *d = *s;
            hide(d);
        }
    } else {
        d += size;
        s += size;
        for (; size >= kWord; size -= kWord) {
            d -= kWord;
            s -= kWord;
            store8(d, load8(s));
            hide(d);
            hide(s);
        }
        for (; size; --size) {
            *--d = *--s;
            hide(d);
        }
    }
}

void zero_bytes(void* to, size_t size) {
    if (size >= kBulk) return arch::bulk_zero(to, size);
    auto* d = static_cast<char*>(to);
    const Bytes16 zero = {0, 0};
    if (size >= kVector) {
        char* const last = d + size - kVector;
        for (; d + kBlock <= last; d += kBlock) {
            for (size_t i = 0; i < kBlock; i += kVector) store16(d + i, zero);
            hide(d);
        }
        for (; d < last; d += kVector) {
            store16(d, zero);
            hide(d);
        }
        store16(last, zero);
    } else if (size >= kWord) {
        store8(d, 0);
        store8(d + size - kWord, 0);
    } else {
        for (; size; --size, ++d) {
            *d = 0;
            hide(d);
        }
    }
}

bool equal_bytes(const void* a, const void* b, size_t size) {
    auto* x = static_cast<const char*>(a);
    auto* y = static_cast<const char*>(b);
    for (; size >= kWord; size -= kWord, x += kWord, y += kWord)
        if (load8(x) != load8(y)) return false;
    for (; size; --size, ++x, ++y) {
        if (*x != *y) return false;
        hide(x);
    }
    return true;
}

size_t str_len(const char* s) {
    const char* p = s;
    while (*p) {
        ++p;
        hide(p);
    }
    return static_cast<size_t>(p - s);
}

int str_compare(const char* a, const char* b) {
    while (*a && *a == *b) {
        ++a;
        ++b;
        hide(a);
    }
    return static_cast<unsigned char>(*a) - static_cast<unsigned char>(*b);
}

bool str_equal(const char* a, const char* b) { return str_compare(a, b) == 0; }

bool str_starts_with(const char* s, const char* prefix) {
    for (; *prefix; ++s, ++prefix)
        if (*s != *prefix) return false;
    return true;
}

size_t str_copy(char* to, size_t size, const char* from) {
    const size_t length = str_len(from);
    if (size) {
        const size_t n = length < size ? length : size - 1;
        copy_bytes(to, from, n);
        to[n] = 0;
    }
    return length;
}

}  // namespace gort::kernel
