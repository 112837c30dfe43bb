// PUBLIC
// arch/x86_64/tls.h - where this thread's ThreadArea is (kernel/tls.h), computed anew at every use.
// SPDX-License-Identifier: BSD-2-Clause
//
// The compiler may assume that a thread_local's address never changes inside a function. A goroutine that
// parks wakes on another thread, so that is false for us; it cannot see into an asm volatile, and does not
// merge two of them. Initial-exec: the offset is a constant of the program, loaded by the dynamic linker into
// the GOT, no call.
#pragma once

#if defined(__x86_64__)  // both are installed

#include <cstddef>

namespace gort::arch {

// The offset of gort_tls_self from the thread pointer: negative, the same in every thread.
inline long tls_offset() {
    long offset;
    asm("movq gort_tls_self@gottpoff(%%rip), %0" : "=r"(offset));
    return offset;
}
[[gnu::always_inline]] inline void* tls_load() {
    void* value;
    asm volatile(
        "movq gort_tls_self@gottpoff(%%rip), %0\n\t"
        "movq %%fs:(%0), %0"
        : "=r"(value));
    return value;
}
[[gnu::always_inline]] inline void tls_store(void* value) {
    void* offset;
    asm volatile(
        "movq gort_tls_self@gottpoff(%%rip), %0\n\t"
        "movq %1, %%fs:(%0)"
        : "=&r"(offset)
        : "r"(value)
        : "memory");
}
[[gnu::always_inline]] inline void* tls_address() {
    void* address;
    asm volatile(
        "movq gort_tls_self@gottpoff(%%rip), %0\n\t"
        "addq %%fs:0, %0"
        : "=r"(address)
        :
        : "cc");
    return address;
}

// A thread area that we make for a thread of our own (kernel/thread.cc): how many bytes, and where the thread
// pointer is inside. x86-64 puts variables below the thread pointer, which must point to itself; the stack
// protector's canary at fs:0x28 has to be there because the functions such a thread calls may have been
// compiled with it.
inline constexpr size_t kTlsHead = 64;
inline size_t tls_block_size(size_t) { return static_cast<size_t>(-tls_offset()) + kTlsHead; }
inline void* tls_block_init(void* block) {
    auto* tp = static_cast<char*>(block) + -tls_offset();
    auto** head = reinterpret_cast<void**>(tp);
    void* canary;
    asm volatile("movq %%fs:0x28, %0" : "=r"(canary));
    head[0] = head[2] = tp;
    head[5] = canary;
    return tp;
}

}  // namespace gort::arch
#endif
