// rt/host_cxx.cc - the C++ host: an exception at a goroutine's bottom frame, goexit, deferred functions, terminate.
// SPDX-License-Identifier: BSD-2-Clause
//
// THREE WAYS DOWN, all of them end at gort_invoke (arch/x86_64/invoke.S):
//   return      nothing happens.
//   exception   search phase: personality() writes down the stack of the throw point; cleanup phase: the destructors
//               run; then gort_landed prints the report and the process ends.
//   goexit      a forced unwind: the destructors run, no handler but `catch (...)` sees it; gort_landed returns, and
//               the goroutine has finished.
// A deferred function that runs because its scope unwinds gets a bottom frame of its own, gort_guarded, since C++ lets
// nothing out of a destructor then. What arrives there is kept in a Note for gort_landed.
//
// The core reaches all this through gort_host_cxx (rt/host_cxx.h), which rt/config.h makes every C++ program link.
// Invariants: (1) a Note belongs to one goroutine, by address and id, and lies in the list until that one lands.
//             (2) uncaught exceptions of one goroutine nest, so the note that was made last is the innermost.
// Context:    [G], outside the gate. Destructors may park in the middle of all this, and go on with another thread.
#include <cxxabi.h>
#include <unwind.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <system_error>
#include <typeinfo>

#include "arch/sanitize.h"
#include "kernel/lock.h"
#include "kernel/tls.h"
#include "rt/base/report.h"
#include "rt/base/sim_seam.h"
#include "rt/host.h"
#include "rt/host_cxx.h"
#include "rt/own/g.h"
#include "rt/own/m.h"
#include "rt/panic.h"
#include "rt/result.h"
#include "rt/trace/traceback.h"

extern "C" {
#if GORT_ASAN
void __asan_handle_no_return();
#endif
void* gort_guarded(void* arg, void (*fn)(void*));
}

