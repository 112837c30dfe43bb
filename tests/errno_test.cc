// tests/errno_test.cc - errno before and after a call that parks, when the goroutine wakes on another thread.
// SPDX-License-Identifier: BSD-2-Clause
//
// How a goroutine is brought to another thread, with one P for certain: it begins on main's thread and waits; main ties
// itself to that thread, so whoever else runs from now on runs elsewhere.
#include <gort.h>

#include <cerrno>
#include <stdexcept>
#include <string>

#include <unistd.h>

#include "tests/procs.h"
#include "tests/test.h"

using namespace gort;
using test::with_procs;

namespace {

enum Outcome { kStayed, kRight, kWrong };

// Runs body(park) as a goroutine; park() wakes on another thread. body returns whether it saw what it should.
template <class F>
Outcome moved(F body) {
    chan<unit> wake = make_chan<unit>();
    chan<Outcome> out = make_chan<Outcome>();
    go([=] {
        const pid_t before = gettid();
        const bool right = body([&] { wake.recv(); });
        out << (!right ? kWrong : gettid() == before ? kStayed : kRight);
    });
    yield();  // it waits in park now, unless another P has it
    lock_os_thread();
    wake << unit{};
    const Outcome outcome = out.recv();
    unlock_os_thread();
    return outcome;
}

template <class F>
void check(int procs, F body) {
    with_procs(procs, [&] {
        for (int i = 0; i < 50; ++i) {
            const Outcome outcome = moved(body);
            CHECK(outcome != kWrong);
            if (procs == 1) CHECK_EQ(outcome, kRight);
        }
    });
}

TEST_P(errno_is_the_one_of_the_thread_that_it_woke_on, 1, 2, 8) {
    check(procs, [](auto park) {
        errno = ENOENT;
        park();
        errno = 0;
        return close(-1) < 0 && errno == EBADF;
    });
}

// What std::stoi finds out by errno, with its code inlined on both sides.
struct Parsed {
    template <class Park>
    [[gnu::flatten]] bool operator()(Park park) const {
        if (std::stoi("17") != 17) return false;
        park();
        errno = 0;
        try {
            return std::stoi("99999999999999999999") == 0 && false;
        } catch (const std::out_of_range&) {
            return errno == ERANGE;
        }
    }
};
TEST_P(errno_of_inlined_library_code, 1, 2, 8) { check(procs, Parsed{}); }

TEST_P(a_pointer_to_errno_is_fetched_anew, 1, 2, 8) {
    check(procs, [](auto park) {
        volatile bool differs = false;
        int* const before = &errno;
        const pid_t was = gettid();
        park();
        if (gettid() != was) differs = before != &errno;
        return gettid() == was || differs;
    });
}

}  // namespace
