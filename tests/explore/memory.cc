// tests/explore/memory.cc - stores in modification order, views, fences.
// SPDX-License-Identifier: BSD-2-Clause
#include "tests/explore/memory.h"

#include <cstring>

#include "tests/explore/world.h"

namespace gort::explore {

namespace {

uint64_t peek(const Word* w) {
    uint64_t value;
    std::memcpy(&value, reinterpret_cast<const void*>(w->address), sizeof value);
    return value;
}
// The newest value of these bytes is what is in memory. (A store of exactly these: others may be plain.)
void poke(const Bytes& b) {
    world->wrote(b.w->address);
    const uint64_t value = b.of(b.w->stores[b.w->n - 1]->value);
    std::memcpy(reinterpret_cast<char*>(b.w->address) + b.shift / 8, &value,
                static_cast<size_t>(__builtin_popcount(b.mask)));
}
uint8_t mask_of(uintptr_t address, int size) {
    return static_cast<uint8_t>(((1u << size) - 1) << (address & 7));
}
uint32_t slot(uintptr_t address, uint32_t mask) {
    return static_cast<uint32_t>((address >> 1) * 0x9e3779b97f4a7c15u >> 40) & mask;
}
}  // namespace

void Memory::init() {
    words_ = pages<Word>(kWords);
    cells_ = pages<Cell>(kCells);
    stores_ = pages<Store>(kStores);
    partly_ = pages<Store::Partly>(kPartly);
    shared_ = pages<Shared>(kWords);
}

void Memory::forget() {
    ++generation_;
    used_stores_ = used_partly_ = 0;
    time_ = 0;
    sc_ = {};
}

bool Memory::shared(const void* address, int size) const {
    const auto a = reinterpret_cast<uintptr_t>(address);
    const uintptr_t word = a & ~uintptr_t{7};
    for (uint32_t i = slot(word, kWords - 1); shared_[i].address; i = (i + 1) & (kWords - 1))
        if (shared_[i].address == word) return shared_[i].mask & mask_of(a, size);
    return false;
}

void Memory::make_shared(const void* address, int size) {
    if (ignored(address)) return;
    const auto a = reinterpret_cast<uintptr_t>(address);
    const uintptr_t word = a & ~uintptr_t{7};
    uint32_t i = slot(word, kWords - 1);
    while (shared_[i].address && shared_[i].address != word) i = (i + 1) & (kWords - 1);
    const auto mask = static_cast<uint8_t>(shared_[i].mask | mask_of(a, size));
    if (shared_[i].mask == mask) return;
    shared_[i] = {word, mask};
    learned = true;
}

template <class F>
void Memory::parts(const Bytes& b, int at, F with) {
    uint8_t left = b.mask;
    for (int i = at; left && i >= 0; --i) {
        Store* s = b.w->stores[i];
        const uint8_t there = i == 0 ? Word::kAll : s->mask;
        if (left & there) with(s);
        left &= static_cast<uint8_t>(~there);
    }
}

Bytes Memory::bytes(const void* address, int size) {
    const auto a = reinterpret_cast<uintptr_t>(address);
    const uintptr_t start = a & ~uintptr_t{7};
    uint32_t i = slot(start, kWords - 1);
    while (words_[i].generation == generation_ && words_[i].address != start) i = (i + 1) & (kWords - 1);
    Word* w = &words_[i];
    const Bytes b{w, static_cast<int>(a - start) * 8, mask_of(a, size)};
    if (w->generation != generation_) {
        *w = {};
        w->address = start;
        w->generation = generation_;
        w->woken = -1;
        insert({w, 0, Word::kAll}, 0, peek(w))->by = -1;
    } else if (const uint64_t value = b.of(peek(w)); value != b.of(w->stores[w->n - 1]->value)) {
        // Somebody has written without our seeing it: assembly, the kernel, a plain store. What was there before is
        // not read any more.
        View before{};
        parts(b, w->n - 1, [&](const Store* s) { before.join(s->carries); });
        Store* s = insert(b, w->n, value);
        s->carries = before;
        s->by = -1;
    }
    return b;
}

void Memory::used(const Bytes& b, const Viewer& v, bool write) {
    for (int i = 0; i < 8; ++i) {
        if (!(b.mask >> i & 1)) continue;
        uint8_t& users = b.w->users[i];
        uint8_t& writers = b.w->writers[i];
        users |= static_cast<uint8_t>(1u << v.id);
        if (write) writers |= static_cast<uint8_t>(1u << v.id);
        if (writers && (users & (users - 1)))
            make_shared(reinterpret_cast<void*>(b.w->address + static_cast<uintptr_t>(i)), 1);
    }
}

// Of any of these bytes.
bool Memory::known(const Store* s, const Clock& by, uint8_t mask) {
    if (s->by < 0) return true;
    for (int t = 0; t < kThreads; ++t)
        if (s->known[t] && s->known[t] <= by.at[t]) return true;
    if (!s->partly) return false;
    for (int i = 0; i < 8; ++i) {
        if (!(mask & s->mask & 1u << i)) continue;
        for (int t = 0; t < kThreads; ++t)
            if (s->partly->known[i][t] && s->partly->known[i][t] <= by.at[t]) return true;
    }
    return false;
}

void Memory::mark_known(Store* s, uint8_t mask, const Viewer& v) {
    const uint32_t when = v.now.seen.at[v.id];
    if ((mask & s->mask) == s->mask) {
        if (!s->known[v.id]) s->known[v.id] = when;
        return;
    }
    if (!s->partly) {
        if (used_partly_ == kPartly) world->stop("the explorer has no room for more stores", nullptr);
        s->partly = &partly_[used_partly_++];
        *s->partly = {};
    }
    for (int i = 0; i < 8; ++i)
        if ((mask & s->mask & 1u << i) && !s->partly->known[i][v.id]) s->partly->known[i][v.id] = when;
}

int Memory::oldest(const Viewer& v, const Bytes& b, bool sc) const {
    for (int i = b.w->n - 1; i > 0; --i) {
        const Store* s = b.w->stores[i];
        if (!(s->mask & b.mask)) continue;
        if (known(s, v.now.seen, b.mask)) return i;
        if (s->sc && (sc || s->sc < v.last_sc)) return i;
        if (sc && known(s, sc_, b.mask)) return i;
    }
    return 0;
}

Memory::Places Memory::readable(const Viewer& v, const Bytes& b, bool sc) const {
    Places p;
    const int first = oldest(v, b, sc);
    for (int i = b.w->n - 1; i >= first; --i) {
        if (i > 0 && !(b.w->stores[i]->mask & b.mask)) continue;
        p.at[p.n++] = i;
        if (v.newest_only) break;
    }
    return p;
}

// A store there must not be the last one, of any of its bytes, before a read-modify-write that has read another.
bool Memory::may_insert(const Bytes& b, int at) const {
    uint8_t covered = 0;
    for (int i = at; i < b.w->n; ++i) {
        const Store* s = b.w->stores[i];
        if (s->modifies && (b.mask & s->mask & ~covered)) return false;
        covered |= s->mask;
    }
    return true;
}

void Memory::read_from(Viewer& v, const Bytes& b, int at, Order order) {
    const bool acquire = acquires(order) || b.w->address == dependent_;
    parts(b, at, [&](Store* s) {
        mark_known(s, b.mask, v);
        v.loaded.join(s->carries);
        if (acquire) v.now.join(s->carries);
    });
}

Store* Memory::insert(const Bytes& b, int at, uint64_t value) {
    if (used_stores_ == kStores) world->stop("the explorer has no room for more stores", nullptr);
    Store* s = &stores_[used_stores_++];
    *s = {};
    s->own = value << b.shift;
    s->mask = b.mask;
    Word* w = b.w;
    if (w->n == kHistory) {
        std::memmove(w->stores, w->stores + 1, (kHistory - 1) * sizeof(Store*));
        --w->n;
        --at;
        if (w->woken >= 0) --w->woken;
    }
    std::memmove(w->stores + at + 1, w->stores + at, static_cast<size_t>(w->n - at) * sizeof(Store*));
    w->stores[at] = s;
    if (w->woken >= at) ++w->woken;
    ++w->n;
    for (int i = at; i < w->n; ++i) {
        Store* one = w->stores[i];
        const uint64_t bits = Bytes{w, 0, one->mask}.bits();
        one->value = (i ? w->stores[i - 1]->value & ~bits : 0) | (one->own & bits);
    }
    return s;
}

Store* Memory::add(Viewer& v, const Bytes& b, int at, uint64_t value, Order order, bool modifies) {
    View carries = releases(order) ? v.now : v.fenced;
    if (modifies) parts(b, at - 1, [&](const Store* s) { carries.join(s->carries); });
    Store* s = insert(b, at, value);
    s->by = static_cast<int8_t>(v.id);
    s->op = world->op_of(v.id);
    s->known[v.id] = v.now.seen.at[v.id];
    s->carries = carries;
    s->modifies = modifies;
    if (order == Order::kSeqCst) s->sc = ++time_;
    poke(b);
    return s;
}

uint64_t Memory::load(Viewer& v, const void* address, int size, Order order, const void* pc) {
    v.tick();
    v.in_step = false;
    atomic_access(v, address, size, false, pc);
    const Bytes b = bytes(address, size);
    used(b, v, false);
    const Places from = readable(v, b, order == Order::kSeqCst);
    const uint32_t back = from.n > 1 ? world->choose(Choice::kRead, static_cast<uint32_t>(from.n)) : 0;
    const Store* s = b.w->stores[from.at[back]];
    const uint64_t value = b.of(s->value);
    read_from(v, b, from.at[back], order);
    world->note_load(s, value, static_cast<int>(back));
    return value;
}

void Memory::store(Viewer& v, void* address, int size, uint64_t value, Order order, const void* pc) {
    v.tick();
    v.in_step = false;
    atomic_access(v, address, size, true, pc);
    const Bytes b = bytes(address, size);
    used(b, v, true);
    // Where it may go: at the end, or before others that it does not know of.
    const int first = oldest(v, b, order == Order::kSeqCst);
    Places to;
    to.at[to.n++] = b.w->n;
    for (int at = b.w->n - 1; at > first; --at)
        if ((b.w->stores[at]->mask & b.mask) && may_insert(b, at)) to.at[to.n++] = at;
    const uint32_t which = to.n > 1 ? world->choose(Choice::kWrite, static_cast<uint32_t>(to.n)) : 0;
    add(v, b, to.at[which], value, order, false);
    world->note_store(value, static_cast<int>(which));
}

uint64_t Memory::modify(Viewer& v, void* address, int size, Fn fn, uint64_t operand, Order order,
                        const void* pc) {
    v.tick();
    v.in_step = false;
    atomic_access(v, address, size, true, pc);
    const Bytes b = bytes(address, size);
    used(b, v, true);
    const int first = oldest(v, b, order == Order::kSeqCst);
    Places of;
    of.at[of.n++] = b.w->n - 1;
    for (int at = b.w->n - 1; at > first; --at)
        if ((b.w->stores[at]->mask & b.mask) && may_insert(b, at)) of.at[of.n++] = at - 1;
    const uint32_t which = of.n > 1 ? world->choose(Choice::kWrite, static_cast<uint32_t>(of.n)) : 0;
    const int at = of.at[which];
    const Store* old = b.w->stores[at];
    const uint64_t before = b.of(old->value);
    read_from(v, b, at, order);
    const uint64_t mask = size == 8 ? ~uint64_t{0} : (uint64_t{1} << size * 8) - 1;
    const uint64_t after = fn(before, operand) & mask;
    add(v, b, at + 1, after, order, true);
    world->note_modify(after, before, old);
    return before;
}

bool Memory::compare_exchange(Viewer& v, void* address, int size, uint64_t* expected, uint64_t desired,
                              Order good, Order bad, bool weak, const void* pc) {
    v.tick();
    v.in_step = false;
    const Bytes b = bytes(address, size);
    used(b, v, true);
    // It succeeds where no other store comes between; it fails by reading another value, or, if weak, for nothing.
    const Places from = readable(v, b, good == Order::kSeqCst);
    struct Way {
        int back;
        bool succeeds;
    } ways[2 * kHistory];
    Cost costs[2 * kHistory];
    uint32_t n = 0;
    const auto add_way = [&](int back, bool succeeds, Cost cost) {
        ways[n] = {back, succeeds};
        costs[n] = n ? cost : Cost::kFree;
        ++n;
    };
    const auto same = [&](int back) { return b.of(b.w->stores[from.at[back]]->value) == *expected; };
    add_way(0, same(0), Cost::kFree);
    if (weak && same(0) && !v.newest_only) add_way(0, false, Cost::kTime);
    for (int back = 1; back < from.n; ++back) {
        if (!same(back)) add_way(back, false, Cost::kStale);
        else if (may_insert(b, from.at[back] + 1)) add_way(back, true, Cost::kEarly);
    }
    const Way way = ways[n > 1 ? world->choose_exchange(costs, n) : 0];
    const int at = from.at[way.back];
    const Store* old = b.w->stores[at];
    atomic_access(v, address, size, way.succeeds, pc);
    read_from(v, b, at, way.succeeds ? good : bad);
    if (!way.succeeds) {
        *expected = b.of(old->value);
        world->note_load(old, *expected, way.back);
        return false;
    }
    const uint64_t before = b.of(old->value);
    add(v, b, at + 1, desired, good, true);
    world->note_modify(desired, before, old);
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
    const Bytes b = bytes(address, 4);
    used(b, v, true);
    Places from = readable(v, b, false);
    while (from.n > 1 && from.at[from.n - 1] < b.w->woken) --from.n;
    const uint32_t back = from.n > 1 ? world->choose(Choice::kRead, static_cast<uint32_t>(from.n)) : 0;
    const Store* s = b.w->stores[from.at[back]];
    const uint64_t value = b.of(s->value);
    read_from(v, b, from.at[back], Order::kRelaxed);
    world->note_load(s, value, static_cast<int>(back));
    return value;
}

// The lock of the kernel's bucket: who waits later sees of the word what the waker has seen.
void Memory::futex_wake(Viewer& v, const void* address) {
    v.tick();
    const Bytes b = bytes(address, 4);
    used(b, v, false);
    const int at = oldest(v, b, false);
    if (at > b.w->woken) b.w->woken = at;
}

void Memory::woken(Viewer& v, const void* address) {
    const Bytes b = bytes(address, 4);
    if (b.w->woken < 0) return;
    Store* s = b.w->stores[b.w->woken];
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
