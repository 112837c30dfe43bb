// bench/startup/hello_pthread.c - starts one thread, joins it and exits.
// SPDX-License-Identifier: BSD-2-Clause
#include <pthread.h>

static void *nothing(void *arg) {
    return arg;
}

int main(void) {
    pthread_t thread;
    return pthread_create(&thread, 0, nothing, 0) || pthread_join(thread, 0);
}
