// tests/c/context_test.c - gort_c.h: contexts.
// SPDX-License-Identifier: BSD-2-Clause
#include "check.h"

static const int64_t kLong = 10000000000;  // ten seconds: only a failure waits for it

static bool ended(gort_ctx* c) { return gort_chan_try_recv(gort_ctx_done(c), NULL) == GORT_CLOSED; }

static void background(void) {
    gort_ctx* b = gort_ctx_background();
    CHECK(gort_ctx_background() == b);
    CHECK(gort_ctx_done(b) == NULL);
    CHECK_EQ(gort_ctx_err(b), GORT_OK);
    int64_t d;
    CHECK(!gort_ctx_deadline(b, &d));
    CHECK(gort_ctx_value(b, NULL) == NULL);
    gort_ctx_cancel(b);
    CHECK_EQ(gort_ctx_err(b), GORT_OK);
    CHECK(gort_ctx_ref(b) == b);
    gort_ctx_unref(b);
    gort_ctx_unref(NULL);
}

static void cancel_ends_what_is_below(void) {
    gort_ctx* a = gort_ctx_with_cancel(gort_ctx_background());
    gort_ctx* b = gort_ctx_with_cancel(a);
    gort_ctx* v = gort_ctx_with_value(b, &kLong, "x");
    gort_ctx* d = gort_ctx_with_deadline(v, gort_now_ns() + kLong);
    gort_ctx* side = gort_ctx_with_cancel(a);
    CHECK(gort_ctx_done(v) == gort_ctx_done(b));
    CHECK_EQ(gort_ctx_err(d), GORT_OK);
    gort_ctx_cancel(v);  // b's
    CHECK_EQ(gort_ctx_err(b), GORT_CANCELED);
    CHECK_EQ(gort_ctx_err(d), GORT_CANCELED);
    CHECK(ended(b) && ended(d));
    CHECK(!ended(a) && !ended(side));
    gort_ctx_cancel(a);
    gort_ctx_cancel(a);
    CHECK(ended(a) && ended(side));
    gort_ctx* late = gort_ctx_with_cancel(b);  // of one that has ended
    CHECK(ended(late));
    CHECK_EQ(gort_ctx_err(late), GORT_CANCELED);
    gort_ctx_unref(late);
    gort_ctx_unref(a);
    gort_ctx_unref(b);
    gort_ctx_unref(v);
    gort_ctx_unref(d);
    gort_ctx_unref(side);
}

static void deadlines(void) {
    const int64_t soon = gort_now_ns() + 1000000, later = soon + kLong;
    gort_ctx* a = gort_ctx_with_deadline(gort_ctx_background(), soon);
    gort_ctx* b = gort_ctx_with_deadline(a, later);
    gort_ctx* c = gort_ctx_with_cancel(b);
    int64_t d = 0;
    CHECK(gort_ctx_deadline(c, &d));
    CHECK_EQ(d, soon);
    CHECK_EQ(gort_chan_recv(gort_ctx_done(c), NULL), GORT_CLOSED);
    CHECK(gort_now_ns() >= soon);
    CHECK_EQ(gort_ctx_err(a), GORT_TIMEOUT);
    CHECK_EQ(gort_ctx_err(c), GORT_TIMEOUT);
    gort_ctx_cancel(a);
    CHECK_EQ(gort_ctx_err(a), GORT_TIMEOUT);  // the first end holds
    gort_ctx_unref(a);
    gort_ctx_unref(b);
    gort_ctx_unref(c);
    a = gort_ctx_with_deadline(gort_ctx_background(), gort_now_ns());
    CHECK(ended(a));
    CHECK_EQ(gort_ctx_err(a), GORT_TIMEOUT);
    gort_ctx_unref(a);
    a = gort_ctx_with_deadline(gort_ctx_background(), GORT_FOREVER);
    CHECK(!gort_ctx_deadline(a, NULL));
    CHECK(!ended(a));
    gort_ctx_unref(a);
    for (int i = 0; i < 100; ++i) {  // dropped while it is pending, and cancelled then
        a = gort_ctx_with_deadline(gort_ctx_background(), gort_now_ns() + (i % 2 ? kLong : i * 100));
        b = gort_ctx_with_cancel(a);
        if (i % 3 == 0) gort_ctx_cancel(a);
        gort_ctx_unref(a);
        gort_ctx_unref(b);
    }
    gort_sleep_ns(1000000);
}

static void values(void) {
    static const int k1 = 0, k2 = 0;
    gort_ctx* a = gort_ctx_with_value(gort_ctx_background(), &k1, "one");
    gort_ctx* b = gort_ctx_with_cancel(a);
    gort_ctx* c = gort_ctx_with_value(b, &k2, "two");
    gort_ctx* d = gort_ctx_with_value(c, &k1, "three");
    CHECK(strcmp(gort_ctx_value(c, &k1), "one") == 0);
    CHECK(strcmp(gort_ctx_value(d, &k1), "three") == 0);
    CHECK(strcmp(gort_ctx_value(d, &k2), "two") == 0);
    CHECK(gort_ctx_value(b, &k2) == NULL);
    CHECK(gort_ctx_value(d, NULL) == NULL);
    gort_ctx_unref(a);
    gort_ctx_unref(b);
    gort_ctx_unref(c);
    CHECK(strcmp(gort_ctx_value(d, &k2), "two") == 0);  // a child keeps its parents
    gort_ctx_cancel(d);
    gort_ctx_unref(d);
}

static void long_chains(void) {
    gort_ctx* c = gort_ctx_background();
    for (int i = 0; i < 100000; ++i) {
        gort_ctx* child = gort_ctx_with_value(c, &kLong, c);
        gort_ctx_unref(c);
        c = child;
    }
    gort_ctx_unref(c);
}

static void make_and_drop(void* arg) {
    for (int i = 0; i < 200; ++i) {
        gort_ctx* c = gort_ctx_with_cancel(arg);
        gort_ctx* d = gort_ctx_with_deadline(c, gort_now_ns() + 50000);
        if (i % 4 == 0) gort_yield();
        gort_ctx_unref(c);
        gort_ctx_unref(d);
    }
}
static void many_at_once(void) {
    for (int round = 0; round < 5; ++round) {
        gort_ctx* top = gort_ctx_with_cancel(gort_ctx_background());
        gort_wg w = GORT_INIT;
        for (int i = 0; i < 6; ++i) gort_wg_go(&w, make_and_drop, top);
        for (int i = 0; i < round * 20; ++i) gort_yield();
        gort_ctx_cancel(top);
        gort_wg_wait(&w);
        gort_ctx_unref(top);
    }
}

const struct test tests[] = {
    {"background", background},
    {"cancel ends what is below", cancel_ends_what_is_below},
    {"deadlines", deadlines},
    {"values", values},
    {"long chains", long_chains},
    {"many at once", many_at_once},
    {NULL, NULL},
};
