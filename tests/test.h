// tests/test.h - the test framework: each test is a child process with a time limit and captured output.
// SPDX-License-Identifier: BSD-2-Clause
//
// Its functions and main() are in test_main.cc, so that a test file compiles no more than its own. What that writes:
//   TEST(name) { ... }               one test
//   TEST_P(name, 1, 2, 8) { ... }    one for each P count; the body gets `int procs`; no list: 1 and 8
//   TEST_DIES(name, "text") { ... }  must abort or exit with a status other than 0, the text on its stderr;
//                                    a third argument n wants one ending: n > 0 exit status, n < 0 signal -n
//   TEST_STRESS(name), TEST_STRESS_P(name, 8)   only run by make stress, with six times the limit
// and in a body, on any thread or goroutine:
//   CHECK(c) CHECK_EQ(a, b) CHECK_NE CHECK_LT CHECK_LE   a failing one prints its values and ends the test
//   EVENTUALLY(c)         polls with yields until c holds; fails shortly before the test's limit
//   TEST_SKIP("why")      returns from the body; the test counts as skipped
//   TEST_TIMEOUT(s)       this test's limit instead of 20 seconds; both are multiplied by slow()
//   gort::test::seed(), rnd()   this run's seed, a random number from it; a failure prints how to repeat it
//   gort::test::stress()        are we run by make stress (GORT_TEST_STRESS=1)
//   gort::test::slow()          the factor on time limits: GORT_TEST_SLOW times the sanitizer's
// and at file scope, each as `static const bool x = ...;`:
//   gort::test::ledger_add("live Gs", fn)   long fn(): must return the same before and after every test
//   gort::test::ledger_fds(fn)              long fn(): how many descriptors the library keeps open on purpose
//   gort::test::ledger_mappings(slack)      the process may end with `slack` more mappings (release builds)
//   gort::test::yield_with(gort::yield)     what EVENTUALLY calls between two looks (default: sched_yield)
//
// Invariants: (1) The parent starts no thread, so a child is forked from a process with one thread and begins
// as a fresh program does. (2) A child reports through the Shared page and its exit status only; "passed"
// needs both the end of the body and exit status 0, so a stray exit(0) in the code under test fails. (3) The ledger
// is compared in the child after the body. What still settles then (a thread on its way out) has a second; what
// stays is a leak. The runner is in test_run.h.
#pragma once
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "tests/test_proc.h"

#if defined(__has_feature)
#define GORT_TEST_FEATURE(x) __has_feature(x)
#else
#define GORT_TEST_FEATURE(x) 0
#endif
// The factor on time limits that the build itself asks for.
#if defined(__SANITIZE_THREAD__) || GORT_TEST_FEATURE(thread_sanitizer)
#define GORT_TEST_SANITIZER 5
#elif defined(__SANITIZE_ADDRESS__) || GORT_TEST_FEATURE(address_sanitizer)
#define GORT_TEST_SANITIZER 3
#else
#define GORT_TEST_SANITIZER 0
#endif

namespace gort::test {

// What a child tells its parent: one page shared by the two.
struct Shared {
    std::atomic<int64_t> limit_ms{0};  // the parent looks again and again, so a test may move it
    std::atomic<bool> failed{false}, skipped{false}, leaked{false}, done{false};
    char why[1000] = "";  // of skipped, leaked
};
inline Shared* g_shared = nullptr;
inline uint64_t g_seed = 0;
inline std::atomic<uint64_t> g_draws{0};
inline int64_t g_start_ms = 0;
inline int64_t g_settle_ms = 5000;  // how long the ledger waits for the books to balance
inline void (*g_yield)() = [] { sched_yield(); };

int64_t now_ms();

constexpr int kExitUsage = 2;
// One line about a wrong flag or setting. Also for the few things a runner cannot go on without.
[[noreturn]] void usage(const std::string& what);
uint64_t number(const char* s, const std::string& name, uint64_t low, uint64_t high);
uint64_t env_number(const char* name, uint64_t low, uint64_t high, uint64_t otherwise);
bool stress();
int slow();

inline uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdULL;
    x = (x ^ (x >> 29)) * 0xc4ceb9fe1a85ec53ULL;
    return x ^ (x >> 32);
}
inline uint64_t seed() { return g_seed; }
// Several threads may draw; which of them gets which number is then up to the scheduler.
inline uint64_t rnd() { return mix(mix(g_seed) + 0x9e3779b97f4a7c15ULL * ++g_draws); }

