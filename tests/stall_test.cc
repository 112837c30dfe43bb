// tests/stall_test.cc - GORT_STALL names who keeps its P; histograms of stats() say how long others waited.
// SPDX-License-Identifier: BSD-2-Clause
#include <ctime>

#include "gort.h"
#include "tests/panic_test.h"

using namespace gort;
using namespace gort::panic_test;
using namespace std::chrono_literals;

namespace {

[[gnu::noinline]] void hogs_its_p(std::atomic<bool>* end) {
    while (!end->load(std::memory_order_relaxed)) {
    }
}

// As a child with that environment runs it: a goroutine computes for 100 ms.
void stall_for_a_while() {
    run([] {
        std::atomic<bool> end{false};
        wait_group wg;
        wg.go([&] {
            set_label("the hog");
            hogs_its_p(&end);
        });
        sleep(150ms);
        end = true;
        wg.wait();
    });
}
Died stall_with(const char* value) {
    return run_child([&] {
        setenv("GORT_STALL", value, 1);
        stall_for_a_while();
    });
}

TEST(a_stalled_goroutine_is_named_once) {
    const Died d = stall_with("40");
    CHECK_EQ(d.exit_code(), 0);
    CHECK_EQ(d.count("gort: stall:"), 1u);
    CHECK(d.matches(
        "^gort: stall: goroutine [0-9]+ \\[\"the hog\", created by .*stall_test.cc:[0-9]+\\] has kept its P "
        "for [0-9]+ ms$"));
    CHECK(!d.said("hogs_its_p"));
}

TEST(its_stack_if_asked_for) {
    const Died d = stall_with("40,stack");
    CHECK_EQ(d.exit_code(), 0);
    CHECK(d.said("hogs_its_p"));
    CHECK(!d.said("SIGQUIT"));
}

TEST(nobody_is_named_who_gives_way) {
    const Died d = run_child([&] {
        setenv("GORT_STALL", "60000", 1);
        stall_for_a_while();
    });
    CHECK_EQ(d.exit_code(), 0);
    CHECK(!d.said("stall"));
}

TEST(a_bad_value_says_what_is_accepted) {
    for (const char* bad : {"0", "x", "10,stck", "10,", "-1", "9999999999"}) {
        const Died d = stall_with(bad);
        CHECK_EQ(d.exit_code(), 2);
        CHECK(d.said("accepted: 1 to 3600000 (ms)"));
        CHECK(d.said(bad));
    }
}

const park_stats* parks_of(const runtime_stats& s, const std::string& reason) {
    for (const park_stats& p : s.parks_by_reason)
        if (reason == p.reason) return &p;
    return nullptr;
}

// Sleeps of 5 ms are found between 4 and 1000 ms; a thousand of them give samples, and so does the way to running.
TEST_P(histograms_have_what_was_parked_and_what_was_ready, 1, 2) {
    with_procs(procs, [] {
        for (int i = 0; i < 40; ++i) sleep(5ms);
        const runtime_stats s = stats(false);
        const park_stats* sleeps = parks_of(s, "sleep");
        CHECK(sleeps != nullptr);
        CHECK(sleeps->parked.total() >= 4);
        CHECK(sleeps->parked.quantile_ns(0) >= 4'000'000);
        CHECK(s.ready_to_running.total() >= 4);
        CHECK(s.ready_to_running.quantile_ns(0.5) > 0);
    });
}

// Parks that go straight from one goroutine to the next are sampled now and then.
TEST(a_busy_pair_is_sampled_too) {
    with_procs(1, [] {
        auto there = make_chan<int>(), back = make_chan<int>();
        go([=] {
            for (int v : there) back << v;
            back.close();
        });
        for (int i = 0; i < 50'000; ++i) {
            there << i;
            CHECK_EQ(back.recv(), i);
        }
        there.close();
        const runtime_stats s = stats(false);
        uint64_t parked = 0;
        for (const park_stats& p : s.parks_by_reason) parked += p.parked.total();
        CHECK(parked >= 20);
        CHECK(parked <= 10'000);
        CHECK_EQ(parked, s.ready_to_running.total());
    });
}

}  // namespace
