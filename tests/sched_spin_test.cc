// tests/sched_spin_test.cc - Ms out of work: how many of them spin at once.
// SPDX-License-Identifier: BSD-2-Clause
//
// The ids (GR-…) are those of the list of Go's behaviours.
#include "tests/sched_test.h"

using namespace gort;
using namespace gort::sched_test;

namespace {

// Work comes in bursts, so that Ps run out of it again and again while others still have some.
void burst(int goroutines) {
    auto compute = [](int n) {
        for (int i = 0; i < n; ++i) asm volatile("");
    };
    Join join;
    join.add(goroutines);
    for (int i = 0; i < goroutines; ++i)
        go([&, i] {
            compute(1000 * (i % 8));
            join.done();
        });
    compute(20000);
    join.wait();
}

// As many Ms as may be are said to spin: no other begins. Else some do.
TEST_P(GR_29_at_most_half_of_the_busy_ps_spin, 2, 8) {
    if (num_cpu() < 2 || procs < 2) TEST_SKIP("nobody spins with one CPU, or one P");
    std::atomic<int> said{0};
    std::atomic<long> more{0};
    std::atomic<bool> stop{false};
    std::thread looks([&] {
        while (!stop) {
            const int before = said;
            if (rt::sched.looking > before && said == before) ++more;
        }
    });
    with_procs(procs, [&] {
        while (!more) burst(4 * procs);
        rt::sched.looking += procs / 2;
        said = procs / 2;
        EVENTUALLY([&] {  // one that had looked before may still begin, once
            more = 0;
            for (int i = 0; i < 1000 / test::slow(); ++i) burst(4 * procs);
            return more == 0;
        }());
        said = 0;
        rt::sched.looking -= procs / 2;
    });
    stop = true;
    looks.join();
}

}  // namespace
