// tests/test_proc.h - what tests read about a process: files of /proc, descriptors, mappings, what a child printed.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace gort::test {

// All of a file, without the newline at its end; empty when it cannot be read.
inline std::string read_file(const std::string& path) {
    std::string s;
    char buf[4096];
    int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    for (ssize_t n; fd >= 0 && (n = read(fd, buf, sizeof buf)) > 0;) s.append(buf, size_t(n));
    if (fd >= 0) close(fd);
    while (!s.empty() && s.back() == '\n') s.pop_back();
    return s;
}
inline std::vector<std::string> names_in(const std::string& path) {
    std::vector<std::string> names;
    DIR* dir = opendir(path.c_str());
    if (!dir) return names;
    while (dirent* e = readdir(dir))  // without the descriptor we are reading with
        if (e->d_name[0] != '.' && e->d_name != std::to_string(dirfd(dir))) names.push_back(e->d_name);
    closedir(dir);
    return names;
}
inline std::vector<std::string> open_fds() {
    std::vector<std::string> fds;
    for (const std::string& n : names_in("/proc/self/fd")) {
        char target[128];
        ssize_t k = readlink(("/proc/self/fd/" + n).c_str(), target, sizeof target);
        fds.push_back(n + " -> " + std::string(target, size_t(std::max<ssize_t>(k, 0))));
    }
    return fds;
}
inline long count_mappings() {
    std::string maps = read_file("/proc/self/maps");
    return std::count(maps.begin(), maps.end(), '\n') + 1;
}
// What a memfd holds, whoever wrote it, from its start.
inline std::string read_output(int fd) {
    std::string s(size_t(lseek(fd, 0, SEEK_END)), '\0');
    ssize_t n = pread(fd, s.data(), s.size(), 0);
    s.resize(size_t(std::max<ssize_t>(n, 0)));
    return s;
}

}  // namespace gort::test
