// tests/explore/poll.cc - a goroutine that waits for a descriptor, against its edge, its close and its deadline
// (rt/net/netpoll.h).
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/net/netpoll.h"
#include "rt/time/clock.h"
#include "tests/explore/rig.h"

using namespace gort;
using namespace gort::explore;

namespace {

constexpr Bounds kOne{1, 1, 0, 1, 1'500};
constexpr int kFd = 600;
constexpr uint32_t kIn = 1;
rt::PollDesc* desc;
int result = -1;

void open_desc() {
    check(rt::poll_open(kFd, rt::kDescSocket | rt::kDescStream, true, &desc) == 0, "not opened");
}
void wait_for_it() {
    result = rt::poll_begin(desc, rt::kRead);
    if (result != 0) return;
    result = rt::poll_wait(desc, rt::kRead);
    rt::poll_end(desc, rt::kRead);
}

EXPLORE(poll_edge, kOne) {
    race_goroutines(open_desc, [] { check(result == 0, "something else than an edge"); },
                    {wait_for_it, [] { make_edge(kFd, kIn); }});
}
EXPLORE(poll_close, kOne) {
    race_goroutines(open_desc, [] { check(result == rt::kErrClosed, "not closed"); },
                    {wait_for_it, [] { rt::poll_close(desc); }});
}
EXPLORE(poll_edge_and_close, kOne) {
    race_goroutines(open_desc, [] { check(result == 0 || result == rt::kErrClosed, "neither"); },
                    {wait_for_it, [] { make_edge(kFd, kIn); }, [] { rt::poll_close(desc); }});
}
EXPLORE(poll_deadline_and_edge, kOne) {
    race_goroutines(open_desc, [] { check(result == 0 || result == -ETIMEDOUT, "neither"); },
                    {wait_for_it, [] {
                         rt::poll_set_deadline(desc, 1, rt::now() + 20'000);
                         make_edge(kFd, kIn);
                     }});
}

}  // namespace
