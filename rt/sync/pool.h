// PUBLIC
// rt/sync/pool.h - pool<T>: things to be used again.
// SPDX-License-Identifier: BSD-2-Clause
//
// As Go's sync.Pool: pool<T> p; or pool<T> p{make}, with make() called where the pool has nothing. get returns
// something that was put before, else make()'s, else T{}. Which one is not promised, and things may vanish: each of the
// gomaxprocs places keeps its own; where it has none the others' are looked at, but for the last one put there. A null
// pointer is not put. Nothing is handed out twice. There is no garbage collector that empties it: trim() destroys
// what has not been used between two calls of it, and the destructor the rest.
//
// T is any object type whose move constructor is noexcept; that runs inside the runtime and must neither block nor
// call gort.
//
// Context:  any goroutine and any other thread of the process; never blocks. make, and T's destructor, may do what
//           they like.
// Memory order: put happens before the get that returns what was put; make before the get that returns its result.
// Cost:     get and put no locked instruction where a thing is got at the place where it was put, else one; small T
//           without a call.
// Source:   Go's package sync, type Pool.
#pragma once

#include "../config.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

#include "../own/gate_fast.h"

namespace gort {

namespace detail {

struct PoolShare;  // rt/sync/pool.cc; begins with a PoolFront
struct PoolFront {
    std::atomic<char*> locals{nullptr};  // the Ps' places, kPoolPlaces of them
};
struct PoolPlace {      // its P's own, inside the gate
    uint64_t word = 0;  // a T that is no word lies elsewhere
    bool full = false;  // not used if T is a pointer: then `word` is null or not
};
inline constexpr uint32_t kPoolPlaces = 64;
inline constexpr size_t kPoolWordStride = 64;  // from one place to the next, if T is a word
struct PoolNode {                              // in front of a T
    PoolNode* next;
    PoolNode* prev;
};
struct PoolOps {
    size_t size, align;                               // of T
    void (*move)(void* to, void* from) noexcept;      // null: T is kept as a word
    void (*relocate)(void* to, void* from) noexcept;  // and destroys *from
    bool filled;                                      // PoolPlace::full is not used
};

// Memory comes from the typed side, with alignment 64.
size_t pool_share_bytes();
size_t pool_locals_bytes(const PoolOps* ops);
void pool_init(PoolShare* share, const PoolOps* ops, void* locals);

// This P's own place: one word, or one T. get moves it to `to`, put from `from`; false: there is nothing, or no room.
bool pool_get(PoolShare* share, void* to);
bool pool_put(PoolShare* share, void* from);
// The lists: the P's own, then the others', then what trim has set aside.
PoolNode* pool_pop(PoolShare* share);
void pool_push(PoolShare* share, PoolNode* node);
// Replaces all Ps' places by the fresh ones and returns the old ones; nobody uses those any more.
void* pool_exchange_locals(PoolShare* share, void* fresh);
bool pool_empty_place(PoolShare* share, void* locals, size_t i, void* to);  // place i of old ones
// all lists of old ones, and the shared one
PoolNode* pool_take_lists(PoolShare* share, void* locals);
// returns what was set aside before
PoolNode* pool_set_aside(PoolShare* share, PoolNode* list);
void* pool_locals(PoolShare* share);

// f(the word of this P's place), while inside; false: f's, or the P has no place. f touches nothing else.
template <class F>
[[gnu::always_inline]] inline bool pool_at_place(const PoolShare* share, F f) {
    uint32_t p;
    Gate* g = gate_enter(&p);
    if (!g) [[unlikely]]
        return false;
    if (--p < kPoolPlaces) [[likely]] {
        char* locals = reinterpret_cast<const PoolFront*>(share)->locals.load(std::memory_order_acquire);
        if (f(reinterpret_cast<PoolPlace*>(locals + p * kPoolWordStride))) [[likely]] {
            gate_leave(g);
            return true;
        }
    }
    gate_leave(g);
    return false;
}
// kFilled: words that are put are not 0, so that says all.
template <bool kFilled>
[[gnu::always_inline]] inline bool pool_get_word(const PoolShare* share, uint64_t* word) {
    return pool_at_place(share, [word](PoolPlace* place) {
        *word = place->word;
        if (!(kFilled ? *word != 0 : place->full)) return false;
        if (kFilled) place->word = 0;
        else place->full = false;
        return true;
    });
}
template <bool kFilled>
[[gnu::always_inline]] inline bool pool_put_word(const PoolShare* share, uint64_t word) {
    return pool_at_place(share, [word](PoolPlace* place) {
        if (kFilled ? place->word != 0 : place->full) return false;
        place->word = word;
        if (!kFilled) place->full = true;
        return true;
    });
}

template <class T>
constexpr bool pool_is_word = std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(uint64_t);

}  // namespace detail

template <class T>
class pool {
    static_assert(std::is_object_v<T> && !std::is_array_v<T> && !std::is_const_v<T>,
                  "gort::pool<T>: T must be an object type");
    static_assert(
        std::is_nothrow_move_constructible_v<T> && std::is_nothrow_destructible_v<T>,
        "gort::pool<T>: T's move constructor and destructor must be noexcept; put it into a std::unique_ptr");

public:
    constexpr pool() noexcept = default;
    template <class F>
    requires std::is_invocable_r_v<T, F&>
    explicit pool(F make)
        : make_(new F(std::move(make))),
          call_([](void* f) -> T { return (*static_cast<F*>(f))(); }),
          drop_([](void* f) { delete static_cast<F*>(f); }) {}
    pool(const pool&) = delete;
    pool& operator=(const pool&) = delete;
    ~pool() {
        if (detail::PoolShare* share = share_.load(std::memory_order_acquire)) {
            void* locals = detail::pool_locals(share);
            destroy(empty(share, locals));
            destroy(detail::pool_set_aside(share, nullptr));
            free_block(locals);
            free_block(share);
        }
        if (make_) drop_(make_);
    }

