// tests/explore/explore.h - what a piece of the exploration is written with: model threads, a start, checks.
// SPDX-License-Identifier: BSD-2-Clause
//
// A piece runs once up to start(), in one order and without weak memory: that is its setup. Everything after start()
// is explored: it runs again and again from the state that memory had then, each time in another order and with other
// stores read. An execution ends well when all model threads have ended, or when somebody calls finish().
//
//      EXPLORE(mutex, .preemptions = 3) {
//          for (int i = 0; i < 2; ++i) spawn([] { LockGuard guard(g_mutex); ++g_counter; });
//          start();
//          join();
//          check(g_counter == 2, "both have counted");
//      }
//
// Context: a piece's body is model thread 0, which counts as one of the threads that interleave. No exceptions, no
//          libc that waits; memory from new is given back when the next execution begins.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gort::explore {

inline constexpr int kThreads = 8;

// How far the search goes. What has no bound is searched whole, as long as it is small.
inline constexpr int kUnbounded = 1000;
struct Bounds {
    int preemptions = 2;  // switches away from a thread that could have gone on
    int stale = 2;        // loads that read another store than the newest one
    int early = 0;  // stores that go before others in modification order, read-modify-writes that miss some
    int timeouts = 1;  // timed waits that end by their time although somebody could go on
    uint64_t executions = 20'000;
    int64_t clock_step = 1000;  // ns from one reading of the clock to the next
};

struct Piece {
    const char* name;
    void (*run)();
    Bounds bounds;
    const char* finds;  // how the failure begins that must be found; null: there must be none
    Piece* next;
    static Piece* all;
    Piece(const char* n, void (*fn)(), Bounds b, const char* f)
        : name(n), run(fn), bounds(b), finds(f), next(all) {
        all = this;
    }
};

#define GORT_EXPLORE(id, finds, ...)                                                                  \
    static void explore_##id();                                                                       \
    static ::gort::explore::Piece piece_##id(#id, explore_##id, ::gort::explore::Bounds{__VA_ARGS__}, \
                                             finds);                                                  \
    static void explore_##id()
#define EXPLORE(id, ...) GORT_EXPLORE(id, nullptr, __VA_ARGS__)
// A search that must find a failure whose text begins so: the outcome is allowed, or what the piece leaves out is
// needed.
#define EXPLORE_FINDS(id, text, ...) GORT_EXPLORE(id, text, __VA_ARGS__)

using ThreadFn = void (*)(void* arg);
void spawn_raw(ThreadFn fn, void* arg);
template <class F>
void spawn(F fn) {
    auto* copy = new F(fn);
    spawn_raw([](void* p) { (*static_cast<F*>(p))(); }, copy);
}
void start();                // [thread 0, once] exploration begins here
void join();                 // [thread 0] waits until all others have ended, and sees what they did
[[noreturn]] void finish();  // this execution is over and was good
[[noreturn]] void fail(const char* text);
inline void check(bool good, const char* text) {
    if (!good) fail(text);
}
uint32_t pick(uint32_t n);  // one of n, each of them in some execution: what a piece leaves open
int64_t model_time();       // the model's clock, in ns, without moving it
int thread_id();
// A word's name in what a failure prints, and that of what lies in the bytes behind it: name+8.
void name(const void* address, size_t size, const char* text);

void make_edge(int fd, uint32_t bits);  // epoll is to say so
// Plain accesses of these bytes race with others on purpose.
void meant(const void* address, size_t size);
// What is loaded from there is the address of all that the loading thread does next, so a load of any order acquires:
// no processor reads or writes at an address before it has it. C++ calls that consume, and compilers make it acquire.
void dependent(const void* address);

}  // namespace gort::explore
