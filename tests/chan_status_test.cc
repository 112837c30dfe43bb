// tests/chan_status_test.cc - push and pop with their statuses and deadlines; sleep_until and after(t).
// SPDX-License-Identifier: BSD-2-Clause
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "chan/time.h"
#include "tests/chan_tools.h"

namespace {

using namespace chan_tools;
using namespace std::chrono_literals;
using gort::channel_status;
using Clock = std::chrono::steady_clock;

struct Big {  // no word, moved by hand
    std::unique_ptr<int> p;
    Big() = default;
    explicit Big(int n) : p(std::make_unique<int>(n)) {}
};

TEST(push_and_pop_say_what_came_of_them) {
    run(1, [] {
        auto c = make_chan<int>(2);
        int v = 7;
        CHECK(c.try_pop(v) == channel_status::empty);
        CHECK_EQ(v, 7);
        CHECK(c.push(1) == channel_status::ok);
        const int two = 2;
        CHECK(c.try_push(two) == channel_status::ok);
        CHECK(c.try_push(3) == channel_status::full);
        CHECK(c.push_for(3, 0s) == channel_status::timeout);
        CHECK(c.push_for(3, -1s) == channel_status::timeout);
        CHECK(c.push_until(3, Clock::now()) == channel_status::timeout);
        CHECK(c.push_until(3, Clock::time_point::min()) == channel_status::timeout);
        CHECK(c.push_until(two, std::chrono::system_clock::now()) == channel_status::timeout);
        c.close();
        CHECK(c.push(4) == channel_status::closed);
        CHECK(c.try_push(4) == channel_status::closed);
        CHECK(c.push_for(4, 1h) == channel_status::closed);
        CHECK(c.push_until(4, Clock::now() + 1h) == channel_status::closed);
        CHECK(c.pop(v) == channel_status::ok);
        CHECK_EQ(v, 1);
        CHECK(c.pop_for(v, 0s) == channel_status::ok);  // what is there is had, whatever the deadline
        CHECK_EQ(v, 2);
        for (int i = 0; i < 4; ++i) {
            v = 7;
            CHECK((i == 0   ? c.pop(v)
                   : i == 1 ? c.try_pop(v)
                   : i == 2 ? c.pop_for(v, 1h)
                            : c.pop_until(v, Clock::now())) == channel_status::closed);
            CHECK_EQ(v, 0);
        }
    });
}

TEST(what_was_not_sent_is_not_moved_from) {
    run(1, [] {
        auto c = make_chan<Big>(1);
        Big b(5);
        CHECK(c.push(Big(1)) == channel_status::ok);
        CHECK(c.try_push(std::move(b)) == channel_status::full);
        CHECK(c.push_for(std::move(b), 1us) == channel_status::timeout);
        CHECK(c.push_until(std::move(b), Clock::now() + 1us) == channel_status::timeout);
        CHECK(b.p && *b.p == 5);
        gort::send_chan<Big> half = c;
        Big out;
        CHECK(gort::recv_chan<Big>(c).pop(out) == channel_status::ok);
        CHECK_EQ(*out.p, 1);
        CHECK(half.push(std::move(b)) == channel_status::ok);
        CHECK(!b.p);
        half.close();
        b = Big(6);
        CHECK(half.push(std::move(b)) == channel_status::closed);
        CHECK_EQ(*b.p, 6);
        CHECK(c.pop(out) == channel_status::ok);
        CHECK(c.pop(out) == channel_status::closed);
        CHECK(!out.p);
    });
}

TEST(nil_is_never_ready) {
    run(1, [] {
        chan<std::string> nil;
        std::string s = "x";
        CHECK(nil.try_push(s) == channel_status::full);
        CHECK(nil.try_pop(s) == channel_status::empty);
        CHECK(nil.push_for(s, 1ms) == channel_status::timeout);
        CHECK(nil.pop_until(s, Clock::now() + 1ms) == channel_status::timeout);
        CHECK_EQ(s, "x");
    });
}

TEST(a_wait_lasts_until_its_deadline_and_ends_with_it) {
    run(2, [] {
        auto c = make_chan<int>();
        int v = 7;
        for (int i = 0; i < 3; ++i) {
            const auto began = Clock::now();
            CHECK((i == 0 ? c.pop_for(v, 3ms)
                   : i == 1
                       ? c.push_for(v, 3ms)
                       : c.pop_until(v, std::chrono::system_clock::now() + 3ms)) == channel_status::timeout);
            CHECK(Clock::now() - began >= 3ms - (i == 2 ? 100us : 0us));
        }
        CHECK_EQ(v, 7);
        CHECK_EQ(waiting(c, Side::kReceivers) + waiting(c, Side::kSenders), 0);
        // whoever timed out is out of the queue: the next one gets the value
        go([c] { c << 9; });
        CHECK(c.pop_for(v, 1h) == channel_status::ok);
        CHECK_EQ(v, 9);
    });
}

TEST(a_wait_ends_early_by_an_exchange_or_a_close) {
    for (const int procs : {1, 2})
        run(procs, [] {
            auto c = make_chan<std::string>();
            auto end = make_chan<std::string>();
            Join join;
            go_join(join, [=] {
                std::string s;
                CHECK(c.pop_for(s, 1h) == channel_status::ok);
                CHECK(c.pop_until(s, Clock::time_point::max()) == channel_status::ok);
                CHECK_EQ(s, "two");
                CHECK(end.pop_for(s, 1h) == channel_status::closed);
            });
            wait_for(c, Side::kReceivers, 1);
            CHECK(c.try_push("one") == channel_status::ok);
            CHECK(c.push_for("two", 1h) == channel_status::ok);
            wait_for(end, Side::kReceivers, 1);
            end.close();
            join.wait(1);
            auto full = make_chan<int>();
            go_join(join, [=] { CHECK(full.push_for(1, 1h) == channel_status::closed); });
            wait_for(full, Side::kSenders, 1);
            full.close();
            join.wait(1);
        });
}

// Deadlines and exchanges race; what was pushed is popped once, and nothing else.
TEST(deadlines_race_with_exchanges) {
    for (const int procs : {1, 2, 4})
        run(procs, [] {
            constexpr int kSides = 4;
            const int rounds = scaled(3000);
            auto c = make_chan<int64_t>();
            Join join;
            std::atomic<int64_t> sent{0}, got{0}, late{0};
            std::atomic<int> pushing{kSides};
            for (int i = 0; i < kSides; ++i) {
                go_join(join, [&, i] {
                    for (int n = 0; n < rounds; ++n) {
                        const auto status = c.push_for(n + i, std::chrono::microseconds(n % 7));
                        if (status == channel_status::ok) sent += n + i;
                        else if (status == channel_status::timeout) ++late;
                        else CHECK(false);
                        if (n % 5 == 0) gort::yield();
                    }
                    --pushing;
                });
                go_join(join, [&, i] {
                    int64_t v = 0;
                    while (pushing.load()) {
                        if (c.pop_for(v, std::chrono::microseconds(1 + i)) == channel_status::ok) got += v;
                        if (v % 3 == 0) gort::yield();
                    }
                });
            }
            join.wait(2 * kSides);
            CHECK_EQ(sent.load(), got.load());
            CHECK(late.load() > 0);
            CHECK_EQ(waiting(c, Side::kReceivers) + waiting(c, Side::kSenders), 0);
        });
}

TEST(threads_push_and_pop_with_deadlines) {
    gort::start();
    auto c = make_chan<std::string>();
    std::string s = "mine";
    CHECK(c.pop_for(s, 2ms) == channel_status::timeout);
    CHECK(c.push_until(s, Clock::now() + 2ms) == channel_status::timeout);
    CHECK_EQ(s, "mine");
    go([c] { c << std::string("from a goroutine"); });
    CHECK(c.pop_for(s, 1h) == channel_status::ok);
    CHECK_EQ(s, "from a goroutine");
    std::thread other([c] {
        for (int i = 0; i < 200; ++i)
            while (c.push_for("x", std::chrono::microseconds(i)) != channel_status::ok) {
            }
    });
    for (int i = 0; i < 200; ++i)
        while (c.pop_for(s, std::chrono::microseconds(200 - i)) != channel_status::ok) {
        }
    other.join();
    gort::stop();
    CHECK(c.pop_for(s, 1ms) == channel_status::timeout);
}

TEST_DIES(push_waits_for_what_send_waits_for, "[chan send]", 2) {
    run(1, [] { make_chan<int>().push(1); });
}
TEST_DIES(pop_waits_for_what_recv_waits_for, "[chan receive]", 2) {
    run(1, [] {
        std::string s;
        make_chan<std::string>().pop(s);
    });
}
TEST_DIES(pop_of_nil_blocks_for_ever, "[chan receive (nil chan)]", 2) {
    run(1, [] {
        int v;
        chan<int>().pop(v);
    });
}

// ---- instants ----

TEST(tm_sleep_until_and_after_an_instant) {
    run(1, [] {
        const auto t = Clock::now() + 3ms;
        gort::sleep_until(t);
        CHECK(Clock::now() >= t);
        gort::sleep_until(t);
        gort::sleep_until(Clock::time_point::min());
        const auto wall = std::chrono::system_clock::now() + 2ms;
        gort::sleep_until(wall);
        CHECK(std::chrono::system_clock::now() >= wall);
        const auto then = Clock::now() + 3ms;
        CHECK(gort::after(then).recv() >= then);
        gort::after(then).recv();
        gort::after(std::chrono::system_clock::now()).recv();
        CHECK_EQ(gort::select(gort::on_recv(gort::after(Clock::time_point::max())), gort::otherwise()), 1);
    });
    const auto t = Clock::now() + 2ms;
    gort::sleep_until(t);  // as a thread, and no runtime is up
    CHECK(Clock::now() >= t);
}

}  // namespace
