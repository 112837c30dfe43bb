// tests/arch_script_test.cc - runs the arch tests that are scripts: gdb, ELF, Valgrind, ways to compile.
// SPDX-License-Identifier: BSD-2-Clause
//
// A script passes when it exits with 0; a last line `skip: why` means that a tool it needs is missing. The
// long forms of arch_gdb_test.sh and arch_matrix_test.sh are suites of their own in .ci/run.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "arch/sanitize.h"
#include "tests/test.h"

namespace {

// The folder of this build: the parent of the one we are in.
std::string out_folder() {
    char path[1024];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path);
    std::string s(path, n > 0 ? size_t(n) : 0);
    for (int i = 0; i < 2; i++) s.resize(s.rfind('/') == s.npos ? 0 : s.rfind('/'));
    return s;
}
bool installed(const char* tool) {
    return std::system((std::string("command -v ") + tool + " >/dev/null").c_str()) == 0;
}

void run_script(const std::string& command) {
    std::fflush(nullptr);
    FILE* f = popen((command + " 2>&1").c_str(), "r");
    CHECK(f);
    std::string last;
    char line[1024];
    while (std::fgets(line, sizeof line, f)) {
        last = line;
        std::fputs(line, stdout);
    }
    int status = pclose(f);
    if (status == 0 && last.rfind("skip: ", 0) == 0) {
        last.resize(last.find('\n'));
        TEST_SKIP(last.c_str() + 6);
    }
    CHECK_EQ(status, 0);
}

#if defined(__clang__)
const char kCompiler[] = "clang++";
#else
const char kCompiler[] = "g++";
#endif
#if defined(__OPTIMIZE__) && !defined(GORT_DEBUG)
constexpr bool kRelease = true;  // what a script compiles does not depend on the build, so one build runs it
#else
constexpr bool kRelease = false;
#endif
bool native() {
#if defined(__x86_64__)
    return std::system("[ $(uname -m) = x86_64 ]") == 0;
#else
    return std::system("[ $(uname -m) = aarch64 ]") == 0;
#endif
}

TEST(gdb_steps_through_every_switch) {
    TEST_TIMEOUT(200);
    if (!kRelease) TEST_SKIP("done in BUILD=release");
    if (!native()) TEST_SKIP("done natively");
    if (!installed(kCompiler)) TEST_SKIP("needs the compiler");
    run_script("CXX=" + std::string(kCompiler) + " tests/arch_gdb_test.sh" +
               (gort::test::stress() ? "" : " quick"));
}

TEST(elf_properties) {
    if (!installed("readelf")) TEST_SKIP("needs readelf");
    run_script("tests/arch_elf_test.sh " + out_folder());
}

TEST(memcheck_says_nothing) {
    TEST_TIMEOUT(300);
    if (!GORT_VALGRIND) TEST_SKIP("done in BUILD=debug, with valgrind's headers");
    if (!native()) TEST_SKIP("done natively");
    if (!installed("valgrind")) TEST_SKIP("needs valgrind");
    std::string in = " " + out_folder() + "/tests/";
    run_script("tests/arch_valgrind_test.sh" + in + "arch_test" + in + "arch_unwind_test" + in +
               "arch_live_test");
}

TEST(live_values_at_other_levels) {
    TEST_TIMEOUT(200);
    if (!kRelease) TEST_SKIP("done in BUILD=release");
    if (!native()) TEST_SKIP("done natively");
    if (!installed(kCompiler)) TEST_SKIP("needs the compiler");
    run_script("CXXS=" + std::string(kCompiler) + " tests/arch_matrix_test.sh quick");
}

}  // namespace
