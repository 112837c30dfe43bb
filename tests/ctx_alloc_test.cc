// tests/ctx_alloc_test.cc - how often contexts allocate.
// SPDX-License-Identifier: BSD-2-Clause
//
// Counted by replacing operator new; channels and timers of the library take their memory elsewhere and are counted by
// their own books. Each figure is the least of several, as a thread that starts meanwhile allocates too.
#include <algorithm>
#include <atomic>
#include <climits>
#include <vector>

#include "tests/count_new.h"
#include "tests/ctx_test.h"

using namespace ctx_tools;

namespace {

inline constexpr key<int> kNumber{"number"};

template <class F>
long allocations_of(F f) {
    long least = LONG_MAX;
    for (int i = 0; i < 20; ++i) {
        const long before = g_allocations.load();
        f();
        least = std::min(least, g_allocations.load() - before);
    }
    return least;
}

}  // namespace

// A node is one allocation, and what else it may need is made when it is asked for. Go allows itself 5, 8, 12 and 3.
TEST_P(CX_15_CX_27_one_allocation_for_a_context, 1, 2) {
    if (GORT_TEST_SANITIZER) TEST_SKIP("the sanitizer has its own operator new");
    run(procs, [] {
        const long channels = gort::detail::live_chans();
        CHECK_EQ(
            allocations_of([] {
                auto [c, cancel] = with_cancel(background());
                cancel();
                CHECK(is_done(c));  // the channel that all share who were cancelled before they were asked
            }),
            1);
        std::vector<context> kept;
        kept.reserve(100);
        for (int i = 0; i < 100; ++i) {
            auto [c, cancel] = with_timeout(background(), 1h);
            cancel();
            CHECK(is_done(c));
            kept.push_back(c);
        }
        CHECK_LE(gort::detail::live_chans() - channels, 1);
        CHECK_EQ(1, allocations_of([] {
                     auto [c, cancel] = with_cancel(background());
                     c.done();
                     cancel();
                     CHECK(is_done(c));
                 }));
        CHECK_EQ(1, allocations_of([] {
                     auto [c, cancel] = with_timeout(background(), 1h);
                     cancel();
                 }));
        CHECK_EQ(1, allocations_of([] {
                     auto [c, cancel] = with_timeout(background(), 1us);
                     c.done().recv();
                 }));
        CHECK_EQ(1, allocations_of([] {
                     const context c = with_value(background(), kNumber, 5);
                     CHECK(*c.value(kNumber) == 5);
                 }));
    });
}
