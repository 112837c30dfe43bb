// tests/child.h - runs a piece of a test in a process of its own and tells how that ended and what it printed.
// SPDX-License-Identifier: BSD-2-Clause
//
// For tests that look at several things in the last words of a program; TEST_DIES is for one. The child is forked from
// the test's own process while that has no other threads: those of a run that is over are waited for. A child that
// hangs is killed with the test.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/test.h"

namespace gort::test {

// Does a regular expression match somewhere? ^ and $ match at each line.
bool has_line(const std::string& text, const std::string& pattern);

struct Died {
    int status = 0;        // as of waitpid
    std::string out, err;  // what it wrote to stdout and to stderr

    int exit_code() const { return WIFEXITED(status) ? WEXITSTATUS(status) : -1; }
    int signal() const { return WIFSIGNALED(status) ? WTERMSIG(status) : 0; }
    bool said(std::string_view text) const { return err.find(text) != std::string::npos; }
    bool matches(const std::string& pattern) const { return has_line(err, pattern); }  // of stderr
    size_t count(std::string_view text) const {
        size_t n = 0;
        for (size_t at = 0; (at = err.find(text, at)) != std::string::npos; at += text.size()) ++n;
        return n;
    }
    // What stands between the first line that begins with `header` and the next empty one.
    std::string block(std::string_view header) const {
        size_t at = err.find(header);
        return at == std::string::npos ? "" : err.substr(at, err.find("\n\n", at) - at);
    }
    std::string first_line() const { return err.substr(0, err.find('\n')); }
};

// Until the threads of a run that is over are gone. One on its way out may hold a lock of libc's or of TSan's, which a
// child would find locked for ever; and TSan lets such a child have no threads. TSan's own, which block every signal,
// are here to stay, and so is what a test wants to have: that waits in vain, but not long.
void wait_for_leaving_threads();

// qemu-user says on stderr that a signal ended the program: "qemu: uncaught target signal 3 (Quit) - core dumped".
inline std::string without_emulators_words(std::string text) {
    const size_t at = text.find("qemu: uncaught target signal ");
    if (at != std::string::npos) text.erase(at, text.find('\n', at) + 1 - at);
    return text;
}

class Child {
public:
    template <class F>
    explicit Child(F body) : out_(memfd_create("stdout", 0)), err_(memfd_create("stderr", 0)) {
        std::fflush(nullptr);
        wait_for_leaving_threads();
        pid_ = fork();
        if (pid_ != 0) return;
        dup2(out_, 1);
        dup2(err_, 2);
        close(out_);
        close(err_);
        body();
        std::fflush(nullptr);
        _exit(0);
    }
    pid_t pid() const { return pid_; }
    std::string err_so_far() const { return read_output(err_); }
    Died wait() {
        Died d;
        waitpid(pid_, &d.status, 0);
        d.out = read_output(out_);
        d.err = without_emulators_words(read_output(err_));
        close(out_);
        close(err_);
        return d;
    }

private:
    int out_, err_;
    pid_t pid_;
};

template <class F>
Died run_child(F body) {
    return Child(body).wait();
}

}  // namespace gort::test

// A check about a Died; prints everything the child said when it fails.
#define CHECK_DIED(d, ...)                                                                     \
    do {                                                                                       \
        if (!(__VA_ARGS__)) {                                                                  \
            std::printf("status %#x\n--- stdout\n%s--- stderr\n%s---\n", unsigned((d).status), \
                        (d).out.c_str(), (d).err.c_str());                                     \
            std::fflush(stdout);                                                               \
            ::gort::test::fail(__FILE__, __LINE__, "CHECK_DIED(%s)", #__VA_ARGS__);            \
        }                                                                                      \
    } while (0)
