// rt/stack/stack.h - the memory that goroutines stand on: slots of address space with a guard, pooled by size.
// SPDX-License-Identifier: BSD-2-Clause
//
// A slot's class is what it is promised to have: a power of two from 128 KiB to 1 GiB, guard included. `stride`
// is what it has: a little more in large classes.
//
//   base        lo                                              header        end = base + stride
//    | guard    | stack: grows down from header                   | G | SlotInfo | colour |
//    64 KiB      pages appear when they are touched                \_____ one page _____/
//
// The page at the top holds `header` (the scheduler's kGSize bytes, then our SlotInfo) and at least
// kMinTopStack bytes of stack: all that a shallow goroutine touches. The colour moves header and stack inside
// that page by 64 bytes from slot to slot, since lines at one page offset compete for the same few cache
// sets. A slot's handle is `header`: what the pool gives and takes. Above all else: a stack page is the
// dearest thing we own (2 to 4 us to touch, 0.05 us when warm; a guard 0.5 us), so free slots go back in use
// in the order of what they cost:
//   hot   the last few freed, as they were left                          reuse costs nothing
//   warm  pages below the top kWarmBytes given back                      reuse costs what is touched below
//   cold  no pages at all, but the guard is there                        reuse costs one page
//   then a slot that was never used (one page and a guard).
//
// Invariants: (1) a slot is in use, or free in exactly one of hot, warm, cold. (2) the guard is installed
//             before a slot leaves the pool and never removed. (3) an arena is never unmapped but by
//             stack_release_all, so stack_slot_of is right for every address of every slot that was ever
//             handed out. (4) header bytes are zero in a slot that was never used, and zero or what its last
//             user left there in any other.
// Context:    any thread, any stack with 4 KiB left; blocks the thread for as long as one batch takes at
//             most. stack_slot_of is [signal] too. What is asked or done about one slot: by its owner only.
// Ordering:   a slot's content passes from who freed it to who gets it through the pool's lock.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "kernel/lock.h"

