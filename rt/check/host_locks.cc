// rt/check/host_locks.cc - GORT_CHECK=locks: reports a goroutine that parks while its thread holds a pthread lock.
// SPDX-License-Identifier: BSD-2-Clause
//
// The functions by which a thread takes and gives back such a lock are defined here, before libc's: each calls libc's
// and notes what a goroutine holds, with the stack of that moment. Compiled like libc's side of the seam: no C++
// runtime.
// Context: any thread; report() also inside the gate.
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <threads.h>
#include <unwind.h>

#include "kernel/fatal.h"
#include "kernel/lock.h"
#include "kernel/mem.h"
#include "kernel/thread.h"
#include "rt/base/check_seam.h"
#include "rt/trace/frames.h"
#include "rt/trace/label.h"
#include "rt/own/m.h"
#include "rt/sched/sched.h"
#include "rt/trace/traceback.h"

namespace gort::rt {

namespace {

constexpr uint32_t kMostHeld = 1024;  // by all goroutines together; what is more is not noted
constexpr uint32_t kDepth = 24;       // of a stack that takes a lock
constexpr uint32_t kMostSaid = 64;    // different reports

struct Held {
    const void* lock;
    const char* kind;
    uint64_t goid;
    uint32_t depth;
    uintptr_t pc[kDepth];
};

bool g_on = false;
kernel::Mutex g_lock;
Held g_held[kMostHeld];
uint32_t g_held_n = 0;
uint64_t g_said[kMostSaid];
uint32_t g_said_n = 0;

// The threads that walk their stack just now: a walk may take a lock itself (libgcc's, of the tables that a JIT has
// registered), which is not noted.
constexpr uint32_t kWalkers = 256, kProbes = 8;
std::atomic<int> g_walkers[kWalkers];

// False: this thread walks already, or too many others do.
bool begin_walk(uint32_t* slot) {
    const int me = kernel::gettid();
    auto at = [me](uint32_t i) { return (static_cast<uint32_t>(me) + i) % kWalkers; };
    for (uint32_t i = 0; i < kProbes; ++i)
        if (g_walkers[at(i)].load(std::memory_order_relaxed) == me) return false;
    for (uint32_t i = 0; i < kProbes; ++i) {
        *slot = at(i);
        int nobody = 0;
        if (g_walkers[*slot].compare_exchange_strong(nobody, me, std::memory_order_relaxed)) return true;
    }
    return false;
}

// The goroutine whose own code this thread runs, or null.
G* goroutine_here() {
    const M* mp = self();
    if (!mp || mp->foreign || mp->in_rt.load(std::memory_order_relaxed)) return nullptr;
    return mp->curg;
}

// The frames from the one that returns to `caller` on.
struct Walk {
    Held* to;
    uintptr_t caller;
};
_Unwind_Reason_Code step(_Unwind_Context* context, void* arg) {
    auto& w = *static_cast<Walk*>(arg);
    const uintptr_t pc = _Unwind_GetIP(context);
    if (w.to->depth == 0 && pc != w.caller) return _URC_NO_REASON;
    if (pc == 0) return _URC_END_OF_STACK;
    w.to->pc[w.to->depth++] = pc;
    return w.to->depth == kDepth ? _URC_END_OF_STACK : _URC_NO_REASON;
}

void locked(const void* lock, const char* kind, const void* caller) {
    if (!g_on) return;
    G* gp = goroutine_here();
    uint32_t slot;
    if (!gp || !begin_walk(&slot)) return;
    Held h;
    h.lock = lock;
    h.kind = kind;
    h.goid = gp->id;
    h.depth = 0;
    Walk w{&h, reinterpret_cast<uintptr_t>(caller)};
    _Unwind_Backtrace(step, &w);
    g_walkers[slot].store(0, std::memory_order_relaxed);
    kernel::LockGuard guard(g_lock);
    if (g_held_n == kMostHeld) return;
    kernel::copy_bytes(&g_held[g_held_n++], &h, sizeof h);
    gp->flags |= kGHolds;
}

// Of a lock that several hold, the caller's own if it is there, for else it was taken elsewhere.
void unlocked(const void* lock) {
    if (!g_on) return;
    G* gp = goroutine_here();
    const uint64_t goid = gp ? gp->id : 0;
    kernel::LockGuard guard(g_lock);
    uint32_t found = g_held_n, others = 0;
    for (uint32_t i = g_held_n; i-- > 0;) {
        const bool mine = gp && g_held[i].goid == goid;
        if (g_held[i].lock == lock && (found == g_held_n || (mine && g_held[found].goid != goid))) found = i;
        else others += mine;
    }
    if (found == g_held_n) return;
    const bool mine = gp && g_held[found].goid == goid;
    if (found != --g_held_n) kernel::copy_bytes(&g_held[found], &g_held[g_held_n], sizeof(Held));
    if (mine && !others) gp->flags &= static_cast<uint16_t>(~kGHolds);
}

// ---- the report ----

struct Report {
    G* gp;
    const Held* held;
    const Trace* parks;
};

uint64_t mixed(uint64_t h, const uintptr_t* pc, uint32_t n) {
    for (uint32_t i = 0; i < n; ++i) h = (h ^ pc[i]) * 0x100000001b3;
    return h;
}
bool is_new(const Report& r) {
    constexpr uint32_t kTop = 12;
    const uint32_t n = r.parks->stored() < kTop ? r.parks->stored() : kTop;
    const uint64_t h = mixed(mixed(0xcbf29ce484222325, r.held->pc, r.held->depth), r.parks->pc, n);
    for (uint32_t i = 0; i < g_said_n; ++i)
        if (g_said[i] == h) return false;
    if (g_said_n == kMostSaid) return false;
    g_said[g_said_n++] = h;
    return true;
}

void print(void* arg) {
    const auto& r = *static_cast<const Report*>(arg);
    PrintHow how;
    how.demangle = false;  // no malloc: the program may hold its lock
    kernel::Out out(2);
    Images* images = Images::take();
    if (!images) return;
    out.str("gort: check: goroutine ").udec(r.gp->id).str(" parks while its thread holds the ");
    out.str(r.held->kind).ch(' ').hex(r.held->lock).str("\n\n");
    Status status;
    status.id = r.gp->id;
    status.state = wait_reason_text(r.gp->wait_reason);
    if (r.gp->flags & kGLabeled) status.label = label_text(r.gp->label);
    print_header(out, status);
    print_trace(out, images, *r.parks, how);
    if (!(r.gp->flags & kGMain) && print_created_by(out, images, r.gp->site, how)) out.ch('\n');
    out.str("locked at:\n");
    Trace trace;
    trace.total = r.held->depth;
    kernel::copy_bytes(trace.pc, r.held->pc, r.held->depth * sizeof *trace.pc);
    print_trace(out, images, trace, how);
    out.ch('\n');
    out.flush();
    images->free();
}

// What is reported, or was before, is forgotten: the goroutine that runs on this thread next has not taken it.
void about_to_park(G* gp) {
    if (gp->flags & kGLocked) return;
    gp->flags &= static_cast<uint16_t>(~kGHolds);
    Trace parks;
    trace_here(&parks);
    kernel::LockGuard guard(g_lock);
    for (uint32_t i = 0; i < g_held_n;) {
        if (g_held[i].goid != gp->id) {
            ++i;
            continue;
        }
        Report r{gp, &g_held[i], &parks};
        if (is_new(r)) on_big_stack(print, &r);
        if (i != --g_held_n) kernel::copy_bytes(&g_held[i], &g_held[g_held_n], sizeof(Held));
    }
}

[[gnu::constructor]] void begin() {
    g_check_linked.store(true, std::memory_order_relaxed);
    const char* text = secure_getenv("GORT_CHECK");
    if (!text || !*text) return;
    if (!kernel::str_equal(text, "locks")) {
        kernel::Out(2).str("GORT_CHECK=").str(text).str(": not a check; accepted: locks\n");
        kernel::sys_exit_group(2);
    }
    g_on = true;
    g_check_park.store(about_to_park, std::memory_order_relaxed);
}

// libc's function of this name.
void* real(std::atomic<void*>& kept, const char* name) {
    void* f = kept.load(std::memory_order_relaxed);
    if (f) [[likely]]
        return f;
    f = dlsym(RTLD_NEXT, name);
    if (!f) {
        kernel::Out(2).str("gort: check: libc has no ").str(name).ch('\n');
        kernel::sys_exit_group(2);
    }
    kept.store(f, std::memory_order_relaxed);
    return f;
}

}  // namespace

}  // namespace gort::rt

