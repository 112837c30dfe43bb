// tests/explore/tsan.cc - what -fsanitize=thread calls: every access, atomic operation and fence of the code under
// test, with its order and place.
// SPDX-License-Identifier: BSD-2-Clause
#include <cstring>

#include "tests/explore/world.h"

using namespace gort::explore;

namespace {

#define PC __builtin_return_address(0)

Order order_of(int memory_order) { return static_cast<Order>(memory_order & 0xff); }

Order weaker(Order order, int how) {
    switch (static_cast<Weaken>(how)) {
    case Weaken::kNoAcquire:
        return order == Order::kAcqRel || order == Order::kSeqCst ? Order::kRelease : Order::kRelaxed;
    case Weaken::kNoRelease:
        return order == Order::kAcqRel || order == Order::kSeqCst ? Order::kAcquire : Order::kRelaxed;
    case Weaken::kNoSc: return order == Order::kSeqCst ? Order::kAcqRel : order;
    case Weaken::kNothing: return Order::kRelaxed;
    case Weaken::kAsWritten: break;
    }
    return order;
}

// The order that counts in this run.
Order now(int memory_order, const void* pc) {
    const Order order = order_of(memory_order);
    return world->weak.empty() ? order : weaker(order, world->weakened(pc));
}

void plain(const void* address, size_t size, bool write, const void* pc) {
    if (world && world->exploring) world->memory.plain(world->view(), address, size, write, pc);
}

template <class T>
T load(const volatile void* a, int order, const void* pc) {
    auto* address = const_cast<const void*>(a);
    if (!world) return *static_cast<const T*>(address);
    const Order o = now(order, pc);
    world->step(Op::kLoad, address, o == Order::kSeqCst, sizeof(T));
    world->note(Op::kLoad, address, sizeof(T), o, pc);
    return static_cast<T>(world->memory.load(world->view(), address, sizeof(T), o, pc));
}
template <class T>
void store(volatile void* a, T value, int order, const void* pc) {
    auto* address = const_cast<void*>(a);
    if (!world) {
        *static_cast<T*>(address) = value;
        return;
    }
    const Order o = now(order, pc);
    world->step(Op::kStore, address, o == Order::kSeqCst, sizeof(T));
    world->note(Op::kStore, address, sizeof(T), o, pc);
    world->memory.store(world->view(), address, sizeof(T), value, o, pc);
}
template <class T>
T modify(volatile void* a, Memory::Fn fn, T operand, int order, const void* pc) {
    auto* address = const_cast<void*>(a);
    if (!world) {
        const T old = *static_cast<T*>(address);
        *static_cast<T*>(address) = static_cast<T>(fn(old, operand));
        return old;
    }
    const Order o = now(order, pc);
    world->step(Op::kModify, address, o == Order::kSeqCst, sizeof(T));
    world->note(Op::kModify, address, sizeof(T), o, pc);
    return static_cast<T>(world->memory.modify(world->view(), address, sizeof(T), fn, operand, o, pc));
}
template <class T>
bool exchange_if(volatile void* a, T* expected, T desired, int good, int bad, bool weak, const void* pc) {
    auto* address = const_cast<void*>(a);
    if (!world) {
        const T old = *static_cast<T*>(address);
        const bool same = old == *expected;
        if (same) *static_cast<T*>(address) = desired;
        *expected = old;
        return same;
    }
    const Order o = now(good, pc);
    Order b = now(bad, pc);
    if (b == Order::kAcqRel) b = Order::kAcquire;
    world->step(Op::kExchange, address, o == Order::kSeqCst, sizeof(T));
    world->note(Op::kExchange, address, sizeof(T), o, pc);
    uint64_t was = *expected;
    const bool done =
        world->memory.compare_exchange(world->view(), address, sizeof(T), &was, desired, o, b, weak, pc);
    *expected = static_cast<T>(was);
    return done;
}

uint64_t f_exchange(uint64_t, uint64_t b) { return b; }
uint64_t f_add(uint64_t a, uint64_t b) { return a + b; }
uint64_t f_sub(uint64_t a, uint64_t b) { return a - b; }
uint64_t f_and(uint64_t a, uint64_t b) { return a & b; }
uint64_t f_or(uint64_t a, uint64_t b) { return a | b; }
uint64_t f_xor(uint64_t a, uint64_t b) { return a ^ b; }
uint64_t f_nand(uint64_t a, uint64_t b) { return ~(a & b); }

}  // namespace

extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void** address, void*) { plain(address, sizeof(void*), true, PC); }
void __tsan_vptr_read(void** address) { plain(address, sizeof(void*), false, PC); }
void __tsan_read_range(void* address, size_t size) { plain(address, size, false, PC); }
void __tsan_write_range(void* address, size_t size) { plain(address, size, true, PC); }

#define ACCESS(name, size, write) \
    void name(void* address) { plain(address, size, write, PC); }
