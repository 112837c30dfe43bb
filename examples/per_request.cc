// examples/per_request.cc - a goroutine for every request, at most three of them at work: a buffered channel counts.
// SPDX-License-Identifier: BSD-2-Clause
#include <gort.h>

#include <atomic>
#include <chrono>
#include <cstdio>

int main() {
    return gort::run([] {
        auto requests = gort::make_chan<int>();
        gort::go([=] {
            for (int i = 0; i < 20; ++i) requests << i;
            requests.close();
        });
        auto slots = gort::make_chan<gort::unit>(3);
        std::atomic<int> busy{0}, most{0}, served{0};
        gort::wait_group all;
        for (int request : requests)
            all.go([&, request] {
                slots << gort::unit{};
                gort::defer free{[&] { slots.recv(); }};
                const int now = ++busy;
                for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
                }
                gort::sleep(std::chrono::milliseconds(request % 3));
                --busy;
                ++served;
            });
        all.wait();
        std::printf("%d served, %s\n", served.load(),
                    most <= 3 ? "never more than 3 at a time" : "too many at a time");
    });
}
