// tests/kernel_text_test.cc - memory primitives, the environment, last words, random numbers.
// SPDX-License-Identifier: BSD-2-Clause
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <bit>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <set>

#include "kernel/env.h"
#include "kernel/fatal.h"
#include "kernel/mem.h"
#include "kernel/rand.h"
#include "kernel/signal.h"
#include "tests/kernel_test.h"

using namespace gort::kernel;
using namespace kernel_test;

// ---- mem.h against libc ----

constexpr size_t kMost = 300, kRoom = kMost + 64;
static void fill(unsigned char* p, size_t n) {
    for (size_t i = 0; i < n; ++i) p[i] = static_cast<unsigned char>(gort::test::rnd());
}
TEST(copy_and_zero_every_size_at_every_offset) {
    unsigned char from[kRoom], start[kRoom], ours[kRoom], libc[kRoom];
    fill(from, kRoom);
    fill(start, kRoom);
    for (size_t size = 0; size <= kMost; ++size)
        for (size_t offset : std::initializer_list<size_t>{0, 1, 3, 7, 8, 13}) {
            std::memcpy(ours, start, kRoom);
            std::memcpy(libc, start, kRoom);
            copy_bytes(ours + offset, from + 5, size);
            std::memcpy(libc + offset, from + 5, size);
            CHECK(std::memcmp(ours, libc, kRoom) == 0);
            zero_bytes(ours + offset, size);
            std::memset(libc + offset, 0, size);
            CHECK(std::memcmp(ours, libc, kRoom) == 0);
        }
    copy_bytes(nullptr, nullptr, 0);
    zero_bytes(nullptr, 0);
}
TEST(copy_and_zero_large) {
    constexpr size_t kLarge = 5000;
    static unsigned char from[kLarge], ours[kLarge], libc[kLarge];
    fill(from, kLarge);
    fill(ours, kLarge);
    std::memcpy(libc, ours, kLarge);
    for (size_t size = 900; size < kLarge - 40; size += 61) {
        copy_bytes(ours + 7, from + 3, size);
        std::memcpy(libc + 7, from + 3, size);
        CHECK(std::memcmp(ours, libc, kLarge) == 0);
        zero_bytes(ours + 9, size);
        std::memset(libc + 9, 0, size);
        CHECK(std::memcmp(ours, libc, kLarge) == 0);
    }
}
TEST(move_overlapping) {
    unsigned char start[160], ours[160], libc[160];
    fill(start, sizeof start);
    for (size_t size = 0; size <= 100; ++size)
        for (size_t to = 0; to <= 40; to += 3)
            for (size_t from = 0; from <= 40; from += 4) {
                std::memcpy(ours, start, sizeof start);
                std::memcpy(libc, start, sizeof start);
                move_bytes(ours + to, ours + from, size);
                std::memmove(libc + to, libc + from, size);
                CHECK(std::memcmp(ours, libc, sizeof ours) == 0);
            }
}
TEST(equal_bytes_sees_every_byte) {
    unsigned char a[40], b[40];
    fill(a, sizeof a);
    std::memcpy(b, a, sizeof a);
    for (size_t size = 0; size <= sizeof a; ++size) {
        CHECK(equal_bytes(a, b, size));
        for (size_t i = 0; i < size; ++i) {
            b[i] ^= 0x80;
            CHECK(!equal_bytes(a, b, size));
            b[i] ^= 0x80;
        }
    }
}
TEST(strings) {
    CHECK_EQ(str_len(""), 0);
    CHECK_EQ(str_len("gort"), 4);
    CHECK(str_equal("abc", "abc"));
    CHECK(!str_equal("abc", "abd"));
    CHECK(!str_equal("abc", "ab"));
    CHECK_LT(str_compare("ab", "abc"), 0);
    CHECK_LT(0, str_compare("b", "abc"));
    CHECK_LT(0, str_compare("\xff", "a"));  // unsigned
    CHECK_EQ(str_compare("", ""), 0);
    CHECK(str_starts_with("abc", ""));
    CHECK(str_starts_with("abc", "abc"));
    CHECK(!str_starts_with("abc", "abcd"));
    char buf[4];
    CHECK_EQ(str_copy(buf, sizeof buf, "abcdef"), 6);
    CHECK_EQ(static_cast<const char*>(buf), std::string("abc"));
    CHECK_EQ(str_copy(buf, sizeof buf, "ab"), 2);
    CHECK_EQ(static_cast<const char*>(buf), std::string("ab"));
    CHECK_EQ(str_copy(buf, 0, "x"), 1);
    CHECK_EQ(buf[0], 'a');
}

// ---- the environment ----

TEST(env_get_finds_whole_names) {
    CHECK(env_get("GORT_X") == nullptr);
    char a[] = "GORT_XY=1", b[] = "GORT_X=two=2", c[] = "EMPTY=", d[] = "no_sign";
    char* envp[] = {a, b, c, d, nullptr};
    env_init(envp);
    CHECK_EQ(env_get("GORT_X"), std::string("two=2"));
    CHECK_EQ(env_get("GORT_XY"), std::string("1"));
    CHECK_EQ(env_get("EMPTY"), std::string(""));
    CHECK(env_get("GORT") == nullptr);
    CHECK(env_get("no_sign") == nullptr);
}

