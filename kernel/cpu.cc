// kernel/cpu.cc - affinity mask, and the cgroup files that say how much CPU time there is.
// SPDX-License-Identifier: BSD-2-Clause
//
// Two files tell where to look. /proc/self/cgroup has a line for each hierarchy, "0::/a/b" for v2 and
// "4:cpu,cpuacct:/a/b" for v1. /proc/self/mountinfo tells where a hierarchy is mounted, and which of its
// groups is the root of that mount: "32 31 0:29 /a /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu". The group's
// folder is then the mount point and what is left of the path after that root; its limit counts, and every
// one up to the mount point.
#include "kernel/cpu.h"

#include "kernel/file.h"
#include "kernel/lock.h"
#include "kernel/mem.h"
#include "kernel/sys.h"

namespace gort::kernel {

namespace {

constexpr int64_t kThousand = 1000;
constexpr size_t kPath = 4096, kLine = 8192, kSmall = 128, kMaxCpus = 8192;

// Too large for a stack. A program's start touches as few of its pages as it can.
struct Scratch {
    char text[kSmall], text2[kSmall];
    char v1_path[kPath], v2_path[kPath];  // this process's groups
    char file[2 * kPath];                 // a path that is being put together
    char line[kLine];
    char chunk[kLine];
};
Mutex g_scratch_lock{LockRank::kLeaf};
Scratch g_scratch GORT_GUARDED_BY(g_scratch_lock);

// Lines of a file; one that is longer than kLine is cut short.
class Lines {
public:
    Lines(const char* path, Scratch* s) : s_(s), file_(path, s->chunk, sizeof s->chunk) {}

