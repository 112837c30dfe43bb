// rt/sched/trim.cc - see trim.h.
// SPDX-License-Identifier: BSD-2-Clause
//
// A ROUND, at most once a second and for at most 2 percent of the time while anything else runs:
//   1  time and barrier, every P has been outside
//   2  all Gs: those that have been parked for kLong and have kWorth pages below their stack pointer lose them
//   3  free stacks that the Ps keep go to the pool, which makes cold half of what is not needed
// IDLE. Rounds go on until one has found nothing that a later one could give back. Then sysmon sleeps for good.
#include "rt/sched/trim.h"

#include "arch/arch.h"
#include "kernel/sys.h"
#include "arch/sanitize.h"
#include "rt/time/clock.h"
#include "rt/stack/pool.h"

namespace gort::rt {

namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kEvery = 1000 * kMs;
constexpr int64_t kLong = 1000 * kMs;
std::atomic<int64_t> every{kEvery}, long_parked{kLong};  // those, but in tests
constexpr int64_t kAgain = kMs;                          // a P was inside for too long: soon again
constexpr int64_t kSlice = kMs / 5;                      // of work without a look around
constexpr int64_t kShare = 50;                           // one part in so many is for this
constexpr size_t kPiece = 1 << 20;    // bytes that one batch drops: so long a waker may have to wait
constexpr size_t kWorth = 2;          // pages: fewer are not worth the faults
constexpr uint32_t kGsAtOnce = 1024;  // while G's slab is locked
constexpr int kPatience = 200;        // pauses, until a P has been outside

constexpr uintptr_t kHidden = 1, kTrimming = 2, kMarks = kHidden | kTrimming;

// One that waits and may have something to give.
struct Waiter {
    G* gp;
    int64_t since;
    void* sp;
    SlotInfo* info;
    Range dead;    // what is to go of it now
    size_t bytes;  // that are there of that, about
    bool whole;    // nothing more after that
};

enum class Stage { kNotNow, kBegin, kWaiters, kFree };

// sysmon's own
struct {
    Stage stage = Stage::kNotNow;
    int64_t due = 0;
    int64_t began = 0;  // what coarse_now said
    int64_t spent = 0;
    bool more = false;  // somebody may have something to give later
    GCursor at;
    Waiter batch[kBatch];
    size_t n = 0;
} round;

std::atomic<uint64_t> given_bytes{0}, given_stacks{0}, too_late{0}, slow_ways{0};

void add(std::atomic<uint64_t>* to, uint64_t n) {  // [sysmon]
    to->store(to->load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

int64_t since_of(const G* gp) { return __atomic_load_n(&gp->wait_since, __ATOMIC_RELAXED); }

// There is nothing more to give in this wait. If it is over, its successor has another time.
void mark_trimmed(const Waiter& w) {
    int64_t since = w.since;
    __atomic_compare_exchange_n(&w.gp->wait_since, &since, since | 1, false, __ATOMIC_RELAXED,
                                __ATOMIC_RELAXED);
}

// After a barrier: a thread that is not outside now, and is not seen to be within a few microseconds, makes it false.
bool all_have_been_outside() {
    kernel::heavy_barrier();
    for (int i = 0, n = sched.nallp.load(std::memory_order_acquire); i < n; ++i) {
        const P* pp = sched.allp[i];
        const M* mp = pp->m.load(std::memory_order_acquire);
        for (int pauses = 0; mp && mp->in_rt.load(std::memory_order_acquire); ++pauses) {  // G1
            if (pp->m.load(std::memory_order_acquire) != mp) break;  // it gave the P up, so it was outside
            if (pauses == kPatience) return false;
            arch::pause();
        }
    }
    return true;
}

// [G's slab is locked] False: the batch is full.
bool consider(G* gp) {
    if (round.n == kBatch) return false;
    if (gp->status.load(std::memory_order_acquire) != GStatus::kWaiting) return true;
    const int64_t since = since_of(gp);
    if (since & 1) return true;
    void* sp = handle_of(gp);
    if (!sp) return true;
    // Older than this round in any case: it is at rest.
    if (since < round.began && since <= round.began - long_parked.load(std::memory_order_relaxed))
        round.batch[round.n++] = {gp, since, sp, nullptr, {}, 0, false};
    else round.more = true;
    return true;
}

// What each has to give, up to kPiece together: the others stay for the next time. Those with nothing are done with in
// this wait.
void measure_batch() {
    const size_t page = kernel::page_size();
    size_t kept = 0, bytes = 0;
    for (size_t i = 0; i < round.n; ++i) {
        Waiter w = round.batch[i];
        w.dead = {};
        if (bytes < kPiece) {
            const auto sp = reinterpret_cast<uintptr_t>(w.sp);
            // Not by G::stack: that may be another one's by now, and the two must belong together.
            const SlotRef slot = stack_slot_of(sp);
            if (slot.part != SlotPart::kStack) continue;
            w.info = slot_info(slot.header);
            const StackPages dead = stack_dead_pages(slot.bounds, sp);
            if (dead.bytes < kWorth * page) {
                mark_trimmed(w);
                continue;
            }
            w.whole = dead.size <= kPiece;
            w.dead = {dead.lowest, w.whole ? dead.size : kPiece};
            w.bytes = dead.bytes < w.dead.size ? dead.bytes : w.dead.size;
            bytes += w.bytes;
        }
        round.batch[kept++] = w;
    }
    round.n = kept;
}

void hide(const Waiter& w) {
    w.info->hidden.store(reinterpret_cast<uintptr_t>(w.sp) | kHidden, std::memory_order_relaxed);
    void* sp = w.sp;
    __atomic_compare_exchange_n(&w.gp->ctx.sp, &sp, nullptr, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

// After the barrier: no thread can resume it any more before we say so. False: one may have, or may be about to.
bool is_ours(const Waiter& w) {
    auto marked = reinterpret_cast<uintptr_t>(w.sp) | kHidden;
    const bool same = w.gp->status.load(std::memory_order_acquire) == GStatus::kWaiting &&
                      since_of(w.gp) == w.since && !handle_of(w.gp);
    const uintptr_t to = same ? marked | kTrimming : marked & ~kMarks;
    return w.info->hidden.compare_exchange_strong(marked, to, std::memory_order_acq_rel) && same;
}

void trim_batch() {
    Range ranges[kBatch];
    size_t hidden = 0, ours = 0, left = 0;
    while (hidden < round.n && round.batch[hidden].dead.size) hide(round.batch[hidden++]);
    if (!hidden) return;
    kernel::heavy_barrier();
    for (size_t i = 0; i < hidden; ++i) {
        if (!is_ours(round.batch[i])) continue;
        ranges[ours] = round.batch[i].dead;
        round.batch[ours++] = round.batch[i];
    }
    if (ours) decommit_ranges(ranges, ours);
    add(&given_stacks, ours);
    add(&too_late, hidden - ours);
    for (size_t i = 0; i < ours; ++i) {
        const Waiter w = round.batch[i];
        add(&given_bytes, w.bytes);
        if (w.whole) mark_trimmed(w);
        __atomic_store_n(&w.gp->ctx.sp, w.sp, __ATOMIC_RELEASE);                             // T1
        w.info->hidden.store(reinterpret_cast<uintptr_t>(w.sp), std::memory_order_release);  // T1
        if (!w.whole) round.batch[left++] = w;
    }
    for (size_t i = hidden; i < round.n; ++i) round.batch[left++] = round.batch[i];
    round.n = left;
}

// The free stacks of Ps that no M holds; an M that holds one is asked. True if there were any.
bool collect_kept_stacks() {
    bool any = false;
    for (;;) {
        void* stacks[kStackCache];
        uint32_t n = 0;
        {
            kernel::LockGuard guard(sched.lock);
            for (P* pp = sched.pidle; pp && n == 0; pp = pp->next_idle) {
                n = pp->stacks;
                for (uint32_t i = 0; i < n; ++i) stacks[i] = pp->stack_cache[i];
                pp->stacks = pp->small_stacks = 0;
            }
        }
        if (n == 0) break;
        stack_free_mixed(stacks, n);
        any = true;
    }
    for (int i = 0, all = sched.nallp.load(std::memory_order_acquire); i < all; ++i)
        if (P* pp = sched.allp[i]; pp->m.load(std::memory_order_relaxed))
            pp->attention.fetch_or(kAskStacks, std::memory_order_release);
    return any;
}

void step(int64_t now) {
    switch (round.stage) {
    case Stage::kNotNow:
        round.stage = Stage::kBegin;
        round.more = false;
        round.spent = 0;
        round.n = 0;
        round.at = {};
        [[fallthrough]];
    case Stage::kBegin:
        round.began = now & ~int64_t{1};
        sched.coarse_now.store(round.began, std::memory_order_relaxed);
        if (all_have_been_outside()) round.stage = Stage::kWaiters;
        else round.due = now + kAgain;
        return;
    case Stage::kWaiters:
        if (round.n == 0 && !for_some_gs(&round.at, kGsAtOnce, consider)) {
            round.stage = Stage::kFree;
            return;
        }
        measure_batch();
        trim_batch();
        return;
    case Stage::kFree:
        if (collect_kept_stacks()) round.more = true;
        if (stack_give_back()) round.more = true;
        round.stage = Stage::kNotNow;
        return;
    }
}

}  // namespace

void trim_begin() {
    round.stage = Stage::kNotNow;
    round.due = rt::now() + every.load(std::memory_order_relaxed);
}

TrimCounts trim_counts() {
    constexpr auto kRelaxed = std::memory_order_relaxed;
    return {given_bytes.load(kRelaxed), given_stacks.load(kRelaxed), too_late.load(kRelaxed),
            slow_ways.load(kRelaxed)};
}

void trim_set_pace(int64_t every_ns, int64_t parked_ns) {
    every.store(every_ns ? every_ns : kEvery, std::memory_order_relaxed);
    long_parked.store(every_ns ? parked_ns : kLong, std::memory_order_relaxed);
}

void trim_resume() {
    if (round.due == kForever) round.due = rt::now() + every.load(std::memory_order_relaxed);
}

int64_t trim_tick(int64_t now, bool idle) {
    if (GORT_TSAN) return kForever;  // its races are meant, and TSan is not told so
    if (now < round.due) return round.due;
    const int64_t start = kernel::nanotime();
    int64_t spent;
    round.due = now;
    do {
        step(now);
        spent = kernel::nanotime() - start;
    } while (spent < kSlice && round.stage != Stage::kNotNow && round.due <= now);
    round.spent += spent;
    if (round.due > now) return round.due;
    const int64_t every_now = every.load(std::memory_order_relaxed);
    const int64_t pause = every_now < kEvery ? every_now : kShare * round.spent;
    if (round.stage != Stage::kNotNow) round.due = idle || every_now < kEvery ? now : now + kShare * spent;
    else if (idle && !round.more) round.due = kForever;
    else round.due = now + (pause > every_now ? pause : every_now);
    return round.due;
}

void* take_from_trim(G* gp) {
    SlotInfo* info = slot_info(gp->stack);
    slow_ways.fetch_add(1, std::memory_order_relaxed);
    for (int pauses = 0;; ++pauses) {
        uintptr_t hidden = info->hidden.load(std::memory_order_acquire);  // T1
        if (hidden & kTrimming) {
            if (pauses < kPatience) arch::pause();
            else kernel::sys_sched_yield();
            continue;
        }
        if (void* sp = __atomic_load_n(&gp->ctx.sp, __ATOMIC_ACQUIRE)) return sp;  // T1: it has been put back
        if (!(hidden & kHidden)) return reinterpret_cast<void*>(hidden);           // nobody will
        if (info->hidden.compare_exchange_strong(hidden, hidden & ~kMarks, std::memory_order_acq_rel))
            return reinterpret_cast<void*>(hidden & ~kMarks);
    }
}

GORT_UNCHECKED uintptr_t hidden_handle(const void* stack) {
    return slot_info(stack)->hidden.load(std::memory_order_relaxed) & ~kMarks;
}

}  // namespace gort::rt
