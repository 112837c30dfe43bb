// rt/time/wheel.cc - the wheel's memory, its heap and its buckets.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/time/wheel.h"

#include "arch/arch.h"
#include "kernel/fatal.h"
#include "kernel/sys.h"
#include "kernel/vm.h"

namespace gort::rt {

namespace {

constexpr size_t kSlabSize = size_t{64} << 10;
constexpr size_t kMaxSlabSize = kernel::kHugePage;  // the slots are visited in random order
constexpr int64_t kQuantum = int64_t{1} << kQuantumBits;
constexpr uint32_t kDrainChunks = 128;  // moved without a pause: 4000 entries, some 20 us
constexpr uint32_t kSweepSlack = 32;    // dead entries that do no harm

// --- memory

[[noreturn]] void out_of_memory(int error) { kernel::fatal_errno("no memory for timers", error); }

void* new_slab(TimerWheel* w, size_t size, int* error) {
    const bool huge = size >= kMaxSlabSize;
    void* memory = kernel::reserve(size, kernel::kReserveDefault, huge ? kMaxSlabSize : 0, error);
    if (!memory) return nullptr;
    if (huge) kernel::hugepage(memory, size);  // a wish: the result does not matter
    auto* slab = static_cast<TimerSlab*>(memory);
    slab->next = w ? w->slabs : nullptr;
    slab->size = size;
    return slab;
}

[[gnu::noinline]] void add_slab(TimerWheel* w) {
    int error = 0;
    const size_t size = w->slabs->size < kMaxSlabSize ? w->slabs->size * 2 : kMaxSlabSize;
    auto* slab = static_cast<TimerSlab*>(new_slab(w, size, &error));
    if (!slab) out_of_memory(error);
    w->slabs = slab;
    w->mapped += size;
    w->carve = reinterpret_cast<char*>(slab) + sizeof(TimerChunk);  // chunks stay aligned to their size
    w->carve_end = reinterpret_cast<char*>(slab) + size;
}

TimerChunk* new_chunk(TimerWheel* w) {
    TimerChunk* c = w->free_chunks;
    if (c) {
        w->free_chunks = c->next;
    } else {
        if (static_cast<size_t>(w->carve_end - w->carve) < sizeof(TimerChunk)) add_slab(w);
        c = reinterpret_cast<TimerChunk*>(w->carve);
        w->carve += sizeof(TimerChunk);
    }
    c->next = nullptr;
    c->used = 0;
    return c;
}

void free_chunk(TimerWheel* w, TimerChunk* c) {
    c->next = w->free_chunks;
    w->free_chunks = c;
}

TimerSlot* new_slot(TimerWheel* w) {
    if (TimerSlot* slot = w->free_slots) {
        w->free_slots = slot->next_free;
        __builtin_prefetch(w->free_slots, 1);
        return slot;
    }
    if (w->slot_next == w->slot_end) {
        w->slot_next = reinterpret_cast<TimerSlot*>(new_chunk(w));
        w->slot_end = w->slot_next + sizeof(TimerChunk) / sizeof(TimerSlot);
    }
    return w->slot_next++;
}

// The entry that this slot belonged to is gone.
void drop_slot(TimerWheel* w, TimerSlot* slot) {
    slot->next_free = w->free_slots;
    w->free_slots = slot;
    --w->entries;
}

// --- heap

bool before(const TimerEntry& a, const TimerEntry& b) {
    return a.when != b.when ? a.when < b.when : a.slot->order < b.slot->order;
}

[[gnu::noinline]] void grow_heap(TimerWheel* w) {
    int error = 0;
    const size_t old_size = (size_t{w->heap_room} + 3) * sizeof(TimerEntry);
    const size_t size = old_size * 2 < kSlabSize ? kSlabSize : old_size * 2;
    auto* memory = static_cast<TimerEntry*>(kernel::reserve(size, kernel::kReserveDefault, 0, &error));
    if (!memory) out_of_memory(error);
    TimerEntry* heap = memory + 3;  // node 1 begins a cache line
    for (uint32_t i = 0; i < w->heap_n; ++i) heap[i] = w->heap[i];
    if (w->heap != w->first_heap + 3) {
        kernel::release(w->heap - 3, old_size);
        w->mapped -= old_size;
    }
    w->heap = heap;
    w->heap_room = static_cast<uint32_t>(size / sizeof(TimerEntry) - 3);
    w->mapped += size;
}

void sift_down(TimerEntry* heap, uint32_t n, uint32_t at, TimerEntry e) {
    for (;;) {
        const uint32_t first = 4 * at + 1;
        if (first >= n) break;
        const uint32_t end = n - first < 4 ? n : first + 4;
        uint32_t least = first;
        for (uint32_t child = first + 1; child < end; ++child)
            if (before(heap[child], heap[least])) least = child;
        if (!before(heap[least], e)) break;
        heap[at] = heap[least];
        at = least;
    }
    heap[at] = e;
}

void heap_push(TimerWheel* w, TimerEntry e) {
    if (w->heap_n == w->heap_room) [[unlikely]]
        grow_heap(w);
    TimerEntry* heap = w->heap;
    uint32_t at = w->heap_n++;
    while (at > 0) {
        const uint32_t parent = (at - 1) / 4;
        if (!before(e, heap[parent])) break;
        heap[at] = heap[parent];
        at = parent;
    }
    heap[at] = e;
}

void heap_pop(TimerWheel* w) {
    const uint32_t n = --w->heap_n;
    if (n) sift_down(w->heap, n, 0, w->heap[n]);
}

[[gnu::noinline]] void sweep_heap(TimerWheel* w) {
    TimerEntry* heap = w->heap;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < w->heap_n; ++i) {
        if (heap[i].slot->timer) heap[kept++] = heap[i];
        else drop_slot(w, heap[i].slot);
    }
    w->heap_n = kept;
    w->heap_dead = 0;
    if (kept < 2) return;
    for (uint32_t at = (kept - 2) / 4 + 1; at-- > 0;) sift_down(heap, kept, at, heap[at]);
}

// --- buckets

unsigned shift_of(unsigned level) { return kQuantumBits + level * kDigitBits; }

// The bucket for `when`, which is of a later quantum than cur.
TimerBucket* bucket_of(TimerWheel* w, int64_t when) {
    const auto differs = static_cast<uint64_t>(when ^ w->cur);
    const unsigned level =
        (63u - static_cast<unsigned>(__builtin_clzll(differs)) - kQuantumBits) / kDigitBits;
    return &w->bucket[level][static_cast<uint64_t>(when) >> shift_of(level) & (kDigits - 1)];
}

void set_bit(TimerWheel* w, const TimerBucket* b, bool on) {
    const auto index = static_cast<unsigned>(b - &w->bucket[0][0]);
    const unsigned level = index / kDigits;
    const uint64_t bit = uint64_t{1} << index % kDigits;
    if (on) {
        w->bits[level] |= bit;
        w->levels |= 1u << level;
    } else {
        w->bits[level] &= ~bit;
        if (!w->bits[level]) w->levels &= ~(1u << level);
    }
}

TimerBucket* first_bucket(TimerWheel* w) {
    const auto level = static_cast<unsigned>(__builtin_ctz(w->levels));
    return &w->bucket[level][__builtin_ctzll(w->bits[level])];
}

// When a later bucket begins.
int64_t base_of(const TimerWheel* w, const TimerBucket* b) {
    const auto index = static_cast<unsigned>(b - &w->bucket[0][0]);
    const unsigned shift = shift_of(index / kDigits);
    const uint64_t above =
        shift + kDigitBits < 64 ? static_cast<uint64_t>(w->cur) >> (shift + kDigitBits) : 0;
    return static_cast<int64_t>((above << kDigitBits | index % kDigits) << shift);
}

void append(TimerWheel* w, TimerBucket* b, TimerEntry e) {
    TimerChunk* c = b->tail;
    if (b->n == 0) {
        b->head = b->tail = c = new_chunk(w);
        b->min = kForever;
        b->dead = 0;
        set_bit(w, b, true);
    } else if (c->used == kChunkEntries) {
        b->tail = c->next = new_chunk(w);
        c = b->tail;
    }
    c->entry[c->used++] = e;
    ++b->n;
    if (e.when < b->min) b->min = e.when;
}

// Empty, but for chunks and the bit.
void reset_bucket(TimerBucket* b) {
    b->head = b->tail = nullptr;
    b->n = b->dead = 0;
}

[[gnu::noinline]] void sweep(TimerWheel* w, TimerBucket* b) {
    TimerChunk* c = b->head;
    const uint32_t n = b->n;
    reset_bucket(b);
    set_bit(w, b, false);
    for (uint32_t seen = 0; seen < n;) {
        for (uint32_t i = 0; i < c->used; ++i) __builtin_prefetch(c->entry[i].slot);
        for (uint32_t i = 0; i < c->used; ++i) {
            if (c->entry[i].slot->timer) append(w, b, c->entry[i]);
            else drop_slot(w, c->entry[i].slot);
        }
        seen += static_cast<uint32_t>(c->used);
        TimerChunk* next = c->next;
        free_chunk(w, c);
        c = next;
    }
}

// --- run

void place(TimerWheel* w, TimerEntry e) {
    if (e.when >> kQuantumBits > w->cur >> kQuantumBits) return append(w, bucket_of(w, e.when), e);
    TimerChunk* c = w->run_tail;
    if (!w->run) {
        w->run = w->run_tail = c = new_chunk(w);
        w->run_at = 0;
    } else if (before(e, c->entry[c->used - 1])) {
        return heap_push(w, e);
    } else if (c->used == kChunkEntries) {
        w->run_tail = c->next = new_chunk(w);
        c = w->run_tail;
    }
    c->entry[c->used++] = e;
}

// All three inlined by force: g++ takes a function that only prefetches for one without effect, and drops its calls.
[[gnu::always_inline]] inline void prefetch_slots(const TimerChunk* c) {
    for (uint32_t i = 0; i < c->used; ++i) __builtin_prefetch(c->entry[i].slot, 1);
}
// The slots of these timers are in the cache or on their way.
[[gnu::always_inline]] inline void prefetch_timers(const TimerChunk* c) {
    for (uint32_t i = 0; i < c->used; ++i) {
        const Timer* t = c->entry[i].slot->timer;
        if (!t) continue;
        __builtin_prefetch(t, 1);
        const auto first = reinterpret_cast<uintptr_t>(t), last = reinterpret_cast<uintptr_t>(t + 1) - 1;
        if ((first ^ last) & arch::kCacheLine) __builtin_prefetch(&t->home, 1);
    }
}

// Of level 0, the two buckets that are opened next: a bucket's timers are in the cache when it is opened, if it is
// soon.
[[gnu::always_inline]] inline void prefetch_next(const TimerWheel* w) {
    uint64_t bits = w->bits[0];
    if (!bits) return;
    prefetch_timers(w->bucket[0][__builtin_ctzll(bits)].head);
    bits &= bits - 1;
    if (bits) prefetch_slots(w->bucket[0][__builtin_ctzll(bits)].head);
}

void run_pop(TimerWheel* w) {
    TimerChunk* c = w->run;
    if (++w->run_at < c->used) return;
    w->run = c->next;
    w->run_at = 0;
    free_chunk(w, c);
    if ((c = w->run)) {
        if (c->next) prefetch_slots(c->next);
        prefetch_timers(c);
    }
}

// --- opening a bucket

// cur has moved to where `opening` begins; moves what is in there to lower levels, for a while.
void drain(TimerWheel* w) {
    TimerBucket* b = w->opening;
    for (uint32_t i = 0; i < kDrainChunks && b->head; ++i) {
        TimerChunk* c = b->head;
        b->head = c->next;
        for (uint32_t k = 0; k < c->used; ++k) place(w, c->entry[k]);
        free_chunk(w, c);
    }
    if (b->head) return;
    reset_bucket(b);
    w->opening = nullptr;
    prefetch_next(w);
}

// Nothing is due: later starts are placed relative to now.
void advance(TimerWheel* w, int64_t now) {
    int64_t to = now & -kQuantum;
    if (w->levels) {
        const int64_t end = base_of(w, first_bucket(w)) - kQuantum;
        if (to > end) to = end;
    }
    if (to > w->cur) w->cur = to;
}

// --- all of them

template <class F>
bool any_in_chunks(const TimerChunk* c, uint32_t from, F f) {
    for (; c; c = c->next) {
        for (uint32_t i = from; i < c->used; ++i)
            if (c->entry[i].slot->timer && f(c->entry[i])) return true;
        from = 0;
    }
    return false;
}

// Stops at the first entry of a pending timer for which f is true; entries of one `when` come in their order.
template <class F>
bool any_pending(const TimerWheel* w, F f) {
    if (w->run && any_in_chunks(w->run, w->run_at, f)) return true;
    for (uint32_t i = 0; i < w->heap_n; ++i)
        if (w->heap[i].slot->timer && f(w->heap[i])) return true;
    if (w->opening && any_in_chunks(w->opening->head, 0, f)) return true;
    for (unsigned level = 0; level < kLevels; ++level)
        for (unsigned digit = 0; digit < kDigits; ++digit)
            if (w->bits[level] >> digit & 1 && any_in_chunks(w->bucket[level][digit].head, 0, f)) return true;
    return false;
}

}  // namespace

