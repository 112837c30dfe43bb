// bench/main.cc - the command line of gortbench and of its C++ twins.
// SPDX-License-Identifier: BSD-2-Clause
//
// Whatever is wrong with the command line or the environment is said in one line on stderr, with what is
// accepted, and ends the program with status 2 before anything is measured.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "bench/echo_client.h"
#include "bench/harness.h"

namespace {

using bench::Options;
using bench::Workload;

constexpr const char* kOptions =
    "--procs N --ms T --reps R --size N --metric TEXT --json --counts --list --help";

// The order of the contract; what is not here follows it.
constexpr const char* kOrder[] = {"switch", "yield",      "spawn",    "pingpong", "buffered", "select",
                                  "mutex",  "threadring", "skynet",   "park1m",   "sieve",    "timers",
                                  "mpmc",   "hog",        "blockers", "wake",     "forkjoin", "scale",
                                  "ctx",    "sync",       "echo",     "http",     "startup"};

constexpr const char* kAnyMetric = "the name of a metric, or a part of it between underscores";

const char* g_program = "gortbench";

template <class... Args>
[[noreturn]] void refuse(const char* format, Args... args) {
    std::fprintf(stderr, "%s: ", g_program);
    std::fprintf(stderr, format, args...);
    std::fputc('\n', stderr);
    std::exit(2);
}

std::vector<const Workload*> workloads() {
    std::vector<const Workload*> all;
    for (const Workload* w = bench::first_workload(); w; w = w->next) all.push_back(w);
    auto rank = [](const Workload* w) {
        return std::find_if(std::begin(kOrder), std::end(kOrder),
                            [&](auto o) { return !std::strcmp(o, w->name); });
    };
    std::sort(all.begin(), all.end(), [&](const Workload* a, const Workload* b) {
        return rank(a) != rank(b) ? rank(a) < rank(b) : std::strcmp(a->name, b->name) < 0;
    });
    return all;
}

std::string names() {
    std::string text = "all";
    for (const Workload* w : workloads()) text += std::string(" ") + w->name;
    return text;
}

// A decimal number between lo and hi and nothing else.
bool parse(const char* text, double lo, double hi, bool whole, double* out) {
    if (!*text || std::strspn(text, whole ? "0123456789" : "0123456789.") != std::strlen(text)) return false;
    char* end;
    errno = 0;
    *out = std::strtod(text, &end);
    return !*end && !errno && *out >= lo && *out <= hi;
}

struct Numeric {
    const char* name;
    double lo, hi;
    bool whole;
};
constexpr Numeric kNumeric[] = {{"--procs", 1, 1024, true},
                                {"--ms", 1, 600000, false},
                                {"--reps", 1, 1000, true},
                                {"--size", 1, 1e12, true}};

void set(Options* options, const std::string& name, double v) {
    if (name == "--procs") options->procs = static_cast<unsigned>(v);
    if (name == "--ms") options->ms = v;
    if (name == "--reps") options->reps = static_cast<unsigned>(v);
    if (name == "--size") options->size = static_cast<uint64_t>(v);
}

constexpr int kNothingWanted = 77;  // the status of a child none of whose metrics was asked for

// Fork, so that no workload inherits another's warm memory, peak of memory or threads, and a crash ends only
// its own.
int run_in_child(const Workload* w, const Options& options) {
    std::fflush(nullptr);
    const pid_t pid = fork();
    if (pid < 0) {
        std::perror("fork");
        return 1;
    }
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);  // who kills us means the workload
        bench::Run run(*w, options);
        w->body(run);
        std::fflush(nullptr);
        _exit(run.wanted_any() ? 0 : kNothingWanted);
    }
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return 1;
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    std::fprintf(stderr, "%s: %s: killed by signal %d (%s)\n", g_program, w->name, WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    return 1;
}

void list() {
    for (const Workload* w : workloads()) std::printf("%-11s %s\n", w->name, w->what);
}

}  // namespace

