// tests/explore/seam.cc - the kernel as the model has it: futexes, membarrier, time, yielding; explore.h's functions.
// SPDX-License-Identifier: BSD-2-Clause
//
// The linker puts these in the place of kernel/sys.cc's functions (--wrap, tests/explore/explore.mk); the library above
// them is the real one. Other system calls go to the real kernel, but memory comes from the arena that is set back.
#include <linux/futex.h>
#include <linux/membarrier.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "kernel/clock.h"
#include "kernel/counts.h"
#include "kernel/fatal.h"
#include "kernel/membarrier.h"
#include "kernel/sys.h"
#include "tests/explore/world.h"

using namespace gort;
using namespace gort::explore;
using kernel::Timespec;

constexpr uint32_t kRefusals = 16;  // in a row: once is a change that came just then

#define PC __builtin_return_address(0)
#define WRAP(mangled) __asm__("__wrap_" mangled)
#define REAL(mangled) __asm__("__real_" mangled)

// A call that many ask for: who did.
void real_heavy_barrier(kernel::Count asker) REAL("_ZN4gort6kernel13heavy_barrierENS0_5CountE");
void wrap_heavy_barrier(kernel::Count asker) WRAP("_ZN4gort6kernel13heavy_barrierENS0_5CountE");
void wrap_heavy_barrier(kernel::Count asker) {
    world->barrier_asker = PC;
    real_heavy_barrier(asker);
}

int wrap_membarrier(int command, unsigned) WRAP("_ZN4gort6kernel14sys_membarrierEij");
int wrap_membarrier(int command, unsigned) {
    if (command == MEMBARRIER_CMD_QUERY)
        return MEMBARRIER_CMD_PRIVATE_EXPEDITED | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED;
    if (command != MEMBARRIER_CMD_PRIVATE_EXPEDITED) return 0;
    const void* asker = world->barrier_asker ? world->barrier_asker : PC;
    world->barrier_asker = nullptr;
    if (world->weakened(asker) == static_cast<int>(Weaken::kNothing)) {
        world->memory.compiler_fence(world->view());
        return 0;
    }
    world->barrier(PC, asker);
    return 0;
}

long wrap_futex(uint32_t* word, int op, uint32_t value, const Timespec* timeout, uint32_t*, uint32_t)
    WRAP("_ZN4gort6kernel9sys_futexEPjijPKNS0_8TimespecES1_j");
long wrap_futex(uint32_t* word, int op, uint32_t value, const Timespec* timeout, uint32_t*, uint32_t) {
    World& w = *world;
    w.memory.make_shared(word, 4);
    w.memory.compiler_fence(w.view());
    if ((op & FUTEX_CMD_MASK) == FUTEX_WAKE) {
        w.step(Op::kFutexWake, word, false);
        w.memory.futex_wake(w.view(), word);
        w.note(Op::kFutexWake, word, 4, Order::kPlain, PC);
        const int woken = w.wake(word, static_cast<int>(value));
        w.events.back().value = static_cast<uint64_t>(woken);
        w.memory.compiler_fence(w.view());
        return woken;
    }
    if ((op & FUTEX_CMD_MASK) != FUTEX_WAIT) w.stop("a futex operation that the explorer does not know", PC);
    w.step(Op::kFutexWait, word, false);
    w.note(Op::kFutexWait, word, 4, Order::kPlain, PC);
    const uint64_t seen = w.memory.futex_load(w.view(), word, PC);
    long result = -EAGAIN;
    if (seen == value) {
        const int64_t ns = timeout ? kernel::to_ns(*timeout) : -1;
        w.wait(word, timeout ? w.now + ns : -1);
        w.note(w.me().timed_out ? Op::kTimeout : Op::kWoken, word, 4, Order::kPlain, PC);
        result = w.me().timed_out ? -ETIMEDOUT : 0;
    } else if (++w.me().refused > kRefusals) {
        w.failed("spin: a futex refuses again and again to let it sleep", PC);
    }
    w.memory.compiler_fence(w.view());
    return result;
}

int wrap_sched_yield() WRAP("_ZN4gort6kernel15sys_sched_yieldEv");
int wrap_sched_yield() {
    world->note(Op::kYield, nullptr, 0, Order::kPlain, PC);
    world->yield(Op::kYield);
    return 0;
}
int wrap_nanosleep(const Timespec* time, Timespec*)
    WRAP("_ZN4gort6kernel13sys_nanosleepEPKNS0_8TimespecEPS1_");
