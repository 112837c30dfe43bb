// tests/c/fd_test.c - gort_c.h: waiting for descriptors.
// SPDX-License-Identifier: BSD-2-Clause
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

static const int64_t kLong = 10000000000;  // ten seconds: only a failure waits for it

struct wait {
    int fd, events;
    int64_t deadline;
    gort_status got;
};
static void* wait_for(void* arg) {
    struct wait* w = arg;
    w->got = gort_fd_wait(w->fd, w->events, w->deadline);
    return w;
}
static gort_task* start(struct wait* w) {
    gort_task* t = gort_spawn(wait_for, w);
    for (int i = 0; i < 20; ++i) gort_yield();
    return t;
}
static void join(gort_task* t) { CHECK_EQ(gort_join(t, NULL, GORT_FOREVER), GORT_OK); }

static void arguments(void) {
    CHECK_EQ(gort_fd_wait(-1, 1, 0), GORT_INVALID);
    CHECK_EQ(gort_fd_wait(0, 0, 0), GORT_INVALID);
    CHECK_EQ(gort_fd_wait(0, 4, 0), GORT_INVALID);
    CHECK_EQ(gort_fd_wait(12345, 1, 0), GORT_INVALID);
    const int file = open("/proc/self/exe", O_RDONLY);
    CHECK_EQ(gort_fd_wait(file, 1, 0), GORT_OK);
    close(file);
    gort_fd_forget(-1);
    gort_fd_forget(12345);
}

static void readiness(void) {
    int p[2];
    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(gort_fd_wait(p[1], 2, 0), GORT_OK);
    CHECK_EQ(gort_fd_wait(p[0], 1, 0), GORT_TIMEOUT);
    CHECK_EQ(gort_fd_wait(p[0], 1, gort_now_ns() + 1000), GORT_TIMEOUT);
    CHECK_EQ(gort_fd_wait(p[0], 3, gort_now_ns() + 1000), GORT_TIMEOUT);
    char b;
    for (int i = 0; i < 200; ++i) {
        struct wait w = {p[0], 1, i % 2 ? GORT_FOREVER : gort_now_ns() + kLong, GORT_FULL};
        gort_task* t = start(&w);
        CHECK_EQ(write(p[1], "x", 1), 1);
        join(t);
        CHECK_EQ(w.got, GORT_OK);
        CHECK_EQ(gort_fd_wait(p[0], 1, 0), GORT_OK);  // it is still there
        CHECK_EQ(read(p[0], &b, 1), 1);
    }
    struct wait w = {p[0], 1, GORT_FOREVER, GORT_FULL};
    gort_task* t = start(&w);
    gort_fd_forget(p[1]);
    close(p[1]);
    join(t);
    CHECK_EQ(w.got, GORT_OK);  // hung up
    gort_fd_forget(p[0]);
    close(p[0]);
}

static void several_wait(void) {
    int s[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s), 0);
    char block[4096] = "";
    while (write(s[0], block, sizeof block) > 0) {
    }
    struct wait w[6] = {{s[0], 1, GORT_FOREVER, GORT_FULL}, {s[0], 1, GORT_FOREVER, GORT_FULL},
                        {s[0], 3, GORT_FOREVER, GORT_FULL}, {s[0], 1, gort_now_ns() + 2000000, GORT_FULL},
                        {s[0], 1, GORT_FOREVER, GORT_FULL}, {s[0], 2, GORT_FOREVER, GORT_FULL}};
    gort_task* t[6];
    for (int i = 0; i < 6; ++i) t[i] = start(&w[i]);
    join(t[3]);
    CHECK_EQ(w[3].got, GORT_TIMEOUT);
    CHECK_EQ(gort_join(t[2], NULL, 0), GORT_TIMEOUT);
    CHECK_EQ(write(s[1], "x", 1), 1);
    for (int i = 0; i < 5; ++i)
        if (i != 3) {
            join(t[i]);
            CHECK_EQ(w[i].got, GORT_OK);
        }
    CHECK_EQ(gort_join(t[5], NULL, 0), GORT_TIMEOUT);
    while (read(s[1], block, sizeof block) > 0) {
    }
    join(t[5]);
    CHECK_EQ(w[5].got, GORT_OK);
    gort_fd_forget(s[0]);
    close(s[0]);
    close(s[1]);
}