TimerWheel* wheel_new(size_t bytes, int* error) {
    const size_t size = (sizeof(TimerWheel) + bytes + kSlabSize - 1) / kSlabSize * kSlabSize;
    auto* w = static_cast<TimerWheel*>(new_slab(nullptr, size, error));
    if (!w) return nullptr;
    w->slabs = &w->slab;
    w->mapped = size;
    w->carve = reinterpret_cast<char*>(w) +
               (sizeof(TimerWheel) + sizeof(TimerChunk) - 1) / sizeof(TimerChunk) * sizeof(TimerChunk);
    w->carve_end = reinterpret_cast<char*>(w) + size;
    w->heap = w->first_heap + 3;
    w->heap_room = kFirstHeap;
    return w;
}

void wheel_delete(TimerWheel* w) {
    if (w->heap != w->first_heap + 3)
        kernel::release(w->heap - 3, (size_t{w->heap_room} + 3) * sizeof(TimerEntry));
    for (TimerSlab* slab = w->slabs; slab;) {  // ends with the wheel itself
        TimerSlab* next = slab->next;
        kernel::release(slab, slab->size);
        slab = next;
    }
}

void wheel_insert(TimerWheel* w, Timer* t) {
    TimerSlot* slot = new_slot(w);
    slot->timer = t;
    slot->order = w->next_order++;
    t->slot = slot;
    ++w->entries;
    place(w, {t->when, slot});
}

