// tests/c/chan_test.c - gort_c.h: channels and select.
// SPDX-License-Identifier: BSD-2-Clause
#include <pthread.h>
#include <stdlib.h>

#include "check.h"

static const int64_t kLong = 10000000000;  // ten seconds: only a failure waits for it

struct wide {
    int n;
    char text[1000];
};

static void makes(void) {
    CHECK(gort_chan_make(4, -1) == NULL);
    CHECK(gort_chan_make(SIZE_MAX, 0) == NULL);
    CHECK(gort_chan_make(8, INT64_MAX) == NULL);
    CHECK(gort_chan_make(1 << 20, INT64_MAX / 2) == NULL);
    gort_chan* c = gort_chan_make(4, 3);
    CHECK_EQ(gort_chan_cap(c), 3);
    CHECK_EQ(gort_chan_len(c), 0);
    CHECK(gort_chan_ref(c) == c);
    gort_chan_unref(c);
    gort_chan_unref(c);
    CHECK_EQ(gort_chan_cap(NULL), 0);
    CHECK_EQ(gort_chan_len(NULL), 0);
    CHECK(gort_chan_ref(NULL) == NULL);
    gort_chan_unref(NULL);
}

// Elements of each size, through the buffer, past it, and from hand to hand.
struct job {
    gort_chan* c;
    size_t size;
};
static void send_three(void* arg) {
    const struct job* j = arg;
    unsigned char bytes[300];
    for (int i = 0; i < 3; ++i) {
        memset(bytes, i + 1, sizeof bytes);
        CHECK_EQ(gort_chan_send(j->c, bytes), GORT_OK);
    }
    gort_chan_close(j->c);
}
static void elements_of_any_size(void) {
    for (size_t size = 0; size < 300; size = size < 20 ? size + 1 : size + 41)
        for (int64_t cap = 0; cap < 4; ++cap) {
            struct job j = {gort_chan_make(size, cap), size};
            gort_wg w = GORT_INIT;
            gort_wg_go(&w, send_three, &j);
            unsigned char got[302], want[302];
            for (int i = 0; i < 3; ++i) {
                memset(got, 0xee, sizeof got);
                memset(want, 0xee, sizeof want);
                memset(want + 1, i + 1, size);
                CHECK_EQ(gort_chan_recv(j.c, got + 1), GORT_OK);
                CHECK(memcmp(got, want, sizeof got) == 0);  // and not a byte beside it
            }
            memset(want + 1, 0, size);
            CHECK_EQ(gort_chan_recv(j.c, got + 1), GORT_CLOSED);
            CHECK(memcmp(got, want, sizeof got) == 0);
            gort_wg_wait(&w);
            gort_chan_unref(j.c);
        }
}

static void statuses(void) {
    gort_chan* c = gort_chan_make(sizeof(int), 1);
    int v = 5, got = 9;
    CHECK_EQ(gort_chan_try_recv(c, &got), GORT_EMPTY);
    CHECK_EQ(got, 9);
    CHECK_EQ(gort_chan_recv_until(c, &got, 0), GORT_TIMEOUT);
    CHECK_EQ(gort_chan_recv_until(c, &got, gort_now_ns() + 1000), GORT_TIMEOUT);
    CHECK_EQ(got, 9);
    CHECK_EQ(gort_chan_try_send(c, &v), GORT_OK);
    CHECK_EQ(gort_chan_len(c), 1);
    CHECK_EQ(gort_chan_try_send(c, &v), GORT_FULL);
    CHECK_EQ(gort_chan_send_until(c, &v, gort_now_ns() + 1000), GORT_TIMEOUT);
    CHECK_EQ(gort_chan_recv_until(c, &got, 0), GORT_OK);  // at once, whatever the deadline
    CHECK_EQ(got, 5);
    CHECK_EQ(gort_chan_send_until(c, &v, 0), GORT_OK);
    CHECK_EQ(gort_chan_close(c), GORT_OK);
    CHECK_EQ(gort_chan_close(c), GORT_CLOSED);
    CHECK_EQ(gort_chan_close(NULL), GORT_INVALID);
    CHECK_EQ(gort_chan_send(c, &v), GORT_CLOSED);
    CHECK_EQ(gort_chan_try_send(c, &v), GORT_CLOSED);
    CHECK_EQ(gort_chan_send_until(c, &v, gort_now_ns() + kLong), GORT_CLOSED);
    CHECK_EQ(gort_chan_try_recv(c, &got), GORT_OK);
    got = 9;
    CHECK_EQ(gort_chan_try_recv(c, &got), GORT_CLOSED);
    CHECK_EQ(got, 0);
    gort_chan_unref(c);
    CHECK_EQ(gort_chan_try_send(NULL, &v), GORT_FULL);
    CHECK_EQ(gort_chan_try_recv(NULL, &got), GORT_EMPTY);
    CHECK_EQ(gort_chan_recv_until(NULL, &got, gort_now_ns() + 1000), GORT_TIMEOUT);
    CHECK_EQ(gort_chan_send_until(NULL, &v, gort_now_ns() + 1000), GORT_TIMEOUT);
}

