// tests/api_test.cc - public names used as documented, from <gort.h> alone: what programs were compiled against must go
// on compiling.
// SPDX-License-Identifier: BSD-2-Clause
#include <gort.h>

#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "rt/net/netpoll.h"
#include "tests/test.h"

using namespace std::chrono_literals;

namespace {

const bool fds_in_ledger = gort::test::ledger_fds([] { return long(gort::rt::poll_own_fds()); });

inline constexpr gort::ctx::key<std::string> request_id{"request_id"};

template <class F>
std::string panic_text(F f) {
    try {
        f();
    } catch (const gort::panic_error& e) {
        return e.what();
    }
    return "no panic";
}

struct MoveOnly {
    std::unique_ptr<int> p;
};

TEST_P(the_program_of_the_front_page, 1, 2, 8) {
    gort::options o;
    o.max_procs = procs;
    long sum = 0;
    gort::run(
        [&] {
            auto jobs = gort::make_chan<int>(16);
            auto results = gort::make_chan<int>();
            auto [c, cancel] = gort::ctx::with_timeout(gort::ctx::background(), 60s);
            gort::wait_group workers;
            for (int i = 0; i < 4; ++i)
                workers.go([=, c = c] {
                    for (int job : jobs)
                        switch (gort::select(gort::on_send(results, job * job), gort::on_recv(c.done()))) {
                        case 0: break;
                        case 1: return;
                        }
                });
            gort::go([=] {
                for (int i = 0; i < 100; ++i) jobs << i;
                jobs.close();
            });
            gort::go([&, results] {
                workers.wait();
                results.close();
            });
            for (int r : results) sum += r;
            cancel();
        },
        o);
    CHECK_EQ(sum, 328350);
}

TEST(running) {
    CHECK_EQ(gort::run([] { return 7; }), 7);
    CHECK_EQ(gort::run([] {}), 0);
    gort::options o;
    o.max_procs = 2;
    o.max_threads = 100;
    o.stack_size = 512 << 10;
    o.seed = 42;
    gort::run(
        [] {
            auto done = gort::make_chan<int>(8);
            gort::go([done](int a, std::unique_ptr<int> b) { done << a + *b; }, 1, std::make_unique<int>(2));
            CHECK_EQ(done.recv(), 3);
            gort::go(gort::stack_size(1 << 20), [done] { done << 4; });
            CHECK_EQ(done.recv(), 4);
            gort::go([done] {
                gort::defer d{[&] { done << 5; }};
                gort::goexit();
            });
            CHECK_EQ(done.recv(), 5);
            gort::yield();
            CHECK_EQ(gort::gomaxprocs(0), 2);
            CHECK_EQ(gort::gomaxprocs(1), 2);
            CHECK_LT(0, gort::num_goroutine());
            CHECK_LT(0, gort::num_cpu());
            gort::lock_os_thread();
            gort::unlock_os_thread();
            CHECK_EQ(gort::set_max_threads(200), 100);
            CHECK_EQ(gort::blocking([] { return ::getpid(); }), ::getpid());
            CHECK_EQ(panic_text([] { gort::panic("mine"); }), "mine");
            CHECK_LT(0, gort::stats().goroutines);
            int p[2];
            CHECK_EQ(::pipe(p), 0);
            gort::dump_goroutines(p[1]);
            char text[64] = {};
            CHECK_LT(0, ::read(p[0], text, sizeof text - 1));
            CHECK_EQ(std::string(text).rfind("goroutine ", 0), 0);
            ::close(p[0]);
            ::close(p[1]);
            CHECK_EQ(panic_text([] { gort::run([] {}); }) == "no panic", false);
        },
        o);
}

TEST(in_the_background_of_a_program_of_its_own) {
    gort::options o;
    o.max_procs = 2;
    gort::start(o);
    {
        auto c = gort::make_chan<std::string>();
        gort::go([c] { c << std::string("from a goroutine"); });
        CHECK_EQ(c.recv(), "from a goroutine");
        gort::mutex m;
        int n = 0;
        std::thread other([&] {
            std::lock_guard guard(m);
            ++n;
            c << std::string("from a thread");
        });
        CHECK_EQ(c.recv(), "from a thread");
        other.join();
        CHECK_EQ(n, 1);
        CHECK_EQ(gort::select(gort::on_recv(c), gort::otherwise()), 1);
    }
    gort::stop();
}

TEST(channels) {
    gort::options roomy;  // 64 KiB in hand several times over
    roomy.stack_size = 1 << 20;
    const auto main = [] {
        auto ch = gort::make_chan<int>(2);
        ch.send(1);
        ch << 2;
        CHECK(!ch.try_send(3));
        CHECK_EQ(ch.len(), 2);
        CHECK_EQ(ch.cap(), 2);
        int v = 0;
        CHECK_EQ(ch.recv(), 1);
        CHECK(ch.recv(v));
        CHECK_EQ(v, 2);
        CHECK(ch.try_recv(v) == gort::recv_result::empty);
        const gort::send_chan<int> tx = ch;
        const gort::recv_chan<int> rx = ch;
        tx << 9;
        CHECK(rx.try_recv(v) == gort::recv_result::ok);
        CHECK(ch == ch);
        CHECK(bool(ch));
        gort::chan<int> nil, null = nullptr;
        CHECK(nil == null);
        CHECK(!nil);
        CHECK_EQ(nil.len() + nil.cap(), 0);
        tx.close();
        CHECK(rx.try_recv(v) == gort::recv_result::closed);
        CHECK(!ch.recv(v));
        for (int x : ch) CHECK_EQ(x, -1);
        CHECK_EQ(panic_text([&] { ch << 1; }), "send on closed channel");
        CHECK_EQ(panic_text([&] { ch.close(); }), "close of closed channel");
        CHECK_EQ(panic_text([&] { nil.close(); }), "close of nil channel");
        CHECK_EQ(panic_text([] { gort::make_chan<int>(-1); }), "makechan: size out of range");

        auto big = gort::make_chan<std::array<char, 65536>>(1);
        big << std::array<char, 65536>{'x'};
        CHECK(big.recv()[0] == 'x');
        auto owned = gort::make_chan<MoveOnly>(1);
        owned << MoveOnly{std::make_unique<int>(5)};
        CHECK(*owned.recv().p == 5);
        auto empty = gort::make_chan<gort::unit>(1);
        empty << gort::unit{};
        CHECK(empty.recv() == gort::unit{});
    };
    gort::run(main, roomy);
}

TEST(selects) {
    gort::run([] {
        auto a = gort::make_chan<int>(1);
        auto b = gort::make_chan<std::string>(1);
        int v = 0, called = 0;
        bool ok = false;
        std::string s;
        CHECK_EQ(
            gort::select(gort::on_recv(a, v), gort::on_recv(b, s, ok), gort::otherwise([&] { ++called; })),
            2);
        CHECK_EQ(called, 1);
        CHECK_EQ(gort::select(gort::on_send(a, 3, [&] { ++called; })), 0);
        CHECK_EQ(gort::select(gort::on_recv(a, [&](int x) { v = x; }), gort::on_recv(b)), 0);
        CHECK_EQ(v, 3);
        b << std::string("text");
        CHECK_EQ(gort::select(gort::on_recv(a), gort::on_recv(b,
                                                              [&](std::string x, bool o) {
                                                                  s = std::move(x);
                                                                  ok = o;
                                                              })),
                 1);
        CHECK(ok);
        CHECK_EQ(s, "text");
        auto owned = gort::make_chan<std::unique_ptr<int>>(1);
        owned << nullptr;
        auto kept = std::make_unique<int>(1);
        CHECK_EQ(gort::select(gort::on_send(owned, std::move(kept)), gort::otherwise()), 1);
        CHECK(kept != nullptr);
        a << 4;
        std::vector<gort::select_case> cases{gort::on_recv(a, v), gort::on_recv(b, s)};
        CHECK_EQ(gort::select_any(std::span<gort::select_case>(cases)), 0);
        CHECK_EQ(v, 4);
    });
}

TEST(time) {
    gort::run([] {
        const auto t0 = std::chrono::steady_clock::now();
        gort::sleep(1ms);
        const auto fired = gort::after(1ms).recv();
        CHECK(fired - t0 >= 2ms);
        gort::timer t{1h};
        CHECK(t.stop());
        CHECK(!t.reset(1ms));
        t.c().recv();
        gort::ticker tick{1ms};
        tick.c().recv();
        tick.reset(2ms);
        tick.c().recv();
        tick.stop();
        auto c = gort::make_chan<int>();
        gort::timer f = gort::after_func(1ms, [c] { c << 1; });
        CHECK_EQ(c.recv(), 1);
        CHECK(!f.stop());
        CHECK_EQ(panic_text([] { gort::ticker bad{0ms}; }).empty(), false);
    });
}

TEST(sync) {
    gort::run([] {
        gort::mutex m, m2;
        { std::scoped_lock both(m, m2); }
        CHECK(m.try_lock());
        m.unlock();
        gort::rw_mutex rw;
        {
            std::shared_lock read(rw);
            CHECK(rw.try_lock_shared());
            rw.unlock_shared();
            CHECK(!rw.try_lock());
        }
        { std::unique_lock write(rw); }
        gort::wait_group wg;
        wg.add(1);
        gort::go([&] { wg.done(); });
        wg.go([] {});
        wg.wait();
        gort::once once;
        int n = 0;
        once.call([&] { ++n; });
        once.call([&] { ++n; });
        auto f = gort::once_func([&] { ++n; });
        f();
        f();
        CHECK_EQ(n, 2);
        auto value = gort::once_value([] { return 5; });
        CHECK_EQ(value() + value(), 10);
        gort::cond cond{m};
        bool ready = false;
        wg.go([&] {
            std::lock_guard guard(m);
            ready = true;
            cond.signal();
            cond.broadcast();
        });
        m.lock();
        while (!ready) cond.wait();
        m.unlock();
        wg.wait();
        gort::pool<std::string> pool;
        pool.put("used");
        (void)pool.get();
        gort::sync_map<std::string, int> map;
        map.store("a", 1);
        CHECK(map.load("a") == 1);
        CHECK(!map.load("b"));
        (void)map.load_or_store("b", 2);
        CHECK(map.load_and_delete("b").has_value());
        (void)map.swap("a", 3);
        CHECK(map.compare_and_swap("a", 3, 4));
        int seen = 0;
        map.range([&](const std::string&, int v) {
            seen += v;
            return true;
        });
        CHECK_EQ(seen, 4);
        map.clear();
        gort::semaphore sem{3};
        CHECK(!sem.acquire(gort::ctx::background(), 2));
        CHECK(!sem.try_acquire(2));
        sem.release(2);
        gort::err_group group;
        group.set_limit(2);
        group.go([] { return std::error_code{}; });
        group.go([] { return std::make_error_code(std::errc::io_error); });
        CHECK(group.wait() == std::errc::io_error);
    });
}

TEST(contexts) {
    gort::run([] {
        namespace ctx = gort::ctx;
        CHECK(!ctx::background().done());
        CHECK(!ctx::todo().err());
        CHECK(!ctx::background().deadline());
        auto [c, cancel] = ctx::with_cancel(ctx::background());
        ctx::context v = ctx::with_value(c, request_id, std::string("r1"));
        CHECK_EQ(*v.value(request_id), "r1");
        CHECK(c.value(request_id) == nullptr);
        auto told = gort::make_chan<int>(1);
        auto stop = ctx::after_func(v, [told] { told << 1; });
        ctx::context free = ctx::without_cancel(v);
        auto again = cancel;
        cancel();
        again();
        CHECK_EQ(told.recv(), 1);
        CHECK(!stop());
        v.done().recv();
        CHECK(v.err() == ctx::errc::canceled);
        CHECK_EQ(v.err().message(), "context canceled");
        CHECK(!free.err());
        auto [d, cancel_d] = ctx::with_timeout(ctx::background(), 1ms);
        CHECK(d.deadline().has_value());
        d.done().recv();
        CHECK(d.err() == ctx::errc::deadline_exceeded);
        CHECK_EQ(d.err().message(), "context deadline exceeded");
        cancel_d();
        auto [e, cancel_e] = ctx::with_cancel_cause(ctx::background());
        cancel_e(std::make_error_code(std::errc::io_error));
        CHECK(ctx::cause(e) == std::errc::io_error);
        CHECK(e.err() == ctx::errc::canceled);
        auto [g, cancel_g] = ctx::with_deadline(ctx::background(), std::chrono::steady_clock::now() + 1h);
        cancel_g();
        auto [h, cancel_h] =
            ctx::with_timeout_cause(ctx::background(), 1ms, std::make_error_code(std::errc::io_error));
        h.done().recv();
        CHECK(ctx::cause(h) == std::errc::io_error);
        cancel_h();
        CHECK_EQ(panic_text([] { (void)ctx::with_cancel(ctx::context{}); }),
                 "cannot create context from nil parent");
    });
}

TEST_P(network, 1, 2) {
    gort::options o;
    o.max_procs = procs;
    gort::run(
        [] {
            namespace net = gort::net;
            auto l = net::listen("127.0.0.1:0").value();
            gort::wait_group server;
            server.go([&l] {
                auto c = l.accept().value();
                char b[16];
                for (;;) {
                    const auto n = c.read(b);
                    if (n.value() == 0) break;
                    c.write({b, n.value()}).value();
                }
                c.close();
            });
            auto c = net::dial("127.0.0.1:" + std::to_string(l.port())).value();
            char b[5];
            c.set_deadline(std::chrono::steady_clock::now() + 1ms);
            CHECK(c.read(b).error() == std::errc::timed_out);
            c.set_deadline({});
            const std::string hello = "hello";
            CHECK_EQ(c.write(hello).value(), 5);
            CHECK_EQ(c.read_full(b).value(), 5);
            CHECK_EQ(std::string(b, 5), hello);
            c.close_write().value();
            CHECK_EQ(c.read(b).value(), 0);
            server.wait();
            c.close();
            l.close();
            CHECK(!l.accept());
            CHECK(!net::dial("127.0.0.1:99999"));
            try {
                net::dial("nowhere").value();
                CHECK(false);
            } catch (const std::system_error&) {
            }
            int p[2];
            CHECK_EQ(::pipe(p), 0);
            {
                net::fd r(p[0]);
                auto written = gort::make_chan<bool>();
                gort::go([w = p[1], written] {
                    const char x = 'x';
                    written << (::write(w, &x, 1) == 1);
                });
                CHECK(bool(r.wait_readable()));
                r.close();
                CHECK(written.recv());
            }
            ::close(p[1]);
        },
        o);
}

}  // namespace
