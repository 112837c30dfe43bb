// tests/sync_map_test.cc - gort::sync_map.
// SPDX-License-Identifier: BSD-2-Clause
//
// The ids (MP-…, MM-…) are those of the list of Go's behaviours.
#include <memory>
#include <mutex>
#include <set>
#include <unordered_map>

#include "tests/sync_test.h"

using namespace gort;
using namespace gort::sync_test;

namespace {

// MP-16
constinit sync_map<int, int> global_map;
static_assert(!std::is_copy_constructible_v<sync_map<int, int>> &&
              !std::is_move_constructible_v<sync_map<int, int>>);

// MP-13: what has no hash cannot be a key, what has no == not be compared.
struct Plain {
    int x;
};
template <class M>
constexpr bool compares = requires(M& m) {
    m.compare_and_swap(1, {}, {});
};
static_assert(compares<sync_map<int, int>> && !compares<sync_map<int, Plain>>);

template <class M>
size_t size_of(const M& m) {
    size_t n = 0;
    m.range([&](const auto&, const auto&) { ++n; });
    return n;
}

TEST_P(MP_01_to_10_one_by_one, 1, 2) {
    with_procs(procs, [] {
        sync_map<std::string, int> m;
        CHECK(!m.load("a"));
        auto [zero, no] = m.load("a");
        CHECK_EQ(zero, 0);
        CHECK(!no);
        m.store("a", 1);
        auto [one, yes] = m.load("a");
        CHECK_EQ(one, 1);
        CHECK(yes);
        int out = 9;
        CHECK(m.load("a", out));
        CHECK_EQ(out, 1);
        CHECK(!m.load("b", out));
        CHECK_EQ(out, 0);
        CHECK(m.load_or_store("a", 5) == std::make_pair(1, true));
        CHECK(m.load_or_store("b", 5) == std::make_pair(5, false));
        CHECK(m.swap("a", 2) == 1);
        CHECK(!m.swap("c", 3));
        CHECK(!m.compare_and_swap("none", 0, 1));  // MP-09
        CHECK(!m.compare_and_swap("a", 1, 7));
        CHECK(m.compare_and_swap("a", 2, 7));
        CHECK(!m.compare_and_delete("none", 0));
        CHECK(!m.compare_and_delete("a", 2));
        CHECK(m.compare_and_delete("a", 7));
        CHECK(m.load_and_delete("b") == 5);
        CHECK(!m.load_and_delete("b"));
        CHECK(m.remove("c"));
        CHECK(!m.remove("c"));
        CHECK_EQ(size_of(m), 0);
    });
}

TEST_P(MP_03_one_of_many_stores, 1, 2, 8) {
    with_procs(procs, [] {
        for (int round = 0; round < 20; ++round) {
            sync_map<int, int> m;
            std::atomic<int> stored{0};
            wait_group wg;
            for (int i = 0; i < 100; ++i)
                wg.go([&, i] {
                    auto [v, loaded] = m.load_or_store(1, i);
                    if (!loaded) {
                        ++stored;
                        CHECK_EQ(v, i);
                    }
                    yield();
                    CHECK(m.load(1) == v);
                });
            wg.wait();
            CHECK_EQ(stored, 1);
        }
    });
}

TEST_P(MP_04_one_of_many_deletes, 1, 2, 8) {
    with_procs(procs, [] {
        sync_map<int, std::string> m;
        for (int round = 0; round < 50; ++round) {
            m.store(1, "x");
            std::atomic<int> got{0};
            wait_group wg;
            for (int i = 0; i < 20; ++i)
                wg.go([&] {
                    if (auto v = m.load_and_delete(1)) {
                        CHECK_EQ(*v, "x");
                        ++got;
                    }
                });
            wg.wait();
            CHECK_EQ(got, 1);
        }
    });
}

// MP-06, MP-07: values are multiples of their keys all the time.
TEST_P(MP_06_07_range_while_others_store, 1, 2, 8) {
    with_procs(procs, [] {
        constexpr int64_t n = 1024;
        sync_map<int64_t, int64_t> m;
        for (int64_t k = 1; k <= n; ++k) m.store(k, k);
        std::atomic<bool> stop{false};
        wait_group wg;
        for (int64_t g = 2; g < 5; ++g)
            wg.go([&, g] {
                for (int64_t i = 1; !stop; ++i)
                    for (int64_t k = 1; k <= n; ++k) {
                        m.store(k, k * i * g);
                        if (k % 64 == 0) yield();
                    }
            });
        for (int i = 0; i < 30; ++i) {
            std::set<int64_t> seen;
            m.range([&](int64_t k, int64_t v) {
                CHECK_EQ(v % k, 0);
                CHECK(seen.insert(k).second);
                return true;
            });
            CHECK_EQ(int64_t(seen.size()), n);
        }
        stop = true;
        wg.wait();
    });
}

TEST_P(MP_06_range_may_call_anything, 1, 2) {
    with_procs(procs, [] {
        sync_map<int, std::string> m;
        for (int i = 0; i < 8; ++i) m.store(i, "v");
        int outer = 0;
        m.range([&](const int& k, const std::string&) {
            ++outer;
            m.range([&](const int& inner, const std::string&) {
                if (auto v = m.load(inner)) CHECK_EQ(*v, "v");
                m.load_or_store(k, "v");
                m.store(inner, "v");
                m.load_and_delete(k);
                m.remove(k);
                return inner < 3;
            });
        });
        CHECK(outer > 0);
        CHECK_EQ(size_of(m), 0);
        for (int i = 0; i < 8; ++i) m.store(i, "v");
        int n = 0;
        m.range([&](int, const std::string&) { return ++n < 3; });
        CHECK_EQ(n, 3);
    });
}

TEST_P(MP_11_clear_among_readers_and_writers, 1, 2, 8) {
    with_procs(procs, [] {
        sync_map<int, std::shared_ptr<int>> m;
        wait_group wg;
        for (int g = 0; g < 10; ++g) {
            wg.go([&, g] {
                for (int i = 0; i < 50; ++i) m.store(g * 50 + i, std::make_shared<int>(i));
            });
            wg.go([&, g] {
                for (int i = 0; i < 50; ++i)
                    if (auto v = m.load(g * 50 + i)) CHECK_EQ(**v, i);
            });
            wg.go([&] { m.clear(); });
        }
        wg.wait();
        m.clear();
        CHECK_EQ(size_of(m), 0);
        m.clear();
        m.store(1, nullptr);
        CHECK_EQ(size_of(m), 1);
    });
}

// MP-12, MP-05, MP-08: random histories against a plain map.
template <class K, class F>
void compare(F key) {
    for (int history = 0; history < 60; ++history) {
        sync_map<K, int> m;
        std::unordered_map<K, int> ref;
        auto there = [&](const K& k) {
            auto it = ref.find(k);
            return it == ref.end() ? map_result<int>() : map_result<int>(it->second);
        };
        for (int i = 0; i < 300; ++i) {
            const K k = key(int(test::rnd() % 40));
            const int v = int(test::rnd() % 5), old = int(test::rnd() % 5);
            const map_result<int> was = there(k);
            switch (test::rnd() % 10) {
            case 0: CHECK(m.load(k) == was); break;
            case 1: m.store(k, ref[k] = v); break;
            case 2: {
                auto [actual, loaded] = m.load_or_store(k, v);
                CHECK_EQ(loaded, was.has_value());
                CHECK_EQ(actual, was ? *was : (ref[k] = v));
                break;
            }
            case 3:
                CHECK(m.load_and_delete(k) == was);
                ref.erase(k);
                break;
            case 4:
                CHECK(m.swap(k, v) == was);
                ref[k] = v;
                break;
            case 5:
                CHECK_EQ(m.compare_and_swap(k, old, v), was == old);
                if (was == old) ref[k] = v;
                break;
            case 6:
                CHECK_EQ(m.compare_and_delete(k, old), was == old);
                if (was == old) ref.erase(k);
                break;
            case 7:
                CHECK_EQ(m.remove(k), was.has_value());
                ref.erase(k);
                break;
            case 8: {
                std::unordered_map<K, int> all;
                m.range([&](const K& a, int b) { CHECK(all.emplace(a, b).second); });
                CHECK(all == ref);
                break;
            }
            case 9:
                if (i % 100 == 0) {
                    m.clear();
                    ref.clear();
                }
                break;
            }
        }
    }
}
TEST_P(MP_12_as_a_map_with_a_lock, 1, 2) {
    with_procs(procs, [] {
        compare<int>([](int i) { return i; });
        compare<std::string>([](int i) { return std::to_string(i) + std::string(40, 'x'); });
    });
}
struct SameHash {
    size_t operator()(int) const { return 7; }
};
TEST(MP_12_all_keys_in_one_place) {
    with_procs(1, [] {
        sync_map<int, int, SameHash> m;
        for (int i = 0; i < 200; ++i) m.store(i, i);
        for (int i = 0; i < 200; i += 2) m.remove(i);
        for (int i = 0; i < 200; ++i) CHECK_EQ(m.load(i).has_value(), i % 2 == 1);
    });
}

// MP-14: nothing of what was replaced or removed stays.
TEST_P(MP_14_what_is_removed_is_released, 1, 2, 8) {
    with_procs(procs, [] {
        sync_map<int, std::shared_ptr<int>> m;
        auto held = std::make_shared<int>(1);
        m.store(1, held);
        CHECK_EQ(held.use_count(), 2);
        m.remove(1);
        CHECK_EQ(held.use_count(), 1);
        m.store(1, held);
        m.store(1, nullptr);
        CHECK_EQ(held.use_count(), 1);
        m.store(2, held);
        m.clear();
        CHECK_EQ(held.use_count(), 1);
        m.store(3, held);
        m.range([&](int, const std::shared_ptr<int>&) { m.remove(3); });
        CHECK_EQ(held.use_count(), 1);
        {
            sync_map<std::string, std::shared_ptr<int>> other;
            for (int i = 0; i < 100; ++i) other.store(std::to_string(i), held);
            CHECK_EQ(held.use_count(), 101);
        }
        CHECK_EQ(held.use_count(), 1);
    });
}

// MM-15, MP-15: readers of plain data behind pointers, and of values that are replaced all the time, under TSan and
// ASan.
void churn(int rounds, bool foreign) {
    struct Node {
        explicit Node(long v) : value(v) {}
        long value;
    };
    sync_map<long, std::shared_ptr<Node>> slow;
    sync_map<long, long> quick;
    std::atomic<bool> stop{false};
    auto read = [&] {
        while (!stop) {
            for (long k = 0; k < 16; ++k) {
                if (auto v = slow.load(k)) CHECK_EQ((*v)->value % 16, k);
                if (auto v = quick.load(k)) CHECK_EQ(*v % 16, k);
            }
            yield();
        }
    };
    wait_group readers, writers;
    for (int i = 0; i < 3; ++i) readers.go(read);
    std::vector<std::thread> threads;
    if (foreign) threads.emplace_back(read);
    for (int g = 0; g < 2; ++g)
        writers.go([&, g] {
            for (long i = 0; i < rounds; ++i) {
                const long k = i % 16;
                switch ((i / 16 + g) % 3) {
                case 0: slow.store(k, std::make_shared<Node>(i * 16 + k)); break;
                case 1: slow.remove(k); break;
                case 2: (void)slow.swap(k, std::make_shared<Node>(k)); break;
                }
                if (i % 5) quick.store(k, i * 16 + k);
                else quick.remove(k);
                if (i % 32 == 0) yield();
            }
        });
    writers.wait();
    stop = true;
    readers.wait();
    blocking([&] {
        for (auto& t : threads) t.join();
    });
}
TEST_P(MM_15_MP_15_readers_among_writers, 1, 2, 8) {
    with_procs(procs, [] { churn(2000, true); });
}
TEST_STRESS_P(MM_15_for_long, 2, 8) {
    with_procs(procs, [] { churn(100'000, true); });
}

// A reader that blocks in the middle holds back only what it may be reading.
struct Slow {
    static inline mutex gate;
    static inline std::atomic<int> live{0};
    int v;
    explicit Slow(int n) : v(n) { ++live; }
    Slow(const Slow& o) : v(o.v) {
        ++live;
        if (v < 0) {
            gate.lock();
            gate.unlock();
        }
    }
    ~Slow() { --live; }
};
TEST_P(readers_may_block, 1, 2, 8) {
    with_procs(procs, [] {
        sync_map<int, Slow> m;
        m.store(1, Slow(-1));
        Slow::gate.lock();
        wait_group wg;
        wg.go([&] {
            const auto got = m.load(1);
            CHECK_EQ(got->v, -1);
        });
        EVENTUALLY(waiting(&Slow::gate) == 1);
        m.remove(1);
        for (int i = 2; i < 50; ++i) {
            m.store(i, Slow(i));
            m.remove(i);
        }
        CHECK(Slow::live > 1);
        Slow::gate.unlock();
        wg.wait();
        for (int i = 0; i < 3; ++i) {
            m.store(1, Slow(1));
            m.remove(1);
        }
        CHECK_EQ(Slow::live, 0);
    });
}

}  // namespace
