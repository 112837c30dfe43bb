// tests/timers_fuzz_test.cc - rt/timers against a plain model, operation by operation; and against itself, by threads.
// SPDX-License-Identifier: BSD-2-Clause
#include <pthread.h>

#include <map>
#include <memory>
#include <vector>

#include "kernel/membarrier.h"
#include "rt/time/timers.h"
#include "rt/time/wheel.h"
#include "tests/test.h"

namespace rt = gort::rt;
using rt::Timer;
using rt::Timers;

namespace {

struct Random {  // a thread's own
    uint64_t s;
    uint64_t next() { return gort::test::mix(s += 0x9e3779b97f4a7c15); }
    uint64_t below(uint64_t n) { return next() % n; }
    // Any order of magnitude up to 2^bits.
    int64_t scaled(unsigned bits) { return int64_t(next() >> 1 >> (62 - below(bits))); }
};

// --- the model: pending timers by when, then by order of starting

struct Subject : Timer {
    int id = 0;
    bool pending = false;
    uint64_t setting = 0;  // its seq
};
struct Model {
    std::map<std::pair<int64_t, uint64_t>, Subject*> pending;
    std::map<Subject*, std::pair<int64_t, uint64_t>> keys;
    uint64_t order = 0;

    void add(Subject* s, int64_t when) {
        keys[s] = {when < 0 ? 0 : when, order++};
        pending[keys[s]] = s;
    }
    void drop(Subject* s) {
        pending.erase(keys[s]);
        keys.erase(s);
    }
    bool has(Subject* s) const { return keys.count(s) != 0; }
};

struct Fuzz {
    Timers ts;
    Model model;
    std::vector<std::unique_ptr<Subject>> subjects;
    int64_t now = int64_t{1} << 43;
    uint64_t fires = 0;
    uint64_t stops = 0;
    uint64_t vain_looks = 0;
};
Fuzz* f;

int64_t multiple_after(int64_t when, int64_t period, int64_t now) {
    while (when <= now) {
        if (when > INT64_MAX - period) return INT64_MAX;
        const int64_t skip = (now - when) / period;  // at least one step, then all that are certainly late
        when += period * (skip > 0 ? skip : 1);
    }
    return when;
}

// The next one to fire is the model's first: any other is a failure at once.
void fired(Timer* t, int64_t now, uint64_t) {
    auto* s = static_cast<Subject*>(t);
    CHECK(!f->model.pending.empty());
    const auto first = f->model.pending.begin();
    CHECK_EQ(first->second, s);
    CHECK_LE(first->first.first, now);
    const int64_t when = first->first.first;
    f->model.drop(s);
    if (s->period > 0) f->model.add(s, multiple_after(when, s->period, now));
    ++f->fires;
}

void step(Random& random) {
    Subject* s = f->subjects[random.below(f->subjects.size())].get();
    const bool pending = f->model.has(s);
    const unsigned bits = random.below(50) == 0 ? 61 : 36;
    int64_t when = f->now + random.scaled(bits) - (random.below(8) ? 0 : random.scaled(24));
    if (random.below(4) == 0 && !f->model.pending.empty())  // what others have, to meet equal whens
        when = f->model.pending.lower_bound({when, 0}) == f->model.pending.end()
                   ? f->model.pending.begin()->first.first
                   : f->model.pending.lower_bound({when, 0})->first.first;
    const int64_t period = random.below(f->subjects.size() / 4 + 5) ? 0 : 1 + random.scaled(34);
    switch (random.below(10)) {
    case 0:
    case 1:
    case 2:
        if (pending) break;
        s->when = when;
        s->period = period;
        s->fn = fired;
        {
            const int64_t next = f->ts.next_when;
            CHECK_EQ(rt::timer_start(&f->ts, s), (when < 0 ? 0 : when) < next);
        }
        f->model.add(s, when);
        break;
    case 3:
    case 4:
        CHECK_EQ(rt::timer_stop(s), pending);
        if (pending) f->model.drop(s);
        ++f->stops;
        if (random.below(4) == 0) {  // a new object in its place
            std::memset(static_cast<void*>(s), 0xdb, sizeof *s);
            for (auto& owner : f->subjects)
                if (owner.get() == s) owner = std::make_unique<Subject>();
        }
        break;
    case 5:
    case 6:
        if (!s->fn) s->fn = fired;
        CHECK_EQ(rt::timer_reset(&f->ts, s, when, period), pending);
        if (pending) f->model.drop(s);
        f->model.add(s, when);
        ++f->stops;
        break;
    case 7: {  // a little later, or earlier
        f->now += random.below(10) ? random.scaled(22) : -random.scaled(10);
        rt::timers_run(&f->ts, f->now);
        break;
    }
    case 8:
        if (random.below(20)) break;
        f->now += random.scaled(40);
        rt::timers_run(&f->ts, f->now);
        break;
    case 9:
        if (random.below(200) == 0 && f->ts.wheel) f->ts.wheel = rt::wheel_trim_slow(f->ts.wheel);
        // Sleep until it wants to be run, as the scheduler does.
        if (f->ts.next_when - f->now < int64_t{1} << 50) {
            f->now = std::max<int64_t>(f->now, f->ts.next_when);
            rt::timers_run(&f->ts, f->now);
        }
        break;
    }
    CHECK_EQ(f->ts.count, f->model.pending.size());
    if (!f->model.pending.empty()) CHECK_LE(f->ts.next_when, f->model.pending.begin()->first.first);
}

// After a run nothing is due, and waking when it asks for it leads to the next firing soon, not in ever smaller steps.
void settle() {
    rt::timers_run(&f->ts, f->now);
    if (!f->model.pending.empty()) CHECK_LT(f->now, f->model.pending.begin()->first.first);
    const uint64_t before = f->fires;
    while (f->fires == before && !f->model.pending.empty()) {
        const int64_t first = f->model.pending.begin()->first.first;
        if (first == INT64_MAX) return;
        CHECK_LT(f->now, f->ts.next_when);
        f->now = f->ts.next_when;
        rt::timers_run(&f->ts, f->now);
        if (f->fires == before) CHECK_LE(++f->vain_looks, f->stops);  // each is the trace of a stop
    }
}

void fuzz(size_t timers, int steps) {
    Random random{gort::test::rnd()};
    auto owner = std::make_unique<Fuzz>();
    f = owner.get();
    for (size_t i = 0; i < timers; ++i) f->subjects.push_back(std::make_unique<Subject>());
    for (int i = 0; i < steps; ++i) {
        step(random);
        if (f->now > int64_t{1} << 60) break;
        if (random.below(500) == 0) settle();
    }
    for (auto& s : f->subjects) {
        CHECK_EQ(rt::timer_stop(s.get()), f->model.has(s.get()));
        if (f->model.has(s.get())) f->model.drop(s.get());
    }
    CHECK_EQ(f->ts.count, 0);
    rt::timers_clear(&f->ts);
}

}  // namespace

