// tests/kernel_cpu_test.cc - the CPU count: affinity, and the quotas of made-up cgroup trees (RT-04).
// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/cpu.h"

#include <sched.h>

#include "tests/kernel_test.h"

using namespace gort::kernel;
using namespace kernel_test;

// ---- texts ----

TEST(cpu_max_texts) {
    CHECK_EQ(parse_cpu_max("max 100000\n"), kNoQuota);
    CHECK_EQ(parse_cpu_max("100000 100000\n"), 1000);
    CHECK_EQ(parse_cpu_max("150000 100000"), 1500);
    CHECK_EQ(parse_cpu_max("50000 100000"), 500);
    CHECK_EQ(parse_cpu_max("250000 50000\n"), 5000);
    CHECK_EQ(parse_cpu_max("100001 100000"), 1001);  // a sliver more is more
    CHECK_EQ(parse_cpu_max("200000"), 2000);         // the period's default
    CHECK_EQ(parse_cpu_max(""), kNoQuota);
    CHECK_EQ(parse_cpu_max("rubbish"), kNoQuota);
    CHECK_EQ(parse_cpu_max("-1 100000"), kNoQuota);
    CHECK_EQ(parse_cpu_max("100000 0"), kNoQuota);
    CHECK_EQ(parse_cpu_max("99999999999999999999999 100000"), kNoQuota);
    CHECK_EQ(parse_cpu_max("9223372036854775807 1"), kNoQuota);
}
TEST(cfs_texts) {
    CHECK_EQ(parse_cfs_quota("-1\n", "100000\n"), kNoQuota);
    CHECK_EQ(parse_cfs_quota("300000\n", "100000\n"), 3000);
    CHECK_EQ(parse_cfs_quota("1000\n", "1000000\n"), 1);
    CHECK_EQ(parse_cfs_quota("300000", ""), kNoQuota);
    CHECK_EQ(parse_cfs_quota("", "100000"), kNoQuota);
    CHECK_EQ(parse_cfs_quota("300000", "0"), kNoQuota);
}
TEST(the_rule) {
    CHECK_EQ(cpus_for(8, kNoQuota), 8);
    CHECK_EQ(cpus_for(8, 2000), 2);
    CHECK_EQ(cpus_for(8, 2001), 3);
    CHECK_EQ(cpus_for(8, 1500), 2);
    CHECK_EQ(cpus_for(8, 100), 1);
    CHECK_EQ(cpus_for(8, 0), 1);
    CHECK_EQ(cpus_for(2, 64000), 2);
    CHECK_EQ(cpus_for(0, kNoQuota), 1);
    CHECK_EQ(cpus_for(4, INT64_MAX - 1), 4);
}

// ---- trees ----

static const char* const kV2Mount =
    "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    "24 21 0:22 / /proc rw,nosuid - proc proc rw\n"
    "30 21 0:26 / /sys/fs/cgroup rw,nosuid,nodev shared:9 master:3 - cgroup2 cgroup2 rw,nsdelegate\n";

