// kernel/thread.h - OS threads: raw ones of our own, and what a thread may know of itself and of others.
// SPDX-License-Identifier: BSD-2-Clause
//
// A RawThread is a bare clone of this process: memory, descriptors and handlers shared, a stack with a guard,
// and a thread area that holds gort's ThreadArea and nothing else. So on it tls_get() works, and libc does
// not: no malloc, no stdio, no errno, no C++ exception, no thread_local, no pthread call. Signals are blocked
// on it but for faults, since a program's handlers may use libc. Sanitizers keep their state in libc's thread
// area, so their builds start pthreads instead (rt/host_libc.cc).
// Context: any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace gort::kernel {

struct RawThread {
    std::atomic<uint32_t> alive{
        0};  // the tid while it runs; the kernel zeroes it and wakes joiners when it has gone
    void* map = nullptr;
    size_t map_size = 0;
    void (*fn)(void*) = nullptr;
    void* arg = nullptr;
};
// Runs fn(arg) on a new thread with at least stack_size usable bytes. 0 or -errno (EAGAIN: too many threads,
// ENOMEM), and then nothing was started. *t must stay where it is until thread_join has returned.
int thread_start(RawThread* t, void (*fn)(void*), void* arg, size_t stack_size = 64 << 10);
// Waits until it has gone and frees its stack. Once, by one thread.
void thread_join(RawThread* t);

// This thread's id, asked once. After fork the child calls forget_tid().
int gettid();
void forget_tid();

void set_thread_name(const char* name);  // at most 15 bytes are kept

size_t min_signal_stack();  // for handlers with SA_ONSTACK, at least: the CPU's state and some frames

// 'R' runs or wants to, 'S' sleeps, 'D' sleeps in the kernel uninterruptibly, 'T' stopped, 'Z' ends; 0: no
// such thread in this process, or no /proc.
char thread_state(int tid);

}  // namespace gort::kernel