int main(int argc, char** argv) {
    if (const char* slash = std::strrchr(argv[0], '/')) g_program = slash + 1;
    if (argc > 1 && !std::strcmp(argv[1], "--client")) return bench::client_main(argc - 2, argv + 2);

    Options options;
    options.procs = bench::cpu_count();
    bench::prepare(options);
    std::string chosen;
    for (int i = 1; i < argc; ++i) {
        std::string arg = argv[i], value;
        if (arg == "--list" && argc > 2)
            refuse("--list: '%s' beside it; accepted: --list alone", argv[i > 1 ? 1 : 2]);
        if (arg == "--list") return list(), 0;
        if (arg == "--help" || arg == "-h") {
            std::printf(
                "usage: %s WORKLOAD [--procs N] [--ms T] [--reps R] [--size N] [--json]\n"
                "       [--counts] [--metric TEXT]\n"
                "       %s all [the same options]    every workload, each in its own process\n"
                "       %s --list\n\n"
                "Prints one line a metric: WORKLOAD P=<procs> METRIC <best> <unit> median= worst= reps= n= "
                "[cpu=]\n"
                "A repetition lasts at least T ms (550); R repetitions (5); N sizes what has a size.\n"
                "--counts: and a line of what was counted meanwhile, per op. --metric TEXT: only the metrics "
                "of\n"
                "that name, or with TEXT as a part of it between underscores.\nscale has rounds of its own "
                "instead of T and R; its figures are medians.\n\n",
                g_program, g_program, g_program);
            return list(), 0;
        }
        if (arg == "--json") {
            options.json = true;
            continue;
        }
        if (arg == "--counts") {
            if (!bench::has_counters())
                refuse("--counts: %s counts nothing; accepted: --procs N --ms T --reps R --size N --json",
                       g_program);
            options.counts = true;
            continue;
        }
        if (arg.starts_with("-")) {
            bool inline_value = false;
            if (const size_t eq = arg.find('='); eq != std::string::npos) {
                value = arg.substr(eq + 1);
                arg.resize(eq);
                inline_value = true;
            }
            const auto* numeric = std::find_if(std::begin(kNumeric), std::end(kNumeric),
                                               [&](auto& n) { return arg == n.name; });
            const bool is_metric = arg == "--metric";
            if (numeric == std::end(kNumeric) && !is_metric)
                refuse("unknown option '%s'; accepted: %s", argv[i], kOptions);
            if (!inline_value) {
                if (++i == argc && is_metric) refuse("--metric: no value; accepted: %s", kAnyMetric);
                if (i == argc)
                    refuse("%s: no value; accepted: a number from %.0f to %.0f", arg.c_str(), numeric->lo,
                           numeric->hi);
                value = argv[i];
            }
            if (is_metric) {
                if (value.empty()) refuse("--metric: bad value ''; accepted: %s", kAnyMetric);
                options.metric = value;
                continue;
            }
            double v;
            if (!parse(value.c_str(), numeric->lo, numeric->hi, numeric->whole, &v))
                refuse("%s: bad value '%s'; accepted: a %snumber from %.0f to %.0f", arg.c_str(),
                       value.c_str(), numeric->whole ? "whole " : "", numeric->lo, numeric->hi);
            set(&options, arg, v);
            continue;
        }
        if (!chosen.empty())
            refuse("more than one workload: '%s' and '%s'; accepted: one of %s", chosen.c_str(), argv[i],
                   names().c_str());
        chosen = arg;
    }
    if (chosen.empty()) refuse("no workload; accepted: %s", names().c_str());

    int worst = 0;
    bool found = false;
    for (const Workload* w : workloads())
        if (chosen == "all" || chosen == w->name) {
            found = true;
            const int status = run_in_child(w, options);
            if (status != kNothingWanted) worst = std::max(worst, status);
            else if (chosen != "all")
                refuse("--metric: %s has no '%s'; accepted: %s", w->name, options.metric.c_str(), kAnyMetric);
        }
    if (!found) refuse("unknown workload '%s'; accepted: %s", chosen.c_str(), names().c_str());
    return worst;
}
