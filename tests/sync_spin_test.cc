// tests/sync_spin_test.cc - when a mutex spins before it parks: counted in instructions, not in time.
// SPDX-License-Identifier: BSD-2-Clause
//
// The CPU traps after each instruction of the call of lock, and the handler counts how many pauses come by while the
// goroutine is on its own stack; where it has left that, it has parked. x86-64 only: ARM64 has no such flag that a
// program may set.
#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>

#include "rt/sched/sched.h"
#include "tests/sync_test.h"

using namespace gort;
using namespace gort::sync_test;

#if defined(__x86_64__)
#include <sys/ucontext.h>

namespace {

struct Steps {
    std::atomic<uintptr_t> low{0}, high{0};
    std::atomic<long> pauses{0};
    std::atomic<bool> left{false};  // the stack
};
Steps g_steps;

void count_step(int, siginfo_t* info, void* context) {
    constexpr greg_t kTrapFlag = 0x100;
    greg_t* regs = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
    if (info->si_code == SI_KERNEL) {  // int3: from now on
        regs[REG_EFL] |= kTrapFlag;
        return;
    }
    const auto sp = static_cast<uintptr_t>(regs[REG_RSP]);
    if (sp < g_steps.low || sp >= g_steps.high) {
        regs[REG_EFL] &= ~kTrapFlag;
        g_steps.left = true;
        return;
    }
    static constexpr unsigned char pause[] = {0xf3, 0x90};
    if (!std::memcmp(reinterpret_cast<const void*>(regs[REG_RIP]), pause, sizeof pause)) ++g_steps.pauses;
}

// mu is locked, and is unlocked once we wait for it.
void lock_step_by_step(mutex& mu) {
    const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
    g_steps.low = here - 32 * 1024;
    g_steps.high = here + 1024;
    asm volatile("int3");
    mu.lock();
    CHECK(g_steps.left);
}

enum class Others { kNone, kNext, kFresh };  // what else this P has to run

// How many pauses a lock in vain makes before it parks.
long pauses_before_the_park(int procs, bool other_p_runs, Others others) {
    g_steps.pauses = 0;
    g_steps.left = false;
    with_procs(procs, [&] {
        mutex mu;
        mu.lock();
        wait_group wg;
        if (other_p_runs) {
            std::atomic<bool> runs{false};
            wg.go([&] {
                runs = true;
                while (!g_steps.left) {
                }
            });
            while (!runs) {  // no yield: it is to run on the other P
            }
        }
        if (others == Others::kFresh) wg.go([] {});
        wg.go([&] {
            if (others == Others::kNext) wg.go([] {});
            lock_step_by_step(mu);
            mu.unlock();
        });
        std::thread unlocks([&] {
            while (!g_steps.left) sched_yield();
            mu.unlock();
        });
        wg.wait();  // parks: the P goes to the one that locks
        blocking([&] { unlocks.join(); });
    });
    return g_steps.pauses;
}

constexpr long kSpins = 4 * 30;

// A try is spoilt where a P is retaken meanwhile.
long mostly(bool other_p_runs, Others others) {
    std::array<long, 5> pauses;
    for (long& n : pauses) n = pauses_before_the_park(2, other_p_runs, others);
    std::nth_element(pauses.begin(), pauses.begin() + 2, pauses.end());
    return pauses[2];
}

TEST(MX_12_spins_only_where_another_p_runs_and_nothing_waits_for_this_one) {
    if (GORT_TSAN) TEST_SKIP("TSan handles signals later");
    struct sigaction act {};
    act.sa_sigaction = count_step;
    act.sa_flags = SA_SIGINFO;
    CHECK(sigaction(SIGTRAP, &act, nullptr) == 0);

    CHECK_EQ(pauses_before_the_park(1, false, Others::kNone), 0);
    CHECK_EQ(pauses_before_the_park(1, false, Others::kNext), 0);
    if (num_cpu() < 2) TEST_SKIP("with two CPUs there is more to see");
    EVENTUALLY(mostly(true, Others::kNone) == kSpins);
    EVENTUALLY(mostly(true, Others::kNext) == 0);
    EVENTUALLY(mostly(true, Others::kFresh) == 0);
    EVENTUALLY(mostly(false, Others::kNone) == 0);
}

}  // namespace
#else
TEST(MX_12_spins_only_where_another_p_runs_and_nothing_waits_for_this_one) {
    TEST_SKIP("nobody may ask this CPU for a trap after each instruction");
}
#endif
