// tests/test_run.h - the second half of tests/test.h: forks the tests, judges their endings, reads the flags.
// SPDX-License-Identifier: BSD-2-Clause
//
// Flags: [-l list] [-v print what passes too] [-p P,P... instead of the lists in the file] [-n repeats]
// [-s seed] [part of a test's name, or of the binary's]... Exit status: 0 all passed, 1 some failed, 2 bad flag or
// setting, 3 no test matches. The last line is `N passed, N failed`, with `, N skipped` when there are any; with status
// 2 and 3 there is none.
#pragma once
#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <iterator>

#include "tests/test.h"

namespace gort::test {

constexpr int64_t kLimitMs = 20'000;
constexpr int64_t kStressFactor = 6;
constexpr off_t kMaxOutput = 64 << 20;  // a child that prints more than this is killed
constexpr int kExitNoMatch = 3;

// ---- the ledger ----

struct LedgerEntry {
    const char* name;
    long (*fn)();
    long before;
};
struct Ledger {
    std::vector<LedgerEntry> entries;
    long (*kept_fds)() = [] { return 0L; };
    long mappings_slack = -1;  // -1: nobody asked
};
inline Ledger& ledger() {
    static Ledger l;
    return l;
}
class LedgerPage {
public:
    LedgerPage() {
        for (LedgerEntry& e : ledger().entries) e.before = e.fn();
        kept_ = ledger().kept_fds();
        fds_ = open_fds();
        mappings_ = count_mappings();
    }
    // What has changed, in words; empty when the books balance.
    std::string diff() const {
        std::string bad;
        auto differs = [&](const std::string& name, long before, long after) {
            bad += (bad.empty() ? "" : "; ") + name + ": " + std::to_string(before) + " before, " +
                   std::to_string(after) + " after";
        };
        for (const LedgerEntry& e : ledger().entries)
            if (long now = e.fn(); now != e.before) differs(e.name, e.before, now);
        std::vector<std::string> now_fds = open_fds();
        long before = long(fds_.size()) - kept_, after = long(now_fds.size()) - ledger().kept_fds();
        if (before != after) {
            differs("open descriptors", before, after);
            for (const std::string& f : now_fds)
                if (std::find(fds_.begin(), fds_.end(), f) == fds_.end()) bad += " (" + f + ")";
        }
#if !defined(GORT_DEBUG) && !GORT_TEST_SANITIZER
        long slack = ledger().mappings_slack, now_mappings = count_mappings();
        if (slack >= 0 && now_mappings > mappings_ + slack) differs("mappings", mappings_, now_mappings);
#endif
        return bad;
    }

private:
    long kept_ = 0, mappings_ = 0;
    std::vector<std::string> fds_;
};

// ---- one test ----

// The threads of a hung child: what each of them waits in says more than that it hangs.
inline std::string thread_states(pid_t pid) {
    std::string dir = "/proc/" + std::to_string(pid) + "/task/", all;
    for (const std::string& tid : names_in(dir)) {
        std::string stat = read_file(dir + tid + "/stat"),
                    state = stat.substr(std::min(stat.rfind(')'), stat.size()));
        all += "\n  thread " + tid + ": state " + state.substr(std::min<size_t>(2, state.size()), 1) +
               ", in " + read_file(dir + tid + "/wchan") + ", syscall " + read_file(dir + tid + "/syscall");
    }
    return all;
}

[[noreturn]] inline void child_main(const Test& t, int procs, uint64_t seed, int out, int err) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    signal(SIGQUIT, SIG_DFL);  // a shell's background jobs ignore it
    rlimit core{};
    setrlimit(RLIMIT_CORE, &core);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(null, 0);
    dup2(out, 1);
    dup2(err, 2);
    for (int fd : {null, out, err == out ? -1 : err})
        if (fd > 2) close(fd);
    std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);  // a test that is killed has still printed its lines
    g_seed = seed;
    g_draws = 0;
    g_start_ms = now_ms();
    {
        LedgerPage page;
        t.body(procs);
        std::string leak;
        if (!t.dies.text)
            for (const int64_t end = now_ms() + g_settle_ms * slow();; sched_yield()) {
                // before the look: this thread may sleep for long after it
                const bool last = now_ms() >= end;
                if ((leak = page.diff()).empty() || last) break;
            }
        if (!leak.empty()) {
            std::snprintf(g_shared->why, sizeof g_shared->why, "leak: %s", leak.c_str());
            g_shared->leaked = true;
        }
    }
    g_shared->done = true;
    std::exit(0);
}

