// tests/stop_test.cc - what threads of the program's own wait for when the runtime is stopped, and afterwards.
// SPDX-License-Identifier: BSD-2-Clause
#include <mutex>
#include <thread>
#include <vector>

#include "chan/chan.h"
#include "chan/select.h"
#include "rt/sync/cond.h"
#include "rt/sync/mutex.h"
#include "rt/sync/wait_group.h"
#include "tests/net_test.h"

using namespace gort;
using namespace gort::net_test;
using sched_test::panic_of;
using sched_test::procs_of;

namespace {

// Things to wait for, for ever.
struct Things {
    chan<int> empty = make_chan<int>(), none, full = make_chan<int>(1);
    chan<std::string> text = make_chan<std::string>();
    wait_group group;
    mutex lock;
    cond changed{lock};

    Things() {
        full << 1;
        group.add(1);
    }
    ~Things() { group.done(); }
};

struct Wait {
    const char* what;
    void (*wait)(Things& t);
};
const Wait kWaits[] = {
    {"chan receive", [](Things& t) { t.empty.recv(); }},
    {"chan receive", [](Things& t) { t.text.recv(); }},
    {"chan receive",
     [](Things& t) {
         for (int v : t.empty) (void)v;
     }},
    {"chan receive (nil chan)", [](Things& t) { t.none.recv(); }},
    {"chan send", [](Things& t) { t.empty << 1; }},
    {"chan send", [](Things& t) { t.full << 2; }},
    {"chan send", [](Things& t) { t.text << std::string("a long text, which is still the sender's"); }},
    {"chan send (nil chan)", [](Things& t) { t.none << 1; }},
    {"select",
     [](Things& t) { select(on_recv(t.empty), on_send(t.full, 2), on_recv(t.text), on_recv(t.empty)); }},
    {"select (no cases)", [](Things&) { select(); }},
    {"sync.WaitGroup.Wait", [](Things& t) { t.group.wait(); }},
    {"sync.Cond.Wait",
     [](Things& t) {
         std::lock_guard guard(t.lock);
         t.changed.wait();
     }},
};
std::string said(const Wait& w) {
    return std::string(w.what) + ": the runtime has been stopped (by gort::stop)";
}

// Foreign threads that wait; for one reason, when it is given. The reason is a guess.
[[gnu::noinline, gnu::no_sanitize_thread]] int waiting_threads(rt::WaitReason why = rt::WaitReason::kNone) {
    kernel::LockGuard guard(rt::sched.lock);
    int n = 0;
    for (const rt::M* mp = rt::sched.allm; mp; mp = mp->next_all)
        n += mp->foreign && mp->pseudo.status.load() == rt::GStatus::kWaiting &&
             (why == rt::WaitReason::kNone || mp->pseudo.wait_reason == why);
    return n;
}

}  // namespace

TEST_P(waits_that_begin_after_stop_are_panics, 1, 2) {
    gort::start(procs_of(procs));
    Things t;
    gort::stop();
    for (const Wait& w : kWaits) {
        CHECK_EQ(panic_of([&] { w.wait(t); }), said(w));
        std::thread other([&] { CHECK_EQ(panic_of([&] { w.wait(t); }), said(w)); });
        other.join();
    }
    // Nobody is left in any queue, and what need not wait goes on.
    CHECK_EQ(t.full.recv(), 1);
    t.full << 3;
    int v = 0;
    CHECK(t.empty.try_recv(v) == recv_result::empty);
    CHECK(!t.empty.try_send(1));
    t.changed.broadcast();
    t.lock.lock();
    t.lock.unlock();
    t.empty.close();
    CHECK_EQ(t.empty.recv(), 0);
}

TEST_P(stop_ends_the_waits_of_threads, 1, 2, 8) {
    for (int round = 0; round < 20 / test::slow() + 1; ++round) {
        gort::start(procs_of(procs));
        constexpr size_t kEach = std::size(kWaits);
        Things things[kEach];
        std::vector<std::thread> threads;
        for (size_t i = 0; i < kEach; ++i)
            threads.emplace_back(
                [&things, i] { CHECK_EQ(panic_of([&] { kWaits[i].wait(things[i]); }), said(kWaits[i])); });
        EVENTUALLY(waiting_threads() == int(kEach));
        gort::stop();
        for (auto& one : threads) one.join();
        for (Things& t : things) {
            CHECK_EQ(t.full.recv(), 1);
            CHECK(!t.empty.try_send(1));
            t.changed.signal();
            t.lock.lock();
            t.lock.unlock();
        }
    }
}

