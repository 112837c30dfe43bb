// rt/timers.cc - a 4-ary heap of (when, slot) with the Timers behind slots.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/timers.h"

#include "kernel/fatal.h"
#include "kernel/vm.h"

namespace gort::rt {

struct TimerSlot {
    Timer* timer;  // null: stopped
    union {
        uint64_t order;  // of starting, for equal whens
        TimerSlot* next_free;
    };
};

struct TimerSlab {
    TimerSlab* next;
    size_t size;
    uint32_t used, room;
};

namespace {

constexpr size_t kSlabSize = size_t{64} << 10;
constexpr size_t kMaxSlabSize = size_t{2} << 20;
constexpr uint32_t kBatch = 16;

void* must_reserve(size_t size) {
    int error = 0;
    void* memory = kernel::reserve(size, kernel::kReserveDefault, 0, &error);
    if (!memory) kernel::fatal_errno("no memory for timers", error);
    return memory;
}

TimerSlot* new_slot(Timers* ts) {
    if (TimerSlot* slot = ts->free_slots) {
        ts->free_slots = slot->next_free;
        return slot;
    }
    TimerSlab* slab = ts->slabs;
    if (!slab || slab->used == slab->room) {
        size_t size = slab ? slab->size * 2 : kSlabSize;
        if (size > kMaxSlabSize) size = kMaxSlabSize;
        slab = static_cast<TimerSlab*>(must_reserve(size));
        slab->next = ts->slabs;
        slab->size = size;
        slab->used = 0;
        slab->room = static_cast<uint32_t>((size - sizeof(TimerSlab)) / sizeof(TimerSlot));
        ts->slabs = slab;
    }
    return reinterpret_cast<TimerSlot*>(slab + 1) + slab->used++;
}

void free_slot(Timers* ts, TimerSlot* slot) {
    slot->next_free = ts->free_slots;
    ts->free_slots = slot;
}

bool before(const TimerEntry& a, const TimerEntry& b) {
    return a.when != b.when ? a.when < b.when : a.slot->order < b.slot->order;
}

void grow(Timers* ts) {
    const uint32_t room = ts->heap_room ? ts->heap_room * 2 : 4096;
    auto* heap = static_cast<TimerEntry*>(must_reserve(size_t{room} * sizeof(TimerEntry)));
    for (uint32_t i = 0; i < ts->heap_size; ++i) heap[i] = ts->heap[i];
    if (ts->heap) kernel::release(ts->heap, size_t{ts->heap_room} * sizeof(TimerEntry));
    ts->heap = heap;
    ts->heap_room = room;
}

void sift_up(TimerEntry* heap, uint32_t i, TimerEntry e) {
    while (i > 0) {
        const uint32_t parent = (i - 1) / 4;
        if (!before(e, heap[parent])) break;
        heap[i] = heap[parent];
        i = parent;
    }
    heap[i] = e;
}

void sift_down(TimerEntry* heap, uint32_t size, uint32_t i, TimerEntry e) {
    for (;;) {
        const uint32_t first = 4 * i + 1;
        if (first >= size) break;
        const uint32_t end = size - first < 4 ? size : first + 4;
        uint32_t least = first;
        for (uint32_t c = first + 1; c < end; ++c)
            if (before(heap[c], heap[least])) least = c;
        if (!before(heap[least], e)) break;
        heap[i] = heap[least];
        i = least;
    }
    heap[i] = e;
}

void pop(Timers* ts) {
    free_slot(ts, ts->heap[0].slot);
    const uint32_t size = --ts->heap_size;
    if (size) sift_down(ts->heap, size, 0, ts->heap[size]);
}

void set_count(Timers* ts, uint32_t add) {
    ts->count.store(ts->count.load(std::memory_order_relaxed) + add, std::memory_order_relaxed);
}

// True if it is the earliest now.
bool insert(Timers* ts, Timer* t) {
    if (t->when < 0) t->when = 0;
    ++t->seq;
    if (ts->heap_size == ts->heap_room) grow(ts);
    TimerSlot* slot = new_slot(ts);
    slot->timer = t;
    slot->order = ts->next_seq++;
    t->slot = slot;
    sift_up(ts->heap, ts->heap_size++, {t->when, slot});
    set_count(ts, 1);
    if (t->when >= ts->next_when.load(std::memory_order_relaxed)) return false;
    ts->next_when.store(t->when, std::memory_order_relaxed);
    return true;
}

void remove(Timers* ts, Timer* t) {
    ++t->seq;
    t->slot->timer = nullptr;
    t->slot = nullptr;
    set_count(ts, UINT32_MAX);
}

int64_t settle(Timers* ts) {
    while (ts->heap_size && !ts->heap[0].slot->timer) pop(ts);
    const int64_t next = ts->heap_size ? ts->heap[0].when : kForever;
    ts->next_when.store(next, std::memory_order_relaxed);
    return next;
}

Timers* lock_home(Timer* t) {
    for (;;) {
        Timers* ts = t->home.load(std::memory_order_acquire);  // T1
        if (!ts) return nullptr;
        ts->lock.lock();
        if (t->home.load(std::memory_order_relaxed) == ts) return ts;
        ts->lock.unlock();
    }
}

}  // namespace

bool timer_start(Timers* home, Timer* t) {
    kernel::LockGuard guard(home->lock);
    t->home.store(home, std::memory_order_release);  // T1
    return insert(home, t);
}

bool timer_stop(Timer* t) {
    Timers* ts = lock_home(t);
    if (!ts) return false;
    remove(ts, t);
    t->home.store(nullptr, std::memory_order_release);  // T1
    ts->lock.unlock();
    return true;
}

bool timer_reset(Timers* home, Timer* t, int64_t when, int64_t period, bool* earliest) {
    bool was_pending = true;
    Timers* ts;
    for (;;) {
        ts = lock_home(t);
        if (ts) {
            remove(ts, t);
            break;
        }
        home->lock.lock();
        Timers* idle = nullptr;
        if (t->home.compare_exchange_strong(idle, home, std::memory_order_acq_rel)) {  // T1
            ts = home;
            was_pending = false;
            break;
        }
        home->lock.unlock();
    }
    t->when = when;
    t->period = period;
    const bool first = insert(ts, t);
    if (earliest) *earliest = first;
    ts->lock.unlock();
    return was_pending;
}

int64_t timers_run(Timers* ts, int64_t now) {
    if (now == kForever) --now;  // what never fires does not fire at the end of time either
    int64_t next = ts->next_when.load(std::memory_order_relaxed);
    while (next <= now) {
        struct {
            Timer* timer;
            TimerFn fn;
            uint64_t seq;
        } due[kBatch];
        uint32_t n = 0;
        ts->lock.lock();
        while (n < kBatch && settle(ts) <= now) {
            Timer* t = ts->heap[0].slot->timer;
            due[n++] = {t, t->fn, t->seq};
            pop(ts);
            set_count(ts, UINT32_MAX);
            if (t->period > 0) {
                const int64_t late = now - t->when;
                t->when = deadline_after(t->when, t->period);
                if (late >= t->period) t->when = deadline_after(t->when, late / t->period * t->period);
                insert(ts, t);
            } else {
                t->slot = nullptr;
                t->home.store(nullptr, std::memory_order_release);  // T1
            }
        }
        next = settle(ts);
        ts->lock.unlock();
        for (uint32_t i = 0; i < n; ++i) due[i].fn(due[i].timer, now, due[i].seq);
    }
    return next;
}

bool timers_move(Timers* from, Timers* to) {
    Timers* first = from < to ? from : to;
    Timers* second = from < to ? to : from;
    kernel::LockGuard guard_first(first->lock);
    kernel::LockGuard guard_second(second->lock);
    bool earliest = false;
    for (; from->heap_size; pop(from)) {
        Timer* t = from->heap[0].slot->timer;
        if (!t) continue;
        t->home.store(to, std::memory_order_release);  // T1
        earliest |= insert(to, t);
        --t->seq;
    }
    from->count.store(0, std::memory_order_relaxed);
    from->next_when.store(kForever, std::memory_order_relaxed);
    return earliest;
}

void timers_clear(Timers* ts) {
    if (ts->heap) kernel::release(ts->heap, size_t{ts->heap_room} * sizeof(TimerEntry));
    while (TimerSlab* slab = ts->slabs) {
        ts->slabs = slab->next;
        kernel::release(slab, slab->size);
    }
    ts->heap = nullptr;
    ts->heap_size = ts->heap_room = 0;
    ts->free_slots = nullptr;
    ts->count.store(0, std::memory_order_relaxed);
    ts->next_when.store(kForever, std::memory_order_relaxed);
}

}  // namespace gort::rt
