// tests/schedtrace_test.cc - GORT_SCHEDTRACE and GORT_SCHEDDETAIL: what is printed, when, and that it changes nothing.
// SPDX-License-Identifier: BSD-2-Clause
//
// The ids (SD-…) are those of the list of Go's behaviours. Refusals of bad values are in sched_options_test.cc.
#include <algorithm>
#include <regex>
#include <sstream>

#include "rt/time.h"
#include "tests/sched_test.h"

using namespace gort;
using namespace gort::sched_test;

namespace {

std::vector<std::string> lines_of(const std::string& text, const std::string& start) {
    std::vector<std::string> found;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);)
        if (line.starts_with(start)) found.push_back(line);
    return found;
}

long field(const std::string& line, const std::string& name) {
    const size_t at = line.find(name + "=");
    return at == std::string::npos ? -1 : std::strtol(line.c_str() + at + name.size() + 1, nullptr, 10);
}

// The numbers between brackets after `name`.
std::vector<long> list(const std::string& line, const std::string& name) {
    std::vector<long> all;
    const size_t from = line.find(name + "=[ ");
    if (from == std::string::npos) return {};
    std::istringstream in(line.substr(from + name.size() + 3, line.find(']', from) - from - name.size() - 3));
    for (long n; in >> n;) all.push_back(n);
    return all;
}

// What a child prints on stderr until `enough` says so; it runs `main` meanwhile, which is told to end.
template <class F>
std::string trace_until(const char* ms, bool detail, int procs, F main,
                        std::function<bool(const std::string&)> enough) {
    Died d = run_child([&] {
        setenv("GORT_SCHEDTRACE", ms, 1);
        if (detail) setenv("GORT_SCHEDDETAIL", "1", 1);
        int fds[2];
        CHECK(pipe(fds) == 0);
        dup2(fds[1], 2);
        std::atomic<bool> stop{false};
        std::string text;
        std::thread reader([&] {  // no goroutine: the trace is not to see it
            char buf[4096];
            for (ssize_t n; (n = read(fds[0], buf, sizeof buf)) > 0;) {
                if (stop) continue;
                text.append(buf, size_t(n));
                stop = enough(text);
            }
        });
        with_procs(procs, [&] { main(stop); });
        dup2(1, 2);
        close(fds[1]);
        reader.join();
        std::fputs(text.c_str(), stdout);
        std::fflush(stdout);
    });
    CHECK_DIED(d, d.exit_code() == 0);
    return d.out;
}

auto has_lines(size_t n) {
    return [n](const std::string& text) { return lines_of(text, "SCHED ").size() >= n; };
}
void sleep_until_seen(const std::atomic<bool>& stop) {
    while (!stop) gort::sleep(std::chrono::milliseconds(1));
}

}  // namespace

TEST(SD_01_SD_02_SD_03_a_line_every_so_many_ms) {
    const std::string text = trace_until("10", false, 2, sleep_until_seen, has_lines(6));
    const auto all = lines_of(text, "SCHED ");
    long before = -1;
    for (size_t i = 0; i < 6; ++i) {
        const std::string& line = all[i];
        const long ms = std::strtol(line.c_str() + 6, nullptr, 10);
        CHECK_LE(long(i) * 10, ms);  // never too early; late when the machine is busy, also the first, at 0
        CHECK_LT(before, ms);
        before = ms;
        CHECK_EQ(field(line, "gomaxprocs"), 2);
        CHECK(field(line, "idleprocs") >= 0 && field(line, "idleprocs") <= 2);
        CHECK_LE(1, field(line, "threads"));
        CHECK_LE(0, field(line, "spinningthreads"));
        CHECK_LE(0, field(line, "needspinning"));
        CHECK_LE(0, field(line, "idlethreads"));
        CHECK_LE(0, field(line, "runqueue"));
        CHECK(std::regex_search(
            line, std::regex(R"( runqueue=\d+ \[ \d+ \d+ \] schedticks=\[ \d+ \d+ \]( [a-z]+=\d+)*$)")));
        CHECK_EQ(list(line, "schedticks").size(), 2u);
        CHECK_LE(0, field(line, "barriers"));
        CHECK_LE(0, field(line, "handshakes"));
        CHECK_LE(0, field(line, "futexwakes"));
    }
    const auto ticks = list(all[5], "schedticks");
    CHECK_LT(0, ticks[0] + ticks[1]);
    CHECK_LT(0, field(all[5], "futexwaits"));  // of those who slept between two lines
}