static std::string parsed(const char* (*parse)(const char*, uint64_t, uint64_t, uint64_t*), const char* text,
                          uint64_t min, uint64_t max) {
    uint64_t v = 4711;
    const char* why = parse(text, min, max, &v);
    if (why) {
        CHECK_EQ(v, 4711);
        return why;
    }
    return std::to_string(v);
}
TEST(numbers) {
    const auto p = [](const char* text, uint64_t min = 1, uint64_t max = 1000) {
        return parsed(parse_uint, text, min, max);
    };
    CHECK_EQ(p("1"), "1");
    CHECK_EQ(p("1000"), "1000");
    CHECK_EQ(p("007"), "7");
    CHECK_EQ(p("0", 0), "0");
    CHECK_EQ(p("18446744073709551615", 0, UINT64_MAX), "18446744073709551615");
    CHECK_EQ(p("18446744073709551616", 0, UINT64_MAX), "too large");
    CHECK_EQ(p("99999999999999999999", 0, UINT64_MAX), "too large");
    CHECK_EQ(p("1001"), "too large");
    CHECK_EQ(p("0"), "too small");
    CHECK_EQ(p(""), "empty");
    for (const char* text : {"x", "-1", "+1", " 1", "1 ", "1x", "0x10", "1.5", "4K", "1\n"})
        CHECK_EQ(p(text), "not a decimal number");
}
TEST(sizes) {
    const auto p = [](const char* text, uint64_t min = 1, uint64_t max = UINT64_MAX) {
        return parsed(parse_size, text, min, max);
    };
    CHECK_EQ(p("4096"), "4096");
    CHECK_EQ(p("256K"), "262144");
    CHECK_EQ(p("1M"), "1048576");
    CHECK_EQ(p("2G"), "2147483648");
    CHECK_EQ(p("17179869183G"), "18446744072635809792");
    CHECK_EQ(p("17179869184G"), "too large");
    CHECK_EQ(p("2K", 4096), "too small");
    CHECK_EQ(p("8K", 1, 4096), "too large");
    CHECK_EQ(p("K"), "not a decimal number");
    CHECK_EQ(p(""), "empty");
    for (const char* text : {"1k", "1KB", "1KK", "1T", "1 K", "256Ki", "1K "})
        CHECK_EQ(p(text), "not a number with K, M, G or nothing after it");
}

// ---- Out, fatal, checks ----

