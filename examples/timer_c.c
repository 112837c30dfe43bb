// examples/timer_c.c - timers in C: a function that is called later, put off, and called off.
// SPDX-License-Identifier: BSD-2-Clause
#include <gort_c.h>
#include <stdio.h>

static const int64_t kMs = 1000000;

static void ring(void* arg) { gort_chan_send(arg, NULL); }

static int program(void* arg) {
    (void)arg;
    gort_chan* rang = gort_chan_make(0, 1);
    const int64_t start = gort_now_ns();

    gort_timer* t = gort_after_func(2 * kMs, ring, rang);
    gort_timer_reset(t, 10 * kMs);  // put off
    gort_chan_recv(rang, NULL);
    printf("rang after 10 ms: %s\n", gort_now_ns() - start >= 10 * kMs ? "yes" : "too early");

    gort_timer_reset(t, 60000 * kMs);
    printf("called off: %s\n", gort_timer_stop(t) ? "yes" : "too late");
    gort_timer_free(t);

    gort_sleep_until(gort_now_ns() + kMs);
    gort_chan_unref(rang);
    return 0;
}

int main(void) { return gort_run(program, NULL, NULL); }
