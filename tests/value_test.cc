// tests/value_test.cc - atomic_value, and what err_group does with exceptions.
// SPDX-License-Identifier: BSD-2-Clause
//
// The ids (AT-…) are those of the list of Go's behaviours.
#include <memory>
#include <string>

#include "tests/sync_test.h"

using namespace gort;
using namespace gort::sync_test;

namespace {

TEST(AT_03_load_store_swap_compare) {
    atomic_value<std::string> v;
    CHECK(!v.load());
    CHECK(!v.compare_and_swap("x", "y"));
    CHECK(v.compare_and_swap(std::nullopt, "first"));
    CHECK(!v.compare_and_swap(std::nullopt, "second"));
    CHECK(v.load() == "first");
    v.store("second");
    CHECK(v.swap("third") == "second");
    CHECK(v.compare_and_swap("third", "fourth"));
    CHECK(v.load() == "fourth");
    atomic_value<std::unique_ptr<int>> only_moves;
    CHECK(!only_moves.swap(std::make_unique<int>(1)));
    CHECK(**only_moves.swap(nullptr) == 1);
    CHECK(atomic_value<int>(7).load() == 7);
    static_assert(!std::is_copy_constructible_v<atomic_value<int>>);
}

// Both halves are always of one store.
TEST_P(AT_04_nobody_sees_half_a_value, 1, 2, 4) {
    with_procs(procs, [] {
        struct Two {
            std::shared_ptr<int> a;
            int b;
        };
        atomic_value<Two> v;
        std::atomic<bool> over{false};
        std::atomic<long> seen{0};
        wait_group readers, writers;
        for (int i = 0; i < 3; ++i)
            readers.go([&] {
                while (!over) {
                    if (auto now = v.load()) {
                        CHECK_EQ(*now->a, now->b);
                        ++seen;
                    }
                    yield();
                }
            });
        for (int i = 0; i < 2; ++i)
            writers.go([&, i] {
                for (int n = 0; n < 500; ++n) {
                    v.store({std::make_shared<int>(n * 2 + i), n * 2 + i});
                    yield();
                }
            });
        writers.wait();
        EVENTUALLY(seen.load() > 0);
        over = true;
        readers.wait();
    });
}

TEST_P(compare_and_swap_counts, 1, 4) {
    with_procs(procs, [] {
        atomic_value<long> v(0);
        wait_group wg;
        for (int i = 0; i < 4; ++i)
            wg.go([&] {
                for (int n = 0; n < 300; ++n)
                    for (;;) {
                        const long now = *v.load();
                        if (n % 10 == 0) yield();
                        if (v.compare_and_swap(now, now + 1)) break;
                    }
            });
        wg.wait();
        CHECK(v.load() == 1200);
    });
}

TEST(a_copy_that_throws_lets_the_lock_go) {
    struct Throws {
        bool now = false;
        Throws() = default;
        explicit Throws(bool n) : now(n) {}
        Throws(const Throws& o) : now(o.now) {
            if (now) throw 1;
        }
        Throws(Throws&&) = default;
        Throws& operator=(Throws&&) = default;
    };
    atomic_value<Throws> v(Throws(true));
    try {
        v.load();
        CHECK(false);
    } catch (int) {
    }
    v.store(Throws());
    CHECK(v.load());
}

// ---- err_group

TEST_P(err_group_throws_what_was_thrown, 1, 2) {
    with_procs(procs, [] {
        err_group g(ctx::background());
        std::atomic<int> ended{0};
        g.go([&] {
            g.context().done().recv();
            ++ended;
        });
        g.go([] { throw std::out_of_range("first"); });
        g.go([&]() -> std::error_code {
            g.context().done().recv();
            ++ended;
            throw std::logic_error("later");
        });
        try {
            g.wait();
            CHECK(false);
        } catch (const std::out_of_range& e) {
            CHECK_EQ(std::string(e.what()), "first");
        }
        CHECK_EQ(ended.load(), 2);
        CHECK(g.context().err() == ctx::errc::canceled);
        CHECK(!g.wait());  // thrown once
    });
}

TEST(err_group_cause_of_an_exception) {
    with_procs(2, [] {
        err_group g(ctx::background());
        g.go([] { throw std::system_error(std::make_error_code(std::errc::io_error)); });
        try {
            g.wait();
            CHECK(false);
        } catch (const std::system_error&) {
        }
        CHECK(ctx::cause(g.context()) == std::errc::io_error);
        // an error before it does not hide an exception, and goexit is neither
        err_group both;
        both.set_limit(1);
        both.go([] { return std::make_error_code(std::errc::io_error); });
        both.go([] { panic("seen"); });
        both.go([] { goexit(); });
        CHECK_EQ(panic_of([&] { both.wait(); }), "seen");
        CHECK(both.wait() == std::errc::io_error);
    });
}

}  // namespace
