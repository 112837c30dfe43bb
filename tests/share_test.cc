// tests/share_test.cc - what lies in a P's public part runs, whether somebody looks for it or not.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/own/share.h"

#include <csignal>

#include "tests/sched_test.h"

using namespace gort;
using namespace gort::sched_test;

namespace {

// A goroutine that parks, and is made public instead of readied.
struct Parked {
    std::atomic<rt::G*> gp{nullptr};
    std::atomic<bool> ran{false};

    void start() {
        go([this] {
            rt::M* mp = rt::enter();
            const auto commit = [](void* to, rt::G* left) { *static_cast<std::atomic<rt::G*>*>(to) = left; };
            rt::leave(rt::park(mp, commit, &gp, rt::WaitReason::kPark));
            ran = true;
        });
        while (!gp) yield();
    }
    // As share() does after the last looker has left. The next look around is as far away as it can be.
    void make_public() {
        rt::M* mp = rt::enter();
        rt::P* pp = rt::p_of(mp);
        pp->set_until_look(rt::kGlobalEvery);
        gp.load()->status.set(rt::GStatus::kRunnable);
        pp->open_to_all.push(gp, gp);
        rt::leave(mp);
    }
};

// Its owner makes no decision any more: with one P it is taken from him, with several an M is woken that looks.
TEST_P(what_is_public_runs_though_its_owner_computes, 1, 2, 8) {
    with_procs(procs, [] {
        rt::sysmon_ensure();
        Parked parked;
        parked.start();
        parked.make_public();
        while (!parked.ran) {  // no yield: that would be a decision
        }
    });
}

// Decisions of 2 ms each, and nobody who looks: the clock brings it back, not the count of decisions.
TEST(what_is_public_does_not_wait_for_many_long_decisions) {
    int rounds = 0;
    with_procs(1, [&rounds] {
        rt::sysmon_ensure();
        Parked parked;
        parked.start();
        const auto rotate = [&] {
            while (!parked.ran && rounds < 1000) {
                for (const int64_t end = rt::now() + 2'000'000; rt::now() < end;) {
                }
                ++rounds;
                yield();
            }
        };
        Join join;
        join.add();
        go([&] {
            rotate();
            join.done();
        });
        parked.make_public();
        rotate();
        join.wait();
    });
    CHECK(rounds < 50);  // about 15 by the clock, 61 by the count
}

}  // namespace

// The table of rt/own/g.h, which a debug build checks at each step.
TEST(a_goroutines_status_follows_its_table) {
    using enum rt::GStatus;
    constexpr auto may = rt::GState::may_become;
    static_assert(may(kFree, kRunnable) && may(kRunnable, kWaiting) && may(kWaiting, kRunnable));
    static_assert(may(kRunnable, kFree) && may(kWaiting, kFree) && may(kDead, kFree));
    static_assert(!may(kFree, kWaiting) && !may(kWaiting, kWaiting) && !may(kRunnable, kRunning));
    static_assert(!may(kWaiting, kDead) && !may(kDead, kRunnable));
}
#if defined(GORT_DEBUG)
TEST_DIES(a_status_that_skips_a_step_ends_the_process, "check failed: may_become", -SIGABRT) {
    rt::GState status;
    status.set(rt::GStatus::kWaiting);
}
#endif
