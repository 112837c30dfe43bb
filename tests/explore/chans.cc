// tests/explore/chans.cc - channels and select between goroutines that run at once.
// SPDX-License-Identifier: BSD-2-Clause
#include "chan/chan.h"
#include "chan/select.h"
#include "tests/explore/rig.h"

using namespace gort;
using namespace gort::explore;

namespace {

constexpr Bounds kOne{1, 1, 0, 1, 1'500};

chan<int>* c;
chan<int>* d;
int got[4];
bool open_still[4];

void make(int64_t size) {
    c = new chan<int>(make_chan<int>(size));
    d = new chan<int>(make_chan<int>(size));
}

// What is handed over: park and ready with commit, between two Ps.
EXPLORE(chan_unbuffered, kOne) {
    race_goroutines([] { make(0); }, [] { check(got[0] == 7, "another value"); },
                    {[] { c->send(7); }, [] { got[0] = c->recv(); }});
}
EXPLORE(chan_buffered, kOne) {
    race_goroutines([] { make(1); }, [] { check(got[0] == 7 && got[1] == 8, "other values"); },
                    {[] { c->send(7), c->send(8); }, [] { got[0] = c->recv(), got[1] = c->recv(); }});
}
// A close wakes who waits, with what was sent before.
EXPLORE(chan_close, kOne) {
    race_goroutines([] { make(1); },
                    [] { check(open_still[0] && got[0] == 7 && !open_still[1], "not what was sent"); },
                    {[] { c->send(7), c->close(); },
                     [] { open_still[0] = c->recv(got[0]), open_still[1] = c->recv(got[1]); }});
}
// Two-sided: of two selects each offers what the other one could take.
EXPLORE(select_two_sided, kOne) {
    static size_t chosen[2];
    race_goroutines([] { make(0); },
                    [] {
                        check(chosen[0] == chosen[1], "they did not meet on one channel");
                        check(chosen[0] == 0 ? got[0] == 1 : got[1] == 2, "another value");
                    },
                    {[] { chosen[0] = static_cast<size_t>(select(on_send(*c, 1), on_recv(*d, got[1]))); },
                     [] { chosen[1] = static_cast<size_t>(select(on_recv(*c, got[0]), on_send(*d, 2))); }});
}
// The claim of a waiting select: by a close of one channel and a send on the other.
EXPLORE(select_close_and_send, kOne) {
    static int chosen = -1;
    race_goroutines(
        [] { make(0); },
        [] {
            check(chosen == 0 || chosen == 1, "none of them");
            check(chosen == 1 ? got[1] == 5 : !open_still[0], "not what this case gives");
        },
        {[] {
             chosen = static_cast<int>(select(on_recv(*c, got[0], open_still[0]), on_recv(*d, got[1])));
             if (chosen == 0) got[1] = d->recv();
         },
         [] { c->close(); }, [] { d->send(5); }});
}

}  // namespace
