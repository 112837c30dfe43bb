// tests/explore/main.cc - explore [OPTION...] [PIECE...]: the search of each piece, in a process of its own.
// SPDX-License-Identifier: BSD-2-Clause
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "kernel/fatal.h"
#include "tests/explore/mutants.h"

using namespace gort;
using namespace gort::explore;

namespace gort::explore {
Piece* Piece::all = nullptr;
}

namespace {

struct Options {
    bool list = false, mutants = false, verbose = false;
    int preemptions = -1, stale = -1, early = -1, timeouts = -1;
    uint64_t executions = 0, random = 0, seed = 0;
    bool has_seed = false;
    const char* replay = nullptr;
    const char* weaken = nullptr;  // FILE:LINE[:how]
    const char* record = nullptr;  // file to which the mutants' fates go
    const char* check = nullptr;   // such a file
    double time = 0;               // s for each search
    int scale = 1;                 // so many times the executions of a piece's own bound
} options;

const char kUsage[] =
    "explore [OPTION...] [PIECE...]     every piece whose name contains one of the words, or is =WORD; "
    "without words all\n"
    "  -l               list them\n"
    "  -p N -s N -e N -t N   bounds: preemptions, stale loads, early stores, time-outs (1000: none)\n"
    "  -n N             at most N executions of a depth first search; -x N: N times as many as the piece "
    "says\n"
    "  -r N             afterwards N random executions; -T N: each search ends after N seconds\n"
    "  --seed=N         one random execution by this seed\n"
    "  --replay=S       the schedule S that a failure has printed\n"
    "  --weaken=FILE:LINE  without the orderings of that line\n"
    "  -m               the mutants: without each ordering in turn; --record=FILE: their fates go there\n"
    "  --check=FILE     that each mutant that is caught there still is\n"
    "  -v               print the last execution even if it was good\n";

double seconds() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

void report(World& w, Places* places, const Found& f, const char* how) {
    Vector<Deviation> schedule = f.schedule;
    const bool endless =
        std::strncmp(w.text, "livelock", 8) == 0;  // to shorten these takes long, and shows nothing
    if (!endless && f.end == End::kFailed && replay(w, schedule) == End::kFailed) shorten(w, &schedule);
    print_failure(w, places);
    static char text[8192];
    print_schedule(schedule, text, sizeof text);
    std::printf("  again: explore %s%s%s '--replay=%s'\n", how, *how ? " " : "", w.piece->name, text);
    if (f.seed) std::printf("  seed %lu\n", static_cast<unsigned long>(f.seed));
}

void set_bounds(World& w) {
    if (options.preemptions >= 0) w.bounds.preemptions = options.preemptions;
    if (options.stale >= 0) w.bounds.stale = options.stale;
    if (options.early >= 0) w.bounds.early = options.early;
    if (options.timeouts >= 0) w.bounds.timeouts = options.timeouts;
    w.bounds.executions *= static_cast<uint64_t>(options.scale);
    if (options.executions) w.bounds.executions = options.executions;
    w.time_limit = options.time;
}

// 0: as expected.
int run_piece(const Piece* piece) {
    world = new (pages<World>(1)) World;
    World& w = *world;
    Places places;
    w.init(piece);
    set_bounds(w);
    install_seam();
    w.setup();
    if (w.text[0]) {
        std::printf("FAIL %s: in its setup: %s\n", piece->name, w.text);
        print_failure(w, &places);
        return 1;
    }
    if (options.mutants) return piece->finds ? 0 : search_mutants(w, &places, options.record);
    if (options.weaken) {
        Orderings orderings;
        w.after = [](void* to, const World& from) { static_cast<Orderings*>(to)->note(from); };
        w.after_arg = &orderings;
        search(w, 2000);
        search_random(w, 1, 2000);
        w.after = nullptr;
        for (const Mutant& m : mutants_of(orderings, &places)) {
            char where[100];
            std::snprintf(where, sizeof where, "%s:%d", m.file, m.line);
            if (std::strcmp(where, options.weaken) == 0)
                w.weak.insert(w.weak.end(), m.weak.begin(), m.weak.end());
        }
        if (w.weak.empty()) {
            std::printf("FAIL %s: no ordering of %s is used\n", piece->name, options.weaken);
            return 1;
        }
    }
    const double start = seconds();
    Found f;
    if (options.replay) {
        Vector<Deviation> schedule;
        if (!parse_schedule(options.replay, &schedule)) {
            std::printf("FAIL %s: this is no schedule: %s\n", piece->name, options.replay);
            return 1;
        }
        f.end = replay(w, schedule);
        f.schedule = schedule;
        f.executions = 1;
    } else if (options.has_seed) {
        f = search_random(w, options.seed, 1);
    } else {
        f = search(w, w.bounds.executions);
        if (f.end == End::kGood && options.random) {
            const uint64_t made = f.executions;
            const bool whole = f.whole;
            f = search_random(w, 1, options.random);
            f.executions += made;
            f.whole = whole;
        }
    }
    int caught = 0, missed = 0;
    if (options.check && !piece->finds && f.end == End::kGood)
        check_mutants(w, &places, options.check, &caught, &missed);
    const double took = seconds() - start;
    const bool found = f.end == End::kFailed;
    const bool right =
        found && piece->finds && std::strncmp(w.text, piece->finds, std::strlen(piece->finds)) == 0;
    const bool good = piece->finds ? right : f.end == End::kGood;
    char mutants[40] = "";
    if (caught + missed) std::snprintf(mutants, sizeof mutants, "  %d mutants caught", caught);
    std::printf("%s %-28s %8lu executions%s %6.2f s%s%s\n", good ? "ok  " : "FAIL", piece->name,
                static_cast<unsigned long>(f.executions), f.whole ? ", all " : "      ", took, mutants,
                found && good ? "  found" : "");
    if (!good) std::printf("  %s\n", w.text);
    char how[200] = "";
    if (options.weaken) std::snprintf(how, sizeof how, "--weaken=%s", options.weaken);
    if (!good && piece->finds) std::printf("  should have found: %s\n", piece->finds);
    if (!good && f.end == End::kGood) return 1;
    if (!good || options.verbose) report(w, &places, f, how);
    return good && !missed ? 0 : 1;
}

bool number(const char* text, uint64_t* to) {
    char* end;
    *to = std::strtoull(text, &end, 10);
    return *text && !*end;
}

}  // namespace

