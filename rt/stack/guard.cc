// rt/stack/guard.cc - which guard a slot gets, and what is written into a slot before anybody stands on it.
// SPDX-License-Identifier: BSD-2-Clause
//
// mprotect guards cost two mappings each, of the vm.max_map_count that the whole process has: malloc, threads
// and libraries need theirs, so we stop kMapsForOthers short of it.

#include <sys/mman.h>

#include "kernel/fatal.h"
#include "kernel/file.h"
#include "kernel/sys.h"
#include "kernel/vm.h"
#include "rt/stack/pool.h"

namespace gort::rt {

namespace {

constexpr uint64_t kMapsForOthers = 8192, kDefaultMaxMaps = 65530;
constexpr size_t kCanaryWords = 8;
constexpr uint64_t kCanary = 0x9d3a5c71e642b80f;  // xored with the word's own address

std::atomic<GuardKind> g_kind{GuardKind::kNone};  // kNone: not chosen yet
std::atomic<size_t> g_guards[kGuardKinds];
std::atomic<uint64_t> g_mprotect_limit{0};  // slots; 0: not asked yet
std::atomic<bool> g_told{false};

uint64_t mprotect_limit() {
    uint64_t limit = g_mprotect_limit.load(std::memory_order_relaxed);
    if (limit) return limit;
    uint64_t maps = 0;
    if (kernel::read_number("/proc/sys/vm/max_map_count", &maps) != 0 || maps == 0) maps = kDefaultMaxMaps;
    limit = maps > 2 * kMapsForOthers ? (maps - kMapsForOthers) / 2 : maps / 4 + 1;
    g_mprotect_limit.store(limit, std::memory_order_relaxed);
    return limit;
}

void tell_canary(size_t guarded) {
    if (g_told.exchange(true, std::memory_order_relaxed)) return;
    kernel::Out out(2);
    out.str("gort: no more guard pages after ").udec(guarded).str(" stacks (vm.max_map_count): ");
    out.str("further stacks have only a canary, checked when they switch\n");
}

uint64_t* canary_of(const SlotInfo* info) { return reinterpret_cast<uint64_t*>(info->lo) - kCanaryWords; }
uint64_t canary_word(const uint64_t* at) { return kCanary ^ reinterpret_cast<uintptr_t>(at); }

void write_canary(SlotInfo* info) {
    volatile uint64_t* word = canary_of(info);
    for (size_t i = 0; i < kCanaryWords; i++) word[i] = canary_word(canary_of(info) + i);
}

bool protect_guard(char* base) {
    // Counted before it is done, so that threads together stay below the limit.
    size_t guarded = g_guards[static_cast<int>(GuardKind::kMprotect)].fetch_add(1, std::memory_order_relaxed);
    if (guarded < mprotect_limit() && kernel::protect(base, guard_size(), kernel::Access::kNone) == 0)
        return true;
    g_guards[static_cast<int>(GuardKind::kMprotect)].fetch_sub(1, std::memory_order_relaxed);
    tell_canary(guarded);
    return false;
}

void finish_slot(Arena* a, uint32_t index, void* header, GuardKind kind) {
    SlotInfo* info = slot_info(header);
    uintptr_t base = a->base.load(std::memory_order_relaxed);
    info->lo = reinterpret_cast<char*>(slot_at(a->stride, base, index)) + guard_size();
    info->next = nullptr;
    info->hidden.store(0, std::memory_order_relaxed);
    info->faults = g_last_faults.load(std::memory_order_relaxed);
    info->cls = a->cls;
    info->guard = kind;
    info->use = SlotInfo::Use::kUsed;
    if (kind == GuardKind::kCanary) write_canary(info);
    a->states[index].store(static_cast<uint8_t>(kind), std::memory_order_relaxed);  // S2
}

}  // namespace

size_t guard_size() {
    size_t page = kernel::page_size();
    return page > kGuardSize ? page : kGuardSize;
}

GuardKind stack_guard_kind() {
    GuardKind kind = g_kind.load(std::memory_order_relaxed);
    if (kind != GuardKind::kNone) return kind;
    kind = kernel::lightweight_guards() ? GuardKind::kMadvise : GuardKind::kMprotect;
    g_kind.store(kind, std::memory_order_relaxed);
    return kind;
}

bool stack_force_guard(GuardKind kind) {
    if (kind == GuardKind::kMadvise && !kernel::lightweight_guards()) return false;
    g_kind.store(kind, std::memory_order_relaxed);
    return true;
}

void prepare_new_slots(Arena* a, uint32_t first, size_t n) {
    uintptr_t base = a->base.load(std::memory_order_relaxed);  // ours since arena_map returned
    GuardKind kind = stack_guard_kind();
    Range ranges[kBatch];
    for (size_t i = 0; i < n; i++)
        ranges[i] = {reinterpret_cast<char*>(slot_at(a->stride, base, first + static_cast<uint32_t>(i))),
                     guard_size()};
    size_t marked = kind == GuardKind::kMadvise ? mark_ranges(ranges, n) : 0;
    for (size_t i = 0; i < n; i++) {
        auto index = static_cast<uint32_t>(first + i);
        GuardKind got = kind;
        // The kernel refuses a marker in locked memory (mlockall), or without memory for a page table.
        if (got == GuardKind::kMadvise && i >= marked &&
            kernel::guard_install(ranges[i].start, ranges[i].size) != 0)
            got = GuardKind::kMprotect;
        if (got == GuardKind::kMprotect && !protect_guard(ranges[i].start)) got = GuardKind::kCanary;
        if (got != GuardKind::kMprotect)
            g_guards[static_cast<int>(got)].fetch_add(1, std::memory_order_relaxed);
        if (a->stride >= kSparseSlot)
            kernel::sys_madvise(ranges[i].start + a->stride - kDumpedTop, kDumpedTop, MADV_DODUMP);
        finish_slot(a, index, slot_header(a, base, index), got);
    }
}

void prepare_cold_slot(Arena* a, uint32_t index) {
    auto kind = static_cast<GuardKind>(a->states[index].load(std::memory_order_relaxed) & ~kColdBit);  // S2
    finish_slot(a, index, slot_header(a, a->base.load(std::memory_order_relaxed), index), kind);
}

bool stack_canary_ok(const void* header) {
    const SlotInfo* info = slot_info(header);
    if (info->guard != GuardKind::kCanary) return true;
    const uint64_t* word = canary_of(info);
    uint64_t wrong = 0;
    for (size_t i = 0; i < kCanaryWords; i++) wrong |= word[i] ^ canary_word(word + i);
    return wrong == 0;
}

GuardKind stack_guard_of(const void* header) { return slot_info(header)->guard; }

size_t guards_of_kind(GuardKind kind) {
    return g_guards[static_cast<int>(kind)].load(std::memory_order_relaxed);
}

void guards_forget() {
    for (auto& count : g_guards) count.store(0, std::memory_order_relaxed);
    g_told.store(false, std::memory_order_relaxed);
}

}  // namespace gort::rt
