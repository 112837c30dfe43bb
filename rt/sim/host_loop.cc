// rt/sim/host_loop.cc - the loop of a run, its scheduling points, its clock, and how it ends.
// SPDX-License-Identifier: BSD-2-Clause
#include <algorithm>

#include "arch/arch.h"
#include "rt/sched/park.h"
#include "rt/sim/engine.h"
#include "rt/time/clock.h"
#include "rt/time/timers.h"
#include "rt/time/wheel.h"

namespace gort::sim {

using namespace rt;

namespace {

constexpr uint64_t kTired = 1000;  // points in a row after which others go first

bool is_durable(WaitReason why) {
    switch (why) {
    case WaitReason::kMutexLock:
    case WaitReason::kRwMutexLock:
    case WaitReason::kRwMutexRLock:
    case WaitReason::kIoWait: return false;
    default: return true;
    }
}

}  // namespace

uint32_t Engine::adopt(G* gp) {
    // Ids begin anew with every run, and are dense. No field of a G is ours: what the runtime does not use now it may
    // use tomorrow.
    if (gp->id >= task_of_.size()) task_of_.resize(gp->id + 1, kNobody);
    if (const uint32_t known = task_of_[gp->id]; known != kNobody) return known;
    const auto i = static_cast<uint32_t>(tasks_.size());
    Task& t = tasks_.emplace_back();
    t.g = gp;
    t.id = gp->id;
    t.site = gp->site;
    t.invoke = gp->invoke;
    gp->invoke = run_task;
    task_of_[gp->id] = i;
    ++live_;
    const Task* by = running_ == kNobody ? nullptr : &tasks_[running_];
    if (by) t.host = by->host;
    strategy_->born(t);
    if (trace_) trace_->born(t, by, now_);
    return i;
}

// What was readied or spawned since the last time joins those that can run, in that order.
void Engine::drain() {
    auto take = [this](G* gp) {
        const bool fresh = !gp->stack;
        const uint32_t i = adopt(gp);
        ready_.push_back(i);
        if (reduces_ && running_ != kNobody) strategy_->wakes(i);
        if (trace_ && !fresh && i != running_)
            trace_->wakes(running_ == kNobody ? nullptr : &tasks_[running_], tasks_[i]);
    };
    while (G* gp = pp_->runq.pop()) take(gp);
    while (G* gp = pp_->fresh.pop_oldest()) take(gp);
    if (G* gp = pp_->runnext.load(std::memory_order_relaxed)) {
        pp_->runnext.store(nullptr, std::memory_order_relaxed);
        take(gp);
    }
    if (sched.runq_size.load(std::memory_order_relaxed)) {
        kernel::LockGuard guard(sched.lock);
        while (G* gp = sched.runq.pop()) take(gp);
        sched.runq_size.store(0, std::memory_order_relaxed);
    }
}

// ---- decisions ----

void Engine::note(uint32_t chosen, uint32_t task, uint32_t step, uint32_t target) {
    const uint64_t at = outcome_.decisions++;
    mix(uint64_t{task} << 32 | chosen);
    if (chosen) outcome_.deviations.push_back({at, chosen, task, step, target});
}

uint32_t Engine::chance(uint32_t n) {
    const uint32_t chosen = strategy_->chance(n);
    note(chosen, running_, running_ == kNobody ? 0 : tasks_[running_].steps, kNobody);
    return chosen;
}

// Timers that are due are candidates like anybody else, and come before those that wait.
bool Engine::add_due(bool stays) {
    if (pp_->timers.next_when.load(std::memory_order_relaxed) > now_) return false;
    due_.clear();
    timers_any(
        &pp_->timers,
        [](const Timer* t, void* arg) {
            auto* e = static_cast<Engine*>(arg);
            if (t->when <= e->now_) e->due_.push_back(const_cast<Timer*>(t));
            return false;
        },
        this);
    const auto n = static_cast<uint32_t>(due_.size());
    if (n == 0) {
        timers_run(&pp_->timers, now_);  // none: it only learns when the next one is
        return false;
    }
    std::sort(due_.begin(), due_.end(), [](const Timer* a, const Timer* b) {
        return a->when != b->when ? a->when < b->when : a->slot->order < b->slot->order;
    });
    with_timers_.clear();
    if (stays) with_timers_.push_back(ready_[0]);
    for (uint32_t i = 0; i < n; ++i) with_timers_.push_back(kTimer | i);
    with_timers_.insert(with_timers_.end(), ready_.begin() + 1, ready_.end());
    return true;
}

void Engine::take_out(uint32_t task) {
    size_t i = 1;
    while (ready_[i] != task) ++i;
    for (; i + 1 < ready_.size(); ++i) ready_[i] = ready_[i + 1];
    ready_.pop_back();
}

void Engine::fire(uint32_t timer) {
    Timer* t = due_[timer & ~kTimer];
    if (trace_) trace_->fires(now_);
    const uint32_t who = running_;
    running_ = kNobody;  // no task on the stack here does it
    step(kTimer, Step::kEverything);
    if (t->period > 0) timer_reset(&pp_->timers, t, next_multiple(t->when, t->period, now_), t->period);
    else timer_stop(t);
    t->fn(t, now_, t->seq.load(std::memory_order_relaxed));
    drain();
    running_ = who;
}

bool Engine::decide(uint32_t task, bool goes_on, bool gives_way) {
    const bool stays = goes_on && !gives_way;
    if (goes_on && gives_way) ready_.push_back(task);
    for (;;) {
        ready_[0] = task;
        const uint32_t* candidates = ready_.data() + !stays;
        auto n = static_cast<uint32_t>(ready_.size()) - !stays;
        if (add_due(stays)) {
            candidates = with_timers_.data();
            n = static_cast<uint32_t>(with_timers_.size());
        }
        if (n == 0) return false;
        uint32_t chosen = 0;
        if (n > 1) {
            const uint32_t step = task == kNobody ? 0 : tasks_[task].steps;
            chosen = strategy_->choose({candidates, n, task, step, stays, gives_way, goes_on && gives_way});
            if (outcome_.failed) return true;  // the strategy has found the test to be another one
            note(chosen, task, step, candidates[chosen]);
        }
        const uint32_t who = candidates[chosen];
        if (who & kTimer) {
            fire(who);
            continue;
        }
        next_ = who;
        if (stays && chosen == 0) return true;
        take_out(who);
        if (stays) {
            ++outcome_.preemptions;
            ready_.push_back(task);
        }
        return true;
    }
}

// [a task's stack, inside the gate]
M* Engine::at(M* mp, bool begins) {
    const uint32_t task = running_;
    const Step kind = begins ? Step::kOperation : Step::kGoesOn;
    {
        Task& t = tasks_[task];
        if (t.ending) return mp;
        ++t.steps;
        if (trace_ && begins) trace_->operation(t, now_);
    }
    if (++outcome_.steps > limits_.max_steps) {
        leave(mp);
        fail("too many steps");
    }
    if (!nobody_ready() || pp_->timers.next_when.load(std::memory_order_relaxed) <= now_) {
        // Each time one later: who was always interrupted with the lock held would keep it from the others for ever.
        const bool tired = ++streak_ > kTired + tired_ && !nobody_ready();
        if (tired) ++tired_;
        decide(task, true, tired);
        if (outcome_.failed) {
            leave(mp);
            fail(outcome_.what);
        }
        if (next_ != task) {
            if (trace_) trace_->gives_way(tasks_[task], true);
            tasks_[task].at_point = true;
            mp = switch_to_g0(mp, mp->curg, nullptr);
            tasks_[task].at_point = false;
            step(task, kind);
            return mp;
        }
        next_ = kNobody;
        if (tired) streak_ = 0;
    }
    step(task, kind);
    return mp;
}

void Engine::loop() {
    for (;;) {
        run_commit(mp_);
        bool gave_way = false;
        if (running_ != kNobody) {
            Task& t = tasks_[running_];
            if (G* left = mp_->left_g; left && (left->flags & kGCanary)) check_canary(left);
            mp_->left_g = nullptr;
            const GStatus status = t.g->status.load(std::memory_order_relaxed);
            if (status == GStatus::kFree) {
                t.g = nullptr;
                --live_;
                if (trace_) trace_->ends(t, now_);
                if (running_ == 0) {
                    main_ended_ = true;
                    end_of_time_ = deadline_after(now_, limits_.after);
                    end_of_steps_ = outcome_.steps + limits_.steps_after;
                }
            } else if (status == GStatus::kWaiting) {
                if (trace_) trace_->blocks(t, t.g->wait_reason);
                if (t.g->wait_reason == WaitReason::kSleep) touches(nullptr);
            } else {
                gave_way = next_ == kNobody;
                if (gave_way) touches(nullptr);
            }
        }
        mp_->curg = nullptr;
        if (outcome_.failed || over_) return;
        drain();
        if (main_returned_ && main_ended_ && !limits_.leaks) return;
        if (next_ == kNobody) {
            const uint32_t who = running_;
            const bool ended = who != kNobody && !tasks_[who].g;
            while (!decide(ended ? kNobody : who, false, gave_way)) {
                running_ = kNobody;
                if (!move_on()) return;
                drain();
            }
            if (outcome_.failed) return;
        }
        running_ = next_;
        next_ = kNobody;
        streak_ = 0;
        if (!tasks_[running_].at_point) step(running_, Step::kGoesOn);
        on_task_ = true;
        execute(mp_, tasks_[running_].g);
        on_task_ = false;
    }
}

// ---- when no goroutine can run ----

bool Engine::all_durable() const {
    for (uint32_t i = 0; i < tasks_.size(); ++i)
        if (tasks_[i].g && i != waiter_ && !is_durable(tasks_[i].g->wait_reason)) return false;
    return true;
}

// Is there a timer that makes a goroutine run, other than one whose channel none waits for?
bool Engine::any_life() const {
    if (pp_->timers.count.load(std::memory_order_relaxed) == 0) return false;
    if (!sched.wakes_nobody.load(std::memory_order_relaxed)) return true;
    return timers_any(
        &pp_->timers,
        [](const Timer* t, void*) {
            return t->when != kForever && !sched.wakes_nobody.load(std::memory_order_relaxed)(t);
        },
        nullptr);
}

bool Engine::move_on() {
    if (waiter_ != kNobody && all_durable()) {
        ready(mp_, tasks_[waiter_].g);
        step(kNobody, Step::kEverything);
        waiter_ = kNobody;
        return true;
    }
    if (live_ == 0 && main_returned_) return false;
    const int64_t when = pp_->timers.next_when.load(std::memory_order_relaxed);
    const bool too_late =
        main_ended_ && (limits_.after < 0 || when > end_of_time_ || outcome_.steps > end_of_steps_);
    if (any_life() && !too_late) {
        if (trace_) trace_->passes(now_, when);
        now_ = when;
        step(kNobody, Step::kEverything);
        mix(static_cast<uint64_t>(when));
        return true;
    }
    give_verdict();
    return false;
}

void Engine::give_verdict() {
    std::string what;
    if (!main_returned_) {
        what = live_ ? "deadlock: all goroutines in bubble are blocked"
                     : "deadlock: no goroutines (main called runtime.Goexit)";
    } else if (limits_.after < 0) {
        what = "deadlock: main bubble goroutine has exited but blocked goroutines remain";
    } else {
        for (const Task& t : tasks_) {
            if (!t.g) continue;
            if (!what.empty()) {
                what += ", and " + std::to_string(live_ - 1) + (live_ == 2 ? " other" : " others");
                break;
            }
            what =
                "leak: goroutine " + std::to_string(t.id) + " [" + wait_reason_text(t.g->wait_reason) + "]";
            if (t.site.file)
                what += std::string(", created by ") + t.site.function + " at " + t.site.file + ":" +
                        std::to_string(t.site.line);
        }
    }
    outcome_.failed = true;
    outcome_.what = what;
    if (trace_) trace_->fails(nullptr, what, now_);
}

void Engine::fail(std::string what) {
    outcome_.failed = true;
    outcome_.what = std::move(what);
    if (trace_) trace_->fails(&tasks_[running_], outcome_.what, now_);
    M* mp = self();
    mp->in_rt.store(1, std::memory_order_relaxed);
    mp->eh->caught = nullptr;  // the exception is abandoned like all else of this goroutine
    mp->eh->uncaught = 0;
    mp->commit_fn = nullptr;
    G* gp = mp->curg;
    arch::switch_context(&gp->ctx, &mp->g0, nullptr);
    __builtin_unreachable();
}

}  // namespace gort::sim
