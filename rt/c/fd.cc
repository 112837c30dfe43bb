// rt/c/fd.cc - gort_c.h: waiting for a descriptor that is the caller's.
// SPDX-License-Identifier: BSD-2-Clause
//
// WATCHED: a socket, pipe or terminal that somebody has waited for is registered with the poller once, and kept, until
// gort_fd_forget or until its number is found to be another file's. One waits for each direction at a time.
// ALONE: every other wait (a second one in the same direction, one in either direction, a descriptor whose file cannot
// be told from another's, one that the poller has already) makes an epoll of its own with the descriptor in it, and
// waits for that. It costs five system calls more.
// Either way the descriptor itself is asked first, and after each wake: an edge says that something happened, not that
// it is still so.
// Lock: g_lock, a thread's, for the table and what is in it. Nothing that enters the gate is called under it: there a
// goroutine may be left for good when its run ends. What such a one leaves behind is never freed.
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "kernel/lock.h"
#include "kernel/sys.h"
#include "rt/c/c.h"
#include "rt/net/netpoll.h"
#include "rt/time/clock.h"

using namespace gort;
using namespace gort::rt;

namespace gort::c {

namespace {

constexpr int kReadable = 1, kWritable = 2, kEither = kReadable | kWritable;

struct Wait {  // alone
    PollDesc* d;
    Wait* next;
};

struct Entry {
    int fd;
    uint64_t device, inode;
    PollDesc* watched = nullptr;
    bool busy[2] = {};
    Wait* alone = nullptr;
    uint32_t users = 0;  // waits under way
    Entry* next = nullptr;
};

constexpr size_t kBuckets = 1024;
Entry* g_entries[kBuckets];
kernel::Mutex g_lock{kernel::LockRank::kLeaf};

Entry** place_of(int fd) {
    Entry** at = &g_entries[static_cast<size_t>(fd) % kBuckets];
    while (*at && (*at)->fd != fd) at = &(*at)->next;
    return at;
}

struct Identity {
    uint64_t device = 0, inode = 0;
    bool known = false;
};
Identity identity_of(int fd) {
    struct stat st;
    if (kernel::sys_fstat(fd, &st) != 0) return {};
    // eventfd, timerfd and their like share one inode.
    const bool known = S_ISSOCK(st.st_mode) || S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode);
    return {st.st_dev, st.st_ino, known};
}

// 1: ready, or has an error; 0: not yet; -errno
int look(int fd, int events) {
    const kernel::Timespec none{0, 0};
    pollfd p{fd, 0, 0};
    if (events & kReadable) p.events |= POLLIN;
    if (events & kWritable) p.events |= POLLOUT;
    for (;;) {
        const int r = kernel::sys_ppoll(&p, 1, &none);
        if (r == -EINTR) continue;
        if (r > 0 && (p.revents & POLLNVAL)) return -EBADF;
        return r;
    }
}

gort_status status_of(int r) {
    switch (r) {
    case -ETIMEDOUT: return GORT_TIMEOUT;
    case -ECANCELED: return GORT_CANCELED;
    case -ENOMEM:
    case -EMFILE:
    case -ENFILE:
    case -ENOSPC: return GORT_NO_MEMORY;
    case -EBADF: return GORT_INVALID;
    case kErrClosed: return GORT_CLOSED;
    default: return GORT_OK;
    }
}

// Until fd is ready; d's side tells of changes.
int wait_on(PollDesc* d, unsigned side, int fd, int events, int64_t deadline) {
    poll_set_deadline(d, 1u << side, deadline == GORT_FOREVER ? 0 : deadline < 1 ? 1 : deadline);
    int r = poll_begin(d, side);
    if (r != 0) return r;
    while (r == 0 && (r = look(fd, events)) == 0) r = poll_wait(d, side);
    poll_end(d, side);
    return r;
}

// ---- a wait of its own

int open_alone(int fd, int events, PollDesc** out) {
    const int ep = kernel::sys_epoll_create1(EPOLL_CLOEXEC);
    if (ep < 0) return ep;
    epoll_event ev{};
    if (events & kReadable) ev.events |= EPOLLIN | EPOLLRDHUP;
    if (events & kWritable) ev.events |= EPOLLOUT;
    int r = kernel::sys_epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
    if (r == 0) r = poll_open(ep, 0, true, out);
    if (r != 0) kernel::sys_close(ep);
    return r;
}

void unlink(Entry* e, const Wait* w) {
    Wait** at = &e->alone;
    while (*at && *at != w) at = &(*at)->next;
    if (*at) *at = w->next;
}

// With the lock: the caller's use of e is over.
void leave_entry(Entry* e) {
    if (--e->users || e->watched || e->alone) return;
    Entry** at = place_of(e->fd);
    if (*at != e) return host_free(e);  // forgotten meanwhile
    *at = e->next;
    host_free(e);
}

int wait_alone(Entry* e, int fd, int events, int64_t deadline) {
    auto* w = static_cast<Wait*>(host_alloc(sizeof(Wait)));
    int r = w ? open_alone(fd, events, &w->d) : -ENOMEM;
    if (r == 0) {
        bool forgotten;
        {
            kernel::LockGuard guard(g_lock);
            forgotten = *place_of(fd) != e;
            if (!forgotten) {
                w->next = e->alone;
                e->alone = w;
            }
        }
        r = forgotten ? kErrClosed : wait_on(w->d, kRead, fd, events, deadline);
        {
            kernel::LockGuard guard(g_lock);
            unlink(e, w);
        }
        poll_drop(w->d);
    }
    host_free(w);
    kernel::LockGuard guard(g_lock);
    leave_entry(e);
    return r;
}

// ---- the table

// With the lock: takes e out, and what it watched for the caller to release.
void take_out(Entry** at, PollDesc** watched) {
    Entry* e = *at;
    *at = e->next;
    *watched = e->watched;
    e->watched = nullptr;
    if (!e->users && !e->alone) host_free(e);
}

void release(PollDesc* d) {
    if (!d) return;
    poll_release(d);
    poll_drop(d);
}

// fd's entry with one user more; null: no memory.
Entry* enter_entry(int fd, const Identity& id) {
    PollDesc* stale = nullptr;
    Entry* e;
    {
        kernel::LockGuard guard(g_lock);
        Entry** at = place_of(fd);
        if (*at && (*at)->users == 0 && ((*at)->device != id.device || (*at)->inode != id.inode))
            take_out(at, &stale);  // closed without gort_fd_forget
        e = *place_of(fd);
        if (!e) {
            if (void* memory = host_alloc(sizeof(Entry))) {
                e = new (memory) Entry{.fd = fd, .device = id.device, .inode = id.inode};
                e->next = g_entries[static_cast<size_t>(fd) % kBuckets];
                g_entries[static_cast<size_t>(fd) % kBuckets] = e;
            }
        }
        if (e) ++e->users;
    }
    release(stale);
    return e;
}

// The descriptor that the poller watches, with a reference, if this wait may use it. Null: it has to go alone.
PollDesc* watch(Entry* e, unsigned side, const Identity& id) {
    PollDesc* fresh = nullptr;
    PollDesc* mine = nullptr;
    for (;;) {
        {
            kernel::LockGuard guard(g_lock);
            if (e->busy[side] || e->device != id.device || e->inode != id.inode || *place_of(e->fd) != e)
                break;
            if (!e->watched) {
                e->watched = fresh;
                fresh = nullptr;
            }
            if (e->watched) {
                mine = e->watched;
                e->busy[side] = true;
                poll_retain(mine);
                break;
            }
        }
        if (poll_open(e->fd, kDescBorrowed | kDescShared, true, &fresh) != 0) return nullptr;
    }
    if (fresh) poll_drop(fresh);
    return mine;
}

int wait_parked(int fd, int events, int64_t deadline) {
    const Identity id = identity_of(fd);
    Entry* e = enter_entry(fd, id);
    if (!e) return -ENOMEM;
    const unsigned side = events == kWritable ? kWrite : kRead;
    PollDesc* d = id.known && events != kEither ? watch(e, side, id) : nullptr;
    if (!d) return wait_alone(e, fd, events, deadline);
    const int r = wait_on(d, side, fd, events, deadline);
    poll_drop(d);
    kernel::LockGuard guard(g_lock);
    e->busy[side] = false;
    leave_entry(e);
    return r;
}

}  // namespace

}  // namespace gort::c

using namespace gort::c;

extern "C" {

gort_status gort_fd_wait(int fd, int events, int64_t deadline) {
    GORT_C_FENCE();
    if (events < kReadable || events > kEither || fd < 0) return GORT_INVALID;
    const int r = look(fd, events);
    if (r != 0) return status_of(r);
    if (deadline != GORT_FOREVER && deadline <= now()) return GORT_TIMEOUT;
    return status_of(wait_parked(fd, events, deadline));
}

void gort_fd_forget(int fd) {
    GORT_C_FENCE();
    if (fd < 0) return;
    PollDesc* watched = nullptr;
    for (;;) {
        PollDesc* alone = nullptr;
        {
            kernel::LockGuard guard(g_lock);
            Entry** at = place_of(fd);
            if (!*at) break;
            Entry* e = *at;
            if (e->alone) {
                poll_retain(alone = e->alone->d);
                e->alone = e->alone->next;
            } else {
                take_out(at, &watched);
                break;
            }
        }
        poll_close(alone);
        poll_drop(alone);
    }
    release(watched);
}

}  // extern "C"
