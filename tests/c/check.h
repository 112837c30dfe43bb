// tests/c/check.h - what the tests in C share: checks that say where, and named tests. tests/c_test.sh runs them.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <stdio.h>
#include <string.h>

#include "gort_c.h"

extern int passed, failed, wrong;  // of this program; checks of this test that failed

#define CHECK(x)                                                      \
    do {                                                              \
        if (!(x)) {                                                   \
            ++wrong;                                                  \
            printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #x);    \
        }                                                             \
    } while (0)
#define CHECK_EQ(a, b)                                                                               \
    do {                                                                                             \
        long long left = (long long)(a), right = (long long)(b);                                     \
        if (left != right) {                                                                         \
            ++wrong;                                                                                 \
            printf("%s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #a, left, right);            \
        }                                                                                            \
    } while (0)

struct test {
    const char* name;
    void (*fn)(void);
};
// Ends with an entry whose fn is null. Each runs as the main goroutine of a run of its own, with one P and with two;
// those that are named "outside: …" run as plain code.
extern const struct test tests[];
