// rt/stack/tiers.cc - are there stacks larger than what a goroutine asks for: rt/stack/stack.h, TIERS.
// SPDX-License-Identifier: BSD-2-Clause
#include <sys/mman.h>

#include "arch/sanitize.h"
#include "kernel/sys.h"
#include "kernel/vm.h"
#include "rt/stack/pool.h"

namespace gort::rt {

namespace {

// All tiers and an equal part for what is beside them, eight times.
constexpr size_t kShare = 8;

size_t size_of_tiers(size_t divisor) {
    size_t sum = 0;
    for (const StackTier& tier : kTiers) sum += tier.slots / divisor * (tier.size + tier.size / 16);
    return sum * kShare;
}

// Tried, not asked: a mapping of that size is refused where address space is short (RLIMIT_AS, 39 bits), becomes
// writable only where that counts for nothing, and refuses to lose pages where all is locked. Four system calls.
bool can_reserve(size_t size, bool* never) {
    void* map = kernel::reserve(size, kernel::kReserveNoAccess);
    if (!map) return false;
    *never = kernel::sys_madvise(map, kernel::page_size(), MADV_DONTNEED) != 0 ||
             kernel::protect(map, size, kernel::Access::kReadWrite) != 0;
    kernel::release(map, size);
    return !*never;
}

size_t g_slots[kTierCount] = {};  // 0: there is no such tier

}  // namespace

TierRange g_tier_ranges[kTierCount];

void stack_set_tiers(bool on) {
    // For a tier's reserve qemu-user 7.2 takes 10 GB of memory and half a minute at every start.
    size_t divisor = 1;
    bool never = !on || arch::tool_watches_now() || kernel::emulated();
    for (; !never && divisor <= kTiers[kTierCount - 1].slots; divisor *= 2)
        if (can_reserve(size_of_tiers(divisor), &never)) break;
    for (int i = 0; i < kTierCount; i++) {
        g_slots[i] = never ? 0 : kTiers[i].slots / divisor;
        stack_make_tier(stack_class_for(kTiers[i].size), g_slots[i] ? &g_tier_ranges[i] : nullptr,
                        g_slots[i]);
    }
}

int stack_main_class(int otherwise) {
    for (int i = 0; i < kTierCount; i++)
        if (g_slots[i] && stack_class_for(kTiers[i].size) > otherwise) return stack_class_for(kTiers[i].size);
    return otherwise;
}

void stack_into_core(uintptr_t sp) {
    const SlotRef slot = stack_slot_of(sp);
    if (slot.part != SlotPart::kStack) return;
    const uintptr_t page = kernel::page_size(), from = sp & ~(page - 1);
    const auto end = reinterpret_cast<uintptr_t>(slot_end(slot.header));
    kernel::sys_madvise(reinterpret_cast<void*>(from), end - from, MADV_DODUMP);
}

}  // namespace gort::rt
