// bench/gort.cc - what gortbench has and its twins have not: gort's environment and its default number of Ps.
// SPDX-License-Identifier: BSD-2-Clause
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "bench/harness.h"
#include "kernel/cpu.h"
#include "rt/go.h"

extern char** environ;

namespace {

bool has_gort_variable() {
    for (char** e = environ; *e; ++e)
        if (!std::strncmp(*e, "GORT_", 5)) return true;
    return false;
}

// The library judges its variables when a runtime starts, so one is started, in a child because workloads want a
// process without threads. Not left to the workloads: switch starts none, and --procs would hide a bad GORT_MAXPROCS.
void judge_environment() {
    std::fflush(nullptr);
    const pid_t pid = fork();
    if (pid == 0) _exit(gort::run([] {}));
    int status = 0;
    if (pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status))
        std::exit(WEXITSTATUS(status));
}

const bench::Preparation preparation([](bench::Options& options) {
    options.procs = static_cast<unsigned>(gort::kernel::cpu_count());
    if (!has_gort_variable()) return;
    judge_environment();
    if (const char* procs = std::getenv("GORT_MAXPROCS"))
        options.procs = static_cast<unsigned>(std::strtoul(procs, nullptr, 10));
});

}  // namespace
