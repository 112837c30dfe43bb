// tests/sync_pool_test.cc - gort::pool.
// SPDX-License-Identifier: BSD-2-Clause
//
// The ids (PO-…, MM-…) are those of the list of Go's behaviours.
#include <memory>

#include "tests/sync_test.h"

using namespace gort;
using namespace gort::sync_test;

namespace {

constinit pool<int*> global_pool;
static_assert(!std::is_copy_constructible_v<pool<int*>> && !std::is_move_constructible_v<pool<int*>>);

struct Counted {
    static inline std::atomic<int> live{0};
    Counted() { ++live; }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;
    ~Counted() { --live; }
    int owners = 0;
    long plain = 0;
};
using Box = std::unique_ptr<Counted>;

TEST_P(PO_01_02_get_gives_what_was_put_or_makes_one, 1, 2) {
    with_procs(procs, [] {
        pool<int*> empty;
        CHECK(empty.get() == nullptr);
        CHECK(!empty.try_get());
        empty.put(nullptr);
        CHECK(!empty.try_get());
        int made = 0, x = 0;
        pool<int*> p([&] {
            ++made;
            return &x;
        });
        p.put(nullptr);
        CHECK(p.get() == &x);
        CHECK_EQ(made, 1);
        int y = 42;
        lock_os_thread();  // else another P may have it
        p.put(&y);
        if (gomaxprocs(0) == 1) CHECK(p.get() == &y);
        unlock_os_thread();
        pool<std::string> s([] { return std::string("new"); });
        CHECK_EQ(s.get(), "new");
        pool<Box> b;
        CHECK(b.get() == nullptr);
        b.put(nullptr);
        CHECK(!b.try_get());
    });
}

TEST(PO_04_on_one_p_the_last_of_few_is_served_first_come) {
    with_procs(1, [] {
        lock_os_thread();
        pool<std::string> p;
        p.put("a");
        p.put("b");
        CHECK_EQ(p.get(), "a");
        CHECK_EQ(p.get(), "b");
        CHECK_EQ(p.get(), "");
        unlock_os_thread();
    });
}

// PO-05, MM-14, PO-09: nothing is had by two, and what a putter wrote its getter reads.
void hammer(int goroutines, int rounds, bool foreign) {
    pool<Box> p([] { return std::make_unique<Counted>(); });
    auto loop = [&](int n) {
        for (int i = 0; i < n; ++i) {
            Box a = p.get(), b = p.get();
            CHECK_EQ(a->owners++, 0);
            CHECK_EQ(b->owners++, 0);
            ++a->plain;
            if (i % 16 == 0) yield();
            --a->owners;
            --b->owners;
            p.put(std::move(a));
            p.put(std::move(b));
        }
    };
    wait_group wg;
    for (int i = 0; i < goroutines; ++i) wg.go([&] { loop(rounds); });
    std::vector<std::thread> threads;
    if (foreign)
        for (int i = 0; i < 2; ++i) threads.emplace_back([&] { loop(rounds); });
    wg.wait();
    blocking([&] {
        for (auto& t : threads) t.join();
    });
}
TEST_P(PO_05_MM_14_an_item_has_one_owner, 1, 2, 8) {
    with_procs(procs, [] { hammer(10, 3000, true); });
    CHECK_EQ(Counted::live, 0);
}
TEST_STRESS_P(PO_05_for_long, 1, 2, 8) {
    with_procs(procs, [] { hammer(10, 1'000'000, false); });
    CHECK_EQ(Counted::live, 0);
}

// PO-06, PO-09, PO-10: many items from one P reach another one, each once.
TEST_P(PO_06_09_10_what_others_put_can_be_found, 1, 2, 8) {
    with_procs(procs, [] {
        pool<long> p;
        constexpr long n = 10000;
        lock_os_thread();
        for (long i = 1; i <= n; ++i) p.put(i);
        std::atomic<long> sum{0}, count{0};
        wait_group wg;
        for (int i = 0; i < 9; ++i)
            wg.go([&] {
                while (auto v = p.try_get()) {
                    sum += *v;
                    ++count;
                    if (*v % 8 == 0) yield();
                }
            });
        wg.wait();
        while (auto v = p.try_get()) {
            sum += *v;
            ++count;
        }
        unlock_os_thread();
        // What lies in a P's own place is that P's alone.
        CHECK_LE(n - count.load(), long{gomaxprocs(0)});
        CHECK_LE(sum.load(), n * (n + 1) / 2);
    });
}

TEST_P(PO_07_trimming_twice_empties_it, 1, 2) {
    with_procs(procs, [] {
        pool<Box> p;
        for (int i = 0; i < 100; ++i) p.put(std::make_unique<Counted>());
        CHECK_EQ(Counted::live, 100);
        p.trim();
        CHECK_EQ(Counted::live, 100);
        {
            Box one = p.get();
            CHECK(one != nullptr);
            p.put(std::move(one));
        }
        p.trim();
        CHECK_EQ(Counted::live, 1);  // put after the first trim
        p.trim();
        CHECK_EQ(Counted::live, 0);
        CHECK(!p.try_get());
    });
}

TEST(PO_08_nothing_is_kept_of_what_was_taken) {
    with_procs(1, [] {
        pool<std::shared_ptr<int>> p;
        auto held = std::make_shared<int>(1);
        p.put(held);
        p.put(held);
        CHECK_EQ(held.use_count(), 3);
        for (int i = 0; i < 2; ++i) CHECK(p.get() == held);
        CHECK_EQ(held.use_count(), 1);
        p.put(held);
    });
}

TEST(PO_11_ps_come_and_go) {
    with_procs(2, [] {
        pool<Box> p([] { return std::make_unique<Counted>(); });
        std::atomic<bool> stop{false};
        wait_group wg;
        for (int i = 0; i < 4; ++i)
            wg.go([&] {
                while (!stop) {
                    Box a = p.get();
                    CHECK_EQ(a->owners++, 0);
                    yield();
                    --a->owners;
                    p.put(std::move(a));
                }
            });
        for (int i = 0; i < 30; ++i) {
            gomaxprocs(1 + i % 5);
            if (i % 3 == 0) p.trim();
            for (int j = 0; j < 10; ++j) yield();
        }
        stop = true;
        wg.wait();
    });
    CHECK_EQ(Counted::live, 0);
}

// Large and over-aligned items lie in their places properly.
TEST_P(items_of_any_size, 1, 2) {
    struct alignas(128) Large {
        std::string text = "x";
        char pad[300];
    };
    with_procs(procs, [] {
        pool<Large> p;
        for (int i = 0; i < 3; ++i) {
            Large l;
            l.text = std::string(100, char('a' + i));
            p.put(std::move(l));
        }
        int n = 0;
        while (auto l = p.try_get()) {
            CHECK_EQ(reinterpret_cast<uintptr_t>(&*l) % 128, 0);
            CHECK_EQ(l->text.size(), 100);
            ++n;
        }
        CHECK(n >= 2);
        pool<char> small;
        small.put('c');
        if (auto c = small.try_get()) CHECK_EQ(*c, 'c');
    });
}

}  // namespace
