// kernel/mem.cc - the loops behind mem.h.
// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/mem.h"

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

}  // namespace

// 32 bytes at a time, then the last 32 once more where they overlap what is done: no tail loop.
void copy_bytes_large(void* to, const void* from, size_t size) {
    auto* d = static_cast<char*>(to);
    auto* s = static_cast<const char*>(from);
    if (size < 4 * kWord) {  // 17 to 31
        const uint64_t a = load8(s), b = load8(s + 8), c = load8(s + size - 16), e = load8(s + size - 8);
        store8(d, a);
        store8(d + 8, b);
        store8(d + size - 16, c);
        store8(d + size - 8, e);
        return;
    }
    char* const last = d + size - 4 * kWord;
    const char* const last_from = s + size - 4 * kWord;
    while (d < last) {
        const uint64_t a = load8(s), b = load8(s + 8), c = load8(s + 16), e = load8(s + 24);
        store8(d, a);
        store8(d + 8, b);
        store8(d + 16, c);
        store8(d + 24, e);
        d += 4 * kWord;
        s += 4 * kWord;
        hide(d);
        hide(s);
    }
    const uint64_t a = load8(last_from), b = load8(last_from + 8), c = load8(last_from + 16),
                   e = load8(last_from + 24);
    store8(last, a);
    store8(last + 8, b);
    store8(last + 16, c);
    store8(last + 24, e);
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
    auto* d = static_cast<char*>(to);
    if (size >= kWord) {
        char* const last = d + size - kWord;
        for (; d < last; d += kWord) {
            store8(d, 0);
            hide(d);
        }
        store8(last, 0);
        return;
    }
    for (; size; --size, ++d) {
        *d = 0;
        hide(d);
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
