// tests/explore/memory.cc - stores in modification order, views, fences.
// SPDX-License-Identifier: BSD-2-Clause
#include "tests/explore/memory.h"

#include <cstring>

#include "tests/explore/world.h"

namespace gort::explore {

namespace {

uint64_t peek(uintptr_t address, int size) {
    uint64_t value = 0;
    std::memcpy(&value, reinterpret_cast<const void*>(address), static_cast<size_t>(size));
    return value;
}
void poke(uintptr_t address, int size, uint64_t value) {
    world->wrote(address);
    std::memcpy(reinterpret_cast<void*>(address), &value, static_cast<size_t>(size));
}
uint32_t slot(uintptr_t address, uint32_t mask) {
    return static_cast<uint32_t>((address >> 1) * 0x9e3779b97f4a7c15u >> 40) & mask;
}
bool known(const Store* s, const Clock& by) {
    if (s->by < 0) return true;
    for (int i = 0; i < kThreads; ++i)
        if (s->known[i] && s->known[i] <= by.at[i]) return true;
    return false;
}

}  // namespace

void Memory::init() {
    words_ = pages<Word>(kWords);
    cells_ = pages<Cell>(kCells);
    stores_ = pages<Store>(kStores);
    shared_ = pages<uintptr_t>(kWords);
}

void Memory::forget() {
    ++generation_;
    used_stores_ = 0;
    time_ = 0;
    sc_ = {};
}

bool Memory::shared(const void* address) const {
    const auto a = reinterpret_cast<uintptr_t>(address);
    for (uint32_t i = slot(a, kWords - 1); shared_[i]; i = (i + 1) & (kWords - 1))
        if (shared_[i] == a) return true;
    return false;
}

void Memory::make_shared(const void* address) {
    if (shared(address) || ignored(address)) return;
    const auto a = reinterpret_cast<uintptr_t>(address);
    uint32_t i = slot(a, kWords - 1);
    while (shared_[i]) i = (i + 1) & (kWords - 1);
    shared_[i] = a;
    learned = true;
}

// What the newest stores to these bytes carry, by accesses of any size.
View Memory::carried(uintptr_t a, int size) const {
    View all{};
    for (uintptr_t b = a - 7; b < a + static_cast<uintptr_t>(size); ++b) {
        uint32_t i = slot(b, kWords - 1);
        while (words_[i].generation == generation_ && words_[i].address != b) i = (i + 1) & (kWords - 1);
        const Word& w = words_[i];
        if (w.generation == generation_ && w.n && b + static_cast<uintptr_t>(w.size) > a)
            all.join(w.stores[w.n - 1]->carries);
    }
    return all;
}

Word* Memory::word(const void* address, int size) {
    const auto a = reinterpret_cast<uintptr_t>(address);
    uint32_t i = slot(a, kWords - 1);
    while (words_[i].generation == generation_ && words_[i].address != a) i = (i + 1) & (kWords - 1);
    Word* w = &words_[i];
    const bool fresh = w->generation != generation_;
    // Who writes without our seeing it (assembly, the kernel, a plain store) begins a new history, and so does an
    // access of another size, or to a part of these bytes; it finds what the stores before have published.
    if (!fresh && w->size == size && w->n && w->stores[w->n - 1]->value == peek(a, size)) return w;
    const View before = carried(a, size);
    if (fresh) {
        *w = {};
        w->address = a;
        w->generation = generation_;
    }
    w->size = size;
    w->n = 1;
    w->woken = -1;
    if (used_stores_ == kStores) world->stop("the explorer has no room for more stores", nullptr);
    Store* s = w->stores[0] = &stores_[used_stores_++];
    *s = {};
    s->value = peek(a, size);
    s->carries = before;
    s->by = -1;
    return w;
}

void Memory::used(Word* w, const Viewer& v, bool write) {
    w->users |= 1u << v.id;
    if (write) w->writers |= 1u << v.id;
    if (w->writers && (w->users & (w->users - 1))) make_shared(reinterpret_cast<void*>(w->address));
}

int Memory::oldest(const Viewer& v, const Word* w, bool sc) const {
    for (int i = w->n - 1; i > 0; --i) {
        const Store* s = w->stores[i];
        if (known(s, v.now.seen)) return i;
        if (s->sc && (sc || s->sc < v.last_sc)) return i;
        if (sc && known(s, sc_)) return i;
    }
    return 0;
}

void Memory::read_from(Viewer& v, const Word* w, Store* s, Order order) {
    const uint32_t when = v.now.seen.at[v.id];
    if (!s->known[v.id]) s->known[v.id] = when;
    v.loaded.join(s->carries);
    if (acquires(order) || w->address == dependent_) v.now.join(s->carries);
}

Store* Memory::add(Viewer& v, Word* w, int at, uint64_t value, Order order, const Store* replaced) {
    if (used_stores_ == kStores) world->stop("the explorer has no room for more stores", nullptr);
    Store* s = &stores_[used_stores_++];
    *s = {};
    s->value = value;
    s->by = static_cast<int8_t>(v.id);
    s->op = world->op_of(v.id);
    s->known[v.id] = v.now.seen.at[v.id];
    s->carries = releases(order) ? v.now : v.fenced;
    if (replaced) s->carries.join(replaced->carries);
    if (order == Order::kSeqCst) s->sc = ++time_;
    if (w->n == kHistory) {
        std::memmove(w->stores, w->stores + 1, (kHistory - 1) * sizeof(Store*));
        --w->n;
        --at;
        if (w->woken >= 0) --w->woken;
    }
    std::memmove(w->stores + at + 1, w->stores + at, static_cast<size_t>(w->n - at) * sizeof(Store*));
    w->stores[at] = s;
    if (w->woken >= at) ++w->woken;
    if (++w->n == at + 1) poke(w->address, w->size, value);
    return s;
}

uint64_t Memory::load(Viewer& v, const void* address, int size, Order order, const void* pc) {
    v.tick();
    v.in_step = false;
    atomic_access(v, address, size, false, pc);
    Word* w = word(address, size);
    used(w, v, false);
    const int first = v.newest_only ? w->n - 1 : oldest(v, w, order == Order::kSeqCst);
    const int back = w->n - 1 - first
                         ? static_cast<int>(world->choose(Choice::kRead, static_cast<uint32_t>(w->n - first)))
                         : 0;
    Store* s = w->stores[w->n - 1 - back];
    read_from(v, w, s, order);
    world->note_load(w, s, back);
    return s->value;
}

void Memory::store(Viewer& v, void* address, int size, uint64_t value, Order order, const void* pc) {
    v.tick();
    v.in_step = false;
    atomic_access(v, address, size, true, pc);
    Word* w = word(address, size);
    used(w, v, true);
    // Where it may go: after what is known, not between a store and its replacement; at the end first.
    const int first = oldest(v, w, order == Order::kSeqCst);
    int places[kHistory + 1], n = 0;
    for (int at = w->n; at > first; --at)
        if (!w->stores[at - 1]->replaced) places[n++] = at;
    const int which = n > 1 ? static_cast<int>(world->choose(Choice::kWrite, static_cast<uint32_t>(n))) : 0;
    Store* s = add(v, w, places[which], value, order, nullptr);
    world->note_store(w, s, which);
}

uint64_t Memory::modify(Viewer& v, void* address, int size, Fn fn, uint64_t operand, Order order,
                        const void* pc) {
    v.tick();
    v.in_step = false;
    atomic_access(v, address, size, true, pc);
    Word* w = word(address, size);
    used(w, v, true);
    const int first = oldest(v, w, order == Order::kSeqCst);
    int places[kHistory], n = 0;
    for (int at = w->n - 1; at >= first; --at)
        if (!w->stores[at]->replaced) places[n++] = at;
    const int at = places[n > 1 ? world->choose(Choice::kWrite, static_cast<uint32_t>(n)) : 0];
    Store* old = w->stores[at];
    const uint64_t before = old->value;
    read_from(v, w, old, order);
    old->replaced = true;
    const uint64_t mask = size == 8 ? ~uint64_t{0} : (uint64_t{1} << size * 8) - 1;
    Store* s = add(v, w, at + 1, fn(before, operand) & mask, order, old);
    world->note_modify(w, s, old);
    return before;
}

bool Memory::compare_exchange(Viewer& v, void* address, int size, uint64_t* expected, uint64_t desired,
                              Order good, Order bad, bool weak, const void* pc) {
    v.tick();
    v.in_step = false;
    Word* w = word(address, size);
    used(w, v, true);
    // It succeeds with a store that nothing replaces yet; it fails by reading another value, or, if weak, for nothing.
    const bool sc = good == Order::kSeqCst;
    const int first = oldest(v, w, sc), last = w->n - 1;
    struct Way {
        int at;
        bool succeeds;
    } ways[2 * kHistory];
    Cost costs[2 * kHistory];
    uint32_t n = 0;
    const auto add_way = [&](int at, bool succeeds, Cost cost) {
        ways[n] = {at, succeeds};
        costs[n] = n ? cost : Cost::kFree;
        ++n;
    };
    const bool same = w->stores[last]->value == *expected;
    add_way(last, same, Cost::kFree);
    if (weak && same && !v.newest_only) add_way(last, false, Cost::kTime);
    for (int at = last - 1; at >= first && !v.newest_only; --at) {
        if (w->stores[at]->value != *expected) add_way(at, false, Cost::kStale);
        else if (!w->stores[at]->replaced) add_way(at, true, Cost::kEarly);
    }
    const uint32_t which = n > 1 ? world->choose_exchange(costs, n) : 0;
    const Way way = ways[which];
    Store* old = w->stores[way.at];
    if (!way.succeeds) {
        atomic_access(v, address, size, false, pc);
        read_from(v, w, old, bad);
        *expected = old->value;
        world->note_load(w, old, last - way.at);
        return false;
    }
    atomic_access(v, address, size, true, pc);
    read_from(v, w, old, good);
    old->replaced = true;
    Store* s = add(v, w, way.at + 1, desired, good, old);
    world->note_modify(w, s, old);
    return true;
}

void Memory::fence(Viewer& v, Order order) {
    v.tick();
    if (acquires(order)) v.now.join(v.loaded);
    if (order == Order::kSeqCst) {
        v.now.seen.join(sc_);
        sc_.join(v.now.seen);
        v.last_sc = ++time_;
    }
    if (releases(order)) v.fenced = v.now;
}

void Memory::compiler_fence(Viewer& v) {
    v.now.seen.join(v.forced);
    v.kept = v.now.seen;
    v.in_step = true;
}

void Memory::forced_fence(Viewer& v) {
    if (v.in_step) {
        v.now.seen.join(sc_);
        v.kept = v.now.seen;
        sc_.join(v.kept);
        v.last_sc = ++time_;
        return;
    }
    sc_.join(v.kept);
    v.forced.join(sc_);
}

uint64_t Memory::futex_load(Viewer& v, const void* address, const void* pc) {
    v.tick();
    atomic_access(v, address, 4, false, pc);
    Word* w = word(address, 4);
    used(w, v, true);
    int first = oldest(v, w, false);
    if (w->woken > first) first = w->woken;
    if (v.newest_only) first = w->n - 1;
    const int back = w->n - 1 - first
                         ? static_cast<int>(world->choose(Choice::kRead, static_cast<uint32_t>(w->n - first)))
                         : 0;
    Store* s = w->stores[w->n - 1 - back];
    read_from(v, w, s, Order::kRelaxed);
    world->note_load(w, s, back);
    return s->value;
}

// The lock of the kernel's bucket: who waits later sees of the word what the waker has seen.
void Memory::futex_wake(Viewer& v, const void* address) {
    v.tick();
    Word* w = word(address, 4);
    used(w, v, false);
    const int at = oldest(v, w, false);
    if (at > w->woken) w->woken = at;
}

void Memory::woken(Viewer& v, const void* address) {
    Word* w = word(address, 4);
    if (w->woken < 0) return;
    Store* s = w->stores[w->woken];
    if (!s->known[v.id]) s->known[v.id] = v.tick();
}

Cell* Memory::cell(uintptr_t address) {
    uint32_t i = slot(address >> 3, kCells - 1);
    while (cells_[i].generation == generation_ && cells_[i].address != address) i = (i + 1) & (kCells - 1);
    Cell* c = &cells_[i];
    if (c->generation != generation_) {
        c->address = address;
        c->generation = generation_;
        c->n = 0;
    }
    return c;
}

void Memory::meant(const void* address, size_t size) {
    for (size_t i = 0; i < size && nmeant_ < 8; i += 8)
        meant_[nmeant_++] = (reinterpret_cast<uintptr_t>(address) + i) & ~uintptr_t{7};
}

void Memory::access(Viewer& v, uintptr_t address, uint8_t mask, bool write, bool atomic, const void* pc) {
    for (int i = 0; i < nmeant_; ++i)
        if (meant_[i] == address) return;
    Cell* c = cell(address);
    // A plain access belongs to the next operation: the last one may have published what came before it.
    const uint32_t when = v.now.hb.at[v.id] + !atomic;
    int to = 0;
    for (int i = 0; i < c->n; ++i) {
        const Access& a = c->accesses[i];
        if (a.thread != v.id && (a.mask & mask) && (write || a.write) && !(atomic && a.atomic) &&
            a.when > v.now.hb.at[a.thread])
            world->race(address, a, write, atomic, pc);
        // What the new one stands for, too, is not kept.
        const bool covered = (a.mask & ~mask) == 0 && (write || !a.write) && (!atomic || a.atomic) &&
                             (a.thread == v.id || (write && a.when <= v.now.hb.at[a.thread]));
        if (!covered) c->accesses[to++] = a;
    }
    if (to == Cell::kAccesses) {  // the oldest is forgotten
        std::memmove(c->accesses, c->accesses + 1, (Cell::kAccesses - 1) * sizeof(Access));
        --to;
    }
    c->accesses[to++] = {pc, when, mask, static_cast<uint8_t>(v.id), write, atomic};
    c->n = to;
}

void Memory::plain(Viewer& v, const void* address, size_t size, bool write, const void* pc) {
    auto a = reinterpret_cast<uintptr_t>(address);
    if (write) {
        for (size_t i = 0; i < size; i += 4096) world->wrote(a + i);
        if (size) world->wrote(a + size - 1);
    }
    while (size) {
        const size_t in = a & 7, n = size < 8 - in ? size : 8 - in;
        access(v, a - in, static_cast<uint8_t>(((1u << n) - 1) << in), write, false, pc);
        a += n;
        size -= n;
    }
}

void Memory::atomic_access(Viewer& v, const void* address, int size, bool write, const void* pc) {
    const auto a = reinterpret_cast<uintptr_t>(address);
    access(v, a & ~uintptr_t{7}, static_cast<uint8_t>(((1u << size) - 1) << (a & 7)), write, true, pc);
}

}  // namespace gort::explore
