// PUBLIC
// rt/sync/sync_map.h - sync_map<K, V>: a hash map for many goroutines; reading takes no lock.
// SPDX-License-Identifier: BSD-2-Clause
//
// As Go's sync.Map. K needs std::hash and ==, or a Hash and Equal of yours; K and V are copied out, so both need copy
// constructors; compare_and_swap and compare_and_delete need V's ==. All of these may do what they like but call
// this map. Results that may be missing come as map_result<V>: a std::optional<V> that can also be taken apart as in
// Go:
//
//      if (auto v = m.load(k)) use(*v);
//      auto [v, ok] = m.load(k);              // v is V{} if it is not there
//
// A value that is replaced or removed is destroyed as soon as no goroutine can be reading it: usually before the call
// returns; where neither K's nor V's destructor does anything, memory is given back in batches. Writers wait for
// each other, readers for nobody.
//
// Context:  any goroutine and any other thread of the process. Not in a signal handler.
// Memory order: what stores a value happens before every call that sees it.
// Cost:     load no locked instruction, for plain K and V no call either; a change is one allocation and, unless
//           destruction is trivial, about 2 us until it is safe to destroy what was there before.
// Source:   Go's package sync, type Map.
#pragma once

#include "../config.h"

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "mutex.h"
#include "readers.h"

namespace gort {

// What a map may not have.
template <class V>
class map_result : public std::optional<V> {
public:
    using std::optional<V>::optional;

    template <size_t i>
    auto get() const {
        if constexpr (i == 1) return this->has_value();
        else return this->has_value() ? **this : V{};
    }
    template <class U>
    friend bool operator==(const map_result& a, const U& b) {
        if constexpr (std::is_same_v<U, map_result>) return a.base() == b.base();
        else return a.base() == b;
    }

private:
    const std::optional<V>& base() const { return *this; }
};

namespace detail {

inline size_t mix_hash(size_t h) {
    h *= 0x9e3779b97f4a7c15u;
    return h ^ (h >> 32);
}

}  // namespace detail

template <class K, class V, class Hash = std::hash<K>, class Equal = std::equal_to<K>>
class sync_map {
    static_assert(std::is_object_v<K> && std::is_object_v<V>,
                  "gort::sync_map<K, V>: K and V must be object types");
    static_assert(std::is_invocable_r_v<size_t, const Hash&, const K&>,
                  "gort::sync_map<K, V>: K has no std::hash");
    static_assert(std::is_invocable_r_v<bool, const Equal&, const K&, const K&>,
                  "gort::sync_map<K, V>: K has no ==");

public:
    constexpr sync_map() noexcept = default;
    sync_map(const sync_map&) = delete;
    sync_map& operator=(const sync_map&) = delete;
    ~sync_map() {
        if (Table* t = table_.load(std::memory_order_acquire)) {
            for (size_t i = 0; i <= t->mask; ++i)
                if (Entry* e = t->at(i); e && e != dead()) drop(e);
            destroy_table(t);
        }
        detail::RetiredList::destroy(retired_.take_all());
    }

    map_result<V> load(const K& key) const {
        const size_t hash = hash_of(key);
        if constexpr (kShort) {
            // A stay inside the gate is a visit; nothing that the map does there can block, throw or call gort.
            uint32_t place;
            if (detail::Gate* gate = detail::gate_enter(&place)) [[likely]] {
                if (const Entry* e = find(key, hash)) [[likely]] {
                    const V value = e->value;
                    detail::gate_leave(gate);
                    return map_result<V>(value);
                }
                detail::gate_leave(gate);
                return map_result<V>();
            }
        }
        const detail::LongVisit visit;
        const Entry* e = find(key, hash);
        return e ? map_result<V>(e->value) : map_result<V>();
    }
    // The comma-ok form: false, and out = V{}, if the key is not there.
    bool load(const K& key, V& out) const {
        map_result<V> v = load(key);
        out = v ? std::move(*v) : V{};
        return v.has_value();
    }
    bool contains(const K& key) const {
        const size_t hash = hash_of(key);
        const detail::LongVisit visit;
        return find(key, hash) != nullptr;
    }

    void store(const K& key, V value) { (void)exchange<false>(key, std::move(value)); }
    // What was there before.
    map_result<V> swap(const K& key, V value) { return exchange<true>(key, std::move(value)); }

    // The value that is there, and true; else stores this one: that, and false.
    std::pair<V, bool> load_or_store(const K& key, V value) {
        if (map_result<V> v = load(key)) return {std::move(*v), true};
        const size_t hash = hash_of(key);
        const std::lock_guard guard(mu_);
        if (const Entry* e = find(key, hash)) return {e->value, true};
        add(hash, key, value);
        return {std::move(value), false};
    }

