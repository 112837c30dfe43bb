// examples/sim_queue.cc - a bounded queue with a bug that a stress test hardly ever meets, found by gort::sim.
// SPDX-License-Identifier: BSD-2-Clause
//
// Producers and consumers wait on one condition, and each change wakes one of them: maybe one of the own kind, who goes
// back to sleep, and then everybody does. explore tries schedules until that happens, leaves out what has nothing to do
// with it, and tells what was going on.
#include <gort.h>

#include <cstdio>
#include <mutex>
#include <vector>

namespace {

template <bool repaired>
class Queue {
public:
    explicit Queue(size_t room) : room_(room) {}
    void put(int v) {
        const std::lock_guard lock(mu_);
        while (items_.size() == room_) changed_.wait();
        items_.push_back(v);
        tell();
    }
    int take() {
        const std::lock_guard lock(mu_);
        while (items_.empty()) changed_.wait();
        const int v = items_.back();
        items_.pop_back();
        tell();
        return v;
    }

private:
    void tell() {
        if (repaired) changed_.broadcast();
        else changed_.signal();
    }
    const size_t room_;
    gort::mutex mu_;
    gort::cond changed_{mu_};
    std::vector<int> items_;
};

template <bool repaired>
void two_of_each() {
    Queue<repaired> queue(1);
    gort::wait_group all;
    for (int i = 0; i < 2; ++i) {
        all.go([&, i] { queue.put(i); });
        all.go([&] { queue.take(); });
    }
    all.wait();
}

}  // namespace

int main() {
    const auto found = gort::sim::explore({.seed = 1, .runs = 2000}, two_of_each<false>);
    std::printf("%s\nin run %d, which gort::sim::replay(\"%s\", ...) repeats:\n%s\n", found.what.c_str(),
                static_cast<int>(found.runs), found.schedule.c_str(), found.trace.c_str());
    const auto again = gort::sim::replay(found.schedule, two_of_each<false>);
    const auto repaired = gort::sim::explore({.seed = 1, .runs = 2000}, two_of_each<true>);
    std::printf("the repaired one: %d runs, %s\n", static_cast<int>(repaired.runs),
                repaired ? "nothing" : repaired.what.c_str());
    return found.failed && again.trace == found.trace && repaired ? 0 : 1;
}
