// rt/host_c.cc - the host of every program: panics, goexit and unwinding, with or without a C++ runtime.
// SPDX-License-Identifier: BSD-2-Clause
//
// Where the C++ host is linked (rt/host_cxx.h) it does what there is to do. A program in C has no exceptions: a panic
// is a fatal error, goexit unwinds by libgcc alone (cleanups of C code compiled with -fexceptions run), and an
// exception of a library in another language that leaves a goroutine is reported without its text.
// Compiled as the core is: nothing here needs the C++ runtime, and what is used of it if it is there is weak.
// Context:    [G], outside the gate, but for what host.h says.
#include "rt/host_cxx.h"

#include "arch/sanitize.h"
#include "rt/base/report.h"
#include "rt/own/m.h"
#include "rt/sched/sched.h"
#include "rt/trace/traceback.h"

extern "C" {
#if GORT_ASAN
void __asan_handle_no_return();
#endif
// Both C++ runtimes, libstdc++ and libc++abi, lay it out as the ABI says: the stack of caught exceptions, then the
// number of uncaught ones. A program that cannot throw may be linked without it.
[[gnu::weak]] gort::rt::EhGlobals* __cxa_get_globals() noexcept;
extern const gort::rt::HostCxx gort_host_cxx [[gnu::weak]];
}

namespace gort::rt {

namespace {

// What is weak may have no address; the language, which says that it has, is not asked.
template <class T>
bool is_linked(T* p) {
    asm("" : "+r"(p));
    return p != nullptr;
}
bool has_cxx() { return is_linked(&gort_host_cxx); }

[[noreturn]] void unwind_c(_Unwind_Exception* exit);

// A handler of another language has ended without passing goexit on: from here again.
void handler_ended(_Unwind_Reason_Code, _Unwind_Exception* exit) { unwind_c(exit); }

[[noreturn]] void unwind_c(_Unwind_Exception* exit) {
    exit->exception_class = kGoexitClass;
    exit->exception_cleanup = handler_ended;
#if GORT_ASAN
    __asan_handle_no_return();
#endif
    _Unwind_ForcedUnwind(
        exit,
        [](int, _Unwind_Action, _Unwind_Exception_Class, _Unwind_Exception*, _Unwind_Context*, void*) {
            return _URC_NO_REASON;  // the personality of the bottom frame ends it
        },
        nullptr);
    fatal_error("goexit: the unwinder cannot leave this stack");
}

}  // namespace

void host_init() {
    if (has_cxx()) gort_host_cxx.init();
    report_init();
}

void host_exit() {
    if (has_cxx()) gort_host_cxx.exit();
    host_drop_exit_key();
}

EhGlobals* host_eh_globals(EhGlobals* without) {
    return is_linked(__cxa_get_globals) ? __cxa_get_globals() : without;
}

void host_throw_panic(const char* text) {
    if (has_cxx()) gort_host_cxx.throw_panic(text);
    fatal_error(text);
}
void host_throw_runtime_error(const char* text) {
    if (has_cxx()) gort_host_cxx.throw_runtime_error(text);
    fatal_error(text);
}

bool host_demangle(const char* name, char* buf, size_t size) {
    return has_cxx() && gort_host_cxx.demangle(name, buf, size);
}

void host_goexit() {
    if (has_cxx()) gort_host_cxx.goexit();
    auto* exit = static_cast<_Unwind_Exception*>(host_alloc(sizeof(_Unwind_Exception)));
    if (!exit) fatal_error("goexit: out of memory");
    unwind_c(exit);
}

void host_unwind_on(void* exit) {
    _Unwind_Resume(static_cast<_Unwind_Exception*>(exit));
    __builtin_unreachable();
}

_Unwind_Reason_Code host_land(_Unwind_Action actions, _Unwind_Exception_Class cls, _Unwind_Exception* exc,
                              _Unwind_Context* context, bool bottom) {
    if ((actions & _UA_FORCE_UNWIND) && cls != kGoexitClass)
        fatal_error("pthread_exit or thread cancellation on a goroutine");
    if (!(actions & (_UA_FORCE_UNWIND | _UA_HANDLER_FRAME))) return _URC_CONTINUE_UNWIND;
    _Unwind_SetGR(context, __builtin_eh_return_data_regno(0), reinterpret_cast<uintptr_t>(exc));
    _Unwind_SetIP(context, reinterpret_cast<uintptr_t>(bottom ? gort_invoke_landed : gort_guarded_landed));
    return _URC_INSTALL_CONTEXT;
}

}  // namespace gort::rt

using namespace gort::rt;

_Unwind_Reason_Code gort_personality(int version, _Unwind_Action actions, _Unwind_Exception_Class cls,
                                     _Unwind_Exception* exc, _Unwind_Context* context) {
    if (version != 1) return _URC_FATAL_PHASE1_ERROR;
    const bool bottom = _Unwind_GetRegionStart(context) == reinterpret_cast<uintptr_t>(&gort_invoke);
    if (has_cxx()) return gort_host_cxx.personality(actions, cls, exc, context, bottom);
    if (actions & _UA_SEARCH_PHASE) {
        Trace trace;
        trace_here(&trace);
        report_panic(
            "panic: an exception of another language (its text is known where a C++ file includes gort.h or "
            "gort_c.h)",
            &trace);
    }
    return host_land(actions, cls, exc, context, bottom);
}

void gort_landed(_Unwind_Exception* exc) {
    if (has_cxx()) return gort_host_cxx.landed(exc);
    self()->curg->flags |= kGGoexit;
    host_free(exc);
}

// Of gort_fence, and of the functions of gort_c.h (GORT_C_FENCE): exceptions stop here, in the search phase, when the
// whole stack is still there to be shown. A forced unwind (goexit, pthread_exit on a thread of the program's own) lands
// in gort_fence, whose caller tidies up and sends it on.
_Unwind_Reason_Code gort_fence_personality(int version, _Unwind_Action actions, _Unwind_Exception_Class,
                                           _Unwind_Exception* exc, _Unwind_Context* context) {
    if (version != 1) return _URC_FATAL_PHASE1_ERROR;
    const bool fence = _Unwind_GetRegionStart(context) == reinterpret_cast<uintptr_t>(&gort_fence);
    if (actions & _UA_SEARCH_PHASE) {
        if (has_cxx()) gort_host_cxx.stopped_by_c(exc, fence);
        fatal_error("an exception of another language has met a function of gort_c.h, which lets none out");
    }
    if (!fence || !(actions & _UA_FORCE_UNWIND)) return _URC_CONTINUE_UNWIND;
    _Unwind_SetGR(context, __builtin_eh_return_data_regno(0), reinterpret_cast<uintptr_t>(exc));
    _Unwind_SetIP(context, reinterpret_cast<uintptr_t>(gort_fence_landed));
    return _URC_INSTALL_CONTEXT;
}
