// tests/traceback_test.cc - dumps of goroutines: their form and what they say of each state.
// SPDX-License-Identifier: BSD-2-Clause
//
// The ids (TB-…, DL-…, RT-…, CC-…) are those of the list of Go's behaviours.
#include "rt/trace/traceback.h"

#include <atomic>
#include <regex>
#include <thread>

#include "chan/chan.h"
#include "rt/base/report.h"
#include "tests/panic_test.h"

using namespace gort;
using namespace gort::panic_test;
using rt::WaitReason;

namespace {

// What dump_goroutines says, called here.
std::string dump() {
    int fd = memfd_create("dump", 0);
    dump_goroutines(fd);
    std::string text = test::read_output(fd);
    close(fd);
    return text;
}

size_t count(const std::string& s, std::string_view part) {
    Died d;
    d.err = s;
    return d.count(part);
}
bool matches(const std::string& s, const std::string& pattern) {
    Died d;
    d.err = s;
    return d.matches(pattern);
}
#define CHECK_TEXT(text, ...)                                                       \
    do {                                                                            \
        if (!(__VA_ARGS__)) {                                                       \
            std::printf("---\n%s---\n", (text).c_str());                            \
            std::fflush(stdout);                                                    \
            ::gort::test::fail(__FILE__, __LINE__, "CHECK_TEXT(%s)", #__VA_ARGS__); \
        }                                                                           \
    } while (0)

std::string header(const rt::Status& s) {
    int fd = memfd_create("header", 0);
    {
        kernel::Out out(fd);
        rt::print_header(out, s);
    }
    std::string text = test::read_output(fd);
    close(fd);
    return text;
}

[[gnu::noinline]] void named_parker(Parked* p, WaitReason why) {
    p->park(why);
    asm volatile("");
}

TEST_P(TB_01_TB_02_one_block_for_each_goroutine, 1, 2) {
    std::string text;
    int line = 0;
    with_procs(procs, [&] {
        Parked p;
        line = __LINE__ + 1;  // RT-28
        go([&p] { named_parker(&p, WaitReason::kChanReceive); });
        EVENTUALLY(p.g.load() != nullptr);
        text = dump();
        p.wake();
        EVENTUALLY(num_goroutine() == 1);
    });
    const std::string frame =
        "([^\\t\\n].*\\n\\t.*panic_test|[^\\t\\n].*\\n\\t.*traceback_test|[^\\t\\n].*\\n\\t.*)(\\.[a-z]+:[0-"
        "9]+)? \\+0x[0-9a-f]+\\n";
    CHECK_TEXT(text, std::regex_match(text, std::regex("goroutine 1 \\[running\\]:\\n(" + frame +
                                                       ")+\\n"
                                                       "goroutine [0-9]+ \\[chan receive\\]:\\n(" +
                                                       frame + ")+created by .* at .*:[0-9]+\\n")));
    CHECK_TEXT(text,
               matches(text, "^.*named_parker\\(.*\n\t.*/tests/(traceback_test.cc|panic_test.h):[0-9]+ "));
    CHECK_TEXT(
        text,
        matches(text, "^created by operator\\(\\) at .*traceback_test.cc:" + std::to_string(line) + "$"));
    CHECK_TEXT(text, count(text, "created by") == 1);  // not of main
}

// Inlined or not: the program's own frame is the first, at its own line, and so are those that were inlined in it.
inline void inner_of_two(chan<int>* c, int* line) {
    *line = __LINE__ + 1;
    c->recv();
}
[[gnu::noinline]] void outer_of_two(chan<int>* c, int* inner, int* outer) {
    *outer = __LINE__ + 1;
    inner_of_two(c, inner);
    asm volatile("");
}
TEST_P(the_user_s_line_comes_first_through_inlining, 1, 2) {
    std::string text;
    int inner = 0, outer = 0;
    with_procs(procs, [&] {
        auto c = make_chan<int>();
        go([&] { outer_of_two(&c, &inner, &outer); });
        EVENTUALLY((text = dump(), matches(text, "\\[chan receive\\]:\n[^\t]")));
        c.close();
        EVENTUALLY(num_goroutine() == 1);
    });
    CHECK_TEXT(
        text,
        matches(text,
                "\\[chan receive\\]:\n.*inner_of_two.*\n\t.*traceback_test.cc:" + std::to_string(inner) +
                    " .*\n.*outer_of_two.*\n\t.*traceback_test.cc:" + std::to_string(outer) + " "));
    CHECK_TEXT(text, !matches(text, "recv"));
}

TEST(TB_03_TB_04_the_header) {
    rt::Status s;
    s.id = 7;
    s.state = "running";
    CHECK_EQ(header(s), "goroutine 7 [running]:\n");
    s.locked = true;
    CHECK_EQ(header(s), "goroutine 7 [running, locked to thread]:\n");
    s.state = "chan send";
    s.waited_ns = 59'999'999'999;
    CHECK_EQ(header(s), "goroutine 7 [chan send, locked to thread]:\n");
    s.waited_ns = 60'000'000'000;
    CHECK_EQ(header(s), "goroutine 7 [chan send, 1 minutes, locked to thread]:\n");
    s.waited_ns = 3 * 60'000'000'000 + 1;
    s.locked = false;
    CHECK_EQ(header(s), "goroutine 7 [chan send, 3 minutes]:\n");
}

TEST(TB_05_every_wait_reason_in_go_s_words) {
    const struct {
        WaitReason why;
        const char* text;
    } reasons[] = {
        {WaitReason::kChanReceive, "chan receive"},
        {WaitReason::kChanSend, "chan send"},
        {WaitReason::kChanReceiveNil, "chan receive (nil chan)"},
        {WaitReason::kChanSendNil, "chan send (nil chan)"},
        {WaitReason::kSelect, "select"},
        {WaitReason::kSelectNoCases, "select (no cases)"},
        {WaitReason::kSleep, "sleep"},
        {WaitReason::kIoWait, "IO wait"},
        {WaitReason::kSemacquire, "semacquire"},
        {WaitReason::kCondWait, "sync.Cond.Wait"},
        {WaitReason::kMutexLock, "sync.Mutex.Lock"},
        {WaitReason::kRwMutexRLock, "sync.RWMutex.RLock"},
        {WaitReason::kRwMutexLock, "sync.RWMutex.Lock"},
        {WaitReason::kWaitGroupWait, "sync.WaitGroup.Wait"},
    };
    constexpr size_t kReasons = sizeof reasons / sizeof *reasons;
    static Parked parked[kReasons];
    std::string text;
    with_procs(2, [&] {
        for (size_t i = 0; i < kReasons; i++) go([&, i] { parked[i].park(reasons[i].why); });
        for (Parked& p : parked) EVENTUALLY(p.g.load() != nullptr);
        text = dump();
    });
    for (const auto& r : reasons) CHECK_TEXT(text, count(text, std::string("[") + r.text + "]:\n") == 1);
}

TEST(TB_06_a_goroutine_that_runs_elsewhere_has_no_stack) {
    std::string text;
    static std::atomic<int> phase{0};
    with_procs(2, [&] {
        go([] {
            phase = 1;
            while (phase < 2) asm volatile("");
        });
        EVENTUALLY(phase.load() == 1);
        text = dump();
        phase = 2;
    });
    CHECK_TEXT(text, matches(text,
                             "^goroutine [0-9]+ \\[running\\]:\n\tgoroutine running on other thread; stack "
                             "unavailable\ncreated by "));
}

[[gnu::noinline]] int recursive(int n, std::string* text) {
    int r = 0;
    if (n > 0) r = recursive(n - 1, text);
    else *text = dump();
    asm volatile("" : "+r"(r));
    return r + 1;
}

TEST(TB_07_deep_stacks_show_both_ends) {
    std::string text, shallow;
    with_procs(1, [&] {
        CHECK_EQ(recursive(199, &text), 200);
        recursive(39, &shallow);
    });
    CHECK_TEXT(text, count(text, "\n\t") == 100);
    CHECK_TEXT(text, matches(text, "^\\.\\.\\.10[1-9] frames elided\\.\\.\\.$"));
    CHECK_TEXT(text, matches(text, "^goroutine 1 \\[running\\]:\n.*"));
    CHECK_TEXT(shallow, count(shallow, "recursive(") == 40 && count(shallow, "elided") == 0);
}

TEST(TB_08_RT_29_nothing_but_the_user_s_goroutines) {
    std::string one, many;
    int n = 0;
    with_procs(2, [&] {
        one = dump();
        static Parked parked[20];
        for (Parked& p : parked) go([&p] { p.park(WaitReason::kSelect); });
        for (Parked& p : parked) EVENTUALLY(p.g.load() != nullptr);
        many = dump();
        n = num_goroutine();
    });
    CHECK_TEXT(one, count(one, "goroutine ") == 1 && one.rfind("goroutine 1 [running]:\n", 0) == 0);
    CHECK_EQ(n, 21);
    CHECK_TEXT(many, count(many, "]:\n") == 21);
}

TEST(TB_09_the_one_that_failed_comes_first_then_the_others_by_id) {
    Died d = run_child([] {
        setenv("GORT_TRACEBACK", "all", 1);
        with_procs(1, [] {
            static Parked a, b;
            go([] { a.park(WaitReason::kSelect); });
            go([] { b.park(WaitReason::kChanSend); });
            EVENTUALLY(b.g.load() != nullptr);
            go([] { panic("x"); });
            for (;;) yield();
        });
    });
    std::vector<long> ids;
    const std::regex header_line("goroutine ([0-9]+) \\[");
    for (std::sregex_iterator i(d.err.begin(), d.err.end(), header_line), end; i != end; ++i)
        ids.push_back(std::stol((*i)[1]));
    CHECK_DIED(d, ids.size() == 4 && ids[0] > ids[3] && ids[1] == 1 && ids[2] < ids[3]);
    CHECK_DIED(d, d.matches("^goroutine 1 \\[runnable\\]:\n"));
}

TEST(a_goroutine_that_has_not_begun_shows_what_it_will_call) {
    std::string text;
    with_procs(1, [&] {
        for (;;) {  // until main was not stopped for so long in between that its P went to the new one
            static std::atomic<bool> begun;
            begun = false;
            go([] {
                begun = true;
                yield();
            });
            text = dump();
            if (!begun) return;
            yield();
        }
    });
    CHECK_TEXT(text,
               matches(text,
                       "^goroutine [0-9]+ "
                       "\\[runnable\\]:\n.*a_goroutine_that_has_not_begun.*lambda.*operator\\(\\)\\(\\)\n"));
}

// RT-19
TEST(locked_goroutines_say_so_and_have_a_stack) {
    std::string text;
    with_procs(2, [&] {
        static Parked p;
        go([] {
            lock_os_thread();
            named_parker(&p, WaitReason::kSelect);
        });
        EVENTUALLY(p.g.load() != nullptr);
        EVENTUALLY((text = dump()).find(" [select, locked to thread]:\n") != std::string::npos &&
                   count(text, "named_parker(") == 1);
        p.wake();
        EVENTUALLY(num_goroutine() == 1);
    });
}

TEST(dumps_while_everything_runs) {
    TEST_TIMEOUT(60);
    with_procs(4, [] {
        std::atomic<bool> stop{false};
        for (int i = 0; i < 50; i++)
            go([&] {
                while (!stop) {
                    std::string s;
                    recursive(0, &s);
                    for (int k = 0; k < 20; k++) yield();
                }
            });
        int fd = open("/dev/null", O_WRONLY);
        // Each dump waits for goroutines whose threads are not running, on a busy machine for most of a second.
        const int64_t enough = test::now_ms() + test::g_shared->limit_ms / 4;
        for (int i = 0; i < (test::stress() ? 30 : 6) / test::slow() + 1 && test::now_ms() < enough; i++) {
            dump_goroutines(fd);
            yield();
        }
        stop = true;
        EVENTUALLY(num_goroutine() == 1);
        close(fd);
    });
}

TEST(a_foreign_thread_may_dump) {
    std::string text;
    with_procs(1, [&] {
        std::atomic<bool> done{false};
        std::thread t([&] {
            text = dump();
            done = true;
        });
        EVENTUALLY(done.load());
        t.join();
    });
    CHECK_TEXT(text, count(text, "goroutine ") >= 1 && text.rfind("goroutine 1 [", 0) == 0);
}

}  // namespace
