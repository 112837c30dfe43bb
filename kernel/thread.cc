// kernel/thread.cc - raw threads by clone, and small questions about threads.
// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/thread.h"

#include <linux/auxvec.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <signal.h>

#include "kernel/fatal.h"
#include "kernel/futex.h"
#include "kernel/mem.h"
#include "kernel/signal.h"
#include "kernel/sys.h"
#include "kernel/tls.h"
#include "kernel/vdso.h"
#include "kernel/vm.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51  // newer than some headers; 0 from older kernels
#endif

namespace gort::kernel {

namespace {

// 64 KiB, as for goroutine stacks: GCC on ARM64 probes frames only beyond that, and could step over a smaller
// guard.
constexpr size_t kGuard = 64 << 10;
constexpr size_t kStackAlign = 16;

// What pthread_create asks for, but for the stack of cleanup handlers: qemu-user takes nothing less.
constexpr unsigned long kCloneFlags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                                      CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID |
                                      CLONE_CHILD_CLEARTID;

constexpr SignalSet kFaults = signal_bit(SIGSEGV) | signal_bit(SIGBUS) | signal_bit(SIGILL) |
                              signal_bit(SIGFPE) | signal_bit(SIGTRAP) | signal_bit(SIGABRT);

void run(void* arg) {
    auto* t = static_cast<RawThread*>(arg);
    t->fn(t->arg);
}

size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

}  // namespace

int thread_start(RawThread* t, void (*fn)(void*), void* arg, size_t stack_size) {
    const size_t page = page_size();
    const size_t area = round_up(arch::tls_block_size(sizeof(ThreadArea)), kStackAlign);
    const size_t guard = round_up(kGuard, page);
    const size_t size = guard + round_up(stack_size + area, page);
    int error;
    void* map = reserve(size, kReserveStack, 0, &error);
    if (!map) return error;
    error = protect(map, guard, Access::kNone);
    if (error != 0) {
        release(map, size);
        return error;
    }
    // [guard][stack, downwards from top][thread area, zero as every new page]
    char* top = static_cast<char*>(map) + size - area;
    void* tls = arch::tls_block_init(top);
    t->map = map;
    t->map_size = size;
    t->fn = fn;
    t->arg = arg;
    int* tid = reinterpret_cast<int*>(&t->alive);
    // The child starts with this mask, so it never has a moment in which a handler of the program's could run
    // on it.
    SignalSet before = 0;
    block_signals(~kFaults, &before);
    error = sys_clone(kCloneFlags, top, tid, tid, tls, run, t);
    set_signal_mask(before, nullptr);
    if (error >= 0) return 0;
    release(map, size);
    t->map = nullptr;
    return error;
}

void thread_join(RawThread* t) {
    // The kernel zeroes the word as the last thing that it does with our memory.
    for (uint32_t tid; (tid = t->alive.load(std::memory_order_acquire)) != 0;)
        futex_wait_shared(&t->alive, tid);
    release(t->map, t->map_size);
    t->map = nullptr;
}

int gettid() {
    ThreadArea* area = thread_area();
    if (area->tid == 0) [[unlikely]]
        area->tid = sys_gettid();
    return area->tid;
}

void forget_tid() { thread_area()->tid = 0; }

void set_thread_name(const char* name) {
    char short_name[16];
    str_copy(short_name, sizeof short_name, name);
    sys_prctl(PR_SET_NAME, reinterpret_cast<uintptr_t>(short_name));
}

size_t min_signal_stack() {
    constexpr size_t kOldKernel = 8 << 10;  // AVX-512's state fits; SVE and AMX came with the AT_ value
    constexpr size_t kFrames = 8 << 10;
    const size_t context = auxv_value(AT_MINSIGSTKSZ);
    return round_up((context > kOldKernel ? context : kOldKernel) + kFrames, page_size());
}

char thread_state(int tid) {
    char path[48], *p = path;
    const auto add = [&p](const char* s) { p += str_copy(p, 24, s); };
    add("/proc/self/task/");
    char digits[12];
    int n = sizeof digits;
    digits[--n] = 0;
    for (int v = tid; v > 0; v /= 10) digits[--n] = static_cast<char>('0' + v % 10);
    add(digits + n);
    add("/stat");
    const int fd = sys_open(path, 0);
    if (fd < 0) return 0;
    char text[128];  // "12345 (name) R 1 ...": a name is at most 15 bytes, and may hold parentheses
    long got;
    do {
        got = sys_read(fd, text, sizeof text);
    } while (got == -EINTR);
    sys_close(fd);
    // The numbers that follow hold no parenthesis, so the last one ends the name.
    for (long i = got - 3; i > 0; --i)
        if (text[i] == ')' && text[i + 1] == ' ') return text[i + 2];
    return 0;
}

}  // namespace gort::kernel
