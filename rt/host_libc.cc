// rt/host_libc.cc - host.h for programs with libc: pthreads, their ends, the environment, memory.
// SPDX-License-Identifier: BSD-2-Clause
//
// Compiled as the core is, so that a program in C needs no C++ runtime for it.
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <atomic>

#include "arch/sanitize.h"
#include "kernel/sys.h"
#include "rt/host.h"

namespace gort::rt {

namespace {

// A tool's bookkeeping lives on the stacks it checks.
constexpr size_t kToolStack = GORT_ASAN || GORT_TSAN ? 256 << 10 : 0;
constexpr size_t kMinThreadStack = 16 << 10, kMaxThreadStack = 256 << 20;

// Threads are joined, so that unload can wait until they have left our code: by those that end later, which wait
// only if too many are still ending.
std::atomic<int> g_threads{0};         // that do not lie in g_ended yet. T1: release to acquire
std::atomic<pthread_t> g_ended[32]{};  // 0: a free place. T2: release to acquire

#if !GORT_TSAN
void put_ended(pthread_t thread) {
    for (auto& place : g_ended) {
        pthread_t none = 0;
        if (place.compare_exchange_strong(none, thread, std::memory_order_acq_rel)) return;  // T2
    }
    // The thread that lies there began to end before us, so threads do not wait in a ring.
    if (const pthread_t other = g_ended[0].exchange(thread, std::memory_order_acq_rel))  // T2
        pthread_join(other, nullptr);
}

void join_ended() {
    for (auto& place : g_ended) {
        if (place.load(std::memory_order_relaxed) == 0) continue;
        const pthread_t thread = place.exchange(0, std::memory_order_acq_rel);  // T2
        if (thread && pthread_tryjoin_np(thread, nullptr) == EBUSY) put_ended(thread);
    }
}
#endif

void* thread_main(void* p) {
    const HostStart s = *static_cast<HostStart*>(p);
    s.fn(s.arg);
#if GORT_TSAN
    pthread_detach(pthread_self());  // it takes the last one, which is not joined, for a leak
#else
    join_ended();
    put_ended(pthread_self());
#endif
    g_threads.fetch_sub(1, std::memory_order_release);  // T1
    return nullptr;
}

// One key for all: its value is the list of what this thread has to call.
pthread_key_t g_exit_key;
int g_exit_error = 0;
bool g_has_exit_key = false;
pthread_once_t g_exit_once = PTHREAD_ONCE_INIT;

// Destructors of other keys may still call into gort and ours has no place in their order, so it steps back to the last
// round but one.
void at_exit(void* p) {
    auto* list = static_cast<HostThreadExit*>(p);
    if (++list->rounds < PTHREAD_DESTRUCTOR_ITERATIONS - 1 && pthread_setspecific(g_exit_key, list) == 0)
        return;
    while (list) {
        HostThreadExit* next = list->next;
        list->fn(list->arg);
        list = next;
    }
}

}  // namespace

int host_start_thread(HostStart* s, size_t stack) {
    pthread_attr_t attr;
    int err = pthread_attr_init(&attr);
    if (!err) {
        g_threads.fetch_add(1, std::memory_order_relaxed);
        // EINVAL: too small. libc puts the program's thread_locals on this stack too, and they may be large.
        size_t size = stack + kMinThreadStack + kToolStack;
        for (;;) {
            pthread_t thread;
            err = pthread_attr_setstacksize(&attr, size);
            if (!err) err = kernel::injected_error(kernel::Sys::kClone);
            if (!err) err = pthread_create(&thread, &attr, thread_main, s);
            if (err != EINVAL || size * 2 > kMaxThreadStack) break;
            size *= 2;
        }
        pthread_attr_destroy(&attr);
        if (err) g_threads.fetch_sub(1, std::memory_order_relaxed);
    }
    return -err;
}

void host_wait_for_threads() {
    while (g_threads.load(std::memory_order_acquire)) usleep(100);  // T1
    for (auto& place : g_ended)
        if (const pthread_t thread = place.exchange(0, std::memory_order_acq_rel))  // T2
            pthread_join(thread, nullptr);
}

// libc frees the stacks of the threads that are not in the child.
void host_in_child() {
    g_threads.store(0, std::memory_order_relaxed);
    for (auto& place : g_ended) place.store(0, std::memory_order_relaxed);
}

void* host_alloc(size_t bytes) { return malloc(bytes ? bytes : 1); }
void host_free(void* p) { free(p); }

char** host_environ() { return environ; }
uintptr_t host_auxv(uintptr_t type) { return getauxval(type); }

int host_on_thread_exit(HostThreadExit* node, void (*fn)(void*), void* arg) {
    pthread_once(&g_exit_once, [] {
        g_exit_error = pthread_key_create(&g_exit_key, at_exit);
        g_has_exit_key = g_exit_error == 0;
    });
    if (g_exit_error) return -g_exit_error;
    *node = {fn, arg, static_cast<HostThreadExit*>(pthread_getspecific(g_exit_key)), 0};
    return -pthread_setspecific(g_exit_key, node);
}

void host_drop_exit_key() {
    if (g_has_exit_key) pthread_key_delete(g_exit_key);
}

void host_on_fork(void (*fn)()) { pthread_atfork(nullptr, nullptr, fn); }

#if GORT_TSAN
// They block every signal that may be blocked, which other threads hardly do.
int host_tool_threads() {
    DIR* tasks = opendir("/proc/self/task");
    if (!tasks) return 0;
    int n = 0;
    while (const dirent* task = readdir(tasks)) {
        char path[300], text[512];
        snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
        FILE* f = fopen(path, "r");
        if (!f) continue;
        // Some lines are longer than the text, but not this one.
        while (fgets(text, sizeof text, f)) n += strcmp(text, "SigBlk:\tfffffffe7ffbfeff\n") == 0;
        fclose(f);
    }
    closedir(tasks);
    return n;
}
#else
int host_tool_threads() { return 0; }
#endif

void host_flush_stdout() {
    if (ftrylockfile(stdout) != 0) return;
    fflush_unlocked(stdout);
    funlockfile(stdout);
}

}  // namespace gort::rt
