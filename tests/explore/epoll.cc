// tests/explore/epoll.cc - epoll and eventfd as the model has them: edges that a piece makes, and waits for them.
// SPDX-License-Identifier: BSD-2-Clause
#include <sys/epoll.h>

#include <cerrno>

#include "kernel/sys.h"
#include "tests/explore/world.h"

using namespace gort;
using namespace gort::explore;
using kernel::Timespec;

#define WRAP(mangled) __asm__("__wrap_" mangled)
#define PC __builtin_return_address(0)

namespace {

constexpr int kEpoll = 500, kEvent = 501;
struct Watched {
    int fd;
    uint32_t edge;   // what has come and nobody has been told yet
    uint32_t level;  // what is so
    bool registered;
    uint64_t data;
};
Watched watched[4];
int nwatched = 0;
uint64_t count_of_event = 0, data_of_event = 0;
char sleepers;  // its address is what they wait on

void changed() {
    world->wrote(reinterpret_cast<uintptr_t>(watched));
    world->wrote(reinterpret_cast<uintptr_t>(watched) + sizeof watched);
    world->wrote(reinterpret_cast<uintptr_t>(&count_of_event));
    world->wrote(reinterpret_cast<uintptr_t>(&nwatched));
}
Watched* find(int fd) {
    for (int i = 0; i < nwatched; ++i)
        if (watched[i].fd == fd) return &watched[i];
    if (nwatched == 4) world->stop("more descriptors than the explorer has", nullptr);
    Watched* w = &watched[nwatched++];
    *w = {fd, 0, 0, false, 0};
    return w;
}
void enter(Op what) {
    world->memory.compiler_fence(world->view());
    world->step(what, &sleepers, false);
    world->note(what, nullptr, 0, Order::kPlain, PC);
    changed();
}

}  // namespace

namespace gort::explore {

void make_edge(int fd, uint32_t bits) {
    enter(Op::kFutexWake);
    Watched* w = find(fd);
    w->level |= bits;
    if (w->registered) w->edge |= bits;
    world->wake(&sleepers, kThreads);
}

}  // namespace gort::explore

int wrap_create(int) WRAP("_ZN4gort6kernel17sys_epoll_create1Ei");
int wrap_create(int) { return kEpoll; }
int wrap_eventfd(unsigned, int) WRAP("_ZN4gort6kernel12sys_eventfd2Eji");
int wrap_eventfd(unsigned, int) { return kEvent; }
int wrap_ctl(int, int op, int fd, epoll_event* e) WRAP("_ZN4gort6kernel13sys_epoll_ctlEiiiP11epoll_event");
int wrap_ctl(int, int op, int fd, epoll_event* e) {
    enter(Op::kFutexWake);
    if (fd == kEvent) {
        data_of_event = e->data.u64;
        return 0;
    }
    Watched* w = find(fd);
    w->registered = op != EPOLL_CTL_DEL;
    if (w->registered) w->data = e->data.u64;
    w->edge = w->registered ? w->level : 0;
    if (w->edge) world->wake(&sleepers, kThreads);
    return 0;
}
int wrap_wait(int, epoll_event* events, int max, const Timespec* timeout)
    WRAP("_ZN4gort6kernel16sys_epoll_pwait2EiP11epoll_eventiPKNS0_8TimespecE");
int wrap_wait(int, epoll_event* events, int max, const Timespec* timeout) {
    const int64_t ns = timeout ? kernel::to_ns(*timeout) : -1;
    const int64_t until = ns < 0 ? -1 : world->now + ns;
    for (;;) {
        enter(Op::kFutexWait);
        int n = 0;
        if (count_of_event && n < max) {
            events[n].events = EPOLLIN;
            events[n++].data.u64 = data_of_event;
        }
        for (int i = 0; i < nwatched && n < max; ++i) {
            if (!watched[i].edge) continue;
            events[n].events = watched[i].edge;
            events[n++].data.u64 = watched[i].data;
            watched[i].edge = 0;
        }
        if (n || ns == 0) return n;
        world->wait(&sleepers, until);
        world->memory.compiler_fence(world->view());
        if (world->me().timed_out) return 0;
    }
}
long wrap_read(int fd, void* buf, size_t size) WRAP("_ZN4gort6kernel8sys_readEiPvm");
long real_read(int fd, void* buf, size_t size) __asm__("__real__ZN4gort6kernel8sys_readEiPvm");
long wrap_read(int fd, void* buf, size_t size) {
    if (fd != kEvent) return real_read(fd, buf, size);
    enter(Op::kFutexWake);
    if (!count_of_event) return -EAGAIN;
    *static_cast<uint64_t*>(buf) = count_of_event;
    count_of_event = 0;
    return 8;
}
long wrap_write(int fd, const void* buf, size_t size) WRAP("_ZN4gort6kernel9sys_writeEiPKvm");
long real_write(int fd, const void* buf, size_t size) __asm__("__real__ZN4gort6kernel9sys_writeEiPKvm");
long wrap_write(int fd, const void* buf, size_t size) {
    if (fd != kEvent) return real_write(fd, buf, size);
    enter(Op::kFutexWake);
    ++count_of_event;
    world->wake(&sleepers, kThreads);
    return 8;
}
int wrap_close(int) WRAP("_ZN4gort6kernel9sys_closeEi");
int wrap_close(int fd) {
    if (fd < kEpoll) return 0;
    enter(Op::kFutexWake);
    find(fd)->registered = false;
    return 0;
}
