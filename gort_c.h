// PUBLIC
// gort_c.h - gort for programs in C, and for other languages: goroutines, channels, select, timers, sync, contexts.
// SPDX-License-Identifier: BSD-2-Clause
//
//      static int program(void* arg) { gort_go(worker, arg); gort_sleep_ns(1000000); return 0; }
//      int main(void) { return gort_run(program, NULL, NULL); }
//
//      gcc -std=c11 prog.c libgort.a -pthread             no C++ runtime is needed
//
// Plain C11; a C++ file may include it as well, beside gort.h or alone. What each operation means is what the C++ one
// of the same name means (rt/go.h, chan/chan.h, rt/sync, ctx/context.h …); where that panics, a function here says so
// by a status if it has one, else the process ends: "fatal error: ", the panic's text, the goroutine's stack, exit 2.
// In a program with C++ files an exception gets into no function of this file: one that leaves a function that the
// program gave to gort_once_do, gort_blocking, gort_spawn or gort_wg_go, and one that C++ code below it throws,
// ends the process with its text and the stack of the throw point. So does one that leaves what gort_go or gort_run
// were given, as it does in C++.
//
// Context:   unless a comment says otherwise, everything may be called by any goroutine and any other thread of the
//            process while the runtime is up (gort_run, gort_start); such a thread sleeps on a futex where a goroutine
//            would park. Nothing may be called from a signal handler.
// Deadlines: absolute, in nanoseconds of gort_now_ns()'s clock. GORT_FOREVER is none. With one that has passed nothing
//            blocks, but what can be done at once is done.
// Memory order: a send happens before the receive of its value returns, a close before a receive that says closed, an
//            unlock before the next lock, gort_go before the goroutine's first action, its end before gort_join.
// Callbacks: fn(arg) runs as ordinary code of the goroutine and may block. A null fn is a fatal error.
// errno:     a goroutine can wake on another thread. In files that include this header errno's address is not kept
//            across calls (rt/safe_errno.h); its value is: read it before the next call that can block. thread_local
//            variables belong to threads: do not rely on them across a call that can block. A function in a language
//            whose own state belongs to threads, as Python's does, must not call gort when a goroutine calls it.
#ifndef GORT_C_H
#define GORT_C_H

