// tests/explore/search.h - which executions are made: all within bounds, random ones by seed, one that is given.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "tests/explore/world.h"

namespace gort::explore {

// Every answer within the bounds, depth first: a stack of what was answered. Without a bound on preemptions it leaves
// out orders that differ only in operations that do not depend on each other (sleep sets); with one it must not, since
// the order that stands for the others may need more preemptions than they do.
class DepthFirst : public Chooser {
public:
    explicit DepthFirst(World& w) : w_(w) {}
    uint32_t choose(Choice kind, const Answers& a) override;
    bool reduces() const override {
        return w_.bounds.preemptions >= kUnbounded && w_.most_deviations == kAnyNumber;
    }
    bool next();  // to the next execution; false: that was all
    void restart() { stack_.clear(); }
    void begin() { depth_ = 0; }

private:
    struct Node {
        Answers a;
        uint32_t at = 0;
        uint32_t asleep = 0;
        bool threads = false;
    };
    World& w_;
    Vector<Node> stack_;
    size_t depth_ = 0;
};

// Random answers; with points > 0 threads have priorities that change at so many points (PCT), else any may go on.
class Random : public Chooser {
public:
    Random(World& w, uint64_t seed, int points);
    uint32_t choose(Choice kind, const Answers& a) override;
    bool bounded() const override { return false; }

private:
    uint64_t draw();
    uint32_t below(uint32_t n) { return static_cast<uint32_t>((draw() >> 32) * n >> 32); }
    World& w_;
    uint64_t state_;
    int points_;
    uint32_t change_[8] = {};
    uint32_t priority_[kThreads];
    uint32_t asked_ = 0, least_ = 1u << 30;
    uint32_t one_in_;
};

// The deviations that are given, and else the ordinary answers.
class Replay : public Chooser {
public:
    explicit Replay(const Vector<Deviation>& d) : given_(d) {}
    uint32_t choose(Choice kind, const Answers& a) override;
    bool bounded() const override { return false; }
    bool everywhere() const override { return true; }

private:
    const Vector<Deviation>& given_;
};

struct Found {
    End end = End::kGood;  // kGood: nothing was found, and everything was searched if whole
    bool whole = false;
    uint64_t executions = 0;
    Vector<Deviation> schedule;
    uint64_t seed = 0;
};

// Within w.bounds. First what needs one deviation, then two, then three, with a third of `most`: depth first alone
// would see only the ends of the executions where it does not get through. Then depth first, at most `most`.
Found search(World& w, uint64_t most);
Found search_random(World& w, uint64_t seed, uint64_t most);  // from this seed on
End replay(World& w, const Vector<Deviation>& schedule);
void shorten(World& w, Vector<Deviation>* schedule);  // as long as it fails with the same words
size_t print_schedule(const Vector<Deviation>& d, char* to, size_t size);
bool parse_schedule(const char* text, Vector<Deviation>* to);

}  // namespace gort::explore
