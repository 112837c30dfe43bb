// PUBLIC
// chan/select.h - select: waits until one of several channel operations can proceed, and does that one.
// SPDX-License-Identifier: BSD-2-Clause
//
//      switch (gort::select(gort::on_recv(jobs, job, ok), gort::on_send(out, x), gort::otherwise())) { case 0: …
//
// Cases. ch is a chan<T>, or the half that fits; a nil channel's case is never ready. A variable is written and a
// handler runs only if that case was chosen, after the operation and outside of all locks: a handler may do what it
// likes.
//      on_recv(ch)              receives and drops
//      on_recv(ch, out)         out = what was received, T{} when closed
//      on_recv(ch, out, ok)     and ok = false when closed
//      on_recv(ch, f)           f(T), f(T, bool ok) or f(); a T without default constructor: f(std::optional<T>)
//      on_send(ch, value)       an lvalue is copied here and now, an rvalue is moved from only if the case is chosen
//      on_send(ch, value, f)    and f() after that
//      otherwise(), otherwise(f)   chosen when no other is ready; at most one
// The result is the place of the chosen case among the arguments, counted from 0, nil channels and otherwise included.
//
// Of several that are ready each is as likely as the others. Nothing else happens to channels of other cases. Blocks
// unless there is an otherwise; for ever if all channels are nil, or there is no case at all. No heap is used. There
// is no priority among cases: select twice, the first time with otherwise, for that.
// A send that is chosen on a closed channel panics: "send on closed channel".
//
// Each argument of a case is evaluated once, before any choice. C++ does not say in which order it evaluates the
// arguments of a call; where that matters, select_any({…}) with braces evaluates case after case as they are written.
// Channels and variables are not copied: they must live and stay as they are until select returns. A channel given as
// an rvalue (c.done(), after(d)) is kept by its case.
//
// select_any takes a range of cases made at run time (Go's reflect.Select); see select_case.
// Context: any goroutine and any other thread. Memory order: as the operation that took place (chan.h).
// Source: Go's language specification, "Select statements"; package reflect, Select.
#pragma once

#include "../rt/config.h"

#include <concepts>
#include <optional>
#include <type_traits>
#include <utility>

#include "chan.h"
#include "select_ops.h"

namespace gort {
namespace detail {

template <class C>
inline constexpr bool kReceives = false;
template <class T>
inline constexpr bool kReceives<chan<T>> = true;
template <class T>
inline constexpr bool kReceives<recv_chan<T>> = true;
template <class C>
inline constexpr bool kSends = false;
template <class T>
inline constexpr bool kSends<chan<T>> = true;
template <class T>
inline constexpr bool kSends<send_chan<T>> = true;

template <class C>
concept ReceivesFrom = kReceives<std::remove_cvref_t<C>>;  // a chan<T> or a recv_chan<T>
template <class C>
concept SendsTo = kSends<std::remove_cvref_t<C>>;  // a chan<T> or a send_chan<T>
template <class C>
using ElemOf = typename std::remove_cvref_t<C>::value_type;

// How a case holds its channel: a copy of the caller's reference, or the reference itself.
struct Borrowed {
    Hchan* c;
    Hchan* get() const noexcept { return c; }
};
template <class C>
auto hold(C& ch) {
    return Borrowed{Access::get(ch)};
}
template <class C>
requires(!std::is_lvalue_reference_v<C>) auto hold(C&& ch) { return Access::take(std::move(ch)); }
inline Handle own(Borrowed b) {
    if (b.c) chan_retain(b.c);
    return Handle(b.c);
}
inline Handle own(const Handle& h) { return h; }

template <class F, class T>
concept HandlesRecv =
    std::invocable<F&, T&&, bool> || std::invocable<F&, T&&> || std::invocable<F&, std::optional<T> &&> ||
    std::invocable<F&>;
template <class U, class T>
concept TakesRecv = std::is_assignable_v<U&, T&&>;

// ---- where what was received goes ----

struct Drop {
    template <class T>
    void put(T&&) {}
    template <class T>
    void closed() {}
};

template <class U>
struct Assign {
    U* out;
    bool* ok;  // or null

