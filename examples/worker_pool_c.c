// examples/worker_pool_c.c - a pool of workers in C: jobs in by one channel, results out by another.
// SPDX-License-Identifier: BSD-2-Clause
#include <gort_c.h>
#include <stdio.h>

enum { kWorkers = 4, kJobs = 100 };

struct pool {
    gort_chan* jobs;     // of int
    gort_chan* results;  // of long
    gort_wg workers;
};

static void work(void* arg) {
    struct pool* p = arg;
    int job;
    while (gort_chan_recv(p->jobs, &job) == GORT_OK) {  // until jobs is closed and empty
        long square = (long)job * job;
        gort_chan_send(p->results, &square);
    }
}

static void hand_out(void* arg) {
    struct pool* p = arg;
    for (int i = 1; i <= kJobs; ++i) gort_chan_send(p->jobs, &i);
    gort_chan_close(p->jobs);
    gort_wg_wait(&p->workers);
    gort_chan_close(p->results);
}

static int program(void* arg) {
    (void)arg;
    struct pool p = {.jobs = gort_chan_make(sizeof(int), 16), .results = gort_chan_make(sizeof(long), 0)};
    for (int i = 0; i < kWorkers; ++i) gort_wg_go(&p.workers, work, &p);
    gort_go(hand_out, &p);
    long sum = 0, square;
    while (gort_chan_recv(p.results, &square) == GORT_OK) sum += square;
    printf("%ld\n", sum);
    gort_chan_unref(p.jobs);
    gort_chan_unref(p.results);
    return 0;
}

int main(void) { return gort_run(program, NULL, NULL); }