static void nulls_for_elements(void) {
    struct wide w = {.n = 3};
    gort_chan* c = gort_chan_make(sizeof w, 2);
    CHECK_EQ(gort_chan_send(c, &w), GORT_OK);
    CHECK_EQ(gort_chan_send(c, NULL), GORT_OK);
    CHECK_EQ(gort_chan_recv(c, NULL), GORT_OK);
    CHECK_EQ(gort_chan_recv(c, &w), GORT_OK);
    CHECK_EQ(w.n, 0);
    gort_chan_unref(c);
    c = gort_chan_make(4, 1);
    CHECK_EQ(gort_chan_send(c, NULL), GORT_OK);
    int got = 7;
    CHECK_EQ(gort_chan_recv(c, &got), GORT_OK);
    CHECK_EQ(got, 0);
    gort_chan_unref(c);
}

static void send_closed_later(void* arg) { CHECK_EQ(gort_chan_send(arg, NULL), GORT_CLOSED); }
static void close_wakes_senders(void) {
    gort_chan* c = gort_chan_make(0, 0);
    gort_wg w = GORT_INIT;
    gort_wg_go(&w, send_closed_later, c);
    gort_yield();
    gort_chan_close(c);
    gort_wg_wait(&w);
    gort_chan_unref(c);
}

static void selects(void) {
    gort_chan* a = gort_chan_make(sizeof(int), 1);
    gort_chan* b = gort_chan_make(sizeof(struct wide), 1);
    int in = 1, v = 9;
    struct wide w = {.n = 4};
    gort_case k[] = {{a, GORT_RECV, &in, GORT_FULL}, {b, GORT_RECV, &w, GORT_FULL}, {NULL, GORT_SEND, &v, GORT_FULL}};
    CHECK_EQ(gort_select(k, 3, GORT_SELECT_DEFAULT, GORT_FOREVER), -1);
    CHECK_EQ(gort_select(k, 3, 0, gort_now_ns() + 1000), -2);
    CHECK_EQ(gort_select(k, 3, 0, 0), -2);
    CHECK_EQ(gort_select(NULL, 0, 0, 0), -2);
    CHECK_EQ(gort_select(NULL, 0, 0, gort_now_ns() + 1000), -2);
    CHECK_EQ(gort_select(NULL, 0, GORT_SELECT_DEFAULT, 0), -1);
    CHECK_EQ(k[0].status, GORT_FULL);
    gort_chan_send(a, &v);
    CHECK_EQ(gort_select(k, 3, 0, GORT_FOREVER), 0);
    CHECK_EQ(k[0].status, GORT_OK);
    CHECK_EQ(in, 9);
    w.n = 6;
    gort_chan_send(b, &w);
    w.n = 0;
    CHECK_EQ(gort_select(k, 3, 0, 0), 1);
    CHECK_EQ(w.n, 6);
    gort_chan_close(b);
    CHECK_EQ(gort_select(k, 3, 0, GORT_FOREVER), 1);
    CHECK_EQ(k[1].status, GORT_CLOSED);
    CHECK_EQ(w.n, 0);
    gort_case s = {b, GORT_SEND, &w, GORT_FULL};
    CHECK_EQ(gort_select(&s, 1, 0, GORT_FOREVER), 0);
    CHECK_EQ(s.status, GORT_CLOSED);
    gort_case many[40];
    for (int i = 0; i < 40; ++i) many[i] = (gort_case){NULL, GORT_RECV, NULL, GORT_FULL};
    many[33] = (gort_case){a, GORT_SEND, &v, GORT_FULL};
    CHECK_EQ(gort_select(many, 40, 0, GORT_FOREVER), 33);
    CHECK_EQ(gort_chan_len(a), 1);
    gort_chan_unref(a);
    gort_chan_unref(b);
}

