// rt/sync/sema.cc - the table of waiters.
// SPDX-License-Identifier: BSD-2-Clause
#include "rt/sync/sema.h"

namespace gort::rt {

constinit SemaSlot g_sema[detail::kSemaSlots];

namespace {

std::atomic<uint32_t>& wanted_of(const Waiter* w) {
    return detail::g_sema_wanted[detail::sema_slot(w->sg.object)];
}

// Plain arithmetic: it changes under the slot's lock only.
void add_wanted(const Waiter* w, uint32_t n) {
    std::atomic<uint32_t>& wanted = wanted_of(w);
    wanted.store(wanted.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

void inherit(Waiter* heir, const Waiter* root) {
    heir->next_root = root->next_root;
    heir->last = root->last;
    heir->woken = root->woken;
    heir->starving = root->starving;
    heir->counted = root->counted;
}

}  // namespace

Waiter** SemaSlot::link_of(const Waiter* root) {
    Waiter** link = &roots;
    while (*link != root) link = &(*link)->next_root;
    return link;
}

void SemaSlot::push_back_slow(Waiter* w) {
    Waiter* root = find(w->sg.object);
    if (!root) return push_alone(w);
    w->sg.next = nullptr;
    w->sg.state = SudogState::kWaiting;
    w->sg.prev = &root->last->sg;
    root->last->sg.next = &w->sg;
    root->last = w;
}

void SemaSlot::push_front(Waiter* w) {
    Waiter* root = find(w->sg.object);
    if (!root) return push_back(w);
    inherit(w, root);
    *link_of(root) = w;
    w->sg.prev = nullptr;
    w->sg.next = &root->sg;
    w->sg.state = SudogState::kWaiting;
    root->sg.prev = &w->sg;
}

void SemaSlot::remove(Waiter* w) {
    w->sg.state = SudogState::kDone;
    auto* next = reinterpret_cast<Waiter*>(w->sg.next);
    auto* prev = reinterpret_cast<Waiter*>(w->sg.prev);
    if (prev) {
        prev->sg.next = w->sg.next;
        if (next) {
            next->sg.prev = w->sg.prev;
        } else {
            Waiter* root = find(w->sg.object);
            root->last = prev;
        }
        return;
    }
    Waiter** link = link_of(w);
    if (!next) {
        *link = w->next_root;
        if (w->counted) add_wanted(w, ~0u);
        return;
    }
    inherit(next, w);
    next->sg.prev = nullptr;
    *link = next;
}

void SemaSlot::count(Waiter* root) {
    const bool wants = !root->woken || root->starving;
    if (wants == root->counted) return;
    root->counted = wants;
    add_wanted(root, wants ? 1 : ~0u);
}

namespace {

bool take_out(Waiter* w) {
    SemaSlot& slot = sema_slot_of(w->sg.object);
    slot.lock.lock();
    const bool waits = w->sg.state == SudogState::kWaiting;
    if (waits) slot.remove(w);
    slot.lock.unlock();
    return waits;
}

}  // namespace

bool sema_give_up(G* gp) { return take_out(reinterpret_cast<Waiter*>(gp->waiting)); }

bool sema_abandon(G* gp) {
    if (gp->param) take_out(static_cast<Waiter*>(gp->param));
    gp->param = nullptr;
    if (gp->wait_reason < WaitReason::kSemacquire || gp->wait_reason > WaitReason::kWaitGroupWait)
        return false;
    if (gp->waiting) take_out(reinterpret_cast<Waiter*>(gp->waiting));
    gp->waiting = nullptr;
    return true;
}

Waiter* sema_take_all(SemaSlot& slot, const void* object) {
    Waiter* root = slot.find(object);
    if (!root) return nullptr;
    Waiter** link = &slot.roots;
    while (*link != root) link = &(*link)->next_root;
    *link = root->next_root;
    if (root->counted) add_wanted(root, ~0u);
    for (Waiter* w = root; w; w = w->next()) w->sg.state = SudogState::kDone;
    return root;
}

void sema_ready_all(M* mp, Waiter* list) {
    while (list) {
        G* gp = list->sg.g;
        list = list->next();  // it is on the stack of the one who is woken
        ready(mp, gp);
    }
}

}  // namespace gort::rt

namespace gort::detail {

constinit std::atomic<uint32_t> g_sema_wanted[kSemaSlots];

}  // namespace gort::detail
