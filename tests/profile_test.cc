// tests/profile_test.cc - profile::waits, equal stacks in dumps of many goroutines, and who may ask for what.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/profile.h"

#include <sys/stat.h>

#include <sstream>

#include "gort.h"
#include "tests/panic_test.h"

using namespace gort;
using namespace gort::panic_test;
using namespace std::chrono_literals;

namespace {

template <class F>
std::string written(F f) {
    const int fd = memfd_create("written", 0);
    f(fd);
    std::string text = test::read_output(fd);
    close(fd);
    return text;
}

[[gnu::noinline]] void waits_here(chan<int> c, int depth) {
    if (depth) waits_here(c, depth - 1);
    else c.recv();
    asm volatile("");
}

// Until n more goroutines than now are parked for good: a parked one is not runnable, and nobody else runs.
void until_waiting(int n) {
    while (stats(false).waiting < n) yield();
}

struct Line {
    std::string stack;
    int64_t us = 0;
};
std::vector<Line> waits() {
    std::istringstream in(written([](int fd) { profile::waits(fd); }));
    std::vector<Line> lines;
    for (std::string s; std::getline(in, s);) {
        const size_t at = s.rfind(' ');
        lines.push_back({s.substr(0, at), std::atoll(s.c_str() + at + 1)});
    }
    return lines;
}
// Of the stacks that end in a receive and on which waits_here stands so often.
int64_t total(const std::vector<Line>& lines, size_t depth) {
    int64_t sum = 0;
    for (const Line& l : lines) {
        size_t found = 0;
        for (size_t at = 0; (at = l.stack.find("waits_here(gort::chan<int>, int);", at)) != std::string::npos;
             ++at)
            ++found;
        const std::string end = ";[chan receive]";
        if (found == depth && l.stack.compare(l.stack.size() - end.size(), end.size(), end) == 0) sum += l.us;
    }
    return sum;
}

TEST_P(waits_are_folded_by_stack_and_weighted_by_time, 1, 2) {
    run([] {
        auto c = make_chan<int>();
        for (int i = 0; i < 30; ++i) go(waits_here, c, i % 3);
        go([=] {
            set_label("conn;1");
            c.recv();
            asm volatile("");
        });
        until_waiting(31);
        const auto before = waits();
        sleep(50ms);
        const auto after = waits();
        // Of each depth ten; they have waited on for as long as we slept, each of them.
        for (size_t depth = 1; depth <= 3; ++depth) {
            const int64_t was = total(before, depth), is = total(after, depth);
            CHECK(was >= 10);
            CHECK(is >= was + 10 * 50'000);
        }
        bool labeled = false;
        for (const Line& l : after) labeled |= l.stack.rfind("\"conn:1\";", 0) == 0;
        CHECK(labeled);
        for (const Line& l : after) CHECK(l.us > 0);
        c.close();
    });
}

TEST(waits_of_nobody_are_nothing) {
    run([] { CHECK_EQ(written([](int fd) { profile::waits(fd); }), std::string()); });
    CHECK_EQ(written([](int fd) { profile::waits(fd); }), std::string());
}

// More than a thousand: equal stacks once. A thousand and less: each by itself, as in Go.
TEST(dumps_of_many_show_equal_stacks_once) {
    run([] {
        auto c = make_chan<int>();
        for (int i = 0; i < 2000; ++i) go(waits_here, c, i % 2);
        until_waiting(2000);
        const std::string text = written([](int fd) { dump_goroutines(fd); });
        size_t blocks = 0, others = 0, ids = 0;
        std::istringstream in(text);
        for (std::string s; std::getline(in, s);) {
            blocks += s.rfind("goroutine ", 0) == 0;
            unsigned long more = 0;
            if (std::sscanf(s.c_str(), "... and %lu more with this stack: goroutines", &more) == 1) {
                ++others;
                ids += more;
            }
        }
        CHECK_EQ(blocks, 3u);
        CHECK_EQ(others, 2u);
        CHECK_EQ(ids, 1998u);
        c.close();
    });
}

// A program whose effective user is not the real one: the kernel says AT_SECURE to it.
TEST(privileged_programs_do_not_show_what_the_environment_asks_for) {
    if (getuid() != 0) TEST_SKIP("not root");
    if (GORT_ASAN) TEST_SKIP("LeakSanitizer ends every privileged program");
    char self[512] = {};
    CHECK(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    char copy[] = "/tmp/gort-secure-XXXXXX";
    const int fd = mkstemp(copy);
    close(fd);
    const std::string make =
        std::string("cp ") + self + " " + copy + " && chown 65534 " + copy + " && chmod 4755 " + copy;
    CHECK_EQ(system(make.c_str()), 0);
    // A value that is not accepted ends the program at its start, unless nobody reads it.
    auto status = [&](const char* variable, const std::string& program) {
        return system(
            (std::string(variable) + "=nonsense " + program + " waits_of_nobody >/dev/null 2>&1").c_str());
    };
    struct stat s;
    const bool obeyed = stat(copy, &s) == 0 && (s.st_mode & S_ISUID);
    for (const char* variable : {"GORT_TRACEBACK", "GORT_STALL", "GORT_SCHEDTRACE", "GORT_SCHEDDETAIL"}) {
        CHECK(status(variable, self) != 0);
        if (obeyed) CHECK_EQ(status(variable, copy), 0);
    }
    // What changes how the program runs, and shows nothing, is obeyed by both.
    if (obeyed) CHECK(status("GORT_MAXPROCS", copy) != 0);
    unlink(copy);
}

}  // namespace
