// rt/sync/rw_mutex.cc - readers counted in the word, or in a place of their P, where they do not disturb each other.
// SPDX-License-Identifier: BSD-2-Clause
//
// THE WORD: the number of readers in the upper half, flags in the lower one. Writers first take `writer`, a mutex,
// so there is one at a time. It sets kWriter, which stops new readers, and waits until the number is 0
// (kWriterWaits). A reader that finds kWriter queues under &word (kReadersWait); the writer's unlock counts all that
// queue as readers and wakes them.
//
// THE PLACES: after a stretch of nothing but reads, kSlots is set, and a reader counts itself in one of kPlaces
// words of its P, by plain stores inside the gate. The number of readers is then that of the word plus those of all
// Ps' places. A reader that leaves takes itself off its P's place, or off the word; where both say 0 it cannot tell
// whether it came on another P or never, so it has all counted. Counting, which the first writer does as well:
//      1  kSlots -> kCollecting        2  everybody who was inside the gate has been outside (rt/own/gate.h)
//      3  what the places say goes into the word, and kCollecting away
// While kCollecting is set the word's number means nothing; readers come and go on it all the same.
//
// A writer whose deadline comes while readers are in goes as if it had written: by rw_unlock. A reader whose deadline
// comes is taken out of the queue, and kReadersWait stays until the writer's unlock, which counts those that it finds.
//
// Invariants: (1) a place belongs to one lock while its number is not 0; that lock is alive and has kSlots or
// kCollecting.
//             (2) places' numbers are never negative; the word's may be while kSlots or kCollecting is set.
// Ordering: V2 a place's release -> the collector's acquire: what readers read is read before the writer writes.
//           V3 word: every change is acq_rel.
//
// No TSA: a slot's lock is taken in one function and released in another one, often by the commit of a park, after a
// switch. Which of these a path takes follows from values, which the analysis does not look at.
#include "rt/sync/rw_mutex.h"

#include "rt/base/report.h"
#include "rt/base/sim_seam.h"
#include "rt/go.h"
#include "rt/own/gate.h"
#include "rt/sched/timed.h"
#include "rt/sync/sema.h"
#include "rt/time/clock.h"

