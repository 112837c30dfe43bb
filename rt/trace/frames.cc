// rt/trace/frames.cc - see frames.h.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/trace/frames.h"

#include <initializer_list>

#include "kernel/mem.h"
#include "rt/host.h"
#include "rt/symbols/demangle.h"

namespace gort::rt {

namespace {

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
        "gort_", "_ZN4gort", "_ZNK4gort", "_ZZN4gort", "_ZZNK4gort", "__cxa_", "_Unwind_", "__gxx_personality",
        "__clang_call_terminate", "_ZSt9terminatev", "_ZN10__cxxabiv1", "_ZSt17rethrow_exception", "_ZSt8__invoke",
        "_ZSt13__invoke_impl", "_ZSt6invoke", "_ZSt5apply", "_ZSt12__apply_impl"};
    // clang-format on
    return s.name &&
           (any_prefix(s.name, kPrefixes, sizeof kPrefixes / sizeof *kPrefixes) || is_std_throw(s.name));
}

// What lies between the throw, or the call that blocks, and the user's frame: of the standard library, too. It has no
// names where libraries are stripped.
bool is_thrower(const Symbol& s) {
    static constexpr const char* kStd[] = {"_ZSt", "_ZNSt", "_ZNKSt", "_ZN9__gnu_cxx", "_ZNK9__gnu_cxx"};
    if (is_runtime(s) || (s.name && any_prefix(s.name, kStd, sizeof kStd / sizeof *kStd))) return true;
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
// Points *begin to it; how long it is.
size_t what_was_called(const char* text, const char** begin) {
    static constexpr const char* kMarks[] = {"gort::detail::Call<", "gort::run<"};
    for (const char* p = text; *p; ++p)
        for (const char* mark : kMarks) {
            if (!starts(p, mark)) continue;
            *begin = p + kernel::str_len(mark);
            int depth = 0;
            for (const char* q = *begin; *q; ++q) {
                if (depth == 0 && (*q == ',' || *q == '>')) {
                    while (q[-1] == '&') --q;
                    return static_cast<size_t>(q - *begin);
                }
                if (*q == '<' || *q == '(' || *q == '{') ++depth;
                if (*q == '>' || *q == ')' || *q == '}') --depth;
            }
        }
    return 0;
}

// What g++ gives no linkage name, a lambda above all, is told by where its code comes from.
bool is_library_file(const LineInfo& l) {
    if (!l.file) return false;
    for (const char* part : {l.base, l.dir})
        if (starts(part, "/usr/include") || find_text(part, "/c++/") || find_text(part, "/gort/"))
            return true;
    if (!ends_with(l.file, ".h")) return false;
    for (const char* folder : {"rt", "rt/base", "rt/net", "rt/own", "rt/sched", "rt/sim", "rt/stack",
                               "rt/symbols", "rt/sync", "rt/time", "rt/trace", "chan", "ctx"}) {
        if (kernel::str_equal(l.dir, folder)) return true;
        const size_t n = kernel::str_len(l.dir), m = kernel::str_len(folder);
        if (n > m && l.dir[n - m - 1] == '/' && ends_with(l.dir, folder)) return true;
    }
    return false;
}

bool is_library(const ShownFrame& f) {
    Symbol s;
    s.name = f.name;
    s.image = nullptr;
    return f.mangled ? is_thrower(s) : is_library_file(*f.line);
}

// By the frame's own function, and the file it is written in: what is inlined there is ours as well, named or not.
bool is_of_core(const Symbol& s) {
    const LineInfo& own = s.inlined_n ? s.inlined[s.inlined_n - 1].from : s.line;
    return is_runtime(s) && !is_caller_of_user(s) && own.file && ends_with(own.file, ".cc");
}

bool has_users(const Symbol& s) {
    if (is_of_core(s)) return false;
    ShownFrame frames[kMostInlined + 1];
    const unsigned n = shown_frames(s, false, frames);
    for (unsigned i = 0; i < n; ++i)
        if (!is_library(frames[i])) return true;
    return false;
}

void print_place(kernel::Out& out, const Symbol& s, const LineInfo& line) {
    if (line.file) {
        if (*line.base) out.str(line.base).ch('/');
        if (*line.dir) out.str(line.dir).ch('/');
        out.str(line.file).ch(':').udec(line.line);
    } else if (s.image && *s.image->path) {
        out.str(s.image->path);
        if (!s.name) out.ch('+').hex(s.offset);
    }
}

}  // namespace

