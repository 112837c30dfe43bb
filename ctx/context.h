// PUBLIC
// ctx/context.h - contexts: cancellation, deadlines and values that travel down a tree of calls and goroutines.
// SPDX-License-Identifier: BSD-2-Clause
//
//      auto [c, cancel] = gort::ctx::with_timeout(parent, 2s);
//      gort::defer done{[&] { cancel(); }};
//      switch (gort::select(gort::on_recv(results, r), gort::on_recv(c.done()))) { case 1: return c.err(); … }
//
// A context is a counted handle; copies denote the same one, a default-constructed or nullptr one is Go's nil.
// Cancelling one closes its done(), sets its err() and cause(), and does the same to all that were derived from it,
// before cancel returns; the one that comes first decides. A parent never notices its children's ends. cancel
// objects may be copied, and called many times and from any thread; they do not wait for work to end. Destroying
// one does not cancel.
//
// What lives how long. A child keeps its parent. A parent does not keep its children: a child whose last handle (cancel
// objects count) goes is taken out of its parent, so one that is never cancelled leaks nothing. While its done()
// channel is still held, or a function waits with after_func, then it lives until it is cancelled, by its
// deadline or parent.
//
// Panics: "cannot create context from nil parent" (all that derive); an operation on a nil context.
// Context: any goroutine and any other thread. Nothing here blocks, but for a lock held while a tree is cancelled.
//          Deadlines need a runtime that is up; a run's end forgets those that are pending, as it abandons goroutines.
// Memory order: what happened before cancel happens before err() says so and before a receive from done() returns.
// Source: Go's package context (1.23).
#pragma once

#include "../rt/config.h"

#include <atomic>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include "../chan/chan.h"
#include "../rt/go.h"
#include "../rt/panic.h"
#include "../rt/time.h"
#include "errc.h"

namespace gort::ctx {

class cancel_func;
class context;
class context_base;
class stop_func;

// What values are found by: the address of a key<T>.
class any_key {
public:
    any_key(const any_key&) = delete;
    any_key& operator=(const any_key&) = delete;
    constexpr const char* name() const noexcept { return name_; }
    friend constexpr bool operator==(const any_key& a, const any_key& b) noexcept { return &a == &b; }

protected:
    explicit constexpr any_key(const char* name) noexcept : name_(name) {}
    ~any_key() = default;

private:
    const char* name_;
};

// A key for values of type T. Each object is a key of its own, whatever its name, which is for people. Declare one as
//      inline constexpr ctx::key<std::string> request_id{"request_id"};
template <class T>
class key : public any_key {
public:
    static_assert(std::is_object_v<T> && !std::is_const_v<T>,
                  "gort::ctx::key<T>: T must be an object type without const");
    using value_type = T;
    explicit constexpr key(const char* name = "key") noexcept : any_key(name) {}
};

namespace detail {

struct AfterFunc;
struct CancelNode;
struct PlainNode;
struct Tree;
struct GORT_HIDDEN ValueNode;

enum class Kind : uint8_t { kCustom, kBackground, kTodo, kCancel, kTimer, kValue, kWithoutCancel };

[[noreturn]] void panic_nil_context(const char* operation);
void unref_slow(const context_base* c) noexcept;

// What a stop_func calls.
struct Stop {
    virtual ~Stop() = default;
    virtual bool stop() = 0;
    std::atomic<uint32_t> refs{1};
};
template <class F>
struct StopOf final : Stop {
    explicit StopOf(F g) : f(std::move(g)) {}
    bool stop() override { return static_cast<bool>(f()); }
    F f;
};

}  // namespace detail

// A context. All members are const and may be called at any time from any thread.
class context {
public:
    constexpr context() noexcept = default;
    constexpr context(std::nullptr_t) noexcept {}  // NOLINT(google-explicit-constructor): as Go's nil
    // One of your own kind (make_context is shorter).
    template <std::derived_from<context_base> T>
    explicit context(std::unique_ptr<T> own) noexcept : p_(own.release()) {}