TEST(tm31_model_few_timers) {
    for (int i = 0; i < 40; ++i) fuzz(1 + gort::test::rnd() % 20, 4000);
}
TEST(tm31_model_many_timers) {
    for (int i = 0; i < 4; ++i) fuzz(5000, 60000);
}
TEST_STRESS(model_long) {
    for (int i = 0; i < 400; ++i) fuzz(1 + gort::test::rnd() % 3000, 60000);
}

// --- threads

namespace {

constexpr int kHeaps = 3;
constexpr int kShared = 40;

// Every setting ends exactly once: it fires (as often as a runner took it), or a stop or reset says true.
struct Arena {
    Timers heaps[kHeaps];
    Timer shared[kShared];
    std::atomic<int64_t> clock{int64_t{1} << 43};
    std::atomic<long> set{0}, fires{0}, ended{0};
    std::atomic<bool> stop{false};
};
Arena* arena;

struct Mine {  // on a thread's stack, reused the moment a stop was true or fn is done
    Timer t;
    std::atomic<int> done{0};
};

void* work(void* seed) {
    Random random{reinterpret_cast<uintptr_t>(seed)};
    Arena* a = arena;
    const int steps = gort::test::stress() ? 200000 : 20000;
    for (int i = 0; i < steps; ++i) {
        const int64_t now = a->clock.fetch_add(int64_t(random.below(3000)));
        Timers* home = &a->heaps[random.below(kHeaps)];
        Timer* t = &a->shared[random.below(kShared)];
        switch (random.below(6)) {
        case 0:
        case 1:
            if (rt::timer_reset(home, t, now + random.scaled(22), 0)) ++a->ended;
            ++a->set;
            break;
        case 2:
            if (rt::timer_stop(t)) ++a->ended;
            break;
        case 3: {
            Mine m;
            m.t.when = now + random.scaled(16);
            m.t.fn = [](Timer* timer, int64_t, uint64_t) {
                reinterpret_cast<Mine*>(timer)->done.store(1, std::memory_order_release);
            };
            rt::timer_start(home, &m.t);
            if (random.below(2)) rt::timers_run(home, now);
            if (rt::timer_stop(&m.t)) {
                CHECK_EQ(m.done, 0);
            } else {
                while (!m.done.load(std::memory_order_acquire)) sched_yield();
            }
            std::memset(static_cast<void*>(&m), 0xdb, sizeof m);
            break;
        }
        case 4: rt::timers_run(home, now); break;
        case 5:
            if (random.below(100) == 0) {
                Timers* to = &a->heaps[random.below(kHeaps)];
                if (to != home) rt::timers_move(home, to);
            }
            break;
        }
    }
    return nullptr;
}

}  // namespace

