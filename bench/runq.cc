// bench/runq.cc - one scheduling decision behind the P gate, and with the queue that Go has.
// SPDX-License-Identifier: BSD-2-Clause
//
// A decision: the running goroutine to the queue's end, the first off it. Go's owner must compare and swap, because
// thieves come without asking. P threads, each with a queue of its own in cache, that nobody steals from: what the
// owner pays for the mere possibility. The gate's thief pays instead, `steal`: a membarrier, for up to half a queue.
#include <array>
#include <memory>
#include <thread>
#include <vector>

#include "bench/runtime.h"
#include "kernel/membarrier.h"
#include "rt/own/runq.h"

namespace {

using gort::rt::G;

constexpr uint32_t kQueued = 8;

// What rt/own/gate.h does on the common side, around rt/own/runq.h's plain ring.
struct alignas(64) Gate {
    std::atomic<uint32_t> in_rt{0}, shut{0};
    G* running = nullptr;
    gort::rt::RunQueue queue;
    gort::rt::G* first[gort::rt::RunQueue::kFirst];
    Gate() { queue.init(first); }
    ~Gate() { queue.destroy(); }

    void fill(G* gs) {
        running = gs;
        for (uint32_t i = 1; i <= kQueued; ++i) queue.push(gs + i);
    }
    [[gnu::noinline]] bool decide() {
        in_rt.store(1, std::memory_order_relaxed);
        gort::kernel::light_barrier();
        if (shut.load(std::memory_order_acquire)) [[unlikely]]
            return false;
        G* next = queue.rotate(running);
        if (!next) [[unlikely]]
            return false;
        running = next;
        in_rt.store(0, std::memory_order_release);
        return true;
    }
};

// A ring of 256 as in Go's runtime: the owner alone moves tail, everybody moves head by compare-and-swap.
struct alignas(64) Cas {
    std::atomic<uint32_t> head{0}, tail{0};
    G* running = nullptr;
    std::array<std::atomic<G*>, 256> ring{};

    void fill(G* gs) {
        running = gs;
        for (uint32_t i = 1; i <= kQueued; ++i) ring[i - 1].store(gs + i, std::memory_order_relaxed);
        tail.store(kQueued, std::memory_order_release);
    }
    [[gnu::noinline]] bool decide() {
        const uint32_t t = tail.load(std::memory_order_relaxed);
        if (t - head.load(std::memory_order_acquire) >= ring.size()) [[unlikely]]
            return false;
        ring[t % ring.size()].store(running, std::memory_order_relaxed);
        tail.store(t + 1, std::memory_order_release);
        for (;;) {
            uint32_t h = head.load(std::memory_order_acquire);
            if (h == t + 1) [[unlikely]]
                return false;
            G* next = ring[h % ring.size()].load(std::memory_order_relaxed);
            if (!head.compare_exchange_strong(h, h + 1, std::memory_order_release, std::memory_order_relaxed))
                continue;
            running = next;
            return true;
        }
    }
};

template <class Queue>
void decide_on_all(const bench::Run& run, uint64_t n) {
    std::atomic<bool> good{true};
    auto body = [&good, n] {
        const auto gs = std::make_unique<G[]>(kQueued + 1);
        const auto queue = std::make_unique<Queue>();
        queue->fill(gs.get());
        bool all = true;
        for (uint64_t i = 0; i < n; ++i) all &= queue->decide();
        if (!all) good = false;
    };
    std::vector<std::thread> others;
    for (unsigned p = 1; p < run.procs(); ++p) others.emplace_back(body);
    body();
    for (std::thread& t : others) t.join();
    run.check(good, "a queue lost somebody");
}

}  // namespace

WORKLOAD(runq, "a scheduling decision behind the P gate, and with a queue as Go's; per decision on each P") {
    gort::kernel::membarrier_init();
    auto all = run.interleaved({{"gate", [&run](uint64_t n) { decide_on_all<Gate>(run, n); }},
                                {"cas_ring", [&run](uint64_t n) { decide_on_all<Cas>(run, n); }},
                                {"steal", [](uint64_t n) {
                                     for (; n; --n) gort::kernel::heavy_barrier();
                                 }}});
    for (const bench::Series& s : all) run.emit(s);
    run.emit(bench::ratio("gate_over_cas", all[0], all[1]));
}
