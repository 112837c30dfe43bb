// tests/explore/queues.cc - the public part of a P's queue (rt/own/share.h): goroutines taken by one exchange.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/own/share.h"
#include "rt/sched/look.h"
#include "tests/explore/ms.h"

using namespace gort;
using namespace gort::explore;

namespace {

rt::PublicQueue queue;
rt::G gs[4];
std::atomic<uint32_t> taken[4];

void names() {
    name(&queue, sizeof queue, "queue");
    name(gs, sizeof gs, "g");
}

// Each is taken once, and is as it was left: its plain fields are read without a race.
void take(rt::G* list) {
    while (list) {
        rt::G* gp = list;
        list = gp->next;
        const auto i = static_cast<size_t>(gp - gs);
        check(i < 4 && gp->id == i + 1, "not as it was left");
        gp->id = 0;
        check(taken[i].fetch_add(1, std::memory_order_relaxed) == 0, "taken twice");
    }
}
void take_all() { take(queue.take_all()); }
rt::G* prepared(size_t i) {
    gs[i].id = i + 1;
    return &gs[i];
}
void push(size_t i) {
    rt::G* gp = prepared(i);
    queue.push(gp, gp);
}
void all_taken(size_t n) {
    take_all();
    for (size_t i = 0; i < n; ++i) check(taken[i].load(std::memory_order_relaxed) == 1, "lost");
}

EXPLORE(queue_push_take, kUnbounded, kUnbounded, kUnbounded, 1) {
    names();
    spawn([] { push(0), push(1); });
    spawn(take_all);
    start();
    join();
    all_taken(2);
}
EXPLORE(queue_two_push, kUnbounded, kUnbounded, 0, 1) {
    names();
    spawn([] { push(0); });
    spawn([] { push(1); });
    spawn(take_all);
    start();
    join();
    all_taken(2);
}
EXPLORE(queue_two_take, kUnbounded, kUnbounded, 0, 1) {
    names();
    spawn([] { push(0), push(1); });
    spawn(take_all);
    spawn(take_all);
    start();
    join();
    all_taken(2);
}
// A chain, and one that is put on top of it while it may be taken.
EXPLORE(queue_chain, kUnbounded, kUnbounded, 0, 1) {
    names();
    spawn([] {
        rt::G* last = prepared(1);
        prepared(0)->next = last;
        queue.push(&gs[0], last);
    });
    spawn([] { push(2); });
    spawn(take_all);
    start();
    join();
    all_taken(3);
}
// Offered, kept, taken back by the owner, while two others take, and give back on top of it (gather).
EXPLORE(queue_offer, kUnbounded, kUnbounded, 0, 1) {
    names();
    spawn([] {
        rt::G* gp = prepared(0);
        check(queue.push_offer(gp), "it was empty");
        if (queue.keep_offer()) check(queue.offer() != gp, "it is an offer still");
        take_all();
    });
    spawn([] {
        const rt::G* offer = queue.offer();
        check(!offer || offer == &gs[0], "another one's offer");
        take_all();
    });
    start();
    join();
    all_taken(1);
}
EXPLORE(queue_offer_and_push, kUnbounded, kUnbounded, 0, 1) {
    names();
    spawn([] {
        rt::G* gp = prepared(0);
        if (!queue.push_offer(gp)) take(gp);
        else queue.keep_offer();
    });
    spawn([] { push(1); });
    spawn(take_all);
    start();
    join();
    all_taken(2);
}
// The owner keeps an offer that has been taken and offered again meanwhile: the same address, another offer.
EXPLORE(queue_offer_again, kUnbounded, 3, 0, 1) {
    names();
    static std::atomic<rt::G*> hand{nullptr};
    spawn([] {
        queue.push_offer(prepared(0));
        queue.keep_offer();
        queue.keep_offer();
    });
    spawn([] {
        if (rt::G* gp = queue.take_all()) {
            gp->id = 1;
            if (!queue.push_offer(gp)) hand.store(gp, std::memory_order_relaxed);
        }
    });
    start();
    join();
    take(hand.load(std::memory_order_relaxed));
    all_taken(1);
}

// Goroutines that have not run change the P as a chain, which knows its end and its length (rt/own/fresh.h): some of
// them, while their owner takes back what is left.
EXPLORE(queue_fresh_chain, 2, 2, 0, 1) {
    prepare(2, 2);
    be_with(0, 0);
    be_with(1, 1);
    names();
    for (size_t i = 0; i < 4; ++i) {
        gs[i].status.begin(rt::GStatus::kRunnable);
        ps[0]->fresh.push(prepared(i), 1);
    }
    run_ms(
        [] {
            be(0);
            rt::M* mp = rt::enter();
            rt::share_whatever(ps[0]);
            rt::leave(mp);
            mp = rt::enter();
            rt::take_back(ps[0]);
            rt::leave(mp);
        },
        [] {
            be(1);
            rt::M* mp = rt::enter();
            if (rt::G* list = ps[0]->open_to_all.take_all()) {
                const uint32_t n = rt::put_aside_all(ps[1], list);
                check(n == ps[1]->fresh.size(), "the chain is not as long as it says");
            }
            rt::leave(mp);
        });
    for (int p = 0; p < 2; ++p)
        while (rt::G* gp = ps[p]->fresh.pop()) gp->next = nullptr, take(gp);
    all_taken(4);
}

}  // namespace
