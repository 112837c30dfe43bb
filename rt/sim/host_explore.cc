// rt/sim/host_explore.cc - explore, replay and test: run after run, until one fails; and what is made of that one.
// SPDX-License-Identifier: BSD-2-Clause
//
// A SCHEDULE, as text, is "v1" and, for each decision that was not the default one, ",AT=CHOSEN": the number of the
// decision, counted from the one before, and the candidate. "v1,12=1,40=2". "v1n" stands for options.leaks = false.
//
// SHORTENING: deviations are left out in ever smaller groups (ddmin) as long as the run fails in the same way. They are
// found again by who made them at which of its steps (Sketch), since numbers shift; what such a run really did is then
// written down anew. Fewer preemptions are better, then fewer deviations.
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "kernel/clock.h"
#include "kernel/env.h"
#include "kernel/rand.h"
#include "rt/panic.h"
#include "rt/sim/strategy.h"

namespace gort::sim {

namespace {

constexpr uint64_t kTwiceEvery = 64;          // runs: one of so many is run twice
constexpr int kMostTries = 400;               // runs for shortening
constexpr int64_t kMostTime = 3'000'000'000;  // the same, of real time

struct How {
    strategy how = strategy::random;
    int depth = 3;
};
How g_last;  // of this process's last explore

std::unique_ptr<Strategy> make(How h, uint64_t length) {
    switch (h.how) {
    case strategy::pct: return std::make_unique<Pct>(h.depth, length);
    case strategy::exhaustive: return std::make_unique<Exhaustive>(h.depth);
    default: return std::make_unique<Random>();
    }
}

std::string schedule_text(const std::vector<Deviation>& d, bool leaks) {
    std::string s = leaks ? "v1" : "v1n";
    uint64_t before = 0;
    for (const Deviation& one : d) {
        s += "," + std::to_string(one.at - before) + "=" + std::to_string(one.chosen);
        before = one.at;
    }
    return s;
}

bool read_number(std::string_view* s, uint64_t* n) {
    size_t i = 0;
    *n = 0;
    for (; i < s->size() && (*s)[i] >= '0' && (*s)[i] <= '9'; ++i)
        if (__builtin_mul_overflow(*n, 10u, n) ||
            __builtin_add_overflow(*n, static_cast<uint64_t>((*s)[i] - '0'), n))
            return false;
    s->remove_prefix(i);
    return i > 0;
}

bool take_word(std::string_view* s, std::string_view word) {
    if (s->substr(0, word.size()) != word) return false;
    s->remove_prefix(word.size());
    return true;
}

// What is to be run: a script, or a seed of a strategy.
struct Wanted {
    bool script = false, leaks = true;
    std::vector<Deviation> deviations;
    How how;
    uint64_t seed = 0;
};

// False: it is neither.
bool parse(std::string_view s, How last, Wanted* w) {
    w->how = last;
    if (take_word(&s, "v1")) {
        w->script = true;
        w->leaks = !take_word(&s, "n");
        uint64_t at = 0, chosen = 0, step = 0;
        while (take_word(&s, ",")) {
            if (!read_number(&s, &step) || !take_word(&s, "=") || !read_number(&s, &chosen)) return false;
            at += step;
            w->deviations.push_back({at, static_cast<uint32_t>(chosen), 0, 0, 0});
        }
        return s.empty();
    }
    const bool random = take_word(&s, "random:");
    if (!random && take_word(&s, "pct:")) {
        w->how.how = strategy::pct;
        uint64_t depth = 0;
        if (!read_number(&s, &depth) || !take_word(&s, ":")) return false;
        w->how.depth = static_cast<int>(depth);
    } else if (random || w->how.how == strategy::exhaustive) {
        w->how.how = strategy::random;
    }
    return read_number(&s, &w->seed) && s.empty();
}

constexpr const char* kAccepted =
    "accepted: a seed (1234, random:1234, pct:3:1234) or the schedule of a result (v1,12=1,40=2)";

std::string_view kind_of(std::string_view what) { return what.substr(0, what.find(':')); }

struct Test {
    Engine& engine;
    void (*fn)(void*);
    void* arg;
    Limits limits;
    const Outcome& run(Strategy& s, uint64_t seed, Recorder* r = nullptr) {
        return engine.run(fn, arg, s, seed, limits, r);
    }
    // How long are its runs, for pct? The same for every call, or a seed would not be enough to repeat one.
    uint64_t length(How h) {
        if (h.how != strategy::pct) return 0;
        Script in_order({});
        return run(in_order, 0).decisions;
    }
};

bool better(const Outcome& a, const Outcome& b) {
    if (a.preemptions != b.preemptions) return a.preemptions < b.preemptions;
    if (a.deviations.size() != b.deviations.size()) return a.deviations.size() < b.deviations.size();
    return a.steps < b.steps;
}

void shorten(Test& t, Outcome* best) {
    const int64_t end = kernel::nanotime() + kMostTime;
    int tries = 0;
    const std::string kind(kind_of(best->what));
    auto try_with = [&](const std::vector<Deviation>& d) {
        ++tries;
        Sketch s(d);
        const Outcome& o = t.run(s, 0);
        if (!o.failed || kind_of(o.what) != kind || !better(o, *best)) return false;
        *best = o;
        return true;
    };
    if (try_with({})) return;
    size_t part = (best->deviations.size() + 1) / 2;
    while (part > 0 && tries < kMostTries && kernel::nanotime() < end) {
        bool any = false;
        for (size_t at = 0; at < best->deviations.size() && tries < kMostTries;) {
            std::vector<Deviation> without = best->deviations;
            const auto from = without.begin() + static_cast<std::ptrdiff_t>(at);
            without.erase(from, from + static_cast<std::ptrdiff_t>(std::min(part, without.size() - at)));
            if (try_with(without)) any = true;  // the next part has moved here
            else at += part;
        }
        if (part == 1 && !any) break;
        if (part > 1) part = part / 2;
    }
}

void write_down(Test& t, const Outcome& o, result* r) {
    r->failed = true;
    r->what = o.what;
    r->schedule = schedule_text(o.deviations, t.limits.leaks);
    Recorder recorder;
    Script script(o.deviations);
    const Outcome& again = t.run(script, 0, &recorder);
    r->trace = recorder.text(kStart);
    if (again.failed && again.what == o.what) return;
    if (kind_of(o.what) != "not deterministic") {
        r->what = "not deterministic: a run failed (" + o.what + "), its repetition " +
                  (again.failed ? "did otherwise (" + again.what + ")" : "did not");
    }
}

[[noreturn]] void bad_variable(const char* text) {
    std::fprintf(stderr, "GORT_SIM=%s: neither a seed nor a schedule; %s\n", text, kAccepted);
    std::exit(2);
}

void print(const result& r, const char* of) {
    std::fprintf(stderr, "gort::sim: %s: %s\n%s", of, r.failed ? r.what.c_str() : "the run does not fail",
                 r.trace.c_str());
}

result run_wanted(Test& t, const Wanted& w) {
    t.limits.leaks = t.limits.leaks && w.leaks;
    result r;
    r.runs = 1;
    r.seed = w.seed;
    Recorder recorder;
    Outcome o;
    if (w.script) {
        Script s(w.deviations);
        o = t.run(s, 0, &recorder);
    } else {
        const auto s = make(w.how, t.length(w.how));
        o = t.run(*s, w.seed, &recorder);
    }
    r.failed = o.failed;
    r.what = o.what;
    r.schedule = schedule_text(o.deviations, t.limits.leaks);
    r.trace = recorder.text(kStart);
    return r;
}

std::string difference(Test& t, Strategy& s, uint64_t seed) {
    Recorder a, b;
    t.run(s, seed, &a);
    t.run(s, seed, &b);
    const std::string x = a.text(kStart), y = b.text(kStart);
    size_t from = 0;
    for (;;) {
        const size_t ex = x.find('\n', from), ey = y.find('\n', from);
        if (ex == std::string::npos || ey == std::string::npos) break;
        if (x.compare(from, ex - from, y, from, ey - from) != 0)
            return "seed " + std::to_string(seed) + " has led to \"" + x.substr(from, ex - from) +
                   "\" and to \"" + y.substr(from, ey - from) + "\"";
        from = ex + 1;
    }
    return "seed " + std::to_string(seed) + " has led to two different runs";
}

}  // namespace

namespace detail {

result explore(const options& o, void (*fn)(void*), void* arg) {
    if (o.depth < 0) panic("sim::explore: options.depth is negative");
    if (o.how == strategy::pct && o.depth < 1) panic("sim::explore: options.depth of pct is less than 1");
    if (o.budget.count() < 0) panic("sim::explore: options.budget is negative");
    Engine engine;
    g_last = {o.how, o.depth};
    Test t{engine, fn, arg, {}};
    t.limits.max_steps = o.max_steps;
    t.limits.leaks = o.leaks;
    if (const char* text = kernel::env_get_to_show("GORT_SIM"); text && *text) {
        Wanted w;
        if (!parse(text, g_last, &w)) bad_variable(text);
        result r = run_wanted(t, w);
        print(r, text);
        return r;
    }
    result r;
    const uint64_t first = o.seed ? o.seed : kernel::random_seed() % 1'000'000'000 + 1;
    const int64_t until = o.budget.count() ? kernel::nanotime() + o.budget.count() : INT64_MAX;
    const uint64_t length = t.length(g_last);
    const auto s = make(g_last, length);
    for (uint64_t i = 0; i < o.runs; ++i) {
        if (i > 0 && o.budget.count() && kernel::nanotime() >= until) break;
        const uint64_t seed = first + i;
        const Outcome* now = &t.run(*s, seed);
        ++r.runs;
        Outcome out;
        if (now->failed || i % kTwiceEvery == 0) out = *now;
        if (i % kTwiceEvery == 0 && (!out.failed || kind_of(out.what) != "not deterministic") &&
            o.how != strategy::exhaustive) {
            if (t.run(*s, seed).hash != out.hash) {
                r.failed = true;
                r.seed = seed;
                r.what = "not deterministic: " + difference(t, *s, seed);
                return r;
            }
        }
        if (out.failed) {
            r.seed = seed;
            if (o.shorten && kind_of(out.what) != "not deterministic") shorten(t, &out);
            write_down(t, out, &r);
            return r;
        }
        if (!s->again()) {
            r.complete = true;
            break;
        }
    }
    return r;
}

result replay(std::string_view text, void (*fn)(void*), void* arg) {
    Wanted w;
    if (!parse(text, g_last, &w))
        panic("sim::replay: \"" + std::string(text) + "\" is neither a seed nor a schedule; " + kAccepted);
    Engine engine;
    Test t{engine, fn, arg, {}};
    return run_wanted(t, w);
}

void test(void (*fn)(void*), void* arg) {
    std::string what;
    {
        Engine engine;
        Limits limits;
        limits.after = -1;
        InOrder s;
        what = engine.run(fn, arg, s, kernel::random_seed(), limits).what;
    }
    if (!what.empty()) panic(what);
}

}  // namespace detail

namespace {

Engine& engine_of_caller(const char* otherwise) {
    if (!g_engine) panic(otherwise);
    return *g_engine;
}

}  // namespace

void wait() { engine_of_caller("goroutine is not in a bubble").wait(); }

void check(bool condition, std::string_view text) {
    if (condition) [[likely]]
        return;
    if (!g_engine) panic("check: " + std::string(text));
    g_engine->fail("check: " + std::string(text));
}

void point() {
    if (g_engine) g_engine->point();
}

bool active() { return g_engine != nullptr; }

uint64_t random(uint64_t n) { return engine_of_caller("sim::random: not in a simulation").random(n); }

time_point now() {
    return time_point(std::chrono::nanoseconds(g_engine ? g_engine->now() : kernel::nanotime()));
}

}  // namespace gort::sim
