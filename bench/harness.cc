// bench/harness.cc - calibration, repetition, statistics and printing.
// SPDX-License-Identifier: BSD-2-Clause
#include "bench/harness.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>

namespace bench {

namespace {

constexpr unsigned kEarlyRounds = 5;
constexpr unsigned kSlices = 50;  // per repetition and loop when interleaved
constexpr double kHeadroom =
    1.08;  // aim above ms(), because speed drifts; a repetition that ends below it is redone

Workload* g_workloads;
void (*g_preparation)(Options&);
Counters (*g_read_counters)();

double clock_ns(clockid_t id) {
    timespec ts;
    clock_gettime(id, &ts);
    return static_cast<double>(ts.tv_sec) * 1e9 + static_cast<double>(ts.tv_nsec);
}

uint64_t round_up(double n, uint64_t granule) {
    const auto whole = static_cast<uint64_t>(std::ceil(n / static_cast<double>(granule)));
    return std::max<uint64_t>(whole, 1) * granule;
}

// Plain decimals with about four significant digits, never an exponent.
std::string number(double v) {
    const double a = std::fabs(v);
    const int decimals = a < 10 ? 3 : a < 100 ? 2 : a < 1000 ? 1 : 0;
    char text[64];
    std::snprintf(text, sizeof text, "%.*f", decimals, v);
    return text;
}

// Plain decimals with four significant digits, however small it is.
std::string exact(double v) {
    char text[64];
    int decimals = 3;
    for (double a = std::fabs(v); a < 1 && a > 1e-15; a *= 10) ++decimals;
    for (double a = std::fabs(v); a >= 10 && decimals; a /= 10) --decimals;
    std::snprintf(text, sizeof text, "%.*f", decimals, v);
    std::string s = text;
    if (s.find('.') == std::string::npos) return s;
    while (s.back() == '0') s.pop_back();
    if (s.back() == '.') s.pop_back();
    return s;
}

// What repetitions do to each other: the last over the best of those before.
std::string drift_note(const std::vector<double>& values) {
    if (values.size() < 2) return "";
    return "drift=" + number(values.back() / *std::min_element(values.begin(), values.end() - 1));
}

// A field in kB of /proc/self/status, as bytes; 0 when the kernel does not say.
uint64_t status_field(const char* key) {
    uint64_t value = 0;
    if (FILE* f = std::fopen("/proc/self/status", "re")) {
        char line[256];
        const size_t len = std::strlen(key);
        while (std::fgets(line, sizeof line, f))
            if (!std::strncmp(line, key, len)) value = std::strtoull(line + len, nullptr, 10) * 1024;
        std::fclose(f);
    }
    return value;
}

}  // namespace

Workload::Workload(const char* n, const char* w, void (*b)(Run&))
    : name(n), what(w), body(b), next(g_workloads) {
    g_workloads = this;
}
const Workload* first_workload() { return g_workloads; }

Preparation::Preparation(void (*f)(Options&)) { g_preparation = f; }
void prepare(Options& options) {
    if (g_preparation) g_preparation(options);
}

CounterSource::CounterSource(Counters (*read)()) { g_read_counters = read; }
bool has_counters() { return g_read_counters != nullptr; }

void Counted::add(const Counters& before, const Counters& after, uint64_t n) {
    sums.resize(after.size());
    for (size_t i = 0; i < after.size(); ++i) {
        // A runtime that began anew meanwhile counts from 0.
        const uint64_t was = i < before.size() && before[i].value <= after[i].value ? before[i].value : 0;
        sums[i] += after[i].value - was;
    }
    ops += n;
}

double now_ns() { return clock_ns(CLOCK_MONOTONIC); }
void Stopwatch::restart() {
    cpu_ = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    wall_ = now_ns();
}
double Stopwatch::wall_ns() const { return now_ns() - wall_; }
double Stopwatch::cpu_ns() const { return clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_; }

double Run::time_ns(const Loop& loop, uint64_t n, double* cpu_ns, Counted* counted) const {
    if (!options_.counts) counted = nullptr;
    const Counters before = counted ? g_read_counters() : Counters{};
    Stopwatch watch;
    loop.body(n);
    const double wall = watch.wall_ns();
    *cpu_ns = watch.cpu_ns();
    if (counted) counted->add(before, g_read_counters(), n);
    return wall;
}

// The n for which the loop lasts want_ns: grows tenfold while too short to tell, then extrapolates.
uint64_t Run::calibrate(const Loop& loop, double want_ns) const {
    double n = static_cast<double>(loop.granule), cpu;
    for (;;) {
        const double took = std::max(time_ns(loop, round_up(n, loop.granule), &cpu), 1.0);
        if (took >= want_ns / 8) return round_up(n * want_ns / took * kHeadroom, loop.granule);
        n = std::min(n * 10, n * want_ns / took * kHeadroom + 1);
    }
}

void Run::per_op(const std::string& metric, const std::function<void(uint64_t)>& body, uint64_t granule) {
    if (!wants(metric)) return;
    const Loop loop{metric, body, granule};
    const double want = ms() * 1e6;
    Series s{metric, "ns", {}, calibrate(loop, want)};
    double wall = 0, cpu = 0;
    while (s.values.size() < reps()) {
        double used;
        Counted counted = s.counted;
        const double took = time_ns(loop, s.n, &used, &counted);
        if (took < want) {  // the machine sped up: a longer one instead, and this one does not count
            s.n = round_up(static_cast<double>(s.n) * std::min(want / took * kHeadroom, 10.0) + 1, granule);
            continue;
        }
        s.values.push_back(took / static_cast<double>(s.n));
        s.counted = counted;
        wall += took;
        cpu += used;
    }
    s.cpu = cpu / wall;
    s.note = drift_note(s.values);
    emit(s);
}

std::vector<Series> Run::rounds(const std::vector<Loop>& loops) {
    struct Past {
        double early = 0, last = 0, wall = 0, cpu = 0;
    };
    std::vector<Past> past(loops.size());
    std::vector<Series> all;
    for (const Loop& loop : loops) all.push_back({loop.metric, "ns", {}, loop.granule});
    for (unsigned r = 0; r < kRounds; ++r)
        for (size_t i = 0; i < loops.size(); ++i) {
            const bool is_steady = r >= kRounds - kSteadyRounds;
            double used;
            const double took =
                time_ns(loops[i], loops[i].granule, &used, is_steady ? &all[i].counted : nullptr);
            Past& p = past[i];
            p.last = took / static_cast<double>(loops[i].granule);
            // The first one finds everything cold.
            if (r >= 1 && r < kEarlyRounds) p.early = p.early > 0 ? std::min(p.early, p.last) : p.last;
            if (!is_steady) continue;
            all[i].values.push_back(p.last);
            p.wall += took;
            p.cpu += used;
        }
    for (size_t i = 0; i < loops.size(); ++i) {
        all[i].steady = true;
        all[i].cpu = past[i].cpu / past[i].wall;
        all[i].note = "early=" + number(past[i].early) + " drift=" + number(past[i].last / past[i].early);
    }
    return all;
}

std::vector<Series> Run::interleaved(const std::vector<Loop>& loops) {
    const double want = ms() * 1e6;
    std::vector<Series> all;
    std::vector<uint64_t> slice_n;
    for (const Loop& loop : loops) {
        all.push_back({loop.metric, "ns", {}, 0});
        slice_n.push_back(calibrate(loop, want / kSlices));
    }
    std::vector<double> wall(loops.size()), cpu(loops.size());
    for (unsigned r = 0; r < reps(); ++r) {
        std::vector<double> took(loops.size()), metered(loops.size());
        std::vector<uint64_t> done(loops.size());
        auto slice = [&](size_t i) {
            double used;
            const uint64_t before = loops[i].meter ? loops[i].meter() : 0;
            took[i] += time_ns(loops[i], slice_n[i], &used, &all[i].counted);
            if (loops[i].meter) metered[i] += static_cast<double>(loops[i].meter() - before);
            done[i] += slice_n[i];
            cpu[i] += used;
            all[i].slices[r].push_back(used / static_cast<double>(slice_n[i]));
        };
        for (Series& s : all) s.slices.emplace_back();
        // The order turns, else the kernel's own time slices may favour one place in it.
        for (unsigned k = 0; k < kSlices; ++k)
            for (size_t i = 0; i < loops.size(); ++i) slice((i + k) % loops.size());
        for (size_t i = 0; i < loops.size(); ++i) {
            while (took[i] < want) slice(i);  // faster now than when it was calibrated
            const auto ops = static_cast<double>(done[i]);
            all[i].values.push_back(took[i] / ops);
            if (loops[i].meter) all[i].metered.push_back(metered[i] / ops);
            all[i].n = done[i];
            wall[i] += took[i];
        }
    }
    for (size_t i = 0; i < loops.size(); ++i) all[i].cpu = cpu[i] / wall[i];
    return all;
}

void Run::total_ms(const std::string& metric, uint64_t n, const std::function<void()>& body) {
    if (!wants(metric)) return;
    Series s{metric, "ms", {}, n};
    double wall = 0, cpu = 0;
    for (unsigned r = 0; r < reps(); ++r) {
        double used;
        const double took = time_ns({metric, [&](uint64_t) { body(); }}, n, &used, &s.counted);
        cpu += used;
        wall += took;
        s.values.push_back(took / 1e6);
    }
    s.cpu = cpu / wall;
    s.note = drift_note(s.values);
    emit(s);
}

void Run::fresh_processes(const std::vector<Column>& columns, uint64_t n, uint64_t cold_bytes,
                          const std::function<void(double*)>& body) {
    const double need = static_cast<double>(cold_bytes) / (1 << 20);
    const double have =
        static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
    char too_much[100];
    std::snprintf(too_much, sizeof too_much, "--size: takes about %.0f MiB, this machine has %.0f", need,
                  have);
    check(need < have, too_much);
    const size_t bytes = columns.size() * sizeof(double);
    void* shared = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    check(shared != MAP_FAILED, "mmap");
    const auto* figures = static_cast<double*>(shared);
    std::vector<Series> all;
    for (const Column& c : columns) all.push_back({c.metric, c.unit, {}, n});
    for (unsigned r = 0; r < reps(); ++r) {
        pretouch(cold_bytes);
        in_own_process([&] { body(static_cast<double*>(shared)); });
        for (size_t i = 0; i < all.size(); ++i) all[i].values.push_back(figures[i]);
    }
    munmap(shared, bytes);
    for (const Series& s : all) emit(s);
}

void Run::in_own_process(const std::function<void()>& body) const {
    std::fflush(nullptr);
    const pid_t pid = fork();
    check(pid >= 0, "fork");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        body();
        std::fflush(nullptr);
        _exit(0);
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status)) std::_Exit(WEXITSTATUS(status));  // it has said why
    check(WIFEXITED(status), "a process of its own was killed");
}

