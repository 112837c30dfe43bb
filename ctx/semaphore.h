// PUBLIC
// ctx/semaphore.h - semaphore: n units, which goroutines take some at a time, in the order in which they came.
// SPDX-License-Identifier: BSD-2-Clause
//
// As Go's weighted semaphore. First come first served: a goroutine that wants many units is not overtaken by others
// that want few. One that wants more units than there are waits for the end of its context, and does not hold up
// the others.
//
//      gort::semaphore slots(4);
//      slots.acquire();
//      gort::defer d{[&] { slots.release(); }};
//
// Context:  any goroutine and any other thread of the process; acquire blocks. Not in a signal handler.
// Memory order: release happens before the return of the acquire that takes its units.
// Panics:   "semaphore: released more than held"; a negative number of units.
// Source:   golang.org/x/sync/semaphore.
#pragma once

#include "../rt/config.h"

#include <cstdint>
#include <mutex>
#include <system_error>

#include "../chan/select.h"
#include "../rt/panic.h"
#include "../rt/sync/mutex.h"
#include "context.h"

namespace gort {

class semaphore {
public:
    // With n units, all of them free.
    explicit semaphore(int64_t n) noexcept : size_(n) {}
    semaphore(const semaphore&) = delete;
    semaphore& operator=(const semaphore&) = delete;

    // Blocks until it has n units, or until the context ends: then it has none and says why the context ended. With a
    // context that has ended already it takes none.
    std::error_code acquire(const ctx::context& c, int64_t n = 1) {
        check(n);
        if (c.err()) return c.err();
        mu_.lock();
        if (fits(n) && !first_) {
            held_ += n;
            mu_.unlock();
            return {};
        }
        if (n > size_) {
            mu_.unlock();
            select(on_recv(c.done()));
            return c.err();
        }
        Waiter w{n};
        push(&w);
        mu_.unlock();
        if (select(on_recv(c.done()), on_recv(w.ready)) == 1 && !c.err()) return {};
        const std::lock_guard guard(mu_);
        if (w.served) held_ -= n;  // as if it had not been
        else remove(&w);
        serve();
        return c.err();
    }
    // Blocks until it has n units.
    void acquire(int64_t n = 1) { acquire(ctx::background(), n); }

    // Takes n units if they are free and no other goroutine waits, and says whether it did. Never blocks.
    bool try_acquire(int64_t n = 1) {
        check(n);
        const std::lock_guard guard(mu_);
        if (!fits(n) || first_) return false;
        held_ += n;
        return true;
    }

    // Gives n units back and wakes the waiters that can have theirs. Never blocks.
    void release(int64_t n = 1) {
        check(n);
        const std::lock_guard guard(mu_);
        if (n > held_) panic("semaphore: released more than held");
        held_ -= n;
        serve();
    }

private:
    struct Waiter {
        int64_t n;
        Waiter* next = nullptr;
        Waiter* prev = nullptr;
        bool served = false;
        chan<unit> ready = make_chan<unit>(1);
    };

    static void check(int64_t n) {
        if (n < 0) panic("semaphore: negative number of units");
    }
    bool fits(int64_t n) const { return n <= size_ - held_; }
    void push(Waiter* w) {
        w->prev = last_;
        (last_ ? last_->next : first_) = w;
        last_ = w;
    }
    void remove(Waiter* w) {
        (w->prev ? w->prev->next : first_) = w->next;
        (w->next ? w->next->prev : last_) = w->prev;
    }
    void serve() {
        while (first_ && fits(first_->n)) {
            Waiter* w = first_;
            remove(w);
            held_ += w->n;
            w->served = true;
            const chan<unit> ready = w->ready;  // w may go as soon as it knows
            ready.send(unit{});
        }
    }

    mutex mu_;
    const int64_t size_;
    int64_t held_ = 0;  // the rest under mu_
    Waiter* first_ = nullptr;
    Waiter* last_ = nullptr;
};

}  // namespace gort
