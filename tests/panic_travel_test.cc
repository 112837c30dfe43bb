// tests/panic_travel_test.cc - exceptions that move between threads with their goroutines, and what libc does for us.
// SPDX-License-Identifier: BSD-2-Clause
//
// The ids (CC-…) are those of the list of behaviours.
#include "tests/panic_test.h"

#include <sys/syscall.h>

#include <stdexcept>
#include <thread>

#include "rt/host.h"

using namespace gort;
using namespace gort::panic_test;

namespace {

// ---- exceptions that travel ----

long tid() { return syscall(SYS_gettid); }

// Yields to a goroutine that computes until this one goes on, which it can on another thread only.
void move_to_another_thread() {
    std::atomic<bool> moved{false}, over{false};
    const long from = tid();
    go([&] {
        while (!moved) {
        }
        over = true;
    });
    while (tid() == from) yield();
    moved = true;
    while (!over) yield();
}

TEST(CC_07_a_caught_exception_moves_to_another_thread_with_its_goroutine) {
    TEST_TIMEOUT(60);
    constexpr int kWorkers = 4;
    std::atomic<int> left{kWorkers}, wrong{0};
    with_procs(4, [&] {
        for (int w = 0; w < kWorkers; w++)
            go([&, w] {
                for (int round = 0; round < 5; round++) {
                    try {
                        try {
                            throw w * 1000 + round;
                        } catch (int) {
                            move_to_another_thread();
                            if (std::uncaught_exceptions() != 0 || !std::current_exception()) wrong++;
                            throw;
                        }
                    } catch (int v) {
                        yield();
                        if (v != w * 1000 + round) wrong++;
                    }
                    if (std::current_exception()) wrong++;
                }
                left--;
            });
        EVENTUALLY(left.load() == 0);
    });
    CHECK_EQ(wrong, 0);
}

TEST_P(CC_10_destructors_yield_during_unwinding) {
    struct Yields {
        std::atomic<int>* wrong;
        ~Yields() {
            int n = std::uncaught_exceptions();
            for (int i = 0; i < 20; i++) yield();
            if (std::uncaught_exceptions() != n) ++*wrong;
        }
    };
    constexpr int kWorkers = 8;
    std::atomic<int> left{kWorkers}, wrong{0};
    with_procs(procs, [&] {
        for (int w = 0; w < kWorkers; w++)
            go([&, w] {
                for (int round = 0; round < 50; round++) try {
                        Yields a{&wrong};
                        if (w % 2) {
                            try {
                                Yields b{&wrong};
                                throw std::to_string(w);
                            } catch (const std::string& s) {
                                yield();
                                if (s != std::to_string(w)) wrong++;
                            }
                        }
                        throw w;
                    } catch (int v) {
                        if (v != w) wrong++;
                    }
                left--;
            });
        EVENTUALLY(left.load() == 0);
    });
    CHECK_EQ(wrong, 0);
}

// ---- the host ----

TEST(a_thread_calls_what_it_promised_when_it_ends) {
    static std::string log;
    static rt::HostThreadExit first, second;
    std::thread([] {
        const auto add = [](void* s) { log += static_cast<const char*>(s); };
        CHECK_EQ(rt::host_on_thread_exit(&first, add, const_cast<char*>("b")), 0);
        CHECK_EQ(rt::host_on_thread_exit(&second, add, const_cast<char*>("a")), 0);
    }).join();
    CHECK_EQ(log, "ab");
}

TEST(a_thread_is_started_with_as_much_stack_as_libc_needs) {
    static std::atomic<int> runs{0};
    static rt::HostStart start{[](void*) { runs++; }, nullptr};
    for (size_t stack : {size_t{0}, size_t{1}, size_t{64} << 10, size_t{1} << 20})
        CHECK_EQ(rt::host_start_thread(&start, stack), 0);
    EVENTUALLY(runs.load() == 4);
}

}  // namespace
