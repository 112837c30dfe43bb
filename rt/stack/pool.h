// rt/stack/pool.h - what the files of rt/stack share: arenas, and what we keep in a slot.
// SPDX-License-Identifier: BSD-2-Clause
//
// An arena is one mapping: slots of one class and one stride, then a byte for each that says what it is. The table
// of arenas only grows (until stack_release_all), and an entry is complete before its base is published, so
// that a signal handler may walk it.
// Context:  as rt/stack/stack.h says; `_locked`: the class's pool lock is held.
// Ordering: S1 arena base store-release (arena_map) -> load-acquire (arena_of): the entry is complete.
//           S2 slot state relaxed: who asks about a slot got it through the pool's lock, or runs on it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "kernel/fatal.h"
#include "kernel/lock.h"
#include "kernel/thread_annotations.h"
#include "kernel/vm.h"
#include "rt/stack/stack.h"

namespace gort::rt {

inline constexpr size_t kBatch = 32;  // slots for one process_madvise: twice as many gains nothing any more
inline constexpr size_t kWarmBytes = 16 << 10;  // of its top that a warm slot keeps
inline constexpr size_t kMaxArenas = 1024;
inline constexpr uint32_t kGroup = 8;  // slots from one spare page to the next: rt/stack/stack.h says why

// At header + kGSize. Written when the slot leaves the pool as new or cold, zero when it is cold.
struct SlotInfo {
    enum class Use : uint8_t { kNever, kUsed, kFree };
    char* lo;
    SlotInfo* next;  // in the warm list
    SlotInfo*
        ahead;  // some places further on, or null: to be prefetched, for each lies on a cold page of its own
    uint8_t cls;
    GuardKind guard;
    Use use;
    std::atomic<uintptr_t> hidden;  // rt/sched/trim.h
    int64_t faults;                 // cool.cc: what last_faults said when the slot left the pool
};
static_assert(sizeof(SlotInfo) <= kSlotInfo);

struct Arena {
    std::atomic<uintptr_t> base{0};  // 0: no arena, or one that is being set up
    uintptr_t end = 0;               // of the slots
    size_t mapped = 0;
    size_t stride = 0;
    std::atomic<uint8_t>* states = nullptr;  // slot index -> GuardKind, and kColdBit
    Arena* next = nullptr;                   // older one of the class
    uint8_t cls = 0;
    uint8_t colours = 0;
    // guarded by the class's pool lock
    uint32_t slots = 0;
    std::atomic<uint32_t> carved{0};  // slots below this index have been used; the handler reads it
    uint32_t cold = 0;                // slots with kColdBit
    uint32_t cold_hint = 0;           // no cold slot below this index
};
inline constexpr uint8_t kColdBit = 0x80;

inline SlotInfo* slot_info(const void* header) {
    return reinterpret_cast<SlotInfo*>(const_cast<char*>(static_cast<const char*>(header)) + kGSize);
}
inline void* slot_of_info(SlotInfo* info) { return reinterpret_cast<char*>(info) - kGSize; }
size_t guard_size();  // guard.cc
inline size_t group_size(size_t stride) { return kGroup * stride + kernel::page_size(); }
inline uintptr_t slot_at(size_t stride, uintptr_t base, uint32_t index) {
    return base + index * stride + index / kGroup * kernel::page_size();
}
// Which slot is so far from the base; the spare page counts as the next one's.
inline uint32_t slot_index(const Arena* a, size_t offset) {
    size_t group = offset / group_size(a->stride), rest = offset % group_size(a->stride);
    return static_cast<uint32_t>(group * kGroup + rest / a->stride);
}
// Of a slot whose SlotInfo is written.
inline char* slot_base(const void* header) { return slot_info(header)->lo - guard_size(); }
inline char* slot_end(const void* header) {  // the header lies in the last kTopPage bytes
    return reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(header) | (kTopPage - 1)) + 1);
}
inline void* slot_header(const Arena* a, uintptr_t base, uint32_t index) {
    uintptr_t end = slot_at(a->stride, base, index) + a->stride;
    return reinterpret_cast<void*>(end - kSlotHeader - (index % a->colours) * kColourStep);
}

