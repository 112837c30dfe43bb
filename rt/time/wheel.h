// rt/time/wheel.h - the structure behind Timers: a wheel of unsorted buckets, and a small heap for what is nearly due.
// SPDX-License-Identifier: BSD-2-Clause
//
// Time is cut into quanta of 2^14 ns. `cur` is the quantum that the wheel has reached. An entry of this quantum or an
// earlier one is at the end of the run, a sorted queue, or where it would be out of order there, in the heap. Any other
// one is in the bucket of the highest group of six bits in which its quantum differs from cur: level = that group,
// digit = its six bits there. So the buckets of a level lie in time order, all of a level lie before all of the next
// one, and an entry changes its bucket only when cur moves into that bucket: the bucket is opened and its entries go
// to lower levels. A timer of 30 s is moved three times if it lives to fire, and only appended if it is stopped before.
//
// Invariants: (1) an entry and its slot are a pair for life: the slot is reused only after the entry is dropped.
//             (2) slot->timer is null or a pending Timer with t->slot == slot. Nothing else points to a Timer.
//             (3) bucket.min <= the when of each of its entries; bucket.n == 0 if and only if its bit is clear.
//             (4) no bucket that begins at or before cur holds entries, but `opening`, which is being emptied.
//             (5) entries of one when keep their order: buckets are FIFO, run and heap ask slot.order.
// Context:    all under the lock of the Timers that own the wheel.
// Memory:     everything in chunks of 512 bytes from slabs that belong to this wheel; the wheel itself is in the first.
#pragma once

#include <cstddef>
#include <cstdint>

#include "rt/time/timers.h"

namespace gort::rt {

struct TimerSlot {
    Timer* timer;  // null: stopped
    union {
        uint64_t order;  // of starting
        TimerSlot* next_free;
    };
};

struct TimerEntry {
    int64_t when;
    TimerSlot* slot;
};

inline constexpr uint32_t kChunkEntries = 31;
struct TimerChunk {
    TimerChunk* next;
    uint64_t used;
    TimerEntry entry[kChunkEntries];
};
static_assert(sizeof(TimerChunk) == 512);

struct TimerBucket {
    TimerChunk* head;
    TimerChunk* tail;  // the only one that is not full
    int64_t min;
    uint32_t n;     // entries, dead ones too
    uint32_t dead;  // at most about so many of them are dead
};

struct TimerSlab {
    TimerSlab* next;
    size_t size;
};

inline constexpr unsigned kQuantumBits = 14;
inline constexpr unsigned kDigitBits = 6;
inline constexpr unsigned kDigits = 1u << kDigitBits;
inline constexpr unsigned kLevels = (63 - kQuantumBits + kDigitBits - 1) / kDigitBits;
inline constexpr uint32_t kFirstHeap = 125;  // entries that fit into the wheel itself

struct TimerWheel {
    TimerSlab slab;  // the first: this object is at its start
    int64_t cur;     // in nanoseconds, a whole quantum; never after the `now` of a run
    uint32_t entries;
    uint32_t levels;  // bit l: level l has a bucket that is not empty
    uint64_t next_order;
    TimerSlot* free_slots;
    TimerSlot* slot_next;  // of a chunk that is being cut into slots
    TimerSlot* slot_end;
    TimerChunk* free_chunks;
    char* carve;  // of the newest slab
    char* carve_end;
    TimerSlab* slabs;  // newest first; ends at `slab`
    size_t mapped;     // bytes of all slabs and of the heap

    TimerEntry* heap;  // 4-ary, least first; the four children of a node share a cache line
    uint32_t heap_n;
    uint32_t heap_room;
    uint32_t heap_dead;
    uint32_t run_at;  // the first entry of the run's first chunk
    TimerChunk* run;  // null: empty
    TimerChunk* run_tail;
    TimerBucket* opening;  // not null: what is left of it comes before all other buckets

    uint64_t bits[kLevels];
    TimerBucket bucket[kLevels][kDigits];
    alignas(64) TimerEntry first_heap[3 + kFirstHeap];
};

TimerWheel* wheel_new(size_t bytes, int* error);  // with room for so much before it grows; null: no memory
void wheel_delete(TimerWheel* w);

void wheel_insert(TimerWheel* w, Timer* t);  // sets t->slot
void wheel_remove(TimerWheel* w, Timer* t);  // clears t->slot

// Takes off the earliest timer that is due at `now`, and clears t->slot. Null: none is due; or, if *more, a large
// bucket is half open, and the caller should let others have the lock before it asks again.
Timer* wheel_take(TimerWheel* w, int64_t now, bool* more);

// No entry is due before this. kForever if there is none.
int64_t wheel_next(const TimerWheel* w);

// Is there one of which f says so? Asks in no order.
bool wheel_any(const TimerWheel* w, bool (*f)(const Timer* t, void* arg), void* arg);

// A wheel of the right size with the same content if this one holds much more memory than it needs; else w itself.
inline constexpr size_t kKeepMapped = size_t{1} << 20;
inline constexpr size_t kEntryBytes = 48;  // entry, slot, and places in chunks that are not filled
TimerWheel* wheel_trim_slow(TimerWheel* w);
inline TimerWheel* wheel_trim(TimerWheel* w) {
    if (w->mapped <= kKeepMapped || w->mapped / 32 <= w->entries * kEntryBytes) [[likely]]
        return w;
    return wheel_trim_slow(w);
}

}  // namespace gort::rt