void Run::emit(const Series& series) const {
    std::vector<double> v = series.values;
    if (v.empty() || !wants(series.metric)) return;
    std::sort(v.begin(), v.end());
    if (series.better == Better::kHigher) std::reverse(v.begin(), v.end());
    const std::string best = number(v.front()), mid = number(median_of(series)), worst = number(v.back());
    const std::string cpu = series.cpu < 0 ? "" : number(series.cpu);
    const char* metric = series.metric.c_str();
    const char* unit = series.unit.c_str();

    if (options_.json) {
        std::printf(
            "{\"workload\":\"%s\",\"P\":%u,\"metric\":\"%s\",\"best\":%s,\"unit\":\"%s\",\"median\":%s,"
            "\"worst\":%s,\"reps\":%zu,\"n\":%" PRIu64,
            workload_.name, procs(), metric, best.c_str(), unit, mid.c_str(), worst.c_str(), v.size(),
            series.n);
        if (!cpu.empty()) std::printf(",\"cpu\":%s", cpu.c_str());
        std::istringstream pairs(series.note);
        for (std::string pair; pairs >> pair;) {
            const size_t eq = pair.find('=');
            std::printf(",\"%s\":\"%s\"", pair.substr(0, eq).c_str(), pair.substr(eq + 1).c_str());
        }
        std::puts("}");
    } else {
        std::printf("%s P=%u %s %s %s median=%s worst=%s reps=%zu n=%" PRIu64, workload_.name, procs(),
                    metric, series.steady ? mid.c_str() : best.c_str(), unit, mid.c_str(), worst.c_str(),
                    v.size(), series.n);
        if (!cpu.empty()) std::printf(" cpu=%s", cpu.c_str());
        if (series.steady) std::printf(" best=%s", best.c_str());
        std::printf("%s%s\n", series.note.empty() ? "" : " ", series.note.c_str());
    }
    if (options_.counts) emit_counts(series);
    std::fflush(stdout);
}

