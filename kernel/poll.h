// kernel/poll.h - epoll with a deadline in nanoseconds, and an eventfd that ends a wait from outside.
// SPDX-License-Identifier: BSD-2-Clause
//
// Invariants: (1) a wake between two waits ends the second one. (2) wakes that come before the waiter looked
//                 are one.
// Context:    add, modify, remove, wake: any thread; wake also in signal handlers. wait: one thread at a time
//             may block, and any number may look (timeout 0) meanwhile: a look leaves the wake to the one
//             that blocks.
// Ordering:   P1 what a thread wrote before wake() is seen by the waiter when the wait that it ended has
//                returned.
// Results:    >= 0 or -errno.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace gort::kernel {

enum PollBits : uint32_t {  // the kernel's EPOLL bits
    kPollIn = 0x001,
    kPollPri = 0x002,
    kPollOut = 0x004,
    kPollErr = 0x008,
    kPollHup = 0x010,
    kPollRdHup = 0x2000,
    kPollOneShot = 1u << 30,
    kPollEdge = 1u << 31,
};

#if defined(__x86_64__)
struct [[gnu::packed]] PollEvent {  // the kernel's struct epoll_event, packed there on x86-64 only
#else
struct PollEvent {
#endif
    uint32_t bits;
    uint64_t data;
};

class Poller {
public:
    constexpr Poller() = default;
    Poller(const Poller&) = delete;
    Poller& operator=(const Poller&) = delete;

    int open();    // 0 or -errno, and then nothing is open
    void close();  // no other thread may be inside
    bool is_open() const { return epfd_ >= 0; }

    // `data` comes back with every event of fd; all values but ~0 are the caller's.
    int add(int fd, uint32_t bits, uint64_t data);
    int modify(int fd, uint32_t bits, uint64_t data);
    int remove(int fd);

    // Up to `max` events; timeout_ns < 0: for ever, 0: only look. 0 events: time passed, a wake, or a signal.
    int wait(PollEvent* events, int max, int64_t timeout_ns);
    int wake();

private:
    int epfd_ = -1;
    int eventfd_ = -1;
    std::atomic<uint32_t> woken_{0};  // 1: the eventfd was written and the waiter has not read it yet
};

}  // namespace gort::kernel
