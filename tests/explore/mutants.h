// tests/explore/mutants.h - weaken each ordering that a piece uses, one after the other, and see whether that is found.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "tests/explore/search.h"
#include "tests/explore/trace.h"

namespace gort::explore {

// The orderings that executions of a piece have used, by the call that carries them.
class Orderings {
public:
    void note(const World& w);  // what the last execution used
    struct Use {
        const void* pc;
        Op what;
        Order order;
        bool asked;  // pc is that of who asked for a barrier
    };
    Vector<Use> uses;

private:
    void add(const Use& u);
    static constexpr size_t kSlots = 1 << 12;
    Vector<uint32_t> table_;
};

struct Mutant {
    char file[80];
    char function[96];
    int line;
    int number;  // among those of its function that are weakened the same way, by line
    Op what;
    Order order;
    Weaken how;
    Vector<World::Weak> weak;                     // every copy that inlining has made of it
    void print_key(char* to, size_t size) const;  // what names it in mutants.txt: no line numbers, they move
};

Vector<Mutant> mutants_of(const Orderings& orderings, Places* places);
const char* how_name(const Mutant& m);

// Searches a failure of the piece for each of its mutants; a line for each goes to `record`, if that is not null, and
// those that are caught there already are left out.
int search_mutants(World& w, Places* places, const char* record);
// The piece's lines of such a file: each mutant that is caught there must still be, by that schedule, or else by a
// search. How many were and were not.
bool check_mutants(World& w, Places* places, const char* list, int* good, int* bad);

}  // namespace gort::explore
