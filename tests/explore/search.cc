// tests/explore/search.cc - depth first, random, and replayed executions.
// SPDX-License-Identifier: BSD-2-Clause
#include "tests/explore/search.h"

#include <cstdio>
#include <cstring>
#include <ctime>

namespace gort::explore {

uint32_t DepthFirst::choose(Choice kind, const Answers& a) {
    if (depth_ == stack_.size()) {
        Node n;
        n.a = a;
        n.asleep = w_.asleep;
        n.threads = kind == Choice::kSwitch;
        stack_.push_back(n);
    }
    Node& n = stack_[depth_++];
    if (n.a.n != a.n || std::memcmp(n.a.values, a.values, a.n) != 0)
        w_.stop("the explorer's own fault, or the piece asks something outside the model: not the same twice",
                nullptr);
    // Who went on here before sleeps, until something happens that what it is about to do depends on.
    if (n.threads && reduces())
        for (uint32_t i = 0; i < n.at; ++i) w_.asleep |= 1u << n.a.values[i];
    return n.at;
}

bool DepthFirst::next() {
    depth_ = 0;
    while (!stack_.empty()) {
        if (++stack_.back().at < stack_.back().a.n) return true;
        stack_.pop_back();
    }
    return false;
}

Random::Random(World& w, uint64_t seed, int points) : w_(w), state_(seed * 2 + 1), points_(points) {
    for (int i = 0; i < 8; ++i) draw();
    for (uint32_t& p : priority_) p = least_ + 1 + below(1000);
    for (int i = 0; i < points_; ++i) change_[i] = below(200);
    one_in_ = 2u << below(5);
}

uint64_t Random::draw() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_ * 0x2545f4914f6cdd1d;
}

uint32_t Random::choose(Choice kind, const Answers& a) {
    if (kind == Choice::kPick) return below(a.n);
    if (kind != Choice::kSwitch) {
        if (below(one_in_ < 4 ? one_in_ : 4) != 0) return 0;
        uint32_t n = a.n;
        while (n > 1 && a.costs[n - 1] == Cost::kEarly && w_.bounds.early == 0) --n;
        return below(n);
    }
    if (!points_) return below(one_in_) == 0 ? below(a.n) : 0;
    ++asked_;
    if (w_.threads[w_.current].yields) priority_[w_.current] = --least_;  // who waits for others comes last
    for (int i = 0; i < points_; ++i)
        if (change_[i] == asked_) priority_[w_.current] = --least_;
    uint32_t best = 0;
    for (uint32_t i = 1; i < a.n; ++i)
        if (a.costs[i] != Cost::kTime && priority_[a.values[i]] > priority_[a.values[best]]) best = i;
    if (a.costs[a.n - 1] == Cost::kTime && below(64) == 0) return a.n - 1;
    return best;
}

uint32_t Replay::choose(Choice kind, const Answers& a) {
    const uint32_t op = world->me().ops;
    for (const Deviation& d : given_) {
        if (d.thread != world->current || d.kind != kind || d.op != op) continue;
        for (uint32_t i = 0; i < a.n; ++i)
            if (a.values[i] == d.value) return i;
    }
    return 0;
}

namespace {

class Stopwatch {
public:
    explicit Stopwatch(double limit) : limit_(limit), end_(now() + limit) {}
    bool over() const { return limit_ > 0 && now() > end_; }

private:
    static double now() {
        timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
    }
    double limit_, end_;
};

enum class Tree { kWhole, kCut, kFailed };

// Depth first; `most` and the executions count from the start of the search.
Tree search_tree(World& w, uint64_t most, const Stopwatch& clock, Found* f) {
    DepthFirst chooser(w);
    for (w.memory.learned = false;; w.memory.learned = false) {
        f->end = w.run(&chooser);
        ++f->executions;
        if (f->end == End::kFailed || f->end == End::kStopped) {
            f->schedule = w.deviations;
            return Tree::kFailed;
        }
        f->end = End::kGood;
        if (w.memory.learned) {  // another word is used by several threads: what was searched was not enough
            chooser.restart();
            chooser.begin();
            continue;
        }
        if (!chooser.next()) return Tree::kWhole;
        if (f->executions >= most || clock.over()) return Tree::kCut;
    }
}

}  // namespace