namespace gort::rt {

inline constexpr size_t kSlotHeader = 512;  // of a slot's top page: the G, then SlotInfo
inline constexpr size_t kSlotInfo = 64;
inline constexpr size_t kGSize = kSlotHeader - kSlotInfo;  // what the scheduler may use at `header`
inline constexpr size_t kMinTopStack = 2048;               // of a slot's top page: stack
inline constexpr size_t kTopPage = 4096;                   // the smallest page there is
inline constexpr size_t kColourStep = 64;
inline constexpr unsigned kMaxColours = (kTopPage - kSlotHeader - kMinTopStack) / kColourStep + 1;
// Odd, so that no power-of-two pattern in the use of slots meets few colours. Measured, walking 1000 slots
// and touching three lines of header and of stack in each: 27 ns a slot with 1 colour, 24 with 8, 18 with 16,
// 12 with 25.
static_assert(kMaxColours == 25);
// The page is staggered too, for the TLB, whose sets are chosen by the low bits of a page's number: after every eighth
// slot one page is left out (kGroup in rt/stack/pool.h). Measured, one line in each of 1000 slots, ns a slot: on Zen 4
// 4.9 without, 0.7 with; on Cascade Lake no difference. To move the page within the slot instead would cost 31 of them.

// GCC's probes for ARM64 step over anything less; also the largest page there is.
inline constexpr size_t kGuardSize = 64 << 10;
inline constexpr unsigned kMinSlotShift = 17, kMaxSlotShift = 30;
inline constexpr int kStackClasses = kMaxSlotShift - kMinSlotShift + 1;
inline constexpr size_t kDefaultStackSize = 256 << 10;

// TIERS. A goroutine that asks for no more than the default gets one of the largest stacks as long as few goroutines
// live: one of kTiers that has not given out `slots` yet, else one of the class it asked for. So code without stack
// probes, whose large frames would step over a guard, has room; and recursion ends where it does in Go. Large reserves
// are free while stacks are few and dear when they are many (threadring with 503 goroutines, yield with 1000, page
// tables a goroutine, Zen 4: 256 KiB 22 ns, 6.5 ns, 515 B; 64 MiB 23, 6.8, 4465; 1 GiB 42, 8.6, 8305).
// Their stride is a little more than the size, so that tops spread over the TLB's sets, and a slot's top shares its
// page table with the next one's guard (slots that end at 2 MiB would need two tables each).
// A slot of 16 MiB or more is left out of cores, but for kDumpedTop at its top; the stack that a thread dies on is in
// it whole.
struct StackTier {
    size_t size;
    size_t slots;  // of the first, what lies unused in the Ps' caches may be half
};
inline constexpr StackTier kTiers[] = {{size_t{1} << 30, 128}, {size_t{64} << 20, 1024}};
inline constexpr int kTierCount = 2;
inline constexpr size_t kSparseSlot = 16 << 20;
inline constexpr size_t kDumpedTop = 32 << 10;

constexpr size_t stack_class_size(int cls) {
    return size_t{1} << (kMinSlotShift + static_cast<unsigned>(cls));
}
// The smallest class that reserves at least `reserve` bytes of address space, guard included; -1: none does.
constexpr int stack_class_for(size_t reserve) {
    for (int cls = 0; cls < kStackClasses; cls++)
        if (reserve <= stack_class_size(cls)) return cls;
    return -1;
}

enum class StackError : uint8_t { kNone, kNoAddressSpace, kTooManyArenas };
const char* stack_error_text(StackError error);  // one line for a person

enum class GuardKind : uint8_t { kNone, kMadvise, kMprotect, kCanary };
inline constexpr int kGuardKinds = 4;

struct StackBounds {
    char *lo, *hi;  // lowest usable byte; one above the highest, which is `header`
    size_t size() const { return static_cast<size_t>(hi - lo); }
};

// Gets up to n slots of a class; how many there are. Fewer than n, and *error says why, only when no address
// space is left. Guards that the kernel refuses never make it fail: see stack_guard_kind.
size_t stack_alloc_batch(int cls, void** headers, size_t n, StackError* error = nullptr);
// Gives slots of this class back. Costs a system call per 32 slots, and none as long as few slots are free.
void stack_free_batch(int cls, void** headers, size_t n);
inline void* stack_alloc(int cls, StackError* error = nullptr) {
    void* header = nullptr;
    return stack_alloc_batch(cls, &header, 1, error) ? header : nullptr;
}
inline void stack_free(int cls, void* header) { stack_free_batch(cls, &header, 1); }

// [init, between runs] Are there tiers? `on` is a wish: they are left out where address space is small (together
// they take at most an eighth of it), where reserving counts like using (vm.overcommit_memory=2), where everything
// is locked into memory (MCL_FUTURE), and under tools that watch stacks.
void stack_set_tiers(bool on);
int stack_main_class(int otherwise);  // for main, which has one of the largest always
// Stacks larger than this are not given out any more, but for those who ask for one; what it was before.
size_t stack_set_max(size_t bytes);
// As stack_alloc_batch, of the largest tiers that are free; the last ones are the largest.
size_t stack_alloc_tiered(int cls, void** headers, size_t n, StackError* error = nullptr);
// Gives slots of any classes back.
void stack_free_mixed(void** headers, size_t n);

// Does the slot belong to a tier?
struct TierRange {
    std::atomic<uintptr_t> base{0}, size{0};
};
extern TierRange g_tier_ranges[kTierCount];
[[gnu::always_inline]] inline bool stack_is_large(const void* header) {
    const auto at = reinterpret_cast<uintptr_t>(header);
    for (const TierRange& r : g_tier_ranges)
        if (at - r.base.load(std::memory_order_relaxed) < r.size.load(std::memory_order_relaxed)) return true;
    return false;
}

// Of a slot in use.
StackBounds stack_bounds(const void* header);
int stack_class(const void* header);
GuardKind stack_guard_of(const void* header);
// True unless the slot's guard is a canary and something wrote over it. To be asked at every switch away from
// a slot whose stack_guard_of is kCanary; a frame that steps over the canary's 64 bytes is not seen.
bool stack_canary_ok(const void* header);

// Gives back the pages below `sp` of a stack that is suspended there; how many bytes that freed.
size_t stack_trim(void* header, uintptr_t sp);
struct StackPages {
    char* lowest = nullptr;  // of those that are there; null: none is
    size_t size = 0;         // from there to the end of what may go
    size_t bytes = 0;        // of them that are in memory
};
StackPages stack_dead_pages(const StackBounds& bounds, uintptr_t sp);  // what stack_trim would give back
// How deep this stack has ever been, to the page, since the slot was last given back below its warm part.
size_t stack_high_water(const void* header);
size_t stack_resident(const void* header);  // bytes of memory behind stack and header

// Which slot an address belongs to. Lock-free and async-signal-safe.
enum class SlotPart : uint8_t { kNone, kGuard, kStack, kHeader };  // kHeader: header up to the slot's end
struct SlotRef {
    SlotPart part = SlotPart::kNone;
    GuardKind guard = GuardKind::kNone;
    int cls = 0;
    uintptr_t base = 0;
    StackBounds bounds{};
    void* header = nullptr;
};
SlotRef stack_slot_of(uintptr_t address);
// [signal] The core that is about to be written has the stack that is suspended or faulted at sp, whole.
void stack_into_core(uintptr_t sp);

// Makes free slots cold. Meant to be called from time to time: of the slots that were not needed since the last
// call, half go (all: every free one). At most `limit` slots; how many went.
size_t stack_scavenge(bool all = false, size_t limit = SIZE_MAX);

// Called once a second or so (rt/sched/trim.cc). Of the slots that were not needed since the last call, the hot ones
// become warm; of those that nobody needed since the last but one, three quarters become cold while more than kKeepWarm
// of a class are free. True if a later call will find more to do.
bool stack_give_back();

// How new slots are guarded from now on: by MADV_GUARD_INSTALL where the kernel has it, else by mprotect as
// long as that leaves other users of vm.max_map_count enough, then by a canary (once it says so on
// stderr).
GuardKind stack_guard_kind();
// Forces one kind; kNone chooses again. False, and nothing changed, if this kernel does not have it.
bool stack_force_guard(GuardKind kind);
// How many colours arenas mapped from now on have, 1 to kMaxColours. To measure what they are worth.
void stack_set_colours(unsigned colours);

struct StackClassTotals {
    size_t in_use = 0, hot = 0, warm = 0, cold = 0;
    size_t arenas = 0, slots = 0;  // slots: there is room for, used or not
    size_t reserved = 0;           // bytes of address space
};
struct StackTotals {
    size_t reserved = 0;  // bytes of address space
    size_t arenas = 0, in_use = 0, hot = 0, warm = 0, cold = 0;
    size_t guards[kGuardKinds] = {};  // slots ever used, by kind
};
StackClassTotals stack_class_totals(int cls);
StackTotals stack_totals();
kernel::CountedMutex::Counts stack_lock_counts();  // of all classes' pools together, since the process began
size_t stack_resident_total();                     // bytes; walks every slot ever used, about 50 ns for each

// Unmaps everything if no slot is in use, else nothing and false. No other call of this header meanwhile.
bool stack_release_all();

}  // namespace gort::rt
