// tests/explore/timers.cc - a timer's stop, reset and move against its run (rt/time/timers.h), and contexts: cancel
// against those who ask, derive and drop.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/time/timers.h"

#include "arch/arch.h"
#include "chan/chan.h"
#include "ctx/context.h"
#include "tests/explore/ms.h"

using namespace gort;
using namespace gort::explore;

namespace {

// --- timers: no M is needed, their heap has a lock

constexpr Bounds kTwo{3, 2, 0, 1, 5'000, 3000};

rt::Timers heap, other;
rt::Timer timer;
int fired;  // plain: who comes later knows of it
bool was_pending, early;

void fire(rt::Timer* t, int64_t, uint64_t) {
    t->arg = nullptr;  // it is the function's, from now on
    ++fired;
}
void start_timer(rt::Timers* in) {
    name(&heap, sizeof heap, "heap");
    name(&other, sizeof other, "other");
    name(&timer, sizeof timer, "timer");
    timer.when = 10;
    timer.fn = fire;
    rt::timer_start(in, &timer);
}
void run_heap() { rt::timers_run(&heap, 100); }

EXPLORE(heap_stop_and_run, kTwo) {
    start_timer(&heap);
    run_ms(run_heap, [] {
        was_pending = rt::timer_stop(&timer);
        if (was_pending) timer.arg = &timer;  // nobody touches it any more
    });
    check(fired + was_pending == 1, "neither stopped nor fired, or both");
}
EXPLORE(heap_stop_and_two_run, 2, 2, 0, 1, 5'000, 3000) {
    start_timer(&heap);
    run_ms(run_heap, run_heap, [] {
        was_pending = rt::timer_stop(&timer);
        if (was_pending) timer.arg = &timer;
    });
    check(fired + was_pending == 1, "neither stopped nor fired, or both");
}
// Who finds it idle may change it: all that the run has read of it was before. (fn may be still to come, so this one
// does not touch it.)
EXPLORE(heap_stop_and_change, kTwo) {
    start_timer(&heap);
    timer.fn = [](rt::Timer*, int64_t, uint64_t) { ++fired; };
    run_ms(run_heap, [] {
        was_pending = rt::timer_stop(&timer);
        timer.when = 30;
        timer.fn = fire;
    });
    check(fired + was_pending == 1, "neither stopped nor fired, or both");
}
EXPLORE(heap_reset_and_run, kTwo) {
    start_timer(&heap);
    run_ms(run_heap, [] { was_pending = rt::timer_reset(&other, &timer, 50, 0); });
    run_heap();
    rt::timers_run(&other, 100);
    check(fired == (was_pending ? 1 : 2), "not as often as it was set");
}
EXPLORE(heap_two_resets, kTwo) {
    timer.fn = fire;
    static bool pending[2];
    run_ms([] { pending[0] = rt::timer_reset(&heap, &timer, 20, 0); },
           [] { pending[1] = rt::timer_reset(&other, &timer, 30, 0); });
    check(pending[0] + pending[1] == 1, "one of them was the first");
    run_heap();
    rt::timers_run(&other, 100);
    check(fired == 1, "not once");
}
EXPLORE(heap_stop_and_reset, kTwo) {
    start_timer(&heap);
    static bool pending[2];
    run_ms([] { pending[0] = rt::timer_stop(&timer); },
           [] { pending[1] = rt::timer_reset(&other, &timer, 30, 0); });
    check(pending[0] || pending[1], "it was pending");
    run_heap();
    rt::timers_run(&other, 100);
    check(fired == 1 - (pending[0] && pending[1]), "not as often as it was set");
}
EXPLORE(heap_stop_and_move, kTwo) {
    start_timer(&heap);
    run_ms([] { early = rt::timers_move(&heap, &other); },
           [] {
               was_pending = rt::timer_stop(&timer);
               timer.arg = &timer;
           });
    check(was_pending, "it was pending, here or there");
    rt::timers_run(&other, 100);
    check(fired == 0, "stopped, and fired");
}
EXPLORE(heap_run_and_move, kTwo) {
    start_timer(&heap);
    run_ms([] { rt::timers_move(&heap, &other), rt::timers_run(&other, 100); }, run_heap);
    check(fired == 1, "not once");
}
EXPLORE(heap_stop_and_abandon, kTwo) {
    start_timer(&heap);
    run_ms([] { rt::timers_abandon(&heap); },
           [] {
               if (!rt::timer_stop(&timer)) timer.arg = &timer;
           });
    check(heap.count.load(std::memory_order_relaxed) == 0, "one is left");
}
// Who is told that it was pending no more knows what its function did before.
EXPLORE(heap_start_again, kTwo) {
    static std::atomic<bool> over;
    timer.fn = [](rt::Timer* t, int64_t, uint64_t) {
        t->arg = nullptr;
        ++fired;
        over.store(true, std::memory_order_release);
    };
    timer.when = 10;
    rt::timer_start(&heap, &timer);
    run_ms(run_heap, [] {
        while (!over.load(std::memory_order_acquire)) arch::pause();
        timer.when = 20;
        rt::timer_start(&other, &timer);
    });
    rt::timers_run(&other, 100);
    check(fired == 2, "not twice");
}

// --- contexts

constexpr Bounds kTree{2, 2, 0, 1, 4'000, 3000};

ctx::context* parent;
ctx::context* child;
ctx::cancel_func* cancel;
ctx::cancel_func* cancel_child;

void with_contexts() {
    prepare(3, 2);
    be_with(0, 0);
    be_with(1, 1);
    be(0);
    auto [p, pc] = ctx::with_cancel(ctx::background());
    auto [k, kc] = ctx::with_cancel(p);
    parent = new ctx::context(p);
    cancel = new ctx::cancel_func(pc);
    child = new ctx::context(k);
    cancel_child = new ctx::cancel_func(kc);
}

EXPLORE(tree_cancel_and_drop, kTree) {
    with_contexts();
    run_ms([] { be(0), (*cancel)(); }, [] { be(1), *cancel_child = {}, *child = {}; });
    check(static_cast<bool>(parent->err()), "it is not cancelled");
}
EXPLORE(tree_cancel_and_drop_both, kTree) {
    with_contexts();
    run_ms([] { be(0), (*cancel)(), *cancel = {}, *parent = {}; },
           [] { be(1), (*cancel_child)(), *cancel_child = {}, *child = {}; });
}
EXPLORE(tree_err_tells, kTree) {
    with_contexts();
    run_ms([] { be(0), object = 1, (*cancel)(); },
           [] {
               be(1);
               if (child->err()) ++object;
           });
}
EXPLORE(tree_done_and_cancel, kTree) {
    with_contexts();
    run_ms([] { be(0), object = 1, (*cancel)(); },
           [] {
               be(1);
               unit got;
               auto done = child->done();
               if (done.try_recv(got) != recv_result::closed) return;
               ++object;
               check(static_cast<bool>(child->err()), "done, and there is no error");
           });
    unit got;
    check(child->done().try_recv(got) == recv_result::closed, "it is not closed");
}
EXPLORE(tree_two_dones, kTree) {
    with_contexts();
    static recv_chan<unit> dones[2];
    run_ms([] { be(0), dones[0] = parent->done(); }, [] { be(1), dones[1] = parent->done(); });
    check(dones[0] == dones[1], "two channels");
}
EXPLORE(tree_derive_and_cancel, kTree) {
    with_contexts();
    static ctx::context* third;
    run_ms([] { be(0), (*cancel)(); },
           [] {
               be(1);
               auto [t, tc] = ctx::with_cancel(*child);
               third = new ctx::context(t);
           });
    check(static_cast<bool>(third->err()), "it is not cancelled");
}
EXPLORE(tree_last_handles, kTree) {
    with_contexts();
    static ctx::context* again;
    again = new ctx::context(*child);
    *cancel_child = {};
    run_ms([] { be(0), static_cast<void>(again->err()), *again = {}; }, [] { be(1), *child = {}; });
}
// A timer brings sysmon's thread, which never ends.
void end_of_two() {
    static std::atomic<int> left{2};
    if (left.fetch_sub(1, std::memory_order_relaxed) == 1) finish();
}
void run_timers_of_p0() {
    be(1);
    rt::M* mp = rt::enter();
    rt::timers_run(&ps[0]->timers, INT64_MAX - 1);
    rt::leave(mp);
    end_of_two();
}
EXPLORE(tree_deadline_and_drop, kTree) {
    with_contexts();
    static ctx::context* timed;
    static ctx::cancel_func* cancel_timed;
    auto [t, tc] = ctx::with_timeout(*parent, std::chrono::microseconds(1));
    timed = new ctx::context(t);
    cancel_timed = new ctx::cancel_func(tc);
    run_ms([] { be(0), *cancel_timed = {}, *timed = {}, end_of_two(); }, run_timers_of_p0);
}
EXPLORE(tree_deadline_and_cancel, kTree) {
    with_contexts();
    static ctx::context* timed;
    static ctx::cancel_func* cancel_timed;
    auto [t, tc] = ctx::with_timeout(*parent, std::chrono::microseconds(1));
    timed = new ctx::context(t);
    cancel_timed = new ctx::cancel_func(tc);
    run_ms([] { be(0), (*cancel_timed)(), *cancel_timed = {}, *timed = {}, end_of_two(); }, run_timers_of_p0);
}

}  // namespace
