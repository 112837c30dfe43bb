// tests/sched_test.cc - goroutines: what starts one, what it is given, the order in which they run, what they leave.
// SPDX-License-Identifier: BSD-2-Clause
//
// The ids (GR-…) are those of the list of Go's behaviours.
#include "tests/sched_test.h"

#include <array>

using namespace gort;
using namespace gort::sched_test;

namespace {

std::atomic<int> g_sum{0};
void add_seven() { g_sum += 7; }
void add_three(int a, int b, int c) { g_sum += a + b + c; }

// ---- creation, arguments, lifetime

TEST_P(GR_01_go_returns_while_the_goroutine_waits, 1, 2, 8) {
    with_procs(procs, [] {
        Sema begin, end;
        bool ran = false;
        go([&] {
            begin.acquire();
            ran = true;
            end.release();
        });
        CHECK(!ran);  // the goroutine waits for us
        begin.release();
        end.acquire();
        CHECK(ran);
    });
}

TEST_P(GR_02_arguments_are_evaluated_when_go_is_called, 1, 2, 8) {
    with_procs(procs, [] {
        Join join;
        join.add(2);
        int n = 1, seen = 0;
        std::string s = "before", text;
        go(
            [&](int a, const std::string& b) {
                seen = a;
                text = b;
                join.done();
            },
            n, s);
        n = 2;
        s = "after";
        int by_reference = 0;
        go(
            [&join](int& r) {
                r = 5;
                join.done();
            },
            std::ref(by_reference));
        join.wait();
        CHECK_EQ(seen, 1);
        CHECK_EQ(text, "before");
        CHECK_EQ(by_reference, 5);
    });
}

TEST_P(GR_03_results_are_ignored_and_children_outlive_their_parent, 1, 2, 8) {
    with_procs(procs, [] {
        Sema parent_gone, child_done;
        go([&] {
            go([&]() -> std::string {
                parent_gone.acquire();
                child_done.release();
                return "nobody wants this";
            });
            return 5;
        });
        while (num_goroutine() != 2) yield();
        parent_gone.release();
        child_done.acquire();
    });
}

TEST(GR_06_go_of_a_null_function_is_fatal_in_the_caller) {
    for (int form : {0, 1, 2}) {
        Died d = run_child([form] {
            with_procs(1, [form] {
                void (*none)() = nullptr;
                void (std::string::*no_member)() = nullptr;
                std::string text;
                if (form == 0) go(none);
                if (form == 1) go(std::function<void()>{});
                if (form == 2) go(no_member, text);
            });
        });
        CHECK_DIED(d, d.exit_code() == 2);
        CHECK_DIED(d, d.first_line() == "fatal error: go of nil func value");
        CHECK_DIED(d, d.said("goroutine 1 [running]:"));
    }
}

int depth(int n) {
    volatile char frame[400];
    frame[0] = char(n);
    return n == 0 ? 0 : depth(n - 1) + 1 + (frame[0] - char(n));
}
TEST(GR_09_deep_recursion_on_a_large_stack) {
    with_procs(1, [] {
        Sema end;
        constexpr int kDepth =
            GORT_TSAN ? 30'000 : 100'000;  // more than 40 MB; TSan's own stack holds 65,536 calls
        int result = 0;
        go(stack_size(256 << 20), [&] {
            result = depth(kDepth);
            end.release();
        });
        end.acquire();
        CHECK_EQ(result, kDepth);
    });
}

TEST(GR_09_stack_sizes_come_and_go_while_others_run) {
    with_procs(4, [] {
        Join join;
        const int kEach = test::slow() > 1 ? 100 : 1000;
        for (size_t size : {size_t{128} << 10, size_t{256} << 10, size_t{512} << 10, size_t{1} << 20}) {
            join.add(kEach);
            go([&join, size, kEach] {
                for (int i = 0; i < kEach; ++i)
                    go(stack_size(size), [&join, i] {
                        const int want = i % 100;
                        CHECK_EQ(depth(want), want);
                        if (i % 3 == 0) yield();
                        CHECK_EQ(depth(want), want);
                        join.done();
                    });
            });
        }
        join.wait();
    });
}

TEST(a_stack_size_that_is_out_of_range_is_a_panic) {
    with_procs(1, [] {
        std::string what;
        try {
            go(stack_size(size_t{2} << 30), [] {});
        } catch (const std::exception& e) {
            what = e.what();
        }
        CHECK_EQ(what, "go: stack_size out of range (at most 1 GiB)");
        CHECK_EQ(num_goroutine(), 1);
        Sema again;  // the runtime is left in order
        go([&] { again.release(); });
        again.acquire();
    });
}

TEST_P(GR_10_others_may_write_into_the_frame_of_one_who_waits, 1, 2, 8) {
    with_procs(procs, [] {
        Sema waits, end;
        std::atomic<int*> place{nullptr};
        int result = 0;
        go([&] {
            int local = 1;
            place = &local;
            waits.acquire();
            result = local;
            end.release();
        });
        EVENTUALLY(waits.waiting() == 1);
        *place = 42;
        waits.release();
        end.acquire();
        CHECK_EQ(result, 42);
    });
}

TEST_P(GR_11_ids_are_positive_and_never_used_twice, 1, 2, 8) {
    with_procs(procs, [] {
        std::vector<uint64_t> ids(3000);
        CHECK_EQ(rt::self()->curg->id, 1);
        for (int round = 0; round < 3; ++round) {
            Join join;
            join.add(1000);
            for (int i = 0; i < 1000; ++i)
                go([&, at = round * 1000 + i] {
                    ids[size_t(at)] = rt::self()->curg->id;
                    join.done();
                });
            join.wait();
        }
        CHECK_EQ(std::set<uint64_t>(ids.begin(), ids.end()).size(), ids.size());
        for (uint64_t id : ids) CHECK_LT(1u, id);
    });
}

TEST(GR_12_from_destructors_and_handlers) {
    with_procs(1, [] {
        Join join;
        join.add(3);
        {
            struct Guard {
                Join* join;
                ~Guard() {
                    go([j = join] { j->done(); });
                }
            } guard{&join};
        }
        try {
            throw 5;
        } catch (int) {
            go([&] { join.done(); });
        }
        try {
            struct Unwound {
                Join* join;
                ~Unwound() {
                    go([j = join] { j->done(); });
                }
            } unwound{&join};
            throw 6;
        } catch (int) {
        }
        join.wait();
    });
}

struct Counter {
    int n = 0;
    Join* join = nullptr;
    void add(int k) {
        n += k;
        join->done();
    }
    int get() const { return n; }
};

TEST(GR_13_every_kind_of_callable) {
    with_procs(2, [] {
        g_sum = 0;
        Join join;
        join.add(7);
        std::function<void()> done = [&] { join.done(); };
        go(add_seven);
        go(&add_three, 1, 2, 3);
        go(done);
        Counter counter;
        counter.join = &join;
        go(&Counter::add, &counter, 5);  // member function, object by pointer
        Counter by_ref;
        by_ref.join = &join;
        go(&Counter::add, std::ref(by_ref), 6);
        go([&join, p = std::make_unique<int>(9)] {  // can only be moved
            g_sum += *p;
            join.done();
        });
        go(
            [&join](std::unique_ptr<int> p) {
                g_sum += *p;
                join.done();
            },
            std::make_unique<int>(11));
        std::array<char, 4096> block;  // larger than what fits a G
        block.fill('x');
        go([&join, block] {
            for (char c : block) CHECK_EQ(c, 'x');
            join.done();
        });
        struct alignas(64) Aligned {
            char bytes[64];
        };
        go([&join, aligned = Aligned{}] {
            CHECK_EQ(reinterpret_cast<uintptr_t>(&aligned) % 64, 0);
            join.done();
        });
        auto generic = [](auto&&... all) { g_sum += (int(all) + ...); };
        go(generic, 1, 2L, 'a', 4.0, 5u, short(6));  // more arguments than keep the line
        join.wait();
        CHECK_EQ(counter.get(), 5);
        CHECK_EQ(by_ref.get(), 6);
        EVENTUALLY(g_sum == 7 + 6 + 9 + 11 + 1 + 2 + 'a' + 4 + 5 + 6);
    });
}

TEST(GR_14_captures_by_value_are_each_ones_own) {
    with_procs(1, [] {
        Join join;
        join.add(10);
        int sum = 0;
        for (int i = 0; i < 10; ++i)
            go([&, i] {
                sum += 1 << i;
                join.done();
            });
        join.wait();
        CHECK_EQ(sum, 1023);
    });
}

// ---- callables that count their lives

struct Life {
    static inline std::atomic<int> alive{0}, ran{0};
    static inline bool throws = false;
    Life() { ++alive; }
    Life(const Life&) {
        if (throws) throw std::runtime_error("no copy");
        ++alive;
    }
    Life(Life&&) noexcept { ++alive; }
    ~Life() { --alive; }
    void operator()() const { ++ran; }
};
struct BigLife : Life {
    char ballast[200] = {};
};

template <class L>
void lives() {
    with_procs(1, [] {
        L callable;
        go(callable);
        go(L{});
        go([held = L{}] { goexit(); });
        go([](const L&) {}, callable);
        EVENTUALLY(num_goroutine() == 1);
        CHECK_EQ(L::ran, 2);
        CHECK_EQ(L::alive, 1);
        // A copy that throws: go throws, nothing was started, nothing is left.
        L::throws = true;
        bool caught = false;
        try {
            go(callable);
        } catch (const std::runtime_error&) {
            caught = true;
        }
        CHECK(caught);
        CHECK_EQ(num_goroutine(), 1);
        CHECK_EQ(L::alive, 1);
        L::throws = false;
        go(callable);
        EVENTUALLY(L::ran == 3);
        EVENTUALLY(L::alive == 1);
    });
    CHECK_EQ(L::alive, 0);
}
TEST(a_callable_is_destroyed_once_and_a_throwing_copy_starts_nothing) { lives<Life>(); }
TEST(the_same_for_callables_that_do_not_fit_a_goroutine) { lives<BigLife>(); }

TEST(what_is_left_at_the_end_of_the_run_is_not_destroyed) {
    Life::alive = 0;
    with_procs(1, [] {
        go([held = Life{}] {
            Sema never;
            never.acquire();
        });
        yield();
        go([held = Life{}] { CHECK(false); });  // never runs: main returns first
    });
    CHECK_EQ(Life::alive, 2);
}

// ---- order

TEST(GR_15_the_last_created_runs_first_and_the_rest_in_order) {
    auto once = [] {
        std::string order;
        with_procs(1, [&] {
            Join join;
            join.add(10);
            for (int i = 0; i < 10; ++i)
                go([&, i] {
                    order += char('0' + i);
                    join.done();
                });
            join.wait();
        });
        return order;
    };
    CHECK_EQ(order_of(once), "9012345678");
}

TEST(GR_16_the_last_one_woken_runs_first_and_the_rest_in_order) {
    auto once = [] {
        std::string order;
        with_procs(1, [&] {
            Sema gates[5];
            Join join;
            join.add(5);
            for (int i = 0; i < 5; ++i)
                go([&, i] {
                    gates[i].acquire();
                    order += char('0' + i);
                    join.done();
                });
            for (Sema& gate : gates) EVENTUALLY(gate.waiting() == 1);
            for (Sema& gate : gates) gate.release();
            join.wait();
        });
        return order;
    };
    CHECK_EQ(order_of(once), "40123");
}

TEST(GR_20_yields_rotate) {
    auto once = [] {
        std::string order;
        with_procs(1, [&] {
            Join join;
            join.add(3);
            for (int i = 0; i < 3; ++i)
                go([&, i] {
                    for (int k = 0; k < 5; ++k) {
                        order += char('0' + i);
                        yield();
                    }
                    join.done();
                });
            join.wait();
        });
        return order;
    };
    CHECK_EQ(order_of(once), "201201201201201");
}

TEST_P(GR_25_long_queues_lose_nobody, 1, 2, 8) {
    with_procs(procs, [] {
        const int kMany = 5000;  // far beyond the first ring
        std::vector<std::atomic<int>> ran(kMany);
        Join join;
        join.add(kMany);
        for (int i = 0; i < kMany; ++i)
            go([&, i] {
                ++ran[size_t(i)];
                if (i % 7 == 0) yield();
                join.done();
            });
        join.wait();
        for (auto& n : ran) CHECK_EQ(n, 1);
    });
}

TEST_P(RT_07_num_goroutine_counts_what_exists, 1, 2, 8) {
    with_procs(procs, [] {
        CHECK_EQ(num_goroutine(), 1);
        Sema gate;
        Join join;
        join.add(30);
        for (int i = 0; i < 30; ++i)
            go([&] {
                gate.acquire();
                join.done();
            });
        CHECK_EQ(num_goroutine(), 31);  // runnable ones count
        EVENTUALLY(gate.waiting() == 30);
        CHECK_EQ(num_goroutine(), 31);  // blocked ones too
        for (int i = 0; i < 10; ++i) gate.release();
        EVENTUALLY(num_goroutine() == 21);
        for (int i = 0; i < 20; ++i) gate.release();
        join.wait();
        EVENTUALLY(num_goroutine() == 1);
    });
}

TEST(RT_08_yield_alone_comes_back) {
    with_procs(1, [] {
        for (int i = 0; i < 1000; ++i) yield();
    });
}

}  // namespace
