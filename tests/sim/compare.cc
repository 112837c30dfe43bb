// tests/sim/compare.cc - the corpus under the simulation and under native stress, in the same CPU time: what is gained.
// SPDX-License-Identifier: BSD-2-Clause
//
// compare [SECONDS]: for each program, how many runs random, pct and exhaustive need to find its bug (the median of
// nine seeds), how long random takes for that, and how often the same CPU time, but SECONDS at least, finds it
// natively, where each run is a child of its own: a deadlock, a panic or a failed check ends it. Before that, how many
// runs a second of CPU time there are of a program with four goroutines and forty operations. `make sim-compare`.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "tests/sim/all.h"

using namespace gort;

namespace {

double cpu_of(int who) {
    rusage u{};
    getrusage(static_cast<__rusage_who>(who), &u);
    return static_cast<double>(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           static_cast<double>(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

constexpr uint64_t kMost = 20'000;

// The median number of runs; 0: more than half of the seeds have not found it.
uint64_t runs_needed(const corpus::Program& p, sim::strategy how) {
    const int seeds = how == sim::strategy::exhaustive ? 1 : 9;
    std::vector<uint64_t> n;
    for (int i = 0; i < seeds; ++i) {
        const auto r = sim::explore({.seed = static_cast<uint64_t>(i) * 1'000'000 + 1,
                                     .runs = kMost,
                                     .how = how,
                                     .depth = how == sim::strategy::pct ? 3 : 2,
                                     .shorten = false},
                                    p.wrong);
        n.push_back(r.failed ? r.runs : kMost + 1);
    }
    std::sort(n.begin(), n.end());
    const uint64_t median = n[n.size() / 2];
    return median > kMost ? 0 : median;
}

void forty_operations() {
    auto c = make_chan<int>(2);
    auto mu = std::make_shared<mutex>();
    wait_group wg;
    for (int i = 0; i < 2; ++i) {
        wg.go([=] {
            for (int k = 0; k < 4; ++k) {
                c << k;
                std::lock_guard lock(*mu);
            }
        });
        wg.go([=] {
            for (int k = 0; k < 4; ++k) {
                c.recv();
                std::lock_guard lock(*mu);
            }
        });
    }
    wg.wait();
}

void runs_a_second() {
    constexpr uint64_t kRuns = 50'000;
    for (auto how : {sim::strategy::random, sim::strategy::pct}) {
        const double began = cpu_of(RUSAGE_SELF);
        const auto r = sim::explore({.seed = 1, .runs = kRuns, .how = how}, forty_operations);
        if (r.failed) std::abort();
        std::printf("%s: %.0f runs a second\n", how == sim::strategy::random ? "random" : "pct",
                    static_cast<double>(r.runs) / (cpu_of(RUSAGE_SELF) - began));
    }
}

struct Native {
    int found = 0, runs = 0;
};

// A child repeats the program until it is found out or its CPU time is used up. A leak is looked for where the test
// returns: somebody is left who has nothing more to wait for.
Native stress(const corpus::Program& p, double seconds) {
    Native n;
    for (const double end = cpu_of(RUSAGE_CHILDREN) + seconds; cpu_of(RUSAGE_CHILDREN) < end;) {
        int to[2];
        if (pipe(to) != 0) std::abort();
        const pid_t child = fork();
        if (child == 0) {
            close(to[0]);
            if (!std::freopen("/dev/null", "w", stderr)) _exit(3);
            const double until = cpu_of(RUSAGE_SELF) + end - cpu_of(RUSAGE_CHILDREN);
            alarm(static_cast<unsigned>(seconds) + 5);
            for (const char one = 1; cpu_of(RUSAGE_SELF) < until;) {
                if (write(to[1], &one, 1) != 1) _exit(3);
                run([&] {
                    p.wrong();
                    for (int i = 0; num_goroutine() > 1; ++i) {
                        if (i == 20) _exit(2);
                        sleep(std::chrono::milliseconds(1));
                    }
                });
            }
            _exit(0);
        }
        close(to[1]);
        char buf[512];
        for (ssize_t got; (got = read(to[0], buf, sizeof buf)) > 0;) n.runs += static_cast<int>(got);
        close(to[0]);
        int status = 0;
        waitpid(child, &status, 0);
        if (!WIFEXITED(status) || WEXITSTATUS(status) == 2) ++n.found;
    }
    return n;
}

}  // namespace

int main(int argc, char** argv) {
    const double seconds = argc > 1 ? std::atof(argv[1]) : 0.2;
    runs_a_second();
    int found[4] = {};
    std::printf("%-34s %7s %7s %10s %9s %16s\n", "", "random", "pct", "exhaustive", "random ms",
                "native found/runs");
    for (const auto& p : corpus::kAll) {
        const double began = cpu_of(RUSAGE_SELF);
        const uint64_t random = runs_needed(p, sim::strategy::random);
        const double took = (cpu_of(RUSAGE_SELF) - began) / 9;
        const uint64_t pct = runs_needed(p, sim::strategy::pct);
        const uint64_t all = runs_needed(p, sim::strategy::exhaustive);
        const Native native = stress(p, std::max(took, seconds));
        std::printf("%-34s %7d %7d %10d %9.2f %8d/%d\n", p.name, static_cast<int>(random),
                    static_cast<int>(pct), static_cast<int>(all), took * 1e3, native.found, native.runs);
        std::fflush(stdout);
        found[0] += random > 0;
        found[1] += pct > 0;
        found[2] += all > 0;
        found[3] += native.found > 0;
    }
    std::printf("%-34s %7d %7d %10d %9s %8d of %d\n", "found", found[0], found[1], found[2], "", found[3],
                static_cast<int>(std::size(corpus::kAll)));
}
