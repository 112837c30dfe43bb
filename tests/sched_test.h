// tests/sched_test.h - what the scheduler's tests share: running with n Ps, semaphores and sleeps that stand on park
// and ready alone, and what /proc knows of our threads.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "rt/sched/park.h"
#include "rt/stack/stack.h"
#include "rt/time/clock.h"
#include "tests/child.h"
#include "tests/procs.h"

namespace gort::sched_test {

using test::Died;
using test::panic_of;
using test::procs_of;
using test::run_child;
using test::with_procs;

inline long count_threads() {
#if GORT_TSAN
    // Its runtime adds a thread of its own at a forked process's first one: before anybody counts.
    static const bool done = (std::thread([] {}).join(), true);
    (void)done;
#endif
    return long(test::names_in("/proc/self/task").size());
}

// Threads on their way out have a second: see tests/test.h.
inline const bool threads_in_ledger = test::ledger_add("threads", count_threads);
inline const bool stacks_in_ledger =
    test::ledger_add("stacks in use", [] { return long(rt::stack_totals().in_use); });

// In which order things happen on one P, as once() tells it. Time stands still for the runtime meanwhile, so no time
// slice ends in between, however busy the machine is.
template <class F>
std::string order_of(F once) {
    static const int64_t at = kernel::nanotime();
    rt::g_now_hook = [] { return at; };
    const std::string order = once();
    rt::g_now_hook = nullptr;
    return order;
}

// A counting semaphore for goroutines and foreign threads. First come, first served.
class Sema {
public:
    explicit Sema(int n = 0) : n_(n) {}
    void acquire(rt::WaitReason why = rt::WaitReason::kPark) {
        rt::M* mp = rt::enter();
        lock_.lock();
        if (n_ > 0) {
            --n_;
            lock_.unlock();
            return rt::leave(mp);
        }
        waiters_.push(mp->curg);
        rt::leave(rt::park(
            mp, [](void* lock, rt::G*) { static_cast<kernel::Mutex*>(lock)->unlock(); }, &lock_, why));
    }
    void release() {
        rt::M* mp = rt::enter();
        lock_.lock();
        rt::G* gp = waiters_.pop();
        if (!gp) ++n_;
        lock_.unlock();
        if (gp) rt::ready(mp, gp);
        rt::leave(mp);
    }
    int waiting() {
        kernel::LockGuard guard(lock_);
        return int(waiters_.count);
    }

private:
    kernel::Mutex lock_;
    rt::GList waiters_;
    int n_;
};

// Counts goroutines down: add before they start, done at their ends, wait for all of them. After that it can be used
// again.
class Join {
public:
    void add(int n = 1) { n_.fetch_add(n); }
    void done() {
        if (n_.fetch_sub(1) == 1) zero_.release();
    }
    void wait() {
        done();
        zero_.acquire();
        n_.store(1);  // the waiter's own, for the next ones
    }

private:
    std::atomic<int> n_{1};
    Sema zero_;
};

// gort::sleep on the timers alone.
inline void nap(std::chrono::nanoseconds d) {
    struct Nap {
        rt::Timer timer;
        rt::G* gp = nullptr;
    } nap;
    nap.timer.when = rt::now() + d.count();
    nap.timer.arg = &nap;
    nap.timer.fn = [](rt::Timer* t, int64_t, uint64_t) {
        rt::M* mp = rt::self();
        rt::ready(mp, static_cast<Nap*>(t->arg)->gp);
    };
    rt::M* mp = rt::enter();
    nap.gp = mp->curg;
    rt::leave(rt::park(
        mp,
        [](void* p, rt::G*) {
            if (rt::timer_start(&rt::p_of(rt::self())->timers, &static_cast<Nap*>(p)->timer))
                rt::sysmon_ensure();
        },
        &nap, rt::WaitReason::kSleep));
}

// A pipe; a read of it blocks the thread until somebody writes.
class Pipe {
public:
    Pipe() { CHECK(pipe(fds_) == 0); }
    ~Pipe() {
        close(fds_[0]);
        close(fds_[1]);
    }
    Pipe(const Pipe&) = delete;
    void wait() {
        char c;
        while (read(fds_[0], &c, 1) != 1) {
        }
    }
    void tell() { CHECK(write(fds_[1], "", 1) == 1); }

private:
    int fds_[2];
};

// Involuntary and voluntary context switches of all threads but the caller's. TSan's own thread looks around all the
// time.
inline long switches_of_others() {
    long sum = 0;
    const std::string me = std::to_string(gettid());
    for (const std::string& tid : test::names_in("/proc/self/task")) {
        if (tid == me) continue;
        const std::string s = test::read_file("/proc/self/task/" + tid + "/status");
        if (GORT_TSAN && s.rfind("Name:\tgort-", 0) != 0) continue;
        for (const char* key : {"\nvoluntary_ctxt_switches:", "\nnonvoluntary_ctxt_switches:"})
            if (size_t at = s.find(key); at != std::string::npos)
                sum += std::strtol(s.c_str() + at + std::strlen(key), nullptr, 10);
    }
    return sum;
}

// Everybody is asleep, the monitor too, and stays it for 300 ms. The caller is no goroutine. True: see that it becomes
// so with EVENTUALLY, as a thread that is about to sleep may take its time on a busy machine.
inline bool idle_for_long() {
    rt::sched.lock.lock();
    const bool rests = rt::sched.sysmon_rests;
    rt::sched.lock.unlock();
    if (!rests) {
        usleep(1000);
        return false;
    }
    const long before = switches_of_others();
    usleep(300'000);
    return switches_of_others() == before;
}

}  // namespace gort::sched_test
