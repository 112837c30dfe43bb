// PUBLIC
// arch/aarch64/tls.h - where this thread's ThreadArea is (kernel/tls.h), computed anew at every use.
// SPDX-License-Identifier: BSD-2-Clause
//
// arch/x86_64/tls.h says why this is assembly and why it is volatile.
#pragma once

#if defined(__aarch64__)  // both are installed

#include <cstddef>

namespace gort::arch {

// The offset of gort_tls_self from the thread pointer: positive, the same in every thread.
inline long tls_offset() {
    long offset;
    asm("adrp %0, :gottprel:gort_tls_self\n\t"
        "ldr %0, [%0, :gottprel_lo12:gort_tls_self]"
        : "=r"(offset));
    return offset;
}
[[gnu::always_inline]] inline void* tls_load() {
    void* value;
    void* base;
    asm volatile(
        "adrp %0, :gottprel:gort_tls_self\n\t"
        "mrs %1, tpidr_el0\n\t"
        "ldr %0, [%0, :gottprel_lo12:gort_tls_self]\n\t"
        "ldr %0, [%1, %0]"
        : "=&r"(value), "=&r"(base));
    return value;
}
[[gnu::always_inline]] inline void tls_store(void* value) {
    void* offset;
    void* base;
    asm volatile(
        "adrp %0, :gottprel:gort_tls_self\n\t"
        "mrs %1, tpidr_el0\n\t"
        "ldr %0, [%0, :gottprel_lo12:gort_tls_self]\n\t"
        "str %2, [%1, %0]"
        : "=&r"(offset), "=&r"(base)
        : "r"(value)
        : "memory");
}
[[gnu::always_inline]] inline void* tls_address() {
    void* address;
    void* base;
    asm volatile(
        "adrp %0, :gottprel:gort_tls_self\n\t"
        "mrs %1, tpidr_el0\n\t"
        "ldr %0, [%0, :gottprel_lo12:gort_tls_self]\n\t"
        "add %0, %1, %0"
        : "=&r"(address), "=&r"(base));
    return address;
}

// A thread area that we make for a thread of our own (kernel/thread.cc). ARM64 puts variables above the
// thread pointer, after two words that belong to the dynamic linker; the stack protector's canary is an
// ordinary global.
inline size_t tls_block_size(size_t area) { return static_cast<size_t>(tls_offset()) + area; }
inline void* tls_block_init(void* block) { return block; }

}  // namespace gort::arch
#endif
