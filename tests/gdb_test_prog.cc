// tests/gdb_test_prog.cc HOW - the program that tests/gdb_test.sh looks into.
// SPDX-License-Identifier: BSD-2-Clause
//
// Goroutines: 2 to 6 receive, in two depths; 7 sleeps from a tail call; 8 waits for a mutex; 9 is locked to its thread
// and sleeps; 10 computes; 11 has not begun when HOW is `fresh`. Then main does what HOW says:
//      wait     calls stop_here() and goes on until the word `go_on` is set; then all end well
//      segv     dies of a null pointer       handler  dies inside of a signal handler       gort  dies inside of gort
//      fresh    dies with one that has not begun      N  parks so many more and does as wait
#include <gort.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

using namespace std::chrono_literals;

volatile int g_go_on = 0;
volatile int g_sum = 0;
std::atomic<int> g_begun{0};

// Where the debugger stops, and may set g_go_on.
extern "C" [[gnu::noinline]] void stop_here() { asm volatile("" ::: "memory"); }

[[gnu::noinline]] void receiver(gort::chan<int> c, int depth) {
    volatile int local = depth + 40;
    if (depth > 0) {
        receiver(c, depth - 1);
    } else {
        ++g_begun;
        g_sum = g_sum + c.recv();
    }
    g_sum = g_sum + local - depth - 40;
}
[[gnu::noinline]] void computes() {
    ++g_begun;
    while (!g_go_on) {
    }
}
[[gnu::noinline]] void locks(gort::mutex* mu) {
    ++g_begun;
    mu->lock();
    g_sum = g_sum + 1;
    mu->unlock();
}
[[gnu::noinline]] void locked_sleeper(gort::chan<int> c) {
    gort::lock_os_thread();
    gort::set_label("tied");
    ++g_begun;
    c.recv();
    g_sum = g_sum + 1;
}
[[gnu::noinline]] void dies_in_handler(int) { *static_cast<volatile int*>(nullptr) = 1; }

void die(const char* how) {
    if (!std::strcmp(how, "segv")) *static_cast<volatile int*>(nullptr) = 1;
    if (!std::strcmp(how, "fresh")) {
        gort::go([] { std::puts("begun"); });
        *static_cast<volatile int*>(nullptr) = 1;
    }
    if (!std::strcmp(how, "handler")) {
        std::signal(SIGUSR1, dies_in_handler);
        std::raise(SIGUSR1);
    }
    if (!std::strcmp(how, "gort")) {
        alignas(gort::chan<int>) unsigned char broken[sizeof(gort::chan<int>)];
        std::memset(broken, 0x40, sizeof broken);  // a channel at an address that cannot be
        std::launder(reinterpret_cast<gort::chan<int>*>(broken))->recv();
    }
}

int main(int argc, char** argv) {
    const char* how = argc > 1 ? argv[1] : "wait";
    gort::options o;
    o.max_procs = std::strcmp(how, "fresh") ? 3 : 1;
    return gort::run(
        [how] {
            auto numbers = gort::make_chan<int>();
            gort::mutex mu;
            mu.lock();
            gort::wait_group all;
            for (int i = 0; i < 5; ++i) all.go([=] { receiver(numbers, i % 2 * 2); });
            gort::go([] { gort::sleep(1000s); });
            all.go([&mu] { locks(&mu); });
            all.go([=] { locked_sleeper(numbers); });
            all.go([] { computes(); });
            for (int i = std::atoi(how); i > 0; --i) all.go([=] { receiver(numbers, 0); });
            while (g_begun < 8 + std::atoi(how)) gort::sleep(10ms);
            gort::sleep(100ms);
            die(how);
            for (int i = 0; i < 600 && !g_go_on; ++i) {
                stop_here();
                gort::sleep(100ms);
            }
            mu.unlock();
            numbers.close();
            all.wait();
            std::printf("sum %d\n", g_sum);
            return g_sum == 2 ? 0 : 3;
        },
        o);
}
