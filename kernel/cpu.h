// kernel/cpu.h - how many CPUs this process may use: its affinity mask and its cgroup's CPU quota.
// SPDX-License-Identifier: BSD-2-Clause
//
// A quota of 1.5 CPUs counts as 2 (rounded up), and nested groups as their smallest. Reads files, so it is
// for start-up.
// Context: any thread. `root` is put before every absolute path, so that a test can feed a tree of its own.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gort::kernel {

// A share of CPU time in thousandths of a CPU; kNoQuota when unlimited.
inline constexpr int64_t kNoQuota = INT64_MAX;

int cpu_count();                                        // min(affinity, quota rounded up), at least 1
int affinity_cpu_count();                               // CPUs in this thread's mask, at least 1
int affinity_cpu_count_of(int tid);                     // another thread's; 0: there is none
int64_t cgroup_quota(const char* root = "");            // v1 and v2, whichever limits; thousandths of a CPU
int cpus_for(int affinity, int64_t quota_thousandths);  // the rule of cpu_count

// "max 100000" or "150000 100000" -> thousandths of a CPU; kNoQuota for "max" and for text that is no quota.
int64_t parse_cpu_max(const char* text);
// v1's two files: cfs_quota_us (-1: none) and cfs_period_us.
int64_t parse_cfs_quota(const char* quota_us, const char* period_us);

}  // namespace gort::kernel
