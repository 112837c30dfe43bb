// PUBLIC
// rt/sync/atomic_value.h - atomic_value<T>: a value that many goroutines read and that is replaced now and then.
// SPDX-License-Identifier: BSD-2-Clause
//
//      gort::atomic_value<config> current;
//      current.store(load_config());
//      std::optional<config> now = current.load();      // nullopt before the first store
//
// As Go's atomic.Value, typed: its rules about inconsistent types hold at compile time. load gives a copy; put a
// std::shared_ptr<const T> into it where that is dear. T needs a copy constructor for load and ==  for
// compare_and_swap. What T's operations do is up to them: copies are made under an rw_mutex, old values are destroyed
// outside of it. If one throws, nothing has changed.
//
// Context:  any goroutine and any other thread of the process; as rw_mutex's. Not in a signal handler.
// Memory order: a store happens before the return of the load that sees it; all operations on one object have one
// order.
// Cost:     load as rw_mutex's lock_shared and a copy; the others as its lock.
// Source:   Go's package sync/atomic, type Value.
#pragma once

#include "../config.h"

#include <concepts>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

#include "rw_mutex.h"

namespace gort {

template <class T>
class atomic_value {
    static_assert(std::is_object_v<T> && !std::is_const_v<T> && !std::is_array_v<T>,
                  "gort::atomic_value<T>: T is an object type without const, and no array");

public:
    constexpr atomic_value() noexcept = default;
    explicit atomic_value(T initial) : value_(std::move(initial)) {}
    atomic_value(const atomic_value&) = delete;
    atomic_value& operator=(const atomic_value&) = delete;

    // A copy of the value; nothing before the first store.
    std::optional<T> load() const requires std::copy_constructible<T> {
        struct Guard {
            rw_mutex& lock;
            explicit Guard(rw_mutex& l) : lock(l) { lock.lock_shared(); }
            ~Guard() { lock.unlock_shared(); }
        } guard(lock_);
        return value_;
    }
    // Replaces the value.
    void store(T value) { swap(std::move(value)); }
    // Replaces the value and gives the one before; nothing if there was none.
    std::optional<T> swap(T value) {
        std::optional<T> other(std::move(value));
        const std::lock_guard guard(lock_);
        value_.swap(other);
        return other;
    }
    // Stores value if what is there equals old: std::nullopt is what is there before the first store.
    bool compare_and_swap(const std::optional<T>& old, T value) requires std::equality_comparable<T> {
        std::optional<T> other(std::move(value));
        const std::lock_guard guard(lock_);
        if (value_ != old) return false;
        value_.swap(other);
        return true;
    }

private:
    mutable rw_mutex lock_;
    std::optional<T> value_;
};

}  // namespace gort
