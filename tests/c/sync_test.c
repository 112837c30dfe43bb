// tests/c/sync_test.c - gort_c.h: mutex, rw, cond, wait group, once, semaphore.
// SPDX-License-Identifier: BSD-2-Clause
#include <pthread.h>
#include <stdlib.h>

#include "check.h"

enum { kMany = 8, kRounds = 500 };

struct shared {
    gort_mutex mu;
    gort_rw rw;
    gort_cond cond;
    gort_wg wg;
    gort_once once;
    gort_sem sem;
    long n;
    int turn;
};

static void lock_and_count(void* arg) {
    struct shared* s = arg;
    for (int i = 0; i < kRounds; ++i) {
        gort_mutex_lock(&s->mu);
        const long before = s->n;
        if (i % 100 == 0) gort_yield();
        s->n = before + 1;
        gort_mutex_unlock(&s->mu);
    }
}
static void mutexes(void) {
    struct shared s = {.mu = GORT_INIT};
    for (int i = 0; i < kMany; ++i) gort_wg_go(&s.wg, lock_and_count, &s);
    gort_wg_wait(&s.wg);
    CHECK_EQ(s.n, kMany * kRounds);
    CHECK(gort_mutex_try_lock(&s.mu));
    CHECK(!gort_mutex_try_lock(&s.mu));
    CHECK(!gort_mutex_lock_until(&s.mu, 0));
    CHECK(!gort_mutex_lock_until(&s.mu, gort_now_ns() + 1000));
    gort_mutex_unlock(&s.mu);
    CHECK(gort_mutex_lock_until(&s.mu, 0));
    gort_mutex_unlock(&s.mu);
    CHECK(gort_mutex_lock_until(&s.mu, GORT_FOREVER));
    gort_mutex_unlock(&s.mu);
}

static void read_and_write(void* arg) {
    struct shared* s = arg;
    for (int i = 0; i < kRounds; ++i) {
        if (i % 10) {
            gort_rw_rlock(&s->rw);
            const long seen = s->n;
            if (i % 100 == 1) gort_yield();
            CHECK_EQ(s->n, seen);
            gort_rw_runlock(&s->rw);
        } else {
            gort_rw_lock(&s->rw);
            ++s->n;
            gort_rw_unlock(&s->rw);
        }
    }
}
static void rw_locks(void) {
    // Its storage goes without a destroy and becomes another lock's: nothing of the first may be left anywhere.
    for (int round = 0; round < 3; ++round) {
        struct shared* s = calloc(1, sizeof *s);
        for (int i = 0; i < kMany; ++i) gort_wg_go(&s->wg, read_and_write, s);
        gort_wg_wait(&s->wg);
        CHECK_EQ(s->n, kMany * kRounds / 10);
        for (int i = 0; i < 10000; ++i) {  // so often that a lock of C++ would count in other places
            gort_rw_rlock(&s->rw);
            gort_rw_runlock(&s->rw);
        }
        CHECK_EQ(s->rw.opaque[0] & 32, 0);  // kRwUsedSlots: it has never counted anywhere else
        CHECK(gort_rw_try_rlock(&s->rw));
        CHECK(gort_rw_try_rlock(&s->rw));
        CHECK(!gort_rw_try_lock(&s->rw));
        gort_rw_runlock(&s->rw);
        gort_rw_runlock(&s->rw);
        CHECK(gort_rw_try_lock(&s->rw));
        CHECK(!gort_rw_try_rlock(&s->rw));
        gort_rw_unlock(&s->rw);
        free(s);
    }
}

