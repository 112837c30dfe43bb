// tests/kernel_poll_test.cc - epoll, deadlines with and without epoll_pwait2, and the wake-up from outside.
// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/poll.h"

#include <fcntl.h>

#include "kernel/clock.h"
#include "kernel/fatal.h"
#include "kernel/thread.h"
#include "tests/kernel_test.h"

using namespace gort::kernel;
using namespace kernel_test;

struct Pipe {
    int in = -1, out = -1;
    Pipe() {
        int fds[2];
        CHECK_EQ(sys_pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
        in = fds[0];
        out = fds[1];
    }
    ~Pipe() {
        sys_close(in);
        if (out >= 0) sys_close(out);
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
};

struct OpenPoller : Poller {
    OpenPoller() { CHECK_EQ(open(), 0); }
    ~OpenPoller() { close(); }
};

TEST(events_come_with_their_data) {
    OpenPoller p;
    Pipe a, b;
    CHECK_EQ(p.add(a.in, kPollIn | kPollRdHup, 0x1122334455667788), 0);
    CHECK_EQ(p.add(b.in, kPollIn, 2), 0);
    CHECK_EQ(p.add(b.out, kPollOut, 3), 0);
    PollEvent e[8];
    CHECK_EQ(p.wait(e, 8, 0), 1);
    CHECK_EQ(uint64_t{e[0].data}, 3);
    CHECK_EQ(uint32_t{e[0].bits}, kPollOut);
    CHECK_EQ(p.remove(b.out), 0);
    CHECK_EQ(p.wait(e, 8, 0), 0);
    CHECK_EQ(sys_write(a.out, "x", 1), 1);
    CHECK_EQ(p.wait(e, 8, -1), 1);
    CHECK_EQ(uint64_t{e[0].data}, 0x1122334455667788);
    CHECK_EQ(p.modify(a.in, kPollIn, 9), 0);
    CHECK_EQ(p.wait(e, 8, -1), 1);
    CHECK_EQ(uint64_t{e[0].data}, 9);
    sys_close(a.out);
    a.out = -1;
    CHECK_EQ(p.wait(e, 8, -1), 1);
    CHECK_EQ(uint32_t{e[0].bits}, kPollIn | kPollHup);
    CHECK_EQ(p.add(a.in, kPollIn, 1), -EEXIST);
    CHECK_EQ(p.modify(b.out, kPollIn, 1), -ENOENT);
    CHECK_EQ(p.remove(b.out), -ENOENT);
    TempDir dir;
    dir.write("/file", "");
    const int file = sys_open((dir.path + "/file").c_str(), O_RDONLY);
    CHECK_EQ(p.add(file, kPollIn, 1), -EPERM);  // a regular file cannot be waited for
    sys_close(file);
}

TEST(edge_and_one_shot) {
    OpenPoller p;
    Pipe a, b;
    CHECK_EQ(p.add(a.in, kPollIn | kPollEdge, 1), 0);
    CHECK_EQ(p.add(b.in, kPollIn | kPollOneShot, 2), 0);
    PollEvent e[8];
    sys_write(a.out, "x", 1);
    sys_write(b.out, "x", 1);
    CHECK_EQ(p.wait(e, 8, -1), 2);
    CHECK_EQ(p.wait(e, 8, 0), 0);
    sys_write(a.out, "x", 1);
    sys_write(b.out, "x", 1);
    CHECK_EQ(p.wait(e, 8, -1), 1);
    CHECK_EQ(uint64_t{e[0].data}, 1);
}

static void deadlines() {
    OpenPoller p;
    PollEvent e[2];
    for (int64_t ns : {int64_t{0}, int64_t{1}, int64_t{300'000}, int64_t{2'500'000}}) {
        const int64_t start = nanotime();
        CHECK_EQ(p.wait(e, 2, ns), 0);
        CHECK_LE(ns, nanotime() - start);  // never early
    }
    // Far away and for ever still end with a wake.
    for (int64_t ns : {INT64_MAX, int64_t{-1}, int64_t{1} << 60}) {
        CHECK_EQ(p.wake(), 0);
        CHECK_EQ(p.wait(e, 2, ns), 0);
    }
}
static void far_deadline() {
    OpenPoller p;
    std::atomic<int> tid{0};
    std::thread t([&] {
        tid = k::gettid();
        PollEvent e[1];
        CHECK_EQ(p.wait(e, 1, (int64_t{1} << 32) * 1'000'000),
                 0);  // 0 if the milliseconds were cut to an int
    });
    EVENTUALLY(tid != 0 && thread_state(tid) == 'S');
    CHECK_EQ(p.wake(), 0);
    t.join();
}
TEST(deadlines_in_nanoseconds) {
    deadlines();
    far_deadline();
}
TEST(deadlines_in_milliseconds) {
    INJECT(Sys::kEpollPwait2, 1, ENOSYS);
    deadlines();
    CHECK_EQ(inject_count(Sys::kEpollPwait2), 1);  // asked once, then never again
    CHECK_LT(5, inject_count(Sys::kEpollPwait));
    far_deadline();
}
TEST(deadlines_where_a_filter_forbids_the_new_call) {
    INJECT(Sys::kEpollPwait2, 1, EPERM, kInjectForever);
    deadlines();
    CHECK_EQ(inject_failures(Sys::kEpollPwait2), 1);
}

TEST(wakes_are_kept_and_joined) {
    OpenPoller p;
    PollEvent e[4];
    inject_clear();
    for (int i = 0; i < 5; ++i) CHECK_EQ(p.wake(), 0);
#if defined(GORT_DEBUG)
    CHECK_EQ(inject_count(Sys::kWrite), 1);
#endif
    CHECK_EQ(p.wait(e, 4, 0), 0);  // a look leaves it for the thread that blocks
    CHECK_EQ(p.wait(e, 4, -1), 0);
    const int64_t start = nanotime();
    CHECK_EQ(p.wait(e, 4, 1'000'000), 0);  // nothing is left of the five
    CHECK_LE(1'000'000, nanotime() - start);
    CHECK_EQ(p.wake(), 0);
    CHECK_EQ(p.wait(e, 4, -1), 0);
}
TEST(a_wake_hides_no_event) {
    OpenPoller p;
    Pipe a, b;
    p.add(a.in, kPollIn, 1);
    p.wake();
    p.add(b.in, kPollIn, 2);
    sys_write(a.out, "x", 1);
    sys_write(b.out, "x", 1);
    PollEvent e[8];
    CHECK_EQ(p.wait(e, 8, -1), 2);
    CHECK_EQ(e[0].data + e[1].data, 3);
}

// Every value that is published before a wake is seen by the waiter, whoever else wakes at the same time.
TEST(wakes_race_with_waits) {
    constexpr int kWakers = 2;
    struct Shared {
        OpenPoller p;
        struct Mailbox {
            std::atomic<int> value{0};
            int plain = 0;
        } box[kWakers];
        std::atomic<int> next{0};
        int rounds = 0;
    } s;
    s.rounds = 3000 / gort::test::slow();
    Worker w[kWakers];
    for (auto& one : w)
        one.start(
            [](void* arg) {
                auto* sh = static_cast<Shared*>(arg);
                auto& box = sh->box[sh->next++];
                for (int i = 1; i <= sh->rounds; ++i) {
                    box.value.store(i, std::memory_order_relaxed);
                    GORT_CHECK(sh->p.wake() == 0);
                    // Goes on only when it was seen, so a lost wake hangs the test.
                    while (box.value.load(std::memory_order_relaxed) != -i) sys_sched_yield();
                }
            },
            &s);
    PollEvent e[4];
    for (int left = kWakers * s.rounds; left > 0;) {
        CHECK_EQ(s.p.wait(e, 4, -1), 0);
        for (auto& box : s.box) {
            const int v = box.value.load(std::memory_order_relaxed);
            if (v > 0) {
                box.value.store(-v, std::memory_order_relaxed);
                --left;
            }
        }
    }
    for (auto& one : w) one.join();
}

TEST(wake_ends_a_wait_from_another_thread) {
    OpenPoller p;
    std::atomic<int> tid{0};
    int n = -1;
    std::thread t([&] {
        tid = k::gettid();
        PollEvent e[1];
        n = p.wait(e, 1, -1);
    });
    EVENTUALLY(tid != 0 && thread_state(tid) == 'S');
    CHECK_EQ(p.wake(), 0);
    t.join();
    CHECK_EQ(n, 0);
}

TEST(poller_that_cannot_open_leaves_nothing) {
    INJECT(Sys::kEpollCreate1, 1, EMFILE);
    Poller p;
    CHECK_EQ(p.open(), -EMFILE);
    CHECK(!p.is_open());
    inject(Sys::kEventfd2, 1, ENFILE);
    CHECK_EQ(p.open(), -ENFILE);
    CHECK(!p.is_open());
    inject(Sys::kEpollCtl, 1, ENOMEM);
    CHECK_EQ(p.open(), -ENOMEM);
    CHECK(!p.is_open());
    CHECK_EQ(p.open(), 0);
    CHECK(p.is_open());
    p.close();
    CHECK(!p.is_open());
}

TEST(failures_are_reported_and_harmless) {
    OpenPoller p;
    PollEvent e[2];
    INJECT(Sys::kEpollPwait2, 1, EINTR);
    CHECK_EQ(p.wait(e, 2, -1), 0);
    inject(Sys::kEpollPwait2, 1, EBADF);
    CHECK_EQ(p.wait(e, 2, -1), -EBADF);
    inject(Sys::kEpollCtl, 1, ENOSPC);
    CHECK_EQ(p.add(0, kPollIn, 1), -ENOSPC);
    inject(Sys::kWrite, 1, EINTR, 3);
    CHECK_EQ(p.wake(), 0);
    inject(Sys::kRead, 1, EINTR, 3);
    CHECK_EQ(p.wait(e, 2, -1), 0);
    inject(Sys::kWrite, 1, EIO);
    CHECK_EQ(p.wake(), -EIO);
    CHECK_EQ(p.wake(), 0);  // tried again, not taken for done
    CHECK_EQ(p.wait(e, 2, -1), 0);
}