TEST(tm32_threads) {
    gort::kernel::membarrier_init();
    auto owner = std::make_unique<Arena>();
    arena = owner.get();
    for (Timer& t : arena->shared) t.fn = [](Timer*, int64_t, uint64_t) { ++arena->fires; };
    pthread_t threads[4];
    for (pthread_t& thread : threads)
        pthread_create(&thread, nullptr, work, reinterpret_cast<void*>(gort::test::rnd()));
    for (pthread_t thread : threads) pthread_join(thread, nullptr);
    for (Timers& ts : arena->heaps) rt::timers_run(&ts, INT64_MAX);
    for (Timers& ts : arena->heaps) CHECK_EQ(ts.count, 0);
    CHECK_EQ(arena->set.load(), arena->fires.load() + arena->ended.load());
    CHECK_LE(100, arena->fires.load());
    for (Timers& ts : arena->heaps) rt::timers_clear(&ts);
}

// One timer that one thread sets and runs while others stop and reset it.
TEST(tm32_one_timer_many_hands) {
    gort::kernel::membarrier_init();
    auto owner = std::make_unique<Arena>();
    arena = owner.get();
    arena->shared[0].fn = [](Timer*, int64_t, uint64_t) { ++arena->fires; };
    static const auto body = [](void* role) -> void* {
        Arena* a = arena;
        Timer* t = &a->shared[0];
        for (int i = 0; i < (gort::test::stress() ? 1000000 : 100000); ++i) {
            Timers* home = &a->heaps[i & 1];
            if (role) {
                if (rt::timer_stop(t)) ++a->ended;
                continue;
            }
            if (rt::timer_reset(home, t, 1, 0)) ++a->ended;
            ++a->set;
            rt::timers_run(home, 1);
        }
        return nullptr;
    };
    pthread_t threads[3];
    for (pthread_t& thread : threads)
        pthread_create(&thread, nullptr, body, &thread == threads ? owner.get() : nullptr);
    for (pthread_t thread : threads) pthread_join(thread, nullptr);
    for (Timers& ts : arena->heaps) rt::timers_run(&ts, 1);
    for (Timers& ts : arena->heaps) CHECK_EQ(ts.count, 0);
    CHECK_EQ(arena->set.load(), arena->fires.load() + arena->ended.load());
    for (Timers& ts : arena->heaps) rt::timers_clear(&ts);
}
