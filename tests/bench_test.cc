// tests/bench_test.cc - gortbench's command line, its result lines, what it measures by, and the report made of it.
// SPDX-License-Identifier: BSD-2-Clause
//
// The harness is compiled into this test, with workloads of its own beside `switch`, and its main is called in a child.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <sstream>
#include <string>
#include <vector>

#define main bench_main
#include "bench/main.cc"
#undef main
#include "bench/counters.cc"
#include "bench/echo_client.cc"
#include "bench/harness.cc"
#include "bench/switch.cc"
#include "bench/switch_variants.cc"

#include "tests/test.h"

// Each call is half as dear as the one before, until the ninth: what calibration saw does not hold.
WORKLOAD(zz_loop, "a loop whose n is a multiple of 7") {
    uint64_t asked = 0, odd = 0, dear = 256;
    run.per_op(
        "turn",
        [&](uint64_t n) {
            asked += n;
            odd += n % 7;
            for (uint64_t i = 0; i < n * dear; ++i) asm volatile("" ::: "memory");
            if (dear > 1) dear /= 2;
        },
        7);
    run.check(asked && !odd, "n was not a multiple of its granule");
}

WORKLOAD(pingpong, "says that its result is wrong") {
    run.emit({"before", "ns", {1}, 1});
    run.check(true, "never said");
    run.check(false, "two and two is five");
}

WORKLOAD(sieve, "is killed") { raise(SIGKILL); }

WORKLOAD(echo, "figures that are known") {
    bench::Series rate{"rate", "/s", {30, 10, 20}, 4};
    rate.better = bench::Better::kHigher;
    rate.note = "load=none cpu_us=1.50";
    run.emit(rate);
    run.emit({"even", "ms", {4000, 1, 2, 30}, 9, 0.5});
    run.total_ms("whole", run.size(77), [] {});
    run.fresh_processes({{"first", "B"}, {"second", "ms"}}, 3, 4096, [&](double* out) {
        static double count = 0;  // each repetition starts from the same memory
        out[0] = ++count;
        out[1] = static_cast<double>(run.procs());
    });
}

static uint64_t g_oranges;
static bench::Counters read_oranges() { return {{"apples", 7}, {"oranges", g_oranges}}; }

WORKLOAD(zz_oranges, "counts what is known") {
    run.per_op("loop", [](uint64_t n) {
        for (uint64_t i = 0; i < n; ++i, g_oranges += 3) asm volatile("" ::: "memory");
    });
    run.total_ms("whole", 4000, [] { g_oranges += 2; });
    g_oranges += 5;
    run.emit({"own", "ms", {1}, 1});
    g_oranges = 1;  // as after a new start
    run.emit({"again", "ms", {1}, 1});
}

namespace {

struct Result {
    int status;  // negative: killed by that signal
    std::string out, err;
};

std::string read_back(int fd) {
    std::string text;
    char buf[4096];
    lseek(fd, 0, SEEK_SET);
    for (ssize_t n; (n = read(fd, buf, sizeof buf)) > 0;) text.append(buf, static_cast<size_t>(n));
    close(fd);
    return text;
}

int scratch() {
    char name[] = "/tmp/bench_test.XXXXXX";
    const int fd = mkstemp(name);
    unlink(name);
    return fd;
}

Result bench_with(const std::string& line, bench::Counters (*counters)() = nullptr) {
    std::vector<std::string> words{"gortbench"};
    std::istringstream in(line);
    for (std::string w; in >> w;) words.push_back(w);
    const int out = scratch(), err = scratch();
    CHECK(out >= 0 && err >= 0);
    const pid_t pid = fork();
    if (pid == 0) {
        dup2(out, 1);
        dup2(err, 2);
        std::vector<char*> argv;
        for (std::string& w : words) argv.push_back(w.data());
        argv.push_back(nullptr);
        if (counters) bench::CounterSource source(counters);
        std::exit(bench_main(static_cast<int>(words.size()), argv.data()));
    }
    int status = 0;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), read_back(out), read_back(err)};
}

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }
size_t lines(const std::string& text) {
    return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

// The one line that starts with this.
std::string line_of(const std::string& text, const std::string& start) {
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);)
        if (line.starts_with(start)) return line;
    return "";
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

