// PUBLIC
// rt/sync/latch.h - latch: opens once a number of things have happened, and stays open.
// SPDX-License-Identifier: BSD-2-Clause
//
// As std::latch; it parks the goroutine that waits, never its thread.
//
//      gort::latch ready(3);
//      for (int i = 0; i < 3; ++i) gort::go([&] { prepare(); ready.count_down(); });
//      ready.wait();
//
// A wait_group does the same and more (it can grow, and be used again); a latch is fixed from the start. It may be
// destroyed as soon as a wait has returned, while the count_down that opened it is still returning.
//
// Context:  any goroutine and any other thread of the process (that one sleeps on a futex, and panics if it would have
//           to wait after gort::stop). Not in a signal handler.
// Memory order: every count_down happens before the return of the waits, and before a try_wait that is true.
// Panics:   "sync: negative latch counter".
// Cost:     count_down 1 locked instruction; wait on an open one none.
// Source:   std::latch.
#pragma once

#include "../config.h"

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "sema_fast.h"
#include "word_wait.h"

namespace gort {

class latch {
public:
    // The largest count that it can begin with.
    static constexpr ptrdiff_t max() noexcept { return PTRDIFF_MAX; }

    // Opens after `expected` count_downs; 0: it is open from the start.
    explicit constexpr latch(ptrdiff_t expected) : left_(expected), open_(expected == 0) {
        if (expected < 0) detail::word_misuse("sync: negative latch counter");
    }
    latch(const latch&) = delete;
    latch& operator=(const latch&) = delete;

    // Says that n of the things have happened. The last one opens the latch and wakes all that wait. Never blocks.
    void count_down(ptrdiff_t n = 1) {
        if (n == 0) return;
        const ptrdiff_t before = n < 0 ? 0 : left_.fetch_sub(n, std::memory_order_acq_rel);
        if (n < 0 || before < n) detail::word_misuse("sync: negative latch counter");
        if (before != n) return;
        open_.store(1, std::memory_order_release);
        detail::word_wake_all(&open_);  // by its address alone
    }
    // Is it open? Never blocks.
    bool try_wait() const noexcept {
        if (detail::strays()) [[unlikely]]
            detail::check_in();  // a loop that only looks must let others go
        return is_open();
    }
    // Blocks until it is open.
    void wait() const {
        if (!is_open()) detail::word_wait(&open_, 0, detail::WordOf::kLatch);
    }
    // count_down(n) and then wait().
    void arrive_and_wait(ptrdiff_t n = 1) {
        count_down(n);
        wait();
    }

private:
    bool is_open() const noexcept { return open_.load(std::memory_order_acquire) != 0; }

    std::atomic<ptrdiff_t> left_;
    std::atomic<uint32_t> open_;
};

}  // namespace gort
