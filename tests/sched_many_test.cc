// tests/sched_many_test.cc - many goroutines, at once and one after the other, and what they leave behind.
// SPDX-License-Identifier: BSD-2-Clause
//
// The ids (GR-…) are those of the list of Go's behaviours.
#include <unordered_set>

#include "rt/own/p.h"
#include "rt/stats.h"
#include "tests/sched_test.h"

using namespace gort;
using namespace gort::sched_test;

namespace {

TEST(GR_07_a_hundred_thousand_parked) {
    with_procs(2, [] {
        const int kMany = 100'000 / (test::slow() > 1 ? 20 : 1);
        Sema gate;
        Join join;
        join.add(kMany);
        for (int i = 0; i < kMany; ++i)
            go([&] {
                gate.acquire();
                join.done();
            });
        EVENTUALLY(gate.waiting() == kMany);
        CHECK_EQ(num_goroutine(), kMany + 1);
        for (int i = 0; i < kMany; ++i) gate.release();
        join.wait();
    });
}

TEST_P(GR_08_a_goroutine_that_ended_leaves_nothing, 1, 2) {
    with_procs(procs, [procs] {
        const int kRounds = test::slow() > 1 ? 20 : 200;
        for (int round = 0; round < kRounds; ++round) {
            Join join;
            join.add(500);
            for (int i = 0; i < 500; ++i) go([&] { join.done(); });
            join.wait();
        }
        CHECK_LE(rt::stack_totals().in_use, rt::kStackCache * size_t(procs) + 8);  // what the Ps keep warm
        EVENTUALLY(num_goroutine() == 1);
    });
}

// All the Gs that were ever seen; each thread looks into its own few most of the time.
class Seen {
public:
    void me() {
        static thread_local std::unordered_set<const void*> mine;
        const void* gp = rt::self()->curg;
        if (!mine.insert(gp).second) return;
        kernel::LockGuard guard(lock_);
        all_.insert(gp);
    }
    size_t count() const { return all_.size(); }

private:
    kernel::Mutex lock_;
    std::unordered_set<const void*> all_;
};

// GR-08. Some run through, some yield and may be stolen, some park: few at a time, so few Gs and few stacks serve all.
TEST_STRESS_P(GR_08_ten_million_through_one_process, 1, 2) {
    const int kMany = 10'000'000 / (GORT_TSAN ? 50 : test::slow()), kBatch = 500;
    const int spawners = procs, each = kMany / spawners;
    Seen seen;
    with_procs(procs, [&] {
        Join all;
        all.add(spawners);
        for (int s = 0; s < spawners; ++s)
            go([&] {
                for (int left = each; left > 0; left -= kBatch) {
                    Join batch;
                    Sema gate;
                    batch.add(kBatch);
                    for (int i = 0; i < kBatch; ++i)
                        go([&, i] {
                            seen.me();
                            if (i % 4 == 0) yield();
                            if (i % 10 == 0) gate.acquire();
                            batch.done();
                        });
                    for (int i = 0; i < kBatch; i += 10) gate.release();
                    batch.wait();
                }
                all.done();
            });
        all.wait();
        EVENTUALLY(num_goroutine() == 1);
        const runtime_stats s = stats(false);
        CHECK_LE(uint64_t(each) * uint64_t(spawners), s.created);
        const size_t live = size_t(spawners) * (kBatch + 1) + 1;
        CHECK_LE(seen.count(), live + 3 * rt::kMagazine * size_t(procs));
        const rt::StackTotals t = rt::stack_totals();
        CHECK_LE(t.in_use + t.hot + t.warm + t.cold, live + 2 * rt::kStackCache * size_t(procs));
    });
}

}  // namespace
