// tests/soak_test.cc - everything at once for a long time: what a process holds stays flat.
// SPDX-License-Identifier: BSD-2-Clause
//
// Workers go deep, block their threads, set timers, talk over connections, panic and lend their stacks, in waves with
// pauses. What the process holds is looked at between the waves, when all have ended: memory, threads, descriptors and
// mappings of the second half of the time are no more than those of the first, but for some slack.
// GORT_SOAK_SECONDS: how long (default 4; make stress: SOAK seconds once, 1,200 unless said).
#include <time.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

#include "arch/sanitize.h"
#include "chan/time.h"
#include "rt/panic.h"
#include "rt/stats.h"
#include "rt/sync/wait_group.h"
#include "rt/time.h"
#include "tests/net_test.h"

using namespace gort;
using namespace gort::net_test;
using namespace std::chrono_literals;

namespace {

long soak_seconds() {
    const char* text = std::getenv("GORT_SOAK_SECONDS");
    const long n = text ? std::atol(text) : 0;
    return n > 0 ? n : 4;
}

struct Held {
    long rss_kb = 0, threads = 0, fds = 0, mappings = 0;
};

Held held() {
    Held h;
    if (FILE* f = std::fopen("/proc/self/statm", "r")) {
        long all = 0, resident = 0;
        if (std::fscanf(f, "%ld %ld", &all, &resident) == 2)
            h.rss_kb = resident * (sysconf(_SC_PAGESIZE) / 1024);
        std::fclose(f);
    }
    h.threads = long(test::names_in("/proc/self/task").size());
    h.fds = long(test::names_in("/proc/self/fd").size());
    h.mappings = test::count_mappings();
    return h;
}

[[gnu::noinline]] int deep(int levels, volatile char* above) {
    volatile char mine[1000];
    mine[0] = above ? above[0] : 1;
    const int below = levels ? deep(levels - 1, mine) : 0;
    return below + mine[0];
}

void block_the_thread() {
    const timespec t{0, 3'000'000};
    nanosleep(&t, nullptr);
}

void timers(std::atomic<long>& ran) {
    auto fired = after_func(500us, [&ran] { ran.fetch_add(1, std::memory_order_relaxed); });
    after_func(10s, [] {}).stop();
    sleep(1ms);
    fired.stop();
}

void panics() {
    try {
        throw panic_error("soak");
    } catch (const panic_error&) {
    }
}

int fib(int n) {
    if (n < 2) return n;
    int a = 0;
    wait_group wg;
    wg.go([&] { a = fib(n - 1); });
    const int b = fib(n - 2);
    wg.wait();
    return a + b;
}

// Some hundred goroutines of every kind, all ended at its return.
void wave(const std::string& address, unsigned turn, std::atomic<long>& wrong) {
    wait_group wg;
    std::atomic<long> ran{0};
    for (unsigned i = 0; i < 40; ++i) {
        wg.go([&, i] {
            // No stack is larger than it was asked for where a tool watches.
            const int deepest = arch::kToolWatches ? 60 : 20'000;
            const int levels = std::min(deepest, i % 10 ? 100 : turn % 8 == 0 && i == 0 ? 20'000 : 1'500);
            if (deep(i % 64 < 20 ? levels : 10, nullptr) <= 0) wrong.fetch_add(1);
        });
        wg.go(block_the_thread);
        wg.go([&] { timers(ran); });
        wg.go(panics);
        wg.go([&] {
            if (fib(10) != 55) wrong.fetch_add(1);
        });
        if (i % 4) continue;
        wg.go([&] {
            auto c = net::dial(address).value();
            std::array<char, 512> out, in;
            out.fill('x');
            for (int k = 0; k < 8; ++k) {
                c.write(std::span<const char>(out)).value();
                c.read_full(std::span<char>(in)).value();
                if (in != out) wrong.fetch_add(1);
            }
            c.close().value();
        });
    }
    wg.wait();
}

}  // namespace

TEST_P(soak, 2) {
    TEST_TIMEOUT(unsigned(soak_seconds() + 120));
    const std::chrono::nanoseconds span = std::chrono::seconds(soak_seconds());
    with_procs(procs, [&] {
        auto l = net::listen("127.0.0.1:0").value();
        wait_group servers;
        servers.go([&] {
            while (auto accepted = l.accept())
                servers.go([c = *accepted] {
                    char buf[600];
                    while (auto n = c.read(buf)) c.write(std::span(buf, *n)).value();
                    c.close().value();
                });
        });
        const std::string address = address_of(l);
        std::atomic<long> wrong{0};
        Held first, second;
        const auto begin = std::chrono::steady_clock::now();
        const auto add = [](Held* to, const Held& h) {
            to->rss_kb = std::max(to->rss_kb, h.rss_kb);
            to->threads = std::max(to->threads, h.threads);
            to->fds = std::max(to->fds, h.fds);
            to->mappings = std::max(to->mappings, h.mappings);
        };
        unsigned turn = 0;
        for (auto now = begin; now < begin + span; now = std::chrono::steady_clock::now()) {
            wave(address, turn++, wrong);
            const Held h = held();
            add(now - begin < span / 2 ? &first : &second, h);
            if (test::stress() && turn % 200 == 1)
                std::printf("soak %3lld s: %u waves, %ld KiB, %ld threads, %ld descriptors, %ld mappings\n",
                            static_cast<long long>((now - begin) / 1s), turn, h.rss_kb, h.threads, h.fds,
                            h.mappings);
            if (turn % 50 == 0) sleep(200ms);
        }
        std::printf(
            "soak: %u waves; first half at most %ld KiB, %ld threads, %ld descriptors, %ld mappings; "
            "second %ld, %ld, %ld, %ld\n",
            turn, first.rss_kb, first.threads, first.fds, first.mappings, second.rss_kb, second.threads,
            second.fds, second.mappings);
        CHECK_EQ(wrong.load(), 0);
        CHECK_LT(2u, turn);
        // What is held at the end of a wave depends on how its goroutines met: slack, but no growth with the time.
        // A few seconds say nothing of that, nor does a tool's own memory.
        if (soak_seconds() >= 60 && !arch::kToolWatches) {
            CHECK_LE(second.rss_kb, first.rss_kb * 5 / 4 + 16 * 1024);
            CHECK_LE(second.threads, first.threads + 16);
            CHECK_LE(second.fds, first.fds + 16);
            CHECK_LE(second.mappings, first.mappings + 64);
        }
        l.close().value();
        servers.wait();
    });
}