inline constexpr size_t kHotSlots = 128;
struct Pool {
    constexpr Pool() : lock(kernel::LockRank::kStackPool) {}
    kernel::CountedMutex lock;
    Arena* arenas GORT_GUARDED_BY(lock) = nullptr;  // newest first; only it has slots that were never used
    size_t slots GORT_GUARDED_BY(lock) = 0;
    size_t reserved GORT_GUARDED_BY(lock) = 0;  // bytes
    size_t in_use GORT_GUARDED_BY(lock) = 0;
    size_t cold GORT_GUARDED_BY(lock) = 0;
    size_t idle GORT_GUARDED_BY(lock) = 0;         // least hot + warm since the last stack_scavenge
    size_t idle_hot GORT_GUARDED_BY(lock) = 0;     // least hot since the last stack_give_back
    size_t idle_before GORT_GUARDED_BY(lock) = 0;  // idle, when stack_give_back came last
    SlotInfo* warm GORT_GUARDED_BY(lock) = nullptr;
    size_t warm_count GORT_GUARDED_BY(lock) = 0;
    size_t unproven GORT_GUARDED_BY(lock) = 0;  // of `warm`, the first ones: cool.cc, SHALLOW
    size_t trust GORT_GUARDED_BY(lock) = 0;     // so many may be that
    size_t hot_oldest GORT_GUARDED_BY(lock) = 0, hot_count GORT_GUARDED_BY(lock) = 0;
    TierRange* tier GORT_GUARDED_BY(lock) = nullptr;  // it is one
    size_t tier_slots GORT_GUARDED_BY(lock) = 0;      // that goroutines may have who did not ask for so much
    void* hot[kHotSlots] GORT_GUARDED_BY(lock) = {};

    size_t free_now() const GORT_REQUIRES(lock) { return hot_count + warm_count; }
};
extern constinit Pool g_pools[kStackClasses];

inline Pool& pool_of(int cls) {
    GORT_CHECK(cls >= 0 && cls < kStackClasses);
    return g_pools[cls];
}

inline void* pop_oldest_hot(Pool& p) GORT_REQUIRES(p.lock) {
    void* header = p.hot[p.hot_oldest];
    p.hot_oldest = (p.hot_oldest + 1) % kHotSlots;
    p.hot_count--;
    return header;
}

// cool.cc
// n <= kBatch hot slots that are in no list become warm.
void cool_down(Pool& p, int cls, void** headers, size_t n) GORT_EXCLUDES(p.lock);
// The first free slot that is warm; there is one.
void* pop_warm(Pool& p) GORT_REQUIRES(p.lock);
extern std::atomic<int64_t> g_last_faults;  // what page_faults said when somebody asked last
void look_at_faults();                      // asks
extern std::atomic<int64_t> g_first_pages;  // that slots have got from prepare

// arena.cc
Arena* arena_of(uintptr_t address);  // null: not in any slot
// A new arena of this class with up to `slots` slots of `stride` bytes (fewer when address space is short), before
// `older`.
Arena* arena_map(int cls, size_t stride, uint32_t slots, Arena* older, StackError* error);
void arena_unmap(Arena* a);
void stack_make_tier(int cls, TierRange* range, size_t slots);  // range null: it is none. stack.cc
void arenas_forget();                                           // stack_release_all: the table is empty

// guard.cc
// Makes the n <= kBatch never used slots from index `first` on ready for use: guards, state, SlotInfo.
void prepare_new_slots(Arena* a, uint32_t first, size_t n);
// The same for one that was cold: its guard is there, its pages are not.
void prepare_cold_slot(Arena* a, uint32_t index);
size_t guards_of_kind(GuardKind kind);
void guards_forget();  // stack_release_all

// pages.cc
struct Range {
    char* start;
    size_t size;
};
// Drops the pages of n <= kBatch ranges.
void decommit_ranges(const Range* ranges, size_t n);
// Installs guard markers in n <= kBatch ranges at once; how many, from the first: none on old kernels.
size_t mark_ranges(const Range* ranges, size_t n);
// Gets pages for n <= kBatch ranges at once, where the kernel can; else they come when they are touched.
void populate_ranges(const Range* ranges, size_t n);
size_t resident_in(Arena* a);
int64_t page_faults();  // of this process, so far; -1: the kernel does not say

}  // namespace gort::rt
