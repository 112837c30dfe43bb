// tests/sched_procs_test.cc - the number of Ps changes while everything goes on.
// SPDX-License-Identifier: BSD-2-Clause
//
// The ids (GR-…, RT-…) are those of the list of Go's behaviours.
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "chan/chan.h"
#include "rt/sync/wait_group.h"
#include "rt/time.h"
#include "tests/sched_test.h"

using namespace gort;
using namespace gort::sched_test;
using namespace std::chrono_literals;

namespace {

// A program at work, as long as this lives: a goroutine that only yields.
class AtWork {
public:
    AtWork() {
        join_.add(1);
        go([this] {
            while (!over_) yield();
            join_.done();
        });
    }
    ~AtWork() {
        over_ = true;
        join_.wait();
    }
    AtWork(const AtWork&) = delete;
    AtWork& operator=(const AtWork&) = delete;

private:
    std::atomic<bool> over_{false};
    Join join_;
};

TEST_P(GR_37_the_number_of_ps_changes_under_a_storm, 1, 2, 8) {
    with_procs(procs, [] {
        const int changes = test::stress() ? 1000 : 200 / (test::slow() > 1 ? 4 : 1);
        std::atomic<bool> stop{false};
        std::atomic<long> started{0}, ended{0};
        Join join;
        join.add(4);
        for (int i = 0; i < 2; ++i)
            go([&] {  // spawns
                while (!stop) {
                    Join batch;
                    batch.add(20);
                    for (int k = 0; k < 20; ++k) {
                        ++started;
                        go([&] {
                            yield();
                            ++ended;
                            batch.done();
                        });
                    }
                    batch.wait();
                }
                join.done();
            });
        go([&] {  // sleeps
            while (!stop) nap(200us);
            join.done();
        });
        go([&] {  // changes as well
            while (!stop) {
                gomaxprocs(int(test::rnd() % 4) + 1);
                yield();
            }
            join.done();
        });
        for (int i = 0; i < changes; ++i) {
            gomaxprocs(int(test::rnd() % 8) + 1);
            yield();
        }
        stop = true;
        join.wait();
        CHECK_EQ(started.load(), ended.load());
        gomaxprocs(3);
        CHECK_EQ(gomaxprocs(0), 3);
    });
}

// The mask of the thread that began the run, and nobody has said a number.
TEST(RT_05_the_default_follows_the_affinity_mask) {
    cpu_set_t all;
    CHECK_EQ(sched_getaffinity(0, sizeof all, &all), 0);
    if (CPU_COUNT(&all) < 2 || getenv("GORT_MAXPROCS")) TEST_SKIP("needs two CPUs");
    cpu_set_t one;
    CPU_ZERO(&one);
    for (size_t i = 0; CPU_COUNT(&one) == 0; ++i)
        if (CPU_ISSET(i, &all)) CPU_SET(i, &one);
    const pid_t first = gettid();
    gort::run([&] {
        const int most = gomaxprocs(0);
        if (most < 2) TEST_SKIP("the cgroup allows one CPU");
        const int cpus = num_cpu();
        const AtWork at_work;
        CHECK_EQ(sched_setaffinity(first, sizeof one, &one), 0);
        EVENTUALLY(gomaxprocs(0) == 1);
        CHECK_EQ(num_cpu(), cpus);
        CHECK_EQ(sched_setaffinity(first, sizeof all, &all), 0);
        EVENTUALLY(gomaxprocs(0) == most);
        CHECK_EQ(gomaxprocs(most), most);  // from now on it stays
        CHECK_EQ(sched_setaffinity(first, sizeof one, &one), 0);
        const auto until = std::chrono::steady_clock::now() + 1200ms;
        while (std::chrono::steady_clock::now() < until) nap(1ms);
        CHECK_EQ(gomaxprocs(0), most);
    });
    CHECK_EQ(sched_setaffinity(first, sizeof all, &all), 0);
}

// A group of this process's own, of v1 or v2, as far as we may make one. Its end moves the process to the root group.
class OwnGroup {
public:
    OwnGroup() {
        for (const bool v2 : {false, true}) {
            root_ = v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu";
            limit_ = v2 ? "cpu.max" : "cpu.cfs_quota_us";
            endless_ = v2 ? "max" : "-1";
            path_ = root_ + "/gort-test-" + std::to_string(getpid());
            if (mkdir(path_.c_str(), 0755) != 0) continue;
            if (v2) say(root_ + "/cgroup.subtree_control", "+cpu");
            if (say(path_ + "/" + limit_, endless_) && say(path_ + "/cgroup.procs", "0")) return;
            rmdir(path_.c_str());
        }
        path_.clear();
    }
    ~OwnGroup() {
        if (path_.empty()) return;
        say(root_ + "/cgroup.procs", "0");
        rmdir(path_.c_str());
    }
    OwnGroup(const OwnGroup&) = delete;
    OwnGroup& operator=(const OwnGroup&) = delete;
    bool there() const { return !path_.empty(); }
    bool allow(int cpus) const {  // 0: any number
        return say(path_ + "/" + limit_, cpus ? std::to_string(cpus * 100'000) : endless_);
    }

private:
    static bool say(const std::string& file, const std::string& text) {
        std::ofstream out(file);
        return out.is_open() && (out << text << std::flush);
    }
    std::string root_, limit_, endless_, path_;
};

TEST(RT_05_the_default_follows_the_cgroup) {
    cpu_set_t all;
    CHECK_EQ(sched_getaffinity(0, sizeof all, &all), 0);
    if (CPU_COUNT(&all) < 2 || getenv("GORT_MAXPROCS")) TEST_SKIP("needs two CPUs");
    const OwnGroup group;
    if (!group.there()) TEST_SKIP("may not make a cgroup");
    gort::run([&] {
        const int most = gomaxprocs(0);
        if (most < 2) TEST_SKIP("the cgroup above allows one CPU");
        const AtWork at_work;
        CHECK(group.allow(1));
        EVENTUALLY(gomaxprocs(0) == 1);
        CHECK_EQ(num_cpu(), CPU_COUNT(&all));
        CHECK(group.allow(0));
        EVENTUALLY(gomaxprocs(0) == most);
    });
    CHECK(group.allow(1));
    gort::run([] { CHECK_EQ(gomaxprocs(0), 1); });  // a run begins with what there is
    CHECK(group.allow(0));
}

TEST(RT_01_gomaxprocs_before_the_run_is_for_the_run) {
    unsetenv("GORT_MAXPROCS");
    CHECK_EQ(gomaxprocs(0), num_cpu());
    CHECK_EQ(gomaxprocs(5), num_cpu());
    CHECK_EQ(gomaxprocs(-1), 5);
    gort::run([] {
        CHECK_EQ(gomaxprocs(0), 5);
        gomaxprocs(2);
    });
    with_procs(3, [] { CHECK_EQ(gomaxprocs(0), 3); });
    gort::run([] { CHECK_EQ(gomaxprocs(0), 5); });
    CHECK_EQ(gomaxprocs(100'000), 5);
    CHECK_EQ(gomaxprocs(0), 1024);
}

TEST_P(RT_01_main_returns_while_the_number_of_ps_changes, 1, 2, 8) {
    for (int round = 0; round < (test::stress() ? 1000 : 50); ++round)
        with_procs(procs, [] {
            for (int i = 0; i < 3; ++i)
                go([] {
                    for (unsigned n = 1;; ++n) {
                        gomaxprocs(int(n % 4) + 1);
                        yield();
                    }
                });
            for (uint64_t i = test::rnd() % 20; i > 0; --i) yield();
        });
}

TEST(RT_01_gomaxprocs_sets_and_asks) {
    with_procs(3, [] {
        CHECK_EQ(gomaxprocs(0), 3);
        CHECK_EQ(gomaxprocs(-5), 3);
        CHECK_EQ(gomaxprocs(1), 3);
        CHECK_EQ(gomaxprocs(100'000), 1);
        CHECK_EQ(gomaxprocs(2), 1024);
        CHECK_EQ(gomaxprocs(0), 2);
        Join join;  // and they all work
        join.add(100);
        for (int i = 0; i < 100; ++i) go([&] { join.done(); });
        join.wait();
    });
    with_procs(1, [] { CHECK_EQ(num_goroutine(), 1); });  // nothing is left of the many
}

}  // namespace

// What the first run knew, that it is alone, is not so in the second: goroutines on two Ps sleep and hand values on.
TEST(a_run_with_many_ps_after_one_with_one) {
    for (const int procs : {1, 4, 1, 2}) {
        with_procs(procs, [] {
            wait_group wg;
            std::atomic<int> sum{0};
            for (int i = 0; i < 16; ++i)
                wg.go([&] {
                    auto c = make_chan<int>();
                    for (int r = 0; r < 200; ++r) {
                        wg.go([&sum, c] {
                            gort::sleep(20us);
                            sum.fetch_add(1);
                            c << 1;
                        });
                        for (int n = r % 20; n > 0; --n) yield();
                        c.recv();
                    }
                });
            wg.wait();
            CHECK_EQ(sum.load(), 16 * 200);
        });
    }
}
