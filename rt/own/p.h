// rt/own/p.h - P, the right to run goroutines: a run queue and caches, in plain memory behind the gate.
// SPDX-License-Identifier: BSD-2-Clause
//
// Invariants: (1) a P is running (an M's p), idle (sched.pidle), or in the hands of the one who took it.
//             (2) an idle P has empty queues; its timers are served by whoever sleeps with a deadline.
// Context:    everything up to `shared` belongs to the M that holds the P and is inside the gate, or to whoever took
//             the P through the gate (rt/own/gate.h). Fields that others may glance at are relaxed atomics: a glance is
//             a guess.
#pragma once

#include <cstddef>

#include "kernel/lock.h"
#include "kernel/rand.h"
#include "rt/own/fresh.h"
#include "rt/own/runq.h"
#include "rt/own/share.h"
#include "rt/time/timers.h"

namespace gort::rt {

inline constexpr uint32_t kMaxProcs = 1024;
// scheduling decisions between two looks at the global queue (Go's figure)
inline constexpr uint32_t kGlobalEvery = 61;
inline constexpr uint32_t kMagazine = 128;   // free Gs travel between Ps in chains of this many
inline constexpr uint32_t kStackCache = 64;  // warm stacks of the default class that a P keeps

// Reasons why a P's holder should look up at its next scheduling decision.
inline constexpr uint32_t kAskShare = 1;  // a looker wants work from here: make some public (rt/own/share.h)
inline constexpr uint32_t kAskPreempt = 2;  // the time slice is over: runnext goes to the tail of the queue
inline constexpr uint32_t kAskRelease = 4;  // give the P up: the number of Ps changes, or the runtime stops
inline constexpr uint32_t kAskPoll = 8;     // nobody has looked at the descriptors for too long
inline constexpr uint32_t kAskTimers = 16;  // a timer of some P is late: rt/sched/late.cc
inline constexpr uint32_t kAskRound = 32;   // what has waited longest is late: as if kGlobalEvery were over
inline constexpr uint32_t kAskAnswer =
    64;  // somebody waits until this P has made a decision: handshake, rt/own/gate.h
inline constexpr uint32_t kAskTakeBack =
    128;                                     // something lies in the public part that this P is to run itself
inline constexpr uint32_t kAskGather = 256;  // what runs here had better run on one P: rt/own/share.h
inline constexpr uint32_t kAskStacks = 512;  // the free stacks that it keeps go to the pool: rt/sched/trim.cc
// never answered: every decision is the simulation's, rt/base/sim_seam.h
inline constexpr uint32_t kAskSimulation = 1024;

// Does a P make its next new objects its own? An object that is its own saves four to ten locked instructions, some 40
// ns; one that is taken away costs the taker 1 to 8 us. So a P that loses more than one of kLoss makes them shared from
// the start: each loss takes kLoss from its credit, each object gives one back, and below zero they are shared.
class Reluctance {
public:
    bool overcome() {  // [the P's M]
        const int32_t credit = credit_.load(std::memory_order_relaxed);
        if (credit < kMost) credit_.store(credit + 1, std::memory_order_relaxed);
        return credit >= 0;
    }
    void lost() {  // [any thread]
        const int32_t credit = credit_.load(std::memory_order_relaxed);
        if (credit > kLeast) credit_.store(credit - kLoss, std::memory_order_relaxed);
    }
    bool high() const { return credit_.load(std::memory_order_relaxed) < 0; }
    void forget() { credit_.store(kMost, std::memory_order_relaxed); }  // for tests

    static constexpr int32_t kLoss = 128, kMost = 2 * kLoss - 1, kLeast = -4 * kLoss;

private:
    std::atomic<int32_t> credit_{kMost};
};

struct alignas(64) P {
    // --- the holder's
    // The first line has all that lookers glance at, because the holder has to fetch each such line back.
    std::atomic<G*> runnext{nullptr};               // readied last: runs next and inherits the time slice
    std::atomic<uint32_t> look_when{kGlobalEvery};  // see until_look
    std::atomic<uint32_t> look_span{kGlobalEvery};
    std::atomic<uint64_t> picked{0};   // up to the last set_until_look; see picks
    std::atomic<uint64_t> created{0};  // goroutines; num_goroutine is the sum of the differences
    RunQueue runq;                     // those that have run before
    FreshQueue fresh;                  // those that have not; the line ends after its counts
    G* gfree = nullptr;                // magazine in use, linked through next
    uint32_t gfree_count = 0;
    uint32_t stacks = 0;              // how many of stack_cache are filled
    uint32_t small_stacks = 0;        // the first so many of them are no larger than asked for
    std::atomic<uint32_t> rounds{0};  // how often look_when began anew
    std::atomic<uint64_t> finished{0};
    uint32_t stack_batch = 1;  // how many the last refill asked for
    uint32_t g_batch = 4;      // the same
    G* gfree_full = nullptr;   // a whole magazine, or null
    uint64_t id_next = 0;      // goroutine ids handed out in blocks
    uint64_t id_end = 0;
    kernel::Rand rand;
    std::atomic<uint64_t> parks{0};
    std::atomic<uint64_t> steals{0};
    std::atomic<bool> blocking{false};  // curg is inside gort::blocking: retake after 20 us
    Loot loot;                          // what this P took from another one last, until that has been judged
    int64_t measured = 0;               // when the grain was measured last, and what picks() was
    uint64_t measured_picks = 0;
    bool sent_to_look = false;  // its M was woken for work that waits at some P, and has not looked yet
    uint32_t vain_looks = 0;    // in a row
    uint32_t g0_parks = 0;      // rt/sched/delays.h
    bool sample_due = false;    // the next park is to be a sample
    bool global_went = false;   // by the clock, before the queue here, whose head was at global_head then
    uint32_t global_head = 0;
    int64_t look_for = 50'000;  // ns that its M looks before it sleeps: rt/sched/look.cc
    void* stack_cache[kStackCache];
    G* runq_first[RunQueue::kFirst];  // as long as that is enough
    FreshQueue::Group fresh_first[FreshQueue::kFirst];
    void* chan_free = nullptr;  // chan/store.cc: channel headers
    uint32_t chan_free_count = 0;
    Reluctance chan_reluctance;            // chan/lock.h
    Reluctance sync_reluctance;            // rt/own/owner.h
    std::atomic<uint64_t> steal_tries{0};  // other Ps it wanted to take from, with luck or without
    std::atomic<uint64_t> looks{0};        // rounds of looking for work at other Ps

