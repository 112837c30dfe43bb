// kernel/poll.cc - epoll and eventfd.
// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/poll.h"

#include <linux/eventpoll.h>
#include <linux/fcntl.h>

#include "kernel/fatal.h"
#include "kernel/sys.h"

namespace gort::kernel {

static_assert(sizeof(PollEvent) == sizeof(epoll_event));

namespace {

constexpr uint64_t kWakeData = ~uint64_t{0};
constexpr int kCloseOnExec = O_CLOEXEC, kNonBlock = O_NONBLOCK;  // eventfd's and epoll's flags are open's

epoll_event* raw(PollEvent* e) { return reinterpret_cast<epoll_event*>(e); }

// Set once epoll_pwait2 (Linux 5.11) turned out to be missing.
std::atomic<bool> g_no_pwait2{false};

int wait_ms(int epfd, PollEvent* events, int max, int64_t ns) {
    constexpr int64_t kNsPerMs = 1'000'000;
    // Rounded up: a timer that is due in 0.3 ms must not be waited for with 0 in a loop.
    const int64_t ms = ns < 0 ? -1 : ns / kNsPerMs + (ns % kNsPerMs != 0);
    return sys_epoll_pwait(epfd, raw(events), max, static_cast<int>(ms < INT32_MAX ? ms : INT32_MAX));
}

int wait_ns(int epfd, PollEvent* events, int max, int64_t ns) {
    if (!g_no_pwait2.load(std::memory_order_relaxed)) {
        const Timespec timeout = to_timespec(ns < 0 ? 0 : ns);
        const int n = sys_epoll_pwait2(epfd, raw(events), max, ns < 0 ? nullptr : &timeout);
        if (n != -ENOSYS && n != -EPERM) return n;  // EPERM: a seccomp filter that does not know it
        g_no_pwait2.store(true, std::memory_order_relaxed);
    }
    return wait_ms(epfd, events, max, ns);
}

}  // namespace

int Poller::open() {
    const int epfd = sys_epoll_create1(kCloseOnExec);
    if (epfd < 0) return epfd;
    const int event = sys_eventfd2(0, kCloseOnExec | kNonBlock);
    if (event < 0) {
        sys_close(epfd);
        return event;
    }
    epfd_ = epfd;
    eventfd_ = event;
    woken_.store(0, std::memory_order_relaxed);
    const int r = add(event, kPollIn, kWakeData);
    if (r != 0) close();
    return r;
}

void Poller::close() {
    if (epfd_ >= 0) sys_close(epfd_);
    if (eventfd_ >= 0) sys_close(eventfd_);
    epfd_ = eventfd_ = -1;
}

int Poller::add(int fd, uint32_t bits, uint64_t data) {
    PollEvent e{bits, data};
    return sys_epoll_ctl(epfd_, EPOLL_CTL_ADD, fd, raw(&e));
}
int Poller::modify(int fd, uint32_t bits, uint64_t data) {
    PollEvent e{bits, data};
    return sys_epoll_ctl(epfd_, EPOLL_CTL_MOD, fd, raw(&e));
}
int Poller::remove(int fd) {
    PollEvent e{0, 0};  // ignored; Linux before 2.6.9 wants one
    return sys_epoll_ctl(epfd_, EPOLL_CTL_DEL, fd, raw(&e));
}

int Poller::wait(PollEvent* events, int max, int64_t timeout_ns) {
    const int n = wait_ns(epfd_, events, max, timeout_ns);
    if (n == -EINTR) return 0;
    int kept = 0;
    for (int i = 0; i < n; ++i) {
        if (events[i].data == kWakeData) {
            if (timeout_ns == 0) continue;  // only a look: the wake is for the thread that blocks
            // Read first, then say that it was read: the other way round a wake in between would be swallowed
            // while woken_ stays 1, and no later one would ever write.
            uint64_t count;
            long r;
            do {
                r = sys_read(eventfd_, &count, sizeof count);
            } while (r == -EINTR);
            woken_.exchange(0, std::memory_order_acq_rel);  // P1
        } else {
            if (kept != i) events[kept] = events[i];
            ++kept;
        }
    }
    return n < 0 ? n : kept;
}

int Poller::wake() {
    if (woken_.exchange(1, std::memory_order_acq_rel) == 1) return 0;  // P1: the waiter's exchange reads ours
    const uint64_t one = 1;
    for (;;) {
        const long r = sys_write(eventfd_, &one, sizeof one);
        if (r == -EINTR) continue;
        if (r >= 0) return 0;
        woken_.store(0, std::memory_order_relaxed);  // not written: the next wake must try again
        return static_cast<int>(r);
    }
}

}  // namespace gort::kernel
