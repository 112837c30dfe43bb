// tests/sched_options_test.cc - the scheduler's options, variables and limits.
// SPDX-License-Identifier: BSD-2-Clause
//
// The ids (GR-…, RT-…) are those of the list of Go's behaviours.
#include <sched.h>

#include "tests/sched_test.h"

using namespace gort;
using namespace gort::sched_test;

namespace {

// ---- options and variables

int procs_by_default() {
    return gort::run([] { return gomaxprocs(0); });
}

TEST(RT_02_GORT_MAXPROCS) {
    for (const char* good : {"3", "1", "1024"}) {
        setenv("GORT_MAXPROCS", good, 1);
        Died d = run_child([good] { CHECK_EQ(procs_by_default(), atoi(good)); });
        CHECK_DIED(d, d.exit_code() == 0);
    }
    // the program's word counts
    Died d = run_child([] { CHECK_EQ(with_procs(2, [] { return gomaxprocs(0); }), 2); });
    CHECK_DIED(d, d.exit_code() == 0);
}

struct BadVariable {
    const char *name, *value, *line;
};
TEST(a_bad_variable_is_one_line_and_exit_2) {
    const BadVariable kBad[] = {
        {"GORT_MAXPROCS", "0", "accepted: 1 to 1024"},
        {"GORT_MAXPROCS", "abc", "accepted: 1 to 1024"},
        {"GORT_MAXPROCS", "-1", "accepted: 1 to 1024"},
        {"GORT_MAXPROCS", "2x", "accepted: 1 to 1024"},
        {"GORT_MAXPROCS", "1025", "accepted: 1 to 1024"},
        {"GORT_MAXPROCS", "", "accepted: 1 to 1024"},
        {"GORT_MAXPROCS", "99999999999999999999", "accepted: 1 to 1024"},
        {"GORT_STACK", "1", "accepted: 128K to 1G"},
        {"GORT_STACK", "2G", "accepted: 128K to 1G"},
        {"GORT_STACK", "many", "accepted: 128K to 1G"},
        {"GORT_SEED", "0", "accepted: 1 to 18446744073709551615"},
        {"GORT_SEED", "x", "accepted: 1 to 18446744073709551615"},
        {"GORT_SCHEDTRACE", "0", "accepted: 1 to 3600000 (ms)"},
        {"GORT_SCHEDTRACE", "3600001", "accepted: 1 to 3600000 (ms)"},
        {"GORT_SCHEDDETAIL", "2", "accepted: 0 and 1"},
        {"GORT_SCHEDTRACE", "often", "accepted: 1 to 3600000 (ms)"},
    };
    for (const BadVariable& bad : kBad)
        for (bool background : {false, true}) {
            Died d = run_child([&] {
                setenv(bad.name, bad.value, 1);
                if (background) gort::start();
                else gort::run([] { std::puts("main ran"); });
            });
            CHECK_DIED(d, d.exit_code() == 2);
            CHECK_DIED(d, d.out.empty());
            CHECK_DIED(d, d.count("\n") == 1);
            CHECK_DIED(d, d.err.find(std::string(bad.name) + "=" + bad.value + ": ") == 0);
            CHECK_DIED(d, d.said(bad.line));
        }
}

TEST(good_variables_are_taken) {
    Died d = run_child([] {
        setenv("GORT_STACK", "1M", 1);
        setenv("GORT_SEED", "77", 1);
        gort::run([] {
            CHECK_EQ(rt::stack_class_size(rt::sched.stack_class), size_t{1} << 20);
            CHECK_EQ(rt::sched.config.seed, 77);
        });
    });
    CHECK_DIED(d, d.exit_code() == 0);
}

TEST(bad_options_are_panics_and_leave_nothing_running) {
    auto bad = [](auto set) {
        options o;
        set(o);
        const std::string what = panic_of([&] { gort::run([] { CHECK(false); }, o); });
        CHECK_EQ(panic_of([&] { gort::start(o); }), what);
        return what;
    };
    CHECK_EQ(bad([](options& o) { o.max_procs = -1; }), "run: options.max_procs out of range (1 to 1024)");
    CHECK_EQ(bad([](options& o) { o.max_procs = 1025; }), "run: options.max_procs out of range (1 to 1024)");
    CHECK_EQ(bad([](options& o) { o.max_threads = -1; }),
             "run: options.max_threads out of range (at least 1)");
    CHECK_EQ(bad([](options& o) { o.stack_size = size_t{2} << 30; }),
             "run: options.stack_size out of range (at most 1 GiB)");
    options o;
    o.max_procs = 3;
    o.stack_size = 100;  // rounded up
    o.max_threads = 50;
    o.seed = 5;
    const int value = gort::run(
        [] {
            CHECK_EQ(set_max_threads(60), 50);
            CHECK_EQ(rt::stack_class_size(rt::sched.stack_class), size_t{128} << 10);
            return gomaxprocs(0);
        },
        o);
    CHECK_EQ(value, 3);
}

TEST(RT_03_RT_06_the_default_is_what_affinity_allows_and_num_cpu_stays) {
    cpu_set_t all, one;
    CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
    size_t cpu = 0;
    while (!CPU_ISSET(cpu, &all)) ++cpu;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    CHECK_EQ(num_cpu(), CPU_COUNT(&all));
    gort::run([&] {
        CHECK_EQ(num_cpu(), CPU_COUNT(&all));
        CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
        CHECK_EQ(num_cpu(), CPU_COUNT(&all));  // fixed at the start
    });
    CHECK_EQ(procs_by_default(), 1);
    CHECK(sched_setaffinity(0, sizeof all, &all) == 0);
}

// ---- limits

void many_locked(int n) {
    static Sema never;
    static std::atomic<int> in{0};
    for (int i = 0; i < n; ++i)
        go([] {
            lock_os_thread();
            ++in;
            never.acquire();
        });
    EVENTUALLY(in == n);
}

TEST(RT_20_RT_21_more_threads_than_allowed) {
    Died d = run_child([] {
        with_procs(1, [] {
            CHECK_EQ(set_max_threads(10), 10'000);
            CHECK_EQ(set_max_threads(10), 10);
            many_locked(20);
        });
    });
    CHECK_DIED(d, d.exit_code() == 2);
    CHECK_DIED(d, d.first_line() == "runtime: program exceeds 10-thread limit");
    CHECK_DIED(d, d.said("\nfatal error: thread exhaustion\n"));
    d = run_child([] {
        with_procs(2, [] {
            many_locked(3);
            set_max_threads(1);
        });
    });
    CHECK_DIED(d, d.exit_code() == 2);
    CHECK_DIED(d, d.first_line() == "runtime: program exceeds 1-thread limit");
    d = run_child([] {
        options o;
        o.max_procs = 1;
        o.max_threads = 5;
        gort::run([] { many_locked(20); }, o);
    });
    CHECK_DIED(d, d.first_line() == "runtime: program exceeds 5-thread limit");
    d = run_child([] {
        with_procs(1, [] {
            set_max_threads(30);
            many_locked(20);
        });
    });
    CHECK_DIED(d, d.exit_code() == 0);
}

TEST(GR_40_a_foreign_threads_cpus_are_not_the_new_threads) {
    cpu_set_t all, one;
    CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
    if (CPU_COUNT(&all) < 2) TEST_SKIP("needs two CPUs");
    size_t cpu = 0;
    while (!CPU_ISSET(cpu, &all)) ++cpu;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    gort::start(procs_of(4));
    CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
    Sema end;
    int count = 0;
    go([&] {
        cpu_set_t mine;
        CHECK(sched_getaffinity(0, sizeof mine, &mine) == 0);
        count = CPU_COUNT(&mine);
        end.release();
    });
    end.acquire();
    CHECK_EQ(count, CPU_COUNT(&all));
    CHECK(sched_setaffinity(0, sizeof all, &all) == 0);
    gort::stop();
}

}  // namespace