namespace gort::rt {

namespace {

// A G in user code; null on a thread of the program's own, on an M's own stack, and where a goroutine has forked
// (rt/base/fork.h): for such a one no notes are kept.
G* current_g() {
    auto* mp = static_cast<M*>(kernel::tls_get());
    return mp && !mp->foreign ? mp->curg : nullptr;
}

struct Note {
    enum Kind : uint8_t {
        kThrown,    // an exception that will land: `exc`, and the stack of its throw point
        kDeferred,  // one that a deferred function let out: `held`
        kExit,      // goexit unwinds: `exit`
        kPending,   // goexit was called by a deferred function while an exception unwinds: it ends that
    } kind;
    bool replaced = false;  // kExit: a handler on its way called goexit again
    int uncaught = 0;       // kExit: exceptions in flight when it began
    G* gp;
    uint64_t id;
    Note* next = nullptr;
    _Unwind_Exception exit{};
    _Unwind_Exception* exc = nullptr;
    std::exception_ptr held;
    Trace trace{};
};

// Almost always empty. A plain list: the goroutines that unwind for good at one time are few.
kernel::Mutex g_lock;
Note* g_notes = nullptr;
std::atomic<int> g_count{0};
std::terminate_handler g_earlier_terminate = nullptr;

Note* add_note(Note::Kind kind, G* gp) {
    if (!gp) return nullptr;
    auto* n = new (std::nothrow) Note{};
    if (!n) return nullptr;
    n->kind = kind;
    n->gp = gp;
    n->id = gp->id;
    kernel::LockGuard guard(g_lock);
    n->next = g_notes;
    g_notes = n;
    g_count.fetch_add(1, std::memory_order_relaxed);
    return n;
}

// The first note of gp that fits, which is the youngest. Relaxed: a goroutine asks for what it has done itself.
template <class F>
Note* find(const G* gp, F fits, bool take = false) {
    if (!gp || g_count.load(std::memory_order_relaxed) == 0) return nullptr;
    kernel::LockGuard guard(g_lock);
    for (Note** at = &g_notes; *at; at = &(*at)->next) {
        Note* n = *at;
        if (n->gp != gp || n->id != gp->id || !fits(n)) continue;
        if (take) {
            *at = n->next;
            g_count.fetch_sub(1, std::memory_order_relaxed);
        }
        return n;
    }
    return nullptr;
}

void drop(Note* note) {
    delete find(
        note->gp, [&](Note* n) { return n == note; }, true);
}

bool is_cxx(const _Unwind_Exception* exc) {
    // "GNUCC++" or "CLNGC++", then a byte for the kind
    return (exc->exception_class >> 8 & 0xffffff) == 0x432b2b;
}

// ---- what is said of an exception ----

std::string type_text(const std::type_info* type) {
    int status = 0;
    char* name = type ? abi::__cxa_demangle(type->name(), nullptr, nullptr, &status) : nullptr;
    std::string s = name ? name : type ? type->name() : "an exception of another language";
    std::free(name);
    return s;
}

std::string float_text(double v) {
    char buf[64];
    std::snprintf(buf, sizeof buf, "%+.6e", v);
    return buf;
}

// The exception being handled: what() or the value where that says something, as Go prints panic values; else its type
// and where it is.
std::string text_of_current() {
    const std::type_info* type = abi::__cxa_current_exception_type();
    try {
        throw;
    } catch (const std::exception& e) {
        return e.what() ? e.what() : type_text(type);
    } catch (const char* s) {
        return s ? s : "nil";
    } catch (const std::string& s) {
        return s;
    } catch (const std::string_view& s) {
        return std::string(s);
    } catch (bool v) {
        return v ? "true" : "false";
    } catch (char v) {
        return std::to_string(v);
    } catch (int v) {
        return std::to_string(v);
    } catch (unsigned v) {
        return std::to_string(v);
    } catch (long v) {
        return std::to_string(v);
    } catch (unsigned long v) {
        return std::to_string(v);
    } catch (long long v) {
        return std::to_string(v);
    } catch (unsigned long long v) {
        return std::to_string(v);
    } catch (double v) {
        return float_text(v);
    } catch (float v) {
        return float_text(static_cast<double>(v));
    } catch (...) {
        if (!type) return type_text(type);
        std::exception_ptr e = std::current_exception();  // in both C++ runtimes one pointer, to the object
        void* object;
        std::memcpy(&object, static_cast<const void*>(&e), sizeof object);
        char at[24];
        std::snprintf(at, sizeof at, ") %p", object);
        return "(" + type_text(type) + at;
    }
}

// The type of the exception being handled, if it is one that says what() and not a panic of ours, whose text is all
// there is to say; else nothing, and neither where that text names the type, as std::bad_alloc's does.
std::string type_of_current(const std::string& text) {
    if (simulation()) return {};  // sim::result::what is one line
    try {
        throw;
    } catch (const std::exception&) {
        std::string name = type_text(abi::__cxa_current_exception_type());
        // What std::throw_with_nested makes of T, in libstdc++ and in libc++.
        for (const char* wrapper : {"std::_Nested_exception<", "std::__1::__nested<"})
            if (name.starts_with(wrapper) && name.ends_with('>'))
                name = name.substr(std::strlen(wrapper), name.size() - std::strlen(wrapper) - 1);
        const bool ours = name == "gort::panic_error" || name == "gort::runtime_error";
        return ours || text.find(name) != std::string::npos ? std::string() : name;
    } catch (...) {
        return {};
    }
}

// "panic: first", below it "[exception ns::error]", as Go names a signal there; a tab more for each that came later.
// The further lines of a text are indented as well.
class Story {
public:
    // `note` is what else there is to say of it: " [recovered]".
    void add(const std::exception_ptr& e, const char* note = "") {
        try {
            std::rethrow_exception(e);
        } catch (...) {
            add_nested();
            const char* margin = all_.empty() ? "\n" : "\n\t";
            const std::string text = text_of_current();
            add_line(text, note);
            if (const std::string type = type_of_current(text); !type.empty())
                all_.append(margin).append("[exception ").append(type).append("]");
        }
    }
    void add_line(const std::string& text, const char* note = "") {
        if (!all_.empty()) all_ += "\n\t";
        all_ += "panic: ";
        for (char c : text) {
            all_ += c;
            if (c == '\n') all_ += '\t';
        }
        all_ += note;
    }
    const char* text() const { return all_.c_str(); }

private:
    // What throw_with_nested wraps was caught by the handler that threw: recovered, in Go's word.
    void add_nested() {
        try {
            throw;
        } catch (const std::nested_exception& n) {
            if (n.nested_ptr()) add(n.nested_ptr(), " [recovered]");
        } catch (...) {
        }
    }
    std::string all_;
};

// Ends the process. `exc` is null if only deferred functions threw; `deferred` lists them, youngest first.
[[noreturn]] void die(_Unwind_Exception* exc, Note* deferred, const Trace* trace) {
    Story story;
    try {
        if (exc && is_cxx(exc)) {
            abi::__cxa_begin_catch(exc);
            story.add(std::current_exception());
        } else if (exc) {
            story.add_line(type_text(nullptr));
        }
        Note* oldest_first = nullptr;
        while (deferred) {
            Note* next = deferred->next;
            deferred->next = oldest_first;
            oldest_first = deferred;
            deferred = next;
        }
        for (Note* n = oldest_first; n; n = n->next) story.add(n->held);
        if (!trace && oldest_first) trace = &oldest_first->trace;
    } catch (...) {
        report_panic("panic: (no memory left to print it)", trace);
    }
    report_panic(story.text(), trace);
}

// ---- goexit ----

void handler_ended(_Unwind_Reason_Code, _Unwind_Exception* exit);

[[noreturn]] void unwind_goexit(Note* n) {
    n->exit.exception_class = kGoexitClass;
    n->exit.exception_cleanup = handler_ended;
#if GORT_ASAN
    __asan_handle_no_return();  // it knows of throws and not of this: our frames would stay poisoned
#endif
    _Unwind_ForcedUnwind(
        &n->exit,
        [](int, _Unwind_Action, _Unwind_Exception_Class, _Unwind_Exception*, _Unwind_Context*, void*) {
            return _URC_NO_REASON;  // the personality of the bottom frame ends it
        },
        nullptr);
    fatal_error("goexit: the unwinder cannot leave this stack");
}

// A `catch (...)` has ended without passing goexit on. If another exception leaves it, that one has taken over; else
// we unwind again from here, which is the last call of the handler.
void handler_ended(_Unwind_Reason_Code, _Unwind_Exception* exit) {
    Note* n = find(current_g(), [&](Note* m) { return &m->exit == exit; });
    if (!n) return;
    if (n->replaced || std::uncaught_exceptions() > n->uncaught) return drop(n);
    unwind_goexit(n);
}

// ---- std::terminate ----

[[noreturn]] void on_terminate() {
    G* gp = current_g();
    if (!gp) {
        if (g_earlier_terminate) g_earlier_terminate();
        std::abort();
    }
    std::string text = "terminate called without an active exception";
    try {
        if (find(gp, [](Note* n) { return n->kind == Note::kExit; }))
            text = "goexit met a noexcept function or a destructor";
        else if (const std::type_info* type = abi::__cxa_current_exception_type())
            text = "terminate called after throwing an instance of '" + type_text(type) +
                   "': " + text_of_current();
    } catch (...) {
    }
    fatal_error(text.c_str());
}

void init() { g_earlier_terminate = std::set_terminate(on_terminate); }
void exit() {
    if (std::get_terminate() == on_terminate) std::set_terminate(g_earlier_terminate);
}

void throw_panic(const char* text) { throw panic_error(text); }
void throw_runtime_error(const char* text) { throw runtime_error(text); }

bool demangle(const char* name, char* buf, size_t size) {
    if (std::strncmp(name, "_Z", 2) != 0 || size == 0) return false;
    int status = 0;
    char* text = abi::__cxa_demangle(name, nullptr, nullptr, &status);
    if (!text) return false;
    size_t n = std::strlen(text);
    if (n >= size) n = size - 1;
    std::memcpy(buf, text, n);
    buf[n] = '\0';
    std::free(text);
    return true;
}

// The search phase of an exception that has met a function of gort_c.h: nothing has been unwound. A panic of the
// runtime's own, of a call that this function has made, is told as a C program hears it. Any other comes from below,
// from a function that the program gave to gort_c.h; it is told as it would be if it had left the goroutine.
void stopped_by_c(_Unwind_Exception* exc, bool from_below) {
    Trace trace;
    trace_here(&trace);
    if (!is_cxx(exc)) fatal_error("an exception of another language has met a function of gort_c.h");
    abi::__cxa_begin_catch(exc);
    if (!from_below) fatal_error(text_of_current().c_str());
    Story story;
    story.add(std::current_exception(), " [has met a function of gort_c.h, which lets none out]");
    report_panic(story.text(), &trace);
}

_Unwind_Reason_Code personality(_Unwind_Action actions, _Unwind_Exception_Class cls, _Unwind_Exception* exc,
                                _Unwind_Context* context, bool bottom) {
    G* gp = current_g();
    if (actions & _UA_SEARCH_PHASE) {
        if (bottom) {
            dying_begin();
            // What an earlier panic's deferred functions threw went with that one, when it was caught.
            while (Note* n = find(
                       gp, [](Note* m) { return m->kind == Note::kDeferred || m->kind == Note::kPending; },
                       true))
                delete n;
        }
        if (Note* n = add_note(Note::kThrown, gp)) {
            n->exc = exc;
            trace_here(&n->trace);
        }
        return _URC_HANDLER_FOUND;
    }
    return host_land(actions, cls, exc, context, bottom);
}

// On the goroutine's bottom frame, all others are gone. Returns if the goroutine has ended by goexit.
void landed(_Unwind_Exception* exc) {
    G* gp = current_g();
    Note *thrown = nullptr, *deferred = nullptr, *exit = nullptr;
    Note** last = &deferred;
    while (Note* n = find(
               gp, [](Note*) { return true; }, true)) {
        n->next = nullptr;
        if (n->kind == Note::kThrown && n->exc == exc) {
            thrown = n;
        } else if (n->kind == Note::kDeferred && !exit) {  // an exit forgives what was thrown before it
            *last = n;
            last = &n->next;
        } else if (n->kind == Note::kPending || (n->kind == Note::kExit && &n->exit == exc)) {
            exit = n;
        } else {
            delete n;
        }
    }
    if (!exit) die(exc, deferred, thrown ? &thrown->trace : nullptr);
    if (deferred) die(nullptr, deferred, nullptr);
    if (&exit->exit != exc) {
        if (is_cxx(exc)) {
            abi::__cxa_begin_catch(exc);
            abi::__cxa_end_catch();
        } else {
            _Unwind_DeleteException(exc);
        }
        dying_end();
    }
    gp->flags |= kGGoexit;
    delete thrown;
    delete exit;
}

}  // namespace

}  // namespace gort::rt