inline bool yield_with(void (*fn)()) {
    g_yield = fn;
    return true;
}

// ---- checks ----

// No flush and no exit handlers: whoever calls this may hold any lock, on any stack.
[[noreturn, gnu::format(printf, 3, 4)]] void fail(const char* file, int line, const char* fmt, ...);

// A value as it is compared and shown: atomics are read once, everything else is itself.
template <class T>
decltype(auto) plain(const T& v) {
    if constexpr (requires { v.load(); }) return v.load();
    else return (v);
}

// Text compares by its characters as soon as one side is certainly text: a literal, a std::string, a
// string_view. Two char pointers are two addresses.
template <class T>
constexpr bool kText = std::is_convertible_v<const T&, std::string_view> && !std::is_null_pointer_v<T>;
template <class T>
constexpr bool kSurelyText = kText<T> && !std::is_pointer_v<T>;
template <class T>
std::string_view text_of(const T& v) {
    if constexpr (std::is_pointer_v<T>)
        if (!v) return "(null)";
    return std::string_view(v);
}

template <class A, class B>
bool equal(const A& a, const B& b) {
    if constexpr (kText<A> && kText<B> && (kSurelyText<A> || kSurelyText<B>)) return text_of(a) == text_of(b);
    else if constexpr (std::is_integral_v<A> && std::is_integral_v<B>) return std::cmp_equal(+a, +b);
    else return a == b;
}
template <class A, class B>
bool less(const A& a, const B& b) {
    if constexpr (std::is_integral_v<A> && std::is_integral_v<B>) return std::cmp_less(+a, +b);
    else return a < b;
}

// A value as a failing check wants to show it. Put into words in test_main.cc, because what a check brings along is
// compiled for every pair of types in every file.
struct Shown {
    enum Kind {
        kSigned,
        kUnsigned,
        kBool,
        kChar,
        kReal,
        kText,
        kPointer,
        kNullptr,
        kWords,
        kTicks,
        kObject
    } kind;
    // one of the four; no union, as clang 14 finds no member of an unnamed one in a template
    int64_t i = 0;
    uint64_t u = 0;
    double real = 0;
    const void* p = nullptr;
    std::string_view text = {};
    std::string (*words)(const void*) = nullptr;
    int64_t number = 0;
};
template <class T>
Shown shown(const T& v) {
    using K = Shown::Kind;
    if constexpr (std::is_same_v<T, bool>) return {.kind = K::kBool, .i = v};
    else if constexpr (std::is_same_v<T, char>) return {.kind = K::kChar, .i = v};
    else if constexpr (std::is_enum_v<T>) return shown(static_cast<std::underlying_type_t<T>>(v));
    else if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) return {.kind = K::kSigned, .i = v};
    else if constexpr (std::is_integral_v<T>) return {.kind = K::kUnsigned, .u = v};
    else if constexpr (std::is_floating_point_v<T>) return {.kind = K::kReal, .real = static_cast<double>(v)};
    else if constexpr (kText<T>) return {.kind = K::kText, .text = text_of(v)};
    else if constexpr (std::is_null_pointer_v<T>) return {.kind = K::kNullptr};
    else if constexpr (std::is_pointer_v<T>)
        return {.kind = K::kPointer, .u = uint64_t(reinterpret_cast<uintptr_t>(v))};
    else if constexpr (requires {
                           v.message();
                           v.value();
                       })  // std::error_code
        return {.kind = K::kWords,
                .p = &v,
                .words = [](const void* code) { return static_cast<const T*>(code)->message(); },
                .number = v.value()};
    else if constexpr (requires {
                           v.count();
                           T::period::den;
                       })  // std::chrono::duration
        return {.kind = K::kTicks, .i = int64_t(v.count()), .number = T::period::den};
    else return {.kind = K::kObject, .u = sizeof v};
}
[[noreturn]] void fail_shown(const char* file, int line, const char* what, const Shown& a, const Shown& b);

