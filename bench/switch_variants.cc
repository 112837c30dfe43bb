// bench/switch_variants.cc - loops over the switches of switch_asm.h, swapcontext and a futex.
// SPDX-License-Identifier: BSD-2-Clause
#include "bench/switch_variants.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "bench/switch_asm.h"

namespace bench {

char* new_switch_stack() {
    void* p = mmap(nullptr, kSwitchStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        std::perror("mmap");
        std::exit(1);
    }
    std::memset(p, 0, kSwitchStack);
    return static_cast<char*>(p) + kSwitchStack;
}

namespace {

using Entry = void (*)();

// A suspended stack whose handle points at `frame` bytes of saved words, the pc among them.
void* suspended_at(Entry entry, unsigned frame, unsigned pc_word) {
    void** handle = reinterpret_cast<void**>(new_switch_stack() - kEntryGap - frame);
    handle[pc_word] = reinterpret_cast<void*>(entry);
    return handle;
}

struct Pair {
    void* here;
    void* there;
};
FloorContext g_floor_here, g_floor_there;
Pair g_call, g_inline, g_ret, g_abi_ret;

void floor_side() {
    for (;;) to_floor(&g_floor_there, &g_floor_here);
}
void call_side() {
    for (;;) to_raw_call(&g_call.there, g_call.here);
}
void inline_side() {
    for (;;) to_raw_inline(&g_inline.there, g_inline.here);
}
void ret_side() {
    for (;;) to_raw_ret(&g_ret.there, g_ret.here);
}
void abi_ret_side() {
    for (;;) bench_switch_abi_ret(&g_abi_ret.there, g_abi_ret.here);
}

ucontext_t g_ucontext_here, g_ucontext_there;
void ucontext_side() {
    for (;;) swapcontext(&g_ucontext_there, &g_ucontext_here);
}
void start_ucontext() {
    getcontext(&g_ucontext_there);
    g_ucontext_there.uc_stack.ss_sp = new_switch_stack() - kSwitchStack;
    g_ucontext_there.uc_stack.ss_size = kSwitchStack;
    makecontext(&g_ucontext_there, ucontext_side, 0);
}

std::atomic<uint32_t> g_turn;
void wait_for_turn(uint32_t mine) {
    for (uint32_t now; (now = g_turn.load(std::memory_order_acquire)) != mine;)
        syscall(SYS_futex, &g_turn, FUTEX_WAIT_PRIVATE, now, nullptr, nullptr, 0);
}
void hand_over(uint32_t to) {
    g_turn.store(to, std::memory_order_release);
    syscall(SYS_futex, &g_turn, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}
void* futex_side(void* rounds) {
    for (uint64_t i = *static_cast<uint64_t*>(rounds); i; --i) {
        wait_for_turn(1);
        hand_over(0);
    }
    return nullptr;
}

}  // namespace

void switch_floor(uint64_t n) {
    if (!g_floor_there.pc)
        g_floor_there = {new_switch_stack() - kEntryGap, nullptr, reinterpret_cast<void*>(&floor_side)};
    for (; n; n -= 2) to_floor(&g_floor_here, &g_floor_there);
}

void switch_raw_call(uint64_t n) {
    if (!g_call.there) g_call.there = suspended_at(call_side, 16, 1);
    for (; n; n -= 2) to_raw_call(&g_call.here, g_call.there);
}

void switch_raw_inline(uint64_t n) {
    if (!g_inline.there) g_inline.there = suspended_at(inline_side, 16, 1);
    for (; n; n -= 2) to_raw_inline(&g_inline.here, g_inline.there);
}

void switch_raw_ret(uint64_t n) {
    if (!g_ret.there) g_ret.there = suspended_at(ret_side, 16, 1);
    for (; n; n -= 2) to_raw_ret(&g_ret.here, g_ret.there);
}

void switch_abi_ret(uint64_t n) {
    if (!g_abi_ret.there) g_abi_ret.there = suspended_at(abi_ret_side, kAbiRetFrame, kAbiRetPc);
    for (; n; n -= 2) bench_switch_abi_ret(&g_abi_ret.here, g_abi_ret.there);
}

void switch_swapcontext(uint64_t n) {
    if (!g_ucontext_there.uc_stack.ss_sp) start_ucontext();
    for (; n; n -= 2) swapcontext(&g_ucontext_here, &g_ucontext_there);
}

void switch_pthread_futex(uint64_t n) {
    uint64_t rounds = n / 2;
    pthread_t thread;
    g_turn.store(0);
    if (pthread_create(&thread, nullptr, futex_side, &rounds)) {
        std::perror("pthread_create");
        std::_Exit(1);
    }
    for (uint64_t i = n / 2; i; --i) {
        hand_over(1);
        wait_for_turn(0);
    }
    pthread_join(thread, nullptr);
}

}  // namespace bench
