// rt/stack.cc - the pool: which free slot is given out, and what becomes of one that comes back.
// SPDX-License-Identifier: BSD-2-Clause
//
// Hot slots are a ring for each class: given out from its young end, cooled from its old one, so that a
// program which starts and ends goroutines at a steady rate makes no system call, however deep their stacks
// go. What is done to pages is done outside the lock, to slots that are in no list meanwhile.

#include "rt/stack.h"

#include <sys/resource.h>

#include "kernel/fatal.h"
#include "kernel/file.h"
#include "kernel/lock.h"
#include "kernel/sys.h"
#include "kernel/vm.h"
#include "rt/stack_pool.h"

namespace gort::rt {

namespace {

constexpr size_t kHotSlots = 128;
constexpr size_t kAhead = 8;              // about as many misses as a CPU has under way at once
constexpr size_t kHotBytes = 32 << 20;    // of stack that hot slots of one class may hold at most
constexpr size_t kFirstArena = 64 << 20;  // and each further one is as large as all before it
constexpr size_t kKeepWarm = 64;          // of a class, after a time when nobody wanted one
constexpr size_t kLargestArena = size_t{64} << 30;

struct Pool {
    constexpr Pool() : lock(kernel::LockRank::kStackPool) {}
    kernel::CountedMutex lock;
    Arena* arenas GORT_GUARDED_BY(lock) = nullptr;  // newest first; only it has slots that were never used
    size_t slots GORT_GUARDED_BY(lock) = 0;
    size_t reserved GORT_GUARDED_BY(lock) = 0;  // bytes
    size_t in_use GORT_GUARDED_BY(lock) = 0;
    size_t cold GORT_GUARDED_BY(lock) = 0;
    size_t idle GORT_GUARDED_BY(lock) = 0;  // least hot + warm since the last stack_scavenge
    size_t idle_hot GORT_GUARDED_BY(lock) = 0;  // least hot since the last stack_give_back
    SlotInfo* warm GORT_GUARDED_BY(lock) = nullptr;
    size_t warm_count GORT_GUARDED_BY(lock) = 0;
    size_t hot_oldest GORT_GUARDED_BY(lock) = 0, hot_count GORT_GUARDED_BY(lock) = 0;
    void* hot[kHotSlots] GORT_GUARDED_BY(lock) = {};

