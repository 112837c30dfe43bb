// tests/future_test.cc - async, future and promise.
// SPDX-License-Identifier: BSD-2-Clause
#include <memory>
#include <string>
#include <thread>

#include "arch/sanitize.h"
#include "gort.h"
#include "tests/child.h"
#include "tests/procs.h"

using namespace gort;
using namespace std::chrono_literals;
using test::Died;
using test::run_child;
using test::with_procs;

// What a goroutine that main leaves behind holds is lost for ever, as in Go.
static bool g_left_some = false;
#if GORT_ASAN
extern "C" [[gnu::visibility("default")]] int __lsan_is_turned_off();
int __lsan_is_turned_off() { return g_left_some; }
#endif

namespace {

static_assert(!std::is_copy_constructible_v<future<int>> &&
              std::is_nothrow_move_constructible_v<future<int>>);
static_assert(!std::is_copy_constructible_v<promise<int>> &&
              std::is_nothrow_move_constructible_v<promise<int>>);
static_assert(std::is_same_v<decltype(async([](int& x) -> int& { return x; },
                                            std::declval<std::reference_wrapper<int>>())),
                             future<int&>>);
static_assert(std::is_same_v<decltype(async([] {})), future<void>>);

// Which of std::future_errc's f throws; "" if it throws none.
template <class F>
std::string future_error_of(F f) {
    try {
        f();
    } catch (const std::future_error& e) {
        CHECK_EQ(e.code().category().name(), std::future_category().name());
        for (const auto code :
             {std::future_errc::no_state, std::future_errc::broken_promise,
              std::future_errc::promise_already_satisfied, std::future_errc::future_already_retrieved})
            if (e.code() == code) return make_error_code(code).message();
    }
    return "";
}
std::string text_of(std::future_errc e) { return make_error_code(e).message(); }

TEST_P(async_gives_what_f_returns, 1, 2, 4) {
    with_procs(procs, [] {
        CHECK_EQ(async([](int a, int b) { return a + b; }, 2, 3).get(), 5);
        CHECK_EQ(async([](int a, int b, int c, int d) { return a + b + c + d; }, 1, 2, 3, 4).get(), 10);
        CHECK(*async([](std::unique_ptr<int> p) { return p; }, std::make_unique<int>(7)).get() == 7);
        CHECK_EQ(async(&std::string::size, std::string("four")).get(), 4);
        int x = 1;
        future<int&> r = async([](int& y) -> int& { return y; }, std::ref(x));
        CHECK(&r.get() == &x);
        bool ran = false;
        future<void> v = async([&] { ran = true; });
        CHECK(v.valid());
        v.wait();
        CHECK(ran && v.valid());
        v.get();
        CHECK(!v.valid());
        std::vector<future<int>> all;
        for (int i = 0; i < 200; ++i)
            all.push_back(async([i] {
                if (i % 3 == 0) yield();
                return i;
            }));
        int sum = 0;
        for (auto& f : all) sum += f.get();
        CHECK_EQ(sum, 199 * 100);
    });
}

TEST(what_leaves_f_is_thrown_by_get) {
    with_procs(2, [] {
        auto f = async([]() -> int { throw std::out_of_range("far"); });
        f.wait();
        try {
            f.get();
            CHECK(false);
        } catch (const std::out_of_range& e) {
            CHECK_EQ(std::string(e.what()), "far");
        }
        CHECK(!f.valid());
        CHECK_EQ(test::panic_of([] { async([] { panic("no"); }).get(); }), "no");
        CHECK_EQ(future_error_of([] { async([] { goexit(); }).get(); }),
                 text_of(std::future_errc::broken_promise));
        async([] { throw 1; }).wait();  // dropped
        static_cast<void>(async([] { throw 2; }));
        g_left_some = true;  // main may return before that
    });
}

TEST_P(waits_end_at_their_deadlines, 1, 2) {
    with_procs(procs, [] {
        promise<int> p;
        future<int> f = p.get_future();
        CHECK(f.wait_for(0s) == std::future_status::timeout);
        CHECK(f.wait_for(2ms) == std::future_status::timeout);
        CHECK(f.wait_until(std::chrono::steady_clock::now() + 1ms) == std::future_status::timeout);
        CHECK(f.wait_until(std::chrono::system_clock::now() + 1ms) == std::future_status::timeout);
        go([&] { p.set_value(3); });
        CHECK(f.wait_for(1h) == std::future_status::ready);
        CHECK(f.wait_for(0s) == std::future_status::ready);
        CHECK(f.wait_until(std::chrono::steady_clock::now()) == std::future_status::ready);
        CHECK_EQ(f.get(), 3);
    });
}

TEST_P(done_is_for_select, 1, 2, 4) {
    with_procs(procs, [] {
        for (int i = 0; i < 300; ++i) {
            promise<int> p;
            future<int> f = p.get_future();
            if (i % 2) CHECK_EQ(select(on_recv(f.done()), otherwise()), 1);
            go([p = std::move(p), i]() mutable {
                if (i % 3 == 0) yield();
                p.set_value(i);
            });
            if (i % 5 == 0) yield();
            CHECK_EQ(select(on_recv(after(1h)), on_recv(f.done())), 1);
            CHECK(f.done() == f.done());
            CHECK(f.wait_for(0s) == std::future_status::ready);
            CHECK_EQ(f.get(), i);
        }
    });
}

TEST(promises_are_kept_once) {
    with_procs(1, [] {
        promise<std::string> p;
        future<std::string> f = p.get_future();
        CHECK_EQ(future_error_of([&] { p.get_future(); }),
                 text_of(std::future_errc::future_already_retrieved));
        const std::string text = "kept";
        p.set_value(text);
        CHECK_EQ(future_error_of([&] { p.set_value("again"); }),
                 text_of(std::future_errc::promise_already_satisfied));
        CHECK_EQ(future_error_of([&] { p.set_exception(std::make_exception_ptr(1)); }),
                 text_of(std::future_errc::promise_already_satisfied));
        CHECK_EQ(f.get(), "kept");
        CHECK_EQ(future_error_of([&] { f.get(); }), text_of(std::future_errc::no_state));
        CHECK_EQ(future_error_of([&] { f.wait(); }), text_of(std::future_errc::no_state));
        CHECK_EQ(future_error_of([&] { f.wait_for(1s); }), text_of(std::future_errc::no_state));
        CHECK_EQ(future_error_of([&] { f.done(); }), text_of(std::future_errc::no_state));

        promise<std::string> moved = std::move(p);
        CHECK_EQ(future_error_of([&] { p.set_value("x"); }), text_of(std::future_errc::no_state));
        CHECK_EQ(future_error_of([&] { p.get_future(); }), text_of(std::future_errc::no_state));

        future<int> broken;
        CHECK(!broken.valid());
        {
            promise<int> gone;
            broken = gone.get_future();
        }
        CHECK(broken.wait_for(0s) == std::future_status::ready);
        CHECK_EQ(future_error_of([&] { broken.get(); }), text_of(std::future_errc::broken_promise));
        {
            promise<int> replaced;
            broken = replaced.get_future();
            replaced = promise<int>();
            CHECK_EQ(future_error_of([&] { broken.get(); }), text_of(std::future_errc::broken_promise));
        }
        promise<void> nothing;
        future<void> n = nothing.get_future();
        nothing.set_value();
        n.get();
        int x = 0;
        promise<int&> ref;
        future<int&> r = ref.get_future();
        ref.set_value(x);
        CHECK(&r.get() == &x);
        promise<int> failed;
        future<int> e = failed.get_future();
        failed.set_exception(std::make_exception_ptr(std::string("why")));
        try {
            e.get();
            CHECK(false);
        } catch (const std::string& why) {
            CHECK_EQ(why, "why");
        }
    });
}

// A value whose copy throws leaves the promise as it was.
TEST(a_value_that_throws_can_be_given_again) {
    struct Throws {
        bool now;
        explicit Throws(bool n) : now(n) {}
        Throws(const Throws& o) : now(o.now) {
            if (now) throw 1;
        }
    };
    promise<Throws> p;
    future<Throws> f = p.get_future();
    const Throws bad(true), good(false);
    try {
        p.set_value(bad);
        CHECK(false);
    } catch (int) {
    }
    p.set_value(good);
    CHECK(!f.get().now);
}

struct Local {
    std::atomic<int>* ended = nullptr;
    ~Local() {
        if (!ended) return;
        yield();
        ++*ended;
    }
};
goroutine_local<Local> local_one, local_two;
struct MakesAnother {
    std::atomic<int>* ended = nullptr;
    ~MakesAnother() {
        if (ended) local_two->ended = ended;
    }
};
goroutine_local<MakesAnother> local_maker;

TEST_P(ready_after_the_goroutines_locals_have_ended, 1, 2, 4) {
    with_procs(procs, [] {
        for (int i = 0; i < 100; ++i) {
            std::atomic<int> ended{0};
            struct Counts {
                std::atomic<int>* ended;
                ~Counts() { ++*ended; }
            };
            auto arg = std::make_shared<Counts>(Counts{&ended});
            ended = 0;
            auto f = async(
                [&ended](std::shared_ptr<Counts>) {
                    set_label("future");
                    local_one->ended = &ended;
                    local_maker->ended = &ended;
                },
                std::move(arg));
            if (i % 2) f.wait();
            else f.done().recv();
            CHECK_EQ(ended.load(), 3);
        }
    });
}

TEST(threads_wait_for_futures) {
    start();
    auto f = async([] {
        sleep(1ms);
        return 4;
    });
    CHECK_EQ(f.get(), 4);
    promise<int> p;
    auto g = p.get_future();
    CHECK(g.wait_for(1ms) == std::future_status::timeout);
    std::thread keeps([&] { p.set_value(1); });
    CHECK_EQ(g.get(), 1);
    keeps.join();
    promise<int> never;
    auto n = never.get_future();
    stop();
    CHECK_EQ(test::panic_of([&] { n.wait(); }), "future wait: the runtime has been stopped (by gort::stop)");
    CHECK(n.wait_for(1ms) == std::future_status::timeout);
}

TEST(abandoned_ones_make_nothing_ready) {
    future<int> left;
    with_procs(2, [&] {
        left = async([] {
            make_chan<int>().recv();
            return 1;
        });
        static_cast<void>(async([] { make_chan<int>().recv(); }));
        yield();
        yield();
        g_left_some = true;
    });
    CHECK(left.wait_for(0s) == std::future_status::timeout);
}

TEST(a_deadlock_names_the_wait) {
    const Died e = run_child([] {
        with_procs(1, [] {
            promise<int> p;
            p.get_future().wait();
        });
    });
    CHECK_DIED(e, e.exit_code() == 2 && e.matches("^goroutine 1 \\[future wait\\]:$"));
}

}  // namespace
