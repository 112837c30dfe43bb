// bench/threadring.cc - a token goes round 503 goroutines over unbuffered channels; per hop.
// SPDX-License-Identifier: BSD-2-Clause
#include <array>

#include "bench/runtime.h"
#include "chan/chan.h"

namespace {

constexpr size_t kRing = 503;

// The token counts down; who gets 0 reports its number. The ring then closes itself.
uint64_t ring(uint64_t hops) {
    std::array<gort::chan<int>, kRing> in;
    for (auto& c : in) c = gort::make_chan<int>();
    auto done = gort::make_chan<int>();
    for (size_t me = 0; me < kRing; ++me)
        gort::go([mine = in[me], next = in[(me + 1) % kRing], done, me] {
            for (int token : mine) {
                if (token) next << token - 1;
                else done << static_cast<int>(me);
            }
            if (me != kRing - 1) next.close();
        });
    in[0] << static_cast<int>(hops);
    const int last = done.recv();
    in[0].close();
    return static_cast<uint64_t>(last);
}

}  // namespace

WORKLOAD(threadring, "503 goroutines in a ring of unbuffered channels") {
    const uint64_t hops = run.size(5'000'000);
    bench::on_gort(run, [&run, hops] {
        run.per_op(
            "hop",
            [&run, hops](uint64_t n) {
                for (; n; n -= hops) run.check(ring(hops) == hops % kRing, "the token ended elsewhere");
            },
            hops);
    });
}
