// rt/p.h - P, the right to run goroutines: a run queue and caches, in plain memory behind the gate.
// SPDX-License-Identifier: BSD-2-Clause
//
// Invariants: (1) a P is running (an M's p), idle (sched.pidle), or in the hands of the one who took it.
//             (2) an idle P has empty queues; its timers are served by whoever sleeps with a deadline.
// Context:    everything up to `shared` belongs to the M that holds the P and is inside the gate, or to whoever took
//             the P through the gate (rt/gate.h). Fields that others may glance at are relaxed atomics: a glance is
//             a guess.
#pragma once

#include "kernel/lock.h"
#include "kernel/rand.h"
#include "rt/fresh.h"
#include "rt/runq.h"
#include "rt/timers.h"

namespace gort::rt {

inline constexpr uint32_t kMaxProcs = 1024;
// scheduling decisions between two looks at the global queue (Go's figure)
inline constexpr uint32_t kGlobalEvery = 61;
// So many decisions between two looks of sysmon's, or during a spin, 20 to 25 us: goroutines that run for no longer
// than a wake of another thread takes. What waits behind those waits longer before it is given away.
inline constexpr uint64_t kLively = 8;
inline constexpr int64_t kLongRun = 1'000'000'000;
// A batch of events that will be done sooner is not shared: two wakes, and what it costs to share caches.
inline constexpr int64_t kBriefBatch = 250'000;
// So many between two looks: what is run here is done sooner than a thief has its cache lines. For a while such a P's
// queue is left alone also where nothing moves: while somebody spawns the next batch of the kind.
inline constexpr uint64_t kTiny = 128;
inline constexpr uint32_t kMagazine = 128;   // free Gs travel between Ps in chains of this many
inline constexpr uint32_t kStackCache = 64;  // warm stacks of the default class that a P keeps

// Reasons why a P's holder should look up at its next scheduling decision.
// a thief met us inside the runtime: put half the queue where it can be had
inline constexpr uint32_t kAskSteal = 1;
inline constexpr uint32_t kAskPreempt = 2;  // the time slice is over: runnext goes to the tail of the queue
inline constexpr uint32_t kAskRelease = 4;  // give the P up: the number of Ps changes, or the runtime stops
inline constexpr uint32_t kAskPoll = 8;     // nobody has looked at the descriptors for too long
inline constexpr uint32_t kAskTimers = 16;  // a timer of some P is late: rt/late.cc
inline constexpr uint32_t kAskRound = 32;   // what has waited longest is late: as if kGlobalEvery were over

// Does a P make its next new objects its own? Each one that is taken away from it doubles the number of those that are
// shared from the start, each that it keeps makes it smaller. The first loss costs nothing: it may be an accident.
class Reluctance {
public:
    bool overcome() {  // [the P's M]
        const uint32_t n = shared_.load(std::memory_order_relaxed);
        if (n) shared_.store(n - 1, std::memory_order_relaxed);
        return n == 0;
    }
    void kept() {  // [the P's M]
        if (const uint32_t n = penalty_.load(std::memory_order_relaxed))
            penalty_.store(n - 1, std::memory_order_relaxed);
    }
    void lost() {  // [any thread]
        const uint32_t n = penalty_.load(std::memory_order_relaxed);
        shared_.store(n, std::memory_order_relaxed);
        if (n < kMost) penalty_.store(n ? n * 2 : 1, std::memory_order_relaxed);
    }
    void forget() {  // for tests
        shared_.store(0, std::memory_order_relaxed);
        penalty_.store(0, std::memory_order_relaxed);
    }

private:
    static constexpr uint32_t kMost = 4096;
    std::atomic<uint32_t> shared_{0};  // so many more
    std::atomic<uint32_t> penalty_{0};
};

struct alignas(64) P {
    // --- the holder's
    std::atomic<G*> runnext{nullptr};               // readied last: runs next and inherits the time slice
    std::atomic<uint32_t> look_when{kGlobalEvery};  // see until_look
    // how often that began anew; with look_when: has runnext been picked since?
    std::atomic<uint32_t> rounds{0};
    RunQueue runq;       // those that have run before
    FreshQueue fresh;    // those that have not
    G* gfree = nullptr;  // magazine in use, linked through next
    uint32_t gfree_count = 0;
    uint32_t stacks = 0;       // how many of stack_cache are filled
    uint32_t stack_batch = 1;  // how many the last refill asked for
    uint32_t g_batch = 4;      // the same
    G* gfree_full = nullptr;   // a whole magazine, or null
    uint64_t id_next = 0;      // goroutine ids handed out in blocks
    uint64_t id_end = 0;
    kernel::Rand rand;
    std::atomic<uint64_t> created{0};  // goroutines; num_goroutine is the sum of the differences
    std::atomic<uint64_t> finished{0};
    std::atomic<uint64_t> picked{0};  // up to the last set_until_look; see picks
    std::atomic<uint32_t> look_span{kGlobalEvery};
    std::atomic<uint64_t> parks{0};
    std::atomic<uint64_t> steals{0};
    std::atomic<bool> blocking{false};  // curg is inside gort::blocking: retake after 20 us
    // The goroutines that descriptors' events have readied: since when and since which pick they run, 0: they have; and
    // how long each ran the last time. Not kept at P=1.
    std::atomic<int64_t> batch_start{0}, batch_each{kLongRun};
    uint64_t batch_picks = 0;
    void* stack_cache[kStackCache];
    G* runq_first[RunQueue::kFirst];  // as long as that is enough
    FreshQueue::Group fresh_first[FreshQueue::kFirst];
    void* chan_free = nullptr;  // chan/store.cc: channel headers
    uint32_t chan_free_count = 0;
    Reluctance chan_reluctance;            // chan/lock.h
    Reluctance sync_reluctance;            // rt/bias.h
    std::atomic<uint64_t> steal_tries{0};  // other Ps it wanted to take from, with luck or without
    std::atomic<uint64_t> looks{0};        // rounds of looking for work at other Ps

