// tests/arch_live_test.cc - live values across the raw switch, as the library's own flags compile them.
// SPDX-License-Identifier: BSD-2-Clause
#include "tests/arch_test_live.h"

#include "tests/test.h"

TEST(live_values_survive_a_switch_to_a_stack_that_ruins_every_register) {
    TEST_TIMEOUT(60);
    int wrong = 0;
    for (const arch_live::Case& c : arch_live::kCases) wrong += arch_live::run_case(c);
    CHECK_EQ(wrong, 0);
}