namespace gort::detail {

using namespace rt;

namespace {

constexpr uint64_t kWriter = 1, kWriterWaits = 2, kReadersWait = 4, kSlots = 8, kCollecting = 16;
constexpr uint64_t kReader = uint64_t{1} << 32;
constexpr int kPlaces = 16;
constexpr uint16_t kMostEnough = 4096;

// The lock's address, shifted, with the number of readers below it; no lock's if that is 0.
using Place = std::atomic<uint64_t>;
constexpr int kCountBits = 16;
constexpr uint64_t kCountMask = (1 << kCountBits) - 1;
struct alignas(64) Places {
    Place at[kPlaces];
};
constinit Places g_places[kMaxProcs];

[[gnu::always_inline]] inline uint64_t tag_of(const RwState* rw) {
    return static_cast<uint64_t>(reinterpret_cast<uintptr_t>(rw)) << kCountBits;
}

[[gnu::always_inline]] inline int64_t readers_of(uint64_t word) { return static_cast<int64_t>(word) >> 32; }

[[gnu::always_inline]] inline Place& place_of(const P* pp, const RwState* rw) {
    const uintptr_t a = reinterpret_cast<uintptr_t>(rw);
    return g_places[pp->index].at[(a >> 5 ^ a >> 9) % kPlaces];
}

const char* writers_key(const RwState* rw) { return reinterpret_cast<const char*>(&rw->word) + 4; }

[[noreturn]] void unlocked_twice(M* mp) {
    leave(mp);
    fatal_error("sync: RUnlock of unlocked RWMutex");
}

// Outside the gate. Returns when all readers are counted in the word and kSlots is gone, also if another thread did it.
void collect(RwState* rw) {
    uint64_t word = rw->word.load(std::memory_order_acquire);
    for (;;) {
        if (word & kCollecting) {
            yield();
            word = rw->word.load(std::memory_order_acquire);
        } else if (!(word & kSlots)) {
            return;
        } else if (rw->word.compare_exchange_weak(word, (word & ~kSlots) | kCollecting,
                                                  std::memory_order_acq_rel)) {
            break;
        }
    }
    rw->reads.store(0, std::memory_order_relaxed);
    const uint16_t enough = rw->enough.load(std::memory_order_relaxed);
    if (enough < kMostEnough) rw->enough.store(static_cast<uint16_t>(enough * 2), std::memory_order_relaxed);
    wait_for_all_outside();
    int64_t sum = 0;
    for (int i = 0, ps = sched.nallp.load(std::memory_order_acquire); i < ps; ++i) {
        Place& place = place_of(sched.allp[i], rw);
        const uint64_t n = place.load(std::memory_order_acquire) ^ tag_of(rw);  // V2
        if (n == 0 || n > kCountMask) continue;
        sum += static_cast<int64_t>(n);
        place.store(0, std::memory_order_relaxed);
    }
    word = rw->word.load(std::memory_order_relaxed);
    uint64_t after;
    do after = (word & ~kCollecting) + static_cast<uint64_t>(sum) * kReader;
    while (
        !rw->word.compare_exchange_weak(word, after, std::memory_order_acq_rel, std::memory_order_relaxed));
    if (readers_of(after) < 0) fatal_error("sync: RUnlock of unlocked RWMutex");
}

// The lock is read again and again: from now on readers count in places.
bool may_use_slots(RwState* rw, uint64_t word) {
    if (word & (kWriter | kCollecting | kSlots | kReadersWait | kWriterWaits)) return false;
    const uint16_t n = rw->reads.load(std::memory_order_relaxed);
    const uint16_t enough = rw->enough.load(std::memory_order_relaxed);
    if (n >= enough) return enough != 0;  // 0: never, for a lock that is not destroyed (gort_c.h)
    rw->reads.store(static_cast<uint16_t>(n + 1), std::memory_order_relaxed);
    return false;
}

[[gnu::always_inline]] inline bool count_in_place(const P* pp, const RwState* rw) {
    Place& place = place_of(pp, rw);
    const uint64_t now = place.load(std::memory_order_relaxed);
    const uint64_t n = now ^ tag_of(rw);
    if (n < kCountMask) [[likely]]
        place.store(now + 1, std::memory_order_relaxed);
    else if ((now & kCountMask) == 0) place.store(tag_of(rw) + 1, std::memory_order_relaxed);
    else return false;
    return true;
}
[[gnu::always_inline]] inline bool leave_place(const P* pp, const RwState* rw) {
    Place& place = place_of(pp, rw);
    const uint64_t now = place.load(std::memory_order_relaxed);
    const uint64_t n = now ^ tag_of(rw);
    if (n - 1 >= kCountMask) [[unlikely]]
        return false;
    place.store(now - 1, std::memory_order_release);  // V2
    return true;
}

// Inside the gate. False: a writer holds it or waits for it.
[[gnu::always_inline]] inline bool enter_shared(M* mp, RwState* rw) {
    uint64_t word = rw->word.load(std::memory_order_acquire);
    for (;;) {
        if (word & kWriter) [[unlikely]]
            return false;
        if (word & kSlots) [[likely]] {
            if (const P* pp = p_of(mp))
                if (count_in_place(pp, rw)) [[likely]]
                    return true;
        }
        const uint64_t slots = may_use_slots(rw, word) ? kSlots | kRwUsedSlots : 0;
        if (rw->word.compare_exchange_weak(word, (word + kReader) | slots, std::memory_order_acq_rel,
                                           std::memory_order_acquire))
            return true;
    }
}

// Inside the gate: the writer's key has a sleeper, and the last reader has gone.
void wake_writer(M* mp, RwState* rw) GORT_NO_TSA {
    SemaSlot& slot = sema_slot_of(writers_key(rw));
    slot.lock.lock();
    Waiter* w = slot.pop(writers_key(rw));
    if (w) rw->word.fetch_and(~kWriterWaits, std::memory_order_acq_rel);
    slot.lock.unlock();
    if (w) ready(mp, w->sg.g);
}

// Holds `writer`, and kWriter is set. False: the deadline has passed.
bool wait_for_readers(RwState* rw, int64_t deadline) GORT_NO_TSA {
    uint64_t word = rw->word.load(std::memory_order_acquire);
    if (word & (kSlots | kCollecting)) {
        collect(rw);
        word = rw->word.load(std::memory_order_acquire);
    }
    if (readers_of(word) == 0) return true;
    M* mp = enter();
    SemaSlot& slot = sema_slot_of(writers_key(rw));
    slot.lock.lock();
    word = rw->word.load(std::memory_order_acquire);
    do {
        const bool free = readers_of(word) == 0;
        if (free || (deadline != kForever && deadline <= now())) {
            slot.lock.unlock();
            leave(mp);
            return free;
        }
    } while (!rw->word.compare_exchange_weak(word, word | kWriterWaits, std::memory_order_acq_rel,
                                             std::memory_order_acquire));
    Waiter w(mp->curg, writers_key(rw));
    slot.push_back(&w);
    bool late = false;
    if (deadline == kForever) mp = sema_park(mp, slot, &w, WaitReason::kRwMutexLock);
    else mp = sema_park_until(mp, slot, &w, WaitReason::kRwMutexLock, deadline, &late);
    if (late) rw->word.fetch_and(~kWriterWaits, std::memory_order_acq_rel);
    else rw->word.load(std::memory_order_acquire);  // V3
    leave(mp);
    return !late;
}

// The writer's mutex, which could not be taken at once, is ours. In a simulation it never can, and there the unlock is
// to be a scheduling point before it does anything: this sends it where it enters the gate.
void got_writer(RwState* rw) {
    if (simulation()) rw->word.fetch_or(kReadersWait, std::memory_order_relaxed);
}

[[gnu::noinline]] void lock_writer_slow(RwState* rw) {
    mutex_lock_slow(&rw->writer, true);
    got_writer(rw);
}
bool try_writer_slow(RwState* rw) {
    if (!mutex_try_lock_slow(&rw->writer)) return false;
    got_writer(rw);
    return true;
}

}  // namespace

void rw_lock(RwState* rw) {
    if (!mutex_take_quick(&rw->writer)) [[unlikely]]
        lock_writer_slow(rw);
    const uint64_t before = rw->word.fetch_or(kWriter, std::memory_order_acq_rel);
    if ((before & (kSlots | kCollecting)) || readers_of(before) != 0) [[unlikely]]
        wait_for_readers(rw, kForever);
}

bool rw_lock_until(RwState* rw, int64_t deadline) {
    if (!mutex_take_quick(&rw->writer)) {
        if (!mutex_lock_until(&rw->writer, true, deadline)) return false;
        got_writer(rw);
    }
    const uint64_t before = rw->word.fetch_or(kWriter, std::memory_order_acq_rel);
    if (!(before & (kSlots | kCollecting)) && readers_of(before) == 0) return true;
    if (wait_for_readers(rw, deadline)) return true;
    rw_unlock(rw);  // readers who came meanwhile queue, as behind any writer
    return false;
}

bool rw_try_lock(RwState* rw) {
    if (!mutex_take_quick(&rw->writer) && !try_writer_slow(rw)) return false;
    uint64_t word = rw->word.load(std::memory_order_acquire);
    if (word & (kSlots | kCollecting)) {
        collect(rw);
        word = rw->word.load(std::memory_order_acquire);
    }
    while (readers_of(word) == 0 && !(word & (kSlots | kCollecting)))
        if (rw->word.compare_exchange_weak(word, word | kWriter, std::memory_order_acq_rel,
                                           std::memory_order_acquire))
            return true;
    mutex_unlock(&rw->writer);
    return false;
}

void rw_unlock(RwState* rw) GORT_NO_TSA {
    uint64_t word = rw->word.load(std::memory_order_relaxed);
    if (!(word & kWriter)) fatal_error("sync: Unlock of unlocked RWMutex");
    if (word & kReadersWait ||
        !rw->word.compare_exchange_strong(word, word & ~kWriter, std::memory_order_acq_rel)) {
        M* mp = enter();
        touches(&rw->writer.owner);
        if (!(rw->word.load(std::memory_order_relaxed) & kWriter)) {  // somebody else was first
            leave(mp);
            fatal_error("sync: Unlock of unlocked RWMutex");
        }
        SemaSlot& slot = sema_slot_of(&rw->word);
        slot.lock.lock();
        Waiter* list = sema_take_all(slot, &rw->word);
        uint64_t n = 0;
        for (Waiter* w = list; w; w = w->next()) ++n;
        word = rw->word.load(std::memory_order_relaxed);
        while (!rw->word.compare_exchange_weak(word, (word & ~(kWriter | kReadersWait)) + n * kReader,
                                               std::memory_order_acq_rel, std::memory_order_relaxed)) {
        }
        slot.lock.unlock();
        sema_ready_all(mp, list);
        leave(mp);
    }
    mutex_unlock(&rw->writer);
}

namespace {

// False: the deadline has passed.
[[gnu::noinline]] bool wait_for_writer(M* mp, RwState* rw, int64_t deadline) GORT_NO_TSA {
    SemaSlot& slot = sema_slot_of(&rw->word);
    slot.lock.lock();
    uint64_t word = rw->word.load(std::memory_order_acquire);
    for (;;) {
        if (!(word & kWriter)) {
            if (!enter_shared(mp, rw)) {  // another one has come
                word = rw->word.load(std::memory_order_acquire);
                continue;
            }
            slot.lock.unlock();
            leave(mp);
            return true;
        }
        if (deadline != kForever && deadline <= now()) {
            slot.lock.unlock();
            leave(mp);
            return false;
        }
        if (rw->word.compare_exchange_weak(word, word | kReadersWait, std::memory_order_acq_rel,
                                           std::memory_order_acquire))
            break;
    }
    Waiter w(mp->curg, &rw->word);
    slot.push_back(&w);
    bool late = false;
    if (deadline == kForever) mp = sema_park(mp, slot, &w, WaitReason::kRwMutexRLock);
    else mp = sema_park_until(mp, slot, &w, WaitReason::kRwMutexRLock, deadline, &late);
    rw->word.load(std::memory_order_acquire);  // V3
    leave(mp);
    return !late;
}

}  // namespace

namespace {

[[gnu::noinline]] void lock_shared_slow(RwState* rw) {
    M* mp = enter();
    touches(&rw->writer.owner);
    if (!enter_shared(mp, rw)) wait_for_writer(mp, rw, kForever);
    else leave(mp);
}
[[gnu::noinline]] void unlock_shared_slow(RwState* rw);

}  // namespace

void rw_lock_shared(RwState* rw) {
    if (M* mp = try_enter()) [[likely]] {
        const bool in = (rw->word.load(std::memory_order_acquire) & (kSlots | kWriter)) == kSlots &&
                        count_in_place(p_of(mp), rw);
        leave(mp);
        if (in) [[likely]]
            return;
    }
    lock_shared_slow(rw);
}

void rw_unlock_shared(RwState* rw) {
    if (M* mp = try_enter()) [[likely]] {
        const bool out = (rw->word.load(std::memory_order_acquire) & kSlots) && leave_place(p_of(mp), rw);
        leave(mp);
        if (out) [[likely]]
            return;
    }
    unlock_shared_slow(rw);
}

bool rw_try_lock_shared(RwState* rw) {
    M* mp = enter();
    const bool in = enter_shared(mp, rw);
    leave(mp);
    return in;
}

bool rw_lock_shared_until(RwState* rw, int64_t deadline) {
    M* mp = enter();
    if (!enter_shared(mp, rw)) return wait_for_writer(mp, rw, deadline);
    leave(mp);
    return true;
}

namespace {

void unlock_shared_slow(RwState* rw) {
    M* mp = enter();
    touches(&rw->writer.owner);
    uint64_t word = rw->word.load(std::memory_order_acquire);
    while (word & kSlots) {
        if (const P* pp = p_of(mp)) {
            if (leave_place(pp, rw)) return leave(mp);
        }
        if (readers_of(word) > 0) {
            if (rw->word.compare_exchange_weak(word, word - kReader, std::memory_order_acq_rel,
                                               std::memory_order_acquire))
                return leave(mp);
            continue;
        }
        leave(mp);
        collect(rw);
        mp = enter();
        word = rw->word.load(std::memory_order_acquire);
    }
    word = rw->word.fetch_sub(kReader, std::memory_order_acq_rel) - kReader;
    if (!(word & (kSlots | kCollecting))) {
        if (readers_of(word) < 0) unlocked_twice(mp);
        if (readers_of(word) == 0 && (word & kWriterWaits)) wake_writer(mp, rw);
    }
    leave(mp);
}

}  // namespace

void rw_forget(RwState* rw) {
    for (int i = 0, n = sched.nallp.load(std::memory_order_acquire); i < n; ++i) {
        Place& place = place_of(sched.allp[i], rw);
        if ((place.load(std::memory_order_relaxed) ^ tag_of(rw)) <= kCountMask)
            place.store(0, std::memory_order_relaxed);
    }
}

}  // namespace gort::detail
