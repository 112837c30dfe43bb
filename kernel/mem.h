// kernel/mem.h - memory and string primitives that never become a call of memcpy, memset, memcmp or strlen.
// SPDX-License-Identifier: BSD-2-Clause
//
// The compiler recognizes a copying loop and calls libc for it, even with -ffreestanding. These loops hide
// their pointer from it; sizes up to 16 are two overlapping loads and stores.
// Context: any thread, signal handlers. Sizes of 0 are fine with any pointer.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gort::kernel {

// Any object's bytes, at any alignment.
struct [[gnu::packed, gnu::may_alias]] Bytes8 {
    uint64_t v;
};
struct [[gnu::packed, gnu::may_alias]] Bytes4 {
    uint32_t v;
};
struct [[gnu::packed, gnu::may_alias]] Bytes2 {
    uint16_t v;
};

void copy_bytes_large(void* to, const void* from, size_t size);  // size > 16

// The ranges do not overlap.
inline void copy_bytes(void* to, const void* from, size_t size) {
    auto* d = static_cast<char*>(to);
    auto* s = static_cast<const char*>(from);
    if (size > 16) return copy_bytes_large(to, from, size);
    if (size >= 8) {
        const uint64_t head = reinterpret_cast<const Bytes8*>(s)->v;
        const uint64_t tail = reinterpret_cast<const Bytes8*>(s + size - 8)->v;
        reinterpret_cast<Bytes8*>(d)->v = head;
        reinterpret_cast<Bytes8*>(d + size - 8)->v = tail;
    } else if (size >= 4) {
        const uint32_t head = reinterpret_cast<const Bytes4*>(s)->v;
        const uint32_t tail = reinterpret_cast<const Bytes4*>(s + size - 4)->v;
        reinterpret_cast<Bytes4*>(d)->v = head;
        reinterpret_cast<Bytes4*>(d + size - 4)->v = tail;
    } else if (size >= 2) {
        const uint16_t head = reinterpret_cast<const Bytes2*>(s)->v;
        const uint16_t tail = reinterpret_cast<const Bytes2*>(s + size - 2)->v;
        reinterpret_cast<Bytes2*>(d)->v = head;
        reinterpret_cast<Bytes2*>(d + size - 2)->v = tail;
    } else if (size) {
        *d = *s;
    }
}

void move_bytes(void* to, const void* from, size_t size);  // the ranges may overlap
void zero_bytes(void* to, size_t size);
bool equal_bytes(const void* a, const void* b, size_t size);

size_t str_len(const char* s);
int str_compare(const char* a, const char* b);  // < 0, 0, > 0, by unsigned bytes
bool str_equal(const char* a, const char* b);
bool str_starts_with(const char* s, const char* prefix);
// Copies what fits of `from`, always ends it with a NUL (size > 0); returns str_len(from).
size_t str_copy(char* to, size_t size, const char* from);

}  // namespace gort::kernel
