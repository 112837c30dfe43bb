// tests/bench_report_test.cc - the report that bench/run makes of result lines.
// SPDX-License-Identifier: BSD-2-Clause
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/test.h"

namespace {

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }
size_t lines(const std::string& text) {
    return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

// What a shell command prints, given `input`.
std::string pipe_through(const std::string& command, const std::string& input) {
    char name[] = "/tmp/bench_test.XXXXXX";
    const int fd = mkstemp(name);
    CHECK_EQ(write(fd, input.data(), input.size()), static_cast<ssize_t>(input.size()));
    close(fd);
    FILE* p = popen((command + " < " + name).c_str(), "r");
    CHECK(p != nullptr);
    std::string out;
    char buf[4096];
    while (std::fgets(buf, sizeof buf, p)) out += buf;
    const int status = pclose(p);
    unlink(name);
    CHECK_EQ(status, 0);
    return out;
}

}  // namespace

TEST(report_is_made_of_the_lines) {
    if (access("bench/lines.awk", R_OK)) TEST_SKIP("not run from the top of the tree");
    const std::string rows =
        pipe_through("awk -v run=R -v round=1 -v peer=gort -f bench/lines.awk",
                     "yield P=1 g2 10.00 ns median=12.00 worst=14.00 reps=2 n=9 cpu=1.000\n"
                     "echo P=1 roundtrips 300000 /s median=2 worst=1 reps=2 n=9 cpu=1.000 load=epoll\n"
                     "yield P=1 g1000 99.00 ns med") +
        pipe_through("awk -v run=R -v round=2 -v peer=gort -f bench/lines.awk",
                     "yield P=1 g2 8.00 ns median=20.00 worst=30.00 reps=2 n=9 cpu=1.000\n"
                     "echo P=1 roundtrips 200000 /s median=4 worst=1 reps=2 n=9 cpu=1.000 load=epoll\n") +
        pipe_through("awk -v run=R -v round=1 -v peer=go -f bench/lines.awk",
                     "yield P=1 g2 16.00 ns median=17.00 worst=18.00 reps=2 n=9 cpu=1.000\n"
                     "echo P=1 roundtrips 150000 /s median=2 worst=1 reps=2 n=9 cpu=1.000 load=epoll\n");
    CHECK_EQ(lines(rows), 6);  // the line that was cut short is none
    CHECK(!has(rows, "g1000"));
    const std::string summary = pipe_through("awk -f bench/summary.awk", rows);
    CHECK(has(summary, "yield\t1\tg2\tns\tgort\t8\t16\t2\t"));
    CHECK(has(summary, "echo\t1\troundtrips\t/s\tgort\t300000\t3\t2\t"));
    const std::string report = pipe_through(
        "awk -v machine=/dev/null -v what=/dev/null -v hello=/dev/null -f bench/report.awk", summary);
    CHECK(has(report, "| `g2` | 1 | ns | 8.00 (16.0) | 16.0 (17.0) | **0.50** |"));
    CHECK(has(report, "| `roundtrips` | 1 | /s, more is better |"));
    CHECK(has(report, "| **2.00** |"));
    CHECK(has(report, "| Go | 1 | 2 | 2 | 0.50 |"));  // standings: ahead in both, by half
    // A hundredth and less is said as a factor, not as 0.00.
    const std::string far =
        pipe_through("awk -v machine=/dev/null -v what=/dev/null -v hello=/dev/null -f bench/report.awk",
                     "spawn\t1\tjoin\tns\tgort\t10\t10\t1\t-\t-\t10\t-\n"
                     "spawn\t1\tjoin\tns\tposix\t6400\t6400\t1\t-\t-\t6400\t-\n");
    CHECK(has(far, "**640 times**"));
    const std::string chart = pipe_through("awk -v machine=/dev/null -f bench/chart.awk", summary);
    CHECK(has(chart, "<svg ") && has(chart, "</svg>"));
    CHECK(has(chart, "yield  g2"));
    CHECK(has(chart, "class=\"gort\"") && has(chart, "class=\"go\""));
    CHECK(!has(chart, "nan") && !has(chart, "inf"));
}

