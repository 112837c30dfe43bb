// rt/sync/pool.cc - a pool's places, one for each P, and lists.
// SPDX-License-Identifier: BSD-2-Clause
//
// A P's place holds one item and is the P's own, inside the gate: no locked instruction. What has no room there goes
// into the P's list, which has a lock: its owner works at the head, those who have nothing left take from the tail.
// Threads without a P, and Ps beyond kPoolPlaces, share one list.
// trim exchanges the whole array and waits until everybody has been outside the gate; foreign threads never touch it.
// Invariants: (1) an item is in one place or list. (2) `locals` is read and used inside the gate by holders of a P
// only.
#include "rt/sync/pool.h"

#include "kernel/mem.h"
#include "rt/base/inside_lock.h"
#include "rt/own/gate.h"
#include "rt/sched/sched.h"

namespace gort::detail {

using namespace rt;

namespace {

struct List {
    PoolNode* head = nullptr;
    PoolNode* tail = nullptr;

    void push(PoolNode* n) {
        n->prev = nullptr;
        n->next = head;
        (head ? head->prev : tail) = n;
        head = n;
    }
    PoolNode* pop_head() {
        PoolNode* n = head;
        if (!n) return nullptr;
        head = n->next;
        (head ? head->prev : tail) = nullptr;
        return n;
    }
    PoolNode* pop_tail() {
        PoolNode* n = tail;
        if (!n) return nullptr;
        tail = n->prev;
        (tail ? tail->next : head) = nullptr;
        return n;
    }
};

struct alignas(64) Local : PoolPlace {
    InsideLock lock{kernel::LockRank::kSync};
    List list;
    std::atomic<uint32_t> filled{0};  // of the list; a look without the lock is a guess
    // a T that is no word lies behind
};
static_assert(sizeof(Local) == kPoolWordStride);

size_t stride_of(const PoolOps* ops) {
    const size_t align = ops->align > 64 ? ops->align : 64;
    const size_t with = sizeof(Local) + (ops->move ? ops->size + ops->align : 0);
    return (with + align - 1) / align * align;
}

}  // namespace

struct PoolShare : PoolFront {
    const PoolOps* ops;
    size_t stride, item;  // bytes from one Local to the next; from a Local to its T
    Local common;         // for goroutines without a place
    Local aside;          // trim
};

namespace {

[[gnu::always_inline]] inline Local* local_at(PoolShare* s, uint32_t index) {
    return reinterpret_cast<Local*>(s->locals.load(std::memory_order_acquire) + index * s->stride);
}
// Null: this thread has none.
[[gnu::always_inline]] inline Local* local_of(PoolShare* s, const M* mp) {
    const P* pp = p_of(const_cast<M*>(mp));
    if (!pp || pp->index >= kPoolPlaces) [[unlikely]]
        return nullptr;
    return local_at(s, pp->index);
}
void* item_of(PoolShare* s, Local* l) { return reinterpret_cast<char*>(l) + s->item; }

void push_into(Local* l, PoolNode* node) {
    InsideLockGuard guard(l->lock);
    l->list.push(node);
    l->filled.store(l->filled.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}
PoolNode* pop_from(Local* l, bool head) {
    if (l->filled.load(std::memory_order_relaxed) == 0) return nullptr;
    InsideLockGuard guard(l->lock);
    PoolNode* node = head ? l->list.pop_head() : l->list.pop_tail();
    if (node) l->filled.store(l->filled.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
    return node;
}
PoolNode* take_list(Local* l) {
    InsideLockGuard guard(l->lock);
    PoolNode* list = l->list.head;
    l->list = {};
    l->filled.store(0, std::memory_order_relaxed);
    return list;
}

}  // namespace

size_t pool_share_bytes() { return sizeof(PoolShare); }
size_t pool_locals_bytes(const PoolOps* ops) { return stride_of(ops) * kPoolPlaces; }
void* pool_locals(PoolShare* s) { return s->locals.load(std::memory_order_acquire); }

void pool_init(PoolShare* memory, const PoolOps* ops, void* locals) {
    auto* s = new (static_cast<void*>(memory)) PoolShare;
    s->ops = ops;
    s->stride = stride_of(ops);
    s->item = (sizeof(Local) + ops->align - 1) / ops->align * ops->align;
    for (uint32_t i = 0; i < kPoolPlaces; ++i) new (static_cast<char*>(locals) + i * s->stride) Local;
    s->locals.store(static_cast<char*>(locals), std::memory_order_release);
}

bool pool_get(PoolShare* s, void* to) {
    M* mp = enter();
    Local* l = local_of(s, mp);
    const bool there = l && l->full;
    if (there) {
        s->ops->relocate(to, item_of(s, l));
        l->full = false;
    }
    leave(mp);
    return there;
}

bool pool_put(PoolShare* s, void* from) {
    M* mp = enter();
    Local* l = local_of(s, mp);
    const bool room = l && !l->full;
    if (room) {
        s->ops->move(item_of(s, l), from);
        l->full = true;
    }
    leave(mp);
    return room;
}

PoolNode* pool_pop(PoolShare* s) {
    M* mp = enter();
    PoolNode* node = nullptr;
    if (Local* own = local_of(s, mp)) {
        node = pop_from(own, true);
        const uint32_t mine = p_of(mp)->index;
        auto n = static_cast<uint32_t>(sched.nallp.load(std::memory_order_acquire));
        if (n > kPoolPlaces) n = kPoolPlaces;
        for (uint32_t i = 1; !node && i < n; ++i) node = pop_from(local_at(s, (mine + i) % n), false);
    }
    if (!node) node = pop_from(&s->common, true);
    if (!node) node = pop_from(&s->aside, false);
    leave(mp);
    return node;
}

void pool_push(PoolShare* s, PoolNode* node) {
    M* mp = enter();
    Local* own = local_of(s, mp);
    push_into(own ? own : &s->common, node);
    leave(mp);
}

void* pool_exchange_locals(PoolShare* s, void* fresh) {
    for (uint32_t i = 0; i < kPoolPlaces; ++i) new (static_cast<char*>(fresh) + i * s->stride) Local;
    void* old = s->locals.exchange(static_cast<char*>(fresh), std::memory_order_acq_rel);
    wait_for_all_outside();
    return old;
}

bool pool_empty_place(PoolShare* s, void* locals, size_t i, void* to) {
    auto* l = reinterpret_cast<Local*>(static_cast<char*>(locals) + i * s->stride);
    if (s->ops->filled ? !l->word : !l->full) return false;
    l->full = false;
    if (s->ops->relocate) s->ops->relocate(to, item_of(s, l));
    else kernel::copy_bytes(to, &l->word, sizeof l->word);
    return true;
}

PoolNode* pool_take_lists(PoolShare* s, void* locals) {
    M* mp = enter();
    PoolNode* all = nullptr;
    auto add = [&all](PoolNode* list) {
        while (list) {
            PoolNode* next = list->next;
            list->next = all;
            all = list;
            list = next;
        }
    };
    for (uint32_t i = 0; i < kPoolPlaces; ++i)
        add(take_list(reinterpret_cast<Local*>(static_cast<char*>(locals) + i * s->stride)));
    add(take_list(&s->common));
    leave(mp);
    return all;
}

PoolNode* pool_set_aside(PoolShare* s, PoolNode* list) {
    M* mp = enter();
    PoolNode* before = take_list(&s->aside);
    while (list) {
        PoolNode* next = list->next;
        push_into(&s->aside, list);
        list = next;
    }
    leave(mp);
    return before;
}

}  // namespace gort::detail
