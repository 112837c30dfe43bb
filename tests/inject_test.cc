// tests/inject_test.cc - a program that uses a little of everything, and each system call that it makes failing in
// turn.
// SPDX-License-Identifier: BSD-2-Clause
//
// What must come of it: the program gets through, or one clear line and exit status 2. Never a hang, never a crash.
// The failures come from kernel/sys.h's table, which only debug builds have. What single failures lead to is looked at
// by sched_fault_test and net_fault_test.
#include <sys/mman.h>

#include <algorithm>

#include "chan/select.h"
#include "chan/time.h"
#include "ctx/context.h"
#include "rt/sync/mutex.h"
#include "rt/sync/wait_group.h"
#include "rt/time.h"
#include "tests/net_test.h"

using namespace gort;
using namespace gort::net_test;
using kernel::inject;
using kernel::kInjectForever;
using kernel::Sys;
using test::Died;
using test::run_child;

namespace {

void talk_to_ourselves() {
    mutex mu;
    int plain = 0;
    auto values = make_chan<int>(), ends = make_chan<int>(4);
    for (int i = 0; i < 4; ++i)
        go([&, values, ends] {
            for (int v : values) {
                std::lock_guard guard(mu);
                plain += v;
                yield();
            }
            ends << 1;
        });
    for (int i = 0; i < 50; ++i) values << i;
    values.close();
    for (int i = 0; i < 4; ++i) ends.recv();
    CHECK_EQ(plain, 49 * 25);
    auto [c, cancel] = ctx::with_timeout(ctx::background(), 1ms);
    CHECK_EQ(select(on_recv(c.done()), on_recv(values, [](int, bool) {})) < 2, true);
    cancel();
    sleep(100us);
    std::thread foreign([&] { ends << blocking([] { return int(usleep(100)); }); });
    ends.recv();
    foreign.join();
    gomaxprocs(gomaxprocs(0) + 1);
}

// Whoever gets an error lets go of what he has, so that the others get one too.
void echo(net::conn c) {
    char buf[64];
    while (auto n = c.read(buf))
        if (!c.write(std::span(buf, *n))) break;
    (void)c.close_write();
    (void)c.close();
}

void talk_over_the_network() {
    auto l = net::listen("127.0.0.1:0");
    if (!l) return;
    const auto where = l->local_endpoint();
    wait_group echoes, callers;
    echoes.go([&] {
        while (auto c = l->accept()) echoes.go([c = *c] { echo(c); });
        (void)l->close();
    });
    for (int i = 0; i < 4 && where; ++i)
        callers.go([&] {
            auto c = net::dial(where->to_string());
            if (!c) return;
            (void)c->set_read_deadline(1h);
            char buf[64];
            for (int k = 0; k < 5; ++k)
                if (!c->write("hello") || !c->read(buf)) break;
            (void)c->close_write();
            (void)c->close();
        });
    callers.wait();
    (void)l->close();
    echoes.wait();
}

void program(int procs) {
    with_procs(procs, [] {
        talk_to_ourselves();
        talk_over_the_network();
    });
}

// How often an undisturbed program makes each call.
struct Counts {
    uint32_t of[size_t(Sys::kCount)];
};
const Counts& counts(int procs) {
    void* page = mmap(nullptr, sizeof(Counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    auto* all = static_cast<Counts*>(page);
    const Died d = run_child([&] {
        kernel::inject_clear();
        program(procs);
        for (size_t i = 0; i < std::size(all->of); ++i) all->of[i] = kernel::inject_count(Sys(i));
    });
    CHECK_DIED(d, d.exit_code() == 0);
    return *all;
}

void fail(int procs, Sys which, uint32_t nth, int err, uint32_t times) {
    const Died d = run_child([&] {
        alarm(unsigned(15 * test::slow()));  // a hang has a name then
        inject(which, nth, err, times);
        program(procs);
    });
    // Where nothing can be written nothing can be said.
    const bool clear =
        d.exit_code() == 2 && (d.said("fatal error: ") || which == Sys::kWrite || which == Sys::kWritev);
    if (d.exit_code() == 0 || clear) return;
    std::printf("%s, call %u, errno %d, %u times\n", kernel::sys_name(which), nth, err, times);
    CHECK_DIED(d, false);
}

TEST_P(each_call_fails_once_and_for_ever, 1, 2) {
    if (!inject(Sys::kGetpid, 1, EPERM)) TEST_SKIP("no injection in this build");
    if (GORT_TSAN) TEST_SKIP("TSan takes a third of a second for each of the 400 children");
    TEST_TIMEOUT(100);
    const Counts& made = counts(procs);
    for (size_t i = 0; i < std::size(made.of); ++i) {
        const Sys which{uint8_t(i)};
        const uint32_t last =
            std::max(made.of[i], 1u);  // who is woken how varies: a call may be seen next time
        for (uint32_t nth : {1u, 2u, last / 2, last}) {
            if (nth == 0 || nth > last) continue;
            fail(procs, which, nth, ENOMEM, 1);
            fail(procs, which, nth, ENOMEM, kInjectForever);
            fail(procs, which, nth, EINTR, 100);
        }
    }
}

}  // namespace
