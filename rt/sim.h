// PUBLIC
// rt/sim.h - a simulation of the user's program: finds, replays and shortens bugs of concurrency. Virtual time.
// SPDX-License-Identifier: BSD-2-Clause
//
// explore calls a test again and again as the main goroutine of a fresh runtime, each time with another schedule. All
// that is left to chance is the simulation's: which goroutine runs next, which ready case of a select is taken, what
// time it is, what the network does. So a run can be repeated exactly, from its seed or from its schedule:
//
//      auto r = gort::sim::explore({.runs = 2000}, [] {
//          auto done = gort::make_chan<int>();
//          gort::go([=] { done << 1; });                                     // waits for ever without a receiver
//          gort::select(gort::on_recv(done), gort::on_recv(gort::after(1s)));
//      });
//      if (!r) std::printf("%s\n%s\n%s\n", r.what.c_str(), r.schedule.c_str(), r.trace.c_str());
//      // leak: goroutine 2 [chan send] …
//
// In it everything of gort behaves as documented: channels, select, sync, timers, contexts, panics, goexit. It runs on
// one thread, the caller's. Time stands still while anybody can run and then jumps to the next timer, so a test of
// hours takes microseconds. The clock begins at 2000-01-01 00:00:00 UTC in each run; std::chrono::steady_clock and
// system_clock tell the same time, as long as the program takes them from gort's library (a static or plain link does).
//
// SCHEDULING POINTS are where others may go first: before each operation of gort that another goroutine can notice,
// also before those that do not block; after `go`, and after an operation that has woken a goroutine. So a plain
// variable that is written after the send which should have come last is found by the goroutine that was woken. But
// between two points no other goroutine runs: accesses of plain variables and atomics that goroutines share without
// gort are not seen. Mark them with point(). A loop that waits for such a variable without calling gort never ends
// here: yield in it.
//
// A RUN FAILS by
//      "panic: …"             an exception leaves a goroutine, or anything that natively is a panic
//      "fatal error: …"       what natively ends the process, such as "sync: unlock of unlocked mutex"
//      "deadlock: …"          the test has not returned and no goroutine can ever run again
//      "leak: …"              the test has returned, goroutines are left, and they do not end by themselves within a
//                             minute of virtual time (options::leaks)
//      "check: …"             check(false, …)
//      "too many steps"       options::max_steps points in one run: it goes round in circles
//      "not deterministic: …" the same seed has led to another run: the test has chance of its own, such as real
//                             time, addresses, files, or variables that it does not set anew for each run
// A channel or timer that was made in a run is that run's, and so is a wait_group while it is not at zero: who uses it
// outside, or in another run, ends the process, or that run, with Go's "fatal error: … synctest …" (ST-07, ST-08).
// Goroutines that are left at the end of a run are abandoned as ever: their destructors do not run.
//
// Environment: GORT_SIM=seed or GORT_SIM='schedule' makes every explore of the program do this run only, and print it.
//
// Context: explore, replay and test: a thread of the program's own while no runtime is up, one at a time; else a panic.
//          wait, check, point, random, now, network: goroutines of the simulation; now and active: anywhere.
//          Other threads must not call into gort while a simulation runs: that ends the process with a clear text.
// Source:  Go's package testing/synctest (area ST), AWS shuttle and Microsoft's Coyote (PCT), tokio's loom.
#pragma once

#include "config.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace gort::sim {

using time_point = std::chrono::steady_clock::time_point;

// random      at each point one of the goroutines that can run; how often that is another one than before differs from
//             run to run. For most tests.
// pct         every goroutine has a random priority and the highest runs; `depth` - 1 times in a run the one that runs
//             falls to the lowest. Finds with a known probability what needs `depth` events in the right order.
// exhaustive  every outcome of the schedules with at most `depth` preemptions (switches away from a goroutine that
//             could go on). Where goroutines have nothing to do with each other, one order of them is enough, so far
//             from all schedules are run; but not as few as could be: several may come to the same. It knows what
//             uses the same channel, mutex, rw_mutex, wait_group or cond, takes all calls of point() for uses of one
//             thing, and everything else of gort (timers, contexts, semaphores, the network) for uses of anything.
//             What it cannot see it does not vary: two goroutines that share an atomic and nothing else need point()
//             even where random would find them by luck. result::complete says that nothing is left. seed: not used.
enum class strategy { random, pct, exhaustive };