using namespace gort::rt;

// A name for the linker's -u, which takes this file out of the archive.
extern "C" [[gnu::visibility("default")]] const char gort_check_locks;
extern "C" const char gort_check_locks = 0;

#define GORT_TAKES(kind, name, params, args, ...)                                       \
    extern "C" [[gnu::visibility("default")]] int name params __VA_ARGS__ {             \
        static constinit std::atomic<void*> kept{nullptr};                              \
        const int e = reinterpret_cast<int(*) params>(real(kept, #name)) args;          \
        if (e == 0 || e == EOWNERDEAD) locked(lock, kind, __builtin_return_address(0)); \
        return e;                                                                       \
    }
#define GORT_GIVES(name, params, args, ...)                                 \
    extern "C" [[gnu::visibility("default")]] int name params __VA_ARGS__ { \
        static constinit std::atomic<void*> kept{nullptr};                  \
        unlocked(lock);                                                     \
        return reinterpret_cast<int(*) params>(real(kept, #name)) args;     \
    }

using Mutex = pthread_mutex_t;
using Rw = pthread_rwlock_t;
using Time = timespec;
constexpr char kMutex[] = "pthread mutex", kRw[] = "pthread rwlock", kMtx[] = "C11 mutex";

GORT_TAKES(kMutex, pthread_mutex_lock, (Mutex * lock), (lock), noexcept)
GORT_TAKES(kMutex, pthread_mutex_trylock, (Mutex * lock), (lock), noexcept)
GORT_TAKES(kMutex, pthread_mutex_timedlock, (Mutex * lock, const Time* t), (lock, t), noexcept)
GORT_TAKES(kMutex, pthread_mutex_clocklock, (Mutex * lock, clockid_t c, const Time* t), (lock, c, t),
           noexcept)
GORT_GIVES(pthread_mutex_unlock, (Mutex * lock), (lock), noexcept)
GORT_TAKES(kRw, pthread_rwlock_rdlock, (Rw * lock), (lock), noexcept)
GORT_TAKES(kRw, pthread_rwlock_tryrdlock, (Rw * lock), (lock), noexcept)
GORT_TAKES(kRw, pthread_rwlock_timedrdlock, (Rw * lock, const Time* t), (lock, t), noexcept)
GORT_TAKES(kRw, pthread_rwlock_clockrdlock, (Rw * lock, clockid_t c, const Time* t), (lock, c, t), noexcept)
GORT_TAKES(kRw, pthread_rwlock_wrlock, (Rw * lock), (lock), noexcept)
GORT_TAKES(kRw, pthread_rwlock_trywrlock, (Rw * lock), (lock), noexcept)
GORT_TAKES(kRw, pthread_rwlock_timedwrlock, (Rw * lock, const Time* t), (lock, t), noexcept)
GORT_TAKES(kRw, pthread_rwlock_clockwrlock, (Rw * lock, clockid_t c, const Time* t), (lock, c, t), noexcept)
GORT_GIVES(pthread_rwlock_unlock, (Rw * lock), (lock), noexcept)
GORT_TAKES(kMtx, mtx_lock, (mtx_t * lock), (lock))
GORT_TAKES(kMtx, mtx_trylock, (mtx_t * lock), (lock))
GORT_TAKES(kMtx, mtx_timedlock, (mtx_t * lock, const Time* t), (lock, t))
GORT_GIVES(mtx_unlock, (mtx_t * lock), (lock))
