// tests/explore/trace.cc - a failure as its interleaving: an operation a line, with its place in the source.
// SPDX-License-Identifier: BSD-2-Clause
#include "tests/explore/trace.h"

#include <unistd.h>

#include <cstdio>
#include <cstring>

namespace gort::explore {

namespace {

const size_t kMostLines = std::getenv("EXPLORE_ALL") ? 1000000 : 400;

struct Named {
    uintptr_t start;
    size_t size;
    char text[32];
};
Vector<Named>* names;

// The words of the tree's own path, whatever the build was called with.
const char* in_tree(const char* path) {
    for (const char* top : {"/tests/explore/", "/kernel/", "/rt/", "/chan/", "/ctx/", "/arch/"})
        if (const char* at = std::strstr(path, top)) return at + 1;
    for (const char* top : {"tests/", "kernel/", "rt/", "chan/", "ctx/", "arch/"})
        if (std::strncmp(path, top, std::strlen(top)) == 0) return path;
    return nullptr;
}

// Frames that only stand between the one who asks for an ordering and the instruction.
bool between(const char* function, const char* file) {
    if (!file) return true;
    for (const char* f :
         {"light_barrier", "light_fence", "full_barrier", "full_fence", "glance", "heavy_barrier"})
        if (std::strstr(function, f)) return true;
    return false;
}

// Public headers include each other by relative paths: rt/sync/../own/gate_fast.h is rt/own/gate_fast.h.
void without_detours(char* path) {
    while (char* up = std::strstr(path, "/../")) {
        char* start = up;
        while (start > path && start[-1] != '/') --start;
        std::memmove(start, up + 4, std::strlen(up + 4) + 1);
    }
}

}  // namespace

void name(const void* address, size_t size, const char* text) {
    if (!names) {
        names = static_cast<Vector<Named>*>(std::malloc(sizeof *names));
        new (names) Vector<Named>;
    }
    Named n{reinterpret_cast<uintptr_t>(address), size, {}};
    std::snprintf(n.text, sizeof n.text, "%s", text);
    names->push_back(n);
}

static void print_address(uintptr_t a, char* to, size_t size) {
    if (!a) return void(*to = 0);
    if (names)
        for (const Named& n : *names)
            if (a >= n.start && a < n.start + n.size) {
                if (a == n.start) std::snprintf(to, size, "%s", n.text);
                else std::snprintf(to, size, "%s+%zu", n.text, static_cast<size_t>(a - n.start));
                return;
            }
    std::snprintf(to, size, "%#lx", static_cast<unsigned long>(a));
}

void Places::resolve(const Vector<const void*>& pcs) {
    char self[512];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0) return;
    self[n] = 0;
    // Addresses go through a file: there may be thousands.
    char list[] = "/tmp/explore-XXXXXX";
    const int fd = mkstemp(list);
    if (fd < 0) return;
    std::FILE* f = fdopen(fd, "w");
    for (const void* pc : pcs)
        if (pc && !find(pc))
            std::fprintf(f, "%p\n", static_cast<const void*>(static_cast<const char*>(pc) - 1));
    std::fclose(f);
    char command[1200];
    std::snprintf(command, sizeof command, "addr2line -a -f -i -C -e '%s' <%s 2>/dev/null", self, list);
    std::FILE* out = popen(command, "r");
    char line[2048], function[2048] = "";
    bool chosen = true;
    while (out && std::fgets(line, sizeof line, out)) {
        line[std::strcspn(line, "\n")] = 0;
        if (std::strncmp(line, "0x", 2) == 0) {
            const char* pc = reinterpret_cast<const char*>(std::strtoul(line, nullptr, 16)) + 1;
            places_.push_back({pc, "?", 0, ""});
            chosen = false;
            continue;
        }
        std::snprintf(function, sizeof function, "%s", line);
        if (!std::fgets(line, sizeof line, out)) break;
        line[std::strcspn(line, " \n")] = 0;
        char* colon = std::strrchr(line, ':');
        if (chosen || !colon) continue;
        const int line_number = std::atoi(colon + 1);
        *colon = 0;
        without_detours(line);
        const char* file = in_tree(line);
        if (file) {
            Place& p = places_.back();
            std::snprintf(p.file, sizeof p.file, "%.79s", file);
            p.line = line_number;
            std::snprintf(p.function, sizeof p.function, "%.95s", function);
        }
        chosen = !between(function, file);
    }
    if (out) pclose(out);
    unlink(list);
}

