// rt/trace/report.cc - see report.h.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/base/report.h"

#include <signal.h>
#include <ucontext.h>

#include "arch/sanitize.h"
#include "kernel/env.h"
#include "kernel/futex.h"
#include "kernel/mem.h"
#include "kernel/signal.h"
#include "kernel/sys.h"
#include "kernel/thread.h"
#include "rt/base/fork.h"
#include "rt/base/sim_seam.h"
#include "rt/host.h"
#include "rt/sched/sched.h"
#include "rt/stack/fault.h"
#include "rt/time/clock.h"
#include "rt/trace/traceback.h"

namespace gort::rt {

namespace {

constexpr int kExitFatal = 2, kExitBroken = 4, kExitHopeless = 5;
// rounds for which a main that has returned waits for a panic to unwind: about a second
constexpr int kPatience = 1000;
constexpr kernel::Timespec kRound{0, 1'000'000};
constexpr int kEagain = 11;

enum class Level { kNone, kSingle, kAll, kSystem };
Level g_level = Level::kSingle;
bool g_crash = false;

std::atomic<int> g_unwinding{0};     // panics whose destructors run
std::atomic<int> g_reporters{0};     // reports begun and not ended
std::atomic<uint32_t> g_printer{0};  // tid of who prints
std::atomic<int> g_broken{0};
std::atomic<bool> g_crashing{
    false};  // after its report a process with GORT_TRACEBACK=crash sends itself SIGABRT

kernel::SignalAction g_earlier_quit;
G* g_overflowed = nullptr;  // by its canary

const G* current_g() {
    const M* mp = self();
    return mp && !mp->foreign ? mp->curg : nullptr;
}

[[noreturn]] void sleep_for_ever() {
    std::atomic<uint32_t> never{0};
    for (;;) kernel::futex_wait(&never, 0);
}

// Of a goroutine in user code: keeps its P from being taken, so that less happens while it reports.
void hold_p() {
    M* mp = self();
    if (mp && !mp->foreign && mp->curg && !mp->in_rt.load(std::memory_order_relaxed)) enter();
}

// From here on this thread alone prints.
void begin_report(bool in_handler) {
    const auto me = static_cast<uint32_t>(kernel::gettid());
    if (g_printer.load(std::memory_order_relaxed) == me) {
        const int before = g_broken.fetch_add(1, std::memory_order_relaxed);
        if (before == 0) kernel::Out(2).str("panic during panic\n");
        kernel::sys_exit_group(before == 0 ? kExitBroken : kExitHopeless);
    }
    g_reporters.fetch_add(1, std::memory_order_acq_rel);
    if (!in_handler) host_flush_stdout();
    for (uint32_t who = 0; !g_printer.compare_exchange_strong(who, me, std::memory_order_acquire); who = 0)
        kernel::futex_wait(&g_printer, who);
}

// A thread that dies from here on finds the printer taken, and waits for the end.
[[noreturn]] void end_report() {
    schedtrace_last();
    if (g_reporters.fetch_sub(1, std::memory_order_acq_rel) > 1) {
        g_printer.store(0, std::memory_order_release);
        kernel::futex_wake(&g_printer, 1);
        sleep_for_ever();
    }
    if (g_crash) {
        g_crashing.store(true, std::memory_order_relaxed);
        kernel::abort_process();
    }
    kernel::sys_exit_group(kExitFatal);
}

// What is printed below the first lines.
struct Stacks {
    const G* gp = nullptr;         // the one that failed; its stack is `trace`
    const Trace* trace = nullptr;  // also of a thread that is no goroutine
    bool all = false;
    bool in_handler = false;  // no malloc, and no locks unless asked for everything
    bool (*ask)(const G*, int, Trace*) = nullptr;
};

void print_stacks(void* arg) {
    const auto& s = *static_cast<const Stacks*>(arg);
    PrintHow how;
    how.system = g_level == Level::kSystem;
    how.inlined = g_level >= Level::kAll;
    how.demangle = !s.in_handler;
    how.ask = s.ask;
    kernel::Out out(2);
    Images* images = Images::take();
    if (!images) return;
    say_if_nameless(images);
    if (s.gp) {
        out.ch('\n');
        print_goroutine(out, images, s.gp, s.trace, true, how);
        out.flush();
    } else if (s.trace) {
        out.str("\nthread ").dec(kernel::gettid()).str(" [running]:\n");
        print_trace(out, images, *s.trace, how);
        out.flush();
    }
    if (s.all || g_level >= Level::kAll) {
        Goroutines all;
        all.print(out, images, s.gp, false, how);
    }
}

void print_level(Stacks* s) {
    if (g_level != Level::kNone) on_big_stack(print_stacks, s);
}

// "fatal error: text" after what `lines` prints, if anything; the caller's stack, then the others'.
[[noreturn]] void die_fatally(const char* text, bool with_caller) {
    if (const SimHooks* sim = simulation(); sim && current_g()) {
        char whole[512];
        size_t n = kernel::str_copy(whole, sizeof whole, "fatal error: ");
        kernel::str_copy(whole + n, sizeof whole - n, text);
        sim->fail(whole, nullptr);
    }
    Trace here;
    here.total = 0;
    if (with_caller) {
        trace_here(&here);
        hold_p();
    }
    begin_report(false);
    kernel::Out(2).str("fatal error: ").str(text).ch('\n');
    Stacks s;
    s.gp = with_caller ? current_g() : nullptr;
    s.trace = with_caller ? &here : nullptr;
    s.all = true;
    print_level(&s);
    end_report();
}

// ---- stack overflow [signal] ----

void on_overflow(const OverflowInfo& info) {
    Trace trace;
    trace.total = 0;
    if (info.context) trace_context(info.context, &trace, &info.bounds);
    begin_report(true);
    Stacks s;
    s.gp = info.context ? current_g() : g_overflowed;
    {
        kernel::Out out(2);
        OverflowInfo shown = info;
        shown.main = s.gp && (s.gp->flags & kGMain);
        fault_print_overflow(out, shown);
    }
    Images* images = Images::take();
    if (!info.context && images && s.gp) trace_parked(images, s.gp, &trace);
    s.trace = &trace;
    s.in_handler = true;
    print_level(&s);
    end_report();
}

// ---- fatal signals [signal] ----

const char* signal_text(int sig) {
    switch (sig) {
    case SIGSEGV: return "SIGSEGV: segmentation violation";
    case SIGBUS: return "SIGBUS: bus error";
    case SIGFPE: return "SIGFPE: floating-point exception";
    case SIGILL: return "SIGILL: illegal instruction";
    case SIGABRT: return "SIGABRT: abort";
    }
    return "fatal signal";
}

void print_signal(kernel::Out& out, const char* text, uintptr_t pc, uint64_t m, int code) {
    out.str(text).str("\nPC=").hex(pc).str(" m=").udec(m).str(" sigcode=").dec(code);
}

// Of a goroutine only: what other threads do is none of our business. The signal's own action follows.
void on_crash(int sig, const siginfo_t* info, void* context) {
    const G* gp = current_g();
    if (!gp || g_crashing.load(std::memory_order_relaxed)) return;
    if (g_printer.load(std::memory_order_relaxed) == static_cast<uint32_t>(kernel::gettid())) {
        kernel::Out(2).str("\n[another fault while reporting this one]\n");
        return;
    }
    Trace trace;
    trace_context(context, &trace);
    begin_report(true);
    {
        kernel::Out out(2);
        print_signal(out, signal_text(sig), arch::context_pc(static_cast<const ucontext_t*>(context)),
                     self()->id, info->si_code);
        if (info->si_code > 0) out.str(" addr=").hex(info->si_addr);
        out.ch('\n');
    }
    Stacks s;
    s.gp = gp;
    s.trace = &trace;
    s.in_handler = true;
    print_level(&s);
    // A thread that waits for the printer waits for the end. If none does and the signal ends nothing, all goes on.
    if (g_reporters.fetch_sub(1, std::memory_order_acq_rel) > 1) return;
    g_printer.store(0, std::memory_order_release);
}

// ---- SIGQUIT ----

// A thread that is asked for its stack gets kAnswerTime. One that could run but has no CPU, as on a busy machine, gets
// more: kDumpPatience for all of a dump together. A thread that has begun to answer gets that in any case.
constexpr int64_t kAnswerTime = 100'000'000, kDumpPatience = 5'000'000'000;
int64_t g_patient_until = 0;  // 0: no dump

std::atomic<uint32_t> g_quitting{0};
std::atomic<bool> g_asks{false};  // questions are asked that no dump asks
std::atomic<bool> g_quit_is_ours{false};
struct Quit {
    kernel::RawThread thread;
    uintptr_t pc;
    uint64_t m;
    int code;
    const G* gp;  // what the signal interrupted; null: no goroutine
    Trace trace;
} g_quit;

// A thread that is asked for its goroutine's stack gets the signal as well.
struct Question {
    // Who is asked, with kAnswers while it writes the answer; 0 once that is done, or once the printer has stopped
    // waiting.
    std::atomic<uint32_t> tid{0};
    const G* gp;
    Trace* out;
    std::atomic<bool> answered{false};
} g_question;

// The goroutine that this thread's interrupted code belongs to. Inside the runtime that is not certain.
const G* interrupted_g() {
    const M* mp = self();
    return mp && !mp->foreign && !mp->in_rt.load(std::memory_order_relaxed) ? mp->curg : nullptr;
}

constexpr uint32_t kAnswers = uint32_t{1} << 31;

// Is the question given up? Not while the answer is being written: it would go into what is somebody else's by then.
bool give_up(uint32_t seen, int tid, int64_t asked) {
    const int64_t time = now();
    if (time < asked + kAnswerTime) return false;
    if (seen & kAnswers) {
        if (time < asked + kDumpPatience) return false;
    } else if (time < g_patient_until && kernel::thread_state(tid) == 'R') {
        return false;
    }
    return g_question.tid.compare_exchange_strong(seen, 0, std::memory_order_acq_rel);
}

bool ask(const G* gp, int tid, Trace* out) {
    g_question.gp = gp;
    g_question.out = out;
    g_question.answered.store(false, std::memory_order_relaxed);
    const auto who = static_cast<uint32_t>(tid);
    g_question.tid.store(who, std::memory_order_release);
    if (kernel::signal_thread(tid, SIGQUIT) < 0) return false;
    const int64_t asked = now();
    for (uint32_t seen; (seen = g_question.tid.load(std::memory_order_acquire)) != 0;) {
        if (give_up(seen, tid, asked)) return false;
        kernel::futex_wait(&g_question.tid, seen, kAnswerTime / 10);
    }
    return g_question.answered.load(std::memory_order_relaxed);
}

// True: it was this thread that was asked.
bool answer(void* context) {
    const auto me = static_cast<uint32_t>(kernel::gettid());
    uint32_t asked = me;
    if (!g_question.tid.compare_exchange_strong(asked, me | kAnswers, std::memory_order_acq_rel))
        return false;
    if (interrupted_g() == g_question.gp) {
        trace_context(context, g_question.out);
        g_question.answered.store(true, std::memory_order_relaxed);
    }
    g_question.tid.store(0, std::memory_order_release);
    kernel::futex_wake(&g_question.tid, 1);
    return true;
}

// On a thread of its own: the one that got the signal may hold any lock, and goes on meanwhile.
void quit_main(void*) {
    begin_report(true);
    {
        kernel::Out out(2);
        print_signal(out, "SIGQUIT: quit", g_quit.pc, g_quit.m, g_quit.code);
        out.ch('\n');
    }
    Stacks s;
    s.gp = g_quit.gp;
    s.trace = g_quit.gp ? &g_quit.trace : nullptr;
    s.all = true;
    s.in_handler = true;
    s.ask = ask;
    g_patient_until = now() + kDumpPatience;
    print_level(&s);
    end_report();
}

void on_quit(int sig, siginfo_t* info, void* context) {
    if (sched.state.load(std::memory_order_relaxed) == RunState::kStopped ||
        g_forked.load(std::memory_order_relaxed))
        return kernel::forward_signal(&g_earlier_quit, sig, info, context);
    // From us, about a stalled goroutine; also one that comes too late. From the terminal or by kill it is of another
    // kind.
    if (g_asks.load(std::memory_order_relaxed) && info->si_code == SI_TKILL) return void(answer(context));
    // A second time it changes nothing: the dump is on its way, and the end after it.
    if (g_quitting.exchange(1, std::memory_order_relaxed)) {
        answer(context);
        return;
    }
    const M* mp = self();
    g_quit.pc = arch::context_pc(static_cast<const ucontext_t*>(context));
    g_quit.m = mp ? mp->id : 0;
    g_quit.code = info->si_code;
    g_quit.gp = interrupted_g();
    if (g_quit.gp) trace_context(context, &g_quit.trace);
#if !GORT_ASAN && !GORT_TSAN  // a bare thread has no place for what these tools keep
    if (kernel::thread_start(&g_quit.thread, quit_main, nullptr, 256 << 10) == 0) return;
#endif
    quit_main(nullptr);
}

// ---- start ----

void read_level() {
    const char* text = kernel::env_get_to_show("GORT_TRACEBACK");
    if (!text || kernel::str_equal(text, "single") || !*text) return;
    uint64_t n = 0;
    if (kernel::str_equal(text, "none")) {
        g_level = Level::kNone;
    } else if (kernel::str_equal(text, "all")) {
        g_level = Level::kAll;
    } else if (kernel::str_equal(text, "system")) {
        g_level = Level::kSystem;
    } else if (kernel::str_equal(text, "crash")) {
        g_level = Level::kSystem;
        g_crash = true;
    } else if (!kernel::parse_uint(text, 0, UINT64_MAX, &n)) {
        g_level = n == 0 ? Level::kNone : n == 1 ? Level::kAll : Level::kSystem;
    } else {
        kernel::Out(2)
            .str("GORT_TRACEBACK=")
            .str(text)
            .str(": not a level; accepted: none, single, all, system, crash, or 0, 1, 2\n");
        kernel::sys_exit_group(kExitFatal);
    }
}

void watch_quit() {
    const char* text = kernel::env_get("GORT_SIGQUIT");
    if (text && kernel::str_equal(text, "0")) return;
    if (text && !kernel::str_equal(text, "1")) {
        kernel::Out(2).str("GORT_SIGQUIT=").str(text).str(": not a switch; accepted: 0 and 1\n");
        kernel::sys_exit_group(kExitFatal);
    }
    kernel::SignalAction now;
    if (kernel::get_signal(SIGQUIT, &now) < 0 || now.handler != 0) return;
    kernel::set_signal(SIGQUIT, on_quit, SA_ONSTACK | SA_RESTART, 0, &g_earlier_quit);
    g_quit_is_ours.store(true, std::memory_order_relaxed);
}

}  // namespace

void report_init() {
    read_level();
    watch_quit();
    fault_set_overflow_handler(on_overflow);
    fault_set_crash_handler(on_crash);
}

void report_exit() {
    kernel::SignalAction now;
    if (kernel::get_signal(SIGQUIT, &now) == 0 && now.handler == reinterpret_cast<uintptr_t>(&on_quit))
        kernel::restore_signal(SIGQUIT, g_earlier_quit);
}

bool ask_for_stack(const G* gp, int tid, Trace* out) {
    kernel::SignalAction now;
    if (!g_quit_is_ours.load(std::memory_order_relaxed) || g_quitting.load(std::memory_order_relaxed) ||
        kernel::get_signal(SIGQUIT, &now) < 0 || now.handler != reinterpret_cast<uintptr_t>(&on_quit))
        return false;
    g_asks.store(true, std::memory_order_relaxed);
    return ask(gp, tid, out);
}

void fatal_error(const char* text) { die_fatally(text, true); }

void fatal_deadlock() {
    bool any = false;
    for_each_g([](G* gp, void* arg) { *static_cast<bool*>(arg) |= !(gp->flags & kGSystem); }, &any);
    die_fatally(any ? "all goroutines are asleep - deadlock!"
                    : "no goroutines (main called runtime.Goexit) - deadlock!",
                false);
}

void fatal_thread_exhaustion(int limit) {
    begin_report(false);
    kernel::Out(2).str("runtime: program exceeds ").dec(limit).str("-thread limit\n");
    g_reporters.fetch_sub(1, std::memory_order_relaxed);
    g_printer.store(0, std::memory_order_release);
    die_fatally("thread exhaustion", true);
}

void fatal_newosproc(int have, int error) {
    {
        kernel::Out out(2);
        out.str("runtime: failed to create new OS thread (have ")
            .dec(have)
            .str(" already; errno=")
            .dec(error)
            .str(")\n");
        if (error == kEagain) out.str("runtime: may need to increase max user processes (ulimit -u)\n");
    }
    die_fatally("newosproc", true);
}

void fatal_no_stack(const char* why) {
    kernel::Out(2).str("runtime: cannot allocate a goroutine's stack: ").str(why).ch('\n');
    die_fatally("out of memory", true);
}

void fatal_stack_overflow(G* gp) {
    g_overflowed = gp;
    fault_canary_overwritten(gp->stack, reinterpret_cast<uintptr_t>(gp->ctx.sp));
}

void report_panic(const char* text, const Trace* trace) {
    if (const SimHooks* sim = simulation(); sim && current_g()) {
        dying_end();
        sim->fail(text, trace);
    }
    Trace here;
    if (!trace) trace_here(&here);
    hold_p();
    begin_report(false);
    kernel::Out(2).str(text).ch('\n');
    Stacks s;
    s.gp = current_g();
    s.trace = trace ? trace : &here;
    print_level(&s);
    end_report();
}

void wait_for_dying(void (*yield)()) {
    for (int i = 0; i < kPatience && g_unwinding.load(std::memory_order_relaxed); ++i) {
        for (int k = 0; k < kPatience; ++k) yield();
        kernel::sys_nanosleep(&kRound, nullptr);
    }
    if (g_reporters.load(std::memory_order_acquire)) sleep_for_ever();
}

void dying_begin() { g_unwinding.fetch_add(1, std::memory_order_relaxed); }
void dying_end() { g_unwinding.fetch_sub(1, std::memory_order_relaxed); }

}  // namespace gort::rt