// A series that no loop of the harness has made tells what has been counted since the last such line.
void Run::emit_counts(const Series& series) const {
    const Counters now = g_read_counters();
    Counted counted = series.counted;
    const bool per_op = counted.ops != 0;
    if (!per_op) counted.add(told_, now, 1);
    const char* unit = per_op ? "per op" : "in all";
    if (options_.json)
        std::printf("{\"workload\":\"%s\",\"P\":%u,\"counts\":\"%s\",\"of\":\"%s\"", workload_.name, procs(),
                    unit, series.metric.c_str());
    else std::printf("%s P=%u counts of=%s", workload_.name, procs(), series.metric.c_str());
    for (size_t i = 0; i < now.size(); ++i) {
        if (!counted.sums[i]) continue;
        const std::string value =
            exact(static_cast<double>(counted.sums[i]) / static_cast<double>(counted.ops));
        std::printf(options_.json ? ",\"%s\":%s" : " %s=%s", now[i].name, value.c_str());
    }
    if (options_.json) std::puts("}");
    else std::printf(" %s\n", unit);
    told_ = now;
}

void Run::check(bool good, const char* what) const {
    if (good) return;
    std::fflush(stdout);
    std::fprintf(stderr, "%s: check failed: %s\n", workload_.name, what);
    std::_Exit(1);  // from whatever goroutine noticed: no destructors of a runtime that is still running
}

