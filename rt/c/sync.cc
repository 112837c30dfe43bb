// rt/c/sync.cc - gort_c.h: the sync objects, which are those of rt/sync in storage that C programs zero.
// SPDX-License-Identifier: BSD-2-Clause
//
// All zeros is a new object of each kind, and none needs a destructor: an rw_mutex whose `enough` is 0 never counts its
// readers in the Ps' places (rt/sync/rw_mutex.cc). No word of a sync object is touched after its last use.
#include "chan/select_ops.h"
#include "rt/c/c.h"
#include "rt/c/chan.h"
#include "rt/go.h"
#include "rt/sync/cond.h"
#include "rt/sync/mutex.h"
#include "rt/sync/rw_mutex.h"
#include "rt/sync/wait_group.h"
#include "rt/time/clock.h"

using namespace gort;
using namespace gort::detail;

namespace gort::c {

namespace {

template <class T, class C>
T* in(C* storage) {
    static_assert(sizeof(T) <= sizeof(C) && alignof(T) <= alignof(C));
    return reinterpret_cast<T*>(storage);
}
MutexWord* word(gort_mutex* m) { return in<MutexWord>(m); }
RwState* word(gort_rw* m) { return in<RwState>(m); }
CondWord* word(gort_cond* c) { return in<CondWord>(c); }

void lock(MutexWord* m) {
    if (!mutex_take_quick(m)) mutex_lock_slow(m, false);
}

struct Once {
    std::atomic<bool> done;
    MutexWord mu;
};

struct Locked {
    MutexWord* m;
    explicit Locked(MutexWord* mu) : m(mu) { lock(m); }
    ~Locked() { mutex_unlock(m); }
    Locked(const Locked&) = delete;
    Locked& operator=(const Locked&) = delete;
};

// First come first served. The side that releases takes a waiter's units for it, and tells it by the waiter's channel.
struct SemWaiter {
    int64_t n;
    SemWaiter* next;
    Hchan* served;
};
struct Sem {
    MutexWord mu;
    int64_t free;
    SemWaiter* first;
    SemWaiter** end;  // null: of an empty queue

    void push(SemWaiter* w) {
        w->next = nullptr;
        *(first ? end : &first) = w;
        end = &w->next;
    }
    // False: it has been served.
    bool remove(SemWaiter* w) {
        SemWaiter** at = &first;
        while (*at && *at != w) at = &(*at)->next;
        if (!*at) return false;
        *at = w->next;
        if (!w->next) end = at;
        return true;
    }
    void serve() {
        while (first && first->n <= free) {
            SemWaiter* w = first;
            first = w->next;
            free -= w->n;
            Hchan* served = w->served;  // w may go as soon as it knows
            chan_retain(served);
            chan_close(served);
            chan_release(served);
        }
    }
};

struct GroupCall {
    gort_wg* w;
    void (*fn)(void*);
    void* arg;
};
void run_of_group(void* storage) {
    GroupCall call = *static_cast<GroupCall*>(storage);
    call_then(
        call.fn, call.arg, [](void* group) { gort_wg_done(static_cast<gort_wg*>(group)); }, call.w);
}

}  // namespace

}  // namespace gort::c

using namespace gort::c;

