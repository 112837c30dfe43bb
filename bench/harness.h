// bench/harness.h - what every workload shares: options, calibrated loops, checks and result lines.
// SPDX-License-Identifier: BSD-2-Clause
//
// A workload is one file with one WORKLOAD(name, "what it does") { ... }; it registers itself. The same
// harness serves gortbench and the C++ twins (bench/boost, bench/posix), so it knows nothing of gort and uses
// only libc and the kernel. Every result is one line on stdout, flushed at once, so that an interrupted run
// keeps what it measured:
//
//      WORKLOAD P=<procs> METRIC <best> <unit> median=<m> worst=<w> reps=<r> n=<ops per rep> [cpu=<cpu/wall>]
//      [key=value]...
//
// What is measured in steady rounds has its median in the place of the best, which follows: best=<b> drift=<last round
// over the best of the first ones>. Other loops have drift=<last repetition over the best before>.
//
// With --counts a line follows that says what the program counted meanwhile, only what is not 0:
//
//      WORKLOAD P=<procs> counts of=<metric> [name=<value>]... per op      or, where a metric has no loop,  in all
//
// Context: Run's members may be called from any goroutine or thread, by one of them at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace bench {

struct Options {
    unsigned procs = 1;
    double ms = 550;  // a repetition lasts at least this long
    unsigned reps = 5;
    uint64_t size = 0;  // 0: the workload's own
    bool json = false;
    bool counts = false;
    std::string metric = {};  // only those of this name, or with this as a part of it between underscores
};

class Run;
struct Workload {
    Workload(const char* name, const char* what, void (*body)(Run&));
    const char* const name;
    const char* const what;
    void (*const body)(Run&);
    Workload* next;
};
const Workload* first_workload();

#define WORKLOAD(name, what)                                                       \
    static void workload_##name(bench::Run& run);                                  \
    static const bench::Workload registered_##name{#name, what, &workload_##name}; \
    static void workload_##name([[maybe_unused]] bench::Run& run)

// Runs before the command line is read: may set other defaults, and refuse an environment it does not like.
struct Preparation {
    explicit Preparation(void (*)(Options&));
};
void prepare(Options& options);

// What a program counts beside the time, from its start on or from some later one on. At most one source; a program
// without one refuses --counts.
struct Counter {
    const char* name;
    uint64_t value;
};
using Counters = std::vector<Counter>;
struct CounterSource {
    explicit CounterSource(Counters (*read)());
};
bool has_counters();

// How far the counters went during the repetitions that count.
struct Counted {
    std::vector<uint64_t> sums;  // one a counter
    uint64_t ops = 0;
    void add(const Counters& before, const Counters& after, uint64_t n);
};

enum class Better { kLower, kHigher };

// One metric's repetitions. The best is the lowest value unless it is a rate.
struct Series {
    std::string metric;
    std::string unit;
    std::vector<double> values;  // one a repetition
    uint64_t n;                  // operations a repetition
    double cpu = -1;             // process CPU time over wall time; negative: not measured
    std::string note = {};       // trailing key=value pairs, e.g. source=tsc
    Better better = Better::kLower;
    std::vector<double> metered = {};  // the loop's meter per operation, once a repetition
    Counted counted = {};
    bool steady = false;  // of rounds(): the median is the figure
    std::vector<std::vector<double>> slices =
        {};  // of an interleaved loop: CPU ns per operation, by repetition
};

// A loop of n operations. n is always a multiple of `granule`.
struct Loop {
    std::string metric;
    std::function<void(uint64_t n)> body;
    uint64_t granule = 1;
    std::function<uint64_t()> meter = {};  // read before and after body, e.g. a cycle counter; may be empty
};

class Run {
public:
    Run(const Workload& workload, const Options& options) : workload_(workload), options_(options) {}

    unsigned procs() const { return options_.procs; }
    unsigned reps() const { return options_.reps; }
    double ms() const { return options_.ms; }
    // Was this one asked for? Loops that are not wanted are not run; what is emitted all the same is not printed.
    bool wants(const std::string& metric) const {
        const std::string whole = "_" + metric + "_", part = "_" + options_.metric + "_";
        const bool yes = options_.metric.empty() || whole.find(part) != std::string::npos;
        wanted_any_ |= yes;
        return yes;
    }
    bool wanted_any() const { return wanted_any_; }
    uint64_t size(uint64_t own) const { return options_.size ? options_.size : own; }

    // Nanoseconds per operation: calibrates n until a repetition lasts ms(), repeats, prints.
    void per_op(const std::string& metric, const std::function<void(uint64_t n)>& body, uint64_t granule = 1);
    // The same for several loops, sliced round robin within each repetition so that their ratios hold on a
    // machine whose speed drifts. Does not print: the caller emits, and may form ratios. Order of the result
    // is that of `loops`.
    std::vector<Series> interleaved(const std::vector<Loop>& loops);
    // Milliseconds of the whole of body(), once a repetition; n is for the reader only.
    void total_ms(const std::string& metric, uint64_t n, const std::function<void()>& body);
    // For what exists once in a process's life, such as cold memory: each repetition runs body in a forked
    // process, which fills in one figure for every column. Has the host back `cold_bytes` of memory before
    // each. Call it before the process has threads.
    struct Column {
        const char* metric;
        const char* unit;
    };
    void fresh_processes(const std::vector<Column>& columns, uint64_t n, uint64_t cold_bytes,
                         const std::function<void(double* figures)>& body);
    // kRounds rounds in which every loop runs once, with n = its granule: ns per operation. The first kRounds -
    // kSteadyRounds show how it begins, the others what it settles at; they are the values.
    static constexpr unsigned kRounds = 24, kSteadyRounds = 16;
    std::vector<Series> rounds(const std::vector<Loop>& loops);
    // Runs body in a forked process, whose failure is ours. Call it before the process has threads.
    void in_own_process(const std::function<void()>& body) const;
    void emit(const Series& series) const;
    // Prints what was wrong and exits with status 1.
    void check(bool good, const char* what) const;

private:
    double time_ns(const Loop& loop, uint64_t n, double* cpu_ns, Counted* counted = nullptr) const;
    void emit_counts(const Series& series) const;
    uint64_t calibrate(const Loop& loop, double want_ns) const;

    const Workload& workload_;
    const Options& options_;
    mutable bool wanted_any_ = false;
    mutable Counters told_;  // what the last line of counts went up to
};

// a over b once a repetition. Of interleaved loops it is the median over the slices, CPU time over the CPU time of a
// neighbour in time: other programs that take the CPU away, or slow some slices down, do not move it.
Series ratio(const std::string& metric, const Series& a, const Series& b);
double median_of(const Series& series);
// The q-quantile (0..1) of samples, which it sorts.
double percentile(std::vector<double>& samples, double q);

class Stopwatch {
public:
    Stopwatch() { restart(); }
    void restart();
    double wall_ns() const;
    double cpu_ns() const;  // of the whole process, user and system

private:
    double wall_, cpu_;
};
double now_ns();  // CLOCK_MONOTONIC

uint64_t rss_bytes();       // of this process, now
uint64_t peak_rss_bytes();  // since the start or the last reset_peak_rss
void reset_peak_rss();
uint64_t page_table_bytes();
uint64_t page_faults();  // of this process so far
// Touches and gives back this much memory, so that the host behind a virtual machine has backed it before
// something that touches cold pages is timed: the first touch of a page that the host has to find costs ten
// times the others.
void pretouch(uint64_t bytes);

unsigned cpu_count();  // CPUs this process may run on

}  // namespace bench
