// rt/sim/host_clock.cc - std::chrono's clocks, which tell a simulation's time while one runs.
// SPDX-License-Identifier: BSD-2-Clause
//
// libstdc++ defines both in one object. These come first where the program is linked with gort's library and uses its
// simulation; other programs do not have them. Weak, so that a program which links libstdc++'s own is none the worse.
#include <chrono>
#include <ctime>

#include "rt/sim/engine.h"

namespace {

int64_t real(clockid_t clock) {
    timespec t{};
    clock_gettime(clock, &t);
    return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}
int64_t now_of(clockid_t clock) { return gort::sim::g_engine ? gort::sim::g_engine->now() : real(clock); }

}  // namespace

#if defined(__GLIBCXX__)
namespace std::chrono {
inline namespace _V2 {
[[gnu::weak]] system_clock::time_point system_clock::now() noexcept {
    return time_point(duration(now_of(CLOCK_REALTIME)));
}
[[gnu::weak]] steady_clock::time_point steady_clock::now() noexcept {
    return time_point(duration(now_of(CLOCK_MONOTONIC)));
}
}  // namespace _V2
}  // namespace std::chrono
#endif
