// tests/test_test.cc - the framework's own tests: every way a test can end, seen through the lines it prints.
// SPDX-License-Identifier: BSD-2-Clause
//
// The tests named sample_* are the specimens. They are taken out of the registry before main() and run,
// with flags, by a grandchild of the test that looks at them: a fork and not an exec, because qemu-user cannot
// exec itself.
#include "tests/test.h"
#include "tests/test_run.h"

#include <initializer_list>
#include <memory>
#include <system_error>
#include <thread>

using gort::test::Test;

static std::atomic<long> g_books{7};
static long g_epolls = 0;
static const bool g_ledgers = gort::test::ledger_add("books", [] { return g_books.load(); }) &&
                              gort::test::ledger_fds([] { return g_epolls; }) &&
                              gort::test::ledger_mappings(20);

enum class Colour : uint8_t { kRed = 3 };

TEST(sample_pass) { std::printf("seen with -v only\n"); }
TEST_P(sample_procs, 1, 2, 8) { std::printf("procs=%d\n", procs); }
TEST_P(sample_procs_default) { CHECK(procs == 1 || procs == 8); }
TEST(sample_check) {
    std::printf("printed before\n");
    CHECK(1 + 1 == 3);
}
TEST(sample_check_eq) { CHECK_EQ(40 + 1, 42u); }
TEST(sample_check_eq_text) { CHECK_EQ(std::string("left"), "right"); }
TEST(sample_check_ne) { CHECK_NE(Colour::kRed, Colour::kRed); }
TEST(sample_check_lt) { CHECK_LT(5, 5); }
TEST(sample_check_le) { CHECK_LE(2.5, 1.5); }
TEST(sample_check_on_thread) {
    std::thread([] { CHECK(false); }).join();
}
TEST(sample_eventually) {
    // it gives up a tenth before that, which is to be more than a turn of others on a busy CPU
    TEST_TIMEOUT(2);
    EVENTUALLY(g_books == 8);
}
TEST(sample_abort) { std::abort(); }
TEST(sample_segv) { raise(SIGSEGV); }
TEST(sample_kill) { raise(SIGKILL); }
TEST(sample_exit_0) { _exit(0); }
TEST(sample_exit_5) { _exit(5); }
TEST(sample_exit_late) {
    std::atexit([] { _exit(9); });
}
TEST(sample_throw) { throw std::runtime_error("thrown out"); }
TEST(sample_hang) {
    TEST_TIMEOUT(0.2);
    for (;;) pause();
}
TEST(sample_hang_blocked) {  // a hang that neither an alarm nor SIGQUIT ends
    TEST_TIMEOUT(0.2);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, nullptr);
    for (;;) pause();
}
TEST(sample_flood) {
    std::string line(1 << 20, 'x');
    for (;;) std::fwrite(line.data(), 1, line.size(), stdout);
}
TEST(sample_skip) { TEST_SKIP("no such device"); }
TEST(sample_leak) { g_books++; }
TEST(sample_leak_down) { g_books--; }
TEST(sample_leak_fd) { CHECK_LE(0, dup(0)); }
TEST(sample_leak_kept_fd) {
    CHECK_LE(0, dup(0));
    g_epolls++;
}
TEST(sample_settling) {
    std::thread([] {
        for (int i = 0; i < 100; i++) sched_yield();
        g_books--;
    }).detach();
    g_books++;
}
TEST(sample_leak_mappings) {
    for (int i = 0; i < 50; i++)  // alternating protections, so that the kernel cannot merge them
        CHECK(mmap(nullptr, 4096, i % 2 ? PROT_READ : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
              MAP_FAILED);
}
TEST(sample_grandchild) {
    if (fork() == 0)
        for (;;) pause();
}
TEST_DIES(sample_dies, "famous last words") {
    std::fprintf(stderr, "famous last words\n");
    std::abort();
}
TEST_DIES(sample_dies_exit, "famous last words") {
    std::fprintf(stderr, "famous last words\n");
    std::exit(2);
}
TEST_DIES(sample_dies_exit_2, "famous last words", 2) {
    std::fprintf(stderr, "famous last words\n");
    std::exit(2);
}
TEST_DIES(sample_dies_signal, "famous last words", -SIGKILL) {
    std::fprintf(stderr, "famous last words\n");
    raise(SIGKILL);
}
TEST_DIES(sample_dies_exit_3, "famous last words", 2) {
    std::fprintf(stderr, "famous last words\n");
    std::exit(3);
}
TEST_DIES(sample_dies_killed, "famous last words") {
    std::fprintf(stderr, "famous last words\n");
    raise(SIGKILL);
}
TEST_DIES(sample_dies_not, "famous last words") { std::fprintf(stderr, "famous last words\n"); }
TEST_DIES(sample_dies_exit_0, "famous last words") {
    std::fprintf(stderr, "famous last words\n");
    _exit(0);
}
TEST_DIES(sample_dies_silent, "famous last words") { std::abort(); }
TEST_DIES(sample_dies_on_stdout, "famous last words") {
    std::printf("famous last words\n");
    std::abort();
}
TEST_DIES(sample_dies_check, "famous last words") {
    std::fprintf(stderr, "famous last words\n");
    CHECK(false);
}
TEST_STRESS(sample_stress) { CHECK(gort::test::stress()); }
TEST_STRESS_P(sample_stress_procs, 3) { CHECK_EQ(procs, 3); }
TEST(sample_random) {
    std::printf("drew %d %d\n", int(gort::test::rnd() % 1000), int(gort::test::rnd() % 1000));
}

static std::vector<Test> g_samples;
static const bool g_split = [] {
    std::vector<Test> real;
    for (const Test& t : gort::test::registry())
        (std::strncmp(t.name, "sample_", 7) ? real : g_samples).push_back(t);
    gort::test::registry() = real;
    return true;
}();

struct Ran {
    int status;
    std::string text;
    bool has(const std::string& s) const { return text.find(s) != std::string::npos; }
    // The last line, which is what CI reads.
    std::string last() const {
        std::string s = text.substr(0, text.empty() ? 0 : text.size() - 1);
        return s.substr(s.rfind('\n') + 1);
    }
};
static Ran run_samples(std::vector<std::string> args) {
    int fd = memfd_create("samples", 0);
    std::fflush(nullptr);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fd, 1);
        dup2(fd, 2);
        close(fd);
        std::vector<char*> argv{const_cast<char*>("samples")};
        for (std::string& a : args) argv.push_back(a.data());
        argv.push_back(nullptr);
        std::exit(gort::test::run(int(argv.size()) - 1, argv.data(), g_samples));
    }
    int status = 0;
    waitpid(pid, &status, 0);
    Ran r{WIFEXITED(status) ? WEXITSTATUS(status) : -1, gort::test::read_output(fd)};
    close(fd);
    std::printf("---- samples ended %d\n%s----\n", r.status, r.text.c_str());
    return r;
}
// One specimen that has to fail, for the given reason.
static void expect_fail(const char* name, std::initializer_list<const char*> words) {
    Ran r = run_samples({name});
    CHECK_EQ(r.last(), "0 passed, 1 failed");
    CHECK_EQ(r.status, 1);
    CHECK(r.has(std::string("FAIL ") + name));
    CHECK(r.has("again: samples -s "));
    for (const char* w : words)
        if (!r.has(w)) gort::test::fail(__FILE__, __LINE__, "%s: not a word of '%s'", name, w);
}
static void expect_pass(const char* name, const char* last = "1 passed, 0 failed") {
    Ran r = run_samples({name});
    CHECK_EQ(r.last(), last);
    CHECK_EQ(r.status, 0);
}

