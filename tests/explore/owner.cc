// tests/explore/owner.cc - whose an object is (rt/own/owner.h): settle, use, take away, streak, with the Ps passing
// between Ms.
// SPDX-License-Identifier: BSD-2-Clause
//
// The users of the protocol are the real ones: mutex, wait_group, channel, OwnedLock, by those of their operations that
// never park. A model thread is an M (ms.h), so that two or three of them are all that interleaves.
#include "arch/arch.h"
#include "chan/chan.h"
#include "kernel/sys.h"
#include "rt/own/owned_lock.h"
#include "rt/own/owner.h"
#include "rt/sync/mutex.h"
#include "rt/sync/wait_group.h"
#include "tests/explore/ms.h"

using namespace gort;
using namespace gort::explore;

namespace {

constexpr Bounds kTwo{2, 2, 0, 1, 5'000, 3000};
constexpr Bounds kThree{2, 1, 0, 1, 5'000, 3000};
constexpr uint16_t kOfP0 = 1, kOfP1 = 2;

detail::MutexWord word, other;
int objects[2];

void use(detail::MutexWord* w, int* guarded) {
    while (!detail::mutex_take_quick(w) && !detail::mutex_try_lock_slow(w)) arch::pause();
    ++*guarded;
    detail::mutex_unlock(w);
}
void use_mutex(int times) {
    for (int i = 0; i < times; ++i) use(&word, &object);
}
// Two Ms with a P each, and a third without one; the mutex belongs to `whose`.
void two(uint16_t whose, int nps = 2) {
    prepare(3, nps);
    be_with(0, 0);
    be_with(1, 1);
    word.owner.begin(whose, 0);
    name(&word, sizeof word, "mutex");
}
template <class... F>
void run_all(int uses, F... fn) {
    (spawn(fn), ...);
    be_nobody();
    explore::start();
    join();
    check(!uses || object == uses, "somebody was not alone with the object");
}

// --- one word with whose: a mutex

EXPLORE(owner_mutex, kTwo) {
    two(kOfP0);
    run_all(
        3, [] { be(0), use_mutex(2); }, [] { be(1), use_mutex(1); });
}
EXPLORE(owner_mutex_full_fences, kTwo) {
    two(kOfP0);
    kernel::g_expedited = false;
    run_all(
        3, [] { be(0), use_mutex(2); }, [] { be(1), use_mutex(1); });
}
// The taker's compare and swap may come before the owner's store, if nothing forbids that.
EXPLORE(owner_mutex_early, 1, 1, 1, 1, 5'000, 3000) {
    two(kOfP0);
    run_all(
        3, [] { be(0), use_mutex(2); }, [] { be(1), use_mutex(1); });
}
// Unlocked by another P than the one that has locked it and is its owner.
EXPLORE(owner_mutex_unlocked_elsewhere, kTwo) {
    static std::atomic<bool> locked;
    two(kOfP0);
    run_all(
        3,
        [] {
            be(0);
            check(detail::mutex_take_quick(&word), "it is free, and ours");
            ++object;
            locked.store(true, std::memory_order_release);
            use_mutex(1);
        },
        [] {
            be(1);
            while (!locked.load(std::memory_order_acquire)) arch::pause();
            ++object;
            detail::mutex_unlock(&word);
        });
}
// Nobody's yet: both settle it.
EXPLORE(owner_mutex_settles, kTwo) {
    two(detail::kNobody);
    const auto fn = [](int m) {
        be(m);
        for (int i = 0; i < 2; ++i) {
            bool mine;
            rt::M* mp = rt::settle(rt::enter(), word.owner, &mine);
            rt::leave(mp);
            use_mutex(1);
        }
    };
    static auto both = fn;
    run_all(
        4, [] { both(0); }, [] { both(1); });
}
// Shared, and earned by P0, while the other one is at it.
EXPLORE(owner_mutex_streak, kTwo) {
    two(detail::kShared);
    word.owner.last.store(kOfP0, std::memory_order_relaxed);
    word.owner.left.store(1, std::memory_order_relaxed);
    run_all(
        4, [] { be(0), use_mutex(2); }, [] { be(1), use_mutex(2); });
}
// A thread without a P takes it away.
EXPLORE(owner_mutex_foreign, kTwo) {
    two(kOfP0);
    run_all(
        3, [] { be(0), use_mutex(2); }, [] { be_nobody(), use_mutex(1); });
}
EXPLORE(owner_mutex_three, kThree) {
    two(kOfP0);
    run_all(
        3, [] { be(0), use_mutex(1); }, [] { be(1), use_mutex(1); }, [] { be_nobody(), use_mutex(1); });
}
// Each takes the other one's, and answers meanwhile.
EXPLORE(owner_mutex_each_other, kTwo) {
    two(kOfP0);
    other.owner.begin(kOfP1, 0);
    name(&other, sizeof other, "other");
    run_all(
        0, [] { be(0), use(&word, &objects[0]), use(&other, &objects[1]); },
        [] { be(1), use(&other, &objects[1]), use(&word, &objects[0]); });
    check(objects[0] == 2 && objects[1] == 2, "somebody was not alone with the object");
}
// The P goes from one M to another, both of which use the mutex as its own, while a third takes it away.
std::atomic<rt::P*> hand;
void give_p() {
    rt::enter();
    hand.store(rt::release_p(ms[0]), std::memory_order_release);
}
void get_p(int m) {
    be(m);
    ms[m]->in_rt.store(1, std::memory_order_relaxed);
    rt::P* pp;
    while (!(pp = hand.load(std::memory_order_acquire))) kernel::sys_sched_yield();
    rt::acquire_p(ms[m], pp);
}
void pass_mutex() {
    two(kOfP0);
    name(&hand, sizeof hand, "hand");
    run_all(
        3, [] { be(0), use_mutex(1), give_p(); },
        [] {
            get_p(2);
            // At once, without leaving the gate in between: as a goroutine that is resumed in the middle of it.
            bool mine;
            rt::M* mp = rt::settle(ms[2], word.owner, &mine);
            if (mine ? detail::mutex_take_mine(&word) : detail::mutex_take_shared(&word)) {
                ++object;
                detail::mutex_unlock(&word);
                rt::leave(mp);
            } else {
                rt::leave(mp);
                use_mutex(1);
            }
        },
        [] { be(1), use_mutex(1); });
}
EXPLORE(owner_mutex_passing, kThree) { pass_mutex(); }
EXPLORE(owner_mutex_passing_full_fences, kThree) {
    kernel::g_expedited = false;
    pass_mutex();
}
// The P is taken from one M, which is in user code, by another one, which then uses the mutex as its own.
EXPLORE(owner_mutex_kept, kThree) {
    static std::atomic<bool> used;
    two(kOfP0);
    run_all(
        0, [] { be(0), use_mutex(1), used.store(true, std::memory_order_relaxed); },
        []() GORT_NO_TSA {
            rt::M* holder;
            if (!used.load(std::memory_order_relaxed)) return;
            check(rt::take(ps[0], &holder, 0) == rt::Taken::kYes, "it is outside for good");
            rt::keep(ps[0], holder);
            detail::g_strays.store(0, std::memory_order_relaxed);  // the first M stays in user code
            hand.store(ps[0], std::memory_order_release);
            get_p(2);
            rt::leave(ms[2]);
            use(&word, &object);
        },
        [] {
            be(1);
            use(&word, &object);
        });
}

// --- one word of 8 bytes: a wait_group

EXPLORE(owner_wait_group, kTwo) {
    static wait_group* wg;
    two(detail::kShared);
    be(0);
    wg = new wait_group;
    wg->add(1);
    name(wg, sizeof *wg, "wg");
    run_all(
        0, [] { be(0), wg->add(1), wg->add(1); }, [] { be(1), wg->add(1); });
    be(0);
    wg->add(-4);  // fatal if one was lost
}

// --- a lock of its own: a channel

chan<int>* c;
void two_with_channel(int64_t size) {
    two(detail::kShared);
    be(0);
    c = new chan<int>(make_chan<int>(size));
}
EXPLORE(owner_chan, kTwo) {
    two_with_channel(2);
    run_all(
        0, [] { be(0), c->try_send(1), c->try_send(2); },
        [] {
            be(1);
            for (int want = 1, got = 0; want <= 2;) {
                if (c->try_recv(got) != recv_result::ok) arch::pause();
                else check(got == want++, "not what was sent, or not in its order");
            }
        });
}
// One takes it away, and another one finds it shared before he has used it.
EXPLORE(owner_chan_three, kThree) {
    two(detail::kShared, 3);
    be_with(2, 2);
    be(0);
    c = new chan<int>(make_chan<int>(3));
    run_all(
        0, [] { be(0), c->try_send(1); }, [] { be(1), c->try_send(1); }, [] { be(2), c->try_send(1); });
    be(1);
    for (int i = 0, got; i < 3; ++i) check(c->try_recv(got) == recv_result::ok, "one is lost");
}
EXPLORE(owner_chan_close, kTwo) {
    two_with_channel(1);
    run_all(
        0, [] { be(0), c->try_send(1), c->close(); },
        [] {
            be(1);
            for (int n = 0, got = 0;;) {
                const recv_result r = c->try_recv(got);
                if (r == recv_result::closed) return check(n == 1, "what was sent before the close is lost");
                if (r == recv_result::empty) arch::pause();
                else check(got == 1 && ++n == 1, "not what was sent");
            }
        });
}
EXPLORE(owner_chan_passing, kThree) {
    two_with_channel(3);
    name(&hand, sizeof hand, "hand");
    run_all(
        0, [] { be(0), c->try_send(1), give_p(); },
        [] {
            get_p(2);
            rt::leave(ms[2]);
            c->try_send(2);
        },
        [] { be(1), c->try_send(3); });
    be(1);
    int sum = 0;
    for (int i = 0, got; i < 3; ++i) {
        check(c->try_recv(got) == recv_result::ok, "one is lost");
        sum += got;
    }
    check(sum == 6, "not what was sent");
}
// The last handle goes in one place while another one is copied and dropped: references counted by the owner, too.
EXPLORE(owner_chan_drop, kTwo) {
    static chan<int>* mine;
    static chan<int>* theirs;
    two_with_channel(1);
    mine = new chan<int>(*c);
    theirs = new chan<int>(*c);
    *c = {};
    run_all(
        0, [] { be(0), mine->try_send(1), *mine = {}; }, [] { be(1), theirs->try_send(2), *theirs = {}; });
}

// --- a lock taken inside the gate, which its owner says that it holds: OwnedLock

rt::OwnedLock owned_lock{kernel::LockRank::kUnranked};

void use_owned_inside() GORT_NO_TSA {
    owned_lock.lock();
    ++object;
    owned_lock.unlock();
}
void use_owned(int times) {
    for (int i = 0; i < times; ++i) {
        rt::M* mp = rt::enter();
        use_owned_inside();
        rt::leave(mp);
    }
}
// P0 has used it so often that it owns it after `more` uses.
void two_with_lock(int more, int nps = 2) {
    two(detail::kShared, nps);
    name(&owned_lock, sizeof owned_lock, "owned_lock");
    be(0);
    use_owned((64 << 4) - more);
    object = 0;
}
EXPLORE(owned_lock_two, kTwo) {
    two_with_lock(0);
    run_all(
        3, [] { be(0), use_owned(2); }, [] { be(1), use_owned(1); });
}
EXPLORE(owned_lock_full_fences, kTwo) {
    two_with_lock(0);
    kernel::g_expedited = false;
    run_all(
        3, [] { be(0), use_owned(2); }, [] { be(1), use_owned(1); });
}
EXPLORE(owned_lock_streak, kTwo) {
    two_with_lock(1);
    run_all(
        3, [] { be(0), use_owned(2); }, [] { be(1), use_owned(1); });
}
EXPLORE(owned_lock_three, kThree) {
    two_with_lock(0, 3);
    be_with(2, 2);
    run_all(
        3, [] { be(0), use_owned(1); }, [] { be(1), use_owned(1); }, [] { be(2), use_owned(1); });
}
EXPLORE(owned_lock_passing, kThree) {
    two_with_lock(0);
    name(&hand, sizeof hand, "hand");
    run_all(
        3, [] { be(0), use_owned(1), give_p(); },
        [] {
            get_p(2);
            use_owned_inside();
            rt::leave(ms[2]);
        },
        [] { be(1), use_owned(1); });
}

}  // namespace