// True when the child has ended, false at the deadline.
inline bool wait_child(pid_t pid, int64_t deadline) {
    sigset_t chld;
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    for (;;) {
        siginfo_t si{};
        if (waitid(P_PID, id_t(pid), &si, WEXITED | WNOHANG | WNOWAIT) == 0 && si.si_pid == pid) return true;
        if (now_ms() >= deadline) return false;
        timespec slice{0, 20'000'000};  // SIGCHLD is blocked, so none is lost between the look and the wait
        sigtimedwait(&chld, nullptr, &slice);
    }
}

inline std::string ending(int status) {
    if (WIFEXITED(status)) return "exit status " + std::to_string(WEXITSTATUS(status));
    if (WTERMSIG(status) == SIGABRT) return "abort";
    return "signal " + std::to_string(WTERMSIG(status)) + " (" + strsignal(WTERMSIG(status)) + ")";
}

struct Outcome {
    enum Result { kPassed, kFailed, kSkipped } result = kFailed;
    std::string why, output;
};

inline Outcome judge(const Test& t, int status, const std::string& err) {
    const Shared& s = *g_shared;
    if (s.failed) return {Outcome::kFailed, "a check failed", {}};
    if (s.leaked) return {Outcome::kFailed, s.why, {}};
    if (s.done && status) return {Outcome::kFailed, ending(status) + " after the end of the test", {}};
    if (s.done && s.skipped) return {Outcome::kSkipped, s.why, {}};
    if (!t.dies.text) {
        if (s.done) return {Outcome::kPassed, {}, {}};
        return {Outcome::kFailed, ending(status) + " before the end of the test", {}};
    }
    std::string text = '"' + std::string(t.dies.text) + '"';
    if (s.done) return {Outcome::kFailed, "lived on; should have died saying " + text, {}};
    if (err.find(t.dies.text) == std::string::npos)
        return {Outcome::kFailed, "died by " + ending(status) + " without " + text + " on its stderr", {}};
    int how = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status), want = t.dies.how;
    bool reported =
        GORT_TEST_SANITIZER && want < 0 && how > 0;  // a sanitizer exits where a signal would have killed
    if (want ? how == want || reported : how == -SIGABRT || how > 0) return {Outcome::kPassed, {}, {}};
    return {Outcome::kFailed, "said " + text + ", but died by " + ending(status), {}};
}

