// tests/denied_test.cc - a run goes on where the program takes system calls away from it.
// SPDX-License-Identifier: BSD-2-Clause
#include <cerrno>
#include <memory>
#include <thread>
#include <vector>

#include "chan/chan.h"
#include "chan/select.h"
#include "kernel/membarrier.h"
#include "rt/sync/mutex.h"
#include "rt/sync/wait_group.h"
#include "tests/child.h"
#include "tests/procs.h"
#include "tests/seccomp.h"

using namespace gort;

namespace {

// Much that changes its owner: channels, a mutex and goroutines between Ps and a foreign thread.
void traffic(int rounds) {
    for (int round = 0; round < rounds; ++round) {
        auto work = make_chan<int>(), done = make_chan<int>(3);
        mutex m;
        wait_group all;
        int sum = 0;
        for (int w = 0; w < 4; ++w)
            all.go([&, work, done] {
                for (const int i : work) {
                    std::lock_guard guard(m);
                    sum += i;
                    done << i;
                }
            });
        std::thread foreign([work] {
            for (int i = 1; i <= 50; ++i) work << i;
        });
        int received = 0;
        for (int sent = 0; received < 100;) {
            int got = 0;
            auto to = sent < 50 ? work : nullptr;
            if (select(on_send(to, sent + 51), on_recv(done, got)) == 0) ++sent;
            else ++received;
        }
        work.close();
        all.wait();
        foreign.join();
        CHECK_EQ(sum, 5050);
    }
}

}  // namespace

TEST_P(a_run_goes_on_without_membarrier, 1, 2, 8) {
    const auto d = test::run_child([procs] {
        test::with_procs(procs, [] {
            traffic(3);
            if (!kernel::has_membarrier() || !test::deny(__NR_membarrier, ENOSYS)) _exit(test::kNotHere);
            traffic(30);
            if (kernel::has_membarrier()) _exit(1);
        });
        test::with_procs(procs, [] { traffic(3); });
    });
    if (d.exit_code() == test::kNotHere) TEST_SKIP("no membarrier, or no seccomp");
    CHECK_DIED(d, d.status == 0);
}
