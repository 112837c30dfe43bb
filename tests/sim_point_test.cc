// tests/sim_point_test.cc - where others may go first: before each operation that they can notice, and after one that
// has woken somebody.
// SPDX-License-Identifier: BSD-2-Clause
#include "gort.h"
#include "rt/sim.h"
#include "tests/test.h"

using namespace gort;
using namespace std::chrono_literals;

namespace {

struct Objects {
    chan<int> empty = make_chan<int>(1), full = make_chan<int>(1), closed = make_chan<int>();
    mutex free, locked;
    rw_mutex rw, written;
    wait_group one, none;
    once first;
    cond condition{free};
    latch gate{1};
    semaphore units{2};
    atomic_value<int> value{1};
    sync_map<int, int> map;
    timer later{1h};
    std::pair<ctx::context, ctx::cancel_func> context = [] {
        auto [c, cancel] = ctx::with_cancel(ctx::background());
        return std::pair<ctx::context, ctx::cancel_func>(c, cancel);
    }();
    Objects() {
        full << 1;
        closed.close();
        locked.lock();
        written.lock();
        one.add(1);
    }
};

struct Operation {
    const char* name;
    void (*does)(Objects&);
};

// A once that is done is not among them: that never changes any more.
constexpr Operation kOperations[] = {
    {"send", [](Objects& o) { o.empty << 1; }},
    {"receive", [](Objects& o) { o.full.recv(); }},
    {"receive from a closed channel", [](Objects& o) { o.closed.recv(); }},
    {"try_send", [](Objects& o) { o.empty.try_send(1); }},
    {"try_send, full", [](Objects& o) { o.full.try_send(1); }},
    {"try_recv",
     [](Objects& o) {
         int v;
         o.full.try_recv(v);
     }},
    {"try_recv, empty",
     [](Objects& o) {
         int v;
         o.empty.try_recv(v);
     }},
    {"len", [](Objects& o) { (void)o.empty.len(); }},
    {"close", [](Objects& o) { o.empty.close(); }},
    {"select", [](Objects& o) { select(on_recv(o.full), on_recv(o.empty)); }},
    {"select otherwise", [](Objects& o) { select(on_recv(o.empty), otherwise()); }},
    {"lock", [](Objects& o) { o.free.lock(); }},
    {"unlock", [](Objects& o) { o.locked.unlock(); }},
    {"try_lock", [](Objects& o) { (void)o.free.try_lock(); }},
    {"try_lock, locked", [](Objects& o) { (void)o.locked.try_lock(); }},
    {"rw lock", [](Objects& o) { o.rw.lock(); }},
    {"rw unlock", [](Objects& o) { o.written.unlock(); }},
    {"rw try_lock", [](Objects& o) { (void)o.rw.try_lock(); }},
    {"lock_shared", [](Objects& o) { o.rw.lock_shared(); }},
    {"try_lock_shared", [](Objects& o) { (void)o.rw.try_lock_shared(); }},
    {"add", [](Objects& o) { o.none.add(1); }},
    {"done", [](Objects& o) { o.one.done(); }},
    {"wait for nobody", [](Objects& o) { o.none.wait(); }},
    {"once", [](Objects& o) { o.first.call([] {}); }},
    {"signal", [](Objects& o) { o.condition.signal(); }},
    {"broadcast", [](Objects& o) { o.condition.broadcast(); }},
    {"count_down", [](Objects& o) { o.gate.count_down(); }},
    {"latch try_wait", [](Objects& o) { (void)o.gate.try_wait(); }},
    {"semaphore try_acquire", [](Objects& o) { (void)o.units.try_acquire(1); }},
    {"semaphore acquire", [](Objects& o) { (void)o.units.acquire(ctx::background(), 1); }},
    {"atomic_value load", [](Objects& o) { (void)o.value.load(); }},
    {"atomic_value store", [](Objects& o) { o.value.store(2); }},
    {"sync_map load", [](Objects& o) { (void)o.map.load(1); }},
    {"sync_map store", [](Objects& o) { o.map.store(1, 1); }},
    {"timer stop", [](Objects& o) { o.later.stop(); }},
    {"timer reset", [](Objects& o) { o.later.reset(1h); }},
    {"cancel", [](Objects& o) { o.context.second(); }},
    {"err", [](Objects& o) { (void)o.context.first.err(); }},
    {"go", [](Objects&) { go([] {}); }},
    {"yield", [](Objects&) { yield(); }},
    {"point", [](Objects&) { sim::point(); }},
};

TEST(SIM_others_may_go_before_each_operation) {
    std::string missed;
    for (const Operation& op : kOperations) {
        bool seen = false;
        const auto r = sim::explore({.seed = 1, .runs = 200, .leaks = false}, [&] {
            auto o = std::make_shared<Objects>();
            auto phase = std::make_shared<int>(0);
            go([=, &seen] { seen = seen || *phase == 1; });
            go([=] {
                *phase = 1;
                op.does(*o);
                *phase = 2;
            });
            sleep(1s);
        });
        if (r.failed) missed += std::string(" ") + op.name + " (" + r.what + ")";
        if (!seen) missed += std::string(" ") + op.name;
    }
    CHECK_EQ(missed, "");
}

// What wakes, and who is woken by it: plain variables written after it are not there yet for the woken one.
struct Waking {
    const char* name;
    void (*wakes)(Objects&);
    void (*waits)(Objects&);
};

constexpr Waking kWakings[] = {
    {"send", [](Objects& o) { o.empty << 1; }, [](Objects& o) { o.empty.recv(); }},
    {"receive", [](Objects& o) { o.full.recv(); }, [](Objects& o) { o.full << 1; }},
    {"close", [](Objects& o) { o.empty.close(); }, [](Objects& o) { o.empty.recv(); }},
    {"close, seen by a look", [](Objects& o) { o.empty.close(); },
     [](Objects& o) {
         while (select(on_recv(o.empty), otherwise()) != 0) yield();
     }},
    {"select", [](Objects& o) { select(on_send(o.empty, 1), on_recv(o.empty)); },
     [](Objects& o) { o.empty.recv(); }},
    {"unlock", [](Objects& o) { o.locked.unlock(); }, [](Objects& o) { o.locked.lock(); }},
    {"done", [](Objects& o) { o.one.done(); }, [](Objects& o) { o.one.wait(); }},
    {"count_down", [](Objects& o) { o.gate.count_down(); }, [](Objects& o) { o.gate.wait(); }},
    {"cancel", [](Objects& o) { o.context.second(); }, [](Objects& o) { o.context.first.done().recv(); }},
    {"cancel, seen by a look", [](Objects& o) { o.context.second(); },
     [](Objects& o) {
         while (!o.context.first.err()) yield();
     }},
    {"broadcast", [](Objects& o) { o.condition.broadcast(); },
     [](Objects& o) {
         std::lock_guard lock(o.free);
         o.condition.wait();
     }},
};

TEST(SIM_others_may_go_after_what_has_woken_them) {
    std::string missed;
    for (const Waking& w : kWakings) {
        bool seen = false;
        const auto r = sim::explore({.seed = 1, .runs = 200, .leaks = false}, [&] {
            auto o = std::make_shared<Objects>();
            auto written = std::make_shared<bool>(false);
            go([=, &seen] {
                w.waits(*o);
                seen = seen || !*written;
            });
            go([=] {
                w.wakes(*o);
                *written = true;
            });
            sleep(1s);
        });
        if (r.failed) missed += std::string(" ") + w.name + " (" + r.what + ")";
        if (!seen) missed += std::string(" ") + w.name;
    }
    CHECK_EQ(missed, "");
}

}  // namespace

// Asked by ASan's runtime: what a simulated run abandons is never destroyed, as in Go.
extern "C" const char* __lsan_default_options();
extern "C" const char* __lsan_default_options() { return "detect_leaks=0"; }
