// rt/own/g.h - G, the goroutine: a task until it first runs, a suspended or running stack after that.
// SPDX-License-Identifier: BSD-2-Clause
//
// Invariants: (1) a G is in exactly one place: a free list, a run queue (runnext, local or global), an M's curg, or the
//             wait queue of what it is parked on. GStatus says which kind of place.
//             (2) stack == nullptr until the G first runs: a queued fresh G costs its 192 bytes and no stack.
//             (2b) ctx.sp is the handle of a stack that anybody's M may resume; null while fresh, while parked or
//             queued if the G is locked to an M, which keeps the handle (M::locked_sp), and while rt/sched/trim.h hides
//             it.
//             (3) the memory of a G is never unmapped while the runtime is up, so a stale pointer may be read (not
//                 used).
// Context:    fields are grouped by who may touch them; "holder" is the M that runs it, or that took it off a queue.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "arch/context.h"
#include "kernel/fatal.h"
#include "rt/site.h"

namespace gort::detail {
struct GLocal;
}

namespace gort::rt {

struct G;
struct M;
struct P;
struct Label;
struct Sudog;

// Status = which kind of container holds the G, and who owns its stack.
enum class GStatus : uint32_t {
    kFree,      // on a free list; no stack
    kRunnable,  // on a run queue, or some M's curg: a switch does not write it
    kRunning,   // never stored: what observed_status calls a kRunnable one that is a curg
    kWaiting,   // parked: referenced by what it waits on; the stack belongs to the side that readies it
    kDead,      // finished, on its way to a free list
};

// A G's status, which nothing writes but set() and begin(). In a debug build a step that is not in this table ends the
// process:
//      kFree      -> kRunnable   spawned
//      kRunnable  -> kWaiting    parks                     -> kRunnable  lost its P, queues for another one
//                 -> kFree       ended, or abandoned       -> kDead      the run ended while it was in user code
//      kWaiting   -> kRunnable   readied                   -> kFree      abandoned
//      kDead      -> kFree       came back to the runtime
// The pseudo-G of a foreign thread is never free: kRunning -> kWaiting -> kRunnable (readied) or kRunning (gave up),
// and from there kWaiting again.
class GState : std::atomic<GStatus> {
public:
    constexpr GState() : std::atomic<GStatus>(GStatus::kFree) {}
    using std::atomic<GStatus>::load;
    // Relaxed: who must see what was done before gets the G through a queue, a lock or a barrier.
    void set(GStatus to) {
        GORT_DCHECK(may_become(load(std::memory_order_relaxed), to));
        store(to, std::memory_order_relaxed);
    }
    void begin(GStatus as) { store(as, std::memory_order_relaxed); }  // of a pseudo-G that is not known yet

    static constexpr bool may_become(GStatus from, GStatus to) {
        switch (from) {
        case GStatus::kFree: return to == GStatus::kRunnable || to == GStatus::kFree;  // free: never spawned
        case GStatus::kRunnable: return to != GStatus::kRunning;
        case GStatus::kRunning: return to == GStatus::kWaiting;
        case GStatus::kWaiting: return to != GStatus::kWaiting && to != GStatus::kDead;
        case GStatus::kDead: return to == GStatus::kFree || to == GStatus::kDead;
        }
        return false;
    }
};

// Why a G waits: the words of Go's tracebacks (names in rt/own/wait_reason.cc, same order).
enum class WaitReason : uint8_t {
    kNone,
    kChanReceive,
    kChanSend,
    kChanReceiveNil,
    kChanSendNil,
    kSelect,
    kSelectNoCases,
    kSleep,
    kIoWait,
    kSemacquire,
    kCondWait,
    kMutexLock,
    kRwMutexRLock,
    kRwMutexLock,
    kLatchWait,
    kBarrierWait,
    kFutureWait,
    kWaitGroupWait,  // the last of rt/sync/sema.h's
    kPark,
    kCount,
};
const char* wait_reason_text(WaitReason why);

// a callable with its arguments up to this size lives in the G itself
inline constexpr size_t kInlineCallable = 64;

struct alignas(64) G {
    // --- first line: all that a switch touches. Holder only, but for status and select_done.
    arch::Context ctx;      // the suspended stack's handle
    void* stack = nullptr;  // slot header (rt/stack/stack.h); null: fresh, or a foreign thread's pseudo-G
    G* next = nullptr;      // link of whatever list holds the G
    GState status;
    WaitReason wait_reason = WaitReason::kNone;
    uint8_t stack_class = 0;  // rt/stack/stack.h; written at spawn
    uint16_t flags = 0;       // kG… below
    // what the waker hands over: for channels the sudog that fired
    void* wake = nullptr;
    std::atomic<uint32_t> select_done{0};  // select: 1 once a case has won (claimed by CAS)
    uint32_t seq = 0;                      // while it waits in a FreshQueue: the order of spawning
    void* param = nullptr;                 // rt/sync/sema.h: a cond's waiter that does not sleep yet
    // lock_os_thread: the only M that may run it; a pseudo-G's own M
    M* locked_m = nullptr;