TEST(passing_is_quiet_unless_asked) {
    Ran r = run_samples({"-s", "12", "sample_pass"});
    CHECK_EQ(r.text, "seed 12\n1 passed, 0 failed\n");
    r = run_samples({"-v", "sample_pass"});
    CHECK(r.has("ok   sample_pass"));
    CHECK(r.has("seen with -v only"));
}
TEST(checks_show_their_values) {
    expect_fail("sample_check_eq_text", {"\"left\" and \"right\""});
    expect_fail("sample_check_ne", {"tests/test_test.cc:", "CHECK_NE(Colour::kRed, Colour::kRed): 3 and 3"});
    expect_fail("sample_check_lt", {"CHECK_LT(5, 5): 5 and 5"});
    expect_fail("sample_check_le", {"CHECK_LE(2.5, 1.5): 2.5 and 1.5"});
    expect_fail("sample_check_on_thread", {"CHECK(false)"});
    Ran r = run_samples({"-v", "sample_check"});
    CHECK(r.has("a check failed\nprinted before\n"));
    CHECK(r.has("CHECK(1 + 1 == 3)"));
    CHECK(r.has("CHECK_EQ(40 + 1, 42u): 41 and 42"));
}
TEST(checks_that_hold) {
    std::atomic<int> a{3};
    const char* word = "abc";
    char buffer[] = "abc";
    std::unique_ptr<int> owned;
    CHECK_EQ(a, 3);
    CHECK_EQ(word, "abc");
    CHECK_EQ(std::string("abc"), word);
    CHECK_NE(static_cast<const char*>(buffer), word);  // two pointers are two addresses
    CHECK_EQ(std::string("abc").size(), 3);
    CHECK_NE(-1, ~0u);
    CHECK_LT(-1, 1u);
    CHECK_LE(1u, 1);
    CHECK_EQ(owned, nullptr);
    CHECK_EQ(std::error_code(), std::error_code());
    EVENTUALLY(++a == 1000);
}
TEST(eventually_gives_up) { expect_fail("sample_eventually", {"EVENTUALLY(g_books == 8): never"}); }
TEST(endings_are_told_apart) {
    expect_fail("sample_abort", {"abort before the end"});
    expect_fail("sample_segv",
                {GORT_TEST_SANITIZER ? "before the end" : "signal 11 (Segmentation fault) before the end"});
    expect_fail("sample_kill", {"signal 9 (Killed) before the end"});
    expect_fail("sample_exit_0", {"exit status 0 before the end"});
    expect_fail("sample_exit_5", {"exit status 5 before the end"});
    expect_fail("sample_exit_late", {"exit status 9 after the end"});
    expect_fail("sample_throw", {"abort before the end", "thrown out"});
}
TEST(hang_is_a_hang) {
    Ran r = run_samples({"sample_hang"});
    CHECK_EQ(r.last(), "0 passed, 2 failed");
    CHECK(r.has("FAIL sample_hang ("));
    CHECK(r.has("FAIL sample_hang_blocked ("));
    CHECK(r.has("hang: still running after "));
    CHECK(r.has("\n  thread "));
}
TEST(flood_is_stopped) { expect_fail("sample_flood", {"printed more than 64 MiB", "bytes left out"}); }
TEST(grandchildren_do_not_survive) {
    // The specimen's child holds the write end; our read ends when the last holder is gone.
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    expect_pass("sample_grandchild");
    close(ends[1]);
    char c;
    CHECK_EQ(read(ends[0], &c, 1), 0);
    close(ends[0]);
}
TEST(skipping_counts_apart) {
    Ran r = run_samples({"sample_skip", "sample_pass"});
    CHECK_EQ(r.last(), "1 passed, 0 failed, 1 skipped");
    CHECK(r.has("skip sample_skip"));
    CHECK(r.has("no such device"));
    CHECK_EQ(r.status, 0);
}
TEST(leaks_are_named) {
    gort::test::g_settle_ms = 50;
    Ran r = run_samples({"sample_leak"});
    CHECK(r.has("FAIL sample_leak ("));
    CHECK(r.has("leak: books: 7 before, 8 after"));
    CHECK(r.has("leak: books: 7 before, 6 after"));
    CHECK(r.has("FAIL sample_leak_fd"));
    CHECK(r.has("leak: open descriptors: "));
    CHECK(r.has(" -> /dev/null)"));
    CHECK(!r.has("sample_leak_kept_fd"));
#if !defined(GORT_DEBUG) && !GORT_TEST_SANITIZER
    CHECK(r.has("FAIL sample_leak_mappings"));
    CHECK(r.has("leak: mappings: "));
    CHECK_EQ(r.last(), "1 passed, 4 failed");
#else
    CHECK_EQ(r.last(), "2 passed, 3 failed");
#endif
    gort::test::g_settle_ms = 10'000;
    expect_pass("sample_settling");
}
TEST(dying_as_told) {
    expect_pass("sample_dies_signal");
    Ran r = run_samples({"-v", "sample_dies"});
    for (const char* name : {"sample_dies", "sample_dies_exit", "sample_dies_exit_2", "sample_dies_signal"})
        CHECK(r.has(std::string("ok   ") + name + " ("));
    CHECK_EQ(r.last(), "4 passed, 7 failed");
    CHECK(r.has("lived on; should have died saying \"famous last words\""));
    CHECK(r.has("but died by exit status 3"));
    CHECK(r.has("but died by signal 9"));
    CHECK(r.has("but died by exit status 0"));
    CHECK(r.has("died by abort without \"famous last words\" on its stderr"));
    expect_fail("sample_dies_on_stdout", {"without \"famous last words\" on its stderr"});
    expect_fail("sample_dies_check", {"a check failed"});
}
TEST(procs_lists) {
    Ran r = run_samples({"-v", "sample_procs"});
    CHECK_EQ(r.last(), "5 passed, 0 failed");
    CHECK(r.has("ok   sample_procs/P=2 "));
    CHECK(r.has("procs=8"));
    CHECK(r.has("ok   sample_procs_default/P=8 "));
    r = run_samples({"-v", "-p", "3,5", "sample_procs/", "sample_pass"});
    CHECK(r.has("procs=3"));
    CHECK(r.has("procs=5"));
    CHECK_EQ(r.last(), "3 passed, 0 failed");
}
TEST(listing_and_filters) {
    CHECK_EQ(
        run_samples({"-l", "sample_dies_e", "/P=2"}).text,
        "sample_procs/P=2\nsample_dies_exit\nsample_dies_exit_2\nsample_dies_exit_3\nsample_dies_exit_0\n");
    CHECK_EQ(run_samples({"-l", "sample_stress"}).text,
             "sample_stress (stress)\nsample_stress_procs/P=3 (stress)\n");
    Ran r = run_samples({"nowhere"});
    CHECK_EQ(r.text, "samples: no test matches\n");
    CHECK_EQ(r.status, 3);
}
TEST(bad_flags_and_settings) {
    for (std::vector<std::string> bad : std::initializer_list<std::vector<std::string>>{{"-x"},
                                                                                        {"-p", "0"},
                                                                                        {"-p", ","},
                                                                                        {"-p", "1,x"},
                                                                                        {"-n", "0"},
                                                                                        {"-n", "3x"},
                                                                                        {"-s", "-1"},
                                                                                        {"-s"},
                                                                                        {"-n", ""}}) {
        Ran r = run_samples(bad);
        CHECK_EQ(r.status, 2);
        CHECK(r.has(bad[0]));
        CHECK_EQ(r.text.find('\n'), r.text.size() - 1);  // one line
    }
    const char* was = std::getenv("GORT_TEST_SLOW");
    std::string slow = was ? was : "";
    setenv("GORT_TEST_SLOW", "quick", 1);
    Ran r = run_samples({"sample_pass"});
    setenv("GORT_TEST_SLOW", slow.c_str(), 1);
    CHECK_EQ(r.status, 2);
    CHECK_EQ(r.text, "GORT_TEST_SLOW 'quick': not a number from 1 to 1000\n");
}
TEST(seeds_repeat) {
    Ran a = run_samples({"-v", "-s", "5", "-n", "2", "sample_random"});
    CHECK_EQ(a.last(), "2 passed, 0 failed");
    size_t first = a.text.find("drew"), second = a.text.find("drew", first + 1);
    std::string line = a.text.substr(second, a.text.find('\n', second) - second + 1);
    CHECK_NE(a.text.substr(first, line.size()), line);
    CHECK(run_samples({"-v", "-s", "6", "sample_random"}).has(line));  // the second repeat's seed
}
TEST(stress_tests_wait_to_be_asked) {
    setenv("GORT_TEST_STRESS", "0", 1);
    CHECK(run_samples({"sample_stress"}).has("no test matches outside GORT_TEST_STRESS=1"));
    setenv("GORT_TEST_STRESS", "1", 1);
    expect_pass("sample_stress", "2 passed, 0 failed");
}