    size_t free_now() const GORT_REQUIRES(lock) { return hot_count + warm_count; }
};
constinit Pool g_pools[kStackClasses];

Pool& pool_of(int cls) {
    GORT_CHECK(cls >= 0 && cls < kStackClasses);
    return g_pools[cls];
}

size_t hot_limit(int cls) {
    size_t fit = kHotBytes / stack_class_size(cls);
    return fit > kHotSlots ? kHotSlots : fit > 1 ? fit : 1;
}

void* pop_oldest_hot(Pool& p) GORT_REQUIRES(p.lock) {
    void* header = p.hot[p.hot_oldest];
    p.hot_oldest = (p.hot_oldest + 1) % kHotSlots;
    p.hot_count--;
    return header;
}

size_t take_free(Pool& p, void** headers, size_t n) GORT_REQUIRES(p.lock) {
    size_t got = 0;
    while (got < n && p.hot_count) headers[got++] = p.hot[(p.hot_oldest + --p.hot_count) % kHotSlots];
    for (; got < n && p.warm; got++) {
        __builtin_prefetch(p.warm->ahead, 1);
        headers[got] = slot_of_info(p.warm);
        p.warm = p.warm->next;
        p.warm_count--;
    }
    for (size_t i = 0; i < got; i++) slot_info(headers[i])->use = SlotInfo::Use::kUsed;
    if (p.free_now() < p.idle) p.idle = p.free_now();
    if (p.hot_count < p.idle_hot) p.idle_hot = p.hot_count;
    return got;
}

// Up to kBatch slots of one arena that have no pages yet and belong to nobody else from now on.
struct Claim {
    Arena* arena = nullptr;
    size_t n = 0;
    bool fresh = false;  // never used: no guard yet
    uint32_t index[kBatch];
};

void claim_cold(Pool& p, size_t want, Claim* c) GORT_REQUIRES(p.lock) {
    Arena* a = p.arenas;
    while (!a->cold) a = a->next;
    c->arena = a;
    uint32_t i = a->cold_hint;
    for (; a->cold && c->n < want; i++) {
        uint8_t state = a->states[i].load(std::memory_order_relaxed);  // S2
        if (!(state & kColdBit)) continue;
        a->states[i].store(state & static_cast<uint8_t>(~kColdBit), std::memory_order_relaxed);  // S2
        c->index[c->n++] = i;
        a->cold--;
        p.cold--;
    }
    a->cold_hint = i;
}

// How much more than its class the next slots get: kRoom, or nothing where address space is short. The first arena is
// no larger with room than without, so that a small program need not ask how the system counts.
size_t room_of_next(const Pool& p) GORT_REQUIRES(p.lock) {
    constexpr uint64_t kShare = 8;
    constexpr uint64_t kStrict = 2;  // each reserved byte counts as if it were used
    if (p.slots >= kRoomySlots) return 0;
    kernel::Rlimit limit;
    if (kernel::sys_prlimit(0, RLIMIT_AS, nullptr, &limit) == 0 && limit.soft / kShare < kRoomySlots * kRoom)
        return 0;
    uint64_t mode = 0;
    if (p.slots && kernel::read_number("/proc/sys/vm/overcommit_memory", &mode) == 0 && mode == kStrict)
        return 0;
    return kRoom;
}

bool grow(Pool& p, int cls, StackError* error) GORT_REQUIRES(p.lock) {
    size_t room = room_of_next(p);
    size_t stride = stack_class_size(cls) + room;
    size_t first = kFirstArena / stride ? kFirstArena / stride : 1;
    size_t slots = p.slots > first ? p.slots : first;
    if (room && slots > kRoomySlots - p.slots) slots = kRoomySlots - p.slots;
    if (slots > kLargestArena / stride) slots = kLargestArena / stride;
    Arena* a = arena_map(cls, stride, static_cast<uint32_t>(slots), p.arenas, error);
    if (!a && room) {
        stride -= room;
        a = arena_map(cls, stride, static_cast<uint32_t>(slots), p.arenas, error);
    }
    if (!a) return false;
    p.arenas = a;
    p.slots += a->slots;
    p.reserved += a->slots * stride;
    return true;
}

bool claim(Pool& p, int cls, size_t want, Claim* c, StackError* error) GORT_REQUIRES(p.lock) {
    if (want > kBatch) want = kBatch;
    if (p.cold) {
        claim_cold(p, want, c);
        return true;
    }
    if (!p.arenas || p.arenas->carved.load(std::memory_order_relaxed) == p.arenas->slots)  // S2
        if (!grow(p, cls, error)) return false;
    Arena* a = p.arenas;
    uint32_t first = a->carved.load(std::memory_order_relaxed);  // S2
    c->arena = a;
    c->fresh = true;
    c->n = a->slots - first < want ? a->slots - first : want;
    c->index[0] = first;
    a->carved.store(first + static_cast<uint32_t>(c->n), std::memory_order_relaxed);  // S2
    return true;
}

void prepare(const Claim& c, void** headers) {
    uintptr_t base = c.arena->base.load(std::memory_order_relaxed);
    size_t page = kernel::page_size(), stride = c.arena->stride;
    Range tops[kBatch];
    for (size_t i = 0; i < c.n; i++) {
        uint32_t index = c.fresh ? c.index[0] + static_cast<uint32_t>(i) : c.index[i];
        tops[i] = {reinterpret_cast<char*>(slot_at(stride, base, index) + stride - page), page};
    }
    populate_ranges(tops, c.n);
    if (c.fresh) prepare_new_slots(c.arena, c.index[0], c.n);
    for (size_t i = 0; i < c.n; i++) {
        uint32_t index = c.fresh ? c.index[0] + static_cast<uint32_t>(i) : c.index[i];
        if (!c.fresh) prepare_cold_slot(c.arena, index);
        headers[i] = slot_header(c.arena, base, index);
    }
}

// Hot slots become warm: the pages below their top kWarmBytes go.
void cool(void** headers, size_t n) {
    size_t page = kernel::page_size();
    size_t keep = page > kWarmBytes ? page : kWarmBytes;
    Range ranges[kBatch];
    for (size_t i = 0; i < n; i++) {
        char* lo = slot_info(headers[i])->lo;
        ranges[i] = {lo, static_cast<size_t>(slot_end(headers[i]) - keep - lo)};
    }
    decommit_ranges(ranges, n);
}

void push_warm(Pool& p, void** headers, size_t n) GORT_REQUIRES(p.lock) {
    for (size_t i = 0; i < n; i++) {
        SlotInfo* info = slot_info(headers[i]);
        info->next = p.warm;
        info->ahead = i < kAhead ? nullptr : slot_info(headers[i - kAhead]);
        p.warm = info;
    }
    p.warm_count += n;
}

// Warm slots lose everything. Neighbours are dropped in one piece, with the guards between them: those stay.
void chill(void** headers, size_t n) {
    size_t used = 0;
    Range ranges[kBatch];
    for (size_t i = 0; i < n; i++) {
        char* base = slot_base(headers[i]);
        auto size = static_cast<size_t>(slot_end(headers[i]) - base);
        Range* last = used ? &ranges[used - 1] : nullptr;
        if (last && last->start + last->size == base) {
            last->size += size;
        } else if (last && base + size == last->start) {
            last->start = base;
            last->size += size;
        } else {
            ranges[used++] = {base, size};
        }
    }
    decommit_ranges(ranges, used);
}

void push_cold(Pool& p, void** headers, size_t n) GORT_REQUIRES(p.lock) {
    for (size_t i = 0; i < n; i++) {
        auto at = reinterpret_cast<uintptr_t>(headers[i]);
        Arena* a = arena_of(at);
        uint32_t index = slot_index(a, at - a->base.load(std::memory_order_relaxed));
        uint8_t state = a->states[index].load(std::memory_order_relaxed);     // S2
        a->states[index].store(state | kColdBit, std::memory_order_relaxed);  // S2
        a->cold++;
        if (index < a->cold_hint) a->cold_hint = index;
    }
    p.cold += n;
}

// The n that have been hot longest become warm, as far as they are still hot.
void cool_oldest(Pool& p, size_t n) {
    while (n > 0) {
        void* headers[kBatch];
        size_t count = 0;
        {
            kernel::LockGuard hold(p.lock);
            while (count < kBatch && count < n && p.hot_count) headers[count++] = pop_oldest_hot(p);
        }
        if (!count) return;
        cool(headers, count);
        kernel::LockGuard hold(p.lock);
        push_warm(p, headers, count);
        n -= count;
    }
}

size_t scavenge_class(int cls, bool all, size_t limit) {
    Pool& p = g_pools[cls];
    size_t want;
    {
        kernel::LockGuard hold(p.lock);
        want = all ? p.free_now() : p.idle - p.idle / 2;
    }
    if (want > limit) want = limit;
    size_t gone = 0;
    while (gone < want) {
        void* headers[kBatch];
        size_t n = 0;
        {
            kernel::LockGuard hold(p.lock);
            for (; n < kBatch && gone + n < want && p.warm; n++) {
                headers[n] = slot_of_info(p.warm);
                p.warm = p.warm->next;
                p.warm_count--;
            }
            while (n < kBatch && gone + n < want && p.hot_count) headers[n++] = pop_oldest_hot(p);
        }
        if (n == 0) break;
        chill(headers, n);
        kernel::LockGuard hold(p.lock);
        push_cold(p, headers, n);
        gone += n;
    }
    kernel::LockGuard hold(p.lock);
    p.idle = p.free_now();
    return gone;
}

// True if a later call will find more to do.
bool give_back_class(int cls) {
    Pool& p = g_pools[cls];
    size_t cooled, free;
    {
        kernel::LockGuard hold(p.lock);
        cooled = p.idle_hot;
        free = p.free_now();
    }
    if (free == 0) return false;
    cool_oldest(p, cooled);
    if (free > kKeepWarm) scavenge_class(cls, false, free - kKeepWarm);
    kernel::LockGuard hold(p.lock);
    p.idle_hot = p.hot_count;
    return p.hot_count > 0 || p.free_now() > kKeepWarm;
}

}  // namespace

const char* stack_error_text(StackError error) {
    switch (error) {
    case StackError::kNone: return "no error";
    case StackError::kNoAddressSpace:
        return "no address space for another stack (see ulimit -v, vm.overcommit_memory, vm.max_map_count)";
    case StackError::kTooManyArenas:
        return "no address space for another stack (it came in too many small pieces)";
    }
    return "unknown error";
}

size_t stack_alloc_batch(int cls, void** headers, size_t n, StackError* error) {
    Pool& p = pool_of(cls);
    StackError why = StackError::kNone;
    size_t got = 0;
    while (got < n) {
        Claim c;
        {
            kernel::LockGuard hold(p.lock);
            size_t taken = take_free(p, headers + got, n - got);
            got += taken;
            p.in_use += taken;
            if (got == n) break;
            if (!claim(p, cls, n - got, &c, &why)) break;
            p.in_use += c.n;
        }
        prepare(c, headers + got);
        got += c.n;
    }
    if (error) *error = why;
    return got;
}

void stack_free_batch(int cls, void** headers, size_t n) {
    Pool& p = pool_of(cls);
    size_t limit = hot_limit(cls);
    while (n > 0) {
        void* cooled[kBatch];
        size_t count = 0;
        {
            kernel::LockGuard hold(p.lock);
            for (; n > 0; n--, headers++) {
                if (p.hot_count == limit) {
                    if (count) break;
                    while (count < kBatch && p.hot_count > limit / 2) cooled[count++] = pop_oldest_hot(p);
                    if (!count) cooled[count++] = pop_oldest_hot(p);
                }
                SlotInfo* info = slot_info(*headers);
                // Else it was freed twice, or is no slot of ours.
                GORT_CHECK(info->use == SlotInfo::Use::kUsed && info->cls == cls);
                info->use = SlotInfo::Use::kFree;
                p.hot[(p.hot_oldest + p.hot_count++) % kHotSlots] = *headers;
                p.in_use--;
            }
        }
        if (!count) continue;
        cool(cooled, count);
        kernel::LockGuard hold(p.lock);
        push_warm(p, cooled, count);
    }
}

StackBounds stack_bounds(const void* header) {
    return {slot_info(header)->lo, const_cast<char*>(static_cast<const char*>(header))};
}

int stack_class(const void* header) { return slot_info(header)->cls; }

size_t stack_scavenge(bool all, size_t limit) {
    size_t gone = 0;
    for (int cls = 0; cls < kStackClasses && gone < limit; cls++)
        gone += scavenge_class(cls, all, limit - gone);
    return gone;
}

bool stack_give_back() {
    bool more = false;
    for (int cls = 0; cls < kStackClasses; cls++) more |= give_back_class(cls);
    return more;
}

StackClassTotals stack_class_totals(int cls) {
    Pool& p = pool_of(cls);
    kernel::LockGuard hold(p.lock);
    StackClassTotals t;
    t.in_use = p.in_use;
    t.hot = p.hot_count;
    t.warm = p.warm_count;
    t.cold = p.cold;
    t.slots = p.slots;
    t.reserved = p.reserved;
    for (Arena* a = p.arenas; a; a = a->next) t.arenas++;
    return t;
}

StackTotals stack_totals() {
    StackTotals sum;
    for (int cls = 0; cls < kStackClasses; cls++) {
        StackClassTotals t = stack_class_totals(cls);
        sum.reserved += t.reserved;
        sum.arenas += t.arenas;
        sum.in_use += t.in_use;
        sum.hot += t.hot;
        sum.warm += t.warm;
        sum.cold += t.cold;
    }
    for (int kind = 0; kind < kGuardKinds; kind++)
        sum.guards[kind] = guards_of_kind(static_cast<GuardKind>(kind));
    return sum;
}

kernel::CountedMutex::Counts stack_lock_counts() {
    kernel::CountedMutex::Counts sum;
    for (const Pool& p : g_pools) {
        const auto one = p.lock.counts();
        sum.acquired += one.acquired;
        sum.waited += one.waited;
        sum.slept += one.slept;
    }
    return sum;
}

size_t stack_resident_total() {
    size_t total = 0;
    for (int cls = 0; cls < kStackClasses; cls++) {
        Pool& p = g_pools[cls];
        Arena* a;
        {
            kernel::LockGuard hold(p.lock);
            a = p.arenas;
        }
        // Arenas stay: no need to hold up the pool for that long.
        for (; a; a = a->next) total += resident_in(a);
    }
    return total;
}

bool stack_release_all() {
    if (stack_totals().in_use) return false;
    for (Pool& p : g_pools) {
        kernel::LockGuard hold(p.lock);
        for (Arena* a = p.arenas; a;) {
            Arena* next = a->next;
            arena_unmap(a);
            a = next;
        }
        p.arenas = nullptr;
        p.warm = nullptr;
        p.slots = p.reserved = p.cold = p.idle = p.idle_hot = p.warm_count = p.hot_oldest = p.hot_count = 0;
    }
    arenas_forget();
    guards_forget();
    return true;
}

}  // namespace gort::rt
