// tests/chan_life_test.cc - how often elements move, when they are destroyed, and user code that throws or comes back.
// SPDX-License-Identifier: BSD-2-Clause
#include <any>
#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <variant>

#include "tests/chan_tools.h"

namespace {

using namespace chan_tools;

// ---- moves and destructions ----

struct Counts {
    int made = 0, copied = 0, moved = 0, destroyed = 0;
    int alive() const { return made + copied + moved - destroyed; }
};
Counts counts;
struct Counted {
    explicit Counted(int n = 0) : value(n) { ++counts.made; }
    Counted(const Counted& o) : value(o.value) { ++counts.copied; }
    Counted(Counted&& o) noexcept : value(std::exchange(o.value, -1)) { ++counts.moved; }
    Counted& operator=(const Counted&) = default;
    Counted& operator=(Counted&&) = default;
    ~Counted() { ++counts.destroyed; }
    int value;
};

TEST(cc02_moves) {
    run(1, [] {
        auto c = make_chan<Counted>();
        Join join;
        Counted out;
        go_join(join, [&, c] { c.recv(out); });
        wait_for(c, Side::kReceivers, 1);
        Counted in(1);
        counts = {};
        c << std::move(in);
        CHECK_EQ(counts.moved, 1);  // straight into the receiver's frame
        join.wait(1);
        CHECK_EQ(counts.copied, 0);
        CHECK_EQ(out.value, 1);

        auto b = make_chan<Counted>(2);
        in = Counted(2);
        counts = {};
        b << std::move(in);
        CHECK_EQ(counts.moved, 1);
        b.recv(out);
        CHECK_EQ(counts.moved, 2);
        CHECK_EQ(out.value, 2);
        counts = {};
        b << out;
        CHECK_EQ(counts.copied, 1);
        CHECK_EQ(counts.moved, 1);
        CHECK_EQ(b.recv().value, 2);
        CHECK_EQ(counts.moved, 3);  // one for the result
        CHECK_EQ(counts.alive(), 0);
    });
}

TEST(ch24_discarding_consumes) {
    run(1, [] {
        auto c = make_chan<Counted>(3);
        c << Counted(1) << Counted(2);
        counts = {};
        c.recv();
        CHECK_EQ(c.len(), 1);
        CHECK_EQ(counts.alive(), -1);
    });
}

TEST(ch25_a_slot_keeps_nothing) {
    run(1, [] {
        for (const int cap : {1, 2}) {
            auto c = make_chan<std::shared_ptr<int>>(cap);
            auto p = std::make_shared<int>(1);
            c << p;
            CHECK_EQ(p.use_count(), 2);
            c.recv();
            CHECK_EQ(p.use_count(), 1);
            c << p;
            c.close();
            for (auto v : c) CHECK_EQ(v.use_count(), 2);
            CHECK_EQ(p.use_count(), 1);
        }
    });
}

TEST_P(ch12_cc03_the_last_handle_destroys_the_buffered, 1, 2) {
    run(procs, [] {
        auto p = std::make_shared<int>(1);
        {
            auto c = make_chan<std::shared_ptr<int>>(5);
            for (int i = 0; i < 5; ++i) c << p;
            c.recv();
            c.recv();
            c << p;  // the ring has wrapped
            CHECK_EQ(p.use_count(), 5);
            auto again = c;
        }
        CHECK_EQ(p.use_count(), 1);
        {
            auto c = make_chan<std::shared_ptr<int>>(2);
            c << p;
            c.close();
        }
        CHECK_EQ(p.use_count(), 1);
        auto outer = make_chan<chan<std::shared_ptr<int>>>(1);
        {
            auto inner = make_chan<std::shared_ptr<int>>(1);
            inner << p;
            outer << std::move(inner);
        }
        CHECK_EQ(p.use_count(), 2);
        outer = nullptr;
        CHECK_EQ(p.use_count(), 1);
    });
}

// ---- user code that throws or comes back ----

struct Fussy {
    explicit Fussy(int n = 0) : value(n) {}
    Fussy(const Fussy& o) : value(o.value) {
        if (value < 0) throw value;
    }
    Fussy(Fussy&& o) noexcept : value(o.value) {}
    Fussy& operator=(Fussy&& o) noexcept(false) {
        if (o.value == 13) throw 13;
        value = o.value;
        return *this;
    }
    int value;
};

TEST_P(ch30_cc05_a_throwing_copy_sends_nothing, 1, 2) {
    run(procs, [] {
        for (const int cap : {0, 2}) {
            auto c = make_chan<Fussy>(cap);
            Join join;
            std::atomic<int> got{0};
            go_join(join, [&, c] {
                Fussy f;
                c.recv(f);
                got = f.value;
            });
            wait_for(c, Side::kReceivers, 1);
            const Fussy bad(-1), good(5);
            for (auto send : {+[](const chan<Fussy>&to, const Fussy&f) { to << f; },
                              +[](const chan<Fussy>&to, const Fussy&f) { to.try_send(f); }}) {
                int caught = 0;
                try {
                    send(c, bad);
                } catch (int n) {
                    caught = n;
                }
                CHECK_EQ(caught, -1);
                CHECK_EQ(waiting(c, Side::kReceivers), 1);
                CHECK_EQ(c.len(), 0);
            }
            c << good;
            join.wait(1);
            CHECK_EQ(got, 5);

            Fussy out(1);
            go_join(join, [=] { c << Fussy(13) << Fussy(14); });
            int caught = 0;
            try {
                c.recv(out);
            } catch (int n) {
                caught = n;
            }
            CHECK_EQ(caught, 13);
            CHECK_EQ(out.value, 1);
            CHECK(c.recv(out));
            CHECK_EQ(out.value, 14);
            join.wait(1);
        }
    });
}

// Its destructor says so on a channel; what was moved from says nothing.
struct Noisy {
    chan<int> tell;
    int value = 0;
    Noisy() = default;
    Noisy(chan<int> c, int n) : tell(std::move(c)), value(n) {}
    Noisy(Noisy&&) = default;
    Noisy& operator=(Noisy&& o) noexcept {
        std::swap(tell, o.tell);
        std::swap(value, o.value);
        return *this;
    }
    ~Noisy() {
        if (tell) tell << value;
    }
};

TEST_P(cc04_destructors_may_use_channels, 1, 2) {
    run(procs, [] {
        auto told = make_chan<int>(100);
        {
            auto c = make_chan<Noisy>(3);
            for (int i = 0; i < 3; ++i) c << Noisy(told, i);
            c.recv();
            CHECK_EQ(told.recv(), 0);
        }
        CHECK_EQ(told.recv(), 1);  // the last handle's end, outside of the lock
        CHECK_EQ(told.recv(), 2);
        auto c = make_chan<Noisy>();
        Join join;
        go_join(join, [=] { c.recv(); });
        c << Noisy(told, 7);
        join.wait(1);
        CHECK_EQ(told.recv(), 7);
        CHECK_EQ(told.len(), 0);

        auto self = make_chan<Noisy>(2);  // sends on a channel of the one whose lock its move was under
        auto loud = make_chan<int>();
        go_join(join, [=] { CHECK_EQ(loud.recv(), 8); });
        self << Noisy(loud, 8);
        self.recv();
        join.wait(1);
    });
}

struct CopiesHandle {  // its implicit move copies a handle, inside the runtime
    const chan<int> c{};
    int n = 0;
};

TEST_P(cc04_moves_may_copy_handles, 1, 2, 8) {
    run(procs, [] {
        auto inner = make_chan<int>(4);
        for (const int cap : {0, 1, 4}) {
            auto c = make_chan<CopiesHandle>(cap);
            Join join;
            for (int g = 0; g < 4; ++g) {
                go_join(join, [=] {
                    for (int i = 0; i < 100; ++i) {
                        c << CopiesHandle{inner, i};
                        gort::yield();
                    }
                });
                go_join(join, [=] {
                    for (int i = 0; i < 100; ++i) CHECK(c.recv().c == inner);
                });
            }
            join.wait(8);
        }
        CHECK(settle());  // the goroutines have handles too, until they are gone
        auto* h = gort::detail::Access::get(inner);
        CHECK_EQ(h->owned + h->shared, 1);
    });
}

TEST(cc10_destructors_may_block_while_unwinding) {
    run(1, [] {
        auto c = make_chan<int>();
        std::string log;
        Join join;
        std::string received;
        go_join(join, [&, c] {
            received += static_cast<char>('0' + c.recv());
            received += static_cast<char>('0' + c.recv());
        });
        struct Guard {
            chan<int> c;
            int n;
            ~Guard() { c << n; }
        };
        try {
            Guard a{c, 2};
            Guard b{c, 1};
            throw 5;
        } catch (int n) {
            log += static_cast<char>('0' + n);
        }
        join.wait(1);
        CHECK_EQ(received, "12");
        CHECK_EQ(log, "5");
    });
}

}  // namespace
