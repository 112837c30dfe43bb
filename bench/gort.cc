// bench/gort.cc - what gortbench has and its twins have not: gort's environment, its default number of Ps, and its
// counters.
// SPDX-License-Identifier: BSD-2-Clause
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "bench/harness.h"
#include "kernel/cpu.h"
#include "rt/go.h"
#include "rt/stats.h"

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

bench::Counters read_counters() {
    const gort::runtime_stats s = gort::stats(false);
    return {
        {"switches", s.switches},
        {"parks", s.parks},
        {"wakes", s.wakes},
        {"sleeps", s.sleeps},
        {"retakes", s.retakes},
        {"steals", s.steals},
        {"steal_tries", s.steal_tries},
        {"looks", s.looks},
        {"polls", s.polls},
        {"heavy_barriers", s.barriers.total()},
        {"heavy_barriers_take", s.barriers.take},
        {"heavy_barriers_channel", s.barriers.channel},
        {"heavy_barriers_sync", s.barriers.sync},
        {"heavy_barriers_lock", s.barriers.lock},
        {"heavy_barriers_sleeper", s.barriers.sleeper},
        {"heavy_barriers_waiter", s.barriers.waiter},
        {"heavy_barriers_solo", s.barriers.solo},
        {"heavy_barriers_arm", s.barriers.arm},
        {"heavy_barriers_other", s.barriers.other},
        {"handshakes", s.handshakes},
        {"futex_waits", s.futex_waits},
        {"futex_wakes", s.futex_wakes},
        {"sched_lock", s.sched_lock.acquired},
        {"sched_lock_waited", s.sched_lock.waited},
        {"sched_lock_slept", s.sched_lock.slept},
        {"depot_lock", s.depot_lock.acquired},
        {"depot_lock_waited", s.depot_lock.waited},
        {"depot_lock_slept", s.depot_lock.slept},
        {"stack_lock", s.stack_lock.acquired},
        {"stack_lock_waited", s.stack_lock.waited},
        {"stack_lock_slept", s.stack_lock.slept},
        {"procs_lock", s.procs_lock.acquired},
        {"procs_lock_waited", s.procs_lock.waited},
        {"procs_lock_slept", s.procs_lock.slept},
    };
}

const bench::CounterSource counters(read_counters);

}  // namespace
