// tests/sim/kernels_order.h - programs that do not stop but go wrong: orders, plain variables, use after the end.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "tests/sim/corpus.h"

namespace gort::corpus {

// All goroutines see the loop's one variable.
template <bool right>
void loop_variable() {
    auto seen = std::make_shared<std::array<int, 3>>();
    auto variable = std::make_shared<int>(0);
    wait_group wg;
    for (int& i = *variable; i < 3; ++i) {
        auto mine = std::make_shared<int>(i);
        wg.go([=] { ++(*seen)[static_cast<size_t>(right ? *mine : std::min(*variable, 2))]; });
    }
    wg.wait();
    sim::check((*seen)[0] == 1 && (*seen)[1] == 1, "one was left out");
}

// One error variable for the caller and for what it has started.
template <bool right>
void error_variable_of_two() {
    auto error = std::make_shared<int>(0);
    auto done = make_chan<unit>();
    go([=] {
        auto mine = right ? std::make_shared<int>(0) : error;
        *mine = 5;
        sim::point();
        done.close();
    });
    *error = 0;
    sim::point();
    const bool failed = *error != 0;
    done.recv();
    sim::check(!failed, "somebody else's error");
}

// Two that write into a map which nobody guards.
template <bool right>
void map_of_two_writers() {
    struct Map {
        mutex mu;
        int inside = 0;
        void put() {
            sim::check(++inside == 1, "two write at once");
            sim::point();
            --inside;
        }
    };
    auto map = std::make_shared<Map>();
    wait_group wg;
    for (int i = 0; i < 2; ++i)
        wg.go([=] {
            std::unique_lock lock(map->mu, std::defer_lock);
            if (right || i == 0) lock.lock();
            map->put();
        });
    wg.wait();
}

// Close sets the channel to nil that the loop reads from the object.
template <bool right>
void stop_channel_that_becomes_nil() {
    struct Server {
        chan<unit> stop = make_chan<unit>();
        chan<int> work = make_chan<int>();
    };
    auto s = std::make_shared<Server>();
    auto gone = make_chan<unit>();
    go([=] {
        const auto stop = s->stop;
        for (;;) {
            sim::point();
            if (select(on_recv(right ? stop : s->stop), on_recv(s->work)) == 0) break;
        }
        gone.close();
    });
    s->work << 1;
    s->stop.close();
    s->stop = nullptr;
    gone.recv();
}

// A flag says whether it was started; two look before either sets it.
template <bool right>
void started_by_a_flag() {
    auto started = std::make_shared<std::atomic<bool>>(false);
    auto starts = std::make_shared<std::atomic<int>>(0);
    wait_group wg;
    for (int i = 0; i < 2; ++i)
        wg.go([=] {
            sim::point();
            if (right) {
                if (started->exchange(true)) return;
            } else {
                if (started->load()) return;
                sim::point();
                started->store(true);
            }
            ++*starts;
        });
    wg.wait();
    sim::check(*starts == 1, "started twice");
}

// An atomic is read, changed and written in two steps.
template <bool right>
void atomic_in_two_steps() {
    auto limits = std::make_shared<atomic_value<int>>();
    limits->store(0);
    wait_group wg;
    for (int i = 0; i < 2; ++i)
        wg.go([=] {
            for (;;) {
                const int old = *limits->load();
                if (!right) limits->store(old + 1);
                else if (!limits->compare_and_swap(old, old + 1)) continue;
                return;
            }
        });
    wg.wait();
    sim::check(*limits->load() == 2, "a change is lost");
}

// Looks whether the key is there, and then stores it.
template <bool right>
void key_looked_up_and_stored() {
    auto map = std::make_shared<sync_map<int, int>>();
    auto made = std::make_shared<int>(0);
    wait_group wg;
    for (int i = 0; i < 2; ++i)
        wg.go([=] {
            if (right) {
                if (!map->load_or_store(1, i).second) ++*made;
                return;
            }
            if (map->load(1)) return;
            map->store(1, i);
            ++*made;
        });
    wg.wait();
    sim::check(*made == 1, "made twice");
}

// A buffer goes back to be used by others before its writer is through with it.
template <bool right>
void buffer_given_back_too_early() {
    auto buffer = std::make_shared<int>(0);
    auto free = make_chan<std::shared_ptr<int>>(1);
    auto flushed = make_chan<unit>();
    go([=] {
        *buffer = 1;
        sim::point();
        *buffer = 2;
        flushed.close();
    });
    if (right) flushed.recv();
    free << buffer;
    auto mine = free.recv();
    *mine = 7;
    sim::point();
    sim::check(*mine == 7, "written to by two");
    flushed.recv();
}

// Done before the last write.
template <bool right>
void done_first() {
    auto result = std::make_shared<int>(0);
    auto wg = std::make_shared<wait_group>();
    wg->add(1);
    go([=] {
        if (right) *result = 1;
        wg->done();
        *result = 1;
    });
    wg->wait();
    sim::check(*result == 1, "no result");
}

// A request is taken on after the stop has looked who is there.
template <bool right>
void request_after_the_stop() {
    struct Server {
        mutex mu;
        bool stopped = false;
        wait_group requests;
        bool closed = false;
    };
    auto s = std::make_shared<Server>();
    wait_group all;
    all.go([=] {
        {
            std::unique_lock lock(s->mu);
            if (s->stopped) return;
            if (!right) lock.unlock();
            s->requests.add(1);
        }
        sim::point();
        sim::check(!s->closed, "a request on a closed server");
        s->requests.done();
    });
    all.go([=] {
        {
            std::lock_guard lock(s->mu);
            s->stopped = true;
        }
        s->requests.wait();
        s->closed = true;
    });
    all.wait();
}

// Looks whether the stream is closed, and then sends.
template <bool right>
void looks_and_sends() {
    auto frames = make_chan<int>(4);
    auto closed = make_chan<unit>();
    wait_group wg;
    for (int i = 0; i < 2; ++i)
        wg.go([=] {
            if (select(on_recv(closed), otherwise()) == 0) return;
            frames << i;
        });
    wg.go([=] {
        closed.close();
        if (!right) frames.close();
    });
    wg.wait();
}

// Whoever brings the state to its end closes the channel; two may think that it was they.
template <bool right>
void end_of_state_seen_by_two() {
    struct Stream {
        mutex mu;
        int state = 0;
        chan<unit> done = make_chan<unit>();
    };
    auto s = std::make_shared<Stream>();
    wait_group wg;
    for (int i = 0; i < 2; ++i)
        wg.go([=] {
            std::unique_lock lock(s->mu);
            const bool first = s->state == 0;
            if (right) s->state = 2;
            lock.unlock();
            if (!first) return;
            lock.lock();
            s->state = 2;
            lock.unlock();
            s->done.close();
        });
    wg.wait();
    s->done.recv();
}

// Two halves of a pair, each atomic, read one after the other.
template <bool right>
void torn_pair() {
    struct Pair {
        std::atomic<int> a{0}, b{0};
        mutex mu;
    };
    auto p = std::make_shared<Pair>();
    wait_group wg;
    wg.go([=] {
        std::unique_lock lock(p->mu, std::defer_lock);
        if (right) lock.lock();
        p->a = 1;
        sim::point();
        p->b = 1;
    });
    wg.go([=] {
        std::unique_lock lock(p->mu, std::defer_lock);
        if (right) lock.lock();
        sim::point();
        const int a = p->a, b = p->b;
        sim::check(a == b, "half a pair");
    });
    wg.wait();
}

// The error is asked for before the end that it belongs to.
template <bool right>
void error_asked_too_early() {
    auto [c, cancel] = ctx::with_cancel(ctx::background());
    auto done = make_chan<int>(1);
    go([=, c = c] {
        if (right) c.done().recv();
        done << (c.err() ? 1 : 0);
    });
    go([cancel = cancel] { cancel(); });
    sim::check(done.recv() == 1, "no error");
}

// The same connection comes back to its pool from the reader's end and from the writer's.
template <bool right>
void given_back_twice() {
    auto idle = make_chan<int>(4);
    auto broken = std::make_shared<std::atomic<int>>(0);
    auto mu = std::make_shared<mutex>();
    wait_group wg;
    for (int i = 0; i < 2; ++i)
        wg.go([=] {
            std::unique_lock lock(*mu, std::defer_lock);
            if (right) lock.lock();
            const int before = *broken;
            sim::point();
            *broken = before + 1;
            if (before == 0) idle << 1;
        });
    wg.wait();
    sim::check(idle.len() == 1, "the pool has it twice");
}

}  // namespace gort::corpus