#define ACCESSES(size)                                    \
    ACCESS(__tsan_read##size, size, false)                \
    ACCESS(__tsan_write##size, size, true)                \
    ACCESS(__tsan_read_write##size, size, true)           \
    ACCESS(__tsan_unaligned_read##size, size, false)      \
    ACCESS(__tsan_unaligned_write##size, size, true)      \
    ACCESS(__tsan_unaligned_read_write##size, size, true) \
    ACCESS(__tsan_volatile_read##size, size, false)       \
    ACCESS(__tsan_volatile_write##size, size, true)
ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)

void* __tsan_memcpy(void* to, const void* from, size_t n) {
    plain(from, n, false, PC);
    plain(to, n, true, PC);
    return std::memcpy(to, from, n);
}
void* __tsan_memmove(void* to, const void* from, size_t n) {
    plain(from, n, false, PC);
    plain(to, n, true, PC);
    return std::memmove(to, from, n);
}
void* __tsan_memset(void* to, int value, size_t n) {
    plain(to, n, true, PC);
    return std::memset(to, value, n);
}

#define RMW(bits, name, fn)                                                                      \
    uint##bits##_t __tsan_atomic##bits##_##name(volatile void* a, uint##bits##_t v, int order) { \
        return modify<uint##bits##_t>(a, fn, v, order, PC);                                      \
    }
#define ATOMIC(bits)                                                                                       \
    uint##bits##_t __tsan_atomic##bits##_load(const volatile void* a, int order) {                         \
        return load<uint##bits##_t>(a, order, PC);                                                         \
    }                                                                                                      \
    void __tsan_atomic##bits##_store(volatile void* a, uint##bits##_t v, int order) {                      \
        store<uint##bits##_t>(a, v, order, PC);                                                            \
    }                                                                                                      \
    RMW(bits, exchange, f_exchange)                                                                        \
    RMW(bits, fetch_add, f_add)                                                                            \
    RMW(bits, fetch_sub, f_sub)                                                                            \
    RMW(bits, fetch_and, f_and)                                                                            \
    RMW(bits, fetch_or, f_or)                                                                              \
    RMW(bits, fetch_xor, f_xor)                                                                            \
    RMW(bits, fetch_nand, f_nand)                                                                          \
    bool __tsan_atomic##bits##_compare_exchange_strong(volatile void* a, uint##bits##_t* expected,         \
                                                       uint##bits##_t desired, int good, int bad) {        \
        return exchange_if<uint##bits##_t>(a, expected, desired, good, bad, false, PC);                    \
    }                                                                                                      \
    bool __tsan_atomic##bits##_compare_exchange_weak(volatile void* a, uint##bits##_t* expected,           \
                                                     uint##bits##_t desired, int good, int bad) {          \
        return exchange_if<uint##bits##_t>(a, expected, desired, good, bad, true, PC);                     \
    }                                                                                                      \
    uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(volatile void* a, uint##bits##_t expected,   \
                                                              uint##bits##_t desired, int good, int bad) { \
        exchange_if<uint##bits##_t>(a, &expected, desired, good, bad, false, PC);                          \
        return expected;                                                                                   \
    }
ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

void __tsan_atomic_thread_fence(int order) {
    if (!world) return;
    const Order o = now(order, PC);
    if (o == Order::kRelaxed) return;
    if (o == Order::kSeqCst)
        world->step(Op::kFence, nullptr, true);  // another one is its thread's own affair
    world->note(Op::kFence, nullptr, 0, o, PC);
    world->memory.fence(world->view(), o);
}
void __tsan_atomic_signal_fence(int order) {
    if (!world || now(order, PC) == Order::kRelaxed) return;
    world->note(Op::kCompilerFence, nullptr, 0, order_of(order), PC);
    world->memory.compiler_fence(world->view());
}

}  // extern "C"

// What the code under test allocates is given back when an execution ends. To free memory is to write all of it: who
// still uses it, unordered with that, races; who uses it later finds kFreed.
namespace {
constexpr unsigned char kFreed = 0xdd;
constexpr size_t kHead = 16;

void* allocate(size_t size) {
    if (!world) return std::malloc(size);
    char* head = static_cast<char*>(world->allocate(size + kHead, kHead));
    *reinterpret_cast<size_t*>(head) = size;
    return head + kHead;
}
void release(void* p, const void* pc) {
    if (!world) return std::free(p);
    if (!p || !world->owns(p)) return;
    const size_t size = *reinterpret_cast<size_t*>(static_cast<char*>(p) - kHead);
    plain(p, size, true, pc);
    std::memset(p, kFreed, size);
}
}  // namespace

void* operator new(size_t size) { return allocate(size); }
void* operator new[](size_t size) { return allocate(size); }
void* operator new(size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void operator delete(void* p) noexcept { release(p, PC); }
void operator delete[](void* p) noexcept { release(p, PC); }
void operator delete(void* p, size_t) noexcept { release(p, PC); }
void operator delete[](void* p, size_t) noexcept { release(p, PC); }