extern "C" {

void gort_mutex_lock(gort_mutex* m) {
    GORT_C_FENCE();
    lock(word(m));
}
bool gort_mutex_try_lock(gort_mutex* m) {
    GORT_C_FENCE();
    return mutex_take_quick(word(m)) || mutex_try_lock_slow(word(m));
}
bool gort_mutex_lock_until(gort_mutex* m, int64_t deadline) {
    GORT_C_FENCE();
    return mutex_take_quick(word(m)) || mutex_lock_until(word(m), false, deadline);
}
void gort_mutex_unlock(gort_mutex* m) {
    GORT_C_FENCE();
    mutex_unlock(word(m));
}

void gort_rw_lock(gort_rw* m) {
    GORT_C_FENCE();
    rw_lock(word(m));
}
bool gort_rw_try_lock(gort_rw* m) {
    GORT_C_FENCE();
    return rw_try_lock(word(m));
}
void gort_rw_unlock(gort_rw* m) {
    GORT_C_FENCE();
    rw_unlock(word(m));
}
void gort_rw_rlock(gort_rw* m) {
    GORT_C_FENCE();
    rw_lock_shared(word(m));
}
bool gort_rw_try_rlock(gort_rw* m) {
    GORT_C_FENCE();
    return rw_try_lock_shared(word(m));
}
void gort_rw_runlock(gort_rw* m) {
    GORT_C_FENCE();
    rw_unlock_shared(word(m));
}

void gort_cond_wait(gort_cond* c, gort_mutex* m) {
    GORT_C_FENCE();
    cond_wait_mutex(word(c), word(m));
}
bool gort_cond_wait_until(gort_cond* c, gort_mutex* m, int64_t deadline) {
    GORT_C_FENCE();
    return cond_wait_mutex_until(word(c), word(m), deadline);
}
void gort_cond_signal(gort_cond* c) {
    GORT_C_FENCE();
    if (word(c)->waiters.load(std::memory_order_relaxed) != 0) cond_signal(word(c));
}
void gort_cond_broadcast(gort_cond* c) {
    GORT_C_FENCE();
    if (word(c)->waiters.load(std::memory_order_relaxed) != 0) cond_broadcast(word(c));
}

void gort_wg_add(gort_wg* w, int64_t n) {
    GORT_C_FENCE();
    if (n > INT32_MAX || n < INT32_MIN) misused("sync: WaitGroup counter out of range (at most 2147483647)");
    in<wait_group>(w)->add(static_cast<int32_t>(n));
}
void gort_wg_done(gort_wg* w) {
    GORT_C_FENCE();
    in<wait_group>(w)->done();
}
void gort_wg_wait(gort_wg* w) {
    GORT_C_FENCE();
    in<wait_group>(w)->wait();
}

void gort_wg_go(gort_wg* w, void (*fn)(void*), void* arg) {
    GORT_C_FENCE();
    if (!fn) go_of_nil();
    gort_wg_add(w, 1);
    const GroupCall call{w, fn, arg};
    spawn_copy(run_of_group, &call, sizeof call, GORT_C_CALLER(), 0, in<wait_group>(w));
}

void gort_once_do(gort_once* once, void (*fn)(void*), void* arg) {
    GORT_C_FENCE();
    auto* o = in<Once>(once);
    if (o->done.load(std::memory_order_acquire)) return;
    lock(&o->mu);
    if (o->done.load(std::memory_order_relaxed)) return mutex_unlock(&o->mu);
    if (!fn) misused("gort_once_do: fn is null");
    call_then(
        fn, arg,
        [](void* p) {
            auto* me = static_cast<Once*>(p);
            me->done.store(true, std::memory_order_release);
            mutex_unlock(&me->mu);
        },
        o);
}

void gort_sem_init(gort_sem* s, int64_t n) {
    GORT_C_FENCE();
    if (n < 0) misused("gort_sem_init: a negative number of units");
    *s = gort_sem{};
    in<Sem>(s)->free = n;
}

gort_status gort_sem_acquire(gort_sem* s, int64_t n, int64_t deadline) {
    GORT_C_FENCE();
    if (n < 0) return GORT_INVALID;
    auto* sem = in<Sem>(s);
    SemWaiter w{n, nullptr, nullptr};
    {
        const Locked guard(&sem->mu);
        if (n <= sem->free && !sem->first) {
            sem->free -= n;
            return GORT_OK;
        }
        if (deadline <= rt::now()) return GORT_TIMEOUT;
        w.served = signal_new();
        sem->push(&w);
    }
    SelectItem it;
    it.c = w.served;
    it.sends = false;
    it.is_word = true;
    gort_status status = GORT_OK;
    if (select_until1(&it, deadline).index < 0) {
        const Locked guard(&sem->mu);
        if (sem->remove(&w)) {
            status = GORT_TIMEOUT;
            sem->serve();  // those behind it may want less
        }
    }
    chan_release(w.served);
    return status;
}

bool gort_sem_try_acquire(gort_sem* s, int64_t n) {
    GORT_C_FENCE();
    return gort_sem_acquire(s, n, kPassed) == GORT_OK;
}

void gort_sem_release(gort_sem* s, int64_t n) {
    GORT_C_FENCE();
    if (n < 0) misused("gort_sem_release: a negative number of units");
    auto* sem = in<Sem>(s);
    const Locked guard(&sem->mu);
    if (__builtin_add_overflow(sem->free, n, &sem->free)) misused("gort_sem_release: too many units");
    sem->serve();
}

}  // extern "C"
