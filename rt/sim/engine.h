// rt/sim/engine.h - one run of a test under the simulation: who runs when, what time it is, how it ended.
// SPDX-License-Identifier: BSD-2-Clause
//
// The engine owns the only M and the only P. Its loop runs on g0 (the stack of the thread that called explore); tasks,
// the goroutines of the run, are executed from there and come back whenever they block, end or give way. Where a
// scheduling point decides for the task itself, nothing is switched.
// Whatever is not determined is asked of a Strategy: a decision is a list of candidates, of which the first is the
// default: the task that runs, if it can go on; else the one that has waited longest.
// Context: the thread of the simulation.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernel/rand.h"
#include "rt/own/g.h"
#include "rt/sim.h"
#include "rt/sim/net.h"
#include "rt/base/sim_seam.h"
#include "rt/sim/trace.h"

namespace gort::rt {
struct P;
struct Timer;
}  // namespace gort::rt

namespace gort::sim {

// A goroutine of the run.
struct Task {
    rt::G* g = nullptr;               // null: it has ended
    uint64_t id = 0;                  // goid
    Site site;                        // created by
    uint32_t steps = 0;               // scheduling points it has come to
    uint64_t priority = 0;            // Pct's
    void (*invoke)(void*) = nullptr;  // what the goroutine does
    bool ending = false;              // it has done it
    bool at_point = false;            // and another one's turn
    int host = 0;                     // rt/sim/net
};

inline constexpr int64_t kStart = 946'684'800'000'000'000;  // of every run's clock: 2000-01-01 00:00:00 UTC
inline constexpr uint32_t kTimer = 0x8000'0000;  // a candidate that is a timer which is due: with its number
inline constexpr uint32_t kNobody = 0xffff'ffff;

// Who goes on? n >= 2.
struct Decision {
    const uint32_t* candidates;  // the task, if it goes on; timers that are due; others
    uint32_t n;
    uint32_t task;   // who has come here; kNobody: it has ended, or time has passed
    uint32_t step;   // of that task
    bool goes_on;    // candidates[0] is that task, and could go on
    bool gives_way;  // it yields, or has run for very long
    bool tired;      // the latter: it is the last candidate, and better not chosen
};

// A step of a task lasts from one of its points, or from where it has waited, to the next one.
enum class Step : uint8_t {
    kOperation,   // begins with one; which objects it uses touches() tells
    kGoesOn,      // after a point that no operation begins with, or after a wait
    kEverything,  // may use anything
};

class Strategy {
public:
    virtual ~Strategy() = default;
    virtual bool reduces() const { return false; }  // asks for the next two
    virtual void step(uint32_t /*task*/, Step) {}   // begins
    virtual void touches(const void* /*object*/) {
    }                                         // null: this step, though it has begun with an operation,
                                              // uses nothing that others do
    virtual void wakes(uint32_t /*task*/) {}  // by the present step: it can run
    virtual void begin(uint64_t seed) = 0;    // of a run
    virtual void born(Task&) {}
    virtual uint32_t choose(const Decision& d) = 0;  // index of a candidate
    virtual uint32_t chance(uint32_t n) = 0;         // of the runtime, below n; n >= 2
    virtual bool again() { return true; }            // false: nothing is left to be tried
};

// What was decided, where it was not the default.
struct Deviation {
    uint64_t at;      // number of the decision in its run
    uint32_t chosen;  // index of the candidate, or the result of chance
    // to find the place in a run that differs:
    uint32_t task, step;  // who was asked, at which of its steps
    uint32_t target;      // candidate; kNobody: a chance
};

struct Outcome {
    bool failed = false;
    std::string what;
    uint64_t steps = 0, decisions = 0, preemptions = 0;
    uint64_t hash = 0;  // of everything that happened
    std::vector<Deviation> deviations;
};

struct Limits {
    uint64_t max_steps = 1'000'000;
    bool leaks = true;
    // of virtual time, for goroutines that are left when the test returns; negative: none passes
    int64_t after = 60'000'000'000;
    uint64_t steps_after = 10'000;  // and so many points
};

class Engine {
public:
    Engine();  // the runtime is up; throws if it cannot be
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    // One run of fn(arg). trace: also writes down what happens.
    const Outcome& run(void (*fn)(void*), void* arg, Strategy& s, uint64_t seed, const Limits& limits,
                       Recorder* trace = nullptr);

