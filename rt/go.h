// PUBLIC
// rt/go.h - running goroutines: run, start and stop, go, yield, and what may be asked of and told to the scheduler.
// SPDX-License-Identifier: BSD-2-Clause
//
// Context: unless a comment says otherwise everything here may be called by a goroutine and by any other thread of the
//          process while the runtime is up; nothing here may be called from a signal handler.
// Memory order: `go` happens before the goroutine's first action. A goroutine's end orders nothing by itself: join
//          with a channel, a wait_group or the like.
// Source: Go's language specification ("Go statements"), Go's package runtime.
#pragma once

#include "config.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <new>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "site.h"
#if defined(__x86_64__) && !defined(__clang__)
#include "../arch/x86_64/switch.h"
#endif

namespace gort {

// What run() and start() may be told; 0 means the default, which an environment variable may give. A bad value in the
// environment ends the process: one line that names variable, value and what is accepted, exit 2.
struct options {
    // how many goroutines run at once. GORT_MAXPROCS, else the CPUs that affinity and cgroup allow, which is then
    // looked at again about once a second while the program is at work, and followed
    int max_procs = 0;
    int max_threads = 0;  // more OS threads than this end the process as in Go. Default 10000
    // bytes of address space for each goroutine's stack, 128 KiB to 1 GiB, rounded up to a power of
    // two; memory is used as it is touched. GORT_STACK (256K, 1M …). Default 256 KiB
    size_t stack_size = 0;
    // As long as few goroutines live, their stacks may grow further: the first 64 to 1 GiB each, the next 1024 to
    // 64 MiB, main always to 1 GiB. Off: all have stack_size. GORT_STACK_TIERS=0 turns it off, too; where address
    // space is short or counts like memory (ulimit -v, vm.overcommit_memory=2, mlockall, qemu-user) it is off by
    // itself. Default true
    bool stack_tiers = true;
    uint64_t seed = 0;  // of the scheduler's random choices. GORT_SEED. Default: random
};

// The first argument of go, for a goroutine that needs another stack than the default: go(stack_size(1 << 20), f)
// reserves a megabyte of address space, rounded up to a power of two. More than 1 GiB is a panic.
struct stack_size {
    size_t bytes;
    explicit constexpr stack_size(size_t n) : bytes(n) {}
};

namespace rt {
struct G;
}

namespace detail {

using Invoke = void (*)(void* storage);

struct Fresh {
    rt::G* g;
    void* storage;
};
inline constexpr size_t kInline = 64;

int run_main(Invoke main, void* arg, const options& o);
const char* start_or_why(const options& o);  // start, but null or why not instead of a panic
// group: a wait_group that waits for it, or null.
void spawn_copy(Invoke invoke, const void* callable, size_t size, const Site& site, size_t stack,
                const void* group);
Fresh spawn_begin(Invoke invoke, const Site& site, size_t stack, const void* group);
void spawn_commit(const Fresh& fresh);
void spawn_cancel(const Fresh& fresh);
[[noreturn]] void go_of_nil();
bool blocking_begin();
void blocking_end();

// yield in two halves around the switch itself. null: it is over already.
struct Handles {
    void** save;
    void* load;
};
Handles yield_begin();
void yield_end();
void yield_whole();

// A callable and its arguments, kept by value as std::thread keeps them.
template <class F, class... A>
struct Call {
    F f;
    [[no_unique_address]] std::tuple<A...> args;
    void operator()() {
        std::apply([this](A&... a) { std::invoke(std::move(f), std::move(a)...); }, args);
    }
};

// Runs on the goroutine's stack: calls the callable where it lies, in the G, and destroys it when the goroutine ends,
// by whatever way.
template <class C>
void invoke_inline(void* storage) {
    struct Guard {
        C* c;
        ~Guard() { c->~C(); }
    } guard{std::launder(static_cast<C*>(storage))};
    (*guard.c)();
}
template <class C>
void invoke_boxed(void* storage) {
    struct Guard {
        C* c;
        ~Guard() { delete c; }
    } guard{*static_cast<C**>(storage)};
    (*guard.c)();
}

template <class F>
constexpr bool is_nullable = std::is_pointer_v<F> || std::is_member_pointer_v<F> || requires(const F& f) {
    f == nullptr;
    static_cast<bool>(f);
};

template <class F, class... A>
void spawn(const Site& site, size_t stack, const void* group, F&& f, A&&... args) {
    using C = Call<std::decay_t<F>, std::decay_t<A>...>;
    if constexpr (is_nullable<std::decay_t<F>> && !std::is_function_v<std::remove_reference_t<F>>)
        if (f == nullptr) [[unlikely]]
            go_of_nil();
    if constexpr (sizeof(C) > kInline || alignof(C) > 16) {
        C* boxed = new C{std::forward<F>(f), {std::forward<A>(args)...}};
        spawn_copy(invoke_boxed<C>, &boxed, sizeof boxed, site, stack, group);
    } else if constexpr (std::is_trivially_copyable_v<C>) {
        const C call{std::forward<F>(f), {std::forward<A>(args)...}};
        spawn_copy(invoke_inline<C>, &call, sizeof call, site, stack, group);
    } else {
        const Fresh fresh = spawn_begin(invoke_inline<C>, site, stack, group);
        struct Guard {
            const Fresh* fresh;
            ~Guard() {
                if (fresh) spawn_cancel(*fresh);
            }
        } guard{&fresh};
        new (fresh.storage) C{std::forward<F>(f), {std::forward<A>(args)...}};  // may throw
        guard.fresh = nullptr;
        spawn_commit(fresh);
    }
}

template <class T>
concept not_option =
    !std::is_same_v<std::remove_cvref_t<T>, stack_size> && !std::is_same_v<std::remove_cvref_t<T>, Site>;

}  // namespace detail

// Starts a goroutine that calls f(args…). Callable and arguments are moved or copied in before go returns; a result
// is ignored. A null function pointer or empty std::function: fatal error "go of nil func value". No memory: fatal
// error. Never blocks. The overloads exist because a default argument cannot follow a parameter pack.
template <detail::not_option F>
void go(F&& f, Site site = Site::here()) {
    detail::spawn(site, 0, nullptr, std::forward<F>(f));
}
template <detail::not_option F, detail::not_option A>
void go(F&& f, A&& a, Site site = Site::here()) {
    detail::spawn(site, 0, nullptr, std::forward<F>(f), std::forward<A>(a));
}
template <detail::not_option F, detail::not_option A, detail::not_option B>
void go(F&& f, A&& a, B&& b, Site site = Site::here()) {
    detail::spawn(site, 0, nullptr, std::forward<F>(f), std::forward<A>(a), std::forward<B>(b));
}
template <detail::not_option F, detail::not_option A, detail::not_option B, detail::not_option C>
void go(F&& f, A&& a, B&& b, C&& c, Site site = Site::here()) {
    detail::spawn(site, 0, nullptr, std::forward<F>(f), std::forward<A>(a), std::forward<B>(b),
                  std::forward<C>(c));
}
// More arguments: no line is kept.
template <detail::not_option F, detail::not_option A, detail::not_option B, detail::not_option C,
          detail::not_option D, detail::not_option... E>
void go(F&& f, A&& a, B&& b, C&& c, D&& d, E&&... e) {
    detail::spawn(Site{}, 0, nullptr, std::forward<F>(f), std::forward<A>(a), std::forward<B>(b),
                  std::forward<C>(c), std::forward<D>(d), std::forward<E>(e)...);
}
template <detail::not_option F>
void go(stack_size n, F&& f, Site site = Site::here()) {
    detail::spawn(site, n.bytes, nullptr, std::forward<F>(f));
}
template <detail::not_option F, detail::not_option A, class... E>
void go(stack_size n, F&& f, A&& a, E&&... e) {
    detail::spawn(Site{}, n.bytes, nullptr, std::forward<F>(f), std::forward<A>(a), std::forward<E>(e)...);
}

// Runs `main` as the main goroutine, first on the calling thread. When `main` returns, run returns the same value, or 0
// if `main` returns nothing. Goroutines still alive then are abandoned as Go abandons them at exit: their
// destructors do not run; one that is running stops at its next call into gort. The process lives on and may call
// run again. A second run while one is active, or while start's runtime is up: panic.
template <class F>
int run(F&& main, const options& o = {}) {
    struct Frame {
        std::remove_reference_t<F>* f;
        int result;
    } frame{&main, 0};
    detail::run_main(
        [](void* p) {
            auto* fr = *static_cast<Frame**>(p);
            if constexpr (std::is_void_v<std::invoke_result_t<F&>>) (*fr->f)();
            else fr->result = static_cast<int>((*fr->f)());
        },
        &frame, o);
    return frame.result;
}

// start brings the same runtime up in the background of a program that has its own main. Any thread may then call
// go and use channels, locks and timers; a thread that blocks sleeps on a futex. No deadlock is detected. A second
// start, or one while run is active, is a panic.
//
//      gort::start();                                   // in a program with threads of its own
//      gort::go([=] { results << compute(); });
//      gort::stop();
void start(const options& o = {});

// stop ends the runtime that start brought up and abandons the goroutines that still live, as run does. It returns when
// no goroutine runs any more, but for those that compute without calling gort: each of them stops at its next call.
// After stop, until another run begins, a channel operation, select, wait_group::wait or cond::wait of such a
// thread that would have to wait, or still does, is a panic ("…: the runtime has been stopped"); a wait for a
// descriptor is std::errc::operation_canceled. Locks are waited for as ever: another thread may hold them. So is
// everything after run(), whose caller may go on with the other threads.
void stop();

// Lets other goroutines run; the calling one goes to the end of the queue of those that wait for their turn. It returns
// at once if there is no other. On a thread that is not a goroutine's it is sched_yield.
// With g++ it is inlined, so that the caller's compiler saves only the registers that are in use there. clang may
// address a frame through a register that the switch does not keep, so there it is a call.
inline void yield() {
#if defined(__x86_64__) && !defined(__clang__)
    const detail::Handles h = detail::yield_begin();
    if (!h.save) [[unlikely]]
        return;
    arch::switch_to(h.save, h.load, nullptr);
    detail::yield_end();
#else
    detail::yield_whole();
#endif
}

// As Go's GOMAXPROCS: sets the number of goroutines that run at once, returns the number before; n < 1 only asks.
// While the runtime is not up it sets what the next run begins with if its options do not say. A number that was set,
// here, by options or by GORT_MAXPROCS, stays: only the default follows affinity and cgroup.
int gomaxprocs(int n);

// The number of goroutines that exist now: running, waiting for their turn, or blocked. While others start and end
// it is only an estimate. Go's runtime.NumGoroutine.
int num_goroutine();

// The number of CPUs that this process may use, as it was at the start of the process. Go's runtime.NumCPU.
int num_cpu();

// The caller's id as dumps and tracebacks show it: 1 is main's, each is given once in a run. 0 on any other thread.
uint64_t goid();

// Names the calling goroutine wherever goroutines are shown: dumps and tracebacks have the name in the brackets, after
// the state. The first 63 bytes of text, without cutting an UTF-8 character in two; control characters and double
// quotes become '?'. It stays until the goroutine ends or sets another one; an empty text takes it away. Nothing is
// inherited. On a thread that is not a goroutine's it does nothing. Errors: none; without memory there is no label.
//
//      gort::set_label("conn 17");      // goroutine 42 [IO wait, "conn 17"]:
void set_label(std::string_view text);

// Writes every goroutine to the descriptor, as Go's tracebacks show them: id, state, what it waits for and since when,
// stack, created by. Of those that run on other threads the stack is not known.
void dump_goroutines(int fd);

// Ties the calling goroutine to its thread: the goroutine runs on that thread only, and no other goroutine runs there.
// Calls nest. A goroutine that ends while it is tied takes its thread with it. Meanwhile thread_local variables, a
// std::mutex that is held across a blocking call, and libraries that know threads are safe to use. Each time that the
// goroutine blocks and is woken costs a thread switch. Go's runtime.LockOSThread.
//
//      gort::lock_os_thread();
//      gort::defer unlock{[] { gort::unlock_os_thread(); }};
void lock_os_thread();

// Takes one lock_os_thread back. After as many calls as there were of that, the goroutine may change threads again. A
// call too many does nothing. Go's runtime.UnlockOSThread.
void unlock_os_thread();

// Sets how many OS threads gort may have, and returns the limit before, at first 10000. A program that needs more ends
// with Go's message "thread exhaustion". Go's debug.SetMaxThreads.
int set_max_threads(int n);
// Bounds how far a stack may grow, in bytes, and returns the bound before, at first 1 GiB. It counts for goroutines
// that start later and did not ask for a size by stack_size(n); main and goroutines that run already keep their
// stacks. What `stack_size` in the options guarantees stays. Stacks come in the sizes that options::stack_tiers
// names. Any thread, at any time. Go's debug.SetMaxStack (RT-23).
size_t set_max_stack(size_t bytes);

// Calls f, which may block the OS thread, and returns what f returns. While f runs, another thread takes this one's
// place after about 20 us, so that other goroutines go on. A program is right without it, too: a goroutine that
// blocks or computes without calling gort is noticed by itself, after 0.1 to 10 ms.
//
//      const int n = gort::blocking([&] { return pam_authenticate(handle, 0); });
template <class F>
decltype(auto) blocking(F&& f) {
    struct Guard {
        bool on;
        ~Guard() {
            if (on) detail::blocking_end();
        }
    } guard{detail::blocking_begin()};
    return std::forward<F>(f)();
}

}  // namespace gort