// The steady median is what is compared, the best stands beside it; P=2 stands beside P=1.
TEST(report_shows_what_a_second_p_gives) {
    if (access("bench/lines.awk", R_OK)) TEST_SKIP("not run from the top of the tree");
    const std::string gort =
        "yield P=1 g2 9.000 ns median=10.00 worst=14.00 reps=2 n=9 cpu=1.000 drift=1.010\n"
        "yield P=2 g2 8.000 ns median=12.50 worst=25.00 reps=2 n=9 cpu=1.000 drift=1.300\n"
        "scale P=1 pipe_g300 300.0 ns median=300.0 worst=310.0 reps=16 n=9 cpu=1.000 best=290.0 early=299.0 "
        "drift=1.020\n"
        "scale P=2 pipe_g300 200.0 ns median=200.0 worst=300.0 reps=16 n=9 cpu=1.900 best=160.0 early=199.0 "
        "drift=1.100\n"
        "scale P=2 alternate_mpmc 9.000 ns median=9.000 worst=9.000 reps=16 n=9 cpu=1.900 best=8.000 "
        "early=9.000 drift=1.000 alone=6.0 over_alone=1.500\n"
        "echo P=1 roundtrips 100000 /s median=90000 worst=80000 reps=2 n=9 cpu=1.000 load=epoll\n"
        "echo P=2 roundtrips 200000 /s median=135000 worst=100000 reps=2 n=9 cpu=1.000 load=epoll\n"
        "hog P=1 late_p50 3.000 ms median=3.000 worst=3.000 reps=2 n=9\n"
        "hog P=2 late_p50 1.000 ms median=1.000 worst=1.000 reps=2 n=9\n"
        "yield P=2 counts of=g2 switches=1 parks=2 wakes=3 sleeps=4 retakes=5 per op\n"
        "mpmc P=2 p8c8_cap128 9.000 ns median=9.000 worst=9.000 reps=2 n=9 cpu=1.000 drift=1.000\n";
    const std::string go =
        "scale P=1 pipe_g300 420.0 ns median=420.0 worst=450.0 reps=16 n=9 cpu=1.000 best=150.0 drift=1.020\n"
        "scale P=2 pipe_g300 210.0 ns median=210.0 worst=220.0 reps=16 n=9 cpu=1.900 best=150.0 "
        "drift=1.000\n";
    const std::string rows = pipe_through("awk -v run=R -v round=1 -v peer=gort -f bench/lines.awk", gort) +
                             pipe_through("awk -v run=R -v round=1 -v peer=go -f bench/lines.awk", go);
    CHECK_EQ(lines(rows), 12);  // counts are no result
    const std::string report =
        pipe_through("awk -v machine=/dev/null -v what=/dev/null -v hello=/dev/null -f bench/report.awk",
                     pipe_through("awk -f bench/summary.awk", rows));
    CHECK(has(report, "| yield | `g2` | ns | 10.0 | 12.5 | **0.80** | 1.30 | 2.00 |  |  |  |\n"));
    CHECK(has(report, "| scale | `pipe_g300` | ns | 300 | 200 | 1.50 | 1.10 | 1.50 | 420 | 210 | 2.00 |\n"));
    CHECK(has(report, "| echo | `roundtrips` | /s | 90,000 | 135,000 | 1.50 |  | 1.35 |  |  |  |\n"));
    CHECK(has(report, "| mpmc | `p8c8_cap128` | ns |  | 9.00 |  | 1.00 | 1.00 |  |  |  |\n"));  // no claim
    CHECK(!has(report, "| hog | `late_p50`"));
    CHECK(has(report, "| `pipe_g300` | 2 | ns | 160 (200) | 150 (210) | **0.95** |\n"));
    CHECK(has(report, "| `alternate_mpmc` | 2 | 9.00 | 6.00 | 1.50 |\n"));
}