    // --- shared: in one line what lookers write and the holder reads at spawns and decisions
    alignas(64) std::atomic<uint32_t> attention{0};
    // who holds it; null while idle or in somebody's hands. Changes under that M's gate_lock
    std::atomic<M*> m{nullptr};
    // What spawn and ready look at: kHungry, kWakeOne
    std::atomic<uint32_t> wanted{0};
    uint32_t index = 0;  // in sched.allp
    PublicQueue open_to_all;
    P* next_idle = nullptr;  // sched.lock
    bool retired = false;    // sched.lock: gomaxprocs shrank
    // handshake: the last number that was drawn, and the last that has been answered
    std::atomic<uint32_t> answers_wanted{0}, answered{0};
    alignas(64) Sharing sharing;
    std::atomic<int64_t> idle{0};        // ns in which it had no work, up to the last time that it found some
    std::atomic<int64_t> idle_since{0};  // 0: it works

    // --- sysmon's own notes
    uint32_t seen_tick = 0;  // picks from the queues
    int64_t tick_since = 0;
    uint64_t seen_turn = 0;
    int64_t turn_since = 0;
    uint64_t seen_picks = 0;
    uint64_t seen_created = 0;
    int64_t seen_when = 0;    // when the two were noted
    bool seen_queue = false;  // something waited at the last look
    bool blocking_seen = false;
    int64_t round_when = 0;  // rt/sched/late.cc: a look, and what was queued then
    uint32_t round_tail = 0;
    uint32_t round_group = 0;
    bool round_public = false;

    Timers timers;  // own lock

    // Scheduling decisions until the next look around; due when not positive. Counted by the queue's head, which every
    // pick from the queue moves anyway, so that only the others have to write something: look_when, one nearer.
    int32_t until_look() const {
        return static_cast<int32_t>(look_when.load(std::memory_order_relaxed) - runq.head());
    }
    void set_until_look(uint32_t n) {
        picked.store(picks(), std::memory_order_relaxed);
        look_span.store(n, std::memory_order_relaxed);
        look_when.store(runq.head() + n, std::memory_order_relaxed);
    }
    // How many decisions there have been. Nobody counts them: it follows from what until_look moves anyway.
    uint64_t picks() const {
        const uint32_t since =
            look_span.load(std::memory_order_relaxed) - static_cast<uint32_t>(until_look());
        return picked.load(std::memory_order_relaxed) + since;
    }
    void begin_idle(int64_t now) {
        if (!idle_since.load(std::memory_order_relaxed)) idle_since.store(now, std::memory_order_relaxed);
    }
    void end_idle(int64_t now) {
        const int64_t since = idle_since.load(std::memory_order_relaxed);
        if (!since) return;
        idle.store(idle.load(std::memory_order_relaxed) + now - since, std::memory_order_relaxed);
        idle_since.store(0, std::memory_order_relaxed);
    }
    int64_t idle_until(int64_t now) const {
        const int64_t since = idle_since.load(std::memory_order_relaxed);
        return idle.load(std::memory_order_relaxed) + (since && now > since ? now - since : 0);
    }
    // Off the queue, but not to run it now.
    G* remove_oldest() {
        G* gp = runq.pop();
        if (gp) look_when.store(look_when.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        return gp;
    }
    G* take_runnext() {
        G* gp = runnext.load(std::memory_order_relaxed);
        if (!gp) return nullptr;
        runnext.store(nullptr, std::memory_order_relaxed);
        count_pick();
        return gp;
    }
    G* take_fresh() {
        if (fresh.empty()) return nullptr;
        count_pick();
        return fresh.pop();
    }
    void count_pick() {
        look_when.store(look_when.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
    }
    // Changes with every pick: tells one goroutine's turn from the next.
    uint64_t turn() const {
        return picked.load(std::memory_order_relaxed) << 32 | static_cast<uint32_t>(until_look());
    }
    uint32_t queued() const {
        return runq.size() + fresh.size() + (runnext.load(std::memory_order_relaxed) != nullptr);
    }
    bool has_work() const { return !runq.empty() || !fresh.empty(); }
    bool has_waiting() const { return has_work() || !open_to_all.empty(); }

    // gp, which somebody else displaces from runnext, waits for its turn.
    void put_aside(G* gp) {
        if (gp->stack) runq.push(gp);
        else fresh.push(gp, turn());
    }
    [[gnu::always_inline]] void put_next(G* gp) {
        if (G* old = runnext.load(std::memory_order_relaxed)) put_aside(old);
        runnext.store(gp, std::memory_order_relaxed);
    }
};

#if !defined(GORT_DEBUG)
static_assert(offsetof(P, fresh) == 56);
#endif

}  // namespace gort::rt
