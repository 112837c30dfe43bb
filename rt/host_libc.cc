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

#include "arch/sanitize.h"
#include "kernel/sys.h"
#include "rt/host.h"

namespace gort::rt {

namespace {

// A tool's bookkeeping lives on the stacks it checks.
constexpr size_t kToolStack = GORT_ASAN || GORT_TSAN ? 256 << 10 : 0;
constexpr size_t kMinThreadStack = 16 << 10, kMaxThreadStack = 256 << 20;

void* thread_main(void* p) {
    const HostStart s = *static_cast<HostStart*>(p);
    s.fn(s.arg);
    return nullptr;
}

// One key for all: its value is the list of what this thread has to call.
struct AtExit {
    void (*fn)(void*);
    void* arg;
    AtExit* next;
    int rounds;
};
pthread_key_t g_exit_key;
int g_exit_error = 0;
pthread_once_t g_exit_once = PTHREAD_ONCE_INIT;

// Destructors of other keys may still call into gort and ours has no place in their order, so it steps back to the last
// round but one.
void at_exit(void* p) {
    auto* list = static_cast<AtExit*>(p);
    if (++list->rounds < PTHREAD_DESTRUCTOR_ITERATIONS - 1 && pthread_setspecific(g_exit_key, list) == 0)
        return;
    while (list) {
        AtExit* next = list->next;
        list->fn(list->arg);
        free(list);
        list = next;
    }
}

}  // namespace

int host_start_thread(HostStart* s, size_t stack) {
    pthread_attr_t attr;
    int err = pthread_attr_init(&attr);
    if (!err) {
        pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
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
    }
    return -err;
}

void* host_alloc(size_t bytes) { return malloc(bytes ? bytes : 1); }
void host_free(void* p) { free(p); }

char** host_environ() { return environ; }
uintptr_t host_auxv(uintptr_t type) { return getauxval(type); }

int host_on_thread_exit(void (*fn)(void*), void* arg) {
    pthread_once(&g_exit_once, [] { g_exit_error = pthread_key_create(&g_exit_key, at_exit); });
    if (g_exit_error) return -g_exit_error;
    auto* node = static_cast<AtExit*>(malloc(sizeof(AtExit)));
    if (!node) return -ENOMEM;
    *node = {fn, arg, static_cast<AtExit*>(pthread_getspecific(g_exit_key)), 0};
    const int err = pthread_setspecific(g_exit_key, node);
    if (err) free(node);
    return -err;
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
