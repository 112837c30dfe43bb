// bench/boost/fibers.h - Boost.Fiber set up as its users would for speed: P threads, pooled guarded stacks.
// SPDX-License-Identifier: BSD-2-Clause
//
// P = 1 is round robin on one thread; more is work stealing, idle threads spinning (Boost's default). Stacks
// are 16 KiB, guard included, kept in free lists. Each guard splits a mapping, so past half of
// vm.max_map_count there are none, where Boost's own allocators would fail or go without.
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <boost/fiber/all.hpp>
#include <cstddef>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#include "bench/harness.h"

namespace bench {

class PooledStack {
public:
    static constexpr size_t kSize = 16 * 1024, kGuard = 4096, kBatch = 256;
    static constexpr size_t kMostGuards = 32000;

    boost::context::stack_context allocate() {
        std::vector<void*>& mine = cache();
        if (mine.empty()) refill(mine);
        void* low = mine.back();
        mine.pop_back();
        boost::context::stack_context sctx;
        sctx.size = kSize;
        sctx.sp = static_cast<char*>(low) + kSize;
        return sctx;
    }
    void deallocate(boost::context::stack_context& sctx) noexcept {
        std::vector<void*>& mine = cache();
        mine.push_back(static_cast<char*>(sctx.sp) - kSize);
        if (mine.size() < 4 * kBatch) return;
        const std::lock_guard lock(
            shared_mutex());  // a thread that only ends fibers gives back to those that start them
        shared().insert(shared().end(), mine.end() - 2 * kBatch, mine.end());
        mine.resize(mine.size() - 2 * kBatch);
    }

private:
    static std::vector<void*>& cache() {
        thread_local std::vector<void*> list;
        return list;
    }
    static std::vector<void*>& shared() {
        static std::vector<void*> list;
        return list;
    }
    static std::mutex& shared_mutex() {
        static std::mutex mutex;
        return mutex;
    }
    static void refill(std::vector<void*>& mine) {
        {
            const std::lock_guard lock(shared_mutex());
            const size_t take = std::min(kBatch, shared().size());
            mine.insert(mine.end(), shared().end() - static_cast<std::ptrdiff_t>(take), shared().end());
            shared().resize(shared().size() - take);
        }
        if (!mine.empty()) return;
        void* chunk = mmap(nullptr, kBatch * kSize, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (chunk == MAP_FAILED) throw std::bad_alloc();
        static std::atomic<size_t> guarded{0};
        for (size_t i = 0; i < kBatch; ++i) {
            char* low = static_cast<char*>(chunk) + i * kSize;
            if (guarded.fetch_add(1, std::memory_order_relaxed) < kMostGuards)
                mprotect(low, kGuard, PROT_NONE);
            mine.push_back(low);
        }
    }
};

template <class F>
void go(F f) {
    boost::fibers::fiber(boost::fibers::launch::post, std::allocator_arg, PooledStack(), std::move(f))
        .detach();
}

inline void yield() { boost::this_fiber::yield(); }

// Go's WaitGroup for one round: the last done wakes the one that waits.
class WaitGroup {
public:
    void add(uint64_t n) { left_.fetch_add(n, std::memory_order_relaxed); }
    void done() {
        if (left_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
        const std::lock_guard lock(mutex_);
        over_ = true;
        empty_.notify_all();
    }
    void wait() {
        std::unique_lock lock(mutex_);
        empty_.wait(lock, [this] { return over_; });
        over_ = false;
    }

private:
    std::atomic<uint64_t> left_{0};
    bool over_ = false;
    boost::fibers::mutex mutex_;
    boost::fibers::condition_variable empty_;
};

// The scheduler threads of one workload; the calling thread is one of them. Constructed once in a process.
class Fibers {
public:
    explicit Fibers(unsigned procs) {
        if (procs == 1) return;
        for (unsigned i = 1; i < procs; ++i)
            threads_.emplace_back([this, procs] {
                boost::fibers::use_scheduling_algorithm<boost::fibers::algo::work_stealing>(procs);
                std::unique_lock lock(mutex_);
                stopped_.wait(lock, [this] { return stop_; });
            });
        boost::fibers::use_scheduling_algorithm<boost::fibers::algo::work_stealing>(procs);
    }
    ~Fibers() {
        {
            const std::lock_guard lock(mutex_);
            stop_ = true;
            stopped_.notify_all();
        }
        for (std::thread& t : threads_) t.join();
    }

private:
    bool stop_ = false;
    boost::fibers::mutex mutex_;
    boost::fibers::condition_variable stopped_;
    std::vector<std::thread> threads_;
};

template <class T>
using Unbuffered = boost::fibers::unbuffered_channel<T>;
template <class T>
using Buffered =
    boost::fibers::buffered_channel<T>;  // capacity: a power of two, of which one slot stays empty

}  // namespace bench