    template <class T>
    void put(T&& value) {
        *out = std::move(value);
        if (ok) *ok = true;
    }
    template <class T>
    void closed() {
        if constexpr (std::is_default_constructible_v<T>) *out = T{};
        else if constexpr (!std::is_same_v<U, T> && std::is_default_constructible_v<U>) *out = U{};
        if (ok) *ok = false;
    }
};

template <class F>  // a reference to the caller's, or its own
struct Handler {
    F f;

    template <class T>
    void put(T&& value) {
        call<T>(std::move(value), true);
    }
    template <class T>
    void closed() {
        if constexpr (std::is_default_constructible_v<T>) call<T>(T{}, false);
        else if constexpr (std::invocable<F&, std::optional<T>&&>) std::invoke(f, std::optional<T>());
        else if constexpr (std::invocable<F&>) std::invoke(f);
        else
            static_assert(
                std::invocable<F&>,
                "gort::on_recv: T has no default constructor, so the handler must take std::optional<T>: "
                "it is called without a value when the channel is closed");
    }

private:
    template <class T>
    void call(T&& value, bool ok) {
        if constexpr (std::invocable<F&, T&&, bool>) std::invoke(f, std::move(value), ok);
        else if constexpr (std::invocable<F&, T&&>) std::invoke(f, std::move(value));
        else if constexpr (std::invocable<F&>) std::invoke(f);
        else std::invoke(f, ok ? std::optional<T>(std::move(value)) : std::optional<T>());
    }
};

// ---- where what is sent comes from ----

template <class T>
struct Word {
    uint64_t word;
};
template <class T>
struct Copy {  // made when the case was
    T value;
};
template <class T>
struct Move {  // the caller's object
    T* value;
};

// ---- the cases ----
// fill prepares an item, `place` is raw storage of place_size; run_alone is select with this case alone; complete is
// called when the case was chosen.

template <class T, class Ref, class Sink>
struct RecvCase {
    using Elem = T;
    static constexpr size_t place_size = is_word<T> ? 1 : sizeof(T);
    static constexpr size_t place_align = is_word<T> ? 1 : alignof(T);
    static constexpr bool is_otherwise = false;

    Ref ch;
    Sink sink;

    void fill(SelectItem& it, void* place) {
        it.c = ch.get();
        it.sends = false;
        it.is_word = is_word<T>;
        if constexpr (!is_word<T>) it.at = place;
    }
    void complete(SelectItem& it, void* place, bool ok) {
        if constexpr (is_word<T>) take_word(it.word, ok);
        else take(place, ok);
    }
    bool run_alone(bool blocks) {
        if constexpr (is_word<T>) {
            if (blocks) {
                const WordResult r = chan_recv_word(ch.get());
                take_word(r.word, r.ok);
            } else {
                const WordTry r = chan_try_recv_word(ch.get());
                if (r.result == TryResult::kEmpty) return false;
                take_word(r.word, r.result == TryResult::kOk);
            }
        } else {
            alignas(T) unsigned char place[sizeof(T)];
            if (blocks) {
                take(place, chan_recv(ch.get(), place));
            } else {
                const TryResult r = chan_try_recv(ch.get(), place);
                if (r == TryResult::kEmpty) return false;
                take(place, r == TryResult::kOk);
            }
        }
        return true;
    }

private:
    void take_word(uint64_t word, bool ok) {
        if (ok) sink.template put<T>(from_word<T>(word));
        else sink.template closed<T>();
    }
    void take(void* place, bool ok) {
        if (!ok) return sink.template closed<T>();
        struct Destroy {
            T* value;
            ~Destroy() { value->~T(); }
        } received{std::launder(static_cast<T*>(place))};
        sink.template put<T>(std::move(*received.value));
    }
};

template <class T, class Ref, class Source, class F>
struct SendCase {
    using Elem = T;
    static constexpr size_t place_size = 1;
    static constexpr size_t place_align = 1;
    static constexpr bool is_otherwise = false;

    Ref ch;
    Source source;
    [[no_unique_address]] F f;

