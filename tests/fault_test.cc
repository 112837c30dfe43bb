// tests/fault_test.cc - stack overflows: found by every kind of guard, however large the frames.
// SPDX-License-Identifier: BSD-2-Clause

#include "tests/fault_test.h"

#include <pthread.h>

#include "kernel/thread.h"

using namespace gort::fault_test;
namespace kernel = gort::kernel;

// Functions with a frame of N bytes of which only the lowest word is touched, and which call themselves for
// ever: what a compiler without stack-clash probes makes of a large array. HUGE_CALL's do not even touch that: the call
// is what faults, below the stack pointer.
#if defined(__x86_64__)
#define TOUCH "movq $1, (%rsp)\n"
#define ANY_FRAME(name, bytes, touch)                                                                       \
    asm(".text\n.globl " #name "\n.type " #name ", %function\n" #name                                       \
        ":\n.cfi_startproc\nendbr64\n"                                                                      \
        "pushq %rbp\n.cfi_def_cfa_offset 16\n.cfi_offset rbp, -16\nmovq %rsp, %rbp\n.cfi_def_cfa_register " \
        "rbp\n"                                                                                             \
        "subq $" #bytes ", %rsp\n" touch "call " #name                                                      \
        "\nleave\n.cfi_def_cfa rsp, 8\nret\n"                                                               \
        ".cfi_endproc\n.size " #name ", . - " #name "\n");                                                  \
    extern "C" void name(void*)
#else
#define TOUCH "str xzr, [sp]\n"
#define ANY_FRAME(name, bytes, touch)                                                                    \
    asm(".text\n.globl " #name "\n.type " #name ", %function\n" #name                                    \
        ":\n.cfi_startproc\nhint #34\n"                                                                  \
        "stp x29, x30, [sp, #-16]!\n.cfi_def_cfa_offset 16\n.cfi_offset x29, -16\n.cfi_offset x30, -8\n" \
        "mov x29, sp\n.cfi_def_cfa_register x29\nmov x9, #(" #bytes                                      \
        " & 0xffff)\n"                                                                                   \
        "movk x9, #(" #bytes " >> 16), lsl #16\nsub sp, sp, x9\n" touch "bl " #name                      \
        "\n"                                                                                             \
        "mov sp, x29\nldp x29, x30, [sp], #16\n.cfi_def_cfa sp, 0\nret\n.cfi_endproc\n"                  \
        ".size " #name ", . - " #name "\n");                                                             \
    extern "C" void name(void*)
#endif
#define HUGE_FRAME(name, bytes) ANY_FRAME(name, bytes, TOUCH)
#define HUGE_CALL(name, bytes) ANY_FRAME(name, bytes, "")
HUGE_FRAME(frame_20k, 20480);
HUGE_FRAME(frame_60k, 61440);
// Two slots less 32 KiB: from the top of one into the guard of the one below it.
HUGE_FRAME(frame_two_slots, 2588672);
HUGE_CALL(call_two_slots, 2588672);

namespace {

[[gnu::noinline]] int recurse(int depth) {
    volatile char frame[200];
    frame[depth % 200] = 1;
    if (depth == 0) return frame[0];
    int r = recurse(depth - 1);
    return r + frame[depth % 200];
}
void recurse_for_ever(void*) { recurse(INT32_MAX); }

}  // namespace

static void overflow(GuardKind kind, void (*fn)(void*)) {
    if (!force(kind)) TEST_SKIP("this kernel has no such guards");
    Ended e = child([=] {
        Machine m;
        m.run(fn);
    });
    CHECK(e.exited(2));
    StackBounds b{};
    {
        Machine m;
        b = stack_bounds(m.header);
    }
    std::string limit = "runtime: goroutine stack exceeds " + std::to_string(b.size()) + "-byte limit\n";
    CHECK_EQ(e.said.compare(0, limit.size(), limit), 0);
    CHECK(e.has(" bytes or more were needed; gort::go(gort::stack_size(512 << 10), f)"));
    CHECK(e.has("GORT_STACK=512K"));
    CHECK(e.has("\nfatal error: stack overflow\n"));
}
TEST(recursion_meets_madvise) { overflow(GuardKind::kMadvise, recurse_for_ever); }
TEST(recursion_meets_mprotect) { overflow(GuardKind::kMprotect, recurse_for_ever); }
TEST(frames_of_20k_meet_madvise) { overflow(GuardKind::kMadvise, frame_20k); }
TEST(frames_of_20k_meet_mprotect) { overflow(GuardKind::kMprotect, frame_20k); }
TEST(frames_of_60k_meet_madvise) { overflow(GuardKind::kMadvise, frame_60k); }
TEST(frames_of_60k_meet_mprotect) { overflow(GuardKind::kMprotect, frame_60k); }

static void every_offset(void (*frame)(void*), size_t bytes) {
    // Wherever in the slot they start, such frames cannot step over the guard.
    for (size_t start = 0; start < bytes; start += bytes / 13 / 16 * 16) {
        Ended e = child([=] {
            Machine m;
            gort_call_on_stack(static_cast<char*>(m.header) - start, frame, nullptr);
        });
        CHECK(e.exited(2));
        CHECK(e.has("stack overflow"));
    }
}
TEST(no_start_steps_over_the_guard) {
    TEST_TIMEOUT(60);
    every_offset(frame_20k, 20480);
    every_offset(frame_60k, 61440);
}

TEST(smallest_and_large_class_overflow) {
    for (int cls : {0, stack_class_for(8 << 20)}) {
        Ended e = child([=] {
            Machine m(cls);
            m.run(frame_20k);
        });
        CHECK(e.exited(2));
        CHECK(e.has(cls ? "GORT_STACK=16384K" : "GORT_STACK=256K"));
    }
}

TEST(the_handler_learns_where) {
    Ended e = child([] {
        Machine m;
        g_running = m.header;
        fault_set_running_slot(running);
        fault_set_overflow_handler([](const OverflowInfo& o) {
            bool ok =
                o.header == g_running && o.cls == kCls && o.bounds.hi == g_running && o.context != nullptr &&
                o.address < at(o.bounds.lo) && o.address >= at(o.bounds.lo) - kGuardSize &&
                o.pc >= at(reinterpret_cast<void*>(&frame_20k)) &&
                o.pc < at(reinterpret_cast<void*>(&frame_20k)) + 64 && o.sp <= o.address + 8 && o.fp > o.sp;
            _exit(ok ? 55 : 56);
        });
        m.run(frame_20k);
    });
    CHECK(e.exited(55));
    CHECK_EQ(e.said, "");
}

TEST(a_handler_that_returns_ends_the_process_too) {
    Ended e = child([] {
        Machine m;
        fault_set_overflow_handler([](const OverflowInfo&) { kernel::Out(2).str("mine\n"); });
        m.run(recurse_for_ever);
    });
    CHECK(e.exited(2));
    CHECK_EQ(e.said, "mine\n");
}

TEST(a_frame_beyond_the_guard_is_ours_when_the_running_slot_is_known) {
    for (auto frame : {frame_two_slots, call_two_slots}) {
        const auto in_child = [frame](void (*report)(const OverflowInfo&)) {
            return child([=] {
                Machine first, second;
                g_running = second.header;
                CHECK_EQ(stack_slot_of(at(first.header)).base + kDefaultStackSize,
                         stack_slot_of(at(second.header)).base);
                fault_set_running_slot(running);
                if (report) fault_set_overflow_handler(report);
                second.run(frame);
            });
        };
        Ended e = in_child([](const OverflowInfo& o) { _exit(o.header == g_running ? 55 : 56); });
        CHECK(e.exited(55));
        e = in_child(nullptr);
        CHECK(e.exited(2));
        CHECK(e.has(" bytes or more were needed; gort::go(gort::stack_size(4096 << 10), f)"));
    }
}

TEST(a_wild_pointer_of_a_frame_that_fits_is_no_overflow) {
    Ended e = child([] {
        set_action(SIGSEGV, SIG_DFL);
        Machine first, second;
        g_running = second.header;
        fault_set_running_slot(running);
        second.run([](void* guard) { poke(static_cast<char*>(guard)); }, stack_bounds(first.header).lo - 64);
    });
    CHECK(e.by(SIGSEGV));
    CHECK(!e.has("overflow"));
}

TEST(the_hint_says_when_no_stack_is_large_enough_and_what_main_can_do) {
    int fds[2];
    CHECK_EQ(pipe(fds), 0);
    char memory[64];
    OverflowInfo info;
    info.bounds = {memory, memory + sizeof memory};
    info.sp = at(memory) - (size_t{900} << 20);
    info.main = true;
    for (size_t depth : {size_t{900}, size_t{1100}}) {
        kernel::Out out(fds[1]);
        info.address = at(memory) + sizeof memory - (depth << 20);
        fault_print_overflow(out, info);
    }
    close(fds[1]);
    char text[2000] = {};
    CHECK_LT(0, read(fds[0], text, sizeof text - 1));
    close(fds[0]);
    CHECK(std::strstr(text, "gort::run(main, {.stack_size = 1048576 << 10}) or GORT_STACK=1048576K"));
    CHECK(std::strstr(text, "bytes or more were needed, and no stack is larger than 1024 MiB\n"));
    CHECK(!std::strstr(text, "gort::go("));
}

// Who comes second sleeps until the first one's report has ended the process: that one looks for it among the sleepers.
TEST(two_overflows_one_report) {
    Ended e = child([] {
        static pthread_barrier_t both;
        pthread_barrier_init(&both, nullptr, 2);
        static std::atomic<int> overflowing[2];  // tids
        fault_set_overflow_handler([](const OverflowInfo&) {
            const int me = kernel::sys_gettid();
            g_calls++;
            for (bool other_sleeps = false; !other_sleeps && g_calls < 2;) {
                usleep(1000);
                for (const auto& tid : overflowing)
                    other_sleeps |= tid && tid != me && kernel::thread_state(tid) == 'S';
            }
            _exit(g_calls == 1 ? 55 : 56);
        });
        auto body = [](void*) -> void* {
            Machine m;
            static std::atomic<int> n{0};
            std::atomic<int>& mine = overflowing[n++];
            pthread_barrier_wait(&both);
            mine = kernel::sys_gettid();
            m.run(recurse_for_ever);
            return nullptr;
        };
        pthread_t t[2];
        for (pthread_t& x : t) pthread_create(&x, nullptr, body, nullptr);
        pthread_join(t[0], nullptr);
    });
    CHECK(e.exited(55));
}

TEST(a_fault_inside_the_report_ends_it) {
    Ended e = child([] {
        Machine m;
        fault_set_overflow_handler([](const OverflowInfo&) {
            kernel::Out(2).str("so far");
            touch_nothing();
        });
        m.run(recurse_for_ever);
    });
    CHECK(e.exited(2));
    CHECK_EQ(e.said, "so far\n[another fault while reporting this one]\n");
}

TEST(the_canary_finds_it_at_the_switch) {
    CHECK(force(GuardKind::kCanary));
    Ended e = child([] {
        Machine m;
        m.run(
            [](void* header) {
                StackBounds b = stack_bounds(header);
                for (char* p = b.hi - 4096; p > b.lo - 5000; p -= 64) p[-1] = 1;  // as deeper frames would
            },
            m.header);
        CHECK(!stack_canary_ok(m.header));
        fault_canary_overwritten(m.header, 0x1000);
    });
    CHECK(e.exited(2));
    CHECK(e.has("canary overwritten\n"));
    CHECK(e.has("fatal error: stack overflow\n"));
    CHECK(e.has("GORT_STACK=512K"));
}
