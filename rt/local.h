// PUBLIC
// rt/local.h - goroutine-local storage: what thread_local is to threads.
// SPDX-License-Identifier: BSD-2-Clause
//
//   inline gort::goroutine_local<request_info> current;      // of static storage duration
//   current->id = 7;                                         // this goroutine's own, made at its first use
//
// Each goroutine has its own T, value-initialized when it first asks and destroyed when it ends, by return or goexit,
// last made first, on its stack: the destructor may block. A new goroutine inherits nothing. On a thread of the
// program's own the T is the thread's and goes with it. What main's return leaves behind is not destroyed, as its stack
// is not. A goroutine_local that is destroyed itself takes no T along: give it static storage duration.
// Errors: std::bad_alloc and what T's constructor throws, at the first use.
// Cost: a walk along those that this goroutine uses. No lock: no other goroutine sees them.
// Context: any goroutine, any thread of the program's own; not signal handlers. Go has nothing like it.
#pragma once

#include "config.h"

#include <type_traits>

namespace gort {

namespace detail {
struct GLocal {
    GLocal* next = nullptr;
    const void* key = nullptr;
    void (*end)(GLocal*, bool destroy) = nullptr;  // without: gives the memory back alone
};
GLocal** local_list();  // the caller's
}  // namespace detail

template <class T>
class goroutine_local {
    static_assert(std::is_object_v<T>, "goroutine_local<T>: T is an object type");

public:
    constexpr goroutine_local() = default;
    goroutine_local(const goroutine_local&) = delete;
    goroutine_local& operator=(const goroutine_local&) = delete;

    // The caller's T, which is made if there is none yet. The address is good until the goroutine ends.
    T& get() const {
        if (T* value = find()) return *value;
        auto* node = new Node;
        detail::GLocal** list = detail::local_list();  // now: the constructor may have made others
        node->key = this;
        node->end = [](detail::GLocal* l, bool destroy) {
            auto* n = static_cast<Node*>(l);
            if (destroy) n->value()->~T();
            delete n;
        };
        node->next = *list;
        *list = node;
        return *node->value();
    }
    T& operator*() const { return get(); }
    T* operator->() const { return &get(); }

    // The caller's T, or null if the caller has not used it yet. It makes none.
    T* find() const {
        for (detail::GLocal* l = *detail::local_list(); l; l = l->next)
            if (l->key == this) return static_cast<Node*>(l)->value();
        return nullptr;
    }

private:
    struct Node : detail::GLocal {
        union {
            T object;
        };
        Node() : object() {}
        ~Node() {}
        T* value() { return &object; }
    };
};

}  // namespace gort
