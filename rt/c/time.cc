// rt/c/time.cc - gort_c.h: the clock, sleeping, and functions that a timer calls.
// SPDX-License-Identifier: BSD-2-Clause
#include "chan/time.h"
#include "rt/c/c.h"
#include "rt/time.h"
#include "rt/time/clock.h"

using namespace gort;

struct gort_timer : gort::detail::FuncTimer {
    void (*fn)(void*);
    void* arg;
};

namespace gort::c {

namespace {

// The goroutine that the timer starts, with the reference of the setting that fired.
void run_timer(void* storage) {
    auto* t = static_cast<gort_timer*>(*static_cast<gort::detail::FuncTimer**>(storage));
    call_then(
        t->fn, t->arg, [](void* p) { gort::detail::func_timer_release(static_cast<gort_timer*>(p)); }, t);
}

}  // namespace

}  // namespace gort::c

using namespace gort::c;

extern "C" {

int64_t gort_now_ns() { return rt::now(); }

void gort_sleep_ns(int64_t ns) {
    GORT_C_FENCE();
    gort::detail::sleep_ns(ns);
}

void gort_sleep_until(int64_t deadline) {
    GORT_C_FENCE();
    gort::detail::sleep_to(deadline);
}

gort_timer* gort_after_func(int64_t ns, void (*fn)(void*), void* arg) {
    GORT_C_FENCE();
    if (!fn) misused("time: AfterFunc of a nil function");
    void* memory = rt::host_alloc(sizeof(gort_timer));
    if (!memory) return nullptr;
    auto* t = new (memory) gort_timer;
    t->fn = fn;
    t->arg = arg;
    t->site = GORT_C_CALLER();
    t->invoke = run_timer;
    t->destroy = [](gort::detail::FuncTimer* p) noexcept { rt::host_free(p); };
    gort::detail::func_timer_start(t, ns > 0 ? ns : 0);
    return t;
}

bool gort_timer_stop(gort_timer* t) {
    GORT_C_FENCE();
    if (!t) misused("time: Stop called on uninitialized Timer");
    return gort::detail::func_timer_stop(t);
}

bool gort_timer_reset(gort_timer* t, int64_t ns) {
    GORT_C_FENCE();
    if (!t) misused("time: Reset called on uninitialized Timer");
    return gort::detail::func_timer_reset(t, ns > 0 ? ns : 0);
}

void gort_timer_free(gort_timer* t) {
    GORT_C_FENCE();
    if (t) gort::detail::func_timer_release(t);
}

}  // extern "C"