static void take_turns(void* arg) {
    struct shared* s = arg;
    gort_mutex_lock(&s->mu);
    const int mine = s->turn++;
    while (s->n != mine) gort_cond_wait(&s->cond, &s->mu);
    ++s->n;
    gort_cond_broadcast(&s->cond);
    gort_mutex_unlock(&s->mu);
}
static void wait_for_a_signal(void* arg) {
    struct shared* s = arg;
    gort_mutex_lock(&s->mu);
    ++s->turn;
    gort_cond_wait(&s->cond, &s->mu);
    ++s->n;
    gort_mutex_unlock(&s->mu);
}
static void conds(void) {
    struct shared s = {.n = 0};
    for (int i = 0; i < kMany; ++i) gort_wg_go(&s.wg, take_turns, &s);
    gort_wg_wait(&s.wg);
    CHECK_EQ(s.n, kMany);
    gort_mutex_lock(&s.mu);
    CHECK(!gort_cond_wait_until(&s.cond, &s.mu, 0));
    CHECK(!gort_cond_wait_until(&s.cond, &s.mu, gort_now_ns() + 1000));
    CHECK(!gort_mutex_try_lock(&s.mu));
    gort_mutex_unlock(&s.mu);
    gort_cond_signal(&s.cond);  // nobody waits
    s.n = s.turn = 0;
    for (int i = 0; i < 3; ++i) gort_wg_go(&s.wg, wait_for_a_signal, &s);
    for (int waiting = 0; waiting < 3; gort_yield()) {
        gort_mutex_lock(&s.mu);
        waiting = s.turn;
        gort_mutex_unlock(&s.mu);
    }
    gort_mutex_lock(&s.mu);  // all three wait
    gort_cond_signal(&s.cond);
    gort_mutex_unlock(&s.mu);
    for (long n = 0; n < 1; gort_yield()) {
        gort_mutex_lock(&s.mu);
        n = s.n;
        gort_mutex_unlock(&s.mu);
    }
    gort_cond_broadcast(&s.cond);
    gort_wg_wait(&s.wg);
    CHECK_EQ(s.n, 3);
}

static void count_once(void* arg) { ++((struct shared*)arg)->n; }
static void do_once(void* arg) {
    struct shared* s = arg;
    gort_once_do(&s->once, count_once, s);
    CHECK_EQ(s->n, 1);
}
static void onces(void) {
    struct shared s = {.n = 0};
    for (int i = 0; i < kMany; ++i) gort_wg_go(&s.wg, do_once, &s);
    gort_wg_wait(&s.wg);
    CHECK_EQ(s.n, 1);
}

static void use_units(void* arg) {
    struct shared* s = arg;
    for (int i = 0; i < kRounds; ++i) {
        const int n = i % 3 + 1;
        CHECK_EQ(gort_sem_acquire(&s->sem, n, GORT_FOREVER), GORT_OK);
        gort_mutex_lock(&s->mu);
        s->n += n;
        CHECK(s->n <= 3);
        gort_mutex_unlock(&s->mu);
        if (i % 50 == 0) gort_yield();
        gort_mutex_lock(&s->mu);
        s->n -= n;
        gort_mutex_unlock(&s->mu);
        gort_sem_release(&s->sem, n);
    }
}
static void want_two(void* arg) {
    struct shared* s = arg;
    CHECK_EQ(gort_sem_acquire(&s->sem, 2, GORT_FOREVER), GORT_OK);
    s->turn = 2;
}
static void semaphores(void) {
    struct shared s = {.n = 0};
    CHECK(!gort_sem_try_acquire(&s.sem, 1));  // all zeros: no units
    CHECK(gort_sem_try_acquire(&s.sem, 0));
    gort_sem_init(&s.sem, 3);
    for (int i = 0; i < kMany; ++i) gort_wg_go(&s.wg, use_units, &s);
    gort_wg_wait(&s.wg);
    CHECK(gort_sem_try_acquire(&s.sem, 3));
    CHECK_EQ(gort_sem_acquire(&s.sem, -1, GORT_FOREVER), GORT_INVALID);
    CHECK_EQ(gort_sem_acquire(&s.sem, 1, gort_now_ns() + 1000), GORT_TIMEOUT);
    CHECK_EQ(gort_sem_acquire(&s.sem, 1, 0), GORT_TIMEOUT);
    gort_wg_go(&s.wg, want_two, &s);
    gort_yield();
    gort_sem_release(&s.sem, 1);
    CHECK_EQ(s.turn, 0);
    gort_sem_release(&s.sem, 1);
    gort_wg_wait(&s.wg);
    CHECK_EQ(s.turn, 2);
    CHECK(!gort_sem_try_acquire(&s.sem, 1));
}

static void* count_in_a_thread(void* arg) {
    lock_and_count(arg);
    gort_wg_done(&((struct shared*)arg)->wg);
    return NULL;
}
static void threads_take_part(void) {
    struct shared s = {.n = 0};
    pthread_t t[2];
    gort_wg_add(&s.wg, 2);
    for (int i = 0; i < 2; ++i) pthread_create(&t[i], NULL, count_in_a_thread, &s);
    lock_and_count(&s);
    gort_wg_wait(&s.wg);
    CHECK_EQ(s.n, 3 * kRounds);
    for (int i = 0; i < 2; ++i) pthread_join(t[i], NULL);
}

const struct test tests[] = {
    {"mutexes", mutexes}, {"rw locks", rw_locks},
    {"conds", conds},     {"once", onces},
    {"semaphores", semaphores}, {"threads of the program take part", threads_take_part},
    {NULL, NULL},
};
