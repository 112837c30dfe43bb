// tests/sim/lifetimes.h - bugs of services (services.h) in what is used too early, too late or by two at once, and at
// the two ends of a connection.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "tests/sim/corpus.h"

namespace gort::corpus {

// ---- order, and what is not for two

// The goroutine uses what the constructor sets after it has started it.
template <bool right>
void started_in_the_constructor() {
    struct Cache {
        std::unique_ptr<int> store;
        chan<int> first = make_chan<int>(1);
        Cache() {
            if (right) store = std::make_unique<int>(7);
            go([this] {
                sim::point();
                sim::check(store != nullptr, "nothing is there yet");
                first << *store;
            });
            sim::point();
            if (!right) store = std::make_unique<int>(7);
        }
    };
    Cache cache;
    cache.first.recv();
}

// A test's own object is told something when the test is over.
template <bool right>
void report_after_the_test() {
    struct Test {
        bool over = false;
        void log() { sim::check(!over, "log after the test"); }
    };
    auto t = std::make_shared<Test>();
    auto [c, cancel] = ctx::with_timeout(ctx::background(), 5ms);
    wait_group wg;
    wg.go([=, c = c] {
        auto beat = ticker(2ms);
        while (select(on_recv(beat.c()), on_recv(c.done())) == 0) t->log();
    });
    sleep(4ms);
    cancel();
    if (right) wg.wait();
    t->over = true;
    wg.wait();
}

// Two that renew share one variable for the context, and one sees the other one's.
template <bool right>
void context_variable_of_two() {
    struct Session {
        mutex mu;
        ctx::context c;
        ctx::cancel_func end;
        void renew() {
            std::unique_lock lock(mu, std::defer_lock);
            if (right) lock.lock();
            sim::point();
            if (end) end();
            auto [fresh, cancel] = ctx::with_cancel(ctx::background());
            c = fresh;
            sim::point();
            end = cancel;
            sim::point();
            sim::check(!c.err(), "the fresh one is over");
        }
    };
    auto s = std::make_shared<Session>();
    wait_group wg;
    for (int i = 0; i < 2; ++i) wg.go([=] { s->renew(); });
    wg.wait();
}

// The timer is stopped, and what it protects is taken away; its function may have begun.
template <bool right>
void taken_away_under_the_timers_hands() {
    struct Lease {
        mutex mu;
        bool gone = false;
        void renew() {
            std::lock_guard lock(mu);
            if (right && gone) return;
            sim::check(!gone, "a lease that is gone is renewed");
        }
    };
    auto lease = std::make_shared<Lease>();
    timer t = after_func(10ms, [=] { lease->renew(); });
    sleep(10ms);
    t.stop();
    std::lock_guard lock(lease->mu);
    lease->gone = true;
}

// An object goes back to the pool while somebody still uses it.
template <bool right>
void pooled_and_still_used() {
    pool<std::unique_ptr<int>> free;
    wait_group wg;
    auto use = [&](int me) {
        std::unique_ptr<int> mine = free.try_get().value_or(nullptr);
        if (!mine) mine = std::make_unique<int>(0);
        int* at = mine.get();
        *at = me;
        if (!right) free.put(std::move(mine));
        sim::point();
        sim::check(*at == me, "somebody else's");
        if (right) free.put(std::move(mine));
    };
    for (int i = 1; i <= 2; ++i) wg.go([&, i] { use(i); });
    wg.wait();
}

// Who shares a flight takes the result for its own.
template <bool right>
void shared_result_changed() {
    single_flight<int, std::shared_ptr<std::vector<int>>> load;
    wait_group wg;
    for (int i = 0; i < 2; ++i)
        wg.go([&] {
            auto r = load.call(1, [] {
                yield();
                return std::make_shared<std::vector<int>>();
            });
            auto list = right ? std::make_shared<std::vector<int>>(*r.value) : r.value;
            list->push_back(1);
            sim::check(list->size() == 1, "somebody else's entry");
        });
    wg.wait();
}

// ---- the network

// The client waits for the end of the answer, the server for the end of the question.
template <bool right>
void both_wait_for_the_end() {
    auto l = net::listen("127.0.0.1:700").value();
    wait_group wg;
    wg.go([=] {
        auto c = l.accept().value();
        std::string question;
        char buf[8];
        while (auto n = c.read({buf, sizeof buf})) question.append(buf, *n);
        (void)c.write(question);
        (void)c.close();
    });
    auto c = net::dial("127.0.0.1:700").value();
    (void)c.write(std::string("what?"));
    if (right) (void)c.close_write();
    char buf[8];
    while (c.read({buf, sizeof buf})) {
    }
    wg.wait();
}

// One read is taken for one write; the link cuts where it likes.
template <bool right>
void one_read_for_one_write() {
    sim::network::all({.latency = 1ms, .partial = true});
    auto l = net::listen("127.0.0.1:701").value();
    go([=] {
        auto c = l.accept().value();
        (void)c.write(std::string("length=12345"));
        (void)c.close();
    });
    auto c = net::dial("127.0.0.1:701").value();
    char buf[12];
    size_t n = 0;
    if (right) n = c.read_full(std::span(buf)) ? sizeof buf : 0;
    else if (auto got = c.read({buf, sizeof buf})) n = *got;
    sim::check(n == sizeof buf, "half a message");
}

// The listener is closed, and a connection that was accepted at that moment is nobody's.
template <bool right>
void accepted_at_the_end() {
    struct Server {
        net::listener l = net::listen("127.0.0.1:702").value();
        mutex mu;
        std::vector<net::conn> all;
        bool closed = false;
        wait_group wg;
        void serve() {
            while (auto c = l.accept()) {
                net::conn mine = *c;
                {
                    std::lock_guard lock(mu);
                    if (right && closed) {
                        (void)mine.close();
                        continue;
                    }
                    all.push_back(mine);
                }
                wg.go([mine] {
                    char b;
                    while (mine.read({&b, 1})) {
                    }
                });
            }
        }
        void close() {
            std::lock_guard lock(mu);
            closed = true;
            (void)l.close();
            for (auto& c : all) (void)c.close();
        }
    };
    Server server;
    wait_group accepting;
    accepting.go([&] { server.serve(); });
    auto c = net::dial("127.0.0.1:702").value();
    server.close();
    accepting.wait();
    server.wg.wait();
}

}  // namespace gort::corpus
