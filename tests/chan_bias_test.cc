// tests/chan_bias_test.cc - channels that belong to a P until another thread wants them, and come back: chan/lock.h.
// SPDX-License-Identifier: BSD-2-Clause
#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "chan/select.h"
#include "chan/time.h"
#include "rt/sync/wait_group.h"
#include "tests/chan_tools.h"

namespace {

using namespace chan_tools;
using gort::chan;
using gort::go;
using gort::make_chan;

gort::detail::Hchan* header(const auto& ch) { return gort::detail::Access::get(ch); }
bool shared(const auto& ch) { return gort::detail::chan_is_shared(header(ch)); }

// What this P pays for losing channels. Inside the gate, for else it may have been taken away.
void forgive() {
    gort::rt::M* mp = gort::rt::enter();
    gort::rt::p_of(mp)->chan_reluctance.forget();
    gort::rt::leave(mp);
}

// Another thread does it, and is done.
template <class F>
void elsewhere(F&& f) {
    gort::blocking([&] { std::thread(std::forward<F>(f)).join(); });
}

// Of one that was taken away once.
constexpr auto kStreak = 2 * static_cast<int>(gort::detail::Owner::kStreak);

// Locks it n times.
void use(const chan<int>& ch, int n) {
    for (int i = 0; i < n; ++i) {
        if (i % 2 == 0) ch << i;
        else CHECK_EQ(ch.recv(), i - 1);
    }
}

TEST(a_lost_channel_is_earned_back_each_time_more_dearly) {
    run(1, [] {
        forgive();
        auto ch = make_chan<int>(4);
        CHECK(!shared(ch));
        for (const int streak : {kStreak, 2 * kStreak, 4 * kStreak}) {
            elsewhere([&] {
                ch << 7;
                ch << 8;
            });
            CHECK(shared(ch));
            CHECK_EQ(ch.recv(), 7);
            CHECK_EQ(ch.recv(), 8);
            use(ch, streak - 4);
            CHECK(shared(ch));
            use(ch, 2);
            CHECK(!shared(ch));
        }
    });
}

TEST(a_streak_that_another_thread_breaks_does_not_count) {
    run(1, [] {
        auto ch = make_chan<int>(4);
        for (int i = 0; i < 10; ++i) {
            elsewhere([&] { use(ch, 2); });
            use(ch, kStreak - 4);
            CHECK(shared(ch));
        }
    });
}

TEST(select_earns_a_channel_back) {
    run(1, [] {
        forgive();
        auto a = make_chan<int>(1), b = make_chan<int>(1);
        elsewhere([&] {
            use(a, 2);
            use(b, 2);
        });
        CHECK(shared(a) && shared(b));
        for (int i = 0; i < 2 * kStreak; ++i)  // nothing is ready: all are locked
            gort::select(gort::on_recv(a), gort::on_recv(b), gort::otherwise());
        CHECK(!shared(a) && !shared(b));
        elsewhere([&] { b << 5; });
        int got = 0;
        CHECK_EQ(gort::select(gort::on_recv(a), gort::on_recv(b, got)), 1);
        CHECK_EQ(got, 5);
        CHECK(!shared(a) && shared(b));
    });
}

// What a timer's fn fills inside the gate cannot be taken away first.
TEST(a_channel_of_time_stays_shared) {
    run(1, [] {
        const gort::timer t(std::chrono::hours(1));
        for (int i = 0; i < 3 * kStreak; ++i)
            CHECK_EQ(gort::select(gort::on_recv(t.c()), gort::on_recv(t.c()), gort::otherwise()), 2);
        CHECK(shared(t.c()));
        t.stop();
    });
}

// Who waits for the lock of a shared channel, and gets it when a P has made the channel its own.
TEST(who_gets_the_lock_of_a_channel_that_was_given_away_lets_go) {
    run(1, [] {
        auto ch = make_chan<int>(4);
        elsewhere([&] { use(ch, 2); });
        auto* c = header(ch);
        gort::rt::M* mp = gort::rt::enter();
        c->lock.mutex.lock();
        std::thread other([ch] { ch << 1; });
        while (c->lock.mutex.sleepers() == 0) std::this_thread::yield();
        gort::detail::chan_make_own(mp, c);
        while (c->lock.owner.whose.load() != gort::detail::kRevoking && c->fill.load() == 0)
            std::this_thread::yield();
        CHECK_EQ(c->fill.load(), 0u);  // we are inside: it is ours
        gort::rt::leave(mp);
        CHECK_EQ(ch.recv(), 1);
        gort::blocking([&] { other.join(); });
        CHECK(shared(ch));
    });
}

// The credit of three losses is there to begin with; then each costs as many as Reluctance::kLoss says, less the one
// that came back when the last one was made.
TEST(a_p_that_loses_channels_makes_shared_ones) {
    run(1, [] {
        forgive();
        for (const int expected : {0, 0, 0, 127, 127}) {
            int n = 0;
            auto ch = make_chan<int>(4);
            for (; shared(ch); ++n) ch = make_chan<int>(4);
            CHECK_EQ(n, expected);
            elsewhere([&] { use(ch, 2); });
        }
    });
}

// References made and dropped while it goes to and fro.
TEST(handles_of_a_channel_that_came_back) {
    run(1, [] {
        auto alive = std::make_shared<int>(0);
        for (int i = 0; i < 20; ++i) {
            forgive();
            auto ch = make_chan<std::shared_ptr<int>>(8);
            auto copy = ch;  // counted plainly
            auto locks = [&](int n) {
                for (int j = 0; j < n; ++j) {
                    ch << alive;
                    ch.recv();
                }
            };
            elsewhere([copy, &locks] { locks(1); });
            locks(kStreak);
            CHECK(!shared(ch));
            auto more = ch;  // by a locked instruction
            more << alive;
            switch (i % 4) {
            case 0: elsewhere([a = std::move(ch), b = std::move(copy), c = std::move(more)] {}); break;
            case 1: elsewhere([a = std::move(copy), c = std::move(more)] {}); break;
            case 2: elsewhere([a = std::move(more)] {}); break;
            default: break;
            }
        }
        CHECK_EQ(alive.use_count(), 1);
    });
}

// Bursts on channels that all share, long enough to make them one's own. New channels each round, as the price rises.
void storm(int procs, int rounds, int foreign) {
    run(procs, [&] {
        for (int round = 0; round < rounds; ++round) {
            forgive();
            const chan<int> chans[] = {make_chan<int>(), make_chan<int>(1), make_chan<int>(7)};
            std::atomic<long> sent{0}, received{0};
            std::atomic<int> begun{0};
            const int workers = std::min(procs, 3);
            auto worker = [&](int id) {
                unsigned r = static_cast<unsigned>(round * 16 + id) * 2654435761u + 1;
                ++begun;
                for (int i = 0; i < 1000 && begun < workers + foreign; ++i) gort::yield();
                for (int burst = 0; burst < 6; ++burst) {
                    r = r * 1664525u + 1013904223u;
                    const chan<int>&a = chans[(r >> 8) % 3], &b = chans[(r >> 16) % 3];
                    const auto keep = a;
                    const int v = static_cast<int>(r >> 20);
                    int w = 0;
                    auto got = [&](int x) { received += x; };
                    for (int i = static_cast<int>(r >> 12) % (3 * kStreak); i > 0; --i) {
                        if (r & 1 << 24) {
                            gort::select(gort::on_send(a, v, [&] { sent += v; }), gort::on_recv(b, got),
                                         gort::otherwise());
                        } else {
                            if (a.try_send(v)) sent += v;
                            if (b.try_recv(w) == gort::recv_result::ok) got(w);
                        }
                    }
                }
            };
            gort::wait_group wg;
            for (int i = 0; i < workers; ++i) wg.go([&, i] { worker(i); });
            std::vector<std::thread> threads;
            for (int i = 0; i < foreign; ++i) threads.emplace_back([&, i] { worker(10 + i); });
            wg.wait();
            gort::blocking([&] {
                for (auto& t : threads) t.join();
            });
            int w = 0;
            for (const auto& ch : chans)
                while (ch.try_recv(w) == gort::recv_result::ok) received += w;
            CHECK_EQ(sent.load(), received.load());
        }
    });
}

// Under qemu on a loaded machine they take longer than the usual limit.
TEST_P(storm_of_bursts, 2, 8) {
    TEST_TIMEOUT(100);
    storm(procs, 1000, 0);
}
TEST_P(storm_of_bursts_with_threads, 1, 2, 8) {
    TEST_TIMEOUT(100);
    storm(procs, 60, 1);
}

// Waiters stay in a channel's queues while it changes hands.
TEST_P(waiters_of_a_channel_that_changes_hands, 2, 8) {
    run(procs, [] {
        auto ping = make_chan<int>(), pong = make_chan<int>(), never = make_chan<int>();
        go([=]() mutable {
            for (;;) {
                int v = 0;
                bool open = true;
                gort::select(gort::on_recv(never), gort::on_recv(ping, v, open));
                if (!open) return pong.close();
                pong << v + 1;
            }
        });
        for (int i = 0; i < 20; ++i) {
            for (int j = 0; j < 3 * kStreak; ++j) {
                ping << j;
                CHECK_EQ(pong.recv(), j + 1);
            }
            elsewhere([&] {
                ping << i;
                CHECK_EQ(pong.recv(), i + 1);
                int none = 0;
                CHECK(never.try_recv(none) == gort::recv_result::empty);
            });
        }
        ping.close();
        int none = 0;
        CHECK(!pong.recv(none));
    });
}

}  // namespace
