// rt/stack/fault.cc - see fault.h.
// SPDX-License-Identifier: BSD-2-Clause

#include "rt/stack/fault.h"

#include <signal.h>
#include <ucontext.h>

#include <atomic>

#include "arch/arch.h"
#include "kernel/signal.h"
#include "kernel/sys.h"
#include "kernel/thread.h"
#include "kernel/vm.h"
#include "rt/stack/pool.h"

namespace gort::rt {

namespace {

constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
constexpr int kCount = sizeof kSignals / sizeof kSignals[0];
// For the report and its traceback, beside what the kernel saves there.
constexpr size_t kReportStack = 64 << 10;
// Of a stack that is recommended: for what the large frame calls.
constexpr size_t kKeptForCalls = 64 << 10;
constexpr int kExitFatal = 2;
// How far below the stack pointer one instruction reaches: a push, a call, the red zone; on ARM64 a pair of vector
// registers that are stored before sp moves.
constexpr uintptr_t kBelowSp = 1024;
// A stack pointer that is further below its slot than this is not the work of one large frame.
constexpr uintptr_t kLargestFrame = uintptr_t{1} << 30;

kernel::SignalAction g_earlier[kCount];  // who had kSignals[i] before us
std::atomic<bool> g_installed{false};
std::atomic<void* (*)()> g_running_slot{nullptr};
std::atomic<void (*)(const OverflowInfo&)> g_report{nullptr};
std::atomic<void (*)(int, const siginfo_t*, void*)> g_crash{nullptr};
std::atomic<int> g_reporting{0};  // tid of the thread that reports an overflow

[[noreturn]] void report(const OverflowInfo& info) {
    int nobody = 0;
    if (!g_reporting.compare_exchange_strong(nobody, kernel::sys_gettid(), std::memory_order_relaxed)) {
        for (kernel::Timespec hour{3600, 0};;) kernel::sys_nanosleep(&hour, nullptr);
    }
    if (auto fn = g_report.load(std::memory_order_acquire)) {  // F1
        fn(info);
    } else {
        kernel::Out out(2);
        fault_print_overflow(out, info);
    }
    kernel::sys_exit_group(kExitFatal);
}

// Does this fault mean that the slot is full?
bool overflows(const SlotRef& slot, uintptr_t address, uintptr_t sp) {
    auto lo = reinterpret_cast<uintptr_t>(slot.bounds.lo);
    if (address >= slot.base && address < lo) return true;
    // A frame larger than the guard, of code without probes: the stack pointer is below the slot already, and the
    // address anywhere in that frame, or just below it when the frame calls.
    return sp < slot.base && slot.base - sp <= kLargestFrame && address >= sp - kBelowSp && address < lo;
}

bool find_overflow(uintptr_t address, uintptr_t sp, SlotRef* slot) {
    if (auto fn = g_running_slot.load(std::memory_order_acquire)) {  // F1
        void* header = fn();
        if (!header) return false;
        *slot = stack_slot_of(reinterpret_cast<uintptr_t>(header));
        if (overflows(*slot, address, sp)) return true;
        // In the middle of a switch the thread may still stand on another slot than it says.
        *slot = stack_slot_of(address);
        return slot->part == SlotPart::kGuard && sp >= slot->base &&
               sp <= reinterpret_cast<uintptr_t>(slot->bounds.hi);
    }
    *slot = stack_slot_of(address);
    if (slot->part != SlotPart::kGuard) return false;
    auto hi = reinterpret_cast<uintptr_t>(slot->bounds.hi);
    return sp <= hi && sp + kGuardSize >= slot->base;
}

// Would the signal, if we were not there, end the process at once?
bool ends_in_default(const kernel::SignalAction& earlier, bool fault) {
    const auto is = [&earlier](void (*handler)(int)) {
        return earlier.handler == reinterpret_cast<uintptr_t>(handler);
    };
    return is(SIG_DFL) || (fault && is(SIG_IGN));
}

void on_fault(int sig, siginfo_t* info, void* context) {
    if (g_reporting.load(std::memory_order_relaxed) == kernel::sys_gettid()) {
        kernel::Out(2).str("\n[another fault while reporting this one]\n");
        kernel::sys_exit_group(kExitFatal);
    }
    auto* uc = static_cast<ucontext_t*>(context);
    auto address = reinterpret_cast<uintptr_t>(info->si_addr);
    SlotRef slot;
    int which = 0;
    while (kSignals[which] != sig) ++which;
    const bool fault = info->si_code > 0;  // raised by the CPU, not sent by somebody
    if (fault && (sig == SIGSEGV || sig == SIGBUS) && find_overflow(address, arch::context_sp(uc), &slot)) {
        OverflowInfo found;
        found.header = slot.header;
        found.cls = slot.cls;
        found.bounds = slot.bounds;
        found.address = address;
        found.pc = arch::context_pc(uc);
        found.sp = arch::context_sp(uc);
        found.fp = arch::context_fp(uc);
        found.context = context;
        report(found);
    }
    // What others send is no mistake of the goroutine that happens to run here.
    if ((fault || info->si_pid == kernel::sys_getpid()) && ends_in_default(g_earlier[which], fault))
        if (auto fn = g_crash.load(std::memory_order_acquire)) fn(sig, info, context);  // F1
    stack_into_core(arch::context_sp(uc));
    // We asked for SA_NODEFER; the program's handler, if it did not, runs with its signal blocked.
    kernel::block_signals(kernel::signal_bit(sig), nullptr);
    kernel::forward_signal(&g_earlier[which], sig, info, context);
}

}  // namespace

int fault_init() {
    if (g_installed.exchange(true, std::memory_order_relaxed)) return 0;
    for (int i = 0; i < kCount; i++) {
        // SA_NODEFER: a fault inside the report has to come back to us, instead of killing us without a word.
        int r = kernel::set_signal(kSignals[i], on_fault, SA_ONSTACK | SA_NODEFER, 0, &g_earlier[i]);
        if (r < 0) {
            while (i-- > 0) kernel::restore_signal(kSignals[i], g_earlier[i]);
            g_installed.store(false, std::memory_order_relaxed);
            return r;
        }
    }
    return 0;
}

void fault_exit() {
    if (!g_installed.exchange(false, std::memory_order_relaxed)) return;
    for (int i = 0; i < kCount; i++) {
        kernel::SignalAction now;
        if (kernel::get_signal(kSignals[i], &now) == 0 &&
            now.handler == reinterpret_cast<uintptr_t>(&on_fault))
            kernel::restore_signal(kSignals[i], g_earlier[i]);
    }
}

// One system call for each of mapping, guard and signal stack: a thread's start is a part of a small program's.
int fault_thread_init(FaultThread* t) {
    *t = FaultThread{};
    const size_t need = kReportStack + kernel::min_signal_stack();
    const size_t page = kernel::page_size(), guard = guard_size();
    const size_t size = guard + ((need + page - 1) & ~(page - 1));
    int error = 0;
    void* map = kernel::reserve(size, kernel::kReserveStack, 0, &error);
    if (!map) return error;
    int r = kernel::guard(map, guard);
    if (r < 0) r = kernel::protect(map, guard, kernel::Access::kNone);
    stack_t ours{}, earlier{};
    ours.ss_sp = static_cast<char*>(map) + guard;
    ours.ss_size = size - guard;
    if (r == 0) r = kernel::sys_sigaltstack(&ours, &earlier);
    if (r == 0 && !(earlier.ss_flags & SS_DISABLE) && earlier.ss_size >= need &&
        kernel::sys_sigaltstack(&earlier, nullptr) == 0) {
        kernel::release(map, size);
        return 0;
    }
    if (r < 0) {
        kernel::release(map, size);
        return r;
    }
    t->map = map;
    t->map_size = size;
    t->earlier_base = earlier.ss_sp;
    t->earlier_size = earlier.ss_size;
    t->earlier_flags = earlier.ss_flags;
    return 0;
}

void fault_thread_exit(FaultThread* t) {
    if (!t->map) return;
    stack_t now{}, earlier{};
    earlier.ss_sp = t->earlier_base;
    earlier.ss_size = t->earlier_size;
    earlier.ss_flags = t->earlier_flags & ~SS_ONSTACK;
    // Where that fails, handlers still run on ours: it stays.
    if (kernel::sys_sigaltstack(&earlier, &now) == 0) {
        // Somebody may have put his own in place of ours since.
        if (now.ss_sp != static_cast<char*>(t->map) + t->map_size - now.ss_size)
            kernel::sys_sigaltstack(&now, nullptr);
        kernel::release(t->map, t->map_size);
    }
    *t = FaultThread{};
}

void fault_set_running_slot(void* (*fn)()) {
    g_running_slot.store(fn, std::memory_order_release);  // F1
}

void fault_set_overflow_handler(void (*fn)(const OverflowInfo&)) {
    g_report.store(fn, std::memory_order_release);  // F1
}

void fault_set_crash_handler(void (*fn)(int, const siginfo_t*, void*)) {
    g_crash.store(fn, std::memory_order_release);  // F1
}

// What would have been enough: for one that grows step by step twice as much as it had is worth a try.
static void print_hint(kernel::Out& out, const OverflowInfo& info) {
    const auto hi = reinterpret_cast<uintptr_t>(info.bounds.hi);
    const uintptr_t low = info.address && info.address < info.sp ? info.address : info.sp;
    const size_t needed = low < hi && hi - low <= 2 * kLargestFrame ? hi - low : 0, had = info.bounds.size();
    const size_t overhead = kSlotHeader + kGuardSize + kKeptForCalls;
    const int cls = stack_class_for((needed > 2 * had ? needed : 2 * had) + overhead);
    out.str("runtime: ").udec(needed > had ? needed : had + 1).str(" bytes or more were needed");
    if (cls < 0) {
        out.str(", and no stack is larger than ")
            .udec(stack_class_size(kStackClasses - 1) >> 20)
            .str(" MiB\n");
        return;
    }
    const size_t size = stack_class_size(cls) >> 10;
    if (info.main) {
        out.str("; gort::run(main, {.stack_size = ").udec(size);
        out.str(" << 10}) or GORT_STACK=").udec(size).str("K raises it\n");
    } else {
        out.str("; gort::go(gort::stack_size(").udec(size).str(" << 10), f) raises it for one goroutine, ");
        out.str("GORT_STACK=").udec(size).str("K for all\n");
    }
}

void fault_print_overflow(kernel::Out& out, const OverflowInfo& info) {
    out.str("runtime: goroutine stack exceeds ").udec(info.bounds.size()).str("-byte limit\n");
    out.str("runtime: sp=").hex(info.sp).str(" stack=[").hex(info.bounds.lo).str(", ");
    out.hex(info.bounds.hi).ch(')');
    if (info.address) out.str(" address=").hex(info.address).ch('\n');
    else out.str(" canary overwritten\n");
    print_hint(out, info);
    out.str("fatal error: stack overflow\n");
    out.flush();
}

void fault_canary_overwritten(void* header, uintptr_t sp) {
    OverflowInfo info;
    info.header = header;
    info.cls = stack_class(header);
    info.bounds = stack_bounds(header);
    info.sp = sp;
    report(info);
}

}  // namespace gort::rt
