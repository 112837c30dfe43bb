// examples/context_tree.cc - a tree of contexts over three workers: one is cancelled, one runs out of time, one knows a
// value; and the end of all of them.
// SPDX-License-Identifier: BSD-2-Clause
//
//      background
//        with_cancel_cause              the whole job
//          with_value(job_name)
//            with_cancel                worker "cancelled"
//            with_timeout(5 ms)         worker "late"
//            (itself)                   worker "named", which ends with the job
#include <gort.h>

#include <chrono>
#include <cstdio>
#include <string>

using namespace std::chrono_literals;
namespace ctx = gort::ctx;

inline constexpr ctx::key<std::string> job_name{"job_name"};

// Works until its context is done, then says why it stopped.
void work(const ctx::context& c, const char* name, const gort::chan<std::string>& reports) {
    gort::ticker step(1ms);
    while (gort::select(gort::on_recv(c.done()), gort::on_recv(step.c())) != 0) {
    }
    reports << std::string(name) + " of " + *c.value(job_name) + ": " + c.err().message() +
                   ", because: " + ctx::cause(c).message();
}

int main() {
    return gort::run([] {
        auto reports = gort::make_chan<std::string>();
        auto [job, end_job] = ctx::with_cancel_cause(ctx::background());
        const ctx::context named = ctx::with_value(job, job_name, "inventory");

        auto [first, cancel] = ctx::with_cancel(named);
        gort::go([reports, c = first] { work(c, "cancelled", reports); });
        cancel();
        std::printf("%s\n", reports.recv().c_str());

        auto [second, release] = ctx::with_timeout(named, 5ms);
        gort::go([reports, c = second] { work(c, "late", reports); });
        std::printf("%s\n", reports.recv().c_str());
        release();  // always, though it is over: it stops the timer

        gort::go([reports, named] { work(named, "named", reports); });
        std::printf("the job itself goes on: %s\n", job.err() ? "no" : "yes");
        end_job(std::make_error_code(std::errc::no_space_on_device));
        std::printf("%s\n", reports.recv().c_str());

        // Whoever comes now is too late, at any depth.
        auto [child, cancel_child] = ctx::with_timeout(named, 1h);
        std::printf("a new child: %s\n", child.err().message().c_str());
        std::printf("%s\n", to_string(ctx::with_value(first, job_name, "orders")).c_str());
    });
}