void wheel_remove(TimerWheel* w, Timer* t) {
    TimerSlot* slot = t->slot;
    t->slot = nullptr;
    if (t->when >> kQuantumBits <= w->cur >> kQuantumBits) {
        if (w->heap_n && w->heap[w->heap_n - 1].slot == slot) {
            --w->heap_n;
            return drop_slot(w, slot);
        }
        slot->timer = nullptr;
        if (++w->heap_dead > w->heap_n / 2 + kSweepSlack) sweep_heap(w);  // some are in the run: a guess
        return;
    }
    TimerBucket* b = bucket_of(w, t->when);
    TimerChunk* c = b->tail;
    // What was started last is often stopped first: then nothing stays.
    if (b->n && c->entry[c->used - 1].slot == slot && (c->used > 1 || c == b->head)) {
        drop_slot(w, slot);
        --c->used;
        if (--b->n) return;
        free_chunk(w, c);
        reset_bucket(b);
        set_bit(w, b, false);
        return;
    }
    slot->timer = nullptr;
    // While a bucket is being opened its entries are counted where they will be, which may have none yet.
    if (++b->dead > b->n / 2 + kSweepSlack && b->n) sweep(w, b);
}

Timer* wheel_take(TimerWheel* w, int64_t now, bool* more) {
    *more = false;
    for (;;) {
        if (w->opening) [[unlikely]] {
            drain(w);
            if (w->opening) {
                *more = true;
                return nullptr;
            }
        }
        const TimerEntry* e = w->run ? &w->run->entry[w->run_at] : nullptr;
        const bool from_heap = w->heap_n && (!e || before(w->heap[0], *e));
        if (from_heap) e = &w->heap[0];
        if (!e) {
            TimerBucket* b = w->levels ? first_bucket(w) : nullptr;
            if (!b || b->min > now) {
                advance(w, now);
                return nullptr;
            }
            w->cur = base_of(w, b);
            w->opening = b;
            set_bit(w, b, false);
            continue;
        }
        TimerSlot* slot = e->slot;
        Timer* t = slot->timer;
        if (t && e->when > now) return nullptr;
        if (from_heap) heap_pop(w);
        else run_pop(w);
        drop_slot(w, slot);
        if (!t) continue;
        t->slot = nullptr;
        if (t->arg) __builtin_prefetch(t->arg, 1);
        return t;
    }
}

