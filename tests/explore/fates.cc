// tests/explore/fates.cc - what becomes of each mutant: searched, recorded, and checked against the record.
// SPDX-License-Identifier: BSD-2-Clause
#include <cstdio>
#include <cstring>

#include "tests/explore/mutants.h"

namespace gort::explore {

namespace {

constexpr uint64_t kFirstLook = 2000;  // executions that show which orderings a piece uses

Vector<Mutant> find_mutants(World& w, Places* places, uint64_t executions, Found* base) {
    Orderings orderings;
    w.after = [](void* to, const World& from) { static_cast<Orderings*>(to)->note(from); };
    w.after_arg = &orderings;
    *base = search(w, executions);
    if (base->end == End::kGood) {
        const Found more = search_random(w, 1, executions < kFirstLook ? executions : kFirstLook);
        if (more.end != End::kGood) *base = more;
    }
    w.after = nullptr;
    return mutants_of(orderings, places);
}

Found search_one(World& w, const Mutant& m, uint64_t executions) {
    w.weak = m.weak;
    Found f = search(w, executions);
    if (f.end == End::kGood && !f.whole) f = search_random(w, 1, executions);
    return f;
}

// Of the keys in a record those that some piece has caught.
struct Keys {
    Vector<char> text;  // each ends with a newline, and so does the start
    bool has(const char* key) const {
        char line[300];
        std::snprintf(line, sizeof line, "\n%s\n", key);
        return std::strstr(text.data(), line);
    }
};
Keys caught_in(const char* record) {
    Keys keys;
    keys.text.push_back('\n');
    std::FILE* from = record ? std::fopen(record, "r") : nullptr;
    char line[8192];
    while (from && std::fgets(line, sizeof line, from)) {
        char* rest = line;
        strsep(&rest, "\t");
        const char* key = strsep(&rest, "\t");
        if (!rest || std::strncmp(rest, "caught", 6) != 0) continue;
        keys.text.insert(keys.text.end(), key, key + std::strlen(key));
        keys.text.push_back('\n');
    }
    if (from) std::fclose(from);
    keys.text.push_back(0);
    return keys;
}

}  // namespace

int search_mutants(World& w, Places* places, const char* record) {
    Found base;
    const Vector<Mutant> mutants = find_mutants(w, places, w.bounds.executions, &base);
    if (base.end != End::kGood) {
        std::printf("FAIL %s: it fails as it is: %s\n", w.piece->name, w.text);
        return 1;
    }
    std::FILE* to = record ? std::fopen(record, "a") : nullptr;
    if (to) setvbuf(to, nullptr, _IOLBF, 8192);  // another piece may write to it, too
    const Keys known = caught_in(record);
    size_t caught = 0, skipped = 0;
    for (const Mutant& m : mutants) {
        char name[256];
        m.print_key(name, sizeof name);
        if (known.has(name)) {
            ++skipped;
            continue;
        }
        const Found f = search_one(w, m, w.bounds.executions);
        static char schedule[4096], key[256];
        std::strcpy(schedule, "-");
        char why[sizeof w.text];
        std::memcpy(why, w.text, sizeof why);
        const bool dead = f.end == End::kFailed;
        if (dead) {
            ++caught;
            Vector<Deviation> d = f.schedule;
            if (std::strncmp(why, "livelock", 8) != 0 && replay(w, d) == End::kFailed) shorten(w, &d);
            // One that is too long to keep is searched for again.
            if (d.size() > 60) d.clear();
            if (!print_schedule(d, schedule, sizeof schedule)) std::strcpy(schedule, "-");
        }
        m.print_key(key, sizeof key);
        std::printf("  %-7s %s:%d %s: %s\n",
                    dead      ? "caught"
                    : f.whole ? "lives"
                              : "lives?",
                    m.file, m.line, how_name(m), dead ? why : "");
        if (to) std::fprintf(to, "%s\t%s\t%s\t%s\n", w.piece->name, key, dead ? "caught" : "lives", schedule);
        std::fflush(stdout);
    }
    if (to) std::fclose(to);
    std::printf("%-28s %zu mutants caught, %zu live, %zu that others have caught\n", w.piece->name, caught,
                mutants.size() - caught - skipped, skipped);
    return 0;
}

bool check_mutants(World& w, Places* places, const char* list, int* good, int* bad) {
    std::FILE* from = std::fopen(list, "r");
    if (!from) {
        std::printf("FAIL %s cannot be read\n", list);
        return false;
    }
    Vector<Mutant> mutants;
    bool looked = false;
    char line[8192];  // not static: what is static is set back before each execution
    while (std::fgets(line, sizeof line, from)) {
        line[std::strcspn(line, "\n")] = 0;
        const char* field[4] = {};
        char* rest = line;
        for (const char*& f : field) f = strsep(&rest, "\t");
        if (*line == '#' || !field[3] || std::strcmp(field[0], w.piece->name) != 0) continue;
        if (std::strcmp(field[2], "caught") != 0) continue;
        Found base;
        if (!looked) mutants = find_mutants(w, places, kFirstLook, &base);
        looked = true;
        const Mutant* found = nullptr;
        for (const Mutant& m : mutants) {
            char key[256];
            m.print_key(key, sizeof key);
            if (std::strcmp(key, field[1]) == 0) found = &m;
        }
        bool caught = false;
        if (found) {
            w.weak = found->weak;
            Vector<Deviation> schedule;
            if (std::strcmp(field[3], "-") != 0) parse_schedule(field[3], &schedule);
            caught = replay(w, schedule) == End::kFailed ||
                     search_one(w, *found, w.bounds.executions).end == End::kFailed;
            w.weak.clear();
        }
        ++*(caught ? good : bad);
        if (!caught)
            std::printf("FAIL %s without %s: %s\n", w.piece->name, field[1],
                        found ? "it is not noticed any more"
                              : "no such ordering; renew the list: make explore DEEP=1");
    }
    std::fclose(from);
    return *bad == 0;
}

}  // namespace gort::explore