// Producers and consumers that select on two channels, until both are closed.
enum { kEach = 300, kMakers = 4 };
struct plant {
    gort_chan* c[2];
    gort_wg makers, takers;
    gort_mutex mu;
    long sum;
};
static void make_some(void* arg) {
    struct plant* p = arg;
    for (int i = 1; i <= kEach; ++i) {
        gort_case k[2] = {{p->c[0], GORT_SEND, &i, 0}, {p->c[1], GORT_SEND, &i, 0}};
        gort_select(k, 2, 0, GORT_FOREVER);
    }
}
static void take_some(void* arg) {
    struct plant* p = arg;
    int v = 0;
    gort_case k[2] = {{p->c[0], GORT_RECV, &v, 0}, {p->c[1], GORT_RECV, &v, 0}};
    for (int open = 2; open;) {
        const int i = gort_select(k, 2, 0, GORT_FOREVER);
        if (k[i].status == GORT_CLOSED) {
            k[i].chan = NULL;
            --open;
            continue;
        }
        gort_mutex_lock(&p->mu);
        p->sum += v;
        gort_mutex_unlock(&p->mu);
    }
}
static void select_both_ways(void) {
    struct plant p = {.c = {gort_chan_make(sizeof(int), 0), gort_chan_make(sizeof(int), 3)}};
    for (int i = 0; i < kMakers; ++i) gort_wg_go(&p.makers, make_some, &p);
    for (int i = 0; i < kMakers; ++i) gort_wg_go(&p.takers, take_some, &p);
    gort_wg_wait(&p.makers);
    gort_chan_close(p.c[0]);
    gort_chan_close(p.c[1]);
    gort_wg_wait(&p.takers);
    CHECK_EQ(p.sum, (long)kMakers * kEach * (kEach + 1) / 2);
    gort_chan_unref(p.c[0]);
    gort_chan_unref(p.c[1]);
}

static void* send_from_a_thread(void* arg) {
    for (int i = 0; i < 100; ++i) gort_chan_send(arg, &i);
    gort_chan_close(arg);
    return NULL;
}
static void threads_take_part(void) {
    gort_chan* c = gort_chan_make(sizeof(int), 2);
    pthread_t t;
    pthread_create(&t, NULL, send_from_a_thread, c);
    int v, sum = 0;
    while (gort_chan_recv(c, &v) == GORT_OK) sum += v;
    CHECK_EQ(sum, 4950);
    pthread_join(t, NULL);
    gort_chan_unref(c);
}

const struct test tests[] = {
    {"making channels", makes},
    {"elements of any size", elements_of_any_size},
    {"statuses", statuses},
    {"null for an element", nulls_for_elements},
    {"close wakes senders", close_wakes_senders},
    {"select", selects},
    {"select both ways", select_both_ways},
    {"threads of the program take part", threads_take_part},
    {NULL, NULL},
};
