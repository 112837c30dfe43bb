// tests/kernel_test.h - what the tests of kernel/ share.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>

#include "arch/sanitize.h"
#include "kernel/sys.h"
#include "kernel/thread.h"
#include "tests/test.h"

namespace kernel_test {

namespace k = gort::kernel;

// Arms a failure, or ends the test as skipped where the build has no injection.
#define INJECT(...) \
    if (!gort::kernel::inject(__VA_ARGS__)) TEST_SKIP("no fault injection in this build")

// A thread that runs fn(arg) and is joined: a raw one, or a pthread where a sanitizer needs libc's thread area.
struct Worker {
#if GORT_ASAN || GORT_TSAN
    std::thread thread;
    void start(void (*fn)(void*), void* arg) { thread = std::thread(fn, arg); }
    void join() { thread.join(); }
#else
    k::RawThread thread;
    void start(void (*fn)(void*), void* arg) { CHECK_EQ(k::thread_start(&thread, fn, arg), 0); }
    void join() { k::thread_join(&thread); }
#endif
};

// A folder of its own, removed at the end with all that is in it.
struct TempDir {
    std::string path;
    TempDir() {
        const char* base = std::getenv("TMPDIR");
        path = std::string(base ? base : "/tmp") + "/gort-kernel-XXXXXX";
        CHECK(mkdtemp(path.data()) != nullptr);
    }
    ~TempDir() { CHECK_EQ(std::system(("rm -rf '" + path + "'").c_str()), 0); }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;

    // Writes a file at an absolute path below this folder, with the folders on the way.
    void write(const std::string& name, const std::string& text) const {
        for (size_t at = name.find('/', 1); at != std::string::npos; at = name.find('/', at + 1))
            mkdir((path + name.substr(0, at)).c_str(), 0700);
        std::ofstream out(path + name);
        out << text;
        CHECK(out.good());
    }
};

// The text that fn writes to its descriptor.
template <class F>
std::string written_by(F fn) {
    int fds[2];
    CHECK_EQ(pipe(fds), 0);
    fn(fds[1]);
    close(fds[1]);
    std::string text;
    char buf[4096];
    for (ssize_t n; (n = read(fds[0], buf, sizeof buf)) > 0;) text.append(buf, static_cast<size_t>(n));
    close(fds[0]);
    return text;
}

}  // namespace kernel_test
