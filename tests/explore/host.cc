// tests/explore/host.cc - the seam to libc and to the rest of the kernel, for pieces that run the whole scheduler.
// SPDX-License-Identifier: BSD-2-Clause
//
// A thread that the library starts is a model thread. Signals, attributes of threads and exits do nothing, or end the
// execution.
#include <cstring>

#include "kernel/sys.h"
#include "rt/host.h"
#include "tests/explore/world.h"

using namespace gort;
using namespace gort::explore;

#define WRAP(mangled) __asm__("__wrap_" mangled)

int wrap_start_thread(rt::HostStart* s, size_t stack)
    WRAP("_ZN4gort2rt17host_start_threadEPNS0_9HostStartEm");
int wrap_start_thread(rt::HostStart* s, size_t) {
    World& w = *world;
    const rt::HostStart copy = *s;
    w.step(Op::kSpawn, nullptr, false);
    w.note(Op::kSpawn, nullptr, 0, Order::kPlain, __builtin_return_address(0)).value =
        static_cast<uint64_t>(w.nthreads);
    w.spawn(copy.fn, copy.arg);
    return 0;
}
rt::EhGlobals* wrap_eh_globals(rt::EhGlobals*) WRAP("_ZN4gort2rt15host_eh_globalsEPNS0_9EhGlobalsE");
rt::EhGlobals* wrap_eh_globals(rt::EhGlobals*) {
    return reinterpret_cast<rt::EhGlobals*>(world->me().exceptions);
}
int wrap_on_thread_exit(rt::HostThreadExit*, void (*)(void*), void*)
    WRAP("_ZN4gort2rt19host_on_thread_exitEPNS0_14HostThreadExitEPFvPvES3_");
int wrap_on_thread_exit(rt::HostThreadExit*, void (*)(void*), void*) { return 0; }
void wrap_on_fork(void (*)()) WRAP("_ZN4gort2rt12host_on_forkEPFvvE");
void wrap_on_fork(void (*)()) {}
void wrap_host_init() WRAP("_ZN4gort2rt9host_initEv");
void wrap_host_init() {}

int wrap_sigaction(int, const void*, void*) WRAP("_ZN4gort6kernel16sys_rt_sigactionEiPKvPv");
int wrap_sigaction(int, const void*, void* get) {
    if (get) std::memset(get, 0, 32);
    return 0;
}
int wrap_sigprocmask(int, const uint64_t*, uint64_t* get) WRAP("_ZN4gort6kernel18sys_rt_sigprocmaskEiPKmPm");
int wrap_sigprocmask(int, const uint64_t*, uint64_t* get) {
    if (get) *get = 0;
    return 0;
}
int wrap_sigaltstack(const void*, void*) WRAP("_ZN4gort6kernel15sys_sigaltstackEPKvPv");
int wrap_sigaltstack(const void*, void* get) {
    if (get) std::memset(get, 0, 24);
    return 0;
}
int wrap_prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)
    WRAP("_ZN4gort6kernel9sys_prctlEimmmm");
int wrap_prctl(int, unsigned long, unsigned long, unsigned long, unsigned long) { return 0; }
int wrap_setaffinity(int, size_t, const void*) WRAP("_ZN4gort6kernel21sys_sched_setaffinityEimPKv");
int wrap_setaffinity(int, size_t, const void*) { return 0; }
[[noreturn]] void wrap_exit_group(int) WRAP("_ZN4gort6kernel14sys_exit_groupEi");
void wrap_exit_group(int) { world->failed("the process ends", __builtin_return_address(0)); }
