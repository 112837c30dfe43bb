// tests/c/run_test.c - gort_c.h: running, tasks, goexit, time.
// SPDX-License-Identifier: BSD-2-Clause
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"

static const int64_t kLong = 10000000000;  // ten seconds: only a failure waits for it

static int returns(void* arg) { return *(int*)arg; }
static void run_returns_mains_value(void) {
    int value = 42;
    CHECK_EQ(gort_run(returns, &value, NULL), 42);
    gort_options o = {.size = sizeof o, .max_procs = 2, .seed = 7, .stack_size = 1 << 20};
    CHECK_EQ(gort_run(returns, &value, &o), 42);
    struct { size_t size; int max_procs; } shorter = {sizeof shorter, 1};  // as an earlier version has it
    CHECK_EQ(gort_run(returns, &value, (gort_options*)(void*)&shorter), 42);
}

static void* add_one(void* arg) { return (char*)arg + 1; }
static gort_chan* g_started;
static void start_and_wait(void* arg) { gort_chan_send(arg, NULL); }
static void start_and_stop(void) {
    gort_options bad = {.size = sizeof bad, .max_procs = -1};
    CHECK_EQ(gort_start(&bad), GORT_INVALID);
    bad = (gort_options){.size = 3};
    CHECK_EQ(gort_start(&bad), GORT_INVALID);
    CHECK_EQ(gort_start(NULL), GORT_OK);
    CHECK_EQ(gort_start(NULL), GORT_INVALID);
    CHECK_EQ(gort_goid(), 0);
    g_started = gort_chan_make(0, 0);
    gort_go(start_and_wait, g_started);
    CHECK_EQ(gort_chan_recv(g_started, NULL), GORT_OK);
    char base[2];
    void* result = NULL;
    CHECK_EQ(gort_join(gort_spawn(add_one, base), &result, GORT_FOREVER), GORT_OK);
    CHECK(result == base + 1);
    gort_chan_unref(g_started);
    gort_stop();
    CHECK_EQ(gort_start(NULL), GORT_OK);
    gort_stop();
}

static void count_up(void* arg) { atomic_fetch_add((atomic_int*)arg, 1); }
static void go_runs(void) {
    atomic_int n = 0;
    for (int i = 0; i < 100; ++i) gort_go(count_up, &n);
    gort_go_sized(1 << 20, count_up, &n);
    while (atomic_load(&n) < 101) gort_yield();
    CHECK_EQ(atomic_load(&n), 101);
    CHECK(gort_num_goroutine() >= 1);
    CHECK_EQ(gort_goid(), 1);
}

static void* waits_for(void* arg) {
    gort_chan_recv(arg, NULL);
    return arg;
}
static void* leaves(void* arg) {
    (void)arg;
    gort_goexit();
}
static void tasks(void) {
    gort_chan* go_on = gort_chan_make(0, 0);
    gort_task* t = gort_spawn(waits_for, go_on);
    void* result = NULL;
    CHECK_EQ(gort_join(t, &result, 0), GORT_TIMEOUT);
    CHECK_EQ(gort_join(t, &result, gort_now_ns() + 1000), GORT_TIMEOUT);
    gort_chan_close(go_on);
    CHECK_EQ(gort_join(t, &result, gort_now_ns() + kLong), GORT_OK);
    CHECK(result == go_on);
    result = go_on;
    CHECK_EQ(gort_join(gort_spawn(leaves, NULL), &result, GORT_FOREVER), GORT_OK);
    CHECK(result == NULL);
    CHECK_EQ(gort_join(gort_spawn(waits_for, go_on), NULL, GORT_FOREVER), GORT_OK);
    CHECK_EQ(gort_join(NULL, &result, GORT_FOREVER), GORT_INVALID);
    gort_detach(gort_spawn(waits_for, go_on));
    gort_detach(NULL);
    gort_chan_unref(go_on);
    while (gort_num_goroutine() > 1) gort_yield();
}

static void set_flag(int* flag) { *flag = 1; }
static int g_cleaned;
static void leaves_with_cleanup(void* arg) {
    int flag __attribute__((cleanup(set_flag))) = 0;
    int* volatile at = &flag;
    (void)at;
    g_cleaned = 1;  // what the cleanup of a -fexceptions build would add is not asked for
    gort_goexit();
    (void)arg;
}
static void goexit_ends_the_goroutine_only(void) {
    gort_wg w = GORT_INIT;
    g_cleaned = 0;
    gort_wg_go(&w, leaves_with_cleanup, NULL);
    gort_wg_wait(&w);
    CHECK_EQ(g_cleaned, 1);
}