unsigned shown_frames(const Symbol& s, bool all, ShownFrame* out) {
    unsigned n = 0, users = 0;
    for (unsigned i = 0; i <= s.inlined_n; ++i) {
        const bool whole = i == s.inlined_n;
        const LineInfo* line = i == 0 ? &s.line : &s.inlined[i - 1].from;
        out[n++] = whole ? ShownFrame{s.name, true, line, true}
                         : ShownFrame{s.inlined[i].name, s.inlined[i].mangled, line, false};
    }
    if (all || n == 1) return n;
    for (unsigned i = 0; i < n; ++i)
        if (!is_library(out[i])) out[users++] = out[i];
    if (users) return users;
    out[0] = out[n - 1];
    return 1;
}

void frame_name(const Symbol& s, const ShownFrame& f, bool may_allocate, char* out) {
    // The callable that was inlined into the template that calls it: the template's name says more.
    const bool callable = !f.whole && !f.mangled && f.name && kernel::str_equal(f.name, "operator()") &&
                          is_caller_of_user(s) && !is_library_file(*f.line);
    const char* name = callable ? s.name : f.name;
    if (!name) return void(kernel::str_copy(out, kFrameName, "?"));
    if ((!f.mangled && !callable) ||
        !(demangle(name, out, kFrameName) || (may_allocate && host_demangle(name, out, kFrameName))))
        return void(kernel::str_copy(out, kFrameName, name));
    if (!callable && !(f.whole && is_caller_of_user(s))) return;
    const char* begin;
    constexpr char kCall[] = "::operator()()";
    const size_t n = what_was_called(out, &begin);
    if (n == 0 || n + sizeof kCall > kFrameName) return;
    kernel::move_bytes(out, begin, n);
    kernel::str_copy(out + n, kFrameName - n, kCall);
}

uint32_t shown_count(const Symbol& s, const PrintHow& how) {
    ShownFrame frames[kMostInlined + 1];
    return shown_frames(s, how.system || how.inlined, frames);
}

void print_frame(kernel::Out& out, const Symbol& s, uint32_t nth, uintptr_t pc, const PrintHow& how) {
    ShownFrame frames[kMostInlined + 1];
    char name[kFrameName];
    shown_frames(s, how.system || how.inlined, frames);
    frame_name(s, frames[nth], how.demangle, name);
    out.str(name).str("\n\t");
    print_place(out, s, *frames[nth].line);
    if (s.name) out.str(" +").hex(s.offset);
    if (!frames[nth].line->file) out.str(" pc=").hex(pc & ~kExactPc);
    out.ch('\n');
}

bool print_created_by(kernel::Out& out, Images* images, const Site& site, const PrintHow& how,
                      const char* before) {
    if (site.file) {
        out.str(before)
            .str("created by ")
            .str(site.function)
            .str(" at ")
            .str(site.file)
            .ch(':')
            .udec(site.line);
        return true;
    }
    if (!site.function || !images) return false;
    Symbol s;
    find_symbol(images, reinterpret_cast<uintptr_t>(site.function), &s);
    if (is_runtime(s))
        return false;  // a goroutine's function that has called gort_go as the last thing it did
    ShownFrame frames[kMostInlined + 1];
    char name[kFrameName];
    shown_frames(s, how.system || how.inlined, frames);
    frame_name(s, frames[0], how.demangle, name);
    out.str(before).str("created by ").str(name).str(" at ");
    print_place(out, s, *frames[0].line);
    return true;
}

uint32_t visible_frames(Images* images, const Trace& trace, bool system, uint8_t* index) {
    const uint32_t stored = trace.stored();
    uint32_t shown = 0;
    Symbol s, inner;
    inner.name = nullptr;
    bool thrower = true;
    for (uint32_t i = 0; i < stored && !system; ++i) {
        find_symbol(images, trace.pc[i], &s);
        const bool hide = s.inlined_n            ? !has_users(s)
                          : is_caller_of_user(s) ? i > 0 && !has_user_inlined(s, inner)
                          : thrower              ? is_thrower(s)
                                                 : is_runtime(s);
        thrower = thrower && hide;
        if (!hide) index[shown++] = static_cast<uint8_t>(i);
        kernel::copy_bytes(&inner, &s, sizeof s);
    }
    if (shown) return shown;
    for (uint32_t i = 0; i < stored; ++i) index[i] = static_cast<uint8_t>(i);
    return stored;
}

}  // namespace gort::rt