#include "rt/safe_errno.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#if __STDC_HOSTED__
// C++ files have exceptions: links what knows them (rt/host_cxx.cc).
asm(".globl gort_host_cxx");
#endif
extern "C" {
#endif
// Seen from outside of a shared object that gort is linked into: other languages look them up there.
#pragma GCC visibility push(default)

#define GORT_FOREVER INT64_MAX

typedef enum gort_status {
    GORT_OK = 0,
    GORT_CLOSED = 1,    // the channel or descriptor is closed
    GORT_FULL = 2,      // try: there is no room and no receiver
    GORT_EMPTY = 3,     // try: there is no value and no sender
    GORT_TIMEOUT = 4,   // the deadline passed first
    GORT_CANCELED = 5,  // a context was cancelled; the runtime was stopped
    GORT_INVALID = 6,   // an argument that makes no sense
    GORT_NO_MEMORY = 7,
} gort_status;

// "ok", "closed", …; "unknown status" for any other number. The text lives for ever.
const char* gort_status_text(gort_status s);

// ---- running

// 0 in a field: the default, which an environment variable may give (README.md). A file compiled with a shorter
// gort_options, of an earlier version, gets the defaults of what it does not have.
typedef struct gort_options {
    size_t size;      // sizeof(gort_options)
    int max_procs;    // goroutines that run at once; GORT_MAXPROCS, else the CPUs that there are
    int max_threads;  // OS threads; more than these end the process. 10000
    // bytes of address space for each stack, up to 1 GiB; less than 128 KiB is taken for 128 KiB; GORT_STACK, else
    // 256 KiB
    size_t stack_size;
    uint64_t seed;  // of the scheduler's random choices; GORT_SEED, else random
} gort_options;

// Runs main_fn(arg) as the main goroutine, on this thread at first, and returns what it returns. Goroutines still alive
// then are abandoned. May be called again. Options out of range, a second run while one is active: fatal error.
int gort_run(int (*main_fn)(void* arg), void* arg, const gort_options* o);
// The same runtime in the background of a program that has a main of its own. GORT_INVALID: options out of range, or
// it is up already.
gort_status gort_start(const gort_options* o);
// Abandons what still lives. By a thread that is no goroutine, after gort_start; else a fatal error.
void gort_stop(void);

// Starts a goroutine that calls fn(arg). Never blocks. No memory: fatal error.
void gort_go(void (*fn)(void* arg), void* arg);
// With `stack` bytes of stack reserved for it (at most 1 GiB, else a fatal error); 0: as gort_go.
void gort_go_sized(size_t stack, void (*fn)(void* arg), void* arg);

// A goroutine with a handle. Null: no memory. Every handle is given to gort_join until that says GORT_OK, or to
// gort_detach once.
typedef struct gort_task gort_task;
gort_task* gort_spawn(void* (*fn)(void* arg), void* arg);
// Waits for the end. GORT_OK: *result (result may be null) is what fn returned, null if it ended by gort_goexit, and t
// is gone. GORT_TIMEOUT: t is as it was. GORT_INVALID: t is null. One joins a task, once.
gort_status gort_join(gort_task* t, void** result, int64_t deadline);
// Gives the handle back of a goroutine that is not to be joined. Null: nothing.
void gort_detach(gort_task* t);

void gort_yield(void);  // lets others run
// Ends this goroutine. Its stack is unwound: C++ destructors run, and cleanups of C code compiled with -fexceptions. On
// a thread that is not a goroutine's: fatal error.
#ifdef __cplusplus
[[noreturn]]
#else
_Noreturn
#endif
void gort_goexit(void);
uint64_t gort_goid(void);               // the caller's number in tracebacks; 0 on other threads
void gort_set_label(const char* text);  // up to 63 bytes beside it in tracebacks; null or "": none
int gort_gomaxprocs(int n);             // sets how many run at once, returns how many before; n < 1 only asks
int gort_num_goroutine(void);           // that exist
// Ties the calling goroutine to its thread: it runs there only, and no other goroutine does, until
// gort_unlock_os_thread has been called as often. For thread_local variables and libraries that know threads.
void gort_lock_os_thread(void);
void gort_unlock_os_thread(void);  // takes one gort_lock_os_thread back
// Calls fn(arg), which may block the thread for long, while other goroutines go on. A program is right without it, too:
// a goroutine that blocks unannounced is noticed after 0.1 to 10 ms.
void gort_blocking(void (*fn)(void* arg), void* arg);
void gort_dump(int fd);  // writes every goroutine, with its stack, to fd

// ---- time

int64_t gort_now_ns(void);       // CLOCK_MONOTONIC, or a simulation's time
void gort_sleep_ns(int64_t ns);  // at least; ns <= 0 returns at once
void gort_sleep_until(int64_t deadline);

typedef struct gort_timer gort_timer;
// Calls fn(arg) in a goroutine of its own once ns nanoseconds have passed (at once if ns <= 0). Null: no memory. The
// handle is to be freed; what is pending then runs all the same.
gort_timer* gort_after_func(int64_t ns, void (*fn)(void* arg), void* arg);
// True: this call stopped it, fn will not run. False: it has run, has been started or was stopped before.
bool gort_timer_stop(gort_timer* t);
// fn runs ns from now, instead of or after what was set before. The result is stop's.
bool gort_timer_reset(gort_timer* t, int64_t ns);
void gort_timer_free(gort_timer* t);  // null: nothing

// ---- channels

// Elements are `elem` bytes, copied; elem may be 0. A null channel is Go's nil channel: never ready. Elements of up to
// 8 bytes travel in registers; anything large is better sent as a pointer.
// Where an element is given (from) null stands for zeros; where one is put (to) it says that the value is not wanted.
typedef struct gort_chan gort_chan;
// One reference. Null: cap < 0, more than can be addressed, or no memory.
gort_chan* gort_chan_make(size_t elem, int64_t cap);
gort_chan* gort_chan_ref(gort_chan* c);  // one more; returns c. Null: null
void gort_chan_unref(gort_chan* c);      // one less; the last frees it and what it holds. Null: nothing
gort_status gort_chan_send(gort_chan* c, const void* from);                          // GORT_OK, GORT_CLOSED
gort_status gort_chan_send_until(gort_chan* c, const void* from, int64_t deadline);  // also GORT_TIMEOUT
gort_status gort_chan_try_send(gort_chan* c, const void* from);  // GORT_OK, GORT_CLOSED, GORT_FULL
gort_status gort_chan_recv(gort_chan* c, void* to);              // GORT_OK, GORT_CLOSED: *to is zeroed
gort_status gort_chan_recv_until(gort_chan* c, void* to,
                                 int64_t deadline);      // also GORT_TIMEOUT: *to as it was
gort_status gort_chan_try_recv(gort_chan* c, void* to);  // GORT_OK, GORT_CLOSED, GORT_EMPTY
gort_status gort_chan_close(gort_chan* c);  // GORT_OK; GORT_CLOSED: it was closed already; GORT_INVALID: null
size_t gort_chan_len(const gort_chan* c);   // elements in the buffer now
size_t gort_chan_cap(const gort_chan* c);

typedef enum gort_dir { GORT_RECV = 0, GORT_SEND = 1 } gort_dir;
typedef struct gort_case {
    gort_chan* chan;  // null: never ready
    gort_dir dir;
    void* elem;  // what is sent, or where it is put
    gort_status
        status;  // out, of the case that ran: GORT_OK or GORT_CLOSED (of a send, too: nothing was sent)
} gort_case;
enum { GORT_SELECT_DEFAULT = 1 };
// Waits until one of the cases can proceed and does that one; of several each is as likely. Returns its index; -1: none
// is ready and flags has GORT_SELECT_DEFAULT; -2: the deadline passed. cases may be null if n is 0. n < 0, or a dir
// that is neither: fatal error. More than 16 cases use the heap.
int gort_select(gort_case* cases, int n, int flags, int64_t deadline);

// ---- sync

// Objects are zero-initialised storage (static, calloc, or = GORT_INIT), need no destroy and must not be copied or
// moved while in use. Misuse is a fatal error with Go's text: "sync: unlock of unlocked mutex".
typedef struct gort_mutex {
    uint64_t opaque[1];
} gort_mutex;
typedef struct gort_rw {
    uint64_t opaque[4];
} gort_rw;
typedef struct gort_cond {
    uint64_t opaque[2];
} gort_cond;
typedef struct gort_wg {
    uint64_t opaque[2];
} gort_wg;
typedef struct gort_once {
    uint64_t opaque[2];
} gort_once;
typedef struct gort_sem {
    uint64_t opaque[4];
} gort_sem;
#define GORT_INIT \
    {             \
        { 0 }     \
    }

void gort_mutex_lock(gort_mutex* m);                          // blocks until the caller has it
bool gort_mutex_try_lock(gort_mutex* m);                      // true: the caller has it. Never blocks
bool gort_mutex_lock_until(gort_mutex* m, int64_t deadline);  // false: the deadline passed
void gort_mutex_unlock(gort_mutex* m);                        // by any goroutine

// Many readers or one writer; a waiting writer stops new readers.
void gort_rw_lock(gort_rw* m);
bool gort_rw_try_lock(gort_rw* m);
void gort_rw_unlock(gort_rw* m);
void gort_rw_rlock(gort_rw* m);  // for reading: many at a time; a writer that waits comes first
bool gort_rw_try_rlock(gort_rw* m);
void gort_rw_runlock(gort_rw* m);

// All waits for one cond use one mutex at a time. wait unlocks m, waits for a signal, and locks m again; it does not
// return without a signal. wait_until: false if the deadline passed; m is locked either way.
void gort_cond_wait(gort_cond* c, gort_mutex* m);
bool gort_cond_wait_until(gort_cond* c, gort_mutex* m, int64_t deadline);
void gort_cond_signal(gort_cond* c);     // wakes the one that has waited longest
void gort_cond_broadcast(gort_cond* c);  // wakes all that wait now

void gort_wg_add(gort_wg* w, int64_t n);                        // the sum within 0 to 2^31 - 1
void gort_wg_done(gort_wg* w);                                  // counts one down
void gort_wg_wait(gort_wg* w);                                  // until the count is 0
void gort_wg_go(gort_wg* w, void (*fn)(void* arg), void* arg);  // add(1), gort_go, and done when fn has ended

// Calls fn(arg), unless an earlier call with o has called its function; returns when that function has ended.
void gort_once_do(gort_once* o, void (*fn)(void* arg), void* arg);

// n units, first come first served; zero-initialised storage has none until release adds some. acquire: GORT_OK,
// GORT_TIMEOUT, GORT_INVALID (n < 0). init: before any other use.
void gort_sem_init(gort_sem* s, int64_t n);
gort_status gort_sem_acquire(gort_sem* s, int64_t n, int64_t deadline);
bool gort_sem_try_acquire(gort_sem* s, int64_t n);  // false also while others wait
void gort_sem_release(gort_sem* s, int64_t n);      // also more than was acquired; n < 0: fatal error

// ---- contexts

// A tree of requests: the end of one ends all that were made from it. A context is counted; every maker gives one
// reference, which gort_ctx_unref gives back. A child keeps its parent. Null from a maker: no memory; a null parent:
// fatal error.
typedef struct gort_ctx gort_ctx;
gort_ctx* gort_ctx_background(void);  // never ends; unref does nothing to it
gort_ctx* gort_ctx_with_cancel(gort_ctx* parent);
gort_ctx* gort_ctx_with_deadline(gort_ctx* parent, int64_t deadline);
gort_ctx* gort_ctx_with_value(gort_ctx* parent, const void* key,
                              void* value);                // keys are compared as addresses
void* gort_ctx_value(const gort_ctx* c, const void* key);  // the nearest, or null
// Ends it and all below it. Of one made with_value: the context it was made from. Again: nothing. Background: nothing.
void gort_ctx_cancel(gort_ctx* c);
// Closed when it has ended. Borrowed: it lives as long as c. Null if it can never end.
gort_chan* gort_ctx_done(gort_ctx* c);
gort_status gort_ctx_err(const gort_ctx* c);  // GORT_OK while it lasts, GORT_CANCELED, GORT_TIMEOUT
bool gort_ctx_deadline(const gort_ctx* c, int64_t* deadline);  // false: it has none
gort_ctx* gort_ctx_ref(gort_ctx* c);                           // one reference more; c
// Gives one reference back. The last one of a context that has not ended leaves it to its parent: nothing ends.
void gort_ctx_unref(gort_ctx* c);

// ---- descriptors

// Parks until fd is ready. events: 1 readable, 2 writable, 3 either. The caller keeps fd and its mode; several may wait
// for one. GORT_OK also when fd has an error or was hung up, and for a file, which is always ready. GORT_TIMEOUT;
// GORT_CLOSED: gort_fd_forget; GORT_INVALID: no such descriptor, or events; GORT_CANCELED: gort_stop; GORT_NO_MEMORY.
gort_status gort_fd_wait(int fd, int events, int64_t deadline);
// To be called before close(fd): ends every wait for it with GORT_CLOSED, and returns when they have ended.
void gort_fd_forget(int fd);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
