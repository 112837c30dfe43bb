// bench/counters.cc - perf_event_open, the cycle counter, and a single-stepping parent.
// SPDX-License-Identifier: BSD-2-Clause
#include "bench/counters.h"

#include <linux/perf_event.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "arch/arch.h"

namespace bench {

namespace {

constexpr uint64_t kSteps = 64;        // operations in the shorter single-stepped run
constexpr uint64_t kPerfOps = 100000;  // in the shorter counted run

int open_perf(uint64_t what) {
    perf_event_attr attr;
    std::memset(&attr, 0, sizeof attr);
    attr.size = sizeof attr;
    attr.type = PERF_TYPE_HARDWARE;
    attr.config = what;
    attr.exclude_kernel = 1;
    attr.exclude_hv = 1;
    return static_cast<int>(syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC));
}

uint64_t read_perf(int fd) {
    uint64_t value = 0;
    return read(fd, &value, sizeof value) == sizeof value ? value : 0;
}

// Steps the stopped child until it stops itself again. Returns the number of steps, or 0 when stepping does
// not work.
uint64_t step_to_next_stop(pid_t pid) {
    for (uint64_t steps = 0;; ++steps) {
        int status;
        if (ptrace(PTRACE_SINGLESTEP, pid, nullptr, nullptr)) return 0;
        while (waitpid(pid, &status, 0) < 0)
            if (errno != EINTR) return 0;
        if (!WIFSTOPPED(status)) return 0;
        if (WSTOPSIG(status) == SIGSTOP) return steps;
        if (WSTOPSIG(status) != SIGTRAP) return 0;
    }
}

std::optional<InsnCount> single_step(const std::function<void(uint64_t)>& body) {
    const pid_t pid = fork();
    if (pid < 0) return {};
    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr)) _exit(1);
        body(kSteps);  // first-use work (lazy binding, allocation) happens here
        raise(SIGSTOP);
        body(kSteps);
        raise(SIGSTOP);
        body(2 * kSteps);
        raise(SIGSTOP);
        _exit(0);
    }
    int status;
    uint64_t once = 0, twice = 0;
    if (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
        once = step_to_next_stop(pid);
        if (once) twice = step_to_next_stop(pid);
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
    }
    if (twice <= once) return {};
    return InsnCount{static_cast<double>(twice - once) / kSteps, "singlestep"};
}

}  // namespace

CycleCounter::CycleCounter() : fd_(open_perf(PERF_COUNT_HW_CPU_CYCLES)) {}
CycleCounter::~CycleCounter() {
    if (fd_ >= 0) close(fd_);
}
uint64_t CycleCounter::now() const { return fd_ >= 0 ? read_perf(fd_) : gort::arch::cycles(); }
const char* CycleCounter::source() const {
#if defined(__x86_64__)
    return fd_ >= 0 ? "perf" : "tsc";
#else
    return fd_ >= 0 ? "perf" : "cntvct";
#endif
}

std::optional<InsnCount> count_instructions(const std::function<void(uint64_t)>& body) {
    const int fd = open_perf(PERF_COUNT_HW_INSTRUCTIONS);
    if (fd < 0) return single_step(body);
    body(kPerfOps);
    const uint64_t start = read_perf(fd);
    body(kPerfOps);
    const uint64_t middle = read_perf(fd);
    body(2 * kPerfOps);
    const uint64_t end = read_perf(fd);
    close(fd);
    return InsnCount{static_cast<double>((end - middle) - (middle - start)) / kPerfOps, "perf"};
}

}  // namespace bench
