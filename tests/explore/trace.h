// tests/explore/trace.h - places in the source, and a failure's text.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "tests/explore/world.h"

namespace gort::explore {

struct Place {
    const void* pc;  // what the instrumented call returns to
    char file[80];
    int line;
    char function[96];
};

// Asks addr2line: the frame that is meant is the innermost one in the tree, but for those that only stand for an
// ordering, like light_barrier, whose caller it is.
class Places {
public:
    void resolve(const Vector<const void*>& pcs);
    const Place* find(const void* pc) const;

private:
    Vector<Place> places_;
};

// The execution that w has just made.
void print_failure(const World& w, Places* places);

}  // namespace gort::explore
