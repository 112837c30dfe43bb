// tests/sim/corpus.h - small programs with a bug of concurrency each, in the shapes that real programs have them.
// SPDX-License-Identifier: BSD-2-Clause
//
// A program is a function template: right<false> has the bug, right<true> is repaired. sim_corpus_test.cc finds every
// bug by the simulation and accuses no repaired one; it also runs them natively, to compare.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#include "gort.h"

namespace gort::corpus {

using namespace std::chrono_literals;

struct Program {
    const char* name;
    void (*wrong)();
    void (*right)();
};

#define GORT_PROGRAM(f) \
    Program { #f, f < false>, f < true> }

}  // namespace gort::corpus