inline Outcome run_one(const Test& t, int procs, uint64_t seed) {
    int out = memfd_create("stdout", 0), err = t.dies.text ? memfd_create("stderr", 0) : out;
    if (out < 0 || err < 0) usage("memfd_create: " + std::string(std::strerror(errno)));
    new (g_shared) Shared;
    g_shared->limit_ms = kLimitMs * slow() * (t.kind & kStress ? kStressFactor : 1);
    std::fflush(nullptr);
    int64_t start = now_ms();
    pid_t pid = fork();
    if (pid < 0) usage("fork: " + std::string(std::strerror(errno)));
    if (pid == 0) child_main(t, procs, seed, out, err);
    setpgid(pid, pid);  // both sides do it, so that neither has to wait for the other
    std::string trouble;
    while (trouble.empty() && !wait_child(pid, std::min(start + g_shared->limit_ms, now_ms() + 100))) {
        if (std::max(lseek(out, 0, SEEK_END), lseek(err, 0, SEEK_END)) > kMaxOutput)
            trouble = "printed more than " + std::to_string(kMaxOutput >> 20) + " MiB";
        if (now_ms() - start < g_shared->limit_ms) continue;
        trouble = "hang: still running after " + std::to_string(g_shared->limit_ms / 1000) + " s" +
                  thread_states(pid);
        kill(pid, SIGQUIT);  // the runtime answers with a dump of its goroutines
        wait_child(pid, now_ms() + 2000);
    }
    kill(-pid, SIGKILL);  // before reaping: until then the group's number cannot be anybody else's
    int status = 0;
    waitpid(pid, &status, 0);
    std::string err_text = read_output(err);
    Outcome o = trouble.empty() ? judge(t, status, err_text) : Outcome{Outcome::kFailed, trouble, {}};
    o.output = err == out ? err_text : read_output(out) + err_text;
    close(out);
    if (err != out) close(err);
    return o;
}

// ---- the binary ----

struct Options {
    std::string program;  // the binary's name without its folder
    std::vector<std::string> filters;
    std::vector<int> procs;
    uint64_t repeat = 1;
    bool list = false, verbose = false;
};

constexpr char kHelp[] =
    "usage: %s [flag...] [name...]\n"
    "Runs the tests whose name, or whose binary's name, has one of the given names in it.\n"
    "  -l        lists the tests and runs none\n"
    "  -v        says what passes, too, with what it prints\n"
    "  -p P,P... the numbers of Ps to run with, instead of the test's own list\n"
    "  -n N      runs everything N times, each time with another seed\n"
    "  -s SEED   the seed of all random choices; a failure says which one it had\n"
    "GORT_TEST_STRESS=1 runs the long tests, too. GORT_TEST_SLOW=N: a machine N times as slow.\n"
    "Exit status: 0 all passed, 1 some failed, 2 bad flag, 3 no test matches.\n";