    context(const context& o) noexcept : p_(o.p_) { retain(); }
    context(context&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
    context& operator=(const context& o) noexcept {
        context copy(o);
        std::swap(p_, copy.p_);
        return *this;
    }
    context& operator=(context&& o) noexcept {
        context other(std::move(o));
        std::swap(p_, other.p_);
        return *this;
    }
    ~context() {
        if (p_) release();
    }

    // A channel that is closed when the context is done; nil if it never can be. The same one each time, made at
    // the first call.
    recv_chan<unit> done() const;
    // No error while it is not done; then errc::canceled, errc::deadline_exceeded, or what a parent of another kind
    // says.
    std::error_code err() const;
    // When it will be done at the latest; nothing if it has no deadline.
    std::optional<time_point> deadline() const;
    // What with_value bound to k nearest to here, or null. Good as long as some handle on this context or on one
    // that was derived from it lives.
    template <class T>
    const T* value(const key<T>& k) const {
        return static_cast<const T*>(find(k));
    }
    template <class T>
    const T* value(key<T>&& k) const = delete;  // a key is an object that stays

    explicit operator bool() const noexcept { return p_ != nullptr; }
    friend bool operator==(const context& a, const context& b) noexcept { return a.p_ == b.p_; }

private:
    friend class context_base;
    friend struct detail::Tree;
    friend struct std::hash<context>;
    explicit context(context_base* owned) noexcept : p_(owned) {}
    context_base* take() noexcept { return std::exchange(p_, nullptr); }
    inline void retain() const noexcept;
    inline void release() noexcept;
    const void* find(const any_key& k) const;

    context_base* p_ = nullptr;
};

// What contexts are made of; derive from it for an own kind. What is not overridden is the parent's; without a
// parent it is what background says. Overriding functions may be called at any time, by several threads at once.
// Contexts derived from yours are cancelled when done() is closed, with your err(). If your done() is that of a
// context of this library that your value() lets through, they are linked to that one; else, if after_func is
// overridden, it is asked; else a goroutine waits, for your done() and for the child's.
class context_base {
public:
    virtual ~context_base();
    context_base(const context_base&) = delete;
    context_base& operator=(const context_base&) = delete;

    virtual recv_chan<unit> done() const;
    virtual std::error_code err() const;
    virtual std::optional<time_point> deadline() const;
    // Where what is bound to k is, a value_type of that key, or null. Pass on what you do not know:
    // context_base::value(k).
    virtual const void* value(const any_key& k) const;
    // Calls f once when done() is closed, not on this call's stack. An empty result says that you do not offer it;
    // what is returned takes it back.
    virtual stop_func after_func(cancel_func f) const;
    virtual std::string to_string() const;  // default: the type's name

protected:
    context_base() noexcept = default;
    explicit context_base(context parent) noexcept : parent_(std::exchange(parent.p_, nullptr)) {}
    context parent() const noexcept;  // what the constructor was given

private:
    friend class context;
    friend struct detail::CancelNode;
    friend struct detail::Tree;
    friend struct detail::PlainNode;
    friend struct detail::ValueNode;
    friend void detail::unref_slow(const context_base* c) noexcept;
    context_base(detail::Kind kind, uint32_t refs, context_base* parent) noexcept
        : refs_(refs), kind_(kind), parent_(parent) {}

