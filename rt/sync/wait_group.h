// PUBLIC
// rt/sync/wait_group.h - wait_group: waits until as many goroutines are done as were added.
// SPDX-License-Identifier: BSD-2-Clause
//
// As Go's sync.WaitGroup. Zero to begin with; may be used again once all waits have returned. If the counter is
// zero, add (and go) must happen before wait. It may be destroyed when every wait has returned.
//
//      gort::wait_group wg;
//      for (auto& url : urls) wg.go([&] { fetch(url); });
//      wg.wait();
//
// Context:  any goroutine and any other thread of the process (that one sleeps on a futex). Not in a signal handler.
// Memory order: done happens before the return of the wait that it ends.
// Panics:   "sync: negative WaitGroup counter"; and, as far as it is noticed, "sync: WaitGroup misuse: Add called
//           concurrently with Wait", "sync: WaitGroup is reused before previous Wait has returned".
// Cost:     add and done 1 locked instruction each, none while all goroutines that use it run at the same of the
//           gomaxprocs places; wait on zero none.
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
#include "sema_fast.h"

namespace gort {

namespace detail {

// The count and the mark, which is 1 if somebody waits, change inside the gate of the owner (rt/own/gate_fast.h), or by
// compare and swap of the whole word while it is shared.
struct alignas(8) WaitGroupWord {
    uint32_t unused = 0;
    Owner owner;
    std::atomic<uint32_t> count{0};
};
static_assert(offsetof(WaitGroupWord, count) == 12);

// The count; acquire. TSan knows the order of accesses of one size only, so it is shown the whole word as well.
[[gnu::always_inline]] inline uint32_t wait_group_count(const WaitGroupWord& word) {
    const uint32_t count = word.count.load(std::memory_order_acquire);
#if defined(GORT_FENCES_UNKNOWN)
    __atomic_load_n(reinterpret_cast<const OwnerWord64*>(reinterpret_cast<const char*>(&word.count) - 4),
                    __ATOMIC_ACQUIRE);
#endif
    return count;
}

void wait_group_add(WaitGroupWord* word, int32_t n);
void wait_group_slow(WaitGroupWord* word, int32_t count,
                     int32_t delta);  // if it is negative, or somebody waits
void wait_group_wait(WaitGroupWord* word);

// Inside the gate of its owner. The count after it, and does somebody wait? When it is zero the group may be gone.
[[gnu::always_inline]] inline int32_t wait_group_add_mine(WaitGroupWord* word, int32_t n, bool* waits) {
    *waits = word->owner.mark.load(std::memory_order_relaxed) != 0;
    const uint32_t count = word->count.load(std::memory_order_acquire) + static_cast<uint32_t>(n);
    word->count.store(count, std::memory_order_release);
    return static_cast<int32_t>(count);
}
// Is this goroutine ending by goexit? A handler on the way that passes it on makes it count as an uncaught exception.
inline bool goroutine_exits() noexcept { return scope_unwinds(INT_MAX); }

}  // namespace detail

class wait_group {
public:
    constexpr wait_group() noexcept {
        // Most are used at once, and first where they were made.
        if (!std::is_constant_evaluated()) detail::born_here(word_.owner);
    }
    wait_group(const wait_group&) = delete;
    wait_group& operator=(const wait_group&) = delete;

    // Changes the counter by n, which may be negative. The counter is at most 2^31 - 1. Never blocks.
    void add(int32_t n) {
        if (detail::owned(word_.owner)) {
            if (detail::Gate* g = detail::owner_enter(word_.owner)) [[likely]] {
                bool waits;
                const int32_t count = detail::wait_group_add_mine(&word_, n, &waits);
                detail::gate_leave(g);
                if (count < 0 || waits) [[unlikely]]
                    detail::wait_group_slow(&word_, count, n);
                return;
            }
        }
        detail::wait_group_add(&word_, n);
    }
    // Counts one down: add(-1). The call that reaches zero wakes all that wait.
    void done() { add(-1); }

    // Blocks until the counter is zero. Goroutines of go that have not begun may run on the waiter's stack meanwhile,
    // where that has as much room left as a goroutine is promised.
    void wait() {
        if (detail::wait_group_count(word_) == 0 && !detail::strays()) return;
        detail::wait_group_wait(&word_);
    }

    // Counts one up and starts a goroutine that calls f and then counts one down, also if f ends by goexit. An
    // exception that leaves f ends the process before wait could return. Never blocks.
    template <class F>
    void go(F&& f, Site site = Site::here()) {
        add(1);
        struct Undo {
            wait_group* group;
            ~Undo() {
                if (group) group->done();
            }
        } undo{this};
        detail::spawn(site, 0, &word_, [this, f = std::decay_t<F>(std::forward<F>(f))]() mutable {
            struct Exit {  // by goexit; an exception ends the process
                wait_group* group;
                ~Exit() noexcept(false) {
                    if (group && detail::goroutine_exits()) group->done();
                }
            } exit{this};
            {
                auto last = std::move(f);  // ends before done: wait may run us on the waiter's stack
                std::move(last)();
            }
            exit.group = nullptr;
            done();
        });
        undo.group = nullptr;
    }

private:
    detail::WaitGroupWord word_;
};

}  // namespace gort
