// tests/c/main.c - runs a program's tests, and prints the line that the suites read.
// SPDX-License-Identifier: BSD-2-Clause
#include "check.h"

int passed, failed, wrong;

static int run_one(void* arg) {
    ((const struct test*)arg)->fn();
    return 0;
}

static void one(const struct test* t, int procs) {
    wrong = 0;
    gort_options o = {.size = sizeof o, .max_procs = procs};
    if (procs) gort_run(run_one, (void*)t, &o);
    else t->fn();
    if (wrong) {
        printf("FAIL %s (P=%d)\n", t->name, procs);
        ++failed;
    } else {
        ++passed;
    }
    fflush(stdout);
}

int main(int argc, char** argv) {
    for (const struct test* t = tests; t->fn; ++t) {
        if (argc > 1 && !strstr(t->name, argv[1])) continue;
        if (strncmp(t->name, "outside", 7) == 0) {
            one(t, 0);
        } else {
            one(t, 1);
            one(t, 2);
        }
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
