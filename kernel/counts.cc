// kernel/counts.cc - the counters that kernel/counts.h promises.
// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/counts.h"

namespace gort::kernel {

alignas(64) constinit std::atomic<uint64_t> g_counts[kCounts] = {};

}  // namespace gort::kernel
