// tests/explore/goroutines.cc - the scheduler's centre: park and ready, idle and wake, locked goroutines, the end of a
// run; and what stands on it: locks, timers, contexts.
// SPDX-License-Identifier: BSD-2-Clause
#include <chrono>

#include "chan/chan.h"
#include "chan/time.h"
#include "ctx/context.h"
#include "rt/sync/mutex.h"
#include "rt/sync/wait_group.h"
#include "tests/explore/rig.h"

using namespace gort;
using namespace gort::explore;
using namespace std::chrono_literals;

namespace {

constexpr Bounds kOne{1, 1, 0, 1, 1'500};

int counter;
void nothing() {}
template <class F>
void until(F f) {
    while (!f()) arch::pause();
}

// --- park and ready: a waiter links itself, its commit gives the lock back, the waker finds it at rest

struct Slot {
    rt::InsideLock lock{kernel::LockRank::kUnranked};
    rt::G* waiter = nullptr;
    bool set = false;

    void wait() {
        rt::M* mp = rt::enter();
        lock.lock();
        if (set) {
            lock.unlock();
            return rt::leave(mp);
        }
        waiter = mp->curg;
        const auto commit = [](void* slot, rt::G*) GORT_NO_TSA { static_cast<Slot*>(slot)->lock.unlock(); };
        rt::leave(rt::park(mp, commit, this, rt::WaitReason::kPark));
    }
    void wake() {
        rt::M* mp = rt::enter();
        lock.lock();
        set = true;
        rt::G* gp = waiter;
        lock.unlock();
        if (gp) rt::ready(mp, gp);
        rt::leave(mp);
    }
} slot;

EXPLORE(park_ready, kOne) {
    race_goroutines(nothing, [] { check(counter == 2, "something is missing"); },
                    {[] {
                         slot.wait();
                         ++counter;  // what the waker did comes first
                     },
                     [] {
                         ++counter;
                         slot.wake();
                     }});
}

// --- idle and wake

// Its maker computes on, so the one who is woken has to ask, and then to take the P through the gate.
EXPLORE(looker_takes, kOne) {
    static std::atomic<bool> ran;
    race_goroutines(nothing, nothing, {[] {
                        go([] { ran.store(true, std::memory_order_relaxed); });
                        rt::wake_looker();
                        until([] { return ran.load(std::memory_order_relaxed); });
                    }},
                    1);
}
// One goes to sleep while the other leaves work behind and wakes one who looks.
EXPLORE(looker_comes_as_one_sleeps, kOne) {
    static std::atomic<int> ran;
    race_goroutines(nothing, [] { until([] { return ran.load(std::memory_order_relaxed) == 2; }); },
                    {[] {
                         for (int i = 0; i < 2; ++i) go([] { ran.fetch_add(1, std::memory_order_relaxed); });
                         rt::wake_looker();
                         for (int i = 0; i < 3; ++i) yield();
                     },
                     nothing});
}
// A thread of the program's own sends: work that comes without a P.
EXPLORE(send_from_outside, kOne) {
    static chan<int>* c;
    static int got;
    spawn([] {
        while (!g_go.load(std::memory_order_acquire)) arch::pause();
        c->send(5);
    });
    race_goroutines([] { c = new chan<int>(make_chan<int>()); }, [] { check(got == 5, "another value"); },
                    {[] { got = c->recv(); }});
}

// A P whose goroutine blocks its thread is taken from it by sysmon, and kept; who blocked comes back without one.
EXPLORE(retake_from_who_blocks, 1, 0, 0, 1, 600) {
    static std::atomic<bool> ran;
    race_goroutines(nothing, nothing, {[] {
                        go([] { ran.store(true, std::memory_order_relaxed); });
                        blocking([] { until([] { return ran.load(std::memory_order_relaxed); }); });
                        yield();
                    }});
}
// Who waits for goroutines that have not begun runs them on its own stack; somebody else may take one of them first.
void fork_and_join() {
    wait_group wg;
    static int parts[2];
    wg.go([] { parts[0] = 1; });
    wg.go([] { parts[1] = 2; });
    wg.wait();
    check(parts[0] + parts[1] == 3, "it did not wait for both");
    parts[0] = 0;
    wg.go([] { parts[0] = 4; });
    wg.wait();
    check(parts[0] == 4, "it did not wait");
}
EXPLORE(lend_to_children, 1, 1, 0, 1, 1'500) {
    race_goroutines(nothing, nothing, {fork_and_join, [] { yield(); }});
}
EXPLORE(lend_while_others_look, 1, 1, 0, 1, 1'500) {
    race_goroutines(nothing, nothing, {[] {
                        rt::wake_looker();
                        fork_and_join();
                    }},
                    1);
}

// --- a goroutine that is locked to its M, and the main goroutine on M0

EXPLORE(locked_hand_over, kOne) {
    static chan<int>* c;
    race_goroutines([] { c = new chan<int>(make_chan<int>()); }, [] { check(counter == 5, "another value"); },
                    {[] {
                         lock_os_thread();
                         counter = c->recv();
                         unlock_os_thread();
                     },
                     [] { c->send(5); }});
}
EXPLORE(main_waits_on_m0, kOne) {
    options o;
    o.max_procs = 2;
    o.seed = 1;
    static chan<int>* c;
    run(
        [] {
            c = new chan<int>(make_chan<int>());
            go([] { c->send(5); });
            explore::start();
            check(c->recv() == 5, "another value");
            finish();
        },
        o);
}
EXPLORE(run_ends, kOne) {
    options o;
    o.max_procs = 2;
    o.seed = 1;
    run(
        [] {
            go([] { ++counter; });
            go([] { yield(); });
            explore::start();
            yield();
        },
        o);
}

// With one P, and nobody else: then locks are none. Not if a thread of the program's own comes in meanwhile.
rt::InsideLock solo_lock{kernel::LockRank::kUnranked};
EXPLORE(run_begins_as_a_thread_comes, 1, 0, 0, 0, 1'500) {
    static options o;
    static std::atomic<bool> over;
    o.max_procs = 1;
    o.seed = 1;
    run([] {}, o);  // what is done once is done
    const auto use = [] {
        rt::M* mp = rt::enter();
        solo_lock.lock();
        ++counter;
        solo_lock.unlock();
        rt::leave(mp);
    };
    spawn([use] {
        use();
        use();
        over.store(true, std::memory_order_release);
    });
    explore::start();
    run(
        [use] {
            use();
            until([] { return over.load(std::memory_order_acquire); });
            check(counter == 3, "somebody was not alone under the lock");
            finish();
        },
        o);
}

// --- locks of goroutines

EXPLORE(sync_mutex, kOne) {
    static mutex m;
    const auto use = [] {
        m.lock();
        ++counter;
        m.unlock();
    };
    race_goroutines(nothing, [] { check(counter == 2, "somebody was not alone"); }, {use, use});
}
// Biased to the P of its maker, who goes on to use it while another one takes it away.
EXPLORE(sync_mutex_biased, kOne) {
    static mutex m;
    static std::atomic<bool> mine;
    race_goroutines(nothing, [] { check(counter == 3, "somebody was not alone"); },
                    {[] {
                         for (int i = 0; i < 2; ++i) {
                             m.lock();
                             ++counter;
                             m.unlock();
                             mine.store(true, std::memory_order_relaxed);
                         }
                     },
                     [] {
                         until([] { return mine.load(std::memory_order_relaxed); });
                         m.lock();
                         ++counter;
                         m.unlock();
                     }});
}
// The unlock and the waiter miss each other only if neither's fence holds: between the store that frees it and the look
// at who waits.
EXPLORE(sync_mutex_wakes, 1, 1, 0, 1, 3'000) {
    static mutex m;
    race_goroutines(
        [] {
            rt::sched.ncpu = 1;  // no spinning
            m.lock();
        },
        [] { check(counter == 1, "it did not get the lock"); },
        {[] { m.unlock(); },
         [] {
             m.lock();
             ++counter;
             m.unlock();
         }});
}
EXPLORE(sync_wait_group, kOne) {
    static wait_group wg;
    race_goroutines([] { wg.add(2); }, [] { check(counter == 7, "it did not wait for both"); },
                    {[] {
                         counter += 3;
                         wg.done();
                         wg.wait();
                     },
                     [] {
                         static int other;
                         other = 4;
                         wg.done();
                         wg.wait();
                         counter += other;
                     }});
}

// --- timers

timer* t;
std::atomic<int> fired;
bool stopped;

EXPLORE(timer_stop_and_fire, kOne) {
    race_goroutines(
        [] { t = new timer(after_func(20us, [] { fired.fetch_add(1, std::memory_order_relaxed); })); },
        [] {
            if (!stopped) until([] { return fired.load(std::memory_order_relaxed) == 1; });
            else check(fired.load(std::memory_order_relaxed) == 0, "stopped, and fired");
        },
        {[] { stopped = t->stop(); }, [] { sleep(30us); }});
}
EXPLORE(timer_reset_and_fire, kOne) {
    race_goroutines(
        [] { t = new timer(after_func(20us, [] { fired.fetch_add(1, std::memory_order_relaxed); })); },
        [] {
            const int n = stopped ? 1 : 2;
            until([n] { return fired.load(std::memory_order_relaxed) >= n; });
            check(fired.load(std::memory_order_relaxed) == n, "fired once too often");
        },
        {[] { stopped = t->reset(10us); }, [] { sleep(40us); }});
}
EXPLORE(timer_channel_stop, kOne) {
    race_goroutines([] { t = new timer(20us); },
                    [] {
                        time_point when;
                        check(t->c().try_recv(when) == recv_result::empty, "received after it was stopped");
                    },
                    {[] { t->stop(); }, [] { sleep(30us); }});
}
EXPLORE(timer_channel_receive, kOne) {
    race_goroutines([] { t = new timer(20us); }, nothing,
                    {[] {
                         time_point when;
                         t->c().recv(when);
                     },
                     [] { sleep(30us); }});
}

// --- contexts

ctx::context* parent;
ctx::context* child;
ctx::cancel_func* cancel;
ctx::cancel_func* cancel_child;

void make_contexts() {
    auto [p, pc] = ctx::with_cancel(ctx::background());
    auto [k, kc] = ctx::with_cancel(p);
    parent = new ctx::context(p);
    cancel = new ctx::cancel_func(pc);
    child = new ctx::context(k);
    cancel_child = new ctx::cancel_func(kc);
}
EXPLORE(ctx_cancel_and_drop, kOne) {
    race_goroutines(make_contexts, [] { check(static_cast<bool>(parent->err()), "it is not cancelled"); },
                    {[] { (*cancel)(); },
                     [] {
                         *cancel_child = {};
                         *child = {};
                     }});
}
EXPLORE(ctx_cancel_wakes, kOne) {
    race_goroutines(make_contexts, [] { check(static_cast<bool>(child->err()), "it is not cancelled"); },
                    {[] { (*cancel)(); }, [] { child->done().recv(); }});
}
EXPLORE(ctx_cancel_both, kOne) {
    race_goroutines(make_contexts, [] { check(static_cast<bool>(child->err()), "it is not cancelled"); },
                    {[] { (*cancel)(); }, [] { (*cancel_child)(); }});
}

}  // namespace