TEST(refusals_are_one_line_and_status_2) {
    const struct {
        const char *line, *culprit, *accepted;
    } cases[] = {
        {"", "no workload", "switch"},
        {"nosuch", "'nosuch'", "all switch pingpong sieve echo zz_loop"},
        {"switch pingpong", "'pingpong'", "switch"},
        {"switch --bogus 1", "'--bogus'", "--procs N"},
        {"switch --counts", "counts nothing", "--procs N"},
        {"switch --json=1", "'--json=1'", "--json"},
        {"--", "'--'", "--list"},
        {"--list pingpong", "'pingpong'", "alone"},
        {"switch --list", "'switch'", "alone"},
        {"switch --procs", "--procs: no value", "1 to 1024"},
        {"switch --procs 0", "'0'", "1 to 1024"},
        {"switch --procs 1025", "'1025'", "1 to 1024"},
        {"switch --procs two", "'two'", "1 to 1024"},
        {"switch --procs -1", "'-1'", "1 to 1024"},
        {"switch --procs 1.5", "'1.5'", "whole"},
        {"switch --procs 2x", "'2x'", "1 to 1024"},
        {"switch --procs=", "''", "1 to 1024"},
        {"switch --ms 0", "'0'", "1 to 600000"},
        {"switch --ms 1e3", "'1e3'", "1 to 600000"},
        {"switch --ms nan", "'nan'", "1 to 600000"},
        {"switch --ms 1.2.3", "'1.2.3'", "1 to 600000"},
        {"switch --reps 0", "'0'", "1 to 1000"},
        {"switch --reps 99999999999999999999", "'99999999999999999999'", "1 to 1000"},
        {"switch --size 0", "'0'", "1 to 1000000000000"},
    };
    for (const auto& c : cases) {
        const Result r = bench_with(c.line);
        CHECK_EQ(r.status, 2);
        CHECK_EQ(r.out, "");
        CHECK_EQ(lines(r.err), 1);
        CHECK(has(r.err, c.culprit));
        CHECK(has(r.err, c.accepted));
        CHECK(has(r.err, "accepted"));
    }
}

TEST(list_names_all_in_the_order_of_the_contract) {
    const Result r = bench_with("--list");
    CHECK_EQ(r.status, 0);
    std::istringstream in(r.out);
    std::string order, line;
    while (std::getline(in, line)) {
        order += line.substr(0, line.find(' ')) + " ";
        CHECK_LT(line.find(' '), line.find_last_not_of(' '));  // something is said of each
    }
    CHECK_EQ(order, "switch pingpong sieve echo zz_loop zz_oranges ");
}

TEST(result_line) {
    const Result r = bench_with("zz_loop --procs 3 --ms 2 --reps 4");
    CHECK_EQ(r.status, 0);
    CHECK_EQ(lines(r.out), 1);
    unsigned procs, reps;
    unsigned long long n;
    double best, median, worst, cpu;
    CHECK_EQ(
        std::sscanf(r.out.c_str(), "zz_loop P=%u turn %lf ns median=%lf worst=%lf reps=%u n=%llu cpu=%lf\n",
                    &procs, &best, &median, &worst, &reps, &n, &cpu),
        7);
    CHECK_EQ(procs, 3u);
    CHECK_EQ(reps, 4u);
    CHECK(best > 0 && best <= median && median <= worst);
    CHECK_EQ(n % 7, 0u);
    CHECK(best * static_cast<double>(n) >=
          2e6 * 0.99);  // no repetition was shorter than asked (figures are rounded)
    CHECK(cpu > 0);
}