int main(int argc, char** argv) {
    setenv("GORT_STACK_TIERS", "0", 1);  // the arena is small
    setvbuf(stdout, nullptr, _IOLBF, 0);
    Vector<const char*> words;
    for (int i = 1; i < argc; ++i) {
        const char* a = argv[i];
        const auto bad = [&] {
            std::fprintf(stderr, "explore: %s: not one of its options, or no number behind it\n%s", a,
                         kUsage);
            return 2;
        };
        uint64_t n = 0;
        if (*a != '-') {
            words.push_back(a);
        } else if (std::strcmp(a, "-l") == 0) {
            options.list = true;
        } else if (std::strcmp(a, "-m") == 0) {
            options.mutants = true;
        } else if (std::strcmp(a, "-v") == 0) {
            options.verbose = true;
        } else if (std::strncmp(a, "--seed=", 7) == 0) {
            if (!number(a + 7, &options.seed)) return bad();
            options.has_seed = true;
        } else if (std::strncmp(a, "--replay=", 9) == 0) {
            options.replay = a + 9;
        } else if (std::strncmp(a, "--weaken=", 9) == 0) {
            options.weaken = a + 9;
        } else if (std::strncmp(a, "--check=", 8) == 0) {
            options.check = a + 8;
        } else if (std::strncmp(a, "--record=", 9) == 0) {
            options.record = a + 9;
        } else {
            if (std::strlen(a) != 2 || ++i == argc || !number(argv[i], &n)) return bad();
            switch (a[1]) {
            case 'p': options.preemptions = static_cast<int>(n); break;
            case 's': options.stale = static_cast<int>(n); break;
            case 'e': options.early = static_cast<int>(n); break;
            case 't': options.timeouts = static_cast<int>(n); break;
            case 'n': options.executions = n; break;
            case 'x': options.scale = static_cast<int>(n); break;
            case 'r': options.random = n; break;
            case 'T': options.time = static_cast<double>(n); break;
            default: return bad();
            }
        }
    }
    Vector<const Piece*> pieces;
    for (const Piece* p = Piece::all; p; p = p->next) {
        bool wanted = words.empty();
        for (const char* word : words)
            wanted =
                wanted || (*word == '=' ? std::strcmp(p->name, word + 1) == 0 : !!std::strstr(p->name, word));
        if (wanted) pieces.insert(pieces.begin(), p);
    }
    if (options.list) {
        for (const Piece* p : pieces) std::printf("%s\n", p->name);
        return 0;
    }
    if (pieces.empty()) {
        std::fprintf(stderr, "explore: no piece has such a name; -l lists them\n");
        return 2;
    }
    int passed = 0, failed = 0;
    for (const Piece* p : pieces) {
        std::fflush(stdout);
        const pid_t child = fork();
        if (child == 0) {
            const int status = run_piece(p);
            std::fflush(stdout);
            _exit(status);
        }
        int status = 0;
        waitpid(child, &status, 0);
        if (status != 0 && !WIFEXITED(status))
            std::printf("FAIL %s: the explorer died by signal %d\n", p->name, WTERMSIG(status));
        ++(status == 0 ? passed : failed);
    }
    std::printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
