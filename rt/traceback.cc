// rt/traceback.cc - see traceback.h.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/traceback.h"

#include <ucontext.h>

#include "arch/regs.h"
#include "arch/sanitize.h"
#include "kernel/mem.h"
#include "kernel/vm.h"
#include "rt/clock.h"
#include "rt/heap_sort.h"
#include "rt/host.h"
#include "rt/label.h"
#include "rt/sched.h"
#include "rt/stack.h"
#include "rt/symbols.h"
#include "rt/trim.h"
#include "rt/unwind.h"

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

// Others may write what is looked at here; the answer is a guess then, and nobody's memory is touched through it.
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

// ---- which frames are the runtime's ----

bool starts(const char* s, const char* prefix) { return kernel::str_starts_with(s, prefix); }

bool any_prefix(const char* name, const char* const* prefixes, size_t n) {
    for (size_t i = 0; i < n; ++i)
        if (starts(name, prefixes[i])) return true;
    return false;
}

// "_ZSt20__throw_out_of_rangePKc" and its like.
bool is_std_throw(const char* name) {
    if (!starts(name, "_ZSt")) return false;
    for (name += 4; *name >= '0' && *name <= '9';) ++name;
    return starts(name, "__throw_");
}

bool is_runtime(const Symbol& s) {
    // clang-format off
    static constexpr const char* kPrefixes[] = {
        "gort_", "_ZN4gort1c", "_ZN4gort2rt", "_ZNK4gort2rt", "_ZN4gort6kernel", "_ZN4gort4arch", "_ZN4gort6detail",
        "_ZNK4gort6detail", "_ZZN4gort", "_ZZNK4gort", "_ZN4gort15dump_goroutines", "_ZN4gort5panic",
        "_ZN4gort6goexit", "__cxa_", "_Unwind_", "__gxx_personality", "__clang_call_terminate",
        "_ZSt9terminatev", "_ZN10__cxxabiv1", "_ZSt17rethrow_exception", "_ZSt8__invoke",
        "_ZSt13__invoke_impl", "_ZSt6invoke", "_ZSt5apply", "_ZSt12__apply_impl"};
    // clang-format on
    return s.name &&
           (any_prefix(s.name, kPrefixes, sizeof kPrefixes / sizeof *kPrefixes) || is_std_throw(s.name));
}

// What lies between the throw and the user's frame, and has no names where libraries are stripped.
bool is_thrower(const Symbol& s) {
    if (is_runtime(s)) return true;
    if (!s.image) return false;
    const char* base = s.image->path;
    for (const char* p = base; *p; ++p)
        if (*p == '/') base = p + 1;
    return starts(base, "libgcc_s.") || starts(base, "libstdc++.") || starts(base, "libc++") ||
           starts(base, "libunwind.");
}

// The functions between goroutine_entry and what the user gave to `go` or `run`.
bool is_wrapper(const Symbol& s) {
    static constexpr const char* kPrefixes[] = {
        "_ZN4gort6detail4Call", "_ZZN4gort6detail4Call", "_ZN4gort6detail8run_main",
        "_ZSt8__invoke",        "_ZSt13__invoke_impl",   "_ZSt6invoke",
        "_ZSt5apply",           "_ZSt12__apply_impl"};
    return s.name && any_prefix(s.name, kPrefixes, sizeof kPrefixes / sizeof *kPrefixes);
}

// The outermost of them. Where the compiler inlined the user's function into it, it is the user's frame.
bool is_caller_of_user(const Symbol& s) {
    return s.name && (starts(s.name, "_ZN4gort6detail13invoke_inline") ||
                      starts(s.name, "_ZN4gort6detail12invoke_boxed") || starts(s.name, "_ZZN4gort3run"));
}

const char* find_text(const char* s, const char* part) {
    for (; *s; ++s)
        if (starts(s, part)) return s;
    return nullptr;
}

bool ends_with(const char* s, const char* end) {
    const size_t n = kernel::str_len(s), m = kernel::str_len(end);
    return n >= m && kernel::str_equal(s + n - m, end);
}

// `inner` is the frame that `s` called.
bool has_user_inlined(const Symbol& s, const Symbol& inner) {
    if (is_wrapper(inner) || find_text(s.name, "4CallIP")) return false;  // a function pointer is not inlined
    if (s.line.file && ends_with(s.line.file, "go.h")) return false;
    const bool users_line = s.line.file && !starts(s.line.dir, "/usr/include");
    return users_line || !inner.name || !find_text(inner.name, "clE");  // …clE…: some operator()
}

// ---- one frame ----

