// tests/kernel_file_test.cc - files of any size: numbers in them, keys, lines that end where a buffer does.
// SPDX-License-Identifier: BSD-2-Clause
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "kernel/file.h"
#include "kernel/sys.h"
#include "tests/test.h"

using namespace gort::kernel;

namespace {

struct TempFile {
    char path[32] = "/tmp/file_test.XXXXXX";
    explicit TempFile(const std::string& text) {
        const int fd = mkstemp(path);
        CHECK_LE(0, fd);
        CHECK_EQ(write(fd, text.data(), text.size()), ssize_t(text.size()));
        close(fd);
    }
    ~TempFile() { unlink(path); }
};

TEST(a_number_at_the_start) {
    uint64_t n = 77;
    CHECK_EQ(read_number(TempFile("65530\n").path, &n), 0);
    CHECK_EQ(n, 65530u);
    CHECK_EQ(read_number(TempFile("0").path, &n), 0);
    CHECK_EQ(n, 0u);
    CHECK_EQ(read_number(TempFile("18446744073709551615").path, &n), 0);
    CHECK_EQ(n, UINT64_MAX);
    CHECK_EQ(read_number(TempFile("18446744073709551616\n").path, &n), 0);
    CHECK_EQ(n, UINT64_MAX);
    CHECK_EQ(read_number(TempFile(std::string(3000, '0') + "12").path, &n), 0);
    CHECK_EQ(n, 12u);
    for (const char* bad : {"", "\n", "-1", " 1", "x"})
        CHECK_EQ(read_number(TempFile(bad).path, &n), -EINVAL);
    CHECK_EQ(n, 12u);
    CHECK_EQ(read_number("/nowhere/at/all", &n), -ENOENT);
    CHECK_EQ(read_number("/", &n), -EISDIR);
}

// Wherever the key lies relative to the ends of buffers.
TEST(a_key_behind_lines_of_any_length) {
    for (size_t before = 480; before < 560; ++before) {
        const TempFile f("Threads: 1\nGroups:\t" + std::string(before, '7') +
                         " Threads:\t3\nThreads:\t12345\nx:\t9\n");
        uint64_t n = 0;
        CHECK_EQ(find_number(f.path, "Threads:\t", &n), 0);
        CHECK_EQ(n, 12345u);
    }
    uint64_t n = 0;
    const TempFile large("G:\t" + std::string(3'000'000, ' ') + "\n\n\nThr\nThreads:\t8");
    CHECK_EQ(find_number(large.path, "Threads:\t", &n), 0);
    CHECK_EQ(n, 8u);
    CHECK_EQ(find_number(large.path, "Thread:\t", &n), -EINVAL);
    CHECK_EQ(find_number(TempFile("Threads:\tmany\n").path, "Threads:\t", &n), -EINVAL);
    CHECK_EQ(find_number("/nowhere/at/all", "Threads:\t", &n), -ENOENT);
    // This thread, and those of TSan or qemu-user: as many as the system lists.
    CHECK_EQ(find_number("/proc/self/status", "Threads:\t", &n), 0);
    CHECK_LE(1u, n);
    CHECK_EQ(n, gort::test::names_in("/proc/self/task").size());
}

TEST(bytes_are_all_there_whatever_the_buffer) {
    std::string text;
    for (int i = 0; i < 1000; ++i) text += static_cast<char>(i);
    const TempFile f(text);
    for (size_t size : {size_t{1}, size_t{7}, size_t{1000}, size_t{4096}}) {
        char buffer[4096];
        ByteReader in(f.path, buffer, size);
        std::string got;
        for (int c; (c = in.get()) >= 0;) got += static_cast<char>(c);
        CHECK(got == text);
        CHECK_EQ(in.get(), -1);
        CHECK_EQ(in.error(), 0);
    }
}

TEST(interrupted_reads_go_on_and_failed_ones_are_told) {
    if (!inject(Sys::kRead, 1, EINTR, 3)) TEST_SKIP("only in debug builds");
    uint64_t n = 0;
    CHECK_EQ(read_number(TempFile("42").path, &n), 0);
    CHECK_EQ(n, 42u);
    inject_clear();
    inject(Sys::kRead, 2, EIO);
    CHECK_EQ(read_number(TempFile("42").path, &n), -EIO);
    inject_clear();
}

}  // namespace
