// rt/stack/arena.cc - the table of arenas: mapping them, and finding the slot of an address.
// SPDX-License-Identifier: BSD-2-Clause

#include <sys/mman.h>

#include "kernel/fatal.h"
#include "kernel/sys.h"
#include "kernel/vm.h"
#include "rt/stack/pool.h"

namespace gort::rt {

namespace {

Arena g_arenas[kMaxArenas];
std::atomic<uint32_t> g_arena_count{0};  // entries taken
std::atomic<uint8_t> g_colours{kMaxColours};

Arena* new_entry() {
    uint32_t count = g_arena_count.load(std::memory_order_relaxed);
    do {
        if (count == kMaxArenas) return nullptr;
    } while (!g_arena_count.compare_exchange_weak(count, count + 1, std::memory_order_relaxed));
    return &g_arenas[count];
}

constexpr size_t round_up(size_t n, size_t unit) { return (n + unit - 1) & ~(unit - 1); }

}  // namespace

Arena* arena_map(int cls, size_t stride, uint32_t slots, Arena* older, StackError* error) {
    size_t size = 0;
    // Where RLIMIT_AS, or strict overcommit, is near: what is left, as long as it is one slot.
    void* memory = nullptr;
    for (; slots > 0; slots /= 2) {
        size = slot_at(stride, 0, slots) + round_up(slots, kernel::page_size());
        memory = kernel::reserve(size, kernel::kReserveStack | kernel::kReserveSparse);
        if (memory) break;
    }
    if (!memory) {
        *error = StackError::kNoAddressSpace;
        return nullptr;
    }
    Arena* a = new_entry();
    if (!a) {
        kernel::release(memory, size);
        *error = StackError::kTooManyArenas;
        return nullptr;
    }
    // prepare_new_slots takes their tops out of this again.
    if (stride >= kSparseSlot) kernel::sys_madvise(memory, size, MADV_DONTDUMP);
    auto base = reinterpret_cast<uintptr_t>(memory);
    a->mapped = size;
    a->stride = stride;
    a->end = slot_at(stride, base, slots);
    a->states = reinterpret_cast<std::atomic<uint8_t>*>(a->end);
    a->next = older;
    a->cls = static_cast<uint8_t>(cls);
    a->colours = g_colours.load(std::memory_order_relaxed);
    a->slots = slots;
    a->carved.store(0, std::memory_order_relaxed);
    a->cold = 0;
    a->cold_hint = 0;
    a->base.store(base, std::memory_order_release);  // S1
    return a;
}

void arena_unmap(Arena* a) {
    uintptr_t base = a->base.load(std::memory_order_relaxed);
    a->base.store(0, std::memory_order_release);  // S1
    GORT_CHECK(kernel::release(reinterpret_cast<void*>(base), a->mapped) == 0);
}

void arenas_forget() { g_arena_count.store(0, std::memory_order_relaxed); }

Arena* arena_of(uintptr_t address) {
    uint32_t count = g_arena_count.load(std::memory_order_relaxed);
    for (uint32_t i = 0; i < count; i++) {
        Arena* a = &g_arenas[i];
        uintptr_t base = a->base.load(std::memory_order_acquire);  // S1
        if (base && address >= base && address < a->end) return a;
    }
    return nullptr;
}

SlotRef stack_slot_of(uintptr_t address) {
    SlotRef ref;
    Arena* a = arena_of(address);
    if (!a) return ref;
    uintptr_t first = a->base.load(std::memory_order_acquire);  // S1
    uint32_t index = slot_index(a, address - first);
    if (index >= a->carved.load(std::memory_order_relaxed)) return ref;  // S2
    if (address < slot_at(a->stride, first, index)) return ref;          // in the spare page
    uint8_t state = a->states[index].load(std::memory_order_relaxed);    // S2
    ref.guard = static_cast<GuardKind>(state & ~kColdBit);
    ref.cls = a->cls;
    ref.base = slot_at(a->stride, first, index);
    ref.header = slot_header(a, first, index);
    ref.bounds = {reinterpret_cast<char*>(ref.base + guard_size()), static_cast<char*>(ref.header)};
    ref.part = address < reinterpret_cast<uintptr_t>(ref.bounds.lo)   ? SlotPart::kGuard
               : address < reinterpret_cast<uintptr_t>(ref.bounds.hi) ? SlotPart::kStack
                                                                      : SlotPart::kHeader;
    return ref;
}

void stack_set_colours(unsigned colours) {
    GORT_CHECK(colours >= 1 && colours <= kMaxColours);
    g_colours.store(static_cast<uint8_t>(colours), std::memory_order_relaxed);
}

}  // namespace gort::rt