int64_t wheel_next(const TimerWheel* w) {
    int64_t next = w->run ? w->run->entry[w->run_at].when : kForever;
    if (w->heap_n && w->heap[0].when < next) next = w->heap[0].when;
    if (w->opening && w->opening->min < next) next = w->opening->min;
    if (next != kForever || !w->levels) return next;
    return first_bucket(const_cast<TimerWheel*>(w))->min;
}

bool wheel_any(const TimerWheel* w, bool (*f)(const Timer*, void*), void* arg) {
    return any_pending(w, [=](const TimerEntry& e) { return f(e.slot->timer, arg); });
}

[[gnu::noinline]] TimerWheel* wheel_trim_slow(TimerWheel* w) {
    // As many chunks as the entries need, in the worst case: one for each bucket that is not full, and the heap.
    const size_t need = size_t{w->entries} * 2 * kEntryBytes + (kLevels * kDigits + 4) * sizeof(TimerChunk);
    int error = 0;
    TimerWheel* to = wheel_new(need, &error);
    if (!to) return w;
    to->cur = w->cur;
    to->next_order = w->next_order;
    any_pending(w, [to](const TimerEntry& e) {
        Timer* t = e.slot->timer;
        TimerSlot* slot = new_slot(to);
        slot->timer = t;
        slot->order = e.slot->order;
        t->slot = slot;
        ++to->entries;
        place(to, {e.when, slot});
        return false;
    });
    wheel_delete(w);
    return to;
}

}  // namespace gort::rt