struct options {
    uint64_t seed = 0;     // of the first run, the next one's is seed + 1; 0: random
    uint64_t runs = 1000;  // at most; explore ends with the first that fails
    strategy how = strategy::random;
    int depth = 3;                       // pct: priority change points; exhaustive: preemptions
    uint64_t max_steps = 1'000'000;      // of one run
    std::chrono::nanoseconds budget{0};  // of real time; 0: none
    bool leaks = true;                   // goroutines left when the test returns are a failure
    bool shorten = true;  // looks for a schedule with fewer switches that fails in the same way
};

struct result {
    uint64_t runs = 0;                      // done
    bool failed = false, complete = false;  // complete: exhaustive saw everything within its bounds
    uint64_t seed = 0;                      // of the failing run
    std::string schedule;  // of the failing run, shortened; printable: for replay and GORT_SIM
    std::string what;      // how it failed: see above
    std::string trace;     // a line an event: virtual time, goroutine, operation, place, result
    explicit operator bool() const { return !failed; }
};

namespace detail {
result explore(const options& o, void (*fn)(void*), void* arg);
result replay(std::string_view schedule_or_seed, void (*fn)(void*), void* arg);
void test(void (*fn)(void*), void* arg);

// A callable as a function and its argument; it must outlive both.
template <class F>
struct Callable {
    F* f;
    static void call(void* p) { (*static_cast<Callable*>(p)->f)(); }
};
}  // namespace detail

// Runs f until a run fails, the runs are done or the budget is used up. f must be callable again and again, and do the
// same each time but for what the simulation decides.
template <class F>
result explore(const options& o, F&& f) {
    detail::Callable<std::remove_reference_t<F>> c{std::addressof(f)};
    return detail::explore(o, c.call, &c);
}

// The one run that a schedule of a result describes, or that explore did with that seed (with the strategy of this
// process's last explore; "pct:3:42" says it: depth 3, seed 42). Panics if the text is neither.
template <class F>
result replay(std::string_view schedule_or_seed, F&& f) {
    detail::Callable<std::remove_reference_t<F>> c{std::addressof(f)};
    return detail::replay(schedule_or_seed, c.call, &c);
}

// One run, as Go's synctest.Test: virtual time, goroutines in the order in which they can run. Returns when all
// goroutines have ended. Time stops when f has returned: a goroutine that is blocked then stays so, and that is a
// failure. A failure is a panic; a deadlock's texts are Go's.
template <class F>
void test(F&& f) {
    detail::Callable<std::remove_reference_t<F>> c{std::addressof(f)};
    detail::test(c.call, &c);
}

// Go's synctest.Wait: until every other goroutine is durably blocked: on channels, select, sleep, cond, wait_group, but
// not on a lock or the network. What they did before happens before the return.
void wait();

// False: the run has failed, with "check: " and the text. Outside of a simulation: a panic.
void check(bool condition, std::string_view text);

// A scheduling point of the test's own, around plain shared variables. Outside of a simulation: nothing.
void point();

bool active();                // is the caller in a simulation
uint64_t random(uint64_t n);  // below n; belongs to the schedule
time_point now();             // virtual; the real time outside of a simulation

// What happens to what is sent between two hosts.
struct link {
    std::chrono::nanoseconds latency{0}, jitter{0};
    double loss = 0, duplicate = 0;  // of datagrams
    double reset = 0;                // a chance per write
    bool partial = false;            // reads and writes may move less than they could
};

// The run's network; default: no latency, no faults.
struct network {
    static void all(const link& l);
    static void between(std::string_view host_a, std::string_view host_b, const link& l);
    static void partition(std::vector<std::string> side_a,
                          std::vector<std::string> side_b);  // both ways, until heal
    static void heal();
    // from here on this goroutine, and those that it starts, live on that host
    static void host(std::string_view name);
};

}  // namespace gort::sim
