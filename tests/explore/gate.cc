// tests/explore/gate.cc - the P gate (rt/own/gate.h): enter and leave by plain stores, and everybody who asks for a P.
// SPDX-License-Identifier: BSD-2-Clause
//
// A model thread is an M of its own, without the scheduler: what an M does on g0 between two goroutines is `decide`.
#include "kernel/sys.h"
#include "rt/base/inside_lock.h"
#include "rt/base/solo.h"
#include "rt/net/netpoll.h"
#include "rt/net/poller.h"
#include "rt/own/gate.h"
#include "rt/sched/look.h"
#include "rt/sched/sched.h"
#include "tests/explore/ms.h"

using namespace gort;
using namespace gort::explore;

namespace {

void use_p() {
    rt::M* mp = rt::enter();
    touch(rt::p_of(mp));
    rt::leave(mp);
}
GORT_NO_TSA void take_once(int p, uint32_t ask, int* times) {
    rt::M* holder;
    if (rt::take(ps[p], &holder, ask) != rt::Taken::kYes) return;
    touch(ps[p]);
    ++*times;
    rt::give_back(holder);
}

// --- enter and leave against one who takes the P and gives it back

template <uint32_t kAsk>
void enter_and_take(int uses) {
    static int taken;
    static int use_times;
    taken = 0;
    use_times = uses;
    prepare(1, 1);
    be_with(0, 0);
    spawn([] {
        be(0);
        for (int i = 0; i < use_times; ++i) use_p();
    });
    spawn([] { take_once(0, kAsk, &taken); });
    kernel::tls_set(nullptr);
    start();
    join();
    check(of_p[0] == use_times + taken, "somebody was not alone with the P");
}
EXPLORE(gate_take, kUnbounded, kUnbounded, 0, 0) { enter_and_take<0>(1); }
EXPLORE(gate_take_between, kUnbounded, 3, 0, 0) { enter_and_take<0>(2); }
EXPLORE(gate_take_asking, kUnbounded, 3, 0, 0) { enter_and_take<rt::kAskShare>(1); }
EXPLORE(gate_take_full_fences, 3, 2, 0, 0) {
    kernel::g_expedited = false;
    enter_and_take<0>(2);
}
EXPLORE(gate_two_takers, 3, 2, 0, 0) {
    static int taken[2];
    prepare(1, 1);
    be_with(0, 0);
    spawn([] {
        be(0);
        use_p();
        use_p();
    });
    spawn([] { take_once(0, 0, &taken[0]); });
    spawn([] { take_once(0, rt::kAskShare, &taken[1]); });
    kernel::tls_set(nullptr);
    start();
    join();
    check(of_p[0] == 2 + taken[0] + taken[1], "somebody was not alone with the P");
}
// The P is kept and another M gets it, as after a retake; the first one is in user code and stays there.
EXPLORE(gate_keep, kUnbounded, 3, 0, 0) {
    static std::atomic<bool> used;
    prepare(2, 1);
    be_with(0, 0);
    spawn([] {
        be(0);
        use_p();
        used.store(true, std::memory_order_relaxed);
    });
    spawn([]() GORT_NO_TSA {
        rt::M* holder;
        if (!used.load(std::memory_order_relaxed)) return;
        check(rt::take(ps[0], &holder, 0) == rt::Taken::kYes, "it is outside for good");
        rt::keep(ps[0], holder);
        touch(ps[0]);
        be_with(1, 0);
        ms[1]->in_rt.store(1, std::memory_order_relaxed);
        touch(ps[0]);
        rt::leave(ms[1]);
        use_p();
        check(of_p[0] == 4, "somebody was not alone with the P");
    });
    kernel::tls_set(nullptr);
    start();
    join();
}

// An M that nobody has known gets its first P, as somebody comes for it.
EXPLORE(gate_take_as_it_comes, kUnbounded, 3, 1, 0) {
    static int taken;
    prepare(0, 1);
    run_ms(
        [] {
            ms[0] = rt::new_m();
            ms[0]->eh = &eh[0];
            ms[0]->in_rt.store(1, std::memory_order_relaxed);
            be_with(0, 0);
            touch(ps[0]);
            rt::leave(ms[0]);
        },
        [] { take_once(0, 0, &taken); });
    check(of_p[0] == 1 + taken, "somebody was not alone with the P");
}
// After its last stay the M has been inside once more, for nothing: an object that is another P's, a gate that is shut.
detail::Owner of_p1;
EXPLORE(gate_take_after_a_miss, kUnbounded, 3, 0, 0) {
    static int taken;
    prepare(1, 1);
    be_with(0, 0);
    of_p1.begin(2, 0);
    run_ms(
        [] {
            be(0);
            use_p();
            check(!detail::owner_enter(of_p1), "it is another P's");
        },
        [] { take_once(0, 0, &taken); });
}
EXPLORE(gate_take_after_a_shut_gate, kUnbounded, 3, 0, 0) {
    static int taken;
    prepare(1, 1);
    be_with(0, 0);
    run_ms(
        [] {
            be(0);
            use_p();
            uint32_t place;
            if (detail::Gate* g = detail::gate_enter(&place)) {
                ++of_p[place - 1];
                detail::gate_leave(g);
            }
        },
        [] { take_once(0, rt::kAskShare, &taken); });
}

// --- who must have been outside: the one who asks changes a word that is looked at inside

std::atomic<int> word{0};

void look_inside() {
    rt::M* mp = rt::enter();
    if (word.load(std::memory_order_relaxed) == 0) ++object;
    rt::leave(mp);
}

template <class Ask>
void outside(Ask ask) {
    static Ask asks = ask;
    prepare(1, 1);
    be_with(0, 0);
    name(&word, sizeof word, "word");
    spawn([] {
        be(0);
        look_inside();
        decide();
        look_inside();
    });
    spawn([] {
        word.store(1, std::memory_order_relaxed);
        asks();
        object += 10;
    });
    kernel::tls_set(nullptr);
    start();
    join();
    check(object >= 10, "lost");
}
EXPLORE(gate_outside_all, 3, 2, 0, 1) {
    outside([] { rt::wait_for_all_outside(); });
}
EXPLORE(gate_handshake, 3, 2, 0, 1, 20'000, 3000) {
    outside([] { rt::handshake(ps[0], kernel::Count::kBarrierSync); });
}
// Two ask at once: an answer serves both, or only the one that came before it.
EXPLORE(gate_handshake_two, 2, 1, 0, 1, 20'000, 3000) {
    static std::atomic<int> words[2];
    static int objects[2];
    prepare(1, 1);
    be_with(0, 0);
    spawn([] {
        be(0);
        for (int i = 0; i < 2; ++i) {
            rt::M* mp = rt::enter();
            if (words[i].load(std::memory_order_relaxed) == 0) ++objects[i];
            rt::leave(mp);
            decide();
        }
    });
    for (int i = 0; i < 2; ++i)
        spawn([i] {
            words[i].store(1, std::memory_order_relaxed);
            rt::handshake(ps[0], kernel::Count::kBarrierSync);
            objects[i] += 10;
        });
    kernel::tls_set(nullptr);
    start();
    join();
}
// Two Ms ask each other: each answers for his own P while he waits.
EXPLORE(gate_handshake_each_other, 2, 1, 0, 1, 20'000, 3000) {
    static std::atomic<int> words[2];
    static int objects[2];
    prepare(2, 2);
    be_with(0, 0);
    be_with(1, 1);
    for (int i = 0; i < 2; ++i)
        spawn([i] {
            be(i);
            rt::M* mp = rt::enter();
            if (words[i].load(std::memory_order_relaxed) == 0) ++objects[i];
            rt::leave(mp);
            words[1 - i].store(1, std::memory_order_relaxed);
            rt::handshake(ps[1 - i], kernel::Count::kBarrierSync);
            objects[1 - i] += 10;
        });
    kernel::tls_set(nullptr);
    start();
    join();
}
// The P goes from one M to another meanwhile, and both look inside.
template <class Ask>
void passes(Ask ask) {
    static Ask asks = ask;
    static std::atomic<rt::P*> hand;
    prepare(2, 1);
    be_with(0, 0);
    name(&word, sizeof word, "word");
    name(&hand, sizeof hand, "hand");
    spawn([] {
        be(0);
        look_inside();
        rt::enter();
        hand.store(rt::release_p(ms[0]), std::memory_order_release);
    });
    spawn([] {
        be(1);
        ms[1]->in_rt.store(1, std::memory_order_relaxed);
        rt::P* pp;
        while (!(pp = hand.load(std::memory_order_acquire))) kernel::sys_sched_yield();
        rt::acquire_p(ms[1], pp);
        if (word.load(std::memory_order_relaxed) == 0) ++object;
        rt::leave(ms[1]);
        look_inside();
    });
    spawn([] {
        word.store(1, std::memory_order_relaxed);
        asks();
        object += 10;
    });
    kernel::tls_set(nullptr);
    start();
    join();
}
EXPLORE(gate_handshake_passing, 2, 2, 0, 1, 20'000, 3000) {
    passes([] { rt::handshake(ps[0], kernel::Count::kBarrierSync); });
}
EXPLORE(gate_outside_passing, 2, 2, 0, 1) {
    passes([] { rt::wait_for_all_outside(); });
}
EXPLORE(gate_outside_passing_full_fences, 2, 2, 0, 1) {
    kernel::g_expedited = false;
    passes([] { rt::wait_for_all_outside(); });
}

// The P is taken from its M and kept, which ends the wait for it.
EXPLORE(gate_outside_kept, 2, 2, 0, 1) {
    static std::atomic<bool> used;
    prepare(1, 1);
    be_with(0, 0);
    name(&word, sizeof word, "word");
    run_ms([] { be(0), look_inside(), used.store(true, std::memory_order_relaxed); },
           []() GORT_NO_TSA {
               rt::M* holder;
               if (!used.load(std::memory_order_relaxed)) return;
               if (rt::take(ps[0], &holder, 0) == rt::Taken::kYes) rt::keep(ps[0], holder);
           },
           [] {
               word.store(1, std::memory_order_relaxed);
               rt::wait_for_all_outside();
               object += 10;
           });
}
// A P that is made meanwhile, as rt/sched/procs.cc does it: who finds it in the list finds it whole.
template <class... F>
void as_a_p_is_made(F... fn) {
    prepare(1, 1);
    be_with(0, 0);
    run_ms(
        [] {
            be_nobody();
            rt::sched.allp[1] = rt::new_p(1);
            rt::sched.nallp.store(2, std::memory_order_release);
        },
        fn...);
}
EXPLORE(gate_outside_of_a_new_p, kUnbounded, 2, 0, 1) {
    as_a_p_is_made([] { rt::wait_for_all_outside(); }, [] { rt::end_solo(); });
}
EXPLORE(look_at_a_new_p, kUnbounded, 2, 0, 1) {
    as_a_p_is_made([] { rt::arm_makers(1); }, [] { rt::earliest_timer(); });
}
EXPLORE(late_at_a_new_p, kUnbounded, 2, 0, 1) {
    as_a_p_is_made([] { rt::ask_for_what_is_late(1); });
}
// What the first descriptor sets up, for who finds that there is one.
EXPLORE(poll_hooks_come, kUnbounded, 2, 0, 1) {
    prepare(2, 2);
    be_with(0, 0);
    be_with(1, 1);
    rt::sched.poll_waiters.store(1, std::memory_order_relaxed);
    run_ms([] { be_nobody(), rt::poller_open(); },
           [] {
               be(1);
               rt::M* mp = rt::enter();
               if (!rt::poll_pending()) rt::poll_take(rt::p_of(mp), true);
               rt::leave(mp);
           });
}
// One answers for a P, from outside, that is taken from him just then and goes to another M.
void answer_and_take() {
    prepare(2, 1);
    be_with(0, 0);
    name(&word, sizeof word, "word");
    run_ms([] { be(0), rt::answer_from_outside(), rt::answer_from_outside(); },
           []() GORT_NO_TSA {
               rt::M* holder;
               if (rt::take(ps[0], &holder, 0) != rt::Taken::kYes) return;
               rt::keep(ps[0], holder);
               be(1);
               ms[1]->in_rt.store(1, std::memory_order_relaxed);
               rt::acquire_p(ms[1], ps[0]);
               if (word.load(std::memory_order_relaxed) == 0) ++object;
               rt::leave(ms[1]);
           },
           [] {
               word.store(1, std::memory_order_relaxed);
               rt::handshake(ps[0], kernel::Count::kBarrierSync);
               object += 10;
           });
}
EXPLORE(gate_answer_and_take, 2, 2, 0, 1, 10'000, 3000) { answer_and_take(); }
EXPLORE(gate_answer_and_take_full_fences, 2, 2, 0, 1, 10'000, 3000) {
    kernel::g_expedited = false;
    answer_and_take();
}

// --- the only P is the only one no longer (rt/base/solo.h)

rt::InsideLock inside_lock{kernel::LockRank::kUnranked};

EXPLORE(gate_solo_ends, 3, 2, 0, 1) {
    prepare(1, 1);
    be_with(0, 0);
    rt::begin_solo();
    spawn([] {
        be(0);
        for (int i = 0; i < 2; ++i) {
            rt::M* mp = rt::enter();
            inside_lock.lock();
            ++object;
            inside_lock.unlock();
            rt::leave(mp);
        }
    });
    spawn([] {
        rt::end_solo();
        inside_lock.lock();
        ++object;
        inside_lock.unlock();
    });
    kernel::tls_set(nullptr);
    start();
    join();
    check(object == 3, "somebody was not alone under the lock");
}

// Two end it at once: who finds it over knows what was done while it held.
EXPLORE(gate_solo_ends_twice, 2, 2, 0, 1) {
    prepare(1, 1);
    be_with(0, 0);
    rt::begin_solo();
    const auto end = [] {
        rt::end_solo();
        inside_lock.lock();
        ++object;
        inside_lock.unlock();
    };
    run_ms(
        [] {
            be(0);
            rt::M* mp = rt::enter();
            inside_lock.lock();
            ++object;
            inside_lock.unlock();
            rt::leave(mp);
        },
        end, end);
    check(object == 3, "somebody was not alone under the lock");
}

}  // namespace