extern "C" const gort::rt::HostCxx gort_host_cxx = {
    gort::rt::init,     gort::rt::exit,        gort::rt::throw_panic, gort::rt::throw_runtime_error,
    gort::rt::demangle, gort::rt::personality, gort::rt::landed,      gort::rt::stopped_by_c,
    gort::goexit,
};

using namespace gort::rt;

namespace gort {

void panic(const char* message) { throw panic_error(message); }
void panic(std::string_view message) { throw panic_error(std::string(message)); }

void goexit() {
    G* gp = current_g();
    if (!gp) panic("goexit: called outside of a goroutine");
    if (Note* n = find(gp, [](Note* m) { return m->kind == Note::kExit && !m->replaced; }))
        n->replaced = true;
    Note* n = add_note(Note::kExit, gp);
    if (!n) fatal_error("goexit: out of memory");
    n->uncaught = std::uncaught_exceptions();
    unwind_goexit(n);
}

namespace detail {

void exit_goroutine() { goexit(); }
void throw_error(std::error_code error) { throw std::system_error(error); }

bool scope_unwinds(int uncaught) noexcept {
    if (std::uncaught_exceptions() > uncaught) return true;
    if (g_count.load(std::memory_order_relaxed) == 0) return false;
    return find(current_g(), [](Note* n) { return n->kind == Note::kExit; }) != nullptr;
}

void run_deferred(void* f, void (*call)(void*)) {
    if (!current_g()) return call(f);  // a thread of the program's own: C++'s rule holds
    auto* exc = static_cast<_Unwind_Exception*>(gort_guarded(f, call));
    if (!exc) return;
    G* gp = current_g();
    if (exc->exception_class == kGoexitClass) {
        Note* n = find(gp, [&](Note* m) { return &m->exit == exc; });
        Note* outer = find(gp, [&](Note* m) { return m->kind == Note::kExit && m != n; });
        if (!outer) {
            n->kind = Note::kPending;
            return;
        }
        outer->replaced = false;
        return drop(n);
    }
    Note* n = find(gp, [&](Note* m) { return m->kind == Note::kThrown && m->exc == exc; });
    if (!n || !is_cxx(exc)) die(exc, nullptr, n ? &n->trace : nullptr);
    abi::__cxa_begin_catch(exc);
    n->held = std::current_exception();
    n->kind = Note::kDeferred;
    abi::__cxa_end_catch();
}

}  // namespace detail

}  // namespace gort