    map_result<V> load_and_delete(const K& key) {
        map_result<V> out;
        remove_if(key, [&out](const V& v) {
            out.emplace(v);
            return true;
        });
        return out;
    }
    // Go's Delete. True if the key was there.
    bool remove(const K& key) {
        return remove_if(key, [](const V&) { return true; });
    }
    bool compare_and_delete(const K& key, const V& old) requires std::equality_comparable<V> {
        return remove_if(key, [&old](const V& v) { return v == old; });
    }
    // False if the key is not there or has another value.
    bool compare_and_swap(const K& key, const V& old, V value) requires std::equality_comparable<V> {
        return replace_if(
            key, [&old](const V& v) { return v == old; },
            [&](size_t hash) { return new Entry(hash, key, std::move(value)); });
    }

    // Calls f(key, value) for each entry until it returns false (or returns nothing: for all). No key twice; what is
    // stored or removed meanwhile may be seen or not. f may call any method. No other goroutine is blocked by it.
    template <class F>
    void range(F&& f) const {
        Held held;
        {
            const detail::LongVisit visit;
            const Table* t = table_.load(std::memory_order_acquire);
            if (!t) return;
            for (size_t i = 0; i <= t->mask; ++i)
                if (Entry* e = t->at(i); e && e != dead()) held.add(e);
        }
        for (Entry*& at : held.entries) {
            if (at->removed.load(std::memory_order_acquire)) {  // what is there now?
                const detail::LongVisit visit;
                Entry* now = find(at->key, at->hash);
                if (!now) continue;
                now->refs.fetch_add(1, std::memory_order_relaxed);
                drop(std::exchange(at, now));
            }
            const K& key = at->key;
            const V& value = at->value;
            if constexpr (std::is_void_v<std::invoke_result_t<F&, const K&, const V&>>) f(key, value);
            else if (!f(key, value)) return;
        }
    }

    void clear() {
        Sweep sweep(this);
        const std::lock_guard guard(mu_);
        Table* t = table_.load(std::memory_order_relaxed);
        if (!t || used_ == 0) return;
        table_.store(nullptr, std::memory_order_release);
        for (size_t i = 0; i <= t->mask; ++i)
            if (Entry* e = t->at(i); e && e != dead()) retire(e);
        retired_.add(t, destroy_table);
        live_ = used_ = 0;
    }

private:
    struct Entry : detail::Retired {
        template <class W>
        Entry(size_t h, const K& k, W&& v) : hash(h), key(k), value(std::forward<W>(v)) {}
        std::atomic<uint32_t> refs{1};  // the map's, and one of each range that holds it
        std::atomic<bool> removed{false};
        const size_t hash;
        const K key;
        const V value;
    };
    // Open addressing over pointers: growing copies pointers, and an entry never changes but for being removed.
    struct Table : detail::Retired {
        explicit Table(size_t size) : mask(size - 1) {}
        const size_t mask;
        std::atomic<Entry*>* slots() const {
            return std::launder(reinterpret_cast<std::atomic<Entry*>*>(const_cast<Table*>(this) + 1));
        }
        Entry* at(size_t i) const { return slots()[i].load(std::memory_order_acquire); }
    };
    // Nothing of ours but plain code runs while a number or a pointer is looked up and a plain value copied.
    static constexpr bool kShort = (std::is_arithmetic_v<K> || std::is_enum_v<K> ||
                                    std::is_pointer_v<K>)&&std::is_same_v<Hash, std::hash<K>> &&
                                   std::is_same_v<Equal, std::equal_to<K>> &&
                                   std::is_trivially_copyable_v<V> && sizeof(V) <= 256;
    static constexpr bool kQuiet = std::is_trivially_destructible_v<K> && std::is_trivially_destructible_v<V>;
    static constexpr size_t kLeast = 8, kBatch = kQuiet ? 64 : 1;

    static Entry* dead() { return reinterpret_cast<Entry*>(uintptr_t{1}); }
    static size_t hash_of(const K& key) { return detail::mix_hash(Hash{}(key)); }

    static Table* new_table(size_t size) {
        void* memory = ::operator new (sizeof(Table) + size * sizeof(std::atomic<Entry*>),
                                       std::align_val_t{alignof(Table)});
        auto* t = ::new (memory) Table(size);
        for (size_t i = 0; i < size; ++i)
            ::new (static_cast<void*>(t->slots() + i)) std::atomic<Entry*>(nullptr);
        return t;
    }
    static void destroy_table(detail::Retired* r) {
        auto* t = static_cast<Table*>(r);
        t->~Table();
        ::operator delete (static_cast<void*>(t), std::align_val_t{alignof(Table)});
    }
    static void drop(detail::Retired* r) {
        auto* e = static_cast<Entry*>(r);
        if (e->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) delete e;
    }

    struct Held {
        std::vector<Entry*> entries;
        Held() = default;
        Held(const Held&) = delete;
        Held& operator=(const Held&) = delete;
        ~Held() {
            for (Entry* e : entries) drop(e);
        }
        void add(Entry* e) {
            entries.push_back(e);
            e->refs.fetch_add(1, std::memory_order_relaxed);
        }
    };

