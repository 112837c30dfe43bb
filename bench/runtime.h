// bench/runtime.h - how a workload gets its goroutines: gort::run with the P that was asked for.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <utility>

#include "bench/harness.h"
#include "rt/go.h"

namespace bench {

// Runs body as the main goroutine. Run's members may be called in it.
template <class F>
void on_gort(const Run& run, F body) {
    gort::options options;
    options.max_procs = static_cast<int>(run.procs());
    gort::run(std::move(body), options);
}

}  // namespace bench
