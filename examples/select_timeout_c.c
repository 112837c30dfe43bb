// examples/select_timeout_c.c - select in C: several channels, a deadline, and a look without waiting.
// SPDX-License-Identifier: BSD-2-Clause
#include <gort_c.h>
#include <stdio.h>

static void answer(void* arg) {
    int value = 42;
    gort_chan_send(arg, &value);
}

static int program(void* arg) {
    (void)arg;
    gort_chan* answers = gort_chan_make(sizeof(int), 0);
    gort_chan* stop = gort_chan_make(0, 0);
    int value = 0;
    gort_case cases[] = {
        {.chan = answers, .dir = GORT_RECV, .elem = &value},
        {.chan = stop, .dir = GORT_RECV},
    };

    if (gort_select(cases, 2, GORT_SELECT_DEFAULT, GORT_FOREVER) == -1) puts("nothing yet");
    if (gort_select(cases, 2, 0, gort_now_ns() + 1000000) == -2) puts("nothing for a millisecond");

    gort_go(answer, answers);
    if (gort_select(cases, 2, 0, GORT_FOREVER) == 0) printf("the answer is %d\n", value);

    gort_chan_close(stop);
    if (gort_select(cases, 2, 0, GORT_FOREVER) == 1 && cases[1].status == GORT_CLOSED) puts("stopped");
    gort_chan_unref(answers);
    gort_chan_unref(stop);
    return 0;
}

int main(void) { return gort_run(program, NULL, NULL); }