inline Options parse(int argc, char** argv) {
    const std::string flags = "flags are -h -l -v -p P,P... -n repeats -s seed";
    Options o;
    o.program = argv[0];
    o.program.erase(0, o.program.rfind('/') + 1);
    optind = 0;  // glibc: start over, this may not be the first call
    opterr = 0;
    for (int c; (c = getopt(argc, argv, ":p:n:s:lvh")) != -1;) {
        switch (c) {
        case 'p':
            for (char* p = std::strtok(optarg, ","); p; p = std::strtok(nullptr, ","))
                o.procs.push_back(int(number(p, "-p", 1, 1024)));
            if (o.procs.empty()) usage("-p '': not a list of P counts, as in -p 1,8");
            break;
        case 'n': o.repeat = number(optarg, "-n", 1, 1'000'000'000); break;
        case 's': g_seed = number(optarg, "-s", 0, UINT64_MAX - o.repeat); break;
        case 'l': o.list = true; break;
        case 'v': o.verbose = true; break;
        case 'h': std::printf(kHelp, argv[0]); std::exit(0);
        case ':': usage(std::string("-") + char(optopt) + ": needs a value; " + flags);
        default: usage(std::string("-") + char(optopt) + ": no such flag; " + flags);
        }
    }
    while (optind < argc) o.filters.push_back(argv[optind++]);
    return o;
}

inline void print_output(const std::string& s) {
    constexpr size_t kHead = 16 << 10, kTail = 48 << 10;
    std::string shown = s;
    if (s.size() > kHead + kTail)
        shown = s.substr(0, kHead) + "\n[" + std::to_string(s.size() - kHead - kTail) + " bytes left out]\n" +
                s.substr(s.size() - kTail);
    std::fwrite(shown.data(), 1, shown.size(), stdout);
    if (!shown.empty() && shown.back() != '\n') std::fputc('\n', stdout);
}

struct Run {
    const Test* test;
    int procs;
    std::string name;
};
inline bool per_procs(const Test& t) { return (t.kind & kPerProcs) != 0; }
inline std::vector<int> own_procs(const Test& t) {
    if (!t.procs[0]) return per_procs(t) ? std::vector<int>{1, 8} : std::vector<int>{1};
    return {std::begin(t.procs), std::find(std::begin(t.procs), std::end(t.procs), 0)};
}
// The tests that the flags ask for. `hidden` says whether a stress test was left out.
inline std::vector<Run> choose(const Options& o, const std::vector<Test>& tests, bool* hidden) {
    std::vector<Run> runs;
    for (const Test& t : tests)
        for (int p : per_procs(t) && !o.procs.empty() ? o.procs : own_procs(t)) {
            std::string name = t.name + (per_procs(t) ? "/P=" + std::to_string(p) : "");
            auto matches = [&](const std::string& f) {
                return name.find(f) != std::string::npos || o.program.find(f) != std::string::npos;
            };
            if (!o.filters.empty() && std::none_of(o.filters.begin(), o.filters.end(), matches)) continue;
            if (t.kind & kStress && !stress() && !o.list) *hidden = true;
            else runs.push_back({&t, p, name});
        }
    return runs;
}

inline int run(int argc, char** argv, const std::vector<Test>& tests) {
    timespec ts{};
    clock_gettime(CLOCK_REALTIME, &ts);
    g_seed = mix(uint64_t(ts.tv_sec) * 1'000'000'000 + uint64_t(ts.tv_nsec) + uint64_t(getpid())) >> 32;
    Options o = parse(argc, argv);
    slow();  // complains here, not in the middle of things
    stress();
    bool hidden = false;
    std::vector<Run> runs = choose(o, tests, &hidden);
    if (runs.empty() && !(hidden && o.filters.empty())) {
        std::fprintf(stderr, "%s: no test matches%s\n", argv[0], hidden ? " outside GORT_TEST_STRESS=1" : "");
        return kExitNoMatch;
    }
    if (o.list) {
        for (const Run& r : runs)
            std::printf("%s%s\n", r.name.c_str(), r.test->kind & kStress ? " (stress)" : "");
        return 0;
    }
    std::printf("seed %s\n", std::to_string(g_seed).c_str());
    sigset_t chld;
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    sigprocmask(SIG_BLOCK, &chld, nullptr);
    void* page = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) usage("mmap: " + std::string(std::strerror(errno)));
    g_shared = static_cast<Shared*>(page);
    long count[3] = {};
    uint64_t first_seed = g_seed;
    for (uint64_t i = 0; i < o.repeat; i++)
        for (const Run& r : runs) {
            int64_t start = now_ms();
            Outcome out = run_one(*r.test, r.procs, first_seed + i);
            count[out.result]++;
            const char* label = out.result == Outcome::kFailed    ? "FAIL"
                                : out.result == Outcome::kSkipped ? "skip"
                                                                  : "ok  ";
            if (out.result != Outcome::kPassed || o.verbose)
                std::printf("%s %s (%lld ms)%s%s\n", label, r.name.c_str(),
                            static_cast<long long>(now_ms() - start), out.why.empty() ? "" : ": ",
                            out.why.c_str());
            if (out.result == Outcome::kFailed || o.verbose) print_output(out.output);
            if (out.result == Outcome::kFailed)
                std::printf("     again: %s -s %s%s %s\n", argv[0], std::to_string(first_seed + i).c_str(),
                            per_procs(*r.test) ? (" -p " + std::to_string(r.procs)).c_str() : "",
                            r.test->name);
            std::fflush(stdout);
        }
    std::printf("%ld passed, %ld failed", count[Outcome::kPassed], count[Outcome::kFailed]);
    if (count[Outcome::kSkipped]) std::printf(", %ld skipped", count[Outcome::kSkipped]);
    std::printf("\n");
    return count[Outcome::kFailed] ? 1 : 0;
}

}  // namespace gort::test