TEST(no_files_is_no_quota) {
    TempDir t;
    CHECK_EQ(cgroup_quota(t.path.c_str()), kNoQuota);
    t.write("/proc/self/cgroup", "0::/\n");
    CHECK_EQ(cgroup_quota(t.path.c_str()), kNoQuota);
    t.write("/proc/self/mountinfo", kV2Mount);
    CHECK_EQ(cgroup_quota(t.path.c_str()), kNoQuota);
    CHECK_EQ(cgroup_quota("/nonexistent"), kNoQuota);
    CHECK_EQ(cgroup_quota(std::string(200'000, 'x').c_str()), kNoQuota);
}
TEST(v2_own_group) {
    TempDir t;
    t.write("/proc/self/cgroup", "0::/app.slice/app\n");
    t.write("/proc/self/mountinfo", kV2Mount);
    t.write("/sys/fs/cgroup/app.slice/app/cpu.max", "250000 100000\n");
    CHECK_EQ(cgroup_quota(t.path.c_str()), 2500);
    t.write("/sys/fs/cgroup/app.slice/app/cpu.max", "max 100000\n");
    CHECK_EQ(cgroup_quota(t.path.c_str()), kNoQuota);
}
TEST(v2_smallest_on_the_way_up) {
    TempDir t;
    t.write("/proc/self/cgroup", "0::/a/b/c\n");
    t.write("/proc/self/mountinfo", kV2Mount);
    t.write("/sys/fs/cgroup/a/b/c/cpu.max", "400000 100000\n");
    t.write("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    t.write("/sys/fs/cgroup/a/cpu.max", "150000 100000\n");
    CHECK_EQ(cgroup_quota(t.path.c_str()), 1500);
    t.write("/sys/fs/cgroup/a/b/cpu.max", "50000 100000\n");
    CHECK_EQ(cgroup_quota(t.path.c_str()), 500);
    t.write("/sys/fs/cgroup/cpu.max", "10000 100000\n");  // the mount's own root: a container's limit
    CHECK_EQ(cgroup_quota(t.path.c_str()), 100);
    t.write("/sys/fs/cpu.max", "1000 100000\n");  // above the mount: no group
    CHECK_EQ(cgroup_quota(t.path.c_str()), 100);
    t.write("/sys/fs/cgroup/a/b/c/d/cpu.max", "1000 100000\n");  // below us: not ours
    CHECK_EQ(cgroup_quota(t.path.c_str()), 100);
}
TEST(v2_in_a_container_that_sees_its_host_path) {
    TempDir t;
    t.write("/proc/self/cgroup", "0::/docker/abc/inner\n");
    t.write("/proc/self/mountinfo", "30 21 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
    t.write("/sys/fs/cgroup/inner/cpu.max", "300000 100000\n");
    t.write("/sys/fs/cgroup/cpu.max", "200000 100000\n");
    CHECK_EQ(cgroup_quota(t.path.c_str()), 2000);
}
TEST(a_root_is_a_prefix_by_whole_names) {
    TempDir t;
    t.write("/proc/self/cgroup", "0::/docker/abcdef\n");
    t.write("/proc/self/mountinfo", "30 21 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
    t.write("/sys/fs/cgroup/def/cpu.max", "100000 100000\n");
    t.write("/sys/fs/cgroupdef/cpu.max", "100000 100000\n");
    t.write("/sys/fs/cgroup/cpu.max", "200000 100000\n");
    CHECK_EQ(cgroup_quota(t.path.c_str()), 2000);  // unrelated: only the mount's root can be known
}
TEST(the_mount_that_shows_our_group_wins) {
    TempDir t;
    t.write("/proc/self/cgroup", "0::/mine\n");
    t.write("/proc/self/mountinfo",
            "30 21 0:26 /theirs /other rw - cgroup2 cgroup rw\n"
            "31 21 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n");
    t.write("/other/cpu.max", "100000 100000\n");
    t.write("/sys/fs/cgroup/mine/cpu.max", "700000 100000\n");
    CHECK_EQ(cgroup_quota(t.path.c_str()), 7000);
}
TEST(v1_quota) {
    TempDir t;
    t.write("/proc/self/cgroup",
            "12:cpuset:/x\n"
            "4:cpu,cpuacct:/a/b\n"
            "1:name=systemd:/init.scope\n");
    t.write("/proc/self/mountinfo",
            "32 25 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
            "33 25 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n");
    const std::string cpu = "/sys/fs/cgroup/cpu,cpuacct";
    t.write(cpu + "/a/b/cpu.cfs_quota_us", "-1\n");
    t.write(cpu + "/a/b/cpu.cfs_period_us", "100000\n");
    CHECK_EQ(cgroup_quota(t.path.c_str()), kNoQuota);
    t.write(cpu + "/a/cpu.cfs_quota_us", "350000\n");
    t.write(cpu + "/a/cpu.cfs_period_us", "100000\n");
    CHECK_EQ(cgroup_quota(t.path.c_str()), 3500);
    t.write(cpu + "/a/b/cpu.cfs_quota_us", "20000\n");
    CHECK_EQ(cgroup_quota(t.path.c_str()), 200);
    // A limit in another controller's hierarchy says nothing.
    t.write("/sys/fs/cgroup/cpuset/a/b/cpu.cfs_quota_us", "1\n");
    t.write("/sys/fs/cgroup/cpuset/a/b/cpu.cfs_period_us", "100000\n");
    CHECK_EQ(cgroup_quota(t.path.c_str()), 200);
}
TEST(v1_words_are_whole) {
    TempDir t;
    t.write("/proc/self/cgroup", "4:cpuacct:/a\n5:cpu:/b\n6:name=cpu:/c\n");
    t.write("/proc/self/mountinfo",
            "32 25 0:29 / /cg/cpuacct rw - cgroup cgroup rw,cpuacct\n"
            "33 25 0:30 / /cg/cpu rw - cgroup cgroup rw,cpu\n");
    for (const char* dir : {"/cg/cpuacct/a", "/cg/cpuacct/b", "/cg/cpu/a", "/cg/cpu/c"}) {
        t.write(std::string(dir) + "/cpu.cfs_quota_us", "1000\n");
        t.write(std::string(dir) + "/cpu.cfs_period_us", "100000\n");
    }
    CHECK_EQ(cgroup_quota(t.path.c_str()), kNoQuota);
    t.write("/cg/cpu/b/cpu.cfs_quota_us", "600000\n");
    t.write("/cg/cpu/b/cpu.cfs_period_us", "100000\n");
    CHECK_EQ(cgroup_quota(t.path.c_str()), 6000);
}
TEST(v1_and_v2_together) {
    TempDir t;
    t.write("/proc/self/cgroup", "5:cpu:/b\n0::/u\n");
    t.write("/proc/self/mountinfo",
            "33 25 0:30 / /cg/cpu rw - cgroup cgroup rw,cpu\n"
            "34 25 0:31 / /cg/unified rw - cgroup2 cgroup rw\n");
    t.write("/cg/cpu/b/cpu.cfs_quota_us", "600000\n");
    t.write("/cg/cpu/b/cpu.cfs_period_us", "100000\n");
    CHECK_EQ(cgroup_quota(t.path.c_str()), 6000);
    t.write("/cg/unified/u/cpu.max", "100000 100000\n");
    CHECK_EQ(cgroup_quota(t.path.c_str()), 1000);
    t.write("/cg/unified/u/cpu.max", "900000 100000\n");
    CHECK_EQ(cgroup_quota(t.path.c_str()), 6000);
}
TEST(mount_points_with_odd_names) {
    TempDir t;
    t.write("/proc/self/cgroup", "0::/a b\n");
    t.write("/proc/self/mountinfo", "30 21 0:26 / /my\\040cg\\134x rw - cgroup2 cgroup rw\n");
    t.write("/my cg\\x/a b/cpu.max", "200000 100000\n");
    CHECK_EQ(cgroup_quota(t.path.c_str()), 2000);
}
TEST(lines_that_are_long_short_or_broken) {
    TempDir t;
    t.write("/proc/self/cgroup", "\n:\n::\n7\n0::/g\n9::/h");  // no newline at the end
    t.write("/proc/self/mountinfo",
            "\n1\n2 3 4 5 6 7\n- - - - -\n"
            "20 1 0:20 / /merged rw - overlay overlay rw,lowerdir=" +
                std::string(100'000, 'l') + "\n" + "30 21 0:26 / /cg rw - cgroup2 cgroup rw\n" +
                "40 21 0:26 / /" + std::string(9000, 'n') + " rw - cgroup2 cgroup rw");
    t.write("/cg/g/cpu.max", "200000 100000\n");
    CHECK_EQ(cgroup_quota(t.path.c_str()), 2000);
    t.write("/proc/self/cgroup", "0::/" + std::string(20'000, 'g') + "\n");
    t.write("/cg/cpu.max", "300000 100000\n");
    CHECK_EQ(cgroup_quota(t.path.c_str()), 3000);
}
TEST(reading_is_interrupted_or_fails) {
    TempDir t;
    t.write("/proc/self/cgroup", "0::/g\n");
    t.write("/proc/self/mountinfo", kV2Mount);
    t.write("/sys/fs/cgroup/g/cpu.max", "200000 100000\n");
    INJECT(Sys::kRead, 1, EINTR, 1);
    for (uint32_t nth = 1; nth <= 6; ++nth) {
        inject(Sys::kRead, nth, EINTR, 2);
        CHECK_EQ(cgroup_quota(t.path.c_str()), 2000);
    }
    inject_clear();
    CHECK_EQ(cgroup_quota(t.path.c_str()), 2000);
    const uint32_t opens = inject_count(Sys::kOpenat), reads = inject_count(Sys::kRead);
    for (uint32_t nth = 1; nth <= opens; ++nth) {
        inject(Sys::kOpenat, nth, EMFILE);
        const int64_t quota = cgroup_quota(t.path.c_str());
        CHECK(quota == 2000 || quota == kNoQuota);
    }
    inject_clear();
    for (uint32_t nth = 1; nth <= reads; ++nth) {
        inject(Sys::kRead, nth, EIO);
        const int64_t quota = cgroup_quota(t.path.c_str());
        CHECK(quota == 2000 || quota == kNoQuota);
    }
}

// ---- the machine ----

TEST(affinity_is_the_systems) {
    cpu_set_t set;
    CHECK_EQ(sched_getaffinity(0, sizeof set, &set), 0);
    CHECK_EQ(affinity_cpu_count(), CPU_COUNT(&set));
    CHECK_LE(cpu_count(), CPU_COUNT(&set));
    CHECK_LE(1, cpu_count());
    // One CPU only, the last one of those we have.
    size_t last = 0;
    for (size_t i = 0; i < CPU_SETSIZE; ++i)
        if (CPU_ISSET(i, &set)) last = i;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(last, &one);
    CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    CHECK_EQ(affinity_cpu_count(), 1);
    CHECK_EQ(cpu_count(), 1);
    CHECK_EQ(sched_setaffinity(0, sizeof set, &set), 0);
    INJECT(Sys::kSchedGetaffinity, 1, EINVAL);
    CHECK_EQ(affinity_cpu_count(), 1);
}
