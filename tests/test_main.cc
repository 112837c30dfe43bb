// tests/test_main.cc - main() and the runner of tests/test.h, compiled once for all test binaries.
// SPDX-License-Identifier: BSD-2-Clause
#undef GORT_TEST_MAIN_APART
#include "tests/test.h"
