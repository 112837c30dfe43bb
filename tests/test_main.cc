// tests/test_main.cc - main(), and what test.h, child.h and test_proc.h declare: compiled once for all test binaries.
// SPDX-License-Identifier: BSD-2-Clause
#include <dirent.h>

#include <algorithm>
#include <cinttypes>
#include <cstdarg>
#include <regex>

#include "tests/child.h"
#include "tests/test_run.h"

namespace gort::test {

// ---- what test_proc.h and child.h declare ----

std::string read_file(const std::string& path) {
    std::string s;
    char buf[4096];
    int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    for (ssize_t n; fd >= 0 && (n = read(fd, buf, sizeof buf)) > 0;) s.append(buf, size_t(n));
    if (fd >= 0) close(fd);
    while (!s.empty() && s.back() == '\n') s.pop_back();
    return s;
}
std::vector<std::string> names_in(const std::string& path) {
    std::vector<std::string> names;
    DIR* dir = opendir(path.c_str());
    if (!dir) return names;
    while (dirent* e = readdir(dir))  // without the descriptor we are reading with
        if (e->d_name[0] != '.' && e->d_name != std::to_string(dirfd(dir))) names.push_back(e->d_name);
    closedir(dir);
    return names;
}
std::vector<std::string> open_fds() {
    std::vector<std::string> fds;
    for (const std::string& n : names_in("/proc/self/fd")) {
        char target[128];
        ssize_t k = readlink(("/proc/self/fd/" + n).c_str(), target, sizeof target);
        fds.push_back(n + " -> " + std::string(target, size_t(std::max<ssize_t>(k, 0))));
    }
    return fds;
}
long count_mappings() {
    std::string maps = read_file("/proc/self/maps");
    return std::count(maps.begin(), maps.end(), '\n') + 1;
}
std::string read_output(int fd) {
    std::string s(size_t(lseek(fd, 0, SEEK_END)), '\0');
    ssize_t n = pread(fd, s.data(), s.size(), 0);
    s.resize(size_t(std::max<ssize_t>(n, 0)));
    return s;
}

static size_t count_threads() {
    size_t n = 0;
    for (const std::string& tid : names_in("/proc/self/task"))
        n += read_file("/proc/self/task/" + tid + "/status").find("\nSigBlk:\tfffffffe7ffbfeff\n") ==
             std::string::npos;
    return n;
}
// Before the program starts any there is one, and an emulator's, which never leave.
static const size_t g_threads_at_start = count_threads();

void wait_for_leaving_threads() {
    const int64_t end = now_ms() + 1000 * slow();
    while (count_threads() > g_threads_at_start && now_ms() < end) sched_yield();
}

bool has_line(const std::string& text, const std::string& pattern) {
    return std::regex_search(text, std::regex(pattern, std::regex::ECMAScript | std::regex::multiline));
}

// ---- what test.h declares ----

int64_t now_ms() {
    timespec ts{};
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return int64_t(ts.tv_sec) * 1000 + ts.tv_nsec / 1000000;
}
void usage(const std::string& what) {
    std::fprintf(stderr, "%s\n", what.c_str());
    std::exit(kExitUsage);
}
uint64_t number(const char* s, const std::string& name, uint64_t low, uint64_t high) {
    char* end = nullptr;
    errno = 0;
    uint64_t v = *s >= '0' && *s <= '9' ? std::strtoull(s, &end, 0) : 0;
    if (!end || *end || errno || v < low || v > high)
        usage(name + " '" + s + "': not a number from " + std::to_string(low) + " to " +
              std::to_string(high));
    return v;
}
uint64_t env_number(const char* name, uint64_t low, uint64_t high, uint64_t otherwise) {
    const char* s = std::getenv(name);
    return s && *s ? number(s, name, low, high) : otherwise;
}
bool stress() { return env_number("GORT_TEST_STRESS", 0, 1, 0) != 0; }
int slow() {
    return int(env_number("GORT_TEST_SLOW", 1, 1000, 1)) * (GORT_TEST_SANITIZER ? GORT_TEST_SANITIZER : 1);
}
void fail(const char* file, int line, const char* fmt, ...) {
    char text[1500];
    int n = std::snprintf(text, sizeof text, "%s:%d: ", file, line);
    va_list ap;
    va_start(ap, fmt);
    std::vsnprintf(text + n, sizeof text - size_t(n), fmt, ap);
    va_end(ap);
    g_shared->failed = true;
    dprintf(2, "%s\n", text);
    _exit(1);
}
void skip(const char* why) {
    std::snprintf(g_shared->why, sizeof g_shared->why, "%s", why);
    g_shared->skipped = true;
}

static std::string say(const Shown& v) {
    char s[64];
    switch (v.kind) {
    case Shown::kBool: return v.i ? "true" : "false";
    case Shown::kChar:
        std::snprintf(s, sizeof s, v.i >= ' ' && v.i <= '~' ? "'%c'" : "'\\x%02x'", int(v.i) & 255);
        break;
    case Shown::kSigned:
        std::snprintf(s, sizeof s, v.i > 99 ? "%" PRIi64 " (%#" PRIx64 ")" : "%" PRIi64, v.i, v.u);
        break;
    case Shown::kUnsigned:
        std::snprintf(s, sizeof s, v.u > 99 ? "%" PRIu64 " (%#" PRIx64 ")" : "%" PRIu64, v.u, v.u);
        break;
    case Shown::kReal: std::snprintf(s, sizeof s, "%.17g", v.real); break;
    case Shown::kText: return '"' + std::string(v.text.substr(0, 400)) + '"';
    case Shown::kPointer: std::snprintf(s, sizeof s, "%#" PRIx64, v.u); break;
    case Shown::kNullptr: return "nullptr";
    case Shown::kWords: return v.words(v.p) + " (" + std::to_string(v.number) + ")";
    case Shown::kTicks: std::snprintf(s, sizeof s, "%" PRIi64 "/%" PRIi64 " s", v.i, v.number); break;
    case Shown::kObject: std::snprintf(s, sizeof s, "(an object of %" PRIu64 " bytes)", v.u); break;
    }
    return s;
}
void fail_shown(const char* file, int line, const char* what, const Shown& a, const Shown& b) {
    fail(file, line, "%s: %s and %s", what, say(a).c_str(), say(b).c_str());
}

// It gives up a little before the parent does, because it can say what it was waiting for.
void Poll::wait(const char* file, int line, const char* what) {
    if (now_ms() - g_start_ms > g_shared->limit_ms / 10 * 9) fail(file, line, "EVENTUALLY(%s): never", what);
    g_yield();
}

std::vector<Test>& registry() {
    static std::vector<Test> tests;
    return tests;
}
bool add(const Test& t) {
    registry().push_back(t);
    return true;
}

bool ledger_add(const char* name, long (*fn)()) {
    ledger().entries.push_back({name, fn, 0});
    return true;
}
bool ledger_fds(long (*fn)()) {
    ledger().kept_fds = fn;
    return true;
}
bool ledger_mappings(long slack) {
    ledger().mappings_slack = slack;
    return true;
}

}  // namespace gort::test

int main(int argc, char** argv) { return gort::test::run(argc, argv, gort::test::registry()); }
