// rt/sim/strategy.h - the ways to choose a schedule: at random, by priorities, all of them, from a script.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <unordered_map>

#include "rt/sim/engine.h"

namespace gort::sim {

// Goroutines in the order in which they can run, none interrupted. What is no order is random: which ready case of a
// select is taken, which of several timers of one instant comes first.
class InOrder : public Strategy {
public:
    void begin(uint64_t seed) override { rand_.s = seed; }
    uint32_t choose(const Decision& d) override;
    uint32_t chance(uint32_t n) override { return rand_.below(n); }

private:
    kernel::Rand rand_;
};

class Random : public Strategy {
public:
    void begin(uint64_t seed) override;
    uint32_t choose(const Decision& d) override;
    uint32_t chance(uint32_t n) override { return rand_.below(n); }

private:
    kernel::Rand rand_;
    uint32_t one_in_ = 1;  // how often somebody who could go on does not
};

class Pct : public Strategy {
public:
    // length: about so many decisions in a run.
    Pct(int depth, uint64_t length)
        : changes_(depth > 1 ? static_cast<uint32_t>(depth) - 1 : 0), length_(length < 8 ? 8 : length) {}
    void begin(uint64_t seed) override;
    void born(Task& t) override;
    uint32_t choose(const Decision& d) override;
    uint32_t chance(uint32_t n) override { return rand_.below(n); }

private:
    uint64_t priority(uint32_t candidate) const;
    kernel::Rand rand_;
    uint32_t changes_;
    std::vector<uint64_t> at_;  // decisions at which the running one falls, in order
    uint64_t decision_ = 0, length_;
    uint64_t lowest_ = 0;  // all that have fallen are below this, the last one lowest
    uint64_t salt_ = 0;
};

// Depth first through the decisions, but not all of them: a task is chosen where another one was only if they have
// done something with the same object from there on. host_exhaustive.cc
class Exhaustive : public Strategy {
public:
    explicit Exhaustive(int preemptions) : most_(preemptions < 0 ? 0 : static_cast<uint32_t>(preemptions)) {}
    void begin(uint64_t seed) override;
    uint32_t choose(const Decision& d) override;
    uint32_t chance(uint32_t n) override;
    bool again() override;
    bool reduces() const override { return g_reduces; }
    void step(uint32_t task, Step kind) override;
    void touches(const void* object) override;
    void wakes(uint32_t task) override;

    static bool g_reduces;  // for tests and comparisons

private:
    static constexpr uint32_t kNone = 0xffff'ffff;
    enum class Try : uint8_t { kNot, kNext, kDone };
    struct Node {
        uint32_t task, chosen;
        std::vector<uint32_t> candidates;  // empty: a chance
        std::vector<Try> tries;
    };
    struct Taken {  // a step
        uint32_t task;
        uint32_t node;  // where it was chosen; kNone: there was nothing to choose
        Step kind;
        bool told;                         // what it uses is known
        std::vector<const void*> objects;  // which
        std::vector<uint32_t> after;       // steps that have started or woken the task
        bool uses_all() const {
            return kind == Step::kEverything || (kind == Step::kOperation && !told && objects.empty());
        }
        bool uses_any() const { return uses_all() || !objects.empty(); }
    };
    uint32_t visit(const uint32_t* candidates, uint32_t n, uint32_t task);
    void find_races();
    void try_instead(uint32_t step, uint32_t task);
    void try_at(uint32_t node, uint32_t task);

    std::vector<Node> path_;
    size_t at_ = 0;
    uint32_t most_, used_ = 0;
    std::vector<Taken> steps_;
    uint32_t chosen_at_ = kNone;                // of the step that begins next
    std::vector<std::vector<uint32_t>> woken_;  // by task, since its last step: steps
    std::vector<uint32_t> waker_of_;            // whom the present step has woken
};

// The default, but for these.
class Script : public Strategy {
public:
    explicit Script(std::vector<Deviation> d) : deviations_(std::move(d)) {}
    void begin(uint64_t) override { at_ = next_ = 0; }
    uint32_t choose(const Decision& d) override { return pick(d.n); }
    uint32_t chance(uint32_t n) override { return pick(n); }

private:
    uint32_t pick(uint32_t n);
    std::vector<Deviation> deviations_;
    uint64_t at_ = 0;
    size_t next_ = 0;
};

// The same, but they are found by who decided what at which of its steps: some may have been left out.
class Sketch : public Strategy {
public:
    explicit Sketch(const std::vector<Deviation>& d);
    void begin(uint64_t) override {
        given_.clear();
        engine_ = g_engine;
    }
    uint32_t choose(const Decision& d) override;
    uint32_t chance(uint32_t n) override;

private:
    static uint64_t key(uint32_t task, uint32_t step) { return uint64_t{task} << 32 | step; }
    const Deviation* find(uint64_t key, bool chance);
    std::unordered_map<uint64_t, std::vector<Deviation>> wanted_;
    std::unordered_map<uint64_t, size_t> given_;
    Engine* engine_ = nullptr;
};

}  // namespace gort::sim