int wrap_nanosleep(const Timespec* time, Timespec*) {
    world->memory.compiler_fence(world->view());
    world->step(Op::kSleep, nullptr, false);
    world->note(Op::kSleep, nullptr, 0, Order::kPlain, PC).value =
        static_cast<uint64_t>(kernel::to_ns(*time));
    world->wait(nullptr, world->now + kernel::to_ns(*time));
    return 0;
}
int wrap_getaffinity(int, size_t size, void* mask) WRAP("_ZN4gort6kernel21sys_sched_getaffinityEimPv");
int wrap_getaffinity(int, size_t size, void* mask) {  // one CPU: locks do not spin before they sleep
    std::memset(mask, 0, size);
    *static_cast<char*>(mask) = 1;
    return 8;
}
int wrap_gettid() WRAP("_ZN4gort6kernel10sys_gettidEv");
int wrap_gettid() { return world->me().tid; }

long wrap_mmap(void*, size_t size, int, int, int, int64_t) WRAP("_ZN4gort6kernel8sys_mmapEPvmiiil");
long wrap_mmap(void*, size_t size, int, int, int, int64_t) {
    return reinterpret_cast<long>(world->allocate(size, 4096));
}
int wrap_munmap(void*, size_t) WRAP("_ZN4gort6kernel10sys_munmapEPvm");
int wrap_munmap(void*, size_t) { return 0; }
int wrap_mprotect(void*, size_t, int) WRAP("_ZN4gort6kernel12sys_mprotectEPvmi");
int wrap_mprotect(void*, size_t, int) { return 0; }
int wrap_madvise(void*, size_t, int) WRAP("_ZN4gort6kernel11sys_madviseEPvmi");
int wrap_madvise(void* start, size_t size, int advice) {
    if (advice != MADV_DONTNEED) return 0;
    if (!world->exploring) return madvise(start, size, advice);
    world->memory.plain(world->view(), start, size, true, PC);
    std::memset(start, 0, size);
    return 0;
}
long wrap_process_madvise(int, const iovec*, size_t, int, unsigned)
    WRAP("_ZN4gort6kernel19sys_process_madviseEiPK5iovecmij");
long wrap_process_madvise(int, const iovec*, size_t, int, unsigned) { return -ENOSYS; }
long wrap_getrandom(void* buf, size_t size, unsigned) WRAP("_ZN4gort6kernel13sys_getrandomEPvmj");
long wrap_getrandom(void* buf, size_t size, unsigned) {
    std::memset(buf, 0x5a, size);
    return static_cast<long>(size);
}

[[noreturn]] void wrap_check_failed(const char* file, int line, const char* expression)
    WRAP("_ZN4gort6kernel12check_failedEPKciS2_");
void wrap_check_failed(const char* file, int line, const char* expression) {
    char text[300];
    std::snprintf(text, sizeof text, "%s:%d: CHECK failed: %s", file, line, expression);
    world->failed(text, PC);
}
[[noreturn]] void wrap_fatal(const char* text) WRAP("_ZN4gort6kernel5fatalEPKc");
void wrap_fatal(const char* text) { world->failed(text, PC); }
[[noreturn]] void wrap_fatal_errno(const char* text, long result) WRAP("_ZN4gort6kernel11fatal_errnoEPKcl");
void wrap_fatal_errno(const char* text, long) { world->failed(text, PC); }

// arch::pause(): tests/explore/first.h has the compiler call this.
extern "C" void gort_explore_pause() {
    world->note(Op::kPause, nullptr, 0, Order::kPlain, PC);
    world->yield(Op::kPause);
}

namespace gort::explore {

static int model_clock(int, Timespec* out) {
    world->memory.compiler_fence(world->view());
    ++world->me().ops;
    *out = kernel::to_timespec(world->clock());
    return 0;
}

void install_seam() {
    kernel::g_clock.store(model_clock, std::memory_order_relaxed);
    kernel::g_expedited = true;
    world->memory.ignore(kernel::g_counts, sizeof kernel::g_counts);
}

void spawn_raw(ThreadFn fn, void* arg) {
    world->step(Op::kSpawn, nullptr, false);
    world->note(Op::kSpawn, nullptr, 0, Order::kPlain, PC).value = static_cast<uint64_t>(world->nthreads);
    world->spawn(fn, arg);
}
void start() { world->begin_exploring(); }
void join() {
    world->memory.compiler_fence(world->view());
    world->join_all();
    world->note(Op::kJoin, nullptr, 0, Order::kPlain, PC);
}
void finish() { world->finish(End::kGood); }
void fail(const char* text) { world->failed(text, PC); }
uint32_t pick(uint32_t n) {
    ++world->me().ops;
    return world->choose(Choice::kPick, n);
}
int64_t model_time() { return world->now; }
int thread_id() { return world->current; }
void meant(const void* address, size_t size) { world->memory.meant(address, size); }
void dependent(const void* address) { world->memory.dependent(address); }

}  // namespace gort::explore