    mutable std::atomic<uint32_t> refs_{1};
    const detail::Kind kind_ = detail::Kind::kCustom;
    context_base* parent_ = nullptr;  // one reference
};

inline void context::retain() const noexcept {
    // All threads use the roots: their count would be the most contended word of the program.
    if (p_ && p_->parent_ != p_) p_->refs_.fetch_add(1, std::memory_order_relaxed);
}
inline void context::release() noexcept {
    if (p_->parent_ != p_) detail::unref_slow(p_);
}

// An own kind of context: make_context<my_context>(arguments…).
template <std::derived_from<context_base> T, class... A>
context make_context(A&&... args) {
    return context(std::make_unique<T>(std::forward<A>(args)...));
}

// Cancels one context, with errc::canceled: a copyable callable. Default-constructed it does nothing.
class cancel_func {
public:
    cancel_func() noexcept = default;
    void operator()() const;
    explicit operator bool() const noexcept { return static_cast<bool>(c_); }

private:
    friend struct detail::Tree;
    cancel_func(context c, bool propagates) noexcept : c_(std::move(c)), propagates_(propagates) {}
    context c_;
    bool propagates_ = false;  // the parent's error instead: for context_base::after_func
};

// The same with a cause. No cause is errc::canceled.
class cancel_cause_func {
public:
    cancel_cause_func() noexcept = default;
    void operator()(std::error_code cause = {}) const;
    void operator()(std::errc cause) const { (*this)(std::make_error_code(cause)); }
    explicit operator bool() const noexcept { return static_cast<bool>(c_); }

private:
    friend struct detail::Tree;
    explicit cancel_cause_func(context c) noexcept : c_(std::move(c)) {}
    context c_;
};

// Takes an after_func back: true if this call prevented the function, false if it was started or stopped before.
// Does not wait for it. A copyable callable; empty ones return false.
class stop_func {
public:
    stop_func() noexcept = default;
    // What a context of an own kind returns from after_func.
    template <class F>
    requires(!std::same_as<std::remove_cvref_t<F>, stop_func> &&
             std::is_invocable_r_v<bool, std::decay_t<F>&>) explicit stop_func(F&& f)
        : s_(new detail::StopOf<std::decay_t<F>>(std::forward<F>(f))) {}
    stop_func(const stop_func& o) noexcept : s_(o.s_) {
        if (s_) s_->refs.fetch_add(1, std::memory_order_relaxed);
    }
    stop_func(stop_func&& o) noexcept : s_(std::exchange(o.s_, nullptr)) {}
    stop_func& operator=(stop_func o) noexcept {
        std::swap(s_, o.s_);
        return *this;
    }
    ~stop_func() {
        if (s_ && s_->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) delete s_;
    }
    bool operator()() const { return s_ && s_->stop(); }
    explicit operator bool() const noexcept { return s_ != nullptr; }

private:
    friend struct detail::Tree;
    explicit stop_func(detail::Stop* owned) noexcept : s_(owned) {}
    detail::Stop* s_ = nullptr;
};

// The roots: never done, no deadline, no values.
context background();
context todo();  // where it is not clear yet which context to use

using cancelable = std::pair<context, cancel_func>;  // auto [c, cancel] = with_cancel(parent);
using cause_cancelable = std::pair<context, cancel_cause_func>;

// Makes a context that is done when cancel is called or the parent is done.
cancelable with_cancel(const context& parent);
cause_cancelable with_cancel_cause(const context& parent);

// Makes one that is done also when the time has come, with errc::deadline_exceeded and, for the _cause forms, with
// that cause. A parent's earlier deadline counts as well. What is past is done at once. Cancel it when you are
// through, so that its timer goes.
cancelable with_deadline_cause(const context& parent, time_point when, std::error_code cause);
inline cancelable with_deadline(const context& parent, time_point when) {
    return with_deadline_cause(parent, when, {});
}

namespace detail {
cancelable with_timeout_ns(const context& parent, int64_t ns, std::error_code cause);
}
template <class Rep, class Period>
cancelable with_timeout(const context& parent, std::chrono::duration<Rep, Period> d) {
    return detail::with_timeout_ns(parent, gort::detail::to_ns(d), {});
}
template <class Rep, class Period>
cancelable with_timeout_cause(const context& parent, std::chrono::duration<Rep, Period> d,
                              std::error_code cause) {
    return detail::with_timeout_ns(parent, gort::detail::to_ns(d), cause);
}

// The parent's values only: never done, no deadline.
context without_cancel(const context& parent);

// Why c is done: what was said when it, or the first of its parents, was cancelled; err() if nothing was. None before.
std::error_code cause(const context& c);

// context.Background.WithCancel.WithValue(request_id, 17) …: for people.
std::string to_string(const context& c);
template <class Traits>
std::basic_ostream<char, Traits>& operator<<(std::basic_ostream<char, Traits>& out, const context& c) {
    return out << to_string(c);
}

namespace detail {

using ValueText = void (*)(std::string* out, const void* value);
std::string type_text(const std::type_info& type);
// The same without RTTI: what stands behind "T = " in the compiler's own words.
std::string type_text(const char* function);
template <class T>
const char* function_text() {
    return __PRETTY_FUNCTION__;
}

template <class T>
void value_text(std::string* out, const void* value) {
    if constexpr (std::is_convertible_v<const T&, std::string>) {
        if constexpr (std::is_pointer_v<T>)
            if (!*static_cast<const T*>(value)) return void(*out += "<nil>");
        *out += std::string(*static_cast<const T*>(value));
    } else if constexpr (requires(const T& v) { std::string(to_string(v)); }) {
        *out += std::string(to_string(*static_cast<const T*>(value)));
    } else {
        if constexpr (requires(const T& v) { v == nullptr; })
            if (*static_cast<const T*>(value) == nullptr) return void(*out += "<nil>");
#if defined(__cpp_rtti)
        *out += type_text(typeid(T));
#else
        *out += type_text(function_text<T>());
#endif
    }
}

// A binding. value is null for one that hides what is further up.
struct GORT_HIDDEN ValueNode : context_base {
    ValueNode(context_base* parent, const any_key* k, const void* at, ValueText t) noexcept;
    const any_key* const bound;
    const void* const at;
    const ValueText text;
};
template <class T>
struct GORT_HIDDEN ValueNodeOf final : ValueNode {
    template <class U>
    ValueNodeOf(const any_key& k, U&& u)
        : ValueNode(nullptr, &k, std::addressof(v), &value_text<T>), v(std::forward<U>(u)) {}
    T v;
};

struct Tree {  // the library's own way in
    static context_base* get(const context& c) noexcept { return c.p_; }
    static context wrap(context_base* owned) noexcept { return context(owned); }
    static context root(Kind kind);
    static context without_cancel(context_base* parent);
    static context share(context_base* p) noexcept {
        if (p && p->parent_ != p) p->refs_.fetch_add(1, std::memory_order_relaxed);
        return context(p);
    }
    static void adopt_parent(context_base* child, const context& parent) noexcept {
        child->parent_ = context(parent).take();
    }
    static cancel_func cancel_of(context c, bool propagates) noexcept { return {std::move(c), propagates}; }
    static cancel_cause_func cancel_cause_of(context c) noexcept { return cancel_cause_func(std::move(c)); }
    static stop_func stop_of(Stop* owned) noexcept { return stop_func(owned); }
    static const context& of(const cancel_func& f) noexcept { return f.c_; }
    static std::atomic<uint32_t>& refs(const context_base* c) noexcept { return c->refs_; }
    static Kind kind(const context_base* c) noexcept { return c->kind_; }
    static context_base* up(const context_base* c) noexcept { return c->parent_; }
};

[[noreturn]] void panic_nil_parent();

// In a list of the nearest context that can be cancelled: a CancelNode, or a function to be run then. Under that
// one's lock.
struct Child {
    Child* next = nullptr;
    Child* prev = nullptr;
    CancelNode* under = nullptr;
    // false for good once it has been taken out: may then be read without the lock
    std::atomic<bool> linked{false};
    bool is_func = false;
};

struct AfterFunc : Child {
    std::atomic<uint32_t> refs{1};
    std::atomic<uint32_t> state{0};  // 1: started, 2: stopped
    Site site;
    // a goroutine's: its storage holds the AfterFunc, with a reference
    gort::detail::Invoke invoke = nullptr;
    void (*destroy)(AfterFunc* f) noexcept = nullptr;
};
inline void after_func_release(AfterFunc* f) noexcept {
    if (f->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) f->destroy(f);
}
template <class F>
struct AfterFuncOf final : AfterFunc {
    explicit AfterFuncOf(F&& g) : f(std::move(g)) {}
    explicit AfterFuncOf(const F& g) : f(g) {}
    F f;
};
stop_func after_func(const context& c, AfterFunc* owned);

}  // namespace detail

// The parent's context with value bound to k. The value is kept in the context and never changes; readers share it,
// so what it refers to must be safe for that.
template <class T, class U = T>
requires std::constructible_from<T, U&&> context with_value(const context& parent, const key<T>& k,
                                                            U&& value) {
    if (!parent) detail::panic_nil_parent();
    auto* node = new detail::ValueNodeOf<T>(k, std::forward<U>(value));
    detail::Tree::adopt_parent(node, parent);
    return detail::Tree::wrap(node);
}
template <class T, class U = T>
context with_value(const context& parent, key<T>&& k, U&& value) = delete;  // a key is an object that stays

// Go's WithValue(parent, key, nil): nothing is bound to k from here down, also if there is a value further up.
context without_value(const context& parent, const any_key& k);

// Calls f() in a goroutine of its own once c is done; at once if it is. Several do not know of each other. f is
// destroyed after it ran, or when it will not run.
template <class F>
stop_func after_func(const context& c, F&& f, Site site = Site::here()) {
    using D = std::decay_t<F>;
    static_assert(std::is_invocable_v<D&>,
                  "gort::ctx::after_func: the function must be callable without arguments");
    if (!c) detail::panic_nil_parent();
    if constexpr (gort::detail::is_nullable<D> && !std::is_function_v<std::remove_reference_t<F>>)
        if (f == nullptr) [[unlikely]]
            gort::panic("context: AfterFunc of a nil function");
    auto* a = new detail::AfterFuncOf<D>(std::forward<F>(f));
    a->site = site;
    a->is_func = true;
    a->invoke = [](void* storage) {
        struct Guard {
            detail::AfterFunc* a;
            ~Guard() { detail::after_func_release(a); }
        } guard{*static_cast<detail::AfterFunc**>(storage)};
        static_cast<void>(static_cast<detail::AfterFuncOf<D>*>(guard.a)->f());
    };
    a->destroy = [](detail::AfterFunc* p) noexcept { delete static_cast<detail::AfterFuncOf<D>*>(p); };
    return detail::after_func(c, a);
}

}  // namespace gort::ctx

template <>
struct std::hash<gort::ctx::context> {
    size_t operator()(const gort::ctx::context& c) const noexcept { return std::hash<const void*>{}(c.p_); }
};