// "void gort::detail::invoke_inline<gort::detail::Call<X, …> >(void*)" and "gort::run<X>(…)…": X is what the user
// wrote.
void print_what_was_called(kernel::Out& out, char* text) {
    static constexpr const char* kMarks[] = {"gort::detail::Call<", "gort::run<"};
    for (char* p = text; *p; ++p)
        for (const char* mark : kMarks) {
            if (!starts(p, mark)) continue;
            const char* begin = p + kernel::str_len(mark);
            int depth = 0;
            for (const char* q = begin; *q; ++q) {
                if (depth == 0 && (*q == ',' || *q == '>')) {
                    while (q[-1] == '&') --q;
                    out.str(begin, static_cast<size_t>(q - begin)).str("::operator()()");
                    return;
                }
                if (*q == '<' || *q == '(' || *q == '{') ++depth;
                if (*q == '>' || *q == ')' || *q == '}') --depth;
            }
        }
    out.str(text);
}

void print_name(kernel::Out& out, const Symbol& s, const PrintHow& how) {
    char text[1024];
    if (!s.name) out.str("?");
    else if (!how.demangle || !host_demangle(s.name, text, sizeof text)) out.str(s.name);
    else if (is_caller_of_user(s)) print_what_was_called(out, text);
    else out.str(text);
}

void print_place(kernel::Out& out, const Symbol& s) {
    if (s.line.file) {
        if (*s.line.base) out.str(s.line.base).ch('/');
        if (*s.line.dir) out.str(s.line.dir).ch('/');
        out.str(s.line.file).ch(':').udec(s.line.line);
    } else if (s.image && *s.image->path) {
        out.str(s.image->path);
        if (!s.name) out.ch('+').hex(s.offset);
    }
    if (s.name) out.str(" +").hex(s.offset);
}

void print_frame(kernel::Out& out, const Symbol& s, uintptr_t pc, const PrintHow& how) {
    print_name(out, s, how);
    out.str("\n\t");
    print_place(out, s);
    if (!s.line.file) out.str(" pc=").hex(pc & ~kExactPc);
    out.ch('\n');
}

}  // namespace

[[gnu::noinline]] void trace_here(Trace* out) {
    arch::Regs regs;
    gort_capture(&regs);
    out->total = 0;
    Images* images = Images::take();
    if (!images) return;
    walk(images, regs, false, range_around(regs.r[arch::kDwarfSp]), out);
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
    const uint32_t stored = trace.stored();
    Symbol s, inner;
    inner.name = nullptr;
    bool show[kTraceHead + kTraceTail];
    uint32_t shown = 0;
    bool thrower = true;
    for (uint32_t i = 0; i < stored; ++i) {
        find_symbol(images, trace.pc[i], &s);
        const bool hide = is_caller_of_user(s) ? i > 0 && !has_user_inlined(s, inner)
                          : thrower            ? is_thrower(s)
                                               : is_runtime(s);
        thrower = thrower && hide;
        show[i] = how.system || !hide;
        shown += show[i];
        kernel::copy_bytes(&inner, &s, sizeof s);
    }
    if (shown == 0) {  // nothing of the user's: then what there is
        for (uint32_t i = 0; i < stored; ++i) show[i] = true;
        shown = stored;
    }
    const uint64_t missing = trace.total - stored;
    uint32_t nth = 0;
    const bool elide = missing || shown > 2 * kShownEachEnd;
    const uint32_t last_from = shown > kShownEachEnd ? shown - kShownEachEnd : 0;
    for (uint32_t i = 0; i < stored; ++i) {
        if (!show[i]) continue;
        const uint32_t k = nth++;
        if (elide && k == kShownEachEnd)
            out.str("...").udec(missing + (shown - 2 * kShownEachEnd)).str(" frames elided...\n");
        if (elide && k >= kShownEachEnd && k < last_from) continue;
        find_symbol(images, trace.pc[i], &s);
        print_frame(out, s, trace.pc[i], how);
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
        print_frame(out, s, pc, how);
    } else if (!running && images && trace_parked(images, gp, &walked)) {
        print_trace(out, images, walked, how);
    } else {
        out.str("\tgoroutine running on other thread; stack unavailable\n");
    }
    if (!(g.flags & kGMain) && g.site.file)
        out.str("created by ")
            .str(g.site.function)
            .str(" at ")
            .str(g.site.file)
            .ch(':')
            .udec(g.site.line)
            .ch('\n');
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

void Goroutines::print(kernel::Out& out, Images* images, const G* except, bool first,
                       const PrintHow& how) const {
    for (size_t i = 0; i < n_; ++i) {
        const G* gp = items_[i].gp;
        Glance g;
        glance(gp, &g);
        if (gp == except || g.id != items_[i].id || g.state == GStatus::kFree || g.state == GStatus::kDead)
            continue;
        if (!first) out.ch('\n');
        first = false;
        const int tid = thread_of(gp, g.state);
        Trace asked;
        const bool answered = tid && how.ask && how.ask(gp, tid, &asked);
        print_goroutine(out, images, gp, answered ? &asked : nullptr, tid != 0, how);
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
    dump.mp = rt::enter();  // inside, nobody takes our P: with one P nothing changes meanwhile
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
