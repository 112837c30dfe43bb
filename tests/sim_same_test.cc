// tests/sim_same_test.cc - the same seed, the same run: in every build, by every compiler, on both CPUs.
// SPDX-License-Identifier: BSD-2-Clause
//
// The schedules of many runs and what happens in them are hashed, and the hashes stand here. A change of what is a
// scheduling point, or of what a strategy draws, changes them in all builds alike: the test prints the new ones. What
// may never happen is that one build has others than the rest.
#include <shared_mutex>

#include "gort.h"
#include "rt/net/netpoll.h"
#include "rt/sim.h"
#include "tests/test.h"

using namespace gort;
using namespace std::chrono_literals;

namespace {

static const bool fds = test::ledger_fds([] { return static_cast<long>(rt::poll_own_fds()); });

void channels_and_locks() {
    auto c = make_chan<int>(1);
    auto stop = make_chan<unit>();
    auto mu = std::make_shared<mutex>();
    auto rw = std::make_shared<rw_mutex>();
    auto changed = std::make_shared<cond>(*mu);
    auto n = std::make_shared<int>(0);
    wait_group wg;
    wg.go([=] {
        for (int i = 0; i < 3; ++i)
            if (select(on_send(c, i), on_recv(stop)) == 1) return;
        c.close();
    });
    wg.go([=] {
        for (int v : c) {
            std::lock_guard lock(*mu);
            *n += v;
            changed->signal();
        }
        std::unique_lock lock(*rw);
        stop.close();
    });
    wg.go([=] {
        std::unique_lock lock(*mu);
        while (*n < 3) changed->wait();
        lock.unlock();
        std::shared_lock reads(*rw);
    });
    wg.wait();
}

void time_and_contexts() {
    auto [c, cancel] = ctx::with_timeout(ctx::background(), 10ms);
    auto [below, end] = ctx::with_cancel(c);
    auto beats = std::make_shared<ticker>(4ms);
    auto late = make_chan<int>(1);
    timer t = after_func(8ms, [=] { late.try_send(1); });
    wait_group wg;
    for (int i = 0; i < 3; ++i)
        wg.go([=, below = below] {
            int v;
            while (select(on_recv(beats->c()), on_recv(below.done()), on_recv(late, v)) != 1) yield();
        });
    sleep(std::chrono::milliseconds(6 + sim::random(5)));
    if (t.stop()) end();
    wg.wait();
    cancel();
}

void other_parts() {
    semaphore units(2);
    latch three(3);
    auto first = std::make_shared<once>();
    sync_map<int, int> map;
    auto sum = async([&] {
        int n = 0;
        for (int i = 0; i < 3; ++i) {
            units.acquire();
            n += map.load_or_store(i, i).first;
            units.release();
        }
        return n;
    });
    for (int i = 0; i < 3; ++i)
        go([&, i] {
            if (units.try_acquire(2)) units.release(2);
            first->call([&] { map.store(1, i); });
            three.count_down();
        });
    three.wait();
    sum.get();
}

void network() {
    sim::network::all({.latency = 1ms, .jitter = 2ms, .loss = 0.2, .partial = true});
    auto l = net::listen("127.0.0.1:80").value();
    wait_group wg;
    wg.go([=] {
        auto c = l.accept().value();
        char buf[3];
        while (auto n = c.read({buf, sizeof buf})) (void)c.write(std::string(buf, *n));
        (void)c.close();
    });
    wg.go([] {
        auto socket = net::listen_udp("127.0.0.1:53").value();
        (void)socket.set_read_deadline(sim::now() + 20ms);
        char buf[4];
        while (socket.read_from({buf, sizeof buf})) yield();
    });
    wg.go([] {
        auto socket = net::listen_udp("127.0.0.1:0").value();
        const auto where = net::resolve("udp", "127.0.0.1:53").value().front();
        for (int i = 0; i < 4; ++i) (void)socket.write_to({"data", 4}, where);
    });
    auto c = net::dial("127.0.0.1:80").value();
    (void)c.write(std::string("there and back"));
    (void)c.close_write();
    char buf[5];
    while (c.read({buf, sizeof buf})) yield();
    wg.wait();
}

struct Same {
    const char* name;
    void (*program)();
    uint64_t hash;
};
constexpr Same kAll[] = {
    {"channels_and_locks", channels_and_locks, 0x2866ee9cea78d576},
    {"time_and_contexts", time_and_contexts, 0x03a9a9ea4b6e689d},
    {"other_parts", other_parts, 0x10ff33cfcc6bce22},
    {"network", network, 0x988d731ede02a41e},
};

// A trace without what depends on how much a compiler inlines: the names and places of operations, and those points
// that nothing has come of.
std::string essence_of(const std::string& trace) {
    std::string out;
    for (size_t at = 0, end; at < trace.size(); at = end + 1) {
        end = trace.find('\n', at);
        std::string line = trace.substr(at, end - at);
        if (const size_t site = line.find(" ("); site != line.npos)
            line.erase(site, line.find(')', site) - site + 1);
        auto says = [&](const char* text) { return line.find(text) != line.npos; };
        const size_t what = line.find(": "), result = line.find(" -> ");
        if (says("is left [")) {
            line.erase(line.find(']') + 1);
        } else if (says("goroutine") && !says(": created") && !says(": ends") && !says(": FAILED") &&
                   !says("a timer fires")) {
            if (result == line.npos) continue;
            line.erase(what, result - what);
        }
        out += line + '\n';
    }
    return out;
}

uint64_t hash_of(const Same& s, std::string* trace) {
    uint64_t h = 0xcbf29ce484222325;  // FNV-1a
    for (auto how : {sim::strategy::random, sim::strategy::pct})
        for (uint64_t seed = 1; seed <= 8; ++seed) {
            const auto r = sim::explore({.seed = seed, .runs = 1, .how = how, .shorten = false}, [&] {
                s.program();
                sim::check(false, "the end");
            });
            CHECK_EQ(r.what, "check: the end");
            *trace = essence_of(r.trace);
            for (const char c : r.schedule + '\n' + *trace)
                h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3;
        }
    return h;
}

TEST(SIM_same_seed_same_trace_in_every_build) {
    TEST_TIMEOUT(120);
    bool same = true;
    for (const Same& s : kAll) {
        std::string last;
        const uint64_t h = hash_of(s, &last);
        if (h != s.hash)
            std::fprintf(stderr, "%s: 0x%016llx, the last trace:\n%s", s.name,
                         static_cast<unsigned long long>(h), last.c_str());
        same = same && h == s.hash;
    }
    CHECK(same);
}

}  // namespace

// Asked by ASan's runtime: what a simulated run abandons is never destroyed, as in Go.
extern "C" const char* __lsan_default_options();
extern "C" const char* __lsan_default_options() { return "detect_leaks=0"; }
