// rt/net/poller.cc - what the scheduler asks of the poller (PollHooks of rt/sched/sched.h).
// SPDX-License-Identifier: BSD-2-Clause
//
// The inbox: one batch of events that the M which slept without a P has fetched. inbox_n says how many; 0: it is that
// M's to fill (there is one: sched.poller), -1: a P's holder is emptying it.
// Ordering: E1 the release that fills or empties the inbox -> the acquire of who then reads or refills it.
//           E2 the release before a descriptor is registered -> the acquire before its events are looked at: a
//           PollDesc is whole before anybody finds it there. (epoll itself orders the two, but promises nothing.)
#include "rt/net/poller.h"
#include "rt/sched/delays.h"

#include "kernel/fatal.h"
#include "rt/sched/park.h"
#include "rt/time/clock.h"

namespace gort::rt {

namespace {

constexpr int kBatch = 128;
constexpr unsigned kAddressBits = 64 - kGenBits, kAlignBits = 6;
constexpr uint32_t kEdges =
    kernel::kPollIn | kernel::kPollOut | kernel::kPollRdHup | kernel::kPollPri | kernel::kPollEdge;

constinit kernel::Poller poller;
std::atomic<uint32_t> registrations{0};

std::atomic<int> inbox_n{0};
kernel::PollEvent inbox[kBatch];

uint64_t tag_of(const PollDesc* d) {
    return reinterpret_cast<uintptr_t>(d) >> kAlignBits | uint64_t{d->gen} << kAddressBits;
}

// Wakes whom it wakes.
void take_event(const kernel::PollEvent& e, M* mp, P* pp, int* woken) {
    auto* d = reinterpret_cast<PollDesc*>((e.data & ((uint64_t{1} << kAddressBits) - 1)) << kAlignBits);
    G* wake[2] = {};
    poll_event(d, static_cast<uint32_t>(e.data >> kAddressBits), e.bits, wake);
    for (G* gp : wake) {
        if (!gp) continue;
        ++*woken;
        if (gp->flags & kGForeign) {
            ready(mp, gp);
        } else {
            if (gp->flags & kGTimed) delays_ready(gp);
            gp->status.set(GStatus::kRunnable);
            pp->runq.push(gp);
        }
    }
}

int fetch(kernel::PollEvent* events, int64_t ns) {
    const int n = poller.wait(events, kBatch, ns);
    (void)registrations.load(std::memory_order_acquire);  // E2
    sched.polls.fetch_add(1, std::memory_order_relaxed);
    if (sched.nprocs.load(std::memory_order_relaxed) > 1) {
        sched.polled_by.store(self(), std::memory_order_relaxed);
        sched.polled_when.store(now(), std::memory_order_relaxed);
    }
    if (n < 0) kernel::fatal_errno("net: epoll_wait failed (was a descriptor closed that is gort's own?)", n);
    return n;
}

// [P's holder] Readies what is ready, in the P's queue; how many.
int hook_take(P* pp, bool look) {
    M* mp = self();
    int woken = 0, n = inbox_n.load(std::memory_order_relaxed);
    if (n > 0 && inbox_n.compare_exchange_strong(n, -1, std::memory_order_acquire)) {  // E1
        for (int i = 0; i < n; ++i) take_event(inbox[i], mp, pp, &woken);
        inbox_n.store(0, std::memory_order_release);  // E1
    }
    if (woken || !look) return woken;
    kernel::PollEvent events[kBatch];
    n = fetch(events, 0);
    for (int i = 0; i < n; ++i) take_event(events[i], mp, pp, &woken);
    return woken;
}

// [no P, sched.poller] Sleeps until there are events for the inbox, a wake, or ns have passed; < 0: for ever.
void hook_wait(int64_t ns) {
    const int n = fetch(inbox, ns);
    inbox_n.store(n, std::memory_order_release);  // E1
}

void hook_wake() {
    const int r = poller.wake();
    if (r < 0) kernel::fatal_errno("net: a thread that polls cannot be woken", r);  // it would sleep for ever
}

bool hook_pending() { return inbox_n.load(std::memory_order_acquire) != 0; }  // E1

void hook_end() {
    poll_end_run();
    inbox_n.store(0, std::memory_order_relaxed);
}

// Without descriptors for a new one: poller_open tries again, and what is registered then says EBADF.
void hook_forked() {
    inbox_n.store(0, std::memory_order_relaxed);
    poller.close();
    poll_forked();
    poller.open();
}

constexpr PollHooks kHooks = {hook_take, hook_wait, hook_wake, hook_pending, hook_end, hook_forked};

}  // namespace

int poller_open() {
    if (poller.is_open()) return 0;
    if (const int r = poller.open()) return r;
    sched.poll_hooks.store(&kHooks, std::memory_order_release);
    return 0;
}

int poller_own_fds() { return poller.is_open() ? 2 : 0; }
void poller_close() { poller.close(); }

int poller_add(PollDesc* d) {
    registrations.fetch_add(1, std::memory_order_release);  // E2
    return poller.add(d->fd, kEdges, tag_of(d));
}

void poller_remove(int fd) { poller.remove(fd); }

}  // namespace gort::rt