Series ratio(const std::string& metric, const Series& a, const Series& b) {
    Series s{metric, "x", {}, a.n};
    for (size_t i = 0; i < a.values.size(); ++i) {
        if (a.slices.empty() || b.slices.empty()) {
            s.values.push_back(a.values[i] / b.values[i]);
            continue;
        }
        std::vector<double> each;
        for (size_t k = 0; k < std::min(a.slices[i].size(), b.slices[i].size()); ++k)
            each.push_back(a.slices[i][k] / b.slices[i][k]);
        s.values.push_back(percentile(each, 0.5));
    }
    return s;
}

double median_of(const Series& series) {
    std::vector<double> v = series.values;
    std::sort(v.begin(), v.end());
    const size_t half = v.size() / 2;
    return v.size() % 2 ? v[half] : (v[half - 1] + v[half]) / 2;
}

double percentile(std::vector<double>& samples, double q) {
    if (samples.empty()) return 0;
    std::sort(samples.begin(), samples.end());
    const double at = q * static_cast<double>(samples.size() - 1);
    return samples[static_cast<size_t>(at + 0.5)];
}

uint64_t rss_bytes() { return status_field("VmRSS:"); }
uint64_t peak_rss_bytes() { return status_field("VmHWM:"); }
uint64_t page_table_bytes() { return status_field("VmPTE:"); }
uint64_t page_faults() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<uint64_t>(usage.ru_minflt + usage.ru_majflt);
}
void reset_peak_rss() {
    if (FILE* f = std::fopen("/proc/self/clear_refs", "we")) {
        std::fputs("5", f);
        std::fclose(f);
    }
}

void pretouch(uint64_t bytes) {
    void* p =
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return;
    auto* bytes_at = static_cast<volatile char*>(p);
    for (uint64_t i = 0; i < bytes; i += 4096) bytes_at[i] = 1;
    munmap(p, bytes);
}

unsigned cpu_count() {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set)) return 1;
    return std::max(1u, static_cast<unsigned>(CPU_COUNT(&set)));
}

}  // namespace bench
