// rt/sim/host_strategy.cc - see strategy.h.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/sim/strategy.h"

#include <algorithm>

namespace gort::sim {

uint32_t InOrder::choose(const Decision& d) {
    uint32_t timers = 0;
    while (timers < d.n && (d.candidates[timers] & kTimer)) ++timers;
    return timers < 2 ? 0 : rand_.below(timers);
}

// ---- random ----

void Random::begin(uint64_t seed) {
    rand_.s = seed * 0x9e3779b97f4a7c15u;
    static constexpr uint32_t kOneIn[] = {1, 1, 2, 4, 8, 24};
    one_in_ = kOneIn[rand_.below(6)];
}

uint32_t Random::choose(const Decision& d) {
    if (!d.goes_on) return rand_.below(d.n);
    if (one_in_ == 1) return rand_.below(d.n);
    if (rand_.below(one_in_) != 0) return 0;
    return 1 + rand_.below(d.n - 1);
}

// ---- pct ----

void Pct::begin(uint64_t seed) {
    rand_.s = seed * 0x9e3779b97f4a7c15u;
    decision_ = 0;
    lowest_ = uint64_t{1} << 32;
    salt_ = rand_.next();
    at_.clear();
    for (uint32_t i = 0; i < changes_; ++i) at_.push_back(rand_.next() % length_);
    std::sort(at_.begin(), at_.end(), std::greater<>());  // the next one last
}

void Pct::born(Task& t) { t.priority = (uint64_t{1} << 32) + (rand_.next() >> 31); }

uint64_t Pct::priority(uint32_t candidate) const {
    if (!(candidate & kTimer)) return g_engine->task(candidate).priority;
    kernel::Rand r{salt_ + candidate + static_cast<uint64_t>(g_engine->now())};
    return (uint64_t{1} << 32) + (r.next() >> 31);
}

uint32_t Pct::choose(const Decision& d) {
    const uint64_t now = decision_++;
    if (d.task != kNobody && d.gives_way) g_engine->task(d.task).priority = --lowest_;
    while (!at_.empty() && at_.back() <= now) {
        at_.pop_back();
        if (d.goes_on) g_engine->task(d.task).priority = --lowest_;
    }
    uint32_t best = 0;
    uint64_t highest = 0;
    for (uint32_t i = 0; i < d.n; ++i) {
        const uint64_t p = priority(d.candidates[i]);
        if (i > 0 && p <= highest) continue;
        best = i;
        highest = p;
    }
    return best;
}

// ---- from a script ----

uint32_t Script::pick(uint32_t n) {
    const uint64_t now = at_++;
    if (next_ == deviations_.size() || deviations_[next_].at != now) return 0;
    const uint32_t chosen = deviations_[next_++].chosen;
    return chosen < n ? chosen : 0;
}

Sketch::Sketch(const std::vector<Deviation>& d) {
    for (const Deviation& one : d) wanted_[key(one.task, one.step)].push_back(one);
}

// Several may have been made at one step: they come in their order.
const Deviation* Sketch::find(uint64_t key, bool chance) {
    const auto it = wanted_.find(key);
    if (it == wanted_.end()) return nullptr;
    size_t& i = given_[key];
    if (i == it->second.size() || (it->second[i].target == kNobody) != chance) return nullptr;
    return &it->second[i++];
}

uint32_t Sketch::choose(const Decision& d) {
    const Deviation* w = find(key(d.task, d.step), false);
    if (!w) return 0;
    for (uint32_t i = 0; i < d.n; ++i)
        if (d.candidates[i] == w->target) return i;
    return 0;
}

uint32_t Sketch::chance(uint32_t n) {
    if (!engine_->running()) return 0;
    const Task& t = engine_->current();
    const auto i = static_cast<uint32_t>(&t - engine_->tasks().data());
    const Deviation* w = find(key(i, t.steps), true);
    return w && w->chosen < n ? w->chosen : 0;
}

}  // namespace gort::sim
