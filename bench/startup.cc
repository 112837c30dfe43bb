// bench/startup.cc - what a whole small program costs: time from start to end, size, memory.
// SPDX-License-Identifier: BSD-2-Clause
//
// Times $STARTUP_PROGRAM, whatever wrote it, or the `hello` beside this program (gort's, made by make); bench/run
// sets it for each language.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "bench/harness.h"

namespace {

std::string program() {
    if (const char* set = std::getenv("STARTUP_PROGRAM")) return set;
    char self[4096];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self);
    const std::string path(self, n > 0 ? static_cast<size_t>(n) : 0);
    return path.substr(0, path.rfind('/') + 1) + "hello";
}

// Runs it once; returns its peak memory in KiB.
double start_and_wait(const bench::Run& run, const char* path) {
    const pid_t pid = vfork();
    if (pid == 0) {
        execl(path, path, static_cast<char*>(nullptr));
        _exit(127);
    }
    int status = 0;
    rusage usage{};
    run.check(pid > 0 && wait4(pid, &status, 0, &usage) == pid, "cannot start it");
    run.check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the program failed");
    return static_cast<double>(usage.ru_maxrss);
}

}  // namespace

WORKLOAD(startup, "a whole program that starts one task, joins it and ends") {
    const std::string path = program();
    struct stat st {};
    run.check(!stat(path.c_str(), &st), "no program to start; set STARTUP_PROGRAM");
    bench::Series time{"hello", "ms", {}, 0}, rss{"rss", "KiB", {}, 1};
    const bench::Series size{"size", "KiB", {static_cast<double>(st.st_size) / 1024}, 1};
    start_and_wait(run, path.c_str());
    for (unsigned r = 0; r < run.reps(); ++r) {
        uint64_t n = 0;
        double peak = 0;
        bench::Stopwatch watch;
        for (; watch.wall_ns() < run.ms() * 1e6; ++n)
            peak = std::max(peak, start_and_wait(run, path.c_str()));
        time.values.push_back(watch.wall_ns() / 1e6 / static_cast<double>(n));
        time.n = n;
        rss.values.push_back(peak);
    }
    run.emit(time);
    run.emit(size);
    run.emit(rss);
}