template <class A, class B>
[[noreturn, gnu::noinline, gnu::cold]] void fail_two(const char* file, int line, const char* what, const A& a,
                                                     const B& b) {
    fail_shown(file, line, what, shown(a), shown(b));
}

// One EVENTUALLY. It gives up a little before the parent does, because it can say what it was waiting for.
class Poll {
public:
    void wait(const char* file, int line, const char* what);
};

void skip(const char* why);

// ---- what a file registers ----

struct Dies {
    const char* text = nullptr;  // null: the test has to live
    int how = 0;
};
enum Kind : int { kPlain = 0, kPerProcs = 1, kStress = 2, kStressPerProcs = 3 };

struct Test {
    const char* name;
    void (*body)(int procs);
    int kind;
    int procs[8];  // ends with a 0 when there are fewer; all 0: the default
    Dies dies;
};
std::vector<Test>& registry();
bool add(const Test& t);

bool ledger_add(const char* name, long (*fn)());
bool ledger_fds(long (*fn)());
bool ledger_mappings(long slack);

}  // namespace gort::test

#define GORT_TEST_DEFINE(name, kind, dies, param, ...)                                    \
    static void test_##name(param);                                                       \
    [[maybe_unused]] static const bool test_added_##name =                                \
        ::gort::test::add({#name, test_##name, ::gort::test::kind, {__VA_ARGS__}, dies}); \
    static void test_##name(param)
#define TEST(name) GORT_TEST_DEFINE(name, kPlain, {}, int)
#define TEST_P(name, ...) GORT_TEST_DEFINE(name, kPerProcs, {}, [[maybe_unused]] int procs, __VA_ARGS__)
#define TEST_DIES(name, ...) GORT_TEST_DEFINE(name, kPlain, (::gort::test::Dies{__VA_ARGS__}), int)
#define TEST_STRESS(name) GORT_TEST_DEFINE(name, kStress, {}, int)
#define TEST_STRESS_P(name, ...) \
    GORT_TEST_DEFINE(name, kStressPerProcs, {}, [[maybe_unused]] int procs, __VA_ARGS__)

#define CHECK(...)                                                                             \
    do {                                                                                       \
        if (!(__VA_ARGS__)) ::gort::test::fail(__FILE__, __LINE__, "CHECK(%s)", #__VA_ARGS__); \
    } while (0)
#define GORT_TEST_COMPARE(name, a, b, holds)                                                                 \
    do {                                                                                                     \
        const auto& gort_a_ = (a);                                                                           \
        const auto& gort_b_ = (b);                                                                           \
        decltype(auto) gort_x_ = ::gort::test::plain(gort_a_);                                               \
        decltype(auto) gort_y_ = ::gort::test::plain(gort_b_);                                               \
        if (!(holds)) ::gort::test::fail_two(__FILE__, __LINE__, name "(" #a ", " #b ")", gort_x_, gort_y_); \
    } while (0)
#define CHECK_EQ(a, b) GORT_TEST_COMPARE("CHECK_EQ", a, b, ::gort::test::equal(gort_x_, gort_y_))
#define CHECK_NE(a, b) GORT_TEST_COMPARE("CHECK_NE", a, b, !::gort::test::equal(gort_x_, gort_y_))
#define CHECK_LT(a, b) GORT_TEST_COMPARE("CHECK_LT", a, b, ::gort::test::less(gort_x_, gort_y_))
#define CHECK_LE(a, b) GORT_TEST_COMPARE("CHECK_LE", a, b, !::gort::test::less(gort_y_, gort_x_))
#define EVENTUALLY(...) \
    for (::gort::test::Poll gort_poll_; !(__VA_ARGS__);) gort_poll_.wait(__FILE__, __LINE__, #__VA_ARGS__)
#define TEST_SKIP(why)           \
    do {                         \
        ::gort::test::skip(why); \
        return;                  \
    } while (0)
#define TEST_TIMEOUT(seconds) \
    (::gort::test::g_shared->limit_ms = int64_t((seconds)*1000.0 * ::gort::test::slow()))