    // --- of the run, for what it calls
    void fail(std::string what);  // [a task] the run has failed; never returns
    void point();
    void wait();
    void takes(rt::M* mp, gort::detail::Owner& o);
    void touches(const void* object) {
        if (reduces_) strategy_->touches(object);
    }
    bool of_this_run(uint16_t place) const {
        return (place - rt::kSimPlace + kPlaces - first_place_) % kPlaces < places_;
    }
    uint64_t random(uint64_t n);
    int64_t now() const { return now_; }
    Net& net() {
        if (!net_) net_ = std::make_unique<Net>();
        return *net_;
    }
    // While it lives, a goroutine that is woken is no reason to choose which one goes on: the caller is in the
    // middle of something.
    class Quiet {
    public:
        explicit Quiet(Engine& e) : engine_(e), before_(e.quiet_) { e.quiet_ = true; }
        ~Quiet() { engine_.quiet_ = before_; }
        Quiet(const Quiet&) = delete;
        Quiet& operator=(const Quiet&) = delete;

    private:
        Engine& engine_;
        bool before_;
    };
    bool running() const { return running_ != kNobody; }  // a task; not the loop
    Task& current() { return tasks_[running_]; }
    // [a Strategy] The run is not the one that it was before: it fails.
    void differs() {
        outcome_.failed = true;
        outcome_.what =
            "not deterministic: with the same decisions as before the test has done something else";
    }
    Task& task(uint32_t i) { return tasks_[i]; }
    std::vector<Task>& tasks() { return tasks_; }

private:
    friend struct Hooks;
    enum class Left { kBlocked, kGaveWay, kEnded, kSwitched };

    void begin_run();
    void end_run();
    void loop();
    void drain();  // who has become runnable
    uint32_t adopt(rt::G* gp);
    bool decide(uint32_t task, bool goes_on, bool gives_way);  // into next_; false: no goroutine can run
    bool nobody_ready() const { return ready_.size() == 1; }
    bool add_due(bool stays);  // true: with_timers_ are the candidates
    void take_out(uint32_t task);
    void fire(uint32_t timer);
    // When no goroutine can run: wakes one that waits for that, or moves the clock. False: the run is over.
    bool move_on();
    bool all_durable() const;
    bool any_life() const;
    void give_verdict();  // main has ended, or no goroutine can ever run again
    void mix(uint64_t x) {
        outcome_.hash = (outcome_.hash ^ x) * 0x9e3779b97f4a7c15u;
        outcome_.hash ^= outcome_.hash >> 29;
    }
    static constexpr uint32_t kPlaces = rt::kSimPlaceEnd - rt::kSimPlace;
    void step(uint32_t task, Step kind);
    rt::M* at(rt::M* mp, bool begins = true);  // begins: an operation, else it has come to its end
    uint32_t chance(uint32_t n);
    void note(uint32_t chosen, uint32_t task, uint32_t step, uint32_t target);
    static void run_test(void* storage);
    static void run_task(void* storage);

    rt::M* mp_ = nullptr;
    rt::M* outer_ = nullptr;
    rt::P* pp_ = nullptr;
    Strategy* strategy_ = nullptr;
    Recorder* trace_ = nullptr;
    Limits limits_;
    void (*fn_)(void*) = nullptr;
    void* arg_ = nullptr;

    std::vector<Task> tasks_;
    std::vector<uint32_t> task_of_;  // by goid; kNobody: not adopted yet
    // Who can run, the longest first; [0] is room for who runs now, so that the two together are candidates.
    std::vector<uint32_t> ready_{kNobody};
    std::vector<rt::Timer*> due_;
    std::vector<uint32_t> with_timers_;
    uint32_t running_ = kNobody;
    uint32_t next_ = kNobody;    // chosen
    uint32_t waiter_ = kNobody;  // in wait()
    uint32_t live_ = 0;
    uint64_t streak_ = 0;                     // points of the running task in a row
    uint64_t tired_ = 0;                      // how often that was too many
    static inline uint32_t first_place_ = 0;  // of the run, and how many it has had
    static inline uint32_t places_ = 0;
    bool reduces_ = false;
    int64_t now_ = 0;
    int64_t end_of_time_ = 0;  // once main has returned
    uint64_t end_of_steps_ = 0;
    int procs_ = 1;
    std::unique_ptr<Net> net_;  // of the run, once it is used
    bool on_task_ = false;      // a task's stack, not the loop's
    bool quiet_ = false;
    bool main_ended_ = false, main_returned_ = false, over_ = false;
    Outcome outcome_;
};

extern Engine* g_engine;  // while one exists

}  // namespace gort::sim