static void leave(void* arg) {
    (void)arg;
    gort_goexit();
}
static void leaves_in_once(void* arg) {
    gort_once_do(arg, leave, NULL);
}
static void leaves_in_blocking(void* arg) {
    (void)arg;
    gort_blocking(leave, NULL);
}
static void goexit_through_callbacks(void) {
    gort_wg w = GORT_INIT;
    gort_once o = GORT_INIT;
    gort_wg_go(&w, leaves_in_once, &o);
    gort_wg_wait(&w);
    atomic_int n = 0;
    gort_once_do(&o, count_up, &n);  // it has run, though it did not return
    CHECK_EQ(atomic_load(&n), 0);
    for (int i = 0; i < 50; ++i) gort_wg_go(&w, leaves_in_blocking, NULL);
    gort_wg_wait(&w);
}

static void sleeps(void* arg) {
    usleep(1000);
    *(int*)arg = 1;
}
static void blocking_runs_here(void) {
    int done = 0;
    gort_blocking(sleeps, &done);
    CHECK_EQ(done, 1);
    gort_lock_os_thread();
    const pthread_t me = pthread_self();
    gort_yield();
    CHECK(pthread_equal(me, pthread_self()));
    gort_unlock_os_thread();
    const int procs = gort_gomaxprocs(0);
    CHECK_EQ(gort_gomaxprocs(3), procs);
    CHECK_EQ(gort_gomaxprocs(procs), 3);
}

static void time_passes(void) {
    const int64_t before = gort_now_ns();
    gort_sleep_ns(2000000);
    CHECK(gort_now_ns() >= before + 2000000);
    gort_sleep_ns(-5);
    gort_sleep_until(before);
    gort_sleep_until(gort_now_ns() + 1000000);
    CHECK(gort_now_ns() >= before + 3000000);
}

static void send_one(void* arg) { gort_chan_send(arg, NULL); }
static void send_one_and_leave(void* arg) {
    send_one(arg);
    gort_goexit();
}
static void timers(void) {
    gort_chan* fired = gort_chan_make(0, 4);
    gort_timer* t = gort_after_func(0, send_one, fired);
    CHECK_EQ(gort_chan_recv(fired, NULL), GORT_OK);
    CHECK(!gort_timer_stop(t));
    CHECK(!gort_timer_reset(t, kLong));
    CHECK(gort_timer_reset(t, kLong));
    CHECK(gort_timer_stop(t));
    CHECK(!gort_timer_stop(t));
    CHECK(!gort_timer_reset(t, 1000));
    CHECK_EQ(gort_chan_recv(fired, NULL), GORT_OK);
    gort_timer_free(t);
    gort_timer_free(gort_after_func(1000, send_one, fired));  // runs though nobody holds it
    CHECK_EQ(gort_chan_recv(fired, NULL), GORT_OK);
    gort_timer_free(gort_after_func(0, send_one_and_leave, fired));
    CHECK_EQ(gort_chan_recv(fired, NULL), GORT_OK);
    gort_timer_free(NULL);
    gort_chan_unref(fired);
    while (gort_num_goroutine() > 1) gort_yield();  // what a run abandons is a leak to ASan
}

static int g_woken;
static void waits_labelled(void* arg) {
    gort_set_label("a request of C");
    gort_chan_send(arg, NULL);
    gort_chan_recv(arg, NULL);
    ++g_woken;  // so that the call before is no tail call, and this function has a frame
}
static void dump_shows_labels(void) {
    gort_chan* c = gort_chan_make(0, 0);
    gort_wg w = GORT_INIT;
    g_woken = 0;
    gort_wg_go(&w, waits_labelled, c);
    gort_chan_recv(c, NULL);
    char text[8192] = "";
    FILE* f = tmpfile();
    while (!strstr(text, "[chan receive")) {  // the stack of one that still runs is not known
        gort_yield();
        rewind(f);
        CHECK_EQ(ftruncate(fileno(f), 0), 0);
        gort_dump(fileno(f));
        rewind(f);
        text[fread(text, 1, sizeof text - 1, f)] = '\0';
    }
    gort_chan_close(c);
    gort_wg_wait(&w);
    CHECK_EQ(g_woken, 1);
    CHECK(strstr(text, "goroutine ") != NULL);
    CHECK(strstr(text, "a request of C") != NULL);
    CHECK(strstr(text, "waits_labelled") != NULL);
    fclose(f);
    gort_chan_unref(c);
}

static void status_texts(void) {
    CHECK(strcmp(gort_status_text(GORT_OK), "ok") == 0);
    CHECK(strcmp(gort_status_text(GORT_NO_MEMORY), "no memory") == 0);
    CHECK(strcmp(gort_status_text((gort_status)99), "unknown status") == 0);
}

const struct test tests[] = {
    {"outside: run returns main's value", run_returns_mains_value},
    {"outside: start and stop", start_and_stop},
    {"outside: texts of statuses", status_texts},
    {"go runs", go_runs},
    {"tasks", tasks},
    {"goexit ends the goroutine only", goexit_ends_the_goroutine_only},
    {"goexit through once, blocking", goexit_through_callbacks},
    {"blocking, lock_os_thread, gomaxprocs", blocking_runs_here},
    {"time passes", time_passes},
    {"timers", timers},
    {"a dump shows names and labels", dump_shows_labels},
    {NULL, NULL},
};
