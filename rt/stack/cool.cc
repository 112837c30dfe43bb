// rt/stack/cool.cc - what becomes of free slots that are not wanted: hot ones become warm, warm ones cold.
// SPDX-License-Identifier: BSD-2-Clause
//
// SHALLOW. A slot that never left the pages that a warm one keeps becomes warm without a system call. We know it by the
// page faults of the process, for each page of a stack came by one: as many as there were since the slot left the pool,
// but for the first pages of slots, are the pages that it can have below. Where these are more than kFaults and than a
// sixteenth of the class's slots, it may have gone deep, and what it keeps is dropped. What is kept by mistake is not
// more than those, and not longer than until the slot becomes cold.
// To ask how many there were is a system call, too. So up to `trust` slots become warm before anybody asks; when it
// turns out that they may be deep, they are done again. Trust grows as long as all are shallow.
#include "kernel/lock.h"
#include "rt/stack/pool.h"
#include "rt/stack/stack.h"

namespace gort::rt {

namespace {

constexpr size_t kAhead = 8;      // about as many misses as a CPU has under way at once
constexpr size_t kKeepWarm = 64;  // of a class, after a time when none was wanted

constexpr int64_t kFaults = 256;  // 1 MiB
constexpr size_t kSlotsAFault = 16;
constexpr size_t kMostTrust = 128;
constexpr size_t kTrusted = 1 << 20;
constexpr int64_t kUnknown = INT64_MAX / 2;

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

// The pages below the top kWarmBytes of hot slots go.
void drop_lower_pages(void** headers, size_t n) {
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

// Those of n <= kBatch slots that may have gone deep, by what look_at_faults has found just now, lose their lower
// pages. True if there were any.
bool drop_deep(void** headers, size_t n, int64_t allowed) {
    const int64_t faults = g_last_faults.load(std::memory_order_relaxed);
    void* deep[kBatch];
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        const int64_t since = faults - slot_info(headers[i])->faults;
        // A forked child's count begins anew.
        if (since > allowed || since < -allowed || faults == kUnknown) deep[count++] = headers[i];
    }
    if (count) drop_lower_pages(deep, count);
    return count > 0;
}

// Nothing is unproven any more.
void prove(Pool& p, size_t most_trust) {
    int64_t allowed;
    size_t left;
    {
        kernel::LockGuard hold(p.lock);
        allowed = kFaults + static_cast<int64_t>((p.in_use + p.free_now()) / kSlotsAFault);
        left = p.unproven;
        p.trust = p.trust + kBatch < most_trust ? p.trust + kBatch : most_trust;
    }
    bool deep = false;
    // They are pushed back in the order of their being taken, so that the next ones are still the first of the list.
    void* done[kMostTrust];
    size_t count = 0;
    while (count < left) {
        size_t n = 0;
        {
            kernel::LockGuard hold(p.lock);
            while (n < kBatch && count + n < left && p.unproven) done[count + n++] = pop_warm(p);
        }
        if (n == 0) break;
        deep |= drop_deep(done + count, n, allowed);
        count += n;
    }
    kernel::LockGuard hold(p.lock);
    push_warm(p, done, count);
    if (deep) p.trust = 0;
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
        drop_lower_pages(headers, count);
        kernel::LockGuard hold(p.lock);
        push_warm(p, headers, count);
        n -= count;
    }
}

// Up to `want` free slots become cold; how many.
size_t evict(Pool& p, size_t want) {
    size_t gone = 0;
    while (gone < want) {
        void* headers[kBatch];
        size_t n = 0;
        {
            kernel::LockGuard hold(p.lock);
            while (n < kBatch && gone + n < want && p.warm) headers[n++] = pop_warm(p);
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

size_t scavenge_class(int cls, bool all, size_t limit) {
    Pool& p = g_pools[cls];
    size_t want;
    {
        kernel::LockGuard hold(p.lock);
        want = all ? p.free_now() : p.idle - p.idle / 2;
    }
    return evict(p, want < limit ? want : limit);
}

// True if a later call will find more to do.
bool give_back_class(int cls) {
    Pool& p = g_pools[cls];
    size_t cooled, want;
    bool unproven;
    {
        kernel::LockGuard hold(p.lock);
        const size_t free = p.free_now();
        if (free == 0) return false;
        cooled = p.idle_hot;
        unproven = p.unproven > 0;
        // What goes round every second or two is not idle.
        const size_t idle = p.idle < p.idle_before ? p.idle : p.idle_before;
        p.idle_before = p.idle;
        want = idle - idle / 4;
        const size_t most = free > kKeepWarm ? free - kKeepWarm : 0;
        if (want > most) want = most;
    }
    if (unproven) {
        look_at_faults();
        prove(p, kMostTrust);
    }
    cool_oldest(p, cooled);
    evict(p, want);
    kernel::LockGuard hold(p.lock);
    p.idle_hot = p.hot_count;
    return p.hot_count > 0 || p.free_now() > kKeepWarm;
}

}  // namespace

std::atomic<int64_t> g_last_faults{0}, g_first_pages{0};

void look_at_faults() {
    // Before the faults are counted: what another thread prepares meanwhile is not taken for explained.
    const int64_t explained = g_first_pages.load(std::memory_order_acquire);
    const int64_t all = page_faults();
    g_last_faults.store(all < 0 ? kUnknown : all - explained, std::memory_order_relaxed);
}

void* pop_warm(Pool& p) {
    void* header = slot_of_info(p.warm);
    p.warm = p.warm->next;
    p.warm_count--;
    if (p.unproven) p.unproven--;
    return header;
}

void cool_down(Pool& p, int cls, void** headers, size_t n) {
    // Of a large slot the depth may be anything.
    const size_t most_trust = stack_class_size(cls) <= kTrusted ? kMostTrust : 0;
    {
        kernel::LockGuard hold(p.lock);
        if (p.unproven + n <= p.trust) {
            push_warm(p, headers, n);
            p.unproven += n;
            return;
        }
    }
    look_at_faults();
    prove(p, most_trust);
    int64_t allowed;
    {
        kernel::LockGuard hold(p.lock);
        allowed = kFaults + static_cast<int64_t>((p.in_use + p.free_now() + n) / kSlotsAFault);
    }
    const bool deep = drop_deep(headers, n, allowed);
    kernel::LockGuard hold(p.lock);
    push_warm(p, headers, n);
    if (deep) p.trust = 0;
}

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

}  // namespace gort::rt
