// tests/bench_test.cc - gortbench's command line, its result lines, and what it measures by.
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
#include "bench/scale.cc"
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

WORKLOAD(zz_rounds, "rounds that cost what is known, by a clock of its own") {
    bench::Series s{"known", "ns", {7, 5, 6, 9}, 3, 0.25};
    s.steady = true;
    s.note = "drift=1.000";
    run.emit(s);
    uint64_t calls[2] = {}, asked = 0;
    const std::vector<bench::Loop> loops = {{"one", [&](uint64_t n) { ++calls[0], asked += n; }, 10},
                                            {"two",
                                             [&](uint64_t n) {
                                                 asked += n;
                                                 run.check(++calls[1] == calls[0], "not in turn");
                                             },
                                             1}};
    for (const bench::Series& one : run.rounds(loops)) {
        run.check(one.values.size() == 16, "the beginning counts");
        run.emit(one);
    }
    run.check(calls[0] == 24 && calls[1] == 24 && asked == 24 * 11, "other rounds than promised");
    run.in_own_process([&] { run.check(calls[0] == 24, "another process"); });
    run.in_own_process([&] { run.check(!run.wants("fails"), "its failure is ours"); });
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

}  // namespace

TEST(refusals_are_one_line_and_status_2) {
    const struct {
        const char *line, *culprit, *accepted;
    } cases[] = {
        {"", "no workload", "switch"},
        {"nosuch", "'nosuch'", "all switch pingpong sieve scale echo zz_loop"},
        {"switch pingpong", "'pingpong'", "switch"},
        {"switch --bogus 1", "'--bogus'", "--procs N"},
        {"switch --counts", "counts nothing", "--procs N"},
        {"switch --metric", "--metric: no value", "the name of a metric"},
        {"switch --metric=", "''", "the name of a metric"},
        {"echo --metric nix", "echo has no 'nix'", "the name of a metric"},
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
    CHECK_EQ(order, "switch pingpong sieve scale echo zz_loop zz_oranges zz_rounds ");
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

TEST(what_is_measured_in_steady_rounds) {
    const Result r = bench_with("zz_rounds --procs 2");
    CHECK_EQ(
        line_of(r.out, "zz_rounds P=2 known"),
        "zz_rounds P=2 known 6.500 ns median=6.500 worst=9.000 reps=4 n=3 cpu=0.250 best=5.000 drift=1.000");
    const std::string one = line_of(r.out, "zz_rounds P=2 one ");
    CHECK(has(one, " reps=16 n=10 cpu="));
    CHECK(has(one, " best=") && has(one, " early=") && has(one, " drift="));
    CHECK_EQ(lines(r.out), 3);
    CHECK_EQ(r.status, 1);  // that of the process that failed
    CHECK(has(r.err, "its failure is ours") && !has(r.err, "another process"));
    const Result json = bench_with("zz_rounds --procs 2 --json --metric known");
    CHECK_EQ(json.out,
             "{\"workload\":\"zz_rounds\",\"P\":2,\"metric\":\"known\",\"best\":5.000,\"unit\":\"ns\","
             "\"median\":6.500,"
             "\"worst\":9.000,\"reps\":4,\"n\":3,\"cpu\":0.250,\"drift\":\"1.000\"}\n");
    CHECK_EQ(json.status, 0);
}

TEST(scale_prints_the_contract) {
    const Result all = bench_with("scale --procs 2 --size 200 --metric g300");
    CHECK_EQ(all.err, "");
    CHECK_EQ(all.status, 0);
    CHECK_EQ(lines(all.out), 8);
    const struct {
        const char *way, *items;
    } ways[] = {{"yield", " n=64 "}, {"spawn", " n=57 "}, {"pool", " n=57 "},   {"pool0", " n=57 "},
                {"pipe", " n=56 "},  {"pair", " n=56 "},  {"phases", " n=48 "}, {"phases2", " n=56 "}};
    for (const auto& w : ways) {
        const std::string line = line_of(all.out, "scale P=2 " + std::string(w.way) + "_g300 ");
        double figure, median, worst;
        CHECK_EQ(std::sscanf(line.c_str() + line.find("_g300 ") + 6,
                             "%lf ns median=%lf worst=%lf reps=16 n=", &figure, &median, &worst),
                 3);
        CHECK_EQ(figure, median);
        CHECK_LE(median, worst);
        CHECK_LE(100.0, median);  // 300 ns of computing on two Ps
        CHECK(has(line, w.items));
        CHECK(has(line, " best=") && has(line, " early=") && has(line, " drift="));
    }
    const Result turns = bench_with("scale --procs 2 --size 800 --metric alternate");
    CHECK_EQ(turns.status, 0);
    CHECK_EQ(lines(turns.out), 3);
    for (const char* part : {"phases", "mpmc", "mixed"}) {
        const std::string line = line_of(turns.out, "scale P=2 alternate_" + std::string(part));
        double alone, over;
        CHECK_EQ(std::sscanf(line.c_str() + line.find(" alone="), " alone=%lf over_alone=%lf", &alone, &over),
                 2);
        CHECK(alone > 0 && over > 0);
    }
}

TEST(a_failed_self_check_is_status_1) {
    const Result r = bench_with("pingpong");
    CHECK_EQ(r.status, 1);
    CHECK_EQ(r.err, "pingpong: check failed: two and two is five\n");
    CHECK(has(r.out, "pingpong P="));  // what came before it is kept
}

TEST(all_goes_on_past_what_fails) {
    const Result r = bench_with("all --ms 1 --reps 1 --size 100");
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
