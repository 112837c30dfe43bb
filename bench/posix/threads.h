// bench/posix/threads.h - what people write without a runtime: a thread for every task, locks and conditions.
// SPDX-License-Identifier: BSD-2-Clause
//
// P is the number of CPUs that the process may use.
#pragma once

#include <pthread.h>
#include <sched.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

#include "bench/harness.h"

namespace bench {

inline void use_cpus(unsigned procs) {
    cpu_set_t may, use;
    CPU_ZERO(&use);
    sched_getaffinity(0, sizeof may, &may);
    for (unsigned cpu = 0; cpu < CPU_SETSIZE && procs; ++cpu)
        if (CPU_ISSET(cpu, &may)) {
            CPU_SET(cpu, &use);
            --procs;
        }
    sched_setaffinity(0, sizeof use, &use);
}

// A thread with a stack of 64 KiB, so that many fit.
class Thread {
public:
    explicit Thread(std::function<void()> f) : f_(std::move(f)) {
        pthread_attr_t attr;
        pthread_attr_init(&attr);
        pthread_attr_setstacksize(&attr, 64 * 1024);
        const int error = pthread_create(
            &id_, &attr,
            [](void* self) -> void* {
                static_cast<Thread*>(self)->f_();
                return nullptr;
            },
            this);
        pthread_attr_destroy(&attr);
        if (error) std::abort();
    }
    Thread(const Thread&) = delete;
    Thread& operator=(const Thread&) = delete;
    ~Thread() { pthread_join(id_, nullptr); }

private:
    std::function<void()> f_;
    pthread_t id_{};
};

// A channel as one writes it with a mutex and two conditions. cap 0: send returns when the value was taken.
template <class T>
class Chan {
public:
    explicit Chan(size_t cap = 0) : cap_(cap) {}
    void send(T v) {
        std::unique_lock lock(mutex_);
        if (cap_) {
            not_full_.wait(lock, [this] { return items_.size() < cap_; });
            items_.push_back(v);
            not_empty_.notify_one();
            return;
        }
        not_full_.wait(lock, [this] { return items_.empty(); });
        items_.push_back(v);
        const uint64_t mine = ++sent_;
        not_empty_.notify_one();
        taken_cond_.wait(lock, [&] { return taken_ >= mine; });
    }
    bool recv(T* v) {
        std::unique_lock lock(mutex_);
        not_empty_.wait(lock, [this] { return closed_ || !items_.empty(); });
        if (items_.empty()) return false;
        *v = items_.front();
        items_.pop_front();
        ++taken_;
        not_full_.notify_one();
        if (!cap_) taken_cond_.notify_one();
        return true;
    }
    void close() {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        not_empty_.notify_all();
    }

private:
    const size_t cap_;
    std::mutex mutex_;
    std::condition_variable not_full_, not_empty_, taken_cond_;
    std::deque<T> items_;
    uint64_t sent_ = 0, taken_ = 0;
    bool closed_ = false;
};

}  // namespace bench