Found search(World& w, uint64_t most) {
    constexpr size_t kLevels = 3;
    const Stopwatch clock(w.time_limit);
    Found f;
    Tree tree = Tree::kWhole;
    for (size_t level = 1; level <= kLevels && tree == Tree::kWhole; ++level) {
        w.most_deviations = level;
        w.left_out = false;
        tree = search_tree(w, most / 3, clock, &f);
        w.most_deviations = kAnyNumber;
        f.whole = tree == Tree::kWhole && !w.left_out;
        if (tree == Tree::kFailed || f.whole) return f;
    }
    const uint64_t before = f.executions;
    f.whole = search_tree(w, before + most, clock, &f) == Tree::kWhole;
    return f;
}

Found search_random(World& w, uint64_t seed, uint64_t most) {
    Found f;
    const Stopwatch clock(w.time_limit);
    for (; f.executions < most && !clock.over(); ++seed) {
        Random chooser(w, seed, seed % 2 ? 0 : 1 + static_cast<int>(seed / 2 % 4));
        f.end = w.run(&chooser);
        ++f.executions;
        // Chance is not fair: it may let one thread wait for another for ever.
        if (f.end == End::kFailed && std::strcmp(w.text, kTooLong) == 0) f.end = End::kPruned;
        if (f.end == End::kFailed || f.end == End::kStopped) {
            f.schedule = w.deviations;
            f.seed = seed;
            return f;
        }
        f.end = End::kGood;
    }
    return f;
}

End replay(World& w, const Vector<Deviation>& schedule) {
    Replay chooser(schedule);
    return w.run(&chooser);
}

void shorten(World& w, Vector<Deviation>* schedule) {
    char text[sizeof w.text];
    // A race may show in the other order, a check elsewhere: the first word has to stay.
    const size_t n = std::strcspn(w.text, ": ");
    std::memcpy(text, w.text, sizeof text);
    const auto fails = [&](const Vector<Deviation>& d) {
        return replay(w, d) == End::kFailed && std::strncmp(text, w.text, n) == 0;
    };
    for (size_t size = schedule->size() / 2 + 1; size; size /= 2)
        for (size_t at = schedule->size(); at-- > 0;) {
            if (at + size > schedule->size()) continue;
            Vector<Deviation> fewer = *schedule;
            fewer.erase(fewer.begin() + static_cast<long>(at), fewer.begin() + static_cast<long>(at + size));
            if (fails(fewer)) *schedule = w.deviations.size() < fewer.size() ? w.deviations : fewer;
        }
    replay(w, *schedule);
}

// T1@12>2 thread 1 makes room for thread 2 before its operation 12; T1@12r1 reads the last store but one; w1 stores
// before one other; x2 the third way of a compare-exchange; p2 the third of what a piece leaves open.
static const char kKinds[] = ">rwxp";

size_t print_schedule(const Vector<Deviation>& d, char* to, size_t size) {
    size_t n = 0;
    to[0] = 0;
    for (const Deviation& one : d) {
        const int more = std::snprintf(to + n, size - n, "%sT%d@%u%c%d", n ? "," : "", one.thread, one.op,
                                       kKinds[static_cast<int>(one.kind)], one.value);
        if (more < 0 || n + static_cast<size_t>(more) >= size) break;
        n += static_cast<size_t>(more);
    }
    return n;
}

bool parse_schedule(const char* text, Vector<Deviation>* to) {
    while (*text) {
        int thread, value, used = 0;
        unsigned op;
        char kind;
        if (std::sscanf(text, "T%d@%u%c%d%n", &thread, &op, &kind, &value, &used) != 4) return false;
        const char* k = std::strchr(kKinds, kind);
        if (!k || thread < 0 || thread >= kThreads || value < 0 || value > 255) return false;
        to->push_back({static_cast<uint8_t>(thread), static_cast<Choice>(k - kKinds),
                       static_cast<uint16_t>(value), op});
        text += used;
        if (*text == ',') ++text;
        else if (*text) return false;
    }
    return true;
}

}  // namespace gort::explore
