// tests/trim_test.cc - stacks give their pages back: rt/sched/trim.h, and the pool's part of it.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/sched/trim.h"

#include <cstring>

#include "chan/chan.h"
#include "rt/go.h"
#include "rt/stats.h"
#include "rt/sync/wait_group.h"
#include "rt/time.h"
#include "tests/sched_test.h"
#include "tests/test.h"

namespace {

using namespace gort;
using namespace std::chrono_literals;
using sched_test::procs_of;
using sched_test::with_procs;

// Rounds without a pause, of whatever is parked for `parked`.
struct Pace {
    explicit Pace(std::chrono::nanoseconds every, std::chrono::nanoseconds parked = 0ns) {
        rt::trim_set_pace(every.count(), parked.count());
    }
    ~Pace() { rt::trim_set_pace(0, 0); }
};

// Stands `bytes` deep, with something of its own in each line, and says whether all of that is still there at the end.
template <class F>
[[gnu::noinline]] bool deep(size_t bytes, unsigned char mark, F at_the_bottom) {
    constexpr size_t kFrame = 1024;
    volatile unsigned char mine[kFrame];
    for (size_t i = 0; i < kFrame; i += 64) mine[i] = static_cast<unsigned char>(mark + i / 64);
    bool same = true;
    if (bytes > kFrame) same = deep(bytes - kFrame, static_cast<unsigned char>(mark * 3 + 1), at_the_bottom);
    else at_the_bottom();
    for (size_t i = 0; i < kFrame; i += 64) same &= mine[i] == static_cast<unsigned char>(mark + i / 64);
    return same;
}

template <class F>
bool comes_true(F f) {
    for (int i = 0; i < 4000; ++i) {
        if (f()) return true;
        sleep(5ms);
    }
    return f();
}

constexpr size_t kDeep = 150'000;

}  // namespace

#if !GORT_TSAN