TEST(statistics_and_json) {
    const Result plain = bench_with("echo --procs 2 --reps 2 --size 5");
    CHECK_EQ(plain.status, 0);
    CHECK_EQ(line_of(plain.out, "echo P=2 rate"),
             "echo P=2 rate 30.00 /s median=20.00 worst=10.00 reps=3 n=4 load=none cpu_us=1.50");
    CHECK_EQ(line_of(plain.out, "echo P=2 even"),
             "echo P=2 even 1.000 ms median=16.00 worst=4000 reps=4 n=9 cpu=0.500");
    CHECK(has(line_of(plain.out, "echo P=2 whole"), " ms median="));
    CHECK(has(line_of(plain.out, "echo P=2 whole"), " reps=2 n=5"));
    CHECK_EQ(line_of(plain.out, "echo P=2 first"),
             "echo P=2 first 1.000 B median=1.000 worst=1.000 reps=2 n=3");
    CHECK_EQ(line_of(plain.out, "echo P=2 second"),
             "echo P=2 second 2.000 ms median=2.000 worst=2.000 reps=2 n=3");

    const Result json = bench_with("echo --json --procs=2");
    CHECK_EQ(
        line_of(json.out, "{\"workload\":\"echo\",\"P\":2,\"metric\":\"rate\""),
        "{\"workload\":\"echo\",\"P\":2,\"metric\":\"rate\",\"best\":30.00,\"unit\":\"/s\",\"median\":20.00,"
        "\"worst\":10.00,\"reps\":3,\"n\":4,\"load\":\"none\",\"cpu_us\":\"1.50\"}");
    CHECK_EQ(lines(json.out), lines(plain.out));
}

TEST(counts_are_told_per_op_or_in_all) {
    const Result r = bench_with("zz_oranges --procs 2 --ms 1 --reps 3 --counts", read_oranges);
    CHECK_EQ(r.status, 0);
    CHECK_EQ(lines(r.out), 8);
    CHECK(has(
        r.out,
        "zz_oranges P=2 counts of=loop oranges=3 per op\n"));  // neither calibration nor what stays as it is
    CHECK(has(r.out, "zz_oranges P=2 counts of=whole oranges=0.0005 per op\n"));
    CHECK(has(r.out, "zz_oranges P=2 counts of=own oranges=5 in all\n"));
    CHECK(has(r.out, "zz_oranges P=2 counts of=again oranges=1 in all\n"));
    const Result json = bench_with("zz_oranges --procs 2 --ms 1 --reps 3 --counts --json", read_oranges);
    CHECK(has(json.out,
              "{\"workload\":\"zz_oranges\",\"P\":2,\"counts\":\"per op\",\"of\":\"loop\",\"oranges\":3}\n"));
    CHECK_EQ(lines(json.out), 8);
    CHECK_EQ(lines(bench_with("zz_oranges --ms 1 --reps 3", read_oranges).out), 4);
}

TEST(a_failed_self_check_is_status_1) {
    const Result r = bench_with("pingpong");
    CHECK_EQ(r.status, 1);
    CHECK_EQ(r.err, "pingpong: check failed: two and two is five\n");
    CHECK(has(r.out, "pingpong P="));  // what came before it is kept
}

TEST(all_goes_on_past_what_fails) {
    const Result r = bench_with("all --ms 1 --reps 1");
    CHECK_EQ(r.status, 1);
    CHECK(has(r.err, "two and two is five"));
    CHECK(has(r.err, "sieve: killed by signal 9"));
    CHECK(has(r.out, "switch P="));
    CHECK(has(r.out, "zz_loop P="));
}

TEST(switch_prints_the_contract) {
    const Result r = bench_with("switch --procs 1 --ms 1 --reps 2");
    CHECK_EQ(r.status, 0);
    for (const char* metric :
         {"raw ", "abi ", "floor ", "swapcontext ", "pthread_futex ", "raw_ret ", "abi_ret "}) {
        const std::string line = line_of(r.out, std::string("switch P=1 ") + metric);
        CHECK(has(line, " ns median="));
        CHECK(has(line, " reps=2 n="));
    }
    CHECK(has(line_of(r.out, "switch P=1 raw_cycles "), " cycles median="));
    CHECK(has(line_of(r.out, "switch P=1 raw_cycles "), " source="));
    CHECK(has(line_of(r.out, "switch P=1 raw_over_floor "), " x median="));
    // Where nothing can count instructions, stderr says so instead.
    CHECK(has(r.out, "switch P=1 raw_insns ") != has(r.err, "raw_insns"));
}

// A loop of two instructions an operation.
void two_each(uint64_t n) {
#if defined(__x86_64__)
    asm volatile("1: decq %0\n\tjnz 1b" : "+r"(n)::"cc");
#else
    asm volatile("1: subs %0, %0, #1\n\tb.ne 1b" : "+r"(n)::"cc");
#endif
}