const Place* Places::find(const void* pc) const {
    for (const Place& p : places_)
        if (p.pc == pc) return &p;
    return nullptr;
}

void print_failure(const World& w, Places* places) {
    Vector<const void*> pcs;
    for (const Event& e : w.events) {
        pcs.push_back(e.pc);
        pcs.push_back(e.asker);
    }
    pcs.push_back(w.failed_at);
    places->resolve(pcs);
    const auto where = [&](const void* pc) {
        static char text[2][128];
        static int which;
        char* to = text[which ^= 1];
        const Place* p = pc ? places->find(pc) : nullptr;
        if (p) std::snprintf(to, 128, "%s:%d", p->file, p->line);
        else std::snprintf(to, 128, "-");
        return to;
    };
    size_t left_out = w.events.size() > kMostLines ? w.events.size() - kMostLines : 0;
    if (left_out) std::printf("  ... %zu operations before\n", left_out);
    for (const Event& e : w.events) {
        if (left_out && left_out--) continue;
        if (e.what == Op::kCompilerFence) continue;
        if (e.address && e.what != Op::kPlain && !w.memory.shared(reinterpret_cast<void*>(e.address), e.size))
            continue;
        char at[64];
        print_address(e.address, at, sizeof at);
        std::printf("  T%d %-28s %-8s %-8s %s", e.thread, where(e.pc), op_name(e.what),
                    e.order == Order::kPlain ? "" : order_name(e.order), at);
        switch (e.what) {
        case Op::kStore: std::printf(" = %ld", static_cast<long>(e.value)); break;
        case Op::kModify:
            std::printf(" %ld -> %ld", static_cast<long>(e.old), static_cast<long>(e.value));
            break;
        case Op::kLoad:
        case Op::kExchange:
        case Op::kFutexWait: std::printf(" is %ld", static_cast<long>(e.value)); break;
        case Op::kFutexWake: std::printf(" woke %ld", static_cast<long>(e.value)); break;
        case Op::kForced: std::printf("in T%d, asked for at %s", e.from, where(e.asker)); break;
        case Op::kBarrier: std::printf("asked for at %s", where(e.asker)); break;
        case Op::kPlain: std::printf(" races with T%d at %s", e.from, where(e.asker)); break;
        default: break;
        }
        const bool reads = e.what == Op::kLoad || e.what == Op::kExchange || e.what == Op::kFutexWait ||
                           e.what == Op::kModify;
        if (reads && e.from >= 0) std::printf(", of T%d@%u", e.from, e.from_op);
        if (reads && e.from < 0) std::printf(", from the start");
        if (e.behind && e.what == Op::kStore) std::printf(", BEFORE %d OTHERS", e.behind);
        else if (e.behind) std::printf(", BEHIND BY %d", e.behind);
        std::printf("\n");
    }
    std::printf("  %s%s%s\n", w.text, w.failed_at ? " at " : "", w.failed_at ? where(w.failed_at) : "");
}

const char* op_name(Op what) {
    static const char* const kNames[] = {"",      "begins",   "load",  "store", "modify",  "try",
                                         "fence", "compiler", "wait",  "wake",  "barrier", "forced",
                                         "yield", "pause",    "clock", "spawn", "join",    "ends",
                                         "woken", "time-out", "nap",   "plain", "call"};
    return kNames[static_cast<int>(what)];
}
const char* order_name(Order order) {
    static const char* const kNames[] = {"relaxed", "consume", "acquire", "release",
                                         "acq_rel", "seq_cst", "plain"};
    return kNames[static_cast<int>(order)];
}

}  // namespace gort::explore
