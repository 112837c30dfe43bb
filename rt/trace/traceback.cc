// rt/trace/traceback.cc - see traceback.h.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/trace/traceback.h"

#include <ucontext.h>

#include "arch/regs.h"
#include "arch/sanitize.h"
#include "kernel/mem.h"
#include "kernel/vm.h"
#include "rt/host.h"
#include "rt/sched/sched.h"
#include "rt/sched/trim.h"
#include "rt/stack/stack.h"
#include "rt/symbols/heap_sort.h"
#include "rt/symbols/symbols.h"
#include "rt/symbols/unwind.h"
#include "rt/time/clock.h"
#include "rt/trace/frames.h"
#include "rt/trace/label.h"
#include "rt/trace/stack_groups.h"

namespace gort::rt {

namespace {

struct Glance {
    uint64_t id;
    GStatus state;
    WaitReason why;
    uint16_t flags;
    const void* stack;
    uintptr_t sp;  // of its stack at rest; 0: none
    int64_t wait_since;
    Site site;
    uintptr_t invoke;
    char label[kLabelRoom];
};

// Others may write what is looked at here; the answer is a guess then, and no memory is touched through it.
GORT_UNCHECKED void glance(const G* gp, Glance* out) {
    out->id = gp->id;
    out->state = gp->status.load(std::memory_order_acquire);
    out->why = gp->wait_reason;
    out->flags = gp->flags;
    out->stack = gp->stack;
    const M* lm = gp->locked_m;  // a locked one's own M keeps the handle
    void* const* sp = gp->ctx.sp || !lm ? &gp->ctx.sp : &lm->locked_sp;
    out->sp = reinterpret_cast<uintptr_t>(*const_cast<void* const volatile*>(sp));
    if (!out->sp && !lm && out->stack) out->sp = hidden_handle(out->stack);
    out->wait_since = gp->wait_since & ~int64_t{1};
    out->site.file = gp->site.file;
    out->site.function = gp->site.function;
    out->site.line = gp->site.line;
    out->invoke = reinterpret_cast<uintptr_t>(gp->invoke);
    size_t n = 0;
    if (out->flags & kGLabeled) {
        const char* text = label_text(gp->label);
        while (n < kLabelRoom - 1 && text[n]) {
            out->label[n] = text[n];
            ++n;
        }
    }
    out->label[n] = '\0';
}

GORT_UNCHECKED const G* glance_curg(const M* mp, int* tid) {
    *tid = mp->tid;
    return mp->foreign ? nullptr : mp->curg;
}

constexpr int64_t kMinute = 60'000'000'000;
constexpr uint32_t kShownEachEnd = 50;
constexpr size_t kAllSingly = 1000;  // more goroutines than these: equal stacks are printed once
constexpr size_t kBigStack = 512 << 10;

uintptr_t pc_of(const Unwinder& u) { return u.exact() ? u.pc() | kExactPc : u.pc(); }

void walk(Images* images, const arch::Regs& regs, bool exact, StackRange range, Trace* out) {
    out->total = 0;
    Unwinder u(images, regs, exact, range);
    do {
        const uint64_t n = out->total++;
        if (n < kTraceHead + kTraceTail) {
            out->pc[n] = pc_of(u);
            continue;
        }
        uintptr_t* tail = out->pc + kTraceHead;  // the last ones: moved along, cheap next to a step
        kernel::move_bytes(tail, tail + 1, (kTraceTail - 1) * sizeof *tail);
        tail[kTraceTail - 1] = pc_of(u);
    } while (u.step());
}

GORT_UNCHECKED void read_frame(const arch::Frame* frame, arch::Regs* regs) {
    regs->r[arch::kDwarfFp] = reinterpret_cast<uintptr_t>(frame->fp);
    regs->pc = reinterpret_cast<uintptr_t>(frame->pc);
}

StackRange range_around(uintptr_t sp) {
    const SlotRef slot = stack_slot_of(sp);
    if (slot.part == SlotPart::kStack) return {sp, reinterpret_cast<uintptr_t>(slot.bounds.hi)};
    const uintptr_t end = Images::mapping_end(sp);
    return {sp, end ? end : (sp | (kernel::page_size() - 1)) + 1};
}

}  // namespace

[[gnu::noinline]] void trace_here(Images* images, Trace* out) {
    arch::Regs regs;
    gort_capture(&regs);
    walk(images, regs, false, range_around(regs.r[arch::kDwarfSp]), out);
}

[[gnu::noinline]] void trace_here(Trace* out) {
    out->total = 0;
    Images* images = Images::take();
    if (!images) return;
    trace_here(images, out);
    images->free();
}

void trace_context(const void* ucontext, Trace* out, const StackBounds* stack) {
    arch::Regs regs;
    kernel::zero_bytes(&regs, sizeof regs);
    arch::regs_from_context(&regs, static_cast<const ucontext_t*>(ucontext));
    out->total = 0;
    Images* images = Images::take();
    if (!images) return;
    bool exact = true;
    // A call through a null or wild pointer: there is no code, but the stack still says who called.
    if (!images->find(regs.pc) && !Images::mapping_end(regs.pc) &&
        stack_slot_of(regs.r[arch::kDwarfSp]).part == SlotPart::kStack) {
        arch::regs_back_from_call(&regs);
        exact = false;
    }
    StackRange range = range_around(regs.r[arch::kDwarfSp]);
    if (stack) range = {reinterpret_cast<uintptr_t>(stack->lo), reinterpret_cast<uintptr_t>(stack->hi)};
    walk(images, regs, exact, range, out);
    images->free();
}

bool trace_parked(Images* images, const G* gp, Trace* out) {
    Glance before, after;
    glance(gp, &before);
    const SlotRef slot = stack_slot_of(before.sp);
    if (slot.part != SlotPart::kStack || slot.header != before.stack) return false;
    const auto hi = reinterpret_cast<uintptr_t>(slot.bounds.hi);
    if (hi - before.sp < sizeof(arch::Frame)) return false;
    arch::Regs regs;
    kernel::zero_bytes(&regs, sizeof regs);
    read_frame(arch::frame_of(reinterpret_cast<void*>(before.sp)), &regs);
    regs.r[arch::kDwarfSp] = before.sp + sizeof(arch::Frame);
    walk(images, regs, false, {before.sp, hi}, out);
    glance(gp, &after);
    return after.id == before.id && after.sp == before.sp;
}

void print_header(kernel::Out& out, const Status& status) {
    out.str("goroutine ").udec(status.id).str(" [").str(status.state);
    if (status.waited_ns >= kMinute) out.str(", ").dec(status.waited_ns / kMinute).str(" minutes");
    if (status.locked) out.str(", locked to thread");
    if (status.label[0]) out.str(", \"").str(status.label).ch('"');
    out.str("]:\n");
}

void print_trace(kernel::Out& out, Images* images, const Trace& trace, const PrintHow& how) {
    uint8_t index[kTraceHead + kTraceTail];
    const uint32_t shown = visible_frames(images, trace, how.system, index);
    const uint64_t missing = trace.total - trace.stored();
    Symbol s;
    uint32_t lines = 0;  // functions: those that were inlined, too
    for (uint32_t k = 0; k < shown; ++k) {
        find_symbol(images, trace.pc[index[k]], &s);
        lines += shown_count(s, how);
    }
    const bool elide = missing || lines > 2 * kShownEachEnd;
    const uint32_t last_from = lines > kShownEachEnd ? lines - kShownEachEnd : 0;
    uint32_t line = 0;
    for (uint32_t k = 0; k < shown; ++k) {
        find_symbol(images, trace.pc[index[k]], &s);
        const uint32_t n = shown_count(s, how);
        for (uint32_t i = 0; i < n; ++i, ++line) {
            if (elide && line == kShownEachEnd)
                out.str("...").udec(missing + (lines - 2 * kShownEachEnd)).str(" frames elided...\n");
            if (elide && line >= kShownEachEnd && line < last_from) continue;
            print_frame(out, s, i, trace.pc[index[k]], how);
        }
    }
}

void print_goroutine(kernel::Out& out, Images* images, const G* gp, const Trace* trace, bool running,
                     const PrintHow& how) {
    Glance g;
    glance(gp, &g);
    const bool waits = !trace && !running && g.state == GStatus::kWaiting;
    Status status;
    status.id = g.id;
    status.state = waits ? wait_reason_text(g.why) : trace || running ? "running" : "runnable";
    status.waited_ns = waits && g.wait_since ? now() - g.wait_since : 0;
    status.locked = (g.flags & kGLocked) != 0;
    status.label = g.label;
    print_header(out, status);
    Trace walked;
    if (trace) {
        print_trace(out, images, *trace, how);
    } else if (!running && !g.stack) {  // has not begun
        Symbol s;
        const uintptr_t pc = g.invoke | kExactPc;
        find_symbol(images, pc, &s);
        print_frame(out, s, shown_count(s, how) - 1, pc, how);
    } else if (!running && images && trace_parked(images, gp, &walked)) {
        print_trace(out, images, walked, how);
    } else {
        out.str("\tgoroutine running on other thread; stack unavailable\n");
    }
    if (!(g.flags & kGMain) && print_created_by(out, images, g.site, how)) out.ch('\n');
}

Goroutines::Goroutines() {
    // Counted, then listed under the same locks again: what came between does not fit and is left out.
    for_each_g([](G*, void* arg) { ++static_cast<Goroutines*>(arg)->room_; }, this);
    if (room_ == 0) return;
    items_ = static_cast<Item*>(take_memory(room_ * sizeof(Item)));
    if (!items_) return;
    for_each_g(
        [](G* gp, void* arg) {
            auto* me = static_cast<Goroutines*>(arg);
            Glance g;
            glance(gp, &g);
            if (me->n_ < me->room_ && !(g.flags & kGSystem)) me->items_[me->n_++] = {gp, g.id};
        },
        this);
    heap_sort(items_, n_, [](const Item& a, const Item& b) { return a.id < b.id; });
    kernel::LockGuard guard(sched.lock);
    for (const M* mp = sched.allm; mp; mp = mp->next_all) ++running_room_;
    if (running_room_ == 0) return;
    running_ = static_cast<Running*>(take_memory(running_room_ * sizeof(Running)));
    for (const M* mp = sched.allm; mp && running_; mp = mp->next_all) {
        int tid;
        if (const G* gp = glance_curg(mp, &tid)) running_[running_n_++] = {gp, tid};
    }
}

Goroutines::~Goroutines() {
    if (items_) give_memory(items_, room_ * sizeof(Item));
    if (running_) give_memory(running_, running_room_ * sizeof(Running));
}

int Goroutines::thread_of(const G* gp, GStatus state) const {
    for (size_t i = 0; i < running_n_ && state == GStatus::kRunnable; ++i)
        if (running_[i].gp == gp) return running_[i].tid;
    return 0;
}

void Goroutines::group_parked(Images* images, StackGroups* groups, bool by_label) const {
    const int64_t time = now();
    Trace trace;
    for (uint32_t i = 0; i < n_; ++i) {
        const G* gp = items_[i].gp;
        Glance g;
        glance(gp, &g);
        if (g.id != items_[i].id || g.state != GStatus::kWaiting || !trace_parked(images, gp, &trace))
            continue;
        const int64_t waited = g.wait_since && time - g.wait_since > 1000 ? time - g.wait_since : 1000;
        const void* label = g.flags & kGLabeled ? reinterpret_cast<const void*>(g.invoke) : nullptr;
        // Each labeled goroutine has a label of its own; as origins these are places in the source, or texts.
        const void* origin =
            by_label ? (label ? label_text(static_cast<const Label*>(label)) : nullptr)
            : label  ? gp
                     : static_cast<const void*>(g.site.file ? g.site.file + g.site.line : g.site.function);
        groups->add(i, images, trace, wait_reason_text(g.why), origin, waited);
    }
}

// Who else has the stack that was printed for the group's first member: "1-3, 7".
void Goroutines::print_others(kernel::Out& out, const StackGroups& groups, uint32_t group) const {
    constexpr unsigned kMostRanges = 40;
    const StackGroups::Group& g = groups[group];
    if (g.count == 1) return;
    out.str("... and ").udec(g.count - 1).str(" more with this stack: goroutines ");
    unsigned ranges = 0;
    for (uint32_t i = g.first; i != g.last && ranges < kMostRanges; ++ranges) {
        i = groups.next(i);
        const uint64_t from = items_[i].id;
        while (i != g.last && items_[groups.next(i)].id == items_[i].id + 1) i = groups.next(i);
        out.str(ranges ? ", " : "").udec(from);
        if (items_[i].id != from) out.ch('-').udec(items_[i].id);
        if (i == g.last) break;
    }
    out.str(ranges == kMostRanges ? ", ...\n" : "\n");
}

void Goroutines::print(kernel::Out& out, Images* images, const G* except, bool first,
                       const PrintHow& how) const {
    StackGroups groups(n_ > kAllSingly ? static_cast<uint32_t>(n_) : 0);
    if (groups.ok()) group_parked(images, &groups, false);
    for (uint32_t i = 0; i < n_; ++i) {
        const G* gp = items_[i].gp;
        Glance g;
        glance(gp, &g);
        if (gp == except || g.id != items_[i].id || g.state == GStatus::kFree || g.state == GStatus::kDead)
            continue;
        uint32_t group = UINT32_MAX;
        if (groups.ok() && !groups.is_first(i, &group) && group != UINT32_MAX) continue;
        if (!first) out.ch('\n');
        first = false;
        const int tid = thread_of(gp, g.state);
        Trace asked;
        const bool answered = tid && how.ask && how.ask(gp, tid, &asked);
        print_goroutine(out, images, gp, answered ? &asked : nullptr, tid != 0, how);
        if (group != UINT32_MAX) print_others(out, groups, group);
    }
}

void on_big_stack(void (*fn)(void*), void* arg) {
    void* stack = take_memory(kBigStack);
    if (!stack) return fn(arg);
    arch::call_on_stack(stack, kBigStack, fn, arg);
    give_memory(stack, kBigStack);
}

void say_if_nameless(const Images* images) {
    static std::atomic<bool> said{false};
    if (!images->error() || said.exchange(true, std::memory_order_relaxed)) return;
    kernel::Out(2)
        .str("gort: stacks without names: /proc/self/maps: errno ")
        .dec(-images->error())
        .str(" (")
        .str(kernel::errno_name(images->error()))
        .str(")\n");
}

}  // namespace gort::rt

namespace gort {

void dump_goroutines(int fd) {
    struct Dump {
        int fd;
        rt::M* mp;
        rt::Trace here;
    } dump;
    dump.fd = fd;
    rt::trace_here(&dump.here);
    dump.mp = rt::enter();  // inside, no thread takes our P: with one P nothing changes meanwhile
    rt::on_big_stack(
        [](void* arg) {
            auto* d = static_cast<Dump*>(arg);
            const rt::G* me = d->mp->foreign ? nullptr : d->mp->curg;
            kernel::Out out(d->fd);
            rt::Images* images = rt::Images::take();
            if (!images) return;
            rt::say_if_nameless(images);
            rt::Goroutines all;
            if (me) rt::print_goroutine(out, images, me, &d->here, true, {});
            all.print(out, images, me, !me, {});
            images->free();
        },
        &dump);
    rt::leave(dump.mp);
}

}  // namespace gort
