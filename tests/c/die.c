// tests/c/die.c - one way to die for each argument; tests/c_test.sh knows the last words.
// SPDX-License-Identifier: BSD-2-Clause
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gort_c.h"

static const char* g_how;
static volatile uintptr_t g_bad = 16;  // no address, and the compiler does not know

static void nothing(void* arg) { (void)arg; }
static void start_twice(void* arg) {
    (void)arg;
    gort_stop();
}
static int run_again(void* arg) {
    (void)arg;
    return 0;
}

static void* waits(void* arg) {
    gort_chan_recv(NULL, NULL);
    return arg;
}

static void waits_too(void* arg) { waits(arg); }
__attribute__((noinline)) static void makes_all(void) {
    static gort_wg w;
    gort_go(waits_too, NULL);
    gort_go_sized(1 << 20, waits_too, NULL);
    gort_spawn(waits, NULL);
    gort_wg_go(&w, waits_too, NULL);
    gort_after_func(1, waits_too, NULL);
    gort_sleep_ns(1000000);  // no tail call
}

static int program(void* arg) {
    static gort_wg w;
    static gort_mutex m;
    static gort_rw rw;
    static gort_sem s;
    (void)arg;
    if (strcmp(g_how, "wg") == 0) gort_wg_done(&w);
    if (strcmp(g_how, "wg-range") == 0) gort_wg_add(&w, INT64_MAX);
    if (strcmp(g_how, "mutex") == 0) gort_mutex_unlock(&m);
    if (strcmp(g_how, "rw") == 0) gort_rw_unlock(&rw);
    if (strcmp(g_how, "sem") == 0) gort_sem_release(&s, -1);
    if (strcmp(g_how, "go-null") == 0) gort_go(NULL, NULL);
    if (strcmp(g_how, "go-sized") == 0) gort_go_sized((size_t)1 << 40, nothing, NULL);
    if (strcmp(g_how, "run-twice") == 0) gort_run(run_again, NULL, NULL);
    if (strcmp(g_how, "stop") == 0) start_twice(NULL);
    if (strcmp(g_how, "ctx") == 0) gort_ctx_with_cancel(NULL);
    if (strcmp(g_how, "select") == 0) gort_select(NULL, -1, 0, 0);
    if (strcmp(g_how, "timer") == 0) gort_timer_stop(NULL);
    if (strcmp(g_how, "deadlock") == 0) gort_chan_recv(NULL, NULL);
    if (strcmp(g_how, "task-deadlock") == 0) gort_join(gort_spawn(waits, NULL), NULL, GORT_FOREVER);
    if (strcmp(g_how, "created") == 0) makes_all(), gort_chan_recv(NULL, NULL);
    if (strcmp(g_how, "segv") == 0) *(volatile int*)g_bad = 1;
    return 0;
}

int main(int argc, char** argv) {
    g_how = argc > 1 ? argv[1] : "";
    if (strcmp(g_how, "goexit-outside") == 0) gort_goexit();
    if (strcmp(g_how, "time-outside") == 0) gort_after_func(1, nothing, NULL);
    gort_options o = {.size = sizeof o};
    if (strcmp(g_how, "options") == 0) o.max_procs = -3;
    if (strcmp(g_how, "options-size") == 0) o.size = 1;
    return gort_run(program, NULL, &o);
}