    char* next() {  // without its newline; null at the end
        size_t n = 0;
        for (int c = file_.get();; c = file_.get()) {
            if (c < 0 && n == 0) return nullptr;
            if (c < 0 || c == '\n') break;
            if (n < kLine - 1) s_->line[n++] = static_cast<char>(c);
        }
        s_->line[n] = 0;
        return s_->line;
    }

private:
    Scratch* s_;
    ByteReader file_;
};

bool read_small(const char* path, char* text) {
    const int fd = sys_open(path, 0);
    if (fd < 0) return false;
    long n;
    do {
        n = sys_read(fd, text, kSmall - 1);
    } while (n == -EINTR);
    sys_close(fd);
    if (n < 0) return false;
    text[n] = 0;
    return true;
}

// The text up to `end`, which becomes a NUL; *p moves behind it.
char* cut(char** p, char end) {
    char* start = *p;
    char* q = start;
    while (*q && *q != end) ++q;
    if (*q) *q++ = 0;
    *p = q;
    return start;
}

// "rw,cpu,cpuacct" has the word "cpu".
bool has_word(const char* list, const char* word) {
    const size_t n = str_len(word);
    for (const char* p = list;; ++p) {
        if (str_starts_with(p, word) && (p[n] == ',' || p[n] == 0)) return true;
        while (*p && *p != ',') ++p;
        if (!*p) return false;
    }
}

// mountinfo writes blank, tab, newline and backslash as \040 and so on.
void unescape(char* s) {
    char* to = s;
    const auto octal = [](char c) { return c >= '0' && c <= '7'; };
    while (*s) {
        if (*s == '\\' && octal(s[1]) && octal(s[2]) && octal(s[3])) {
            *to++ = static_cast<char>((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
            s += 4;
        } else {
            *to++ = *s++;
        }
    }
    *to = 0;
}

// What is left of `path` below `root`; null if it is not below.
const char* below(const char* path, const char* root) {
    if (str_equal(root, "/")) return str_equal(path, "/") ? "" : path;
    const size_t n = str_len(root);
    if (!str_starts_with(path, root) || (path[n] != '/' && path[n] != 0)) return nullptr;
    return path + n;
}

int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }

int64_t number(const char** p, int64_t missing) {
    while (**p == ' ' || **p == '\t' || **p == '\n') ++*p;
    if (**p < '0' || **p > '9') return missing;
    int64_t v = 0;
    for (; **p >= '0' && **p <= '9'; ++*p)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, **p - '0', &v)) v = kNoQuota;
    return v;
}

// Rounded up: a sliver of a CPU over 1 is more than 1.
int64_t share(int64_t quota, int64_t period) {
    int64_t scaled;
    if (quota < 0 || period <= 0 || __builtin_mul_overflow(quota, kThousand, &scaled)) return kNoQuota;
    return scaled / period + (scaled % period != 0);
}

// The smallest limit of the folder in s->file, which is `length` long, and of those above it down to `stop`.
// `own`: whether the folder itself has one, even if that is no limit.
int64_t walk_up(Scratch* s, size_t length, size_t stop, bool v2, bool* own) {
    int64_t limit = kNoQuota;
    char* const path = s->file;
    *own = false;
    for (bool first = true;; first = false) {
        str_copy(path + length, sizeof s->file - length, v2 ? "/cpu.max" : "/cpu.cfs_quota_us");
        const bool here = read_small(path, s->text);
        if (first) *own = here;
        if (here && v2) {
            limit = min(limit, parse_cpu_max(s->text));
        } else if (here && s->text[0] != '-') {  // not -1: limited
            str_copy(path + length, sizeof s->file - length, "/cpu.cfs_period_us");
            if (read_small(path, s->text2)) limit = min(limit, parse_cfs_quota(s->text, s->text2));
        }
        if (length <= stop) return limit;
        while (length > stop && path[length - 1] != '/') --length;
        while (length > stop && path[length - 1] == '/') --length;
    }
}

// The same where nearly every system mounts it: that saves reading mountinfo, which is a third of a small program's
// start. False: our group is not there, or it is something else's folder.
bool usual_limit(Scratch* s, const char* root, const char* group, bool v2, int64_t* limit) {
    size_t n = str_copy(s->file, kPath, root);
    const size_t stop = n += str_copy(s->file + n, kPath - n, v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu");
    if (!str_equal(group, "/")) n += str_copy(s->file + n, kPath, group);
    bool own;
    const int64_t found = walk_up(s, n, stop, v2, &own);
    if (!own) {  // the root has none, nor has a group of v2 without the controller
        str_copy(s->file + stop, kPath - stop, str_equal(group, "/") ? "" : group);
        str_copy(s->file + n, sizeof s->file - n, "/cgroup.procs");
        const int fd = sys_open(s->file, 0);
        if (fd < 0) return false;
        sys_close(fd);
    }
    *limit = min(*limit, found);
    return true;
}

// The limit by one hierarchy. Of several mounts the one that shows our group; if none does (it lies outside
// of what a container sees), the first one's own root, which is all that can be known.
int64_t hierarchy_limit(Scratch* s, const char* root, const char* group, bool v2) {
    int64_t limit = kNoQuota;
    bool any = false;
    size_t n = str_copy(s->file, sizeof s->file, root);
    str_copy(s->file + n, sizeof s->file - n, "/proc/self/mountinfo");
    Lines lines(s->file, s);
    while (char* line = lines.next()) {
        for (int i = 0; i < 3; ++i) cut(&line, ' ');
        char* mount_root = cut(&line, ' ');
        char* point = cut(&line, ' ');
        while (*line && !str_equal(cut(&line, ' '), "-")) {
        }
        const char* type = cut(&line, ' ');
        cut(&line, ' ');  // the source
        if (!str_equal(type, v2 ? "cgroup2" : "cgroup") || (!v2 && !has_word(line, "cpu"))) continue;
        unescape(mount_root);
        unescape(point);
        const char* rest = below(group, mount_root);
        if (!rest && any) continue;
        n = str_copy(s->file, kPath, root);
        if (n + str_len(point) >= kPath) continue;
        n += str_copy(s->file + n, kPath - n, point);
        const size_t stop = n;
        if (rest) n += str_copy(s->file + n, kPath, rest);
        bool own;
        limit = walk_up(s, n, stop, v2, &own);
        any = true;
        if (rest) break;
    }
    return limit;
}

}  // namespace

int64_t parse_cpu_max(const char* text) {
    constexpr int64_t kPeriod = 100'000;  // the kernel's own default
    const int64_t quota = number(&text, -1);
    return share(quota, number(&text, kPeriod));
}

int64_t parse_cfs_quota(const char* quota_us, const char* period_us) {
    const int64_t quota = number(&quota_us, -1);
    return share(quota, number(&period_us, -1));
}

int64_t cgroup_quota(const char* root) {
    LockGuard guard(g_scratch_lock);
    Scratch* s = &g_scratch;
    s->v1_path[0] = s->v2_path[0] = 0;
    const size_t n = str_copy(s->file, kPath, root);
    if (n + kSmall < kPath) {
        str_copy(s->file + n, kPath - n, "/proc/self/cgroup");
        {
            Lines lines(s->file, s);
            while (char* line = lines.next()) {
                const char* id = cut(&line, ':');
                const char* controllers = cut(&line, ':');
                if (str_equal(id, "0") && !*controllers) str_copy(s->v2_path, kPath, line);
                if (has_word(controllers, "cpu")) str_copy(s->v1_path, kPath, line);
            }
        }
        int64_t limit = kNoQuota;
        // The kernel has a controller in one hierarchy only: where v1 has it, v2 has no limits.
        const char* own = s->v1_path[0] ? s->v1_path : s->v2_path;
        if (!own[0] || !usual_limit(s, root, own, own == s->v2_path, &limit)) {
            if (s->v2_path[0]) limit = min(limit, hierarchy_limit(s, root, s->v2_path, true));
            if (s->v1_path[0]) limit = min(limit, hierarchy_limit(s, root, s->v1_path, false));
        }
        return limit;
    }
    return kNoQuota;
}

int affinity_cpu_count() {
    const int n = affinity_cpu_count_of(0);
    return n > 0 ? n : 1;
}
int affinity_cpu_count_of(int tid) {
    uint64_t mask[kMaxCpus / 64];
    const int bytes = sys_sched_getaffinity(tid, sizeof mask, mask);
    int n = 0;
    for (int i = 0; i < bytes / 8; ++i)
        for (uint64_t bits = mask[i]; bits; bits &= bits - 1) ++n;
    return n;
}

int cpus_for(int affinity, int64_t quota_thousandths) {
    int64_t n = affinity;
    if (quota_thousandths != kNoQuota)
        n = min(n, quota_thousandths / kThousand + (quota_thousandths % kThousand != 0));
    return n > 0 ? static_cast<int>(n) : 1;
}

int cpu_count() { return cpus_for(affinity_cpu_count(), cgroup_quota()); }

}  // namespace gort::kernel
