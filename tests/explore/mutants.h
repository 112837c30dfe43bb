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
    int line;
    Op what;
    Order order;
    Weaken how;
    Vector<World::Weak> weak;  // every copy that inlining has made of it
};

Vector<Mutant> mutants_of(const Orderings& orderings, Places* places);
const char* how_name(const Mutant& m);

}  // namespace gort::explore