TEST(parked_stacks_give_back_what_is_below_them) {
    for (const int procs : {1, 2}) {
        Pace pace(5ms, 5ms);
        with_procs(procs, [] {
            constexpr int kMany = 100;
            auto go_on = make_chan<int>();
            wait_group wg;
            std::atomic<int> there{0}, wrong{0};
            const size_t before = rt::stack_resident_total();
            for (int i = 0; i < kMany; ++i)
                wg.go([&, i] {
                    deep(kDeep, static_cast<unsigned char>(i), [] {});
                    if (!deep(20'000, static_cast<unsigned char>(i), [&] {
                            there.fetch_add(1);
                            go_on.recv();
                        }))
                        wrong.fetch_add(1);
                });
            CHECK(comes_true([&] { return there == kMany; }));
            // 20 KB of their own, one page that is begun, one that was not worth it
            CHECK(comes_true(
                [&] { return rt::stack_resident_total() <= before + kMany * (24'576 + 3 * 4096); }));
            go_on.close();
            wg.wait();
            CHECK_EQ(wrong.load(), 0);
        });
    }
}

TEST(free_stacks_give_back_all_but_a_few_warm_ones) {
    for (const int procs : {1, 2}) {
        Pace pace(5ms, 5ms);
        with_procs(procs, [] {
            const size_t before = rt::stack_resident_total();
            for (int round = 0; round < 2; ++round) {
                wait_group wg, all_there;
                all_there.add(500);
                for (int i = 0; i < 500; ++i)
                    wg.go([&] {
                        deep(kDeep, 1, [] {});
                        all_there.done();
                        all_there.wait();
                    });
                wg.wait();
                CHECK(comes_true([&] { return rt::stack_resident_total() <= before + (2 << 20); }));
            }
        });
    }
}

// Goroutines that are woken at any moment of a trim, and go deep and back between two waits: with every value they left
// on their stacks. Some are locked to their threads, some end and are followed by others.
TEST(trim_against_ready) {
    uint64_t raced = 0, trimmed = 0;
    for (const int procs : {1, 2, 4}) {
        Pace pace(1us, 0us);
        const rt::TrimCounts before = rt::trim_counts();
        with_procs(procs, [] {
            constexpr int kPairs = 12, kRounds = 400;
            wait_group wg;
            std::atomic<int> wrong{0};
            for (int i = 0; i < kPairs; ++i) {
                auto ping = make_chan<int>(), pong = make_chan<int>();
                wg.go([&, ping, pong, i] {
                    if (i % 6 == 0) lock_os_thread();
                    for (int r = 0; r < kRounds; ++r) {
                        const auto mark = static_cast<unsigned char>(r * 7 + i);
                        if (!deep(size_t{4096} << (r % 5), mark, [] {})) wrong.fetch_add(1);
                        if (!deep(size_t{1024} << (r % 4), mark, [&] { ping.recv(); })) wrong.fetch_add(1);
                        pong << 1;
                    }
                });
                wg.go([&, ping, pong, i] {
                    for (int r = 0; r < kRounds; ++r) {
                        // Long enough for a batch to have begun, or not.
                        for (int n = (r * 13 + i) % 40; n > 0; --n) yield();
                        if (r % 8 == i % 8) sleep(100us);
                        wg.go([&wrong, r] {
                            if (!deep(3000, static_cast<unsigned char>(r), [] { sleep(50us); }))
                                wrong.fetch_add(1);
                        });
                        ping << 1;
                        pong.recv();
                    }
                });
            }
            wg.wait();
            CHECK_EQ(wrong.load(), 0);
        });
        const rt::TrimCounts after = rt::trim_counts();
        trimmed += after.stacks - before.stacks;
        raced += after.too_late - before.too_late + after.slow_ways - before.slow_ways;
    }
    CHECK_LT(0u, trimmed);
    CHECK_LT(0u, raced);  // else this test shows nothing
}

// Much at once goes in pieces: nobody who wakes it waits for all of it.
TEST(trim_in_pieces) {
    Pace pace(1ms, 1ms);
    with_procs(2, [] {
        auto go_on = make_chan<int>(), there = make_chan<int>();
        std::atomic<bool> same{true};
        wait_group wg;
        const size_t before = rt::stack_resident_total(), trimmed = rt::trim_counts().bytes;
        size_t most = 0;
        wg.add(1);
        go(stack_size(64 << 20), [&] {
            same = deep(1000, 5, [&] {
                deep(40 << 20, 9, [&most] { most = rt::stack_resident_total(); });
                there << 1;
                go_on.recv();
            });
            wg.done();
        });
        there.recv();
        CHECK(comes_true([&] { return rt::stack_resident_total() <= before + (1 << 20); }));
        // How large a frame is compilers see differently.
        CHECK_LT((most - before) / 4 * 3, rt::trim_counts().bytes - trimmed);
        CHECK_LT(size_t{10} << 20, most - before);
        CHECK_LT((most - before) / (2 << 20), rt::trim_counts().stacks);
        go_on << 1;
        wg.wait();
        CHECK(same);
    });
}

namespace {
// Times that a thread of ours went to sleep of its own accord.
long sleeps_of_all() {
    long sum = 0;
    for (const std::string& tid : test::names_in("/proc/self/task")) {
        FILE* f = std::fopen(("/proc/self/task/" + tid + "/status").c_str(), "r");
        char line[256];
        while (f && std::fgets(line, sizeof line, f)) {
            long n;
            if (std::sscanf(line, "voluntary_ctxt_switches: %ld", &n) == 1 && std::stol(tid) != gettid())
                sum += n;
        }
        if (f) std::fclose(f);
    }
    return sum;
}
}  // namespace

// All is parked, and has been trimmed: no thread of ours wakes any more.
TEST(an_idle_process_sleeps) {
    Pace pace(20ms, 20ms);
    with_procs(2, [] {
        auto done = make_chan<int>();
        wait_group wg;
        for (int i = 0; i < 200; ++i)
            wg.go([&] {
                deep(kDeep, 3, [] {});
                done.recv();
            });
        bool slept = false;
        std::thread other([&] {
            long last = -1;
            // Rounds follow each other after 20 ms until there is nothing left; then a second passes without a sleep.
            for (int i = 0; i < 30 && !slept; ++i) {
                const long now = sleeps_of_all();
                slept = now == last;
                last = now;
                std::this_thread::sleep_for(1s);
            }
            done.close();
        });
        wg.wait();
        other.join();
        CHECK(slept);
    });
}

#endif
