// rt/sim/host_exhaustive.cc - all schedules with at most so many preemptions, of those that come to the same but few.
// SPDX-License-Identifier: BSD-2-Clause
//
// A run is a list of STEPS, each a task's way from one point to the next. Two steps of different tasks RACE if they use
// the same object (rt/base/sim_seam.h tells us which a step uses; one that says nothing may use all) and neither the
// task of the later one was started or woken, nor anything before it ordered, after the earlier one. Only where two
// race may it matter who was first. So a decision begins with its default alone; after each run, for each step and
// each other task, its last step that races is where the later task is to be tried instead: at the decision that led
// there, and, since that is a preemption and those are counted, also at the one that began the block of steps in which
// it lies, where it costs nothing more. If the task could not run there, all others are tried. Which of several ready
// cases is taken, and which of several timers of one instant comes first, is tried in all ways.
// Channels, mutexes, rw_mutexes, wait_groups, conds and point() are told apart; any other operation may use all.
//      Flanagan, Godefroid: Dynamic partial-order reduction (2005); Coons, Musuvathi, McKinley: Bounded partial-order
//      reduction (2013). tests/sim_exhaustive_test.cc compares with all schedules, over programs made at random.
#include <algorithm>
#include <map>

#include "rt/sim/strategy.h"

namespace gort::sim {

bool Exhaustive::g_reduces = true;

namespace {
bool is_task(uint32_t t) { return !(t & kTimer); }  // nor kNobody
// No object is there.
// NOLINTNEXTLINE(performance-no-int-to-ptr)
const void* name_of(uint32_t task) { return reinterpret_cast<const void*>(uintptr_t{task} * 2 + 1); }
}  // namespace

void Exhaustive::begin(uint64_t) {
    at_ = 0;
    used_ = 0;
    steps_.clear();
    woken_.clear();
    waker_of_.clear();
    chosen_at_ = kNone;
}

uint32_t Exhaustive::visit(const uint32_t* candidates, uint32_t n, uint32_t task) {
    if (at_ == path_.size()) {
        Node& node = path_.emplace_back();
        node.task = task;
        node.chosen = 0;
        const bool all = !g_reduces || !candidates ||
                         std::any_of(candidates, candidates + n, [](uint32_t c) { return !is_task(c); });
        node.tries.assign(n, all ? Try::kNext : Try::kNot);
        node.tries[0] = Try::kDone;
        if (candidates) node.candidates.assign(candidates, candidates + n);
    }
    const Node& node = path_[at_++];
    if (node.tries.size() != n || node.task != task ||
        (candidates &&
         !std::equal(node.candidates.begin(), node.candidates.end(), candidates, candidates + n))) {
        g_engine->differs();
        return 0;
    }
    return node.chosen;
}

uint32_t Exhaustive::choose(const Decision& d) {
    if (d.goes_on && used_ >= most_) return 0;
    chosen_at_ = static_cast<uint32_t>(at_);
    // Nothing is left out: a goroutine that goes round and round is interrupted at other steps as well.
    const uint32_t chosen = visit(d.candidates, d.tired && d.n > 1 ? d.n - 1 : d.n, d.task);
    if (chosen && d.goes_on) ++used_;
    return chosen;
}

// A select looks at channels that it does not lock, in the order that it asks for here.
uint32_t Exhaustive::chance(uint32_t n) {
    if (!steps_.empty()) steps_.back().kind = Step::kEverything;
    return n < 2 ? 0 : visit(nullptr, n, kNobody);
}

void Exhaustive::step(uint32_t task, Step kind) {
    Taken& t = steps_.emplace_back();
    t.task = task;
    t.kind = kind;
    t.told = false;
    t.node = chosen_at_;
    chosen_at_ = kNone;
    if (task < woken_.size()) t.after.swap(woken_[task]);
    if (kind == Step::kEverything) return;
    // Plain variables that come after a wake are not seen. So what the one does next and what the other one does first
    // count as uses of one thing: the woken one.
    if (kind == Step::kGoesOn && is_task(task)) {
        if (!t.after.empty()) t.objects.push_back(name_of(task));
        for (const uint32_t woken : waker_of_) t.objects.push_back(name_of(woken));
    }
    waker_of_.clear();
}

void Exhaustive::touches(const void* object) {
    if (steps_.empty()) return;
    Taken& t = steps_.back();
    t.told = true;
    if (object && std::find(t.objects.begin(), t.objects.end(), object) == t.objects.end())
        t.objects.push_back(object);
}

void Exhaustive::wakes(uint32_t task) {
    if (steps_.empty()) return;
    if (task >= woken_.size()) woken_.resize(task + 1);
    woken_[task].push_back(static_cast<uint32_t>(steps_.size() - 1));
    if (g_engine->task(task).steps > 0) waker_of_.push_back(task);
}

// ---- what else is to be tried ----

void Exhaustive::try_at(uint32_t node, uint32_t task) {
    if (node == kNone) return;
    Node& n = path_[node];
    const auto it = std::find(n.candidates.begin(), n.candidates.end(), task);
    if (it != n.candidates.end()) {
        Try& t = n.tries[static_cast<size_t>(it - n.candidates.begin())];
        if (t == Try::kNot) t = Try::kNext;
        return;
    }
    for (Try& t : n.tries)
        if (t == Try::kNot) t = Try::kNext;
}

void Exhaustive::try_instead(uint32_t step, uint32_t task) {
    try_at(steps_[step].node, task);
    uint32_t first = step;
    while (first > 0 && steps_[first - 1].task == steps_[step].task) --first;
    if (first != step) try_at(steps_[first].node, task);
}

void Exhaustive::find_races() {
    uint32_t tasks = 0;
    for (const Taken& t : steps_)
        if (is_task(t.task)) tasks = std::max(tasks, t.task + 1);
    using Last = std::vector<uint32_t>;  // by task: a step + 1, or 0
    const Last none(tasks, 0);
    Last any = none, all = none;
    std::map<const void*, Last> of;
    std::vector<Last> before(steps_.size());  // by step: of each task, how much of it came before for sure
    Last latest = none;
    auto join = [](Last& to, const Last& from) {
        for (size_t v = 0; v < to.size(); ++v) to[v] = std::max(to[v], from[v]);
    };
    for (uint32_t k = 0; k < steps_.size(); ++k) {
        const Taken& t = steps_[k];
        Last& known = before[k];
        known = none;
        if (!is_task(t.task)) {  // time passes when no goroutine can run; a timer's place has all candidates
            for (uint32_t v = 0; v < tasks; ++v) known[v] = latest[v];
            continue;
        }
        const uint32_t u = t.task;
        if (latest[u]) known = before[latest[u] - 1];
        for (const uint32_t w : t.after) join(known, before[w]);
        Last races = none;
        if (t.uses_all()) races = any;
        else if (t.uses_any()) {
            races = all;
            for (const void* o : t.objects)
                if (const auto it = of.find(o); it != of.end()) join(races, it->second);
        }
        for (uint32_t v = 0; v < tasks; ++v)
            if (v != u && races[v] > known[v]) try_instead(races[v] - 1, u);
        for (uint32_t v = 0; v < tasks; ++v)
            if (races[v]) join(known, before[races[v] - 1]);
        known[u] = latest[u] = k + 1;
        if (t.uses_any()) any[u] = k + 1;
        if (t.uses_all()) all[u] = k + 1;
        for (const void* o : t.objects) {
            Last& last = of[o];
            if (last.empty()) last = none;
            last[u] = k + 1;
        }
    }
}

bool Exhaustive::again() {
    path_.resize(std::min(path_.size(), at_));
    if (g_reduces) find_races();
    while (!path_.empty()) {
        Node& node = path_.back();
        const auto next = std::find(node.tries.begin(), node.tries.end(), Try::kNext);
        if (next != node.tries.end()) {
            *next = Try::kDone;
            node.chosen = static_cast<uint32_t>(next - node.tries.begin());
            return true;
        }
        path_.pop_back();
    }
    return false;
}

}  // namespace gort::sim