TEST(no_trace_without_the_variable) {
    Died d = run_child([] { with_procs(1, [] { gort::sleep(std::chrono::milliseconds(3)); }); });
    CHECK_DIED(d, d.exit_code() == 0);
    CHECK_EQ(d.err, "");
}

// Known states: main sleeps, three are parked, one spins on its own P.
TEST(SD_04_SD_06_detail) {
    const std::string text = trace_until(
        "5", true, 2,
        [](std::atomic<bool>& stop) {
            Sema never;
            for (int i = 0; i < 3; ++i) gort::go([&] { never.acquire(rt::WaitReason::kChanReceive); });
            Join spinner;
            spinner.add();
            gort::go([&] {
                while (!stop) {
                }
                spinner.done();
            });
            sleep_until_seen(stop);
            spinner.wait();
            for (int i = 0; i < 3; ++i) never.release();
        },
        [](const std::string& so_far) {
            size_t last = so_far.rfind("SCHED ");
            if (last == std::string::npos || last == 0) return false;
            size_t first = so_far.rfind("SCHED ", last - 1);
            if (first == std::string::npos) return false;
            const std::string one = so_far.substr(first, last - first);
            auto parked = lines_of(one, "  G");
            return std::count_if(parked.begin(), parked.end(),
                                 [](const std::string& g) {
                                     return g.find("status=4(chan receive)") != std::string::npos;
                                 }) == 3 &&
                   std::any_of(parked.begin(), parked.end(), [](const std::string& g) {
                       return g.find("status=2() m=") != std::string::npos;
                   });
        });
    const size_t last = text.rfind("SCHED "), first = text.rfind("SCHED ", last - 1);
    const std::string one = text.substr(first, last - first);
    CHECK(lines_of(one, "SCHED ")[0].find(" sysmonwait=false") != std::string::npos);
    const auto ps = lines_of(one, "  P"), ms = lines_of(one, "  M"), gs = lines_of(one, "  G");
    CHECK_EQ(ps.size(), 2u);
    CHECK_LE(2u, ms.size());
    CHECK_EQ(gs.size(), 5u);
    bool running = false;
    for (const std::string& p : ps) {
        running |= field(p, "status") == 1 && field(p, "m") >= 0;
        for (const char* name : {"schedtick", "runqsize", "gfreecnt", "timerslen"})
            CHECK_LE(0, field(p, name));
    }
    CHECK(running);
    for (const std::string& m : ms)
        for (const char* name : {" p=", " curg=", " dying=", " blocked=", " lockedg="})
            CHECK(m.find(name) != std::string::npos);
    for (const std::string& g : gs) CHECK(g.find(" lockedm=nil") != std::string::npos);
}

TEST(SD_05_a_fatal_error_prints_the_last_one) {
    Died d = run_child([] {
        setenv("GORT_SCHEDTRACE", "3600000", 1);
        with_procs(1, [] { rt::leave(rt::park(rt::enter(), nullptr, nullptr, rt::WaitReason::kPark)); });
    });
    CHECK_DIED(d, d.exit_code() == 2);
    const size_t fatal = d.err.find("fatal error: all goroutines are asleep - deadlock!");
    const size_t trace = d.err.rfind("SCHED ");
    CHECK_DIED(d, fatal != std::string::npos && trace != std::string::npos && fatal < trace);
    CHECK_DIED(d, d.err.find("  P0: status=", trace) != std::string::npos);
    CHECK_DIED(d, d.err.find("  G1: status=4(park)", trace) != std::string::npos);
    Died panics = run_child([] {
        setenv("GORT_SCHEDTRACE", "3600000", 1);
        with_procs(1, [] { gort::panic("enough"); });
    });
    CHECK_DIED(panics, panics.exit_code() == 2);
    CHECK_DIED(panics, panics.err.find("  P0: status=", panics.err.rfind("SCHED ")) != std::string::npos);
}

// A trace each ms, in detail, while goroutines come, go and block on more threads than there are CPUs.
TEST(SD_07_changes_nothing_and_does_not_hang) {
    const std::string text = trace_until(
        "1", true, 4,
        [](std::atomic<bool>& stop) {
            while (!stop) {
                Join all;
                std::atomic<int> ran{0};
                all.add(200);
                for (int i = 0; i < 200; ++i)
                    gort::go([&, i] {
                        if (i % 2) gort::yield();
                        if (i % 50 == 0) gort::sleep(std::chrono::microseconds(100));
                        ran++;
                        all.done();
                    });
                all.wait();
                CHECK_EQ(ran.load(), 200);
            }
        },
        has_lines(30));
    CHECK_LE(30u, lines_of(text, "SCHED ").size());
}
