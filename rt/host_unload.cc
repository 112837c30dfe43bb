// rt/host_unload.cc - host.h's part about shared objects: being unloaded, and not being unloaded.
// SPDX-License-Identifier: BSD-2-Clause
#include <dlfcn.h>
#include <link.h>

#include <stdlib.h>
#include <time.h>

#include "arch/sanitize.h"
#include "rt/host.h"

// A static program does without, and its linker would warn of a dlopen that is called by name.
#pragma weak dladdr1
#pragma weak dlsym

extern "C" int __cxa_atexit(void (*fn)(void*), void* arg, void* object);

namespace gort::rt {

namespace {

void (*g_unload)() = nullptr;
time_t* g_exit_time = nullptr;  // 0 until exit() was called

// The highest priority there is for programs: it runs after the destructors of all static objects of its shared object.
[[gnu::destructor(101)]] void on_unload() {
    if (host_unloading()) g_unload();
}

}  // namespace

// Destructors run when the object is unloaded and when the process exits. What tells the two apart must not be code of
// ours, which may be gone by then: exit() calls libc's time(), which writes to memory that is never freed. TSan's
// time() does not stand being called so late, so under TSan nothing is given back.
void host_on_unload([[maybe_unused]] void (*fn)()) {
#if !GORT_TSAN
    g_exit_time = static_cast<time_t*>(calloc(1, sizeof(time_t)));
    if (!g_exit_time) return;
    const auto call = reinterpret_cast<void (*)(void*)>(reinterpret_cast<void*>(&time));
    if (__cxa_atexit(call, g_exit_time, nullptr) == 0) g_unload = fn;
#endif
}

bool host_unloading() { return g_unload && *g_exit_time == 0; }

void host_stay_loaded() {
    Dl_info where;
    void* map = nullptr;
    if (!dladdr1 || !dlsym || !dladdr1(&g_unload, &where, &map, RTLD_DL_LINKMAP) || !map) return;
    const char* name = static_cast<link_map*>(map)->l_name;
    if (!*name) return;  // the program itself
    const auto open = reinterpret_cast<void* (*)(const char*, int)>(dlsym(RTLD_DEFAULT, "dlopen"));
    if (open) open(name, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

}  // namespace gort::rt
