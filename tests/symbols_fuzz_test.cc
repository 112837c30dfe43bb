// tests/symbols_fuzz_test.cc - what reads program files survives every file of tests/fuzz/corpus, and mutants of each.
// SPDX-License-Identifier: BSD-2-Clause
#include <dirent.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/fuzz/symbols.h"
#include "tests/test.h"

namespace {

using Bytes = std::vector<uint8_t>;

std::vector<Bytes> corpus() {
    std::string folder = __FILE__;
    folder = folder.substr(0, folder.rfind('/') + 1) + "fuzz/corpus";
    std::vector<Bytes> files;
    DIR* d = opendir(folder.c_str());
    while (const dirent* e = d ? readdir(d) : nullptr) {
        if (e->d_name[0] == '.') continue;
        std::ifstream in(folder + "/" + e->d_name, std::ios::binary);
        files.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    }
    if (d) closedir(d);
    return files;
}

uint64_t below(uint64_t n) { return gort::test::rnd() % n; }

TEST(every_file_of_the_corpus_is_read) {
    const std::vector<Bytes> files = corpus();
    CHECK(files.size() >= 5);
    for (const Bytes& f : files) gort::fuzz::symbols(f.data(), f.size());
}

// What the readers are for: the seeds are real libraries.
TEST(the_corpus_names_functions_and_lines) {
    size_t named = 0, lines = 0;
    for (const Bytes& f : corpus()) {
        const gort::fuzz::Mapped file(f.data(), f.size());
        gort::rt::Images* images = gort::rt::Images::take();
        for (uintptr_t at = file.begin(); at < file.begin() + file.size(); at += 4) {
            gort::rt::Symbol s;
            gort::rt::find_symbol(images, at, &s);
            if (!s.name || std::string(s.name) != "_Z8far_awayRK5Point") continue;
            ++named;
            lines += s.line.file && std::string(s.line.file).ends_with("seed.cc");
            break;
        }
        images->free();
    }
    CHECK(named >= 5);
    CHECK(lines >= 4);
}

// Bytes, words and whole runs of them: overwritten, and the file cut off.
TEST(mutants_of_the_corpus_are_survived) {
    for (const Bytes& f : corpus())
        for (int round = 0; round < 40; ++round) {
            Bytes m = f;
            for (uint64_t n = 1 + below(8); n-- > 0;) {
                const size_t at = below(m.size());
                const uint64_t value = below(4) ? gort::test::rnd() : below(2) ? ~uint64_t{0} : 0;
                const size_t width = size_t{1} << below(4);
                for (size_t i = 0; i < width && at + i < m.size(); ++i)
                    m[at + i] = static_cast<uint8_t>(value >> 8 * i);
            }
            if (below(8) == 0) m.resize(64 + below(m.size() - 64));
            gort::fuzz::symbols(m.data(), m.size());
        }
}

}  // namespace
