// rt/net/netpoll.cc - the life of a PollDesc: registering, waiting, deadlines, closing.
// SPDX-License-Identifier: BSD-2-Clause
//
// No TSA: a PollDesc is locked in one function and unlocked in another one, or by the commit of a park.
#include "rt/net/netpoll.h"

#include "arch/arch.h"
#include "kernel/sys.h"
#include "rt/base/fork.h"
#include "rt/base/sim_seam.h"
#include "rt/base/slab.h"
#include "rt/host.h"
#include "rt/net/poller.h"
#include "rt/sched/park.h"
#include "rt/time/clock.h"

namespace gort::rt {

namespace {

constexpr uint32_t kMostWaiting = (1u << 20) - 1;  // Go's figure
kernel::Mutex desc_lock{kernel::LockRank::kLeaf};
int live = 0;                    // desc_lock
PollDesc* free_descs = nullptr;  // desc_lock
std::atomic<PollDesc*> all_descs{nullptr};
Slab<PollDesc> slab;

// The simulation's descriptors are none of the kernel's.
int add_to_poller(PollDesc* d) {
    if (!is_simulated(d->fd)) return poller_add(d);
    if (const SimHooks* sim = simulation()) sim->net->watch(d->fd, d);
    return 0;
}
void close_fd(int fd) {
    if (!is_simulated(fd)) kernel::sys_close(fd);
    else if (const SimHooks* sim = simulation()) sim->net->close(fd);
}

void unlock_desc(void* d, G*) GORT_NO_TSA { static_cast<PollDesc*>(d)->lock.unlock(); }

// A thread without a P will not look for events itself when it sleeps: somebody has to.
void unlock_desc_and_call_poller(void* d, G*) GORT_NO_TSA {
    static_cast<PollDesc*>(d)->lock.unlock();
    kernel::LockGuard guard(sched.lock);
    if (!sched.poller.load(std::memory_order_relaxed)) wake_one_locked();
}

G* take_waiter(Side* s, int why) {
    G* gp = s->waiter;
    if (!gp) return nullptr;
    s->waiter = nullptr;
    s->woken = why;
    sched.poll_waiters.fetch_sub(1, std::memory_order_relaxed);
    return gp;
}

void arm(M* mp, Side* s) {
    bool earliest = false;
    s->armed = s->deadline;
    timer_reset(timers_of(mp), &s->timer, s->deadline, 0, &earliest);
    if (earliest) timer_hurry(mp);
}

void disarm(Side* s) {
    if (!s->armed) return;
    s->armed = 0;
    timer_stop(&s->timer);
}

void deadline_due(Timer* t, int64_t, uint64_t) {
    auto* d = static_cast<PollDesc*>(t->arg);
    Side* s = &d->side[t == &d->side[kWrite].timer];
    M* mp = self();
    G* gp = nullptr;
    d->lock.lock();
    s->armed = 0;
    if (s->waiter && s->deadline) {
        if (s->deadline <= now()) gp = take_waiter(s, -ETIMEDOUT);
        else arm(mp, s);
    }
    d->lock.unlock();
    if (gp) ready(mp, gp);
}

// Why the operation may not go on, or 0.
int trouble(const PollDesc* d, const Side* s) {
    if (d->closing) return kErrClosed;
    if (s->deadline && s->deadline <= now()) return d->barred ? d->barred : -ETIMEDOUT;
    if (d->event_err && s == &d->side[kRead]) return kErrNotPollable;
    return 0;
}

// The owner waits for an edge. Entered under the lock; left without it after an edge was waited for, else still
// under it.
int wait_locked(M** mp, PollDesc* d, Side* s, bool* locked) GORT_NO_TSA {
    for (;;) {
        *locked = true;
        if (const int r = trouble(d, s)) return r;
        if (s->ready) {
            s->ready = false;
            return 0;
        }
        if (sched.state.load(std::memory_order_relaxed) != RunState::kRunning) return -ECANCELED;
        if (!d->registered) {
            if (const int r = add_to_poller(d)) return r;
            d->registered = true;
            if (s->ready) continue;  // a simulation says at once what holds already
        }
        if (s->deadline && (!s->armed || s->armed > s->deadline)) arm(*mp, s);
        s->waiter = (*mp)->curg;
        s->woken = 0;
        sched.poll_waiters.fetch_add(1, std::memory_order_relaxed);
        *mp = park(*mp, (*mp)->foreign ? unlock_desc_and_call_poller : unlock_desc, d, WaitReason::kIoWait);
        *locked = false;
        if (s->woken == 0) return 0;
        if (s->woken == -ECANCELED) return -ECANCELED;  // the runtime has stopped
        d->lock.lock();                                 // the deadline may have moved meanwhile
    }
}

void free_desc(PollDesc* d) {
    d->lock.lock();
    d->gen = (d->gen + 1) & ((1u << kGenBits) - 1);
    d->fd = -1;
    d->lock.unlock();
    kernel::LockGuard guard(desc_lock);
    d->next_free = free_descs;
    free_descs = d;
    --live;
}

// Under the lock: if no operation is inside and none will come, the descriptor, for bury. Only once.
int last_rites(PollDesc* d) {
    if (!d->closing || d->side[kRead].owner || d->side[kWrite].owner) return -1;
    const int fd = d->fd;
    d->fd = -1;
    return fd;
}

void bury(M* mp, PollDesc* d, int fd) {
    if (d->registered && (d->flags & (kDescShared | kDescBorrowed)) && !is_simulated(fd)) poller_remove(fd);
    if (!(d->flags & kDescBorrowed)) close_fd(fd);
    d->lock.lock();
    d->gone = true;
    G* closer = d->closer;
    d->closer = nullptr;
    const bool orphan = d->orphan;
    d->lock.unlock();
    if (closer) ready(mp, closer);
    if (orphan) free_desc(d);
}

// Ends the owner's operation; unlocks.
void end_locked(M* mp, PollDesc* d, Side* s) GORT_NO_TSA {
    G* next = nullptr;
    if (!d->closing) next = s->queue.pop();
    s->owner = next;
    const int fd = last_rites(d);
    d->lock.unlock();
    if (next) ready(mp, next);
    if (fd >= 0) bury(mp, d, fd);
}

int alloc_desc(PollDesc** out) {
    kernel::LockGuard guard(desc_lock);
    if (const int r = poller_open()) return r;
    PollDesc* d = free_descs;
    if (d) free_descs = d->next_free;
    ++live;
    *out = d;
    return 0;
}

}  // namespace

void poll_event(PollDesc* d, uint32_t gen, uint32_t bits, G* wake[2]) {
    d->lock.lock();
    if (d->gen == gen && !d->closing) {
        d->event_err = bits == kernel::kPollErr;
        constexpr uint32_t kBoth = kernel::kPollHup | kernel::kPollErr;
        if (bits & (kernel::kPollRdHup | kernel::kPollPri | kBoth)) d->always = true;
        const bool has[2] = {(bits & (kernel::kPollIn | kernel::kPollPri | kernel::kPollRdHup | kBoth)) != 0,
                             (bits & (kernel::kPollOut | kBoth)) != 0};
        for (unsigned i : {kRead, kWrite}) {
            if (!has[i]) continue;
            wake[i] = take_waiter(&d->side[i], 0);
            if (!wake[i]) d->side[i].ready = true;
        }
    }
    d->lock.unlock();
}

// The run has ended: its goroutines never come back, and its timers are forgotten. Only threads of the program's own
// still have operations under way. They learn of it; what they hold stays theirs.
void poll_end_run() {
    for (PollDesc* d = all_descs.load(std::memory_order_acquire); d; d = d->next_all) {
        GList wake;
        d->lock.lock();
        for (Side& s : d->side) {
            s.timer.home.store(nullptr, std::memory_order_relaxed);
            s.timer.slot = nullptr;
            s.armed = 0;
            s.drained = false;
            s.ready = true;  // whatever was fetched for this run is lost: the next wait looks for itself
            if (G* gp = take_waiter(&s, -ECANCELED); gp && (gp->flags & kGForeign)) wake.push(gp);
            GList queue;
            while (G* gp = s.queue.pop())
                if (gp->flags & kGForeign) queue.push(gp);
            s.queue = queue;
            if (s.owner && !(s.owner->flags & kGForeign)) {
                s.owner = s.queue.pop();
                if (s.owner) wake.push(s.owner);
            }
        }
        if (d->closer && !(d->closer->flags & kGForeign)) d->closer = nullptr;
        const int fd = last_rites(d);
        d->lock.unlock();
        while (G* gp = wake.pop()) ready_global(gp);
        if (fd >= 0) bury(self(), d, fd);
    }
}

void poll_forked() {
    for (PollDesc* d = all_descs.load(std::memory_order_acquire); d; d = d->next_all) {
        d->registered = false;
        for (Side& s : d->side) s.ready = true;
    }
}

int poll_open(int fd, uint16_t flags, bool at_once, PollDesc** out) {
    check_not_forked();
    PollDesc* d;
    if (const int r = alloc_desc(&d)) return r;
    if (!d) {
        if (!slab.alloc_many(&d, 1)) {
            kernel::LockGuard guard(desc_lock);
            --live;
            return -ENOMEM;
        }
        for (Side& s : d->side) {
            s.timer.fn = deadline_due;
            s.timer.arg = d;
        }
        d->next_all = all_descs.load(std::memory_order_relaxed);
        while (!all_descs.compare_exchange_weak(d->next_all, d, std::memory_order_release)) {
        }
    }
    M* mp = enter();
    d->lock.lock();  // a late event or timer of its last life may be looking at it
    d->fd = fd;
    d->flags = flags;
    d->registered = d->closing = d->gone = d->orphan = d->always = d->event_err = false;
    d->barred = 0;
    d->bars = 0;
    d->handles.store(1, std::memory_order_relaxed);
    for (Side& s : d->side) {
        s.deadline = 0;
        s.ready = s.drained = false;
    }
    int r = 0;
    if (at_once) {
        r = add_to_poller(d);
        d->registered = r == 0;
    }
    d->lock.unlock();
    leave(mp);
    if (r == 0) *out = d;
    else free_desc(d);
    return r;
}

int poll_live() {
    kernel::LockGuard guard(desc_lock);
    return live;
}

int poll_own_fds() {
    kernel::LockGuard guard(desc_lock);
    return poller_own_fds();
}

int poll_begin(PollDesc* d, unsigned side) GORT_NO_TSA {
    M* mp = enter();
    Side* s = &d->side[side];
    d->lock.lock();
    if (d->closing) {
        d->lock.unlock();
        leave(mp);
        return kErrClosed;
    }
    if (s->owner) [[unlikely]] {
        if (s->queue.count >= kMostWaiting) {
            d->lock.unlock();
            leave(mp);
            host_throw_panic("too many concurrent operations on a single file or socket (max 1048575)");
        }
        s->queue.push(mp->curg);
        mp = park(mp, unlock_desc, d, WaitReason::kSemacquire);
        d->lock.lock();
        if (s->owner != mp->curg) {  // close sent us away
            d->lock.unlock();
            leave(mp);
            return kErrClosed;
        }
    }
    s->owner = mp->curg;
    int r = trouble(d, s);
    bool locked = true;
    if (r == 0) {
        if (s->drained && !s->ready && !d->always) r = wait_locked(&mp, d, s, &locked);
        else s->ready = false;
    }
    if (r != 0) {
        if (!locked) d->lock.lock();
        end_locked(mp, d, s);
    } else if (locked) {
        d->lock.unlock();
    }
    leave(mp);
    return r;
}

int poll_wait(PollDesc* d, unsigned side) GORT_NO_TSA {
    M* mp = enter();
    bool locked = true;
    d->lock.lock();
    const int r = wait_locked(&mp, d, &d->side[side], &locked);
    if (locked) d->lock.unlock();
    leave(mp);
    return r;
}

void poll_end(PollDesc* d, unsigned side, bool drained) GORT_NO_TSA {
    M* mp = enter();
    d->lock.lock();
    if (d->side[side].owner != mp->curg) [[unlikely]] {
        d->lock.unlock();
        leave(mp);
        host_throw_panic("inconsistent poll.fdMutex");
    }
    d->side[side].drained = drained;
    end_locked(mp, d, &d->side[side]);
    leave(mp);
}

int poll_with(PollDesc* d, int (*fn)(int, void*), void* arg) {
    M* mp = enter();
    d->lock.lock();
    const int r = d->closing ? kErrClosed : fn(d->fd, arg);
    d->lock.unlock();
    leave(mp);
    return r;
}

int poll_set_deadline(PollDesc* d, unsigned sides, int64_t when) {
    M* mp = enter();
    G* wake[2] = {};
    d->lock.lock();
    const int r = d->closing ? kErrClosed : 0;
    for (unsigned i : {kRead, kWrite}) {
        if (r || !(sides & 1u << i)) continue;
        Side* s = &d->side[i];
        if (d->barred) {
            s->kept = when;
            continue;
        }
        s->deadline = when;
        if (!when) disarm(s);
        else if (s->waiter && when <= now()) wake[i] = take_waiter(s, -ETIMEDOUT);
        else if (s->waiter && (!s->armed || s->armed > when)) arm(mp, s);
    }
    d->lock.unlock();
    for (G* gp : wake)
        if (gp) ready(mp, gp);
    leave(mp);
    return r;
}

void poll_bar(PollDesc* d, int error) {
    M* mp = enter();
    G* wake[2] = {};
    d->lock.lock();
    if (!d->closing && d->bars++ == 0) {
        d->barred = error;
        for (unsigned i : {kRead, kWrite}) {
            Side* s = &d->side[i];
            s->kept = s->deadline;
            s->deadline = 1;
            disarm(s);
            wake[i] = take_waiter(s, error);
        }
    }
    d->lock.unlock();
    for (G* gp : wake)
        if (gp) ready(mp, gp);
    leave(mp);
}

void poll_unbar(PollDesc* d) {
    M* mp = enter();
    d->lock.lock();
    if (!d->closing && d->bars != 0 && --d->bars == 0) {
        d->barred = 0;
        for (Side& s : d->side) s.deadline = s.kept;
    }
    d->lock.unlock();
    leave(mp);
}

namespace {
// wait: until the descriptor is given up; the caller has a handle.
int close_desc(PollDesc* d, bool wait) GORT_NO_TSA {
    M* mp = enter();
    d->lock.lock();
    if (d->closing) {
        d->lock.unlock();
        leave(mp);
        return kErrClosed;
    }
    d->closing = true;
    GList wake;
    for (Side& s : d->side) {
        disarm(&s);
        if (G* gp = take_waiter(&s, kErrClosed)) wake.push(gp);
        while (G* gp = s.queue.pop()) wake.push(gp);
    }
    const int fd = last_rites(d);
    d->lock.unlock();
    while (G* gp = wake.pop()) ready(mp, gp);
    if (fd >= 0) {
        bury(mp, d, fd);
    } else if (wait) {
        d->lock.lock();
        if (!d->gone) {
            d->closer = mp->curg;
            mp = park(mp, unlock_desc, d, WaitReason::kIoWait);
        } else {
            d->lock.unlock();
        }
    }
    leave(mp);
    return 0;
}
}  // namespace

int poll_close(PollDesc* d) { return close_desc(d, true); }

int poll_release(PollDesc* d) {
    M* mp = enter();
    d->lock.lock();
    const int fd = d->closing ? kErrClosed : d->fd;
    if (fd >= 0) d->flags |= kDescBorrowed;  // so that close leaves it open, and epoll forgets it
    d->lock.unlock();
    leave(mp);
    if (fd < 0) return fd;
    const int r = poll_close(d);
    return r ? r : fd;
}

void poll_drop(PollDesc* d) {
    if (d->handles.fetch_sub(1, std::memory_order_acq_rel) != 1) return;  // P2
    M* mp = enter();
    d->lock.lock();
    const bool closed = d->closing, gone = d->gone;
    d->orphan = !gone;
    d->lock.unlock();
    leave(mp);
    if (gone) free_desc(d);
    else if (!closed) close_desc(d, false);
}

}  // namespace gort::rt