TEST(instructions_are_counted_exactly) {
    const auto count = bench::count_instructions(two_each);
    if (!count) TEST_SKIP("nothing here can count instructions");
    if (!std::strcmp(count->source, "singlestep")) CHECK_EQ(count->per_op, 2.0);
    CHECK(std::fabs(count->per_op - 2) < 0.1);
}

TEST(percentiles_and_ratios) {
    std::vector<double> v{5, 1, 4, 2, 3};
    CHECK_EQ(bench::percentile(v, 0), 1.0);
    CHECK_EQ(bench::percentile(v, 0.5), 3.0);
    CHECK_EQ(bench::percentile(v, 1), 5.0);
    std::vector<double> none;
    CHECK_EQ(bench::percentile(none, 0.5), 0.0);
    const bench::Series a{"a", "ns", {2, 9}, 1}, b{"b", "ns", {4, 3}, 1};
    CHECK(bench::ratio("r", a, b).values == (std::vector<double>{0.5, 3}));
    bench::Series c = a, d = b;  // a slice that something else has disturbed does not count
    c.slices = {{1, 100, 1}, {2, 2, 2}};
    d.slices = {{2, 2, 2}, {1, 1, 500}};
    CHECK(bench::ratio("r", c, d).values == (std::vector<double>{0.5, 2}));
}

TEST(memory_figures_move) {
    constexpr size_t kBytes = 32 << 20;
    const uint64_t before = bench::rss_bytes();
    CHECK(before > 0);
    std::vector<char> block(kBytes, 1);
    asm volatile("" ::"r"(block.data()) : "memory");  // keeps the block
    CHECK(bench::rss_bytes() >= before + kBytes / 2);
    CHECK(bench::peak_rss_bytes() + kBytes / 8 >= bench::rss_bytes());
    CHECK(bench::cpu_count() >= 1);
}

namespace {

// Serves one message of a connection after the other, changed by `change`.
void serve(const std::function<void(uint16_t)>& ready, void (*change)(char*)) {
    uint16_t port;
    const int listener = bench::listen_on_loopback(&port);
    ready(port);
    for (int fd; (fd = accept(listener, nullptr, nullptr)) >= 0;) {
        if (fork()) {
            close(fd);
            continue;
        }
        char buf[64];
        for (ssize_t n; (n = recv(fd, buf, sizeof buf, 0)) > 0;) {
            change(buf);
            if (send(fd, buf, static_cast<size_t>(n), MSG_NOSIGNAL) != n) break;
        }
        _exit(0);
    }
}

// A workload outside of the registry, in a child whose outcome is looked at.
Result load_with(void (*change)(char*)) {
    const int out = scratch(), err = scratch();
    const pid_t pid = fork();
    if (pid == 0) {
        dup2(out, 1);
        dup2(err, 2);
        bench::Options options;
        options.ms = 20;
        options.reps = 2;
        bench::Run run(registered_echo, options);
        bench::load_server(run, "roundtrips", "echo", 3, 16,
                           [&](const auto& ready) { serve(ready, change); });
        std::exit(0);
    }
    int status = 0;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), read_back(out), read_back(err)};
}

}  // namespace

TEST(echo_client_counts_and_compares) {
    const Result good = load_with([](char*) {});
    CHECK_EQ(good.err, "");
    CHECK_EQ(good.status, 0);
    CHECK(has(good.out, "echo P=1 roundtrips "));
    CHECK(has(good.out, " /s median="));
    CHECK(has(good.out, " load=epoll"));
    const Result bad = load_with([](char* text) { text[15] ^= 1; });
    CHECK_EQ(bad.status, 1);
    CHECK(has(bad.err, "the echo differs"));
}

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
    const std::string chart = pipe_through("awk -v machine=/dev/null -f bench/chart.awk", summary);
    CHECK(has(chart, "<svg ") && has(chart, "</svg>"));
    CHECK(has(chart, "yield  g2"));
    CHECK(has(chart, "class=\"gort\"") && has(chart, "class=\"go\""));
    CHECK(!has(chart, "nan") && !has(chart, "inf"));
}
