// bench/startup/hello.cc - starts one goroutine, joins it and exits.
// SPDX-License-Identifier: BSD-2-Clause
#include <atomic>

#include "rt/go.h"

int main() {
    return gort::run([] {
        std::atomic<bool> done{false};
        gort::go([&done] { done = true; });
        while (!done) gort::yield();
    });
}
