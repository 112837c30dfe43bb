// tests/stack_tiers_test.cc - large stacks while goroutines are few: rt/stack/stack.h, TIERS.
// SPDX-License-Identifier: BSD-2-Clause
#include <sys/resource.h>
#include <sys/wait.h>

#include <cstring>

#include "chan/chan.h"
#include "kernel/vm.h"
#include "rt/go.h"
#include "rt/sync/wait_group.h"
#include "rt/time.h"
#include "tests/sched_test.h"
#include "tests/stack_test.h"

namespace {

using namespace gort;
using namespace gort::sched_test;

constexpr size_t kMiB = 1 << 20, kGiB = size_t{1} << 30;

#if !GORT_TEST_SANITIZER && !GORT_TSAN && !GORT_ASAN

// What the goroutine that calls may use.
size_t limit_here() { return rt::stack_bounds(rt::self()->curg->stack).size(); }

#define TIERS_OR_SKIP() \
    if (kernel::emulated()) TEST_SKIP("there are none under qemu-user")

TEST(few_goroutines_have_large_stacks_many_have_what_they_were_promised) {
    TIERS_OR_SKIP();
    for (const int procs : {1, 2}) {
        with_procs(procs, [procs] {
            CHECK_LE(kGiB - kMiB, limit_here());
            for (int round = 0; round < 3; ++round) {
                constexpr size_t kMany = 3000;
                auto go_on = make_chan<int>();
                std::vector<size_t> limits(kMany);
                wait_group there, done;
                there.add(kMany);
                for (size_t& limit : limits)
                    done.go([&] {
                        limit = limit_here();
                        there.done();
                        go_on.recv();
                    });
                there.wait();
                const auto larger = [&](size_t than) {
                    return std::count_if(limits.begin(), limits.end(), [=](size_t n) { return n > than; });
                };
                CHECK_LE(64, larger(kGiB - kMiB));
                CHECK_LE(larger(kGiB - kMiB), 128);
                CHECK_LE(64 + 1024, larger(64 * kMiB - kMiB));
                CHECK_LE(larger(64 * kMiB - kMiB), 128 + 1024);
                CHECK_EQ(larger(256 * 1024 - 68 * 1024), long(kMany));
                go_on.close();
                done.wait();
                // One that starts now is one of few again; but another P may have kept small stacks only.
                if (procs > 1) continue;
                done.go([] { CHECK_LE(64 * kMiB - kMiB, limit_here()); });
                done.wait();
            }
        });
    }
}

TEST(those_who_ask_for_little_take_what_is_there) {
    TIERS_OR_SKIP();
    with_procs(1, [] {
        wait_group wg;
        auto ask = [&](size_t bytes) {
            size_t got = 0;
            wg.add(1);
            go(stack_size(bytes), [&] {
                got = limit_here();
                wg.done();
            });
            wg.wait();
            return got;
        };
        CHECK_LE(kGiB - kMiB, ask(128 << 10));
        CHECK_LE(kGiB - kMiB, ask(kMiB));
        CHECK_LE(kGiB - kMiB, ask(kGiB));
    });
}

TEST(one_depth_everywhere_for_who_wants_it) {
    Died d = run_child([] {
        setenv("GORT_STACK_TIERS", "0", 1);
        gort::run([] { CHECK_LT(limit_here(), rt::kDefaultStackSize); });
    });
    CHECK_DIED(d, d.exit_code() == 0);
    d = run_child([] {
        setenv("GORT_STACK_TIERS", "yes", 1);
        gort::run([] {});
    });
    CHECK_DIED(d, d.exit_code() == 2);
    CHECK_DIED(d, d.said("GORT_STACK_TIERS=yes: ") && d.said("accepted: 0 and 1"));
    options o = procs_of(2);
    o.stack_tiers = false;
    gort::run(
        [] {
            CHECK_LT(limit_here(), rt::kDefaultStackSize);
            wait_group wg;
            wg.go([] { CHECK_LT(limit_here(), rt::kDefaultStackSize); });
            wg.wait();
        },
        o);
}

TEST(tiers_take_an_eighth_of_a_small_address_space_and_none_where_all_is_locked) {
    TIERS_OR_SKIP();
    Died d = run_child([] {
        const rlimit limit{16 * kGiB, 16 * kGiB};
        setrlimit(RLIMIT_AS, &limit);
        with_procs(1, [] {
            CHECK_LE(64 * kMiB - kMiB, limit_here());
            wait_group wg;
            auto go_on = make_chan<int>();
            for (int i = 0; i < 2000; ++i) wg.go([&] { go_on.recv(); });
            while (rt::stack_totals().in_use < 2000) yield();
            CHECK_LE(rt::stack_totals().reserved, 16 * kGiB / 8 + 2000 * rt::kDefaultStackSize + 64 * kMiB);
            go_on.close();
            wg.wait();
        });
    });
    CHECK_DIED(d, d.exit_code() == 0);
    d = run_child([] {
        if (mlockall(MCL_FUTURE) != 0) _exit(0);
        with_procs(1, [] { CHECK_LT(limit_here(), rt::kDefaultStackSize); });
    });
    CHECK_DIED(d, d.exit_code() == 0);
}

TEST(RT_23_set_max_stack) {
    TIERS_OR_SKIP();
    with_procs(1, [] {
        CHECK_EQ(set_max_stack(64 * kMiB), kGiB);
        wait_group wg;
        wg.go([] { CHECK_LT(limit_here(), kGiB / 2); });
        wg.wait();
        CHECK_EQ(set_max_stack(kGiB), 64 * kMiB);
        wg.go([] { CHECK_LE(kGiB - kMiB, limit_here()); });
        wg.wait();
    });
}

// Through a pipe every page of the process that counts would be written out, also those that are not there.
TEST(a_core_is_small) {
    TIERS_OR_SKIP();
    // What the kernel would write: the mappings that are not left out.
    with_procs(2, [] {
        wait_group wg;
        auto go_on = make_chan<int>();
        for (int i = 0; i < 1000; ++i) wg.go([&] { go_on.recv(); });
        while (rt::stack_totals().in_use < 1000) yield();
        size_t dumped = 0, size = 0;
        FILE* f = std::fopen("/proc/self/smaps", "r");
        char line[512];
        while (f && std::fgets(line, sizeof line, f)) {
            unsigned long kb;
            if (std::sscanf(line, "Size: %lu kB", &kb) == 1) size = kb << 10;
            if (std::strncmp(line, "VmFlags:", 8) == 0 && std::strstr(line, " wr") &&
                !std::strstr(line, " dd") && size < kGiB)
                dumped += size;
            if (std::strncmp(line, "VmFlags:", 8) == 0 && std::strstr(line, " wr"))
                CHECK(size < kGiB || std::strstr(line, " dd"));
        }
        if (f) std::fclose(f);
        CHECK_LT(dumped, 64 * kMiB);
        go_on.close();
        wg.wait();
    });
}

#endif

}  // namespace