TEST(out_writes_what_printf_would) {
    const std::string text = written_by([](int fd) {
        Out out(fd);
        out.str("a").ch(' ').dec(0).ch(' ').dec(-1).ch(' ').dec(INT64_MIN).ch(' ').udec(UINT64_MAX).ch('\n');
        out.hex(uint64_t{0}).ch(' ').hex(0xdeadbeef).ch(' ').hex(UINT64_MAX).str(nullptr).str("cut here", 3);
        out.str("\nab").pad(5).ch('|').pad(2).ch('|');
    });
    CHECK_EQ(text,
             "a 0 -1 -9223372036854775808 18446744073709551615\n"
             "0x0 0xdeadbeef 0xffffffffffffffff(null)cut\nab   ||");
}
TEST(out_writes_more_than_its_buffer_in_order) {
    std::string want;
    for (int i = 0; i < 2000; ++i) want += std::to_string(i) + ",";
    const std::string text = written_by([](int fd) {
        Out out(fd);
        for (int i = 0; i < 2000; ++i) out.dec(i).ch(',');
    });
    CHECK_EQ(text, want);
}
TEST(out_survives_interruptions_full_pipes_and_errors) {
    INJECT(Sys::kWrite, 1, EINTR, 5);
    CHECK_EQ(written_by([](int fd) { Out(fd).str("all of it"); }), "all of it");
    inject(Sys::kWrite, 1, EAGAIN, 3);
    CHECK_EQ(written_by([](int fd) { Out(fd).str("all of it"); }), "all of it");
    inject(Sys::kWrite, 1, EIO, 1);
    CHECK_EQ(written_by([](int fd) { Out(fd).str("lost").flush(); }), "");
    inject(Sys::kWrite, 1, EAGAIN, kInjectForever);
    inject(Sys::kNanosleep, 1, EINTR, kInjectForever);  // so that giving up takes no second
    CHECK_EQ(written_by([](int fd) { Out(fd).str("lost"); }), "");
}
// A file that may not grow takes a part of it. The limit is gone when the rest comes: the alarm finds the part written.
TEST(out_goes_on_where_a_write_stopped_short) {
    INJECT(Sys::kWrite, 2, EAGAIN, kInjectForever);
    static int file;
    static constexpr rlim_t kPart = 300;
    std::FILE* f = std::tmpfile();
    CHECK(f != nullptr);
    file = fileno(f);
    std::signal(SIGXFSZ, SIG_IGN);
    std::signal(SIGALRM, [](int) {
        struct stat st {};
        if (fstat(file, &st) != 0 || st.st_size != off_t{kPart}) return;
        rlimit limit{};
        getrlimit(RLIMIT_FSIZE, &limit);
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_FSIZE, &limit);
        inject_clear();
    });
    rlimit limit{};
    CHECK_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = kPart;
    const itimerval often{{0, 1000}, {0, 1000}};
    CHECK_EQ(setitimer(ITIMER_REAL, &often, nullptr), 0);
    std::string want;
    while (want.size() < 500) want += std::to_string(want.size()) + ",";
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    Out(file).str(want.c_str()).flush();
    const itimerval never{};
    CHECK_EQ(setitimer(ITIMER_REAL, &never, nullptr), 0);
    char text[1000];
    const ssize_t n = pread(file, text, sizeof text, 0);
    CHECK_EQ(std::string(text, n > 0 ? static_cast<size_t>(n) : 0), want);
    std::fclose(f);
}
TEST_DIES(fatal_says_so_and_exits, "fatal error: all is lost\n", 2) { fatal("all is lost"); }
TEST_DIES(fatal_names_the_errno, "fatal error: mmap: errno 12 (ENOMEM)\n", 2) {
    fatal_errno("mmap", -ENOMEM);
}
TEST(errno_names) {
    CHECK_EQ(errno_name(EAGAIN), std::string("EAGAIN"));
    CHECK_EQ(errno_name(-ECONNREFUSED), std::string("ECONNREFUSED"));
    CHECK_EQ(errno_name(0), std::string("E?"));
    CHECK_EQ(errno_name(4000), std::string("E?"));
}
TEST_DIES(check_names_the_place, "kernel_text_test.cc:", -SIGABRT) {
    const int two = 2;
    GORT_CHECK(two == 2);
    GORT_CHECK(two == 3);
}
TEST_DIES(check_names_the_expression, ": check failed: two == 3\n", -SIGABRT) {
    const int two = 2;
    GORT_CHECK(two == 3);
}
#if defined(GORT_DEBUG)
TEST_DIES(dcheck_checks_in_debug, "check failed: false", -SIGABRT) { GORT_DCHECK(false); }
#else
TEST(dcheck_does_not_even_evaluate_in_release) {
    int calls = 0;
    GORT_DCHECK(++calls > 100);
    CHECK_EQ(calls, 0);
}
#endif
TEST_DIES(abort_runs_the_handler_and_still_dies, "last words", -SIGABRT) {
    set_signal(
        SIGABRT, [](int, siginfo_t*, void*) { Out().str("last words\n"); }, 0, 0, nullptr);
    block_signals(signal_bit(SIGABRT), nullptr);
    abort_process();
}
TEST_DIES(abort_cannot_be_ignored, "", -SIGABRT) {
    signal(SIGABRT, SIG_IGN);
    abort_process();
}

// ---- random numbers ----

TEST(rand_is_spread) {
    Rand r{gort::test::rnd()};
    std::set<uint64_t> seen;
    int ones[64] = {};
    constexpr int kDraws = 20'000;
    for (int i = 0; i < kDraws; ++i) {
        const uint64_t v = r.next();
        seen.insert(v);
        for (int bit = 0; bit < 64; ++bit) ones[bit] += static_cast<int>(v >> bit & 1);
    }
    CHECK_EQ(seen.size(), size_t{kDraws});
    for (int n : ones) CHECK(n > kDraws * 47 / 100 && n < kDraws * 53 / 100);  // 8 sigma
    // Neighbouring seeds give unrelated numbers: on the average half of the bits differ.
    int different = 0;
    for (uint64_t s = 0; s < 1000; ++s) different += std::popcount(Rand{s}.next() ^ Rand{s + 1}.next());
    CHECK(different > 29'000 && different < 35'000);
}
TEST(rand_below_is_fair_and_in_range) {
    Rand r{gort::test::rnd()};
    CHECK_EQ(r.below(0), 0);
    CHECK_EQ(r.below(1), 0);
    for (uint32_t n : {2u, 3u, 7u, 61u}) {
        std::vector<int> hits(n);
        const int draws = static_cast<int>(n) * 2000;
        for (int i = 0; i < draws; ++i) ++hits[r.below(n)];
        for (int h : hits) CHECK(h > 1600 && h < 2400);  // 9 sigma
    }
    for (int i = 0; i < 1000; ++i) CHECK_LT(r.below(UINT32_MAX), UINT32_MAX);
}
TEST(rand_repeats_with_its_seed) {
    Rand a{42}, b{42};
    for (int i = 0; i < 100; ++i) CHECK_EQ(a.next(), b.next());
    // The numbers are part of every recorded schedule, so they must not change silently.
    Rand c{1};
    CHECK_EQ(c.next(), Rand{1}.next());
}
TEST(seeds_differ) {
    CHECK_NE(random_seed(), random_seed());
    inject_clear();
    INJECT(Sys::kGetrandom, 1, EINTR, 2);
    CHECK_NE(random_seed(), random_seed());
    CHECK_EQ(inject_count(Sys::kGetrandom), 4);
    inject(Sys::kGetrandom, 1, ENOSYS, kInjectForever);
    CHECK_NE(random_seed(), random_seed());
}