// Who waits for a condition leaves with its lock held, so it may have to wait once more: as often as it takes.
TEST_P(a_condition_given_up_waits_for_its_lock, 1, 2) {
    gort::start(procs_of(procs));
    mutex lock;
    cond changed(lock);
    std::string text;
    std::thread waiter([&] {
        lock.lock();
        text = panic_of([&] { changed.wait(); });
        lock.unlock();
    });
    EVENTUALLY(waiting_threads() == 1);
    lock.lock();
    gort::stop();
    EVENTUALLY(waiting_threads(rt::WaitReason::kMutexLock) == 1);
    lock.unlock();
    waiter.join();
    CHECK_EQ(text, "sync.Cond.Wait: the runtime has been stopped (by gort::stop)");
}

// While the stop comes others send, close, count down and signal: each wait ends once, by the one or the other.
TEST_P(a_wake_meets_the_stop, 1, 2, 8) {
    for (int round = 0; round < 200 / test::slow(); ++round) {
        gort::start(procs_of(procs));
        auto a = make_chan<int>(), b = make_chan<int>();
        wait_group group;
        group.add(1);
        mutex lock;
        cond changed(lock);
        bool set = false;
        std::atomic<int> ends{0}, got{0};
        std::thread threads[] = {
            std::thread([&] {
                panic_of([&] {
                    a.recv();
                    ++got;
                });
                ++ends;
            }),
            std::thread([&] {
                panic_of([&] {
                    select(on_recv(a), on_recv(b));
                    ++got;
                });
                ++ends;
            }),
            std::thread([&] {
                panic_of([&] { group.wait(); });
                ++ends;
            }),
            std::thread([&] {
                panic_of([&] {
                    std::lock_guard guard(lock);
                    while (!set) changed.wait();
                });
                ++ends;
            }),
        };
        EVENTUALLY(waiting_threads() == 4);
        int sent = 0;
        std::thread waker([&] {
            for (uint64_t n = test::rnd() % 30000; n > 0; --n) __asm__ volatile("");
            sent += a.try_send(1);
            sent += b.try_send(1);
            group.done();
            std::lock_guard guard(lock);
            set = true;
            changed.broadcast();
        });
        gort::stop();
        waker.join();
        for (auto& one : threads) one.join();
        CHECK_EQ(ends.load(), 4);
        CHECK_EQ(got.load(), sent);
        CHECK(!a.try_send(1) && !b.try_send(1));
    }
}

// Locks are the threads' own affair.
TEST(a_lock_is_waited_for_after_stop) {
    gort::start();
    yield();
    gort::stop();
    mutex m;
    m.lock();
    std::atomic<bool> has{false};
    std::thread other([&] {
        m.lock();
        has = true;
        m.unlock();
    });
    EVENTUALLY(waiting_threads() == 1);
    CHECK(!has);
    m.unlock();
    other.join();
    CHECK(has.load());
}

// Before the first run, after a run(), and from one run to the next threads wait on.
TEST_P(other_ends_of_runs_end_no_waits, 1, 2) {
    auto c = make_chan<int>();
    std::atomic<int> sum{0};
    std::thread other([&] {
        for (int v : c) sum += v;
    });
    EVENTUALLY(waiting_threads() == 1);
    for (int i = 1; i <= 3; ++i) {
        sched_test::with_procs(procs, [&] { c << i; });
        EVENTUALLY(sum == i * (i + 1) / 2 && waiting_threads() == 1);
    }
    c.close();
    other.join();
    gort::start(procs_of(procs));
    gort::stop();
    sched_test::with_procs(procs, [&] {  // a run has begun again
        auto d = make_chan<int>();
        std::thread late([d] { d << 7; });
        CHECK_EQ(d.recv(), 7);
        late.join();
    });
}
