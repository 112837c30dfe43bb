// PUBLIC
// rt/sync/barrier.h - barrier: a fixed number of goroutines meet, again and again.
// SPDX-License-Identifier: BSD-2-Clause
//
// As std::barrier; it parks the goroutine that waits, never its thread.
//
//      gort::barrier step(4, [&]() noexcept { std::swap(now, next); });
//      for (int i = 0; i < 4; ++i)
//          workers.go([&, i] { for (int k = 0; k < 100; ++k) { compute(i); step.arrive_and_wait(); } });
//
// A phase ends when as many have arrived as the barrier expects. The last one calls the completion function, before any
// wait returns; then the next phase begins. A goroutine that drops out arrives for this phase and is not expected
// in the following ones. The completion function may do what it likes, but not leave by an exception or by goexit
// (that ends the process); it is called even if nobody waits. A token is waited for once, in its own phase or while
// the next one lasts. The barrier may be destroyed when all its waits have returned.
//
// Context:  any goroutine and any other thread of the process (that one sleeps on a futex, and panics if it would have
//           to wait after gort::stop). Not in a signal handler.
// Memory order: every arrival happens before the completion function, that before the return of every wait of the
// phase.
// Panics:   "sync: negative barrier counter", for more arrivals than are expected.
// Cost:     an arrival 1 locked instruction.
// Source:   std::barrier.
#pragma once

#include "../config.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "word_wait.h"

namespace gort {

namespace detail {
struct NoCompletion {
    void operator()() const noexcept {}
};
}  // namespace detail

template <class CompletionFunction = detail::NoCompletion>
class barrier {
public:
    // The phase in which its arrival counts.
    class arrival_token {
    public:
        arrival_token(arrival_token&&) noexcept = default;
        arrival_token& operator=(arrival_token&&) noexcept = default;
        ~arrival_token() = default;

    private:
        friend class barrier;
        explicit arrival_token(uint32_t phase) : phase_(phase) {}
        uint32_t phase_;
    };

    static constexpr ptrdiff_t max() noexcept { return PTRDIFF_MAX; }

    explicit constexpr barrier(ptrdiff_t expected, CompletionFunction f = CompletionFunction())
        : expected_(expected), left_(expected), completion_(std::move(f)) {
        if (expected < 0) detail::word_misuse("sync: negative barrier counter");
    }
    barrier(const barrier&) = delete;
    barrier& operator=(const barrier&) = delete;

    // Arrives n times, 1 or more, and does not wait. The result is for wait.
    [[nodiscard]] arrival_token arrive(ptrdiff_t n = 1) {
        // It cannot pass: this phase waits for us.
        const uint32_t phase = phase_.load(std::memory_order_relaxed);
        const ptrdiff_t before = n < 1 ? 0 : left_.fetch_sub(n, std::memory_order_acq_rel);
        if (n < 1 || before < n) detail::word_misuse("sync: negative barrier counter");
        if (before == n) complete(phase);
        return arrival_token(phase);
    }
    // Blocks until the phase is over in which that arrival counted.
    void wait(arrival_token&& token) const {
        if (phase_.load(std::memory_order_acquire) == token.phase_)
            detail::word_wait(&phase_, token.phase_, detail::WordOf::kBarrier);
    }
    // Arrives once and blocks until the phase is over.
    void arrive_and_wait() { wait(arrive()); }
    // Arrives once and lowers the number that later phases expect by one. Does not block.
    void arrive_and_drop() {
        expected_.fetch_sub(1, std::memory_order_relaxed);
        static_cast<void>(arrive());
    }

private:
    void complete(uint32_t phase) noexcept {
        completion_();
        left_.store(expected_.load(std::memory_order_relaxed), std::memory_order_relaxed);
        phase_.store(phase + 1, std::memory_order_release);
        detail::word_wake_all(&phase_);  // by its address alone
    }

    std::atomic<ptrdiff_t> expected_;  // of the next phase
    std::atomic<ptrdiff_t> left_;      // how many have not arrived
    std::atomic<uint32_t> phase_{0};
    [[no_unique_address]] CompletionFunction completion_;
};

}  // namespace gort
