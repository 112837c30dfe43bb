// tests/mm_test.cc - the memory model where it spans several parts: atomics, contexts, timers.
// SPDX-License-Identifier: BSD-2-Clause
//
// Channels: chan_order_test.cc; locks: the sync tests. What is passed is plain, so TSan sees an edge that is missing on
// any machine, and the values see it on one that reorders.
#include <atomic>

#include "tests/ctx_test.h"

using namespace ctx_tools;

namespace {

int fewer(int n) { return gort::test::slow() > 1 ? n / 10 : n; }

}  // namespace

// MM-01, MM-16: each writes its own and reads the other's; one of the two must see what the other wrote, wherever they
// run. Both meet before every round, and look for a while before they let the other one run.
TEST_P(MM_16_atomics_of_goroutines_have_one_order, 1, 2, 8) {
    run(procs, [] {
        const int rounds = fewer(20'000);
        std::atomic<int> mine[2] = {0, 0}, at[2] = {0, 0};
        int seen[2] = {0, 0};
        Join join;
        for (const int me : {0, 1})
            go_join(join, [&, me] {
                for (int i = 1; i <= rounds; ++i) {
                    const auto meet = [&](int step) {
                        at[me] = step;
                        for (int k = 0; at[1 - me] < step; ++k) {
                            if (k % 50 == 49) gort::yield();
                            if (k % 500 == 499) sched_yield();  // where two Ps share a CPU
                        }
                    };
                    meet(2 * i);
                    mine[me].store(i);
                    seen[me] = mine[1 - me].load();
                    meet(2 * i + 1);
                    CHECK(seen[0] == i || seen[1] == i);
                    CHECK(seen[0] >= i - 1 && seen[1] >= i - 1);
                    meet(2 * i + 1);
                }
            });
        join.wait(2);
    });
}

// MM-17: by done(), in a select too, and by looking at err().
TEST_P(MM_17_cancel_before_whoever_sees_it, 1, 2, 8) {
    run(procs, [] {
        for (int i = 1; i <= fewer(2000); ++i) {
            auto [c, cancel] = with_cancel(background());
            int plain = 0;
            Join join;
            go_join(join, [&plain, cancel = cancel, i] {
                if (i % 3 == 0) gort::yield();
                plain = i;
                cancel();
            });
            switch (i % 4) {
            case 0: c.done().recv(); break;
            case 1: gort::select(gort::on_recv(gort::make_chan<int>()), gort::on_recv(c.done())); break;
            case 2:
                while (!c.err()) gort::yield();
                break;
            default:
                while (!is_done(c)) gort::yield();
            }
            CHECK_EQ(plain, i);
            join.wait(1);
        }
    });
}
TEST_P(MM_17_so_for_a_child_and_after_func, 1, 2, 8) {
    run(procs, [] {
        for (int i = 1; i <= fewer(1000); ++i) {
            auto [parent, cancel] = with_cancel(background());
            auto [child, cancel_child] = with_timeout(parent, 1h);
            int plain = 0;
            auto seen = gort::make_chan<int>();
            auto stop = after_func(child, [&plain, seen] { seen << plain; });
            plain = i;
            cancel();
            CHECK_EQ(seen.recv(), i);
        }
    });
}

// MM-18: what was written before a timer was set is there when it fires: in its function, and for who receives.
TEST_P(MM_18_setting_a_timer_before_it_fires, 1, 2, 8) {
    run(procs, [] {
        for (int i = 1; i <= fewer(1000); ++i) {
            int plain = i;
            auto seen = gort::make_chan<int>();
            gort::timer f = gort::after_func(0ns, [&plain, seen] { seen << plain; });
            CHECK_EQ(seen.recv(), i);
            plain = -i;
            f.reset(gort::duration(i % 2000));
            CHECK_EQ(seen.recv(), -i);
        }
    });
}
TEST_P(MM_18_for_those_who_receive_its_value, 1, 2, 8) {
    run(procs, [] {
        gort::timer t{1h};
        int plain = 0;
        auto seen = gort::make_chan<int>();
        gort::go([&, c = t.c()] {
            for (int i = 1; i <= fewer(1000); ++i) {
                c.recv();
                seen << plain;
            }
        });
        for (int i = 1; i <= fewer(1000); ++i) {
            plain = i;
            t.reset(gort::duration(i % 2000));
            CHECK_EQ(seen.recv(), i);
        }
    });
}
