// tests/kernel_barrier_test.cc - the two-sided barrier: with membarrier, without it, and where it fails.
// SPDX-License-Identifier: BSD-2-Clause
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "arch/arch.h"
#include "kernel/clock.h"
#include "kernel/fatal.h"
#include "kernel/membarrier.h"
#include "tests/child.h"
#include "tests/kernel_test.h"
#include "tests/seccomp.h"

using namespace gort::kernel;
using namespace kernel_test;

// Dekker: each side writes its word and reads the other's; both reading 0 is what the barriers forbid. Before that each
// writes to memory that is in no cache: its own word waits behind that, and a read without a fence does not.
static void dekker() {
    static unsigned char cold[2][16 << 20];
    static constexpr auto cool = [](int side, int round) {
        constexpr size_t kLines = 32, kStride = 131 * 64;
        volatile unsigned char* at = cold[side];
        for (size_t k = 0; k < kLines; ++k)
            at[(static_cast<size_t>(round) * kLines + k) * kStride % sizeof cold[0]] = 1;
    };
    for (auto& side : cold) std::memset(side, 2, sizeof side);
    struct alignas(64) Word {
        std::atomic<int> v{0};
    };
    struct Shared {
        Word common, rare;
        std::atomic<int> round{0}, ready{0}, go{0}, done{0};
        std::atomic<int> seen{0};
    } s;
    Worker w;
    w.start(
        [](void* p) {
            auto* sh = static_cast<Shared*>(p);
            const auto wait_for = [](const std::atomic<int>& word, int i) {
                for (int n = 0, at; (at = word.load(std::memory_order_acquire)) != i; ++n) {
                    if (at < 0) return false;
                    n < 500 ? gort::arch::pause() : static_cast<void>(sys_sched_yield());
                }
                return true;
            };
            for (int i = 1; wait_for(sh->round, i); ++i) {
                const int before =
                    sh->common.v.load(std::memory_order_relaxed) + sh->rare.v.load(std::memory_order_relaxed);
                sh->ready.store(i + before, std::memory_order_release);  // both are 0
                wait_for(sh->go, i);
                cool(0, i);
                sh->common.v.store(1, std::memory_order_relaxed);
                light_barrier();
                sh->seen.store(sh->rare.v.load(std::memory_order_relaxed), std::memory_order_relaxed);
                sh->done.store(i, std::memory_order_release);
            }
        },
        &s);
    // Where other processes want the CPUs, each round may take time slices.
    const int64_t end = nanotime() + 2 * kNsPerSec;
    for (int i = 1; i <= 3000 / gort::test::slow() && nanotime() < end; ++i) {
        s.common.v.store(0, std::memory_order_relaxed);
        s.rare.v.store(0, std::memory_order_relaxed);
        s.round.store(i, std::memory_order_release);
        for (int n = 0; s.ready.load(std::memory_order_acquire) != i; ++n)
            n < 500 ? gort::arch::pause() : static_cast<void>(sys_sched_yield());
        const uint64_t pauses = gort::test::rnd() % 24;
        s.go.store(i, std::memory_order_release);
        for (uint64_t n = pauses; n > 0; --n) gort::arch::pause();
        cool(1, i);
        s.rare.v.store(1, std::memory_order_relaxed);
        heavy_barrier();
        const int seen = s.common.v.load(std::memory_order_relaxed);
        while (s.done.load(std::memory_order_acquire) != i) sys_sched_yield();
        CHECK(seen == 1 || s.seen.load(std::memory_order_relaxed) == 1);
    }
    s.round.store(-1, std::memory_order_release);
    w.join();
}
TEST(barriers_without_membarrier) {
    CHECK(!has_membarrier());
    dekker();
}
TEST(barriers_with_membarrier) {
    membarrier_init();
    dekker();
}
TEST(membarrier_is_not_trusted_when_refused) {
    membarrier_init();
    if (!has_membarrier()) TEST_SKIP("no membarrier here");
    for (uint32_t nth = 1; nth <= 3; ++nth) {  // the query, the registration, the trial
        INJECT(Sys::kMembarrier, nth, EPERM);
        membarrier_init();
        CHECK(!has_membarrier());
        heavy_barrier();
    }
    membarrier_init();
    CHECK(has_membarrier());
}
TEST(heavy_barrier_tries_again) {
    membarrier_init();
    if (!has_membarrier()) TEST_SKIP("no membarrier here");
    INJECT(Sys::kMembarrier, 1, ENOMEM, 3);
    inject_clear();
    inject(Sys::kMembarrier, 1, ENOMEM, 3);
    heavy_barrier();
    CHECK_EQ(inject_count(Sys::kMembarrier), 4);
}

TEST(heavy_barrier_is_one_when_it_is_refused_later) {
    for (const int error : {EPERM, ENOSYS, EINVAL}) {
        const auto d = gort::test::run_child([error] {
            membarrier_init();
            if (!has_membarrier() || !gort::test::deny(__NR_membarrier, error)) _exit(gort::test::kNotHere);
            dekker();
            if (has_membarrier()) _exit(1);
        });
        if (d.exit_code() == gort::test::kNotHere) TEST_SKIP("no membarrier, or no seccomp");
        CHECK_DIED(d, d.status == 0);
    }
}

// The first that is refused waits until nobody can still rely on it, and so does who comes meanwhile.
TEST(refused_later_all_wait_until_it_is_settled) {
    const auto d = gort::test::run_child([] {
        membarrier_init();
        if (!has_membarrier() || !gort::test::deny(__NR_membarrier, EPERM)) _exit(gort::test::kNotHere);
        static std::atomic<int> done{0};
        Worker w[3];
        const int64_t start = nanotime();
        for (auto& one : w)
            one.start(
                [](void*) {
                    heavy_barrier();
                    done.fetch_add(1);
                },
                nullptr);
        for (auto& one : w) one.join();
        CHECK_LE(25'000'000, nanotime() - start);
        const int64_t later = nanotime();
        for (int i = 0; i < 1000; ++i) heavy_barrier();
        CHECK_LT(nanotime() - later, 1000 * 25'000'000ll);
    });
    if (d.exit_code() == gort::test::kNotHere) TEST_SKIP("no membarrier, or no seccomp");
    CHECK_DIED(d, d.status == 0);
}
TEST(barrier_works_in_a_forked_child) {
    membarrier_init();
    const pid_t child = fork();
    if (child == 0) {
        heavy_barrier();
        _exit(0);
    }
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}