    // Takes a thing out, or makes one. Without make, T must have a default constructor; the result is then T{}.
    T get() {
        if (detail::PoolShare* share = share_.load(std::memory_order_acquire)) {
            if constexpr (detail::pool_is_word<T>) {
                uint64_t word;
                if (detail::pool_get_word<kFilled>(share, &word)) [[likely]]
                    return from_word(word);
            }
            if (std::optional<T> item = get_slow(share)) return std::move(*item);
        }
        if (make_) return call_(make_);
        if constexpr (std::is_default_constructible_v<T>) return T{};
        else __builtin_trap();  // the constructor with make is the only one of use for such a T
    }
    // Takes a thing out; nothing if the pool has none here.
    std::optional<T> try_get() {
        detail::PoolShare* share = share_.load(std::memory_order_acquire);
        if (!share) return std::nullopt;
        if constexpr (detail::pool_is_word<T>) {
            uint64_t word;
            if (detail::pool_get_word<kFilled>(share, &word)) return from_word(word);
        }
        return get_slow(share);
    }

    // Gives a thing back, to be got again.
    void put(T item) {
        if constexpr (std::is_pointer_v<T> || requires {
                          item.get();
                          item == nullptr;
                      })
            if (item == nullptr) return;
        detail::PoolShare* share = share_.load(std::memory_order_acquire);
        if (!share) [[unlikely]]
            share = make_share();
        if constexpr (detail::pool_is_word<T>) {
            if (detail::pool_put_word<kFilled>(share, to_word(item))) [[likely]]
                return;
        } else {
            if (detail::pool_put(share, std::addressof(item))) return;
        }
        detail::pool_push(share, new Node(std::move(item)));
    }