    // --- second line: life of the goroutine. Written at spawn, at park for dumps.
    union {
        void (*invoke)(void* storage) = nullptr;  // calls what is in storage, and destroys it
        Label* label;                             // instead, once it runs and has one: kGLabeled
    };
    uint64_t id = 0;  // 1 is main; unique in one run
    Site site;        // created by
    union {
        // Coarse nanotime of the park, 0 unless known. Odd: its stack has been trimmed since (rt/sched/trim.h).
        int64_t wait_since = 0;
        const void*
            group;  // instead, until it runs: the wait_group that waits for it, or null (rt/sched/lend.h)
    };
    Sudog* waiting = nullptr;          // head of the sudogs it waits with: abandoning and dumps
    detail::GLocal* locals = nullptr;  // goroutine-local storage: rt/local.h

    // --- third line
    alignas(16) unsigned char storage[kInlineCallable];
};

// The handle of a stack at rest, or null. Who wants to resume it reads it once, for rt/sched/trim.h may hide it at any
// moment.
[[gnu::always_inline]] inline void* handle_of(const G* gp) {
    return __atomic_load_n(&gp->ctx.sp, __ATOMIC_RELAXED);
}

// One that is about to be spawned or to run for the first time: among many they are cold.
[[gnu::always_inline]] inline void prefetch_whole(const G* gp) {
    __builtin_prefetch(gp, 1);
    __builtin_prefetch(&gp->invoke, 1);
    __builtin_prefetch(gp->storage, 1);
}

inline constexpr uint16_t kGLocked = 1;   // locked to an M: every switch to or from it goes through g0
inline constexpr uint16_t kGForeign = 2;  // pseudo-G of a thread that is not ours: parks on a futex
inline constexpr uint16_t kGSystem = 8;   // the runtime's own: hidden from counts and dumps
inline constexpr uint16_t kGMain = 32;
inline constexpr uint16_t kGOnM0 = 64;     // the main goroutine while M0 runs it: M0 switches to no other one
inline constexpr uint16_t kGGoexit = 128;  // ends by goexit
inline constexpr uint16_t kGCanary = 16;   // its stack has no guard: check the canary when it is switched out
inline constexpr uint16_t kGLabeled = 256;   // set_label: rt/trace/label.h
inline constexpr uint16_t kGTimed = 512;     // its park is a sample: rt/sched/delays.h
inline constexpr uint16_t kGChain = 1024;    // first of a chain: rt/own/fresh.h
inline constexpr uint16_t kGHolds = 2048;    // holds a pthread lock, and GORT_CHECK=locks: rt/check/README.md
inline constexpr uint16_t kGBorrows = 4096;  // its stack is another one's: rt/sched/lend.h
inline constexpr uint16_t kGLeaveByG0 = kGLocked | kGOnM0 | kGCanary | kGHolds;

#if !GORT_ASAN && !GORT_TSAN && !GORT_VALGRIND
static_assert(sizeof(G) == 192, "a fresh goroutine is three cache lines");
static_assert(offsetof(G, invoke) == 64);
#endif

}  // namespace gort::rt