    void fill(SelectItem& it, void*) {
        it.c = ch.get();
        it.sends = true;
        it.is_word = is_word<T>;
        if constexpr (is_word<T>) it.word = source.word;
        else it.at = address();
    }
    void complete(SelectItem&, void*, bool) { f(); }
    bool run_alone(bool blocks) {
        if constexpr (is_word<T>) {
            if (blocks) chan_send_word(ch.get(), source.word);
            else if (!chan_try_send_word(ch.get(), source.word)) return false;
        } else {
            if (blocks) chan_send(ch.get(), address());
            else if (!chan_try_send(ch.get(), address())) return false;
        }
        f();
        return true;
    }

private:
    void* address() {
        if constexpr (std::is_same_v<Source, Copy<T>>) return std::addressof(source.value);
        else return source.value;
    }
};

template <class F>
struct OtherwiseCase {
    static constexpr size_t place_size = 1;
    static constexpr size_t place_align = 1;
    static constexpr bool is_otherwise = true;
    [[no_unique_address]] F f;
};

struct Nothing {
    void operator()() const {}
};

template <class C>
inline constexpr bool kIsCase = false;
template <class T, class Ref, class Sink>
inline constexpr bool kIsCase<RecvCase<T, Ref, Sink>> = true;
template <class T, class Ref, class Source, class F>
inline constexpr bool kIsCase<SendCase<T, Ref, Source, F>> = true;
template <class F>
inline constexpr bool kIsCase<OtherwiseCase<F>> = true;
template <class C>
concept Case = kIsCase<std::remove_cvref_t<C>>;  // what on_recv, on_send and otherwise return

template <class C, class Sink>
auto recv_case(C&& ch, Sink sink) {
    auto held = hold<C>(std::forward<C>(ch));
    return RecvCase<ElemOf<C>, decltype(held), Sink>{std::move(held), std::move(sink)};
}

template <class C, class U, class F>
auto send_case(C&& ch, U&& value, F&& f) {
    using T = ElemOf<C>;
    static_assert(sizeof(Ops<T>::table) > 0);
    using Held = decltype(hold<C>(std::forward<C>(ch)));
    if constexpr (is_word<T>)
        return SendCase<T, Held, Word<T>, F>{hold<C>(std::forward<C>(ch)),
                                             {to_word<T>(static_cast<T>(std::forward<U>(value)))},
                                             std::forward<F>(f)};
    else if constexpr (std::is_same_v<U, T>)
        return SendCase<T, Held, Move<T>, F>{
            hold<C>(std::forward<C>(ch)), {std::addressof(value)}, std::forward<F>(f)};
    else
        return SendCase<T, Held, Copy<T>, F>{
            hold<C>(std::forward<C>(ch)), {static_cast<T>(std::forward<U>(value))}, std::forward<F>(f)};
}

}  // namespace detail

// ---- public ----

// Makes a case that receives; the forms are listed above. A case does nothing until select is given it.
template <detail::ReceivesFrom C>
[[nodiscard]] auto on_recv(C&& ch) {
    return detail::recv_case(std::forward<C>(ch), detail::Drop{});
}
// out: a variable of type T, or of one that a T can be assigned to.
template <detail::ReceivesFrom C, class U>
requires detail::TakesRecv<U, detail::ElemOf<C>> &&
    (std::is_same_v<U, detail::ElemOf<C>> || !detail::HandlesRecv<U, detail::ElemOf<C>>)
        [[nodiscard]] auto on_recv(C&& ch, U& out) {
    return detail::recv_case(std::forward<C>(ch), detail::Assign<U>{std::addressof(out), nullptr});
}
template <detail::ReceivesFrom C, class U>
requires detail::TakesRecv<U, detail::ElemOf<C>>
[[nodiscard]] auto on_recv(C&& ch, U& out, bool& ok) {
    return detail::recv_case(std::forward<C>(ch), detail::Assign<U>{std::addressof(out), &ok});
}
template <detail::ReceivesFrom C, class F>
requires detail::HandlesRecv<F, detail::ElemOf<C>> &&(!std::is_same_v<F, detail::ElemOf<C>&>)
    [[nodiscard]] auto on_recv(C&& ch, F&& f) {
    return detail::recv_case(std::forward<C>(ch), detail::Handler<F>{std::forward<F>(f)});
}

// Makes a case that sends value: a T, or what converts to one; that conversion happens here and now.
template <detail::SendsTo C, class U = detail::ElemOf<C>>
requires std::is_constructible_v<detail::ElemOf<C>, U &&>&&
    std::is_convertible_v<U&&, detail::ElemOf<C>> [[nodiscard]] auto
    on_send(C&& ch, U&& value) {
    return detail::send_case(std::forward<C>(ch), std::forward<U>(value), detail::Nothing{});
}
template <detail::SendsTo C, class U = detail::ElemOf<C>, std::invocable F>
requires std::is_constructible_v<detail::ElemOf<C>, U &&>&&
    std::is_convertible_v<U&&, detail::ElemOf<C>> [[nodiscard]] auto
    on_send(C&& ch, U&& value, F&& f) {
    return detail::send_case(std::forward<C>(ch), std::forward<U>(value), std::forward<F>(f));
}

// Makes the case that is chosen when no other is ready; with it select does not block.
[[nodiscard]] inline auto otherwise() { return detail::OtherwiseCase<detail::Nothing>{}; }
template <std::invocable F>
[[nodiscard]] auto otherwise(F&& f) {
    return detail::OtherwiseCase<F>{std::forward<F>(f)};
}

// A select without cases blocks for ever.
[[noreturn]] inline int select() { detail::select_for_ever(); }

namespace detail {

template <class... Cs>
struct Cases {
    static constexpr int kOtherwise = [] {
        int at = -1, i = 0;
        ((at = Cs::is_otherwise ? i : at, ++i), ...);
        return at;
    }();
    static constexpr int kOps = static_cast<int>(sizeof...(Cs)) - (kOtherwise >= 0);
    static constexpr size_t kSize = [] {
        size_t most = 1;
        ((most = Cs::place_size > most ? Cs::place_size : most), ...);
        return most;
    }();
    static constexpr size_t kAlign = [] {
        size_t most = 1;
        ((most = Cs::place_align > most ? Cs::place_align : most), ...);
        return most;
    }();
};

template <class C>
bool run_alone(C& c, bool blocks) {
    if constexpr (C::is_otherwise) return false;
    else return c.run_alone(blocks);
}
template <class C>
void run_otherwise(C& c) {
    if constexpr (C::is_otherwise) c.f();
}
template <class C>
void fill(C& c, SelectItem*& it, void* place) {
    if constexpr (!C::is_otherwise) c.fill(*it++, place);
}
template <class C>
void complete(C& c, int& at, int chosen, SelectItem* items, void* place, bool ok) {
    if constexpr (!C::is_otherwise)
        if (at++ == chosen) c.complete(items[chosen], place, ok);
}

}  // namespace detail

// Waits until one of the cases can proceed, does it, and gives its place, counted from 0. All rules stand above.
template <detail::Case... Cs>
requires(sizeof...(Cs) > 0) int select(Cs&&... cases) {
    using namespace detail;
    using All = Cases<std::remove_cvref_t<Cs>...>;
    static_assert((0 + ... + static_cast<int>(std::remove_cvref_t<Cs>::is_otherwise)) < 2,
                  "gort::select: more than one otherwise()");
    constexpr int n = All::kOps;
    constexpr int other = All::kOtherwise;
    if constexpr (n == 0) {
        (run_otherwise(cases), ...);
        return 0;
    } else if constexpr (n == 1) {
        if ((run_alone(cases, other < 0) || ...)) return other == 0;
        (run_otherwise(cases), ...);
        return other;
    } else {
        alignas(All::kAlign) unsigned char place[All::kSize];
        SelectItem items[static_cast<size_t>(n)];
        SelectItem* it = items;
        (fill(cases, it, place), ...);
        Selected got;
        if constexpr (n == 2) got = other < 0 ? select_wait2(items) : select_try2(items);
        else
            got = other < 0 ? select_wait(items, n, sizeof(SelectItem))
                            : select_try(items, n, sizeof(SelectItem));
        if (other >= 0 && got.index < 0) {
            (run_otherwise(cases), ...);
            return other;
        }
        int at = 0;
        (complete(cases, at, got.index, items, place, got.ok), ...);
        return other >= 0 && got.index >= other ? got.index + 1 : got.index;
    }
}

}  // namespace gort

#include "select_any.h"
