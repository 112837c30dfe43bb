// rt/c/run.cc - gort_c.h: running goroutines, with and without a handle.
// SPDX-License-Identifier: BSD-2-Clause
#include "chan/ops.h"
#include "chan/select_ops.h"
#include "kernel/mem.h"
#include "rt/base/report.h"
#include "rt/c/c.h"
#include "rt/c/chan.h"
#include "rt/go.h"
#include "rt/sched/sched.h"

using namespace gort;

namespace gort::c {

void misused(const char* text) { rt::fatal_error(text); }

namespace {

// Fields that the caller's version does not have are 0. False: no size.
bool options_of(const gort_options* from, options* to) {
    gort_options o{};
    if (from) {
        if (from->size < sizeof(size_t)) return false;
        kernel::copy_bytes(&o, from, from->size < sizeof o ? from->size : sizeof o);
    }
    to->max_procs = o.max_procs;
    to->max_threads = o.max_threads;
    to->stack_size = o.stack_size;
    to->seed = o.seed;
    return true;
}

struct Call {
    void (*fn)(void*);
    void* arg;
};
void run_call(void* storage) {
    const Call call = *static_cast<Call*>(storage);
    call.fn(call.arg);
}

void spawn(const Site& site, size_t stack, void (*fn)(void*), void* arg) {
    if (!fn) gort::detail::go_of_nil();
    const Call call{fn, arg};
    gort::detail::spawn_copy(run_call, &call, sizeof call, site, stack, nullptr);
}

}  // namespace

}  // namespace gort::c

// refs: the handle, and the goroutine.
struct gort_task {
    std::atomic<uint32_t> refs{2};
    gort::detail::Hchan* done;  // of words; closed at the end
    void* (*fn)(void*);
    void* arg;
    void* result = nullptr;
};

namespace gort::c {

namespace {

void release(gort_task* t) {
    if (t->refs.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    gort::detail::chan_release(t->done);
    rt::host_free(t);
}

void run_task(void* storage) {
    auto* t = *static_cast<gort_task**>(storage);
    call_then(
        [](void* p) {
            auto* task = static_cast<gort_task*>(p);
            task->result = task->fn(task->arg);
        },
        t,
        [](void* p) {
            auto* task = static_cast<gort_task*>(p);
            gort::detail::chan_close(task->done);
            release(task);
        },
        t);
}

struct MainCall {
    int (*fn)(void*);
    void* arg;
    int result;
};
void run_program(void* storage) {
    auto* call = *static_cast<MainCall**>(storage);
    call->result = call->fn(call->arg);
}

}  // namespace

}  // namespace gort::c

using namespace gort::c;

extern "C" {

const char* gort_status_text(gort_status s) {
    static constexpr const char* kTexts[] = {"ok",      "closed",   "full",    "empty",
                                             "timeout", "canceled", "invalid", "no memory"};
    const auto i = static_cast<unsigned>(s);
    return i < sizeof kTexts / sizeof *kTexts ? kTexts[i] : "unknown status";
}

int gort_run(int (*main_fn)(void*), void* arg, const gort_options* o) {
    GORT_C_FENCE();
    if (!main_fn) misused("gort_run: main_fn is null");
    options opts;
    if (!options_of(o, &opts)) misused("gort_run: options.size is not sizeof(gort_options)");
    MainCall call{main_fn, arg, 0};
    gort::detail::run_main(run_program, &call, opts);
    return call.result;
}

gort_status gort_start(const gort_options* o) {
    GORT_C_FENCE();
    options opts;
    if (!options_of(o, &opts)) return GORT_INVALID;
    return gort::detail::start_or_why(opts) ? GORT_INVALID : GORT_OK;
}

void gort_stop() {
    GORT_C_FENCE();
    gort::stop();
}

void gort_go(void (*fn)(void*), void* arg) {
    GORT_C_FENCE();
    spawn(GORT_C_CALLER(), 0, fn, arg);
}

void gort_go_sized(size_t stack, void (*fn)(void*), void* arg) {
    GORT_C_FENCE();
    spawn(GORT_C_CALLER(), stack, fn, arg);
}

gort_task* gort_spawn(void* (*fn)(void*), void* arg) {
    GORT_C_FENCE();
    if (!fn) gort::detail::go_of_nil();
    void* memory = gort::rt::host_alloc(sizeof(gort_task));
    if (!memory) return nullptr;
    auto* t = new (memory) gort_task{.done = signal_new(), .fn = fn, .arg = arg};
    gort::detail::spawn_copy(run_task, &t, sizeof t, GORT_C_CALLER(), 0, nullptr);
    return t;
}

gort_status gort_join(gort_task* t, void** result, int64_t deadline) {
    GORT_C_FENCE();
    if (!t) return GORT_INVALID;
    gort::detail::SelectItem item;
    item.c = t->done;
    item.sends = false;
    item.is_word = true;
    item.word = 0;
    if (gort::detail::select_until1(&item, deadline).index < 0) return GORT_TIMEOUT;
    if (result) *result = t->result;
    release(t);
    return GORT_OK;
}

void gort_detach(gort_task* t) {
    GORT_C_FENCE();
    if (t) release(t);
}

void gort_yield() {
    GORT_C_FENCE();
    gort::yield();
}

void gort_goexit() {
    GORT_C_FENCE();
    const gort::rt::M* mp = gort::rt::self();
    if (!mp || mp->foreign) misused("goexit: called outside of a goroutine");
    gort::rt::host_goexit();
}

uint64_t gort_goid() {
    const gort::rt::M* mp = gort::rt::self();
    return mp && !mp->foreign ? mp->curg->id : 0;
}

void gort_set_label(const char* text) {
    GORT_C_FENCE();
    gort::set_label({text ? text : "", text ? gort::kernel::str_len(text) : 0});
}

int gort_gomaxprocs(int n) {
    GORT_C_FENCE();
    return gort::gomaxprocs(n);
}
int gort_num_goroutine() { return gort::num_goroutine(); }

void gort_lock_os_thread() {
    GORT_C_FENCE();
    gort::lock_os_thread();
}
void gort_unlock_os_thread() {
    GORT_C_FENCE();
    gort::unlock_os_thread();
}

void gort_blocking(void (*fn)(void*), void* arg) {
    GORT_C_FENCE();
    if (!fn) misused("gort_blocking: fn is null");
    bool handed_on = gort::detail::blocking_begin();
    call_then(
        fn, arg,
        [](void* on) {
            if (*static_cast<bool*>(on)) gort::detail::blocking_end();
        },
        &handed_on);
}

void gort_dump(int fd) { gort::dump_goroutines(fd); }

}  // extern "C"