    // Destroys what was set aside by the trim before and not taken since, and sets aside what there is now. Two
    // calls in a row empty the pool. May take some us; destructors run in the caller.
    void trim() {
        detail::PoolShare* share = share_.load(std::memory_order_acquire);
        if (!share) return;
        void* locals = detail::pool_exchange_locals(share, new_locals());
        detail::PoolNode* list = empty(share, locals);
        free_block(locals);
        destroy(detail::pool_set_aside(share, list));
    }

private:
    struct Node : detail::PoolNode {
        explicit Node(T&& from) : detail::PoolNode{nullptr, nullptr}, item(std::move(from)) {}
        T item;
    };
    static void relocate(void* to, void* from) noexcept {
        ::new (to) T(std::move(*static_cast<T*>(from)));
        static_cast<T*>(from)->~T();
    }
    static void move(void* to, void* from) noexcept { ::new (to) T(std::move(*static_cast<T*>(from))); }
    GORT_HIDDEN static constexpr detail::PoolOps kOps{
        sizeof(T), alignof(T), detail::pool_is_word<T> ? nullptr : move,
        detail::pool_is_word<T> ? nullptr : relocate, std::is_pointer_v<T>};

    static constexpr bool kFilled = std::is_pointer_v<T>;
    static uint64_t to_word(const T& item) {
        if constexpr (std::is_pointer_v<T>) return reinterpret_cast<uintptr_t>(item);
        uint64_t word = 0;
        std::memcpy(&word, std::addressof(item), sizeof(T));
        return word;
    }
    static T from_word(uint64_t word) {
        if constexpr (std::is_pointer_v<T>) return reinterpret_cast<T>(static_cast<uintptr_t>(word));
        struct {
            alignas(T) unsigned char bytes[sizeof(T)];
        } raw;
        std::memcpy(raw.bytes, &word, sizeof(T));
        return *std::launder(reinterpret_cast<T*>(raw.bytes));
    }

    static constexpr size_t kAlign = alignof(T) > 64 ? alignof(T) : 64;
    static void* new_block(size_t bytes) { return ::operator new (bytes, std::align_val_t{kAlign}); }
    static void free_block(void* block) { ::operator delete (block, std::align_val_t{kAlign}); }
    static void* new_locals() { return new_block(detail::pool_locals_bytes(&kOps)); }

    [[gnu::noinline]] detail::PoolShare* make_share() {
        auto* share = static_cast<detail::PoolShare*>(new_block(detail::pool_share_bytes()));
        detail::pool_init(share, &kOps, new_locals());
        detail::PoolShare* other = nullptr;
        if (share_.compare_exchange_strong(other, share, std::memory_order_acq_rel)) return share;
        free_block(detail::pool_locals(share));
        free_block(share);
        return other;
    }

    [[gnu::noinline]] std::optional<T> get_slow(detail::PoolShare* share) {
        if constexpr (!detail::pool_is_word<T>) {
            alignas(T) unsigned char place[sizeof(T)];
            if (detail::pool_get(share, place)) return take(place);
        }
        auto* node = static_cast<Node*>(detail::pool_pop(share));
        if (!node) return std::nullopt;
        std::optional<T> item(std::move(node->item));
        delete node;
        return item;
    }
    static std::optional<T> take(void* place) {
        T& item = *std::launder(static_cast<T*>(place));
        std::optional<T> out(std::move(item));
        item.~T();
        return out;
    }

    // Everything that Ps and lists hold, as one list.
    detail::PoolNode* empty(detail::PoolShare* share, void* locals) {
        detail::PoolNode* list = detail::pool_take_lists(share, locals);
        for (size_t i = 0; i < detail::kPoolPlaces; ++i) {
            alignas(T) alignas(
                uint64_t) unsigned char place[sizeof(T) < sizeof(uint64_t) ? sizeof(uint64_t) : sizeof(T)];
            if (!detail::pool_empty_place(share, locals, i, place)) continue;
            detail::PoolNode* node = new Node(std::move(*take(place)));
            node->next = list;
            list = node;
        }
        return list;
    }
    static void destroy(detail::PoolNode* list) {
        while (list) {
            auto* node = static_cast<Node*>(list);
            list = list->next;
            delete node;
        }
    }

    std::atomic<detail::PoolShare*> share_{nullptr};
    void* make_ = nullptr;
    T (*call_)(void*) = nullptr;
    void (*drop_)(void*) = nullptr;
};

}  // namespace gort
