// tests/sim_corpus_test.cc - the simulation finds every bug of tests/sim/ and accuses no repaired program.
// SPDX-License-Identifier: BSD-2-Clause
#include <sys/resource.h>

#include <iterator>

#include "rt/net/netpoll.h"
#include "tests/sim/all.h"
#include "tests/test.h"

using namespace gort;
using namespace gort::corpus;

namespace {

static const bool fds = test::ledger_fds([] { return static_cast<long>(rt::poll_own_fds()); });

constexpr uint64_t kRuns = 2000;

// Builds that are not optimized, or check, need a second to name the lines of a trace: they take every fourth program,
// from one that the seed says.
#if defined(GORT_DEBUG)
constexpr size_t kStep = 4;
#else
constexpr size_t kStep = 1;
#endif
size_t first_program() { return test::seed() % kStep; }

// Runs until the bug is found; 0: it is not.
uint64_t runs_needed(const Program& p, sim::strategy how, std::string* what = nullptr) {
    const auto r = sim::explore({.seed = 1000, .runs = kRuns, .how = how, .shorten = false}, p.wrong);
    if (what && r.failed) *what = r.what;
    return r.failed ? r.runs : 0;
}

TEST(SIM_finds_every_bug_of_the_corpus) {
    TEST_TIMEOUT(120);
    std::string missed;
    for (size_t i = first_program(); i < std::size(kAll); i += kStep) {
        const Program& p = kAll[i];
        std::string what;
        const uint64_t random = runs_needed(p, sim::strategy::random, &what);
        const uint64_t pct = runs_needed(p, sim::strategy::pct, &what);
        std::fprintf(stderr, "%-34s random %4d  pct %4d  %.60s\n", p.name, int(random), int(pct),
                     what.c_str());
        if (!random && !pct) missed += std::string(" ") + p.name;
        if (what.rfind("not deterministic", 0) == 0) missed += std::string(" ") + p.name + " (" + what + ")";
    }
    CHECK_EQ(missed, "");
}

void accuses_nobody(uint64_t runs) {
    for (const Program& p : kAll)
        for (auto how : {sim::strategy::random, sim::strategy::pct}) {
            const auto r = sim::explore({.seed = 5, .runs = runs, .how = how}, p.right);
            if (r.failed)
                std::fprintf(stderr, "%s: seed %d, %s\n%s", p.name, int(r.seed), r.what.c_str(),
                             r.trace.c_str());
            CHECK(!r.failed);
        }
}

TEST(SIM_accuses_no_repaired_program) {
    TEST_TIMEOUT(120);
    accuses_nobody(300);
}

TEST_STRESS(SIM_accuses_no_repaired_program_in_20000_runs) {
    TEST_TIMEOUT(600);
    accuses_nobody(20'000);
}

// A schedule is shortened to one that fails in the same way, and that does so every time.
TEST(SIM_shortened_schedules_replay) {
    TEST_TIMEOUT(120);
    for (size_t i = first_program(); i < std::size(kAll); i += kStep) {
        const Program& p = kAll[i];
        const auto r = sim::explore({.seed = 77, .runs = 5000}, p.wrong);
        CHECK(r.failed);
        const auto again = sim::replay(r.schedule, p.wrong);
        if (again.what != r.what)
            std::fprintf(stderr, "%s: %s\n%s", p.name, r.schedule.c_str(), r.trace.c_str());
        CHECK_EQ(again.what, r.what);
        CHECK_EQ(again.trace, r.trace);
    }
}

}  // namespace

// Asked by ASan's runtime: what a simulated run abandons is never destroyed, as in Go.
extern "C" const char* __lsan_default_options();
extern "C" const char* __lsan_default_options() { return "detect_leaks=0"; }
