// rt/stack/cool.cc - what becomes of free slots that are not wanted: hot ones become warm, warm ones cold.
// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/lock.h"
#include "rt/stack/pool.h"
#include "rt/stack/stack.h"

namespace gort::rt {

namespace {

constexpr size_t kAhead = 8;      // about as many misses as a CPU has under way at once
constexpr size_t kKeepWarm = 64;  // of a class, after a time when nobody wanted one

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
