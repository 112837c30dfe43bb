// tests/late_test.cc - what waits is served by the clock where decisions are far apart: timers, the global queue, the
// oldest in a P's queue.
// SPDX-License-Identifier: BSD-2-Clause
//
// No clocks: goroutines wait until sysmon has asked their P, and look who has run after their next decision. The ids
// (GR-…) are those of the list of Go's behaviours.
#include "rt/sync/mutex.h"
#include "tests/sched_test.h"

using namespace gort;
using namespace gort::sched_test;
using namespace std::chrono_literals;

namespace {

bool asked_for(uint32_t what) { return rt::sched.allp[0]->attention.load() & what; }

// Three that compute until P 0 is asked for `what`, or until it is served, and then yield: at P=1 the next decision is
// to serve it. Not before `ready`.
class Crowd {
public:
    explicit Crowd(uint32_t what) {
        join_.add(3);
        for (int i = 0; i < 3; ++i)
            go([this, what] {
                while (!served) {
                    while (!(ready && asked_for(what)) && !served) {
                    }
                    if (!served) ++asked;
                    yield();
                    if (asked && !served) ++late;
                }
                join_.done();
            });
    }
    void end() {
        served = true;
        join_.wait();
    }
    std::atomic<bool> ready{false}, served{false};
    std::atomic<int> asked{0}, late{0};

private:
    Join join_;
};

TEST(GR_22_a_late_timer_is_served_at_the_next_decision) {
    int asked = 0;
    for (int i = 0; i < 10; ++i)
        with_procs(1, [&asked] {
            Crowd crowd(rt::kAskTimers);
            crowd.ready = true;
            nap(1us);
            crowd.served = true;
            asked += crowd.asked;
            CHECK_EQ(crowd.late.load(), 0);
            crowd.end();
        });
    CHECK_LT(0, asked);
}

// Anybody may run anybody's timers.
TEST(GR_22_one_who_is_asked_serves_the_timers_of_a_p_that_computes) {
    with_procs(2, [] {
        std::atomic<rt::P*> busy{nullptr};
        std::atomic<bool> stop{false}, fired{false};
        Join join;
        join.add(1);
        go([&] {
            rt::M* mp = rt::enter();
            busy = rt::p_of(mp);
            rt::leave(mp);
            while (!stop) {
            }
            join.done();
        });
        while (!busy) yield();
        rt::Timer timer;
        timer.when = 1;
        timer.arg = &fired;
        timer.fn = [](rt::Timer* t, int64_t, uint64_t) { *static_cast<std::atomic<bool>*>(t->arg) = true; };
        rt::M* mp = rt::enter();
        rt::timer_start(&busy.load()->timers, &timer);
        rt::p_of(mp)->attention |= rt::kAskTimers;
        rt::leave(mp);
        yield();
        CHECK(fired.load());
        rt::timer_stop(&timer);
        stop = true;
        join.wait();
    });
}

// One may be lucky and be served before anybody is asked, but not each time.
TEST(GR_22_the_global_queue_is_served_by_the_clock) {
    int asked = 0;
    for (int i = 0; i < 10; ++i)
        with_procs(1, [&asked] {
            Crowd crowd(rt::kAskRound);
            std::thread other([&] {
                go([&] { crowd.served = true; });
                crowd.ready = true;
            });
            while (!crowd.served) yield();
            asked += crowd.asked;
            CHECK_EQ(crowd.late.load(), 0);
            crowd.end();
            blocking([&] { other.join(); });
        });
    CHECK_LT(0, asked);
}

// Whoever comes by the global queue, again and again, does not keep those waiting who are in the P's own: not even
// where each decision comes at the end of a time slice.
TEST(GR_22_the_global_queue_and_the_own_one_take_turns) {
    with_procs(1, [] {
        constexpr int kLinks = 50;
        struct Chain {
            std::atomic<bool> wanted{false}, over{false};
            std::atomic<int> links{0}, seen{-1};
            Join join;
            void link() {
                if (++links < kLinks && seen < 0) {
                    wanted = true;
                    while (wanted) {
                    }
                } else {
                    over = true;
                }
                rt::sched.allp[0]->attention |= rt::kAskRound | rt::kAskPreempt;
                join.done();
            }
        } chain;
        std::thread other([&chain] {
            while (!chain.over) {
                if (!chain.wanted) continue;
                chain.join.add(1);
                go([&chain] { chain.link(); });
                chain.wanted = false;
            }
        });
        chain.join.add(1);
        go([&chain] {
            while (!chain.links) yield();
            chain.seen = chain.links.load();
            chain.join.done();
        });
        yield();
        chain.wanted = true;
        while (!chain.over) yield();
        blocking([&] { other.join(); });
        chain.join.wait();
        CHECK_LE(chain.seen.load(), 8);
    });
}

// A stream of fresh goroutines, each of which starts the next and then computes for a while; one waits behind them.
TEST(GR_19_a_slow_stream_does_not_keep_an_old_one_waiting) {
    std::atomic<int> asked{0};
    for (int i = 0; i < 10; ++i)
        with_procs(1, [&asked] {
            std::atomic<bool> served{false};
            Join join;
            struct Link {
                std::atomic<bool>* served;
                std::atomic<int>* asked;
                Join* join;
                void operator()() const {
                    if (*served) return join->done();
                    go(*this);
                    const int64_t end = rt::now() + 500'000;
                    while (rt::now() < end)
                        if (asked_for(rt::kAskRound)) {
                            ++*asked;
                            return;
                        }
                }
            };
            join.add(1);
            go([&] { served = true; });
            go(Link{&served, &asked, &join});
            join.wait();
        });
    CHECK_LT(0, asked.load());
}

// What the requests mean, without a watcher's help.
TEST(what_is_asked_of_a_p_is_done_at_its_next_decision) {
    with_procs(1, [] {
        rt::P* pp = rt::sched.allp[0];
        std::atomic<int> ran{0};
        go([&] {
            nap(1ns);
            ++ran;
        });
        yield();  // it sleeps
        go([] {
            for (int i = 0; i < 100'000; ++i) yield();
        });
        pp->attention |= rt::kAskTimers;
        yield();
        CHECK_EQ(ran.load(), 1);
        std::thread([&] { go([&] { ++ran; }); }).join();
        pp->attention |= rt::kAskRound;
        yield();
        CHECK_EQ(ran.load(), 2);
    });
}

TEST_P(GR_22_timers_go_on_among_those_who_never_have_to_wait, 1, 2) {
    with_procs(procs, [procs] {
        std::atomic<bool> stop{false};
        Join join;
        join.add(2 * procs);
        for (int i = 0; i < 2 * procs; ++i)
            go([&] {
                mutex own;
                while (!stop) {
                    own.lock();
                    for (int k = 0; k < 10'000; ++k) asm volatile("");
                    own.unlock();
                }
                join.done();
            });
        for (int i = 0; i < 5; ++i) nap(1ms);
        stop = true;
        join.wait();
    });
}

}  // namespace
