// tests/explore/looks.cc - what is known from a look without a lock: a channel that is closed, empty or full, a
// wait_group at zero; and who had the last reference.
// SPDX-License-Identifier: BSD-2-Clause
//
// A model thread is an M (ms.h). `object` is plain: who touches it must know what the other one did before.
#include "arch/arch.h"
#include "chan/chan.h"
#include "chan/hchan.h"
#include "chan/select.h"
#include "kernel/sys.h"
#include "rt/sync/wait_group.h"
#include "tests/explore/ms.h"

using namespace gort;
using namespace gort::explore;

namespace {

constexpr Bounds kTwo{2, 2, 0, 1, 3'000, 3000};

chan<int>* c;
detail::Hchan* header() { return detail::Access::get(*c); }
void with_channel(int64_t size, int nps = 2) {
    prepare(3, nps);
    for (int i = 0; i < nps; ++i) be_with(i, i);
    be(0);
    c = new chan<int>(make_chan<int>(size));
    name(header(), sizeof *header(), "channel");
}
void with_shared_channel(int64_t size) {
    with_channel(size);
    detail::chan_revoke(header());
}

// --- closed, empty, full: each side may act on it

EXPLORE(look_closed, kTwo) {
    with_channel(0);
    run_ms([] { be(0), object = 1, c->close(); },
           [] {
               be(1);
               for (int got; c->try_recv(got) != recv_result::closed;) arch::pause();
               check(++object == 2, "closed, and what came before is not to be seen");
           });
}
EXPLORE(look_closed_buffered, kTwo) {
    with_channel(1);
    run_ms([] { be(0), object = 1, c->close(); },
           [] {
               be(1);
               for (int got; c->try_recv(got) != recv_result::closed;) arch::pause();
               check(++object == 2, "closed, and what came before is not to be seen");
           });
}
EXPLORE(look_full, kTwo) {
    with_channel(1);
    run_ms([] { be(0), object = 1, c->try_send(1); },
           [] {
               be(1);
               if (!c->try_send(2)) ++object;
           });
}
EXPLORE(look_empty, kTwo) {
    with_channel(1);
    c->try_send(5);
    run_ms(
        [] {
            be(0);
            object = 1;
            int got;
            c->try_recv(got);
        },
        [] {
            be(1);
            int got;
            if (c->try_recv(got) == recv_result::empty) ++object;
        });
}
EXPLORE(look_len, kTwo) {
    with_channel(1);
    run_ms([] { be(0), object = 1, c->try_send(1); },
           [] {
               be(1);
               if (c->len() == 1) ++object;
           });
}
EXPLORE(look_empty_by_select, kTwo) {
    with_channel(1);
    c->try_send(5);
    run_ms(
        [] {
            be(0);
            object = 1;
            int got;
            c->try_recv(got);
        },
        [] {
            be(1);
            int got;
            if (select(on_recv(*c, got), otherwise()) == 1) ++object;
        });
}

// A glance of its own, as select and contexts of the program's make it.
EXPLORE(look_closed_at_a_glance, kTwo) {
    with_channel(0);
    run_ms([] { be(0), object = 1, c->close(); },
           [] {
               be(1);
               if (detail::is_closed(header())) ++object;
           });
}
EXPLORE(look_empty_at_a_glance, kTwo) {
    with_channel(1);
    c->try_send(5);
    run_ms(
        [] {
            be(0);
            object = 1;
            int got;
            c->try_recv(got);
        },
        [] {
            be(1);
            if (detail::looks_empty(header())) ++object;
        });
}
EXPLORE(look_full_at_a_glance, kTwo) {
    with_channel(1);
    run_ms([] { be(0), object = 1, c->try_send(5); },
           [] {
               be(1);
               if (detail::looks_full(header())) ++object;
           });
}

// One waits while the channel is closed: it is never empty, or full, and open without him.
rt::G waiting_g;
rt::Sudog waiting{nullptr, nullptr, &waiting_g, {}, nullptr, nullptr, rt::SudogState::kWaiting, false, false};
void with_waiter(bool sends) {
    with_channel(0);
    waiting_g.status.begin(rt::GStatus::kWaiting);
    waiting.object = header();
    waiting.sends = sends;
    (sends ? header()->sendq : header()->recvq).push(&waiting);
}
EXPLORE(look_at_sender_and_close, kTwo) {
    with_waiter(true);
    run_ms([] { be(0), c->close(); },
           [] {
               be(1);
               int got;
               check(c->try_recv(got) != recv_result::empty, "empty, while one waited to send");
           });
}
EXPLORE(look_at_receiver_and_close, kTwo) {
    with_waiter(false);
    run_ms([] { be(0), c->close(); },
           [] {
               be(1);
               try {
                   check(c->try_send(5), "full, while one waited to receive");
               } catch (...) {
               }
           });
}

EXPLORE(select_at_sender_and_close, kTwo) {
    with_waiter(true);
    run_ms([] { be(0), c->close(); },
           [] {
               be(1);
               int got;
               check(select(on_recv(*c, got), otherwise()) == 0, "empty, while one waited to send");
           });
}
EXPLORE(select_at_receiver_and_close, kTwo) {
    with_waiter(false);
    run_ms([] { be(0), c->close(); },
           [] {
               be(1);
               try {
                   check(select(on_send(*c, 5), otherwise()) == 0, "full, while one waited to receive");
               } catch (...) {
               }
           });
}

// --- the P's own channel, by the ways that do not ask whose it is twice (enter_mine)

EXPLORE(chan_mine, kTwo) {
    with_channel(2);
    run_ms([] { be(0), c->send(1), c->send(2); },
           [] {
               be(1);
               for (int want = 1, got = 0; want <= 2;) {
                   if (c->try_recv(got) != recv_result::ok) arch::pause();
                   else check(got == want++, "not what was sent, or not in its order");
               }
           });
}
EXPLORE(chan_mine_and_send, kTwo) {
    with_channel(3);
    run_ms([] { be(0), c->send(1), c->send(2); }, [] { be(1), c->send(3); });
    int sum = 0;
    be(1);
    for (int i = 0, got; i < 3; ++i) {
        check(c->try_recv(got) == recv_result::ok, "one is lost");
        sum += got;
    }
    check(sum == 6, "not what was sent");
}
// Who is woken comes into the queue of a P that somebody else has had meanwhile.
EXPLORE(chan_mine_wakes, kTwo) {
    static rt::G other;
    with_waiter(false);
    other.status.begin(rt::GStatus::kWaiting);
    ps[0]->runnext.store(&other, std::memory_order_relaxed);
    run_ms([] { be(0), c->send(7); },
           []() GORT_NO_TSA {
               rt::M* holder;
               if (rt::take(ps[0], &holder, 0) != rt::Taken::kYes) return;
               ps[0]->fresh.push(ps[0]->take_runnext(), 1);
               rt::give_back(holder);
           });
}

// --- the last reference

EXPLORE(drop_after_use, kTwo) {
    static chan<int>* mine;
    static chan<int>* theirs;
    with_shared_channel(100);
    mine = new chan<int>(*c);
    theirs = new chan<int>(*c);
    *c = {};
    run_ms([] { be(0), mine->try_send(1), *mine = {}; }, [] { be(1), *theirs = {}; });
}
// Counted plainly by its first owner, until another one has taken it away, which a third one finds.
EXPLORE(drop_three, 2, 2, 0, 1, 3'000, 3000) {
    static chan<int>* handles[3];
    with_channel(100);
    for (auto& h : handles) h = new chan<int>(*c);
    *c = {};
    run_ms([] { be(0), *handles[0] = {}; }, [] { be(1), *handles[1] = {}; },
           [] { be_nobody(), *handles[2] = {}; });
}
// Inside the gate, as when an element's move drops a handle. The header is used again at once.
EXPLORE(drop_inside, kTwo) {
    static chan<int>* mine;
    static chan<int>* theirs;
    static size_t cap;
    with_channel(1);
    mine = new chan<int>(*c);
    be(1);
    theirs = new chan<int>(*c);
    be(0);
    *c = {};
    run_ms(
        [] {
            be(0);
            *mine = {};
            *mine = make_chan<int>(1);
        },
        [] {
            be(1);
            rt::M* mp = rt::enter();
            cap = theirs->cap();
            *theirs = {};
            rt::leave(mp);
            check(cap == 1, "another channel");
        });
}
// The P's free headers, while somebody else has the P.
EXPLORE(drop_and_take, kTwo) {
    with_channel(1);
    run_ms([] { be(0), *c = {}; },
           []() GORT_NO_TSA {
               rt::M* holder;
               if (rt::take(ps[0], &holder, 0) != rt::Taken::kYes) return;
               ++ps[0]->chan_free_count;
               rt::give_back(holder);
           });
}

// --- a wait_group

wait_group* wg;
int before[2];
void wait_for_all() {
    auto* word = reinterpret_cast<detail::WaitGroupWord*>(wg);
    while (word->count.load(std::memory_order_relaxed) != 0) arch::pause();
    wg->wait();
    check(before[0] + before[1] == 3, "it did not wait for both");
}
void with_group(int n) {
    prepare(3, 2);
    be_with(0, 0);
    be_with(1, 1);
    be(0);
    wg = new wait_group;
    wg->add(n);
    name(wg, sizeof *wg, "wg");
}
EXPLORE(group_of_its_own, kTwo) {
    with_group(2);
    run_ms([] { be(0), before[0] = 1, wg->done(), before[1] = 2, wg->done(); },
           [] { be(1), wait_for_all(); });
}
EXPLORE(group_shared, kTwo) {
    with_group(2);
    rt::revoke_sync(reinterpret_cast<detail::WaitGroupWord*>(wg)->owner);
    run_ms([] { be(0), before[0] = 1, wg->done(), before[1] = 2, wg->done(); },
           [] { be(1), wait_for_all(); });
}
// One is done while it is shared, and the next one makes it his own.
EXPLORE(group_earned, 2, 2, 0, 1, 5'000, 3000) {
    with_group(2);
    auto& owner = reinterpret_cast<detail::WaitGroupWord*>(wg)->owner;
    rt::revoke_sync(owner);
    owner.last.store(1, std::memory_order_relaxed);
    owner.left.store(1, std::memory_order_relaxed);
    run_ms([] { be(0), before[0] = 1, wg->done(); }, [] { be(1), before[1] = 2, wg->done(); },
           [] { be_nobody(), wait_for_all(); });
}

// --- a yield, while somebody else has the P

// Two goroutines, whose second one does nothing but switch back.
struct Yielders {
    alignas(64) rt::G first, second, third;
    alignas(64) char stack[16 << 10];
} * yielders;

EXPLORE(yield_and_take, kTwo) {
    prepare(1, 1);
    be_with(0, 0);
    void* memory = reinterpret_cast<void*>(kernel::sys_mmap(nullptr, sizeof *yielders, 0, 0, -1, 0));
    yielders = new (memory) Yielders;
    ms[0]->curg = &yielders->first;
    for (rt::G* gp : {&yielders->first, &yielders->second, &yielders->third}) {
        gp->stack = gp->ctx.sp = yielders->stack;
        gp->status.begin(rt::GStatus::kRunnable);
    }
    const auto back = [](void*, void*) {
        for (;;) arch::switch_context(&yielders->second.ctx, &yielders->first.ctx, nullptr);
    };
    arch::context_init(&yielders->second.ctx, yielders->stack, sizeof yielders->stack, back, nullptr);
    ps[0]->runq.push(&yielders->second);
    run_ms([] { be(0), detail::yield_begin(), detail::yield_end(); },
           []() GORT_NO_TSA {
               rt::M* holder;
               if (rt::take(ps[0], &holder, 0) != rt::Taken::kYes) return;
               ps[0]->runq.push(&yielders->third);
               rt::give_back(holder);
           });
}

}  // namespace
