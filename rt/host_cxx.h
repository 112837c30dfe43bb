// rt/host_cxx.h - what the C++ host (rt/host_cxx.cc) does for the C one (rt/host_c.cc), in programs that have it.
// SPDX-License-Identifier: BSD-2-Clause
//
// The core calls host.h, and host_c.cc implements that for every program. In one whose C++ files include a header of
// gort's, gort_host_cxx is linked (rt/config.h and gort_c.h ask for it) and host_c.cc passes the call on; else the weak
// reference is null, nothing of the C++ runtime is linked, and host_c.cc does what C needs.
// Context: as host.h.
#pragma once

#include <unwind.h>

#include <cstddef>

#include "rt/host.h"

namespace gort::rt {

inline constexpr _Unwind_Exception_Class kGoexitClass = 0x474f525445584954;  // "GORTEXIT"

struct HostCxx {
    void (*init)();
    void (*exit)();
    void (*throw_panic)(const char* text);
    void (*throw_runtime_error)(const char* text);
    bool (*demangle)(const char* name, char* buf, size_t size);
    // of gort_invoke (bottom) and gort_guarded
    _Unwind_Reason_Code (*personality)(_Unwind_Action actions, _Unwind_Exception_Class cls,
                                       _Unwind_Exception* exc, _Unwind_Context* context, bool bottom);
    void (*landed)(_Unwind_Exception* exc);
    // Reports an exception that has met a function of gort_c.h, and ends the process.
    void (*stopped_by_c)(_Unwind_Exception* exc, bool from_below);
    void (*goexit)();
};

// The cleanup phase at a frame of gort_invoke or gort_guarded: on to its landing, if it is where this unwinding ends.
_Unwind_Reason_Code host_land(_Unwind_Action actions, _Unwind_Exception_Class cls, _Unwind_Exception* exc,
                              _Unwind_Context* context, bool bottom);

}  // namespace gort::rt

extern "C" {
extern const gort::rt::HostCxx gort_host_cxx;  // in host_c.cc a weak reference
extern const char gort_invoke_landed[];
extern const char gort_guarded_landed[];
extern const char gort_fence_landed[];
_Unwind_Reason_Code gort_personality(int version, _Unwind_Action actions, _Unwind_Exception_Class cls,
                                     _Unwind_Exception* exc, _Unwind_Context* context);
_Unwind_Reason_Code gort_fence_personality(int version, _Unwind_Action actions, _Unwind_Exception_Class cls,
                                           _Unwind_Exception* exc, _Unwind_Context* context);
void gort_landed(_Unwind_Exception* exc);
}
