// PUBLIC
// rt/sync/wait_group.h - wait_group: waits until as many goroutines are done as were added.
// SPDX-License-Identifier: BSD-2-Clause
//
// As Go's sync.WaitGroup. Zero to begin with; may be used again once all waits have returned. If the counter is
// zero, add (and go) must happen before wait. It may be destroyed when
// every wait has returned.
//
// Context:  any goroutine and any other thread of the process (that one sleeps on a futex). Not in a signal handler.
// Memory order: done happens before the return of the wait that it ends.
// Panics:   "sync: negative WaitGroup counter"; and, as far as it is noticed, "sync: WaitGroup misuse: Add called
//           concurrently with Wait", "sync: WaitGroup is reused before previous Wait has returned".
// Cost:     add and done 1 locked instruction each, none as long as only one P's goroutines use it; wait on zero none.
// Source:   Go's package sync, type WaitGroup.
#pragma once

#include "../config.h"

#include <atomic>
#include <climits>
#include <cstdint>
#include <exception>
#include <type_traits>
#include <utility>

#include "../go.h"
#include "../panic.h"
#include "../sema_fast.h"

namespace gort {

namespace detail {

struct WaitGroupWord {
    std::atomic<uint64_t> state{0};  // the counter in the upper half, 1 in the lower one if somebody waits
    Bias bias{kBiasNew};             // whose state changes inside the gate need no locked instruction
};
void wait_group_add(WaitGroupWord* word, int32_t n);
void wait_group_slow(WaitGroupWord* word, uint64_t after, int32_t delta);
void wait_group_wait(WaitGroupWord* word);

[[gnu::always_inline]] inline uint64_t wait_group_change(int32_t n) {
    return static_cast<uint64_t>(static_cast<int64_t>(n)) << 32;
}
// Inside the gate of the P that it is biased to.
[[gnu::always_inline]] inline uint64_t wait_group_add_mine(WaitGroupWord* word, int32_t n) {
    const uint64_t after = word->state.load(std::memory_order_acquire) + wait_group_change(n);
    word->state.store(after, std::memory_order_release);
    return after;
}
// Is this goroutine ending by goexit? A handler on the way that passes it on makes it count as an uncaught exception.
inline bool goroutine_exits() noexcept { return scope_unwinds(INT_MAX); }

}  // namespace detail

class wait_group {
public:
    constexpr wait_group() noexcept = default;
    wait_group(const wait_group&) = delete;
    wait_group& operator=(const wait_group&) = delete;

    // Changes the counter by n, which may be negative. At most 2^31 - 1 in all.
    void add(int32_t n) {
        if (detail::bias_of_some_p(word_.bias)) {
            if (detail::Gate* g = detail::bias_enter(word_.bias)) [[likely]] {
                const uint64_t after = detail::wait_group_add_mine(&word_, n);
                detail::gate_leave(g);
                if (static_cast<int64_t>(after) < 0 || (after & 1)) [[unlikely]]
                    detail::wait_group_slow(&word_, after, n);
                return;
            }
        }
        detail::wait_group_add(&word_, n);
    }
    void done() { add(-1); }

    // Blocks until the counter is zero.
    void wait() {
        if (word_.state.load(std::memory_order_acquire) >> 32 == 0) return;
        detail::wait_group_wait(&word_);
    }

    // add(1), and a goroutine that calls f and is then done; also if f ends it by goexit. An exception that leaves f
    // ends the process before wait could return.
    template <class F>
    void go(F&& f, Site site = Site::here()) {
        add(1);
        struct Undo {
            wait_group* group;
            ~Undo() {
                if (group) group->done();
            }
        } undo{this};
        gort::go(
            [this, f = std::decay_t<F>(std::forward<F>(f))]() mutable {
                struct Done {
                    wait_group* group;
                    int uncaught;
                    ~Done() noexcept(false) {
                        if (std::uncaught_exceptions() == uncaught || detail::goroutine_exits())
                            group->done();
                    }
                } guard{this, std::uncaught_exceptions()};
                std::move(f)();
            },
            site);
        undo.group = nullptr;
    }

private:
    detail::WaitGroupWord word_;
};

}  // namespace gort