    // At the end of a change, without the lock: what no reader sees any more is destroyed.
    struct Sweep {
        explicit Sweep(sync_map* map) : m(map) {}
        Sweep(const Sweep&) = delete;
        Sweep& operator=(const Sweep&) = delete;
        ~Sweep() {
            if (m->retired_count_.load(std::memory_order_relaxed) >= kBatch) m->sweep();
        }
        sync_map* m;
    };
    [[gnu::noinline]] void sweep() {
        detail::Retired* passed;
        {
            const std::lock_guard guard(mu_);
            passed = retired_.take_passed();
            retired_count_.store(retired_.count(), std::memory_order_relaxed);
        }
        detail::RetiredList::destroy(passed);
    }

    // During a visit, or with the lock; what is found may be removed meanwhile, but is still there.
    Entry* find(const K& key, size_t hash) const {
        Entry* e = nullptr;
        place_of(key, hash, &e);
        return e;
    }
    std::atomic<Entry*>* place_of(const K& key, size_t hash, Entry** found) const;

    // With the lock.
    void retire(Entry* e) {
        e->removed.store(true, std::memory_order_release);
        retired_.add(e, drop);
        retired_count_.store(retired_.count(), std::memory_order_relaxed);
    }
    void replace(std::atomic<Entry*>* at, Entry* old, Entry* fresh) {
        at->store(fresh, std::memory_order_release);
        retire(old);
    }
    void grow();
    template <class W>
    void add(size_t hash, const K& key, W&& value) {
        auto fresh = std::make_unique<Entry>(hash, key, std::forward<W>(value));
        Table* t = table_.load(std::memory_order_relaxed);
        if (!t || (used_ + 1) * 4 > (t->mask + 1) * 3) {
            grow();
            t = table_.load(std::memory_order_relaxed);
        }
        size_t i = hash & t->mask;
        while (t->at(i)) i = (i + 1) & t->mask;
        t->slots()[i].store(fresh.release(), std::memory_order_release);
        ++live_;
        ++used_;
    }
    template <bool kWantsOld>
    map_result<V> exchange(const K& key, V&& value) {
        const size_t hash = hash_of(key);
        map_result<V> before;
        Sweep sweep(this);
        const std::lock_guard guard(mu_);
        Entry* e = nullptr;
        std::atomic<Entry*>* at = place_of(key, hash, &e);
        if (!at) {
            add(hash, key, std::move(value));
            return before;
        }
        if constexpr (kWantsOld) before.emplace(e->value);
        replace(at, e, new Entry(hash, key, std::move(value)));
        return before;
    }
    // By what make(hash) gives, if the key is there and its value wanted.
    template <class F, class Make>
    bool replace_if(const K& key, F&& wanted, Make&& make) {
        const size_t hash = hash_of(key);
        Sweep sweep(this);
        const std::lock_guard guard(mu_);
        Entry* e = nullptr;
        std::atomic<Entry*>* at = place_of(key, hash, &e);
        if (!at || !wanted(e->value)) return false;
        replace(at, e, make(hash));
        return true;
    }
    template <class F>
    bool remove_if(const K& key, F&& wanted) {
        return replace_if(key, wanted, [this](size_t) {
            --live_;
            return dead();
        });
    }

    std::atomic<Table*> table_{nullptr};
    std::atomic<size_t> retired_count_{0};
    mutex mu_;
    size_t live_ = 0, used_ = 0;  // entries; and with dead places
    detail::RetiredList retired_;
};

template <class K, class V, class Hash, class Equal>
std::atomic<typename sync_map<K, V, Hash, Equal>::Entry*>* sync_map<K, V, Hash, Equal>::place_of(
    const K& key, size_t hash, Entry** found) const {
    const Table* t = table_.load(std::memory_order_acquire);
    if (!t) return nullptr;
    for (size_t i = hash & t->mask;; i = (i + 1) & t->mask) {
        Entry* e = t->at(i);
        if (!e) return nullptr;
        if (e != dead() && (kShort || e->hash == hash) && Equal{}(e->key, key)) [[likely]] {
            *found = e;
            return t->slots() + i;
        }
    }
}

// At least half of the new table is empty; dead places stay behind.
template <class K, class V, class Hash, class Equal>
void sync_map<K, V, Hash, Equal>::grow() {
    size_t size = kLeast;
    while (size < (live_ + 1) * 2) size *= 2;
    Table* fresh = new_table(size);
    if (Table* t = table_.load(std::memory_order_relaxed)) {
        for (size_t i = 0; i <= t->mask; ++i) {
            Entry* e = t->at(i);
            if (!e || e == dead()) continue;
            size_t j = e->hash & fresh->mask;
            while (fresh->at(j)) j = (j + 1) & fresh->mask;
            fresh->slots()[j].store(e, std::memory_order_relaxed);
        }
        retired_.add(t, destroy_table);
        retired_count_.store(retired_.count(), std::memory_order_relaxed);
    }
    used_ = live_;
    table_.store(fresh, std::memory_order_release);
}

}  // namespace gort

template <class V>
struct std::tuple_size<gort::map_result<V>> : std::integral_constant<size_t, 2> {};
template <class V>
struct std::tuple_element<0, gort::map_result<V>> {
    using type = V;
};
template <class V>
struct std::tuple_element<1, gort::map_result<V>> {
    using type = bool;
};
