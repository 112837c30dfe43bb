// tests/explore/waits.cc - who parks against who wakes: mutex, wait_group, channel, select, descriptor.
// SPDX-License-Identifier: BSD-2-Clause
//
// The side that parks is a thread of the program's own (ms.h), which sleeps on its note: all that comes before and
// after the sleep is what goroutines do, without the scheduler.
#include "arch/arch.h"
#include "chan/chan.h"
#include "chan/select.h"
#include "rt/net/netpoll.h"
#include "rt/sync/cond.h"
#include "rt/sync/mutex.h"
#include "rt/sync/wait_group.h"
#include "tests/explore/ms.h"

using namespace gort;
using namespace gort::explore;
using namespace std::chrono_literals;

namespace {

constexpr Bounds kTwo{2, 2, 0, 1, 6'000, 3000};
constexpr Bounds kThree{2, 1, 0, 1, 6'000, 3000};

// Ms 0 and 1 have Ps, the third one none.
void with_ps(int n) {
    prepare(3, n);
    for (int i = 0; i < n; ++i) be_with(i, i);
    rt::sched.ncpu = 1;  // no spinning
    be(0);
}

// --- a mutex

mutex* m;
void use(int* what) {
    m->lock();
    ++*what;
    m->unlock();
}
EXPLORE(wait_mutex, kTwo) {
    with_ps(1);
    m = new mutex;
    m->lock();
    run_ms([] { be(0), ++object, m->unlock(); }, [] { be_foreign(2), use(&object); });
    check(object == 2, "somebody was not alone");
}
EXPLORE(wait_mutex_full_fences, kTwo) {
    kernel::g_expedited = false;
    with_ps(1);
    m = new mutex;
    m->lock();
    run_ms([] { be(0), ++object, m->unlock(); }, [] { be_foreign(2), use(&object); });
    check(object == 2, "somebody was not alone");
}
EXPLORE(wait_mutex_two, kThree) {
    with_ps(1);
    m = new mutex;
    m->lock();
    run_ms([] { be(0), ++object, m->unlock(); }, [] { be_foreign(1), use(&object); },
           [] { be_foreign(2), use(&object); });
    check(object == 3, "somebody was not alone");
}
EXPLORE(wait_mutex_for_a_time, 2, 1, 0, 2, 6'000, 3000) {
    with_ps(1);
    m = new mutex;
    m->lock();
    run_ms([] { be(0), ++object, m->unlock(); },
           [] {
               be_foreign(2);
               if (!m->try_lock_for(20us)) return;
               ++object;
               m->unlock();
           });
    be(0);
    check(m->try_lock(), "somebody still has it");
}

// The same with a deadline that does not come.
EXPLORE(wait_mutex_for_long, 2, 2, 0, 0, 6'000, 3000) {
    with_ps(1);
    m = new mutex;
    m->lock();
    run_ms([] { be(0), ++object, m->unlock(); },
           [] {
               be_foreign(2);
               check(m->try_lock_for(1h), "the time is not over");
               ++object;
               m->unlock();
           });
    check(object == 2, "somebody was not alone");
}

// --- a cond

cond* cv;
EXPLORE(wait_cond, kTwo) {
    with_ps(1);
    m = new mutex;
    cv = new cond(*m);
    run_ms(
        [] {
            be(0);
            while (!m->try_lock()) arch::pause();
            object = 1;
            m->unlock();
            cv->signal();
        },
        [] {
            be_foreign(2);
            m->lock();
            while (!object) cv->wait();
            m->unlock();
        });
}

// --- a wait_group

wait_group* wg;
EXPLORE(wait_for_group, kTwo) {
    with_ps(2);
    wg = new wait_group;
    wg->add(1);
    run_ms([] { be(0), object = 1, wg->done(); },
           [] { be_foreign(2), wg->wait(), check(++object == 2, "lost"); });
}
EXPLORE(wait_for_group_two, kThree) {
    with_ps(2);
    wg = new wait_group;
    wg->add(2);
    static int other;
    run_ms([] { be(0), object = 1, wg->done(); }, [] { be(1), other = 1, wg->done(); },
           [] { be_foreign(2), wg->wait(), check(++object + ++other == 4, "lost"); });
}

// --- channels

chan<int>* c;
chan<int>* d;
int got[2];
bool still_open[2];
void with_channels(int nps, int64_t size = 0) {
    with_ps(nps);
    c = new chan<int>(make_chan<int>(size));
    d = new chan<int>(make_chan<int>(size));
}
EXPLORE(wait_to_receive, kTwo) {
    with_channels(1);
    run_ms(
        [] {
            be(0);
            while (!c->try_send(7)) arch::pause();
        },
        [] { be_foreign(2), check(c->recv() == 7, "another value"); });
}
EXPLORE(wait_to_receive_sent, kTwo) {
    with_channels(1, 1);
    run_ms([] { be(0), object = 1, c->send(7); },
           [] { be_foreign(2), check(c->recv() == 7, "another value"), ++object; });
}
EXPLORE(wait_to_send, kTwo) {
    with_channels(1);
    run_ms(
        [] {
            be(0);
            while (c->try_recv(got[0]) != recv_result::ok) arch::pause();
            check(got[0] == 7 && ++object == 2, "another value");
        },
        [] { be_foreign(2), object = 1, c->send(7); });
}
EXPLORE(wait_both, kTwo) {
    with_channels(1);
    run_ms([] { be_foreign(1), object = 1, c->send(7); },
           [] { be_foreign(2), check(c->recv() == 7 && ++object == 2, "another value"); });
}
EXPLORE(wait_and_close, kTwo) {
    with_channels(1);
    run_ms([] { be(0), object = 1, c->close(); },
           [] { be_foreign(2), check(!c->recv(got[0]) && ++object == 2, "not closed"); });
}

// --- select: its claim

// By a close and a send at once, on two channels.
EXPLORE(wait_select_close_and_send, kThree) {
    with_channels(2, 1);
    static int chosen;
    run_ms([] { be(0), c->close(); }, [] { be(1), d->send(5); },
           [] {
               be_foreign(2);
               chosen = static_cast<int>(select(on_recv(*c, got[0], still_open[0]), on_recv(*d, got[1])));
               check(chosen == 1 ? got[1] == 5 : !still_open[0], "not what this case gives");
               if (chosen == 0) check(d->recv() == 5, "the other one is lost");
               else check(!c->recv(got[0]), "the other one is lost");
           });
}
// Twice, so that the second wait finds what the first one left.
EXPLORE(wait_select_twice, kThree) {
    with_channels(2, 1);
    run_ms([] { be(0), c->send(1); }, [] { be(1), d->send(2); },
           [] {
               be_foreign(2);
               int sum = 0;
               for (int i = 0; i < 2; ++i) {
                   const auto which = select(on_recv(*c, got[0]), on_recv(*d, got[1]));
                   sum += which == 0 ? got[0] : got[1];
               }
               check(sum == 3, "not both, each once");
           });
}
// Of two selects each offers what the other one could take.
EXPLORE(wait_select_two_sided, kTwo) {
    with_channels(1);
    static size_t chosen[2];
    run_ms(
        [] { be_foreign(1), chosen[0] = static_cast<size_t>(select(on_send(*c, 1), on_recv(*d, got[1]))); },
        [] { be_foreign(2), chosen[1] = static_cast<size_t>(select(on_recv(*c, got[0]), on_send(*d, 2))); });
    check(chosen[0] == chosen[1], "they did not meet on one channel");
    check(chosen[0] == 0 ? got[0] == 1 : got[1] == 2, "another value");
}

// --- a descriptor: its wait against an edge, a close, a deadline

constexpr int kFd = 600;
constexpr uint32_t kIn = 1;
rt::PollDesc* desc;
void with_descriptor() {
    with_ps(1);
    check(rt::poll_open(kFd, rt::kDescSocket | rt::kDescStream, true, &desc) == 0, "not opened");
}
void wait_for_descriptor(bool may_be_closed) {
    be_foreign(2);
    int result = rt::poll_begin(desc, rt::kRead);
    if (result == 0) {
        result = rt::poll_wait(desc, rt::kRead);
        rt::poll_end(desc, rt::kRead);
    }
    check(result == 0 || (may_be_closed && result == rt::kErrClosed), "neither ready nor closed");
}
void poll_once() {
    rt::M* mp = rt::enter();
    rt::poll_take(rt::p_of(mp), true);
    rt::leave(mp);
}
EXPLORE(wait_descriptor_edge, kTwo) {
    with_descriptor();
    run_ms(
        [] {
            be(0);
            make_edge(kFd, kIn);
            while (rt::sched.poll_waiters.load(std::memory_order_relaxed) == 0) arch::pause();
            poll_once();
        },
        [] { wait_for_descriptor(false); });
}
EXPLORE(wait_descriptor_close, kTwo) {
    with_descriptor();
    run_ms([] { be_foreign(1), rt::poll_close(desc); }, [] { wait_for_descriptor(true); });
}

}  // namespace
