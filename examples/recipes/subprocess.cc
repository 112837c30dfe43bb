// examples/recipes/subprocess.cc - a subprocess with a time limit: posix_spawn, a pipe, a pidfd.
// SPDX-License-Identifier: BSD-2-Clause
//
// A pidfd becomes readable when the process has ended, so waiting for it parks a goroutine. posix_spawn and not fork:
// a forked child of a running program has no goroutines (rt/base/fork.h), a spawned one is another program at once.
#include <gort.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <system_error>
#include <vector>

using namespace std::chrono_literals;
namespace ctx = gort::ctx;
namespace net = gort::net;

extern char** environ;

namespace {

struct outcome {
    int status = 0;       // as of waitpid
    bool killed = false;  // because the context ended
    std::string output;   // stdout and stderr
};

[[noreturn]] void fail(int error, const char* what) {
    throw std::system_error(error, std::generic_category(), what);
}

pid_t start(std::vector<std::string> words, int output) {
    std::vector<char*> argv;
    for (std::string& w : words) argv.push_back(w.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, output, 1);
    posix_spawn_file_actions_adddup2(&actions, output, 2);
    posix_spawnattr_t attr;
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr,
                             POSIX_SPAWN_SETPGROUP);  // a group of its own: its children are killed with it
    pid_t pid = 0;
    const int error = posix_spawnp(&pid, argv[0], &actions, &attr, argv.data(), environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    if (error) fail(error, argv[0]);
    return pid;
}

// Runs a command until it ends or c does, whichever is first; then it is killed.
outcome run_command(const ctx::context& c, const std::vector<std::string>& words) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) fail(errno, "pipe2");
    const net::fd out(ends[0]);
    gort::defer close_ours{[&] {
        if (ends[1] >= 0) ::close(ends[1]);
    }};
    const pid_t pid = start(words, ends[1]);
    ::close(std::exchange(ends[1], -1));  // so that the output ends when the process does
    const net::fd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));

    outcome result;
    gort::wait_group reader;
    reader.go([&] {
        char buf[4096];
        for (;;) {
            const auto n = out.read(buf);
            if (!n || n.value() == 0) break;
            result.output.append(buf, n.value());
        }
    });
    {
        const auto bound = ctx::bind(c, process);
        if (!process.wait_readable()) {
            result.killed = true;
            kill(-pid, SIGKILL);
        }
    }
    process.wait_readable().value();  // after SIGKILL it is soon over
    waitpid(pid, &result.status, 0);
    reader.wait();
    return result;
}

}  // namespace

int main() {
    return gort::run([] {
        auto [c, cancel] = ctx::with_timeout(ctx::background(), 30s);
        outcome r = run_command(c, {"sh", "-c", "echo hello; exit 3"});
        std::printf("%sexit status %d\n", r.output.c_str(), WEXITSTATUS(r.status));

        auto [hurried, cancel_hurried] = ctx::with_timeout(c, 100ms);
        r = run_command(hurried, {"sh", "-c", "echo waiting; sleep 60; echo never"});
        std::printf("%s%s by signal %d\n", r.output.c_str(), r.killed ? "killed" : "ended",
                    WTERMSIG(r.status));
        cancel_hurried();

        try {
            run_command(c, {"/no/such/program"});
        } catch (const std::system_error& e) {
            std::printf("%s\n", e.what());
        }
        cancel();
    });
}