    // --- shared
    alignas(64) std::atomic<uint32_t> attention{0};
    // who holds it; null while idle or in somebody's hands. Changes under that M's gate_lock
    std::atomic<M*> m{nullptr};
    uint32_t index = 0;                  // in sched.allp
    std::atomic<int64_t> tiny_until{0};  // sysmon's, see kTiny
    // turn() when its M poked sysmon: what waited then has been seen once
    std::atomic<uint64_t> poked_turn{UINT64_MAX};
    P* next_idle = nullptr;  // sched.lock
    bool retired = false;    // sched.lock: gomaxprocs shrank

    // --- sysmon's own notes
    uint32_t seen_tick = 0;
    uint64_t seen_turn = 0;
    int64_t seen_when = 0;
    uint32_t seen_head = 0;
    uint32_t seen_tail = 0;
    uint32_t seen_pushed = 0;
    uint64_t seen_picks = 0;
    int64_t old_when = 0;  // and of a look longer ago
    uint32_t old_tail = 0;
    uint32_t old_pushed = 0;
    G* seen_runnext = nullptr;
    bool blocking_seen = false;
    int64_t round_when = 0;  // rt/late.cc: a look, and what was queued then
    uint32_t round_tail = 0;
    uint32_t round_pushed = 0;

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
        return uint64_t{rounds.load(std::memory_order_relaxed)} << 32 | static_cast<uint32_t>(until_look());
    }
    uint32_t queued() const {
        return runq.size() + fresh.size() + (runnext.load(std::memory_order_relaxed) != nullptr);
    }
    // Is anything queued that was when runq.tail() and fresh.pushed() were these?
    bool waits_since(uint32_t tail, uint32_t pushed) const {
        return static_cast<int32_t>(runq.head() - tail) < 0 || fresh.waits_since(pushed);
    }
    bool in_brief_batch(int64_t now) const {
        return now - batch_start.load(std::memory_order_relaxed) < kBriefBatch &&
               queued() * batch_each.load(std::memory_order_relaxed) < kBriefBatch;
    }
    bool has_work() const { return !runq.empty() || !fresh.empty(); }

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

}  // namespace gort::rt
