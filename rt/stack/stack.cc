// rt/stack/stack.cc - the pool: which free slot is given out, and what becomes of one that comes back.
// SPDX-License-Identifier: BSD-2-Clause
//
// Hot slots are a ring for each class: given out from its young end, cooled from its old one, so that a
// program which starts and ends goroutines at a steady rate makes no system call, however deep their stacks
// go. What is done to pages is done outside the lock, to slots that are in no list meanwhile.

#include "rt/stack/stack.h"

#include "kernel/fatal.h"
#include "kernel/lock.h"
#include "kernel/sys.h"
#include "kernel/vm.h"
#include "rt/stack/pool.h"

namespace gort::rt {

constinit Pool g_pools[kStackClasses];

namespace {

constexpr size_t kHotBytes = 32 << 20;    // of stack that hot slots of one class may hold at most
constexpr size_t kFirstArena = 64 << 20;  // and each further one is as large as all before it
constexpr size_t kLargestArena = size_t{64} << 30;

// Of the largest ones most are used by goroutines that would do with a small one.
size_t hot_limit(int cls) {
    constexpr size_t kLeast = 32;
    const size_t size = stack_class_size(cls), fit = kHotBytes / size;
    if (size >= kTiers[kTierCount - 1].size) return kLeast;
    return fit > kHotSlots ? kHotSlots : fit > 1 ? fit : 1;
}

size_t take_free(Pool& p, void** headers, size_t n) GORT_REQUIRES(p.lock) {
    size_t got = 0;
    while (got < n && p.hot_count) headers[got++] = p.hot[(p.hot_oldest + --p.hot_count) % kHotSlots];
    for (; got < n && p.warm; got++) {
        __builtin_prefetch(p.warm->ahead, 1);
        headers[got] = pop_warm(p);
    }
    const int64_t faults = g_last_faults.load(std::memory_order_relaxed);
    for (size_t i = 0; i < got; i++) {
        slot_info(headers[i])->use = SlotInfo::Use::kUsed;
        slot_info(headers[i])->faults = faults;
    }
    if (p.free_now() < p.idle) p.idle = p.free_now();
    if (p.hot_count < p.idle_hot) p.idle_hot = p.hot_count;
    return got;
}

// Up to kBatch slots of one arena that have no pages yet and are the caller's from now on.
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

// A large one has an odd number of pages more, or the tops of a thousand would share a few sets of the TLB: yield g1000
// 8.2 ns in small stacks, 8.4 with 19 pages, 13 with 528 (Sapphire Rapids).
size_t stride_of(int cls) {
    const size_t size = stack_class_size(cls);
    return size < kSparseSlot ? size : size + guard_size() + 3 * kernel::page_size();
}

bool grow(Pool& p, int cls, StackError* error) GORT_REQUIRES(p.lock) {
    const size_t stride = stride_of(cls);
    size_t slots = p.slots;
    if (slots == 0) {
        slots = p.tier ? p.tier_slots : kFirstArena / stride;
    } else if (slots > kLargestArena / stride) {
        slots = kLargestArena / stride;
    }
    if (slots == 0) slots = 1;
    Arena* a = arena_map(cls, stride, static_cast<uint32_t>(slots), p.arenas, error);
    if (!a) return false;
    if (p.tier && !p.arenas) {
        const uintptr_t base = a->base.load(std::memory_order_relaxed);
        p.tier->base.store(base, std::memory_order_relaxed);
        p.tier->size.store(a->end - base, std::memory_order_relaxed);
        p.tier_slots = a->slots;
    }
    look_at_faults();
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
    g_first_pages.fetch_add(static_cast<int64_t>(c.n), std::memory_order_relaxed);
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

void stack_make_tier(int cls, TierRange* range, size_t slots) {
    Pool& p = pool_of(cls);
    kernel::LockGuard hold(p.lock);
    // What was mapped for it once is what there is; a tier that begins later takes none of the earlier slots for large.
    if (p.tier && p.arenas && slots > p.tier_slots) slots = p.tier_slots;
    p.tier = range;
    p.tier_slots = slots;
}

namespace {

// Also only as long as fewer than the tier's slots are in use, if that is asked for.
size_t alloc_batch(int cls, void** headers, size_t n, bool as_tier, StackError* error) {
    Pool& p = pool_of(cls);
    StackError why = StackError::kNone;
    size_t got = 0;
    while (got < n) {
        Claim c;
        {
            kernel::LockGuard hold(p.lock);
            if (as_tier) {
                const size_t left = p.tier && p.in_use < p.tier_slots ? p.tier_slots - p.in_use : 0;
                if (left < n - got) n = got + left;
                if (got == n) break;
            }
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

std::atomic<size_t> g_max_stack{kTiers[0].size};

}  // namespace

size_t stack_alloc_batch(int cls, void** headers, size_t n, StackError* error) {
    return alloc_batch(cls, headers, n, false, error);
}

size_t stack_alloc_tiered(int cls, void** headers, size_t n, StackError* error) {
    size_t got = 0;
    const size_t most = g_max_stack.load(std::memory_order_relaxed);
    for (const StackTier& tier : kTiers)
        if (got < n && stack_class_size(cls) < tier.size && tier.size <= most)
            got += alloc_batch(stack_class_for(tier.size), headers + got, n - got, true, nullptr);
    if (got < n) got += alloc_batch(cls, headers + got, n - got, false, error);
    for (size_t i = 0; i < got / 2; i++) {
        void* const one = headers[i];
        headers[i] = headers[got - 1 - i];
        headers[got - 1 - i] = one;
    }
    return got;
}

void stack_free_mixed(void** headers, size_t n) {
    for (size_t i = 0, first = 0; i < n; first = i) {
        const int cls = stack_class(headers[i]);
        while (i < n && stack_class(headers[i]) == cls) i++;
        stack_free_batch(cls, headers + first, i - first);
    }
}

size_t stack_set_max(size_t bytes) { return g_max_stack.exchange(bytes, std::memory_order_relaxed); }

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
        if (count) cool_down(p, cls, cooled, count);
    }
}

StackBounds stack_bounds(const void* header) {
    return {slot_info(header)->lo, const_cast<char*>(static_cast<const char*>(header))};
}

int stack_class(const void* header) { return slot_info(header)->cls; }

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
        if (p.tier) p.tier->size.store(0, std::memory_order_relaxed);
        p.slots = p.reserved = p.cold = p.idle = p.idle_hot = p.idle_before = 0;
        p.warm_count = p.unproven = p.hot_oldest = p.hot_count = 0;
    }
    arenas_forget();
    guards_forget();
    return true;
}

}  // namespace gort::rt
