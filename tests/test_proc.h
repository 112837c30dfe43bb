// tests/test_proc.h - what tests read about a process: files of /proc, descriptors, mappings, what a child printed.
// SPDX-License-Identifier: BSD-2-Clause
#pragma once
#include <string>
#include <vector>

namespace gort::test {

std::string read_file(
    const std::string& path);  // without the newline at its end; empty when it cannot be read
std::vector<std::string> names_in(const std::string& path);
std::vector<std::string> open_fds();
long count_mappings();
std::string read_output(int fd);  // what a memfd holds, whoever wrote it, from its start

}  // namespace gort::test
