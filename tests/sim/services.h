// tests/sim/services.h - the same kinds of bugs as programs really have them: in classes, behind destructors and
// exceptions, in what is captured by reference, in the larger parts of gort.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <deque>
#include <map>

#include "tests/sim/corpus.h"

namespace gort::corpus {

// ---- locks

// A method of the base class locks, and what the derived class does in it asks another such method, if there is reason.
template <bool right>
void override_asks_a_locking_method() {
    struct Replica {
        mutable std::conditional_t<right, recursive_mutex, mutex> mu;
        bool stale = false;
        virtual ~Replica() = default;
        virtual int apply(int command) = 0;
        int propose(int command) {
            std::scoped_lock lock(mu);
            return apply(command);
        }
        bool is_stale() const {
            std::scoped_lock lock(mu);
            return stale;
        }
        void gossip() {
            std::scoped_lock lock(mu);
            stale = true;
        }
    };
    struct Ledger : Replica {
        int apply(int command) override { return this->stale && this->is_stale() ? 0 : command; }
    };
    Ledger ledger;
    wait_group wg;
    wg.go([&] { ledger.gossip(); });
    for (int i = 1; i <= 2; ++i) wg.go([&, i] { ledger.propose(i); });
    wg.wait();
}

// The index and the rows are locked in one order to write and in the other one to read.
template <bool right>
void index_and_rows() {
    struct Table {
        rw_mutex index, rows;
        std::map<int, int> at;
        std::deque<int> data;
        void insert(int key, int value) {
            std::unique_lock a(index);
            at[key] = static_cast<int>(data.size());
            std::unique_lock b(rows);
            data.push_back(value);
        }
        int sum() {
            std::shared_lock<rw_mutex> a(right ? index : rows), b(right ? rows : index);
            int n = 0;
            for (auto [key, i] : at) n += data[static_cast<size_t>(i)];
            return n;
        }
    };
    Table table;
    wait_group wg;
    wg.go([&] {
        table.insert(1, 1);
        table.insert(2, 2);
    });
    wg.go([&] { table.sum(); });
    wg.wait();
}

// A reader that calls a reader; the writer is a timer's function.
template <bool right>
void reader_calls_a_reader() {
    struct Settings {
        rw_mutex mu;
        int limit = 1, burst = 2;
        int allowed() {
            std::shared_lock lock(mu);
            if (right) lock.unlock();
            return limit + burst_now();
        }
        int burst_now() {
            std::shared_lock lock(mu);
            return burst;
        }
    };
    auto s = std::make_shared<Settings>();
    auto reloaded = make_chan<unit>();
    timer reload = after_func(10ms, [=] {
        std::unique_lock lock(s->mu);
        s->burst = 3;
        lock.unlock();
        reloaded.close();
    });
    for (int i = 0; i < 4; ++i) {
        sleep(5ms);
        s->allowed();
    }
    reloaded.recv();
}

// An exception leaves the lock locked.
template <bool right>
void exception_past_the_unlock() {
    struct Account {
        mutex mu;
        int money = 1;
        void take() {
            if (right) {
                std::lock_guard lock(mu);
                pay();
                return;
            }
            mu.lock();
            pay();
            mu.unlock();
        }
        void pay() {
            if (money == 0) throw std::runtime_error("no money");
            --money;
        }
    };
    Account account;
    wait_group wg;
    for (int i = 0; i < 3; ++i)
        wg.go([&] {
            try {
                account.take();
            } catch (const std::runtime_error&) {
            }
        });
    wg.wait();
}

// Units of a semaphore: who gives up does not give back what it has got already.
template <bool right>
void permits_of_who_gives_up() {
    semaphore memory(2);
    wait_group wg;
    for (int i = 0; i < 2; ++i)
        wg.go([&] {
            for (int tries = 0; tries < 3; ++tries) {
                auto [c, cancel] = ctx::with_timeout(ctx::background(), 10ms);
                defer end{[&, cancel = cancel] { cancel(); }};
                if (memory.acquire(c)) continue;
                sleep(1ms);
                if (!memory.acquire(c)) {
                    memory.release(2);
                    return;
                }
                if (right) memory.release();
            }
        });
    wg.wait();
    sim::check(memory.try_acquire(2), "a unit is lost");
}

// ---- channels and whoever waits for them

// The group waits for its functions before anybody reads what they send.
template <bool right>
void group_waits_before_the_reader() {
    err_group g{ctx::background()};
    g.set_limit(3);
    auto found = make_chan<int>(1);
    for (int i = 0; i < 2; ++i)
        g.go([=, &g]() -> std::error_code {
            if (i == 1 && g.context().err()) return g.context().err();
            found << i;
            return {};
        });
    if (right) {
        found.recv();
        (void)g.wait();
        return;
    }
    int first = -1;
    if (found.try_recv(first) != recv_result::ok) (void)first;
    (void)g.wait();
}

// The last worker out closes the results; "last" is a look at a counter.
template <bool right>
void closed_by_the_last_worker() {
    struct Crew {
        atomic_value<int> busy{2};
        chan<int> results = make_chan<int>(4);
        void work(int i) {
            results << i;
            if (right) {
                for (int n = *busy.load();; n = *busy.load())
                    if (busy.compare_and_swap(n, n - 1)) {
                        if (n == 1) results.close();
                        return;
                    }
            }
            busy.store(*busy.load() - 1);
            if (*busy.load() == 0) results.close();
        }
    };
    auto crew = std::make_shared<Crew>();
    for (int i = 0; i < 2; ++i) go([=] { crew->work(i); });
    int n = 0;
    for (int r : crew->results) n += r >= 0;
    sim::check(n == 2, "a result is missing");
}

// The destructor says stop and waits, but the loop sends to somebody who has stopped reading for that.
template <bool right>
void destructor_waits_for_the_loop() {
    class Tail {
    public:
        Tail() {
            wg_.go([this] {
                for (int line = 0; line < 100; ++line) {
                    if (right) {
                        if (select(on_send(lines_, line), on_recv(stop_)) == 1) return;
                        continue;
                    }
                    if (select(on_recv(stop_), otherwise()) == 0) return;
                    lines_ << line;
                }
            });
        }
        ~Tail() {
            stop_.close();
            wg_.wait();
        }
        int next() { return lines_.recv(); }

    private:
        wait_group wg_;
        chan<int> lines_ = make_chan<int>();
        chan<unit> stop_ = make_chan<unit>();
    };
    Tail tail;
    tail.next();
    tail.next();
}

// A list of cases, made at run time: the one that ends is not taken out, and is chosen for ever or counted twice.
template <bool right>
void dynamic_select_counts_an_end_twice() {
    std::vector<chan<int>> from{make_chan<int>(1), make_chan<int>(1)};
    for (auto& c : from)
        go([c] {
            c << 1;
            c.close();
        });
    int ended = 0, sum = 0;
    std::vector<chan<int>> open = from;
    while (ended < 2) {
        int v = 0;
        bool ok = false;
        std::vector<select_case> cases;
        for (auto& c : open) cases.push_back(on_recv(c, v, ok));
        const int i = select_any(cases);
        sum += v;
        if (ok) continue;
        ++ended;
        if (right) open[static_cast<size_t>(i)] = nullptr;
    }
    sim::check(sum == 2, "an end is counted twice");
}

// What was promised is kept by the one of two that was faster, and then by the other one.
template <bool right>
void promise_kept_twice() {
    auto answer = std::make_shared<promise<int>>();
    auto first = std::make_shared<once>();
    auto result = answer->get_future();
    for (int i = 0; i < 2; ++i)
        go([=] {
            sleep(1ms);
            if (right) first->call([&] { answer->set_value(i); });
            else answer->set_value(i);
        });
    result.get();
}

// A worker gives up, and nobody who waits for its result is told.
template <bool right>
void future_that_waits_for_a_channel() {
    auto input = make_chan<int>();
    future<int> sum = async([=] {
        int n = 0;
        for (int v : input) n += v;
        return n;
    });
    auto feeder = async([=] {
        for (int i = 0; i < 4; ++i)
            if (input.push_for(i, 1ms) != channel_status::ok) {
                if (right) input.close();
                return;
            } else if (i == 2 && sim::random(2)) {
                sleep(1ms);
                if (!right) return;
            }
        input.close();
    });
    sum.get();
    feeder.get();
}

// ---- conditions and counters

// std's form: the flag is set without the lock, between the look at it and the sleep.
template <bool right>
void flag_set_beside_the_lock() {
    struct Gate {
        mutex mu;
        condition_variable opened;
        bool open = false;
    };
    Gate gate;
    wait_group wg;
    wg.go([&] {
        std::unique_lock lock(gate.mu);
        gate.opened.wait(lock, [&] {
            const bool open = gate.open;
            sim::point();
            return open;
        });
    });
    wg.go([&] {
        std::unique_lock lock(gate.mu, std::defer_lock);
        if (right) lock.lock();
        gate.open = true;
        gate.opened.notify_one();
    });
    wg.wait();
}

// Two kinds of waiters and notify_one, with a time limit that hides it most of the time.
template <bool right>
void notified_who_has_given_up() {
    struct Slots {
        mutex mu;
        condition_variable freed;
        int free = 0;
        bool take(std::chrono::nanoseconds limit) {
            std::unique_lock lock(mu);
            if (limit == 0s) freed.wait(lock, [&] { return free > 0; });
            else if (freed.wait_for(lock, limit) == std::cv_status::timeout && (right || free == 0))
                return false;
            if (free == 0) return false;
            // Woken, but no longer interested: the wake-up was another one's.
            if (limit != 0s) {
                if (right) freed.notify_one();
                return false;
            }
            --free;
            return true;
        }
        void give() {
            std::lock_guard lock(mu);
            ++free;
            freed.notify_one();
        }
    };
    Slots slots;
    wait_group wg;
    wg.go([&] { slots.take(5ms); });
    wg.go([&] { slots.take(0s); });
    wg.go([&] { slots.give(); });
    wg.wait();
}

// Counted down at the end of the work only, and there is another way out.
template <bool right>
void latch_and_goexit() {
    latch ready(2);
    auto go_wrong = std::make_shared<atomic_value<bool>>(false);
    for (int i = 0; i < 2; ++i)
        go([&ready, go_wrong] {
            defer arrives{[&] {
                if (right) ready.count_down();
            }};
            if (*go_wrong->load()) goexit();
            go_wrong->store(true);
            if (!right) ready.count_down();
        });
    ready.wait();
}

// The number that are to come together changes while they wait.
template <bool right>
void barrier_without_the_one_that_left() {
    barrier<> round(2);
    auto failed = std::make_shared<atomic_value<bool>>(false);
    wait_group wg;
    for (int i = 0; i < 2; ++i)
        wg.go([&, i] {
            round.arrive_and_wait();
            if (i == 0) failed->store(true);
            else if (*failed->load()) {
                if (right) round.arrive_and_drop();
                return;
            }
            round.arrive_and_wait();
        });
    wg.wait();
}

}  // namespace gort::corpus