static void forget_wakes(void) {
    int p[2];
    CHECK_EQ(pipe(p), 0);
    struct wait w[12];
    gort_task* t[12];
    for (int i = 0; i < 12; ++i) {
        w[i] = (struct wait){p[0], i == 5 ? 3 : 1, GORT_FOREVER, GORT_FULL};
        t[i] = start(&w[i]);
    }
    for (int i = 0; i < 12; ++i) {
        // One that another P runs may not wait yet.
        do gort_fd_forget(p[0]);
        while (gort_join(t[i], NULL, gort_now_ns() + 1000000) == GORT_TIMEOUT);
        CHECK_EQ(w[i].got, GORT_CLOSED);
    }
    CHECK_EQ(write(p[1], "x", 1), 1);
    CHECK_EQ(gort_fd_wait(p[0], 1, GORT_FOREVER), GORT_OK);  // it was only forgotten
    close(p[0]);
    close(p[1]);
}

// The number of a descriptor that was closed without a word is soon another file's.
static void numbers_come_back(void) {
    int last = -1;
    for (int i = 0; i < 50; ++i) {
        int p[2];
        CHECK_EQ(pipe(p), 0);
        if (last >= 0) CHECK_EQ(p[0], last);
        last = p[0];
        struct wait w = {p[0], 1, GORT_FOREVER, GORT_FULL};
        gort_task* t = start(&w);
        CHECK_EQ(write(p[1], "x", 1), 1);
        join(t);
        CHECK_EQ(w.got, GORT_OK);
        close(p[0]);
        close(p[1]);
    }
    for (int i = 0; i < 50; ++i) {  // these have no identity
        const int e = eventfd(0, EFD_NONBLOCK);
        struct wait w = {e, 1, GORT_FOREVER, GORT_FULL};
        gort_task* t = start(&w);
        const uint64_t one = 1;
        CHECK_EQ(write(e, &one, sizeof one), (long)sizeof one);
        join(t);
        CHECK_EQ(w.got, GORT_OK);
        close(e);
    }
}

static int abandon(void* arg) {
    int* p = arg;
    static struct wait w[4];
    for (int i = 0; i < 4; ++i) {
        w[i] = (struct wait){p[0], i == 2 ? 3 : 1, GORT_FOREVER, GORT_FULL};
        gort_detach(start(&w[i]));
    }
    return 0;
}
static int wait_again(void* arg) {
    int* p = arg;
    struct wait w = {p[0], 1, GORT_FOREVER, GORT_FULL};
    gort_task* t = start(&w);
    if (write(p[1], "x", 1) != 1) return 1;
    join(t);
    gort_fd_forget(p[0]);
    return (int)w.got;
}
static void a_run_leaves_waiters_behind(void) {
    int p[2];
    CHECK_EQ(pipe(p), 0);
    gort_run(abandon, p, NULL);
    CHECK_EQ(gort_run(wait_again, p, NULL), GORT_OK);
    close(p[0]);
    close(p[1]);
}

static void a_thread_waits(void) {
    int p[2];
    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(gort_start(NULL), GORT_OK);
    CHECK_EQ(gort_fd_wait(p[0], 1, gort_now_ns() + 1000000), GORT_TIMEOUT);
    struct wait w = {p[0], 1, GORT_FOREVER, GORT_FULL};
    gort_task* t = gort_spawn(wait_for, &w);
    CHECK_EQ(write(p[1], "x", 1), 1);
    CHECK_EQ(gort_fd_wait(p[0], 1, GORT_FOREVER), GORT_OK);
    join(t);
    gort_fd_forget(p[0]);
    gort_stop();
    close(p[0]);
    close(p[1]);
}

const struct test tests[] = {
    {"outside: a run leaves waiters behind", a_run_leaves_waiters_behind},
    {"outside: a thread waits", a_thread_waits},
    {"arguments", arguments},
    {"readiness", readiness},
    {"several wait for one", several_wait},
    {"forget wakes", forget_wakes},
    {"numbers come back", numbers_come_back},
    {NULL, NULL},
};

// Asked by ASan's runtime: what a run abandons is never released.
const char* __lsan_default_options(void);
const char* __lsan_default_options(void) { return "detect_leaks=0"; }
